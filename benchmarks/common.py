"""What the benchmarks share: a child process that reports in JSON, medians, and the table."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))  # the scripts lie flat and are no package


def measure(program, *arguments, python=sys.executable, **variables):
    """Run a benchmark's child process; what it prints last, as JSON, is the measurement."""
    done = subprocess.run(
        [python, program, "--child", *map(str, arguments)],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def median(measurements, key):
    return statistics.median(m[key] for m in measurements)


def write(name, *lines):
    """Print the result and keep it as Markdown beside the benchmark."""
    text = "\n".join(lines) + "\n"
    (HERE / f"{name}.md").write_text(text)
    print(text)
