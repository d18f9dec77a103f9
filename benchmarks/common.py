"""What the benchmarks share: their options, children that report in JSON, runs and medians, the table."""

import argparse
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))  # the scripts lie flat and are no package

from support.files import replacing  # noqa: E402

ONE_CORE = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1")


def parser_of(doc, rounds=True, data=None, child=None):
    """The command line of a benchmark.

    Args:
        rounds: whether it measures several times.
        data: the help of --data, if it needs images.
        child: how many words `measure` gives to it when it is its own child.
    """
    parser = argparse.ArgumentParser(description=doc.split("\n\n")[0])
    if rounds:
        parser.add_argument("--rounds", type=int, default=5)
    if data:
        parser.add_argument("--data", default="cifar10", metavar="SOURCE", help=data)
    if child:
        parser.add_argument("--child", nargs=child, help=argparse.SUPPRESS)
    return parser


def in_turn(rounds, cases, measure_one):
    """Each case to its measurements: in turn, so that what else the machine does hits all alike."""
    found = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases:
            found[case].append(measure_one(case))
            print(number + 1, case, found[case][-1], flush=True)
    return found


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
        raise RuntimeError(f"{arguments}: exit code {done.returncode}: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run(words, folder, log, append=False):
    """Run a script on one core to its end, and keep what it prints in `log`.

    Ctrl-C is the script's to answer, and then ends this program too.

    Args:
        words: the script and its options.
        append: what a run before it, which was stopped, printed stays.
    """
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(
        [sys.executable, "-u", *map(str, words)],
        cwd=folder,
        env=os.environ | ONE_CORE | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    part = log.with_suffix(".part")
    with open(part, "a" if append else "w") as file:
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
    code = process.wait()
    signal.signal(signal.SIGINT, previous)
    if code:
        name = words[1] if words[0] == "-m" else words[0]
        sys.exit(code if code == 130 else f"{name} ended with {code}; see above")
    part.replace(log)


def noise(count, batch_size=100):
    """A training set of noise, which costs the same as photographs."""
    import numpy as np

    from cnn import prepare
    from support.data.batches import Batches

    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, 32, 32, 3), dtype="uint8")
    y = rng.integers(0, 10, count)
    return Batches(x, y, list(range(10)), "noise", batch_size, prepare)


def compiled_cnn(**options):
    import cnn

    model = cnn.build_model()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def load_data(source):
    """CIFAR-10, or other images, as `show_samples.py` gets them."""
    from support import command_line
    from support.data import images

    return images.load_data(command_line.parse(__file__, "", ["--data", str(source)]))


def cpu_seconds(model, train, times, shuffle=False, **options):
    """The CPU time of each of so many epochs of training, after one that is not counted.

    Args:
        train: what `fit` gets, such as `Batches.dataset`.
        options: for `fit`.
    """
    spent = []
    for _ in range(times + 1):
        start = time.process_time()
        model.fit(train, shuffle=shuffle, verbose=0, **options)
        spent.append(time.process_time() - start)
    return spent[1:]


def median(measurements, key):
    return statistics.median(m[key] for m in measurements)


def spread(values, digits=1):
    """The mean, and in brackets the lowest and the highest, where there are several."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    mean, low, high = statistics.mean(values), min(values), max(values)
    return f"{mean:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def run_of(folder):
    """What is kept of a finished run: its curves, an entry an epoch, and what was trained."""
    from support.run import state

    kept = state.read(folder / "model.keras")
    record, curves = kept["record"], kept["history"] | {"cpu seconds": kept["cpu seconds"]}
    return {
        "seed": record["seed"],
        "parameters": sum(layer["parameters"] for layer in record["layers"]),
        "images": [record[f"{kind} set"]["size"] for kind in ("training", "test")],
        **recipe_of(record),
        **{key: [round(value, 5) for value in values] for key, values in curves.items()},
    }


def recipe_of(record):
    """What a table's runs have to share with the script: the network in eight letters, and more.

    Args:
        record: of a run, as `support.run.records` describes it.
    """
    kept = ("class", "output", "parameters", "trainable", "rate", "interpolation")
    layers = [[layer.get(key) for key in kept] for layer in record["layers"]]
    rate, loss = record["optimizer"]["learning_rate"], record["loss"]
    if isinstance(rate, dict):  # a schedule, whose steps depend on the number of images
        rate = [rate["class"], rate["initial_learning_rate"], rate["warmup_target"]]
    return {
        "network": hashlib.sha256(json.dumps(layers).encode()).hexdigest()[:8],
        "batch size": record["batch size"],
        "learning rate": rate,
        "label smoothing": loss.get("label_smoothing") if isinstance(loss, dict) else 0,
    }


def keep(name, runs):
    """Keep the runs that tables are made of in `runs/NAME.json`, a line a run.

    Args:
        runs: a title to a list of what `run_of` returns, one a seed.
    """
    parts = [
        f"{json.dumps(title)}: [\n" + ",\n".join(map(json.dumps, several)) + "]"
        for title, several in runs.items()
    ]
    path = HERE / "runs" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as part:
        part.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


def kept(name):
    return json.loads((HERE / "runs" / f"{name}.json").read_text(encoding="utf-8"))


def write(name, *lines):
    """Print the result and keep it as Markdown beside the benchmark."""
    text = "\n".join(lines) + "\n"
    with replacing(HERE / f"{name}.md") as part:
        part.write_text(text, encoding="utf-8")
    print(text)
