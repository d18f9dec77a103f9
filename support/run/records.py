"""What decides the result of a run, in readable form."""

import hashlib
import json

import keras
import numpy as np

# What Keras writes into a configuration that says nothing about the result: names that count up in
# a process, and where a class lives, which a new version may change.
INCIDENTAL = {"name", "module", "registered_name", "build_config"}


def describe(model, train, test, args, **decided):
    """The record of a run, of values that JSON has.

    `model` is compiled, with its initial weights; `decided` is what else the result depends on, by name.
    """
    compiled, optimizer = model.get_compile_config(), keras.optimizers.serialize(model.optimizer)
    record = {
        "script": args.script,
        "data": train.name,
        "seed": args.seed,  # before the images, for it also says how the sample is drawn
        "batch size": args.batch_size,
        "epochs": args.epochs,  # may become more, but for a schedule of the learning rate
        "classes": train.class_names,
        "training set": fingerprint(train),
        "test set": fingerprint(test),
        **({"alpha": args.alpha} if hasattr(args, "alpha") else {}),
        **decided,
        "optimizer": settings_of(optimizer),
        **{name: settings_of(compiled[name]) for name in ("loss", "metrics")},
        "layers": [describe_layer(layer) for layer in flat_layers(model)],
    }
    return json.loads(json.dumps(record, default=str))


def flat_layers(model):
    """The layers of a model in order: a model inside it is opened, an `InputLayer` passed over."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from flat_layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def fingerprint(batches):
    prepared = batches.prepare(batches.images[:2], batches.labels[:2], batches.num_classes)

    def short(array):
        return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()[:16]

    return {
        "size": len(batches.labels),
        "images": short(batches.images),
        "labels": short(batches.labels),
        "prepared": [short(array) for array in prepared],
        "pixels": [float(prepared[0].min()), float(prepared[0].max())],
    }


def describe_layer(layer):
    try:
        output = layer.output.shape[1:]
    except AttributeError:  # a layer with several outputs, or that was never called
        output = None
    return {
        "class": type(layer).__name__,
        **settings_of(layer.get_config()),
        "dtype": layer.dtype_policy.name,
        "output": output,
        "parameters": layer.count_params(),
    }


def settings_of(value):
    """A Keras configuration without what is incidental."""
    if isinstance(value, dict) and "class_name" in value:
        return {"class": value["class_name"], **settings_of(value.get("config") or {})}
    if isinstance(value, dict):
        return {key: settings_of(item) for key, item in value.items() if key not in INCIDENTAL}
    if isinstance(value, (list, tuple)):
        return [settings_of(item) for item in value]
    return value
