"""How long a reader waits: --help, a wrong option, and the first training step.

python benchmarks/startup.py
"""

import json
import subprocess
import sys
import tempfile
import time

from common import ROOT, in_turn, measure, median, parser_of, write


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
    args = parser_of(__doc__, child=1).parse_args()
    if args.child:
        return first_step(*args.child)

    commands = {
        "`python cnn.py --help`": [ROOT / "cnn.py", "--help"],
        "`python cnn.py --epochs x`": [ROOT / "cnn.py", "--epochs", "x"],
        "`python -c 'import keras'`": ["-c", "import keras"],
        "`python cnn.py --data sample`, to the end of the first step": None,
    }

    def measure_one(name):
        started = time.time()
        if commands[name] is None:
            return measure(__file__, started)
        subprocess.run([sys.executable, *commands[name]], capture_output=True, check=False)
        return {"seconds": time.time() - started}

    waits = in_turn(args.rounds, commands, measure_one)
    rows = (f"| {name} | {median(found, 'seconds'):.2f} |" for name, found in waits.items())
    write("startup", f"| medians of {args.rounds} | wall s |", "|---|---|", *rows)


if __name__ == "__main__":
    main()
