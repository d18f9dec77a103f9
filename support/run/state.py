"""What `model.keras` keeps of its run beside the model."""

import json
import zipfile

from support.run_json import NAME as RECORD


def read(path):
    """What a run put into its `model.keras`, a dictionary as `write` makes it.

    Raises:
        Exception: it is damaged, or not a run's.
    """
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} has changed")
        return json.loads(archive.read(RECORD))


def write(path, run):
    """Put it there, into the zip archive that Keras has just written and takes its own parts from."""
    state = {
        "record": run.record,  # as in `run.json`
        "history": run.history,  # of `fit`
        "cpu seconds": run.cpu_seconds,  # of each epoch
        "epochs": run.epochs,  # how many there are to be
        "source": run.source,  # where the images are
    }
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(RECORD, json.dumps(state))
