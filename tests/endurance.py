"""What takes hours: run by hand, one command each, and told in a line.

python tests/endurance.py kills [--count 200]
python tests/endurance.py signals [--count 200]
python tests/endurance.py damage [--count 10000]
"""

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

EPOCHS = "12"
SCRIPTS = [["cnn.py"], ["-m", "beyond.cnn_with_gap"]]


def command(script, folder):
    options = ["--data", "sample", "--limit", "500", "--epochs", EPOCHS, "--out", str(folder)]
    return [sys.executable, *script, *options]


def start(script, folder):
    return subprocess.Popen(
        command(script, folder),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def seconds_of(script, folder):
    begin = time.monotonic()
    process = start(script, folder)
    assert process.wait() == 0, process.stderr.read()
    return time.monotonic() - begin


def kills(count, work):
    """Kill runs at random moments, from their first to their last; then let each go on to its end."""
    for script in SCRIPTS:
        whole, run, done = work / f"{script[-1]}-whole", work / f"{script[-1]}-run", 0
        length = seconds_of(script, whole)
        expected = (whole / "history.csv").read_bytes()
        runs = 0
        while done < count // len(SCRIPTS):
            process = start(script, run)
            try:
                process.wait(timeout=random.uniform(0, length))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                done += 1
                continue
            # It came to its end between two kills: it must be right, and a new one begins.
            check(process, run, expected)
            runs += 1
        check(start(script, run), run, expected)
        print(f"{script[-1]}: {done} kills, {runs + 1} runs ended, all with the same history.csv")


def check(process, run, expected):
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    assert (run / "history.csv").read_bytes() == expected
    shutil.rmtree(run)


def signals(count, work):
    """Interrupt runs at random moments; each must end with 130 or 143 and one line, soon."""
    for script in SCRIPTS:
        length, codes, slowest = (
            seconds_of(script, work / f"{script[-1]}-whole"),
            collections.Counter(),
            0,
        )
        while sum(codes.values()) < count // len(SCRIPTS):
            run = work / f"{script[-1]}-run"
            if random.random() < 0.3:
                shutil.rmtree(run, ignore_errors=True)
            process, number = start(script, run), random.choice([signal.SIGINT, signal.SIGTERM])
            # Before that Python itself has not begun to listen.
            time.sleep(random.uniform(0.15, length))
            if process.poll() is not None:
                continue
            begin = time.monotonic()
            process.send_signal(number)
            errors = process.communicate(timeout=60)[1]
            slowest = max(slowest, time.monotonic() - begin)
            if process.returncode == 0:
                continue  # it was at its end
            assert process.returncode == 128 + number, (process.returncode, errors)
            assert len(errors.splitlines()) == 1, errors
            codes[process.returncode] += 1
        print(f"{script[-1]}: {dict(codes)}, each with one line, {slowest:.1f} s at the most")


def damage(count, work):
    """Damage what comes in through each of the three doors."""
    import damage as doors

    for door in doors.DOORS:
        folder = work / door.__name__
        folder.mkdir()
        ends = doors.try_door(door, folder, range(count // len(doors.DOORS)))
        print(f"{door.__name__}: {ends[0]} were read or went on correctly, {ends[1]} ended in one line")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["kills", "signals", "damage"])
    parser.add_argument("--count", type=int)
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background, for the scripts
    count = args.count or {"damage": 10_000}.get(args.what, 200)
    with tempfile.TemporaryDirectory() as work:
        begin = time.monotonic()
        globals()[args.what](count, Path(work))
        print(f"{(time.monotonic() - begin) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
