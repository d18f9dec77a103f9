"""How long a reader waits: --help, a wrong option, and the first training step.

python benchmarks/startup.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time

from common import ROOT, measure, median, write


def first_step(started):
    import keras

    import cnn

    def stop(batch, logs):
        print(json.dumps({"seconds": time.time() - float(started)}), flush=True)
        raise SystemExit

    fit = keras.Model.fit
    step = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    keras.Model.fit = lambda self, *args, **options: fit(self, *args, **(options | {"callbacks": [step]}))
    with tempfile.TemporaryDirectory() as folder:
        cnn.main(["--data", "sample", "--out", folder])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return first_step(args.child)

    commands = {
        "`python cnn.py --help`": [ROOT / "cnn.py", "--help"],
        "`python cnn.py --epochs x`": [ROOT / "cnn.py", "--epochs", "x"],
        "`python -c 'import keras'`": ["-c", "import keras"],
        "`python cnn.py --data sample`, to the end of the first step": None,
    }
    waits = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            started = time.time()
            if command is None:
                waits[name].append(measure(__file__, started))
            else:
                subprocess.run([sys.executable, *command], capture_output=True, check=False)
                waits[name].append({"seconds": time.time() - started})
    rows = (f"| {name} | {median(found, 'seconds'):.2f} |" for name, found in waits.items())
    write("startup", f"| medians of {args.rounds} | wall s |", "|---|---|", *rows)


if __name__ == "__main__":
    main()
