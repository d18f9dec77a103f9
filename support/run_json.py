"""`run.json`, the record of a run: read, and compared value by value. Keras is not needed."""

import json

from support.ending import ScriptError

NAME = "run.json"


def read(path):
    """The record in a file.

    Raises:
        ScriptError: it is damaged, or something else has that name.
    """
    try:
        record = json.loads(path.read_text())
        if not {"script", "layers"} <= set(record):
            raise ValueError("no record of a run")
        return record
    except (OSError, ValueError, TypeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ScriptError(f"{path}: {why}; move its folder away, or take another --out") from None


def compare(where, old, new, way_out="--fresh forgets it and starts anew, another --out keeps both"):
    """Raise a `ScriptError` with the first value that differs, if one does, of those that `new` has."""
    for key in new:
        if key == "epochs" or not (found := difference(old.get(key), new[key], key)):
            continue
        if key == "layers":
            pairs = enumerate(zip(old[key], new[key], strict=False), 1)
            each = (difference(*pair, f"layer {n}, {pair[1]['class']},") for n, pair in pairs)
            found = found if len(old[key]) != len(new[key]) else next(filter(None, each))
            raise ScriptError(f"{where}: the model has changed, {found}; {way_out}")
        if "decay_steps" in found and old.get("epochs", new["epochs"]) != new["epochs"]:
            found = f"--epochs {old['epochs']}, not {new['epochs']}"  # on which the learning rate depends
        raise ScriptError(f"{where}: holds a run with {found}; {way_out}")


def difference(old, new, name):
    """The first difference in words, None where there is none.

    Of configurations only what both have is compared: a new version of Keras may add to them.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        both = [key for key in new if key in old]
        found = (difference(old[key], new[key], f"{name} {key}") for key in both)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            return f"{len(old)} {name}, not {len(new)}"
        pairs = enumerate(zip(old, new, strict=True), 1)
        found = (difference(*pair, f"{name} {n}") for n, pair in pairs)
    else:
        return None if old == new else f"{name} {short(old)}, not {short(new)}"
    return next(filter(None, found), None)


def short(value):
    return value.get("class", "with more settings") if isinstance(value, dict) else value
