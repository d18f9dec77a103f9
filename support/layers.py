"""The layers of a model, those of the models inside it among them."""

import keras


def flat_layers(model):
    """The layers of a model in order: a model inside it is opened, an `InputLayer` passed over."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from flat_layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer
