"""`benchmarks/ingredients.py` leaves out what it says, and looks at no test image."""

import argparse
import collections
import itertools
import re
import types

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from support import images, layers


@pytest.fixture
def ingredients(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import ingredients

    return ingredients


def module_of(text):
    module = types.ModuleType("recipe")
    exec(compile(text, "recipe", "exec"), vars(module))
    return module


def model_of(ingredients, recipe, ingredient):
    module = module_of(ingredients.without(recipe, ingredient))
    small = {"alpha": 0.25, "weights": None} if recipe == "transfer_learning" else {}
    return module.build_model(**small)


def facts(ingredients, recipe, ingredient):
    """What may differ between a recipe and its variants: numbers of layers, and the learning rate."""
    flat = list(layers.flat_layers(model := model_of(ingredients, recipe, ingredient)))
    kinds = [type(layer).__name__ for layer in flat]
    return collections.Counter(
        [
            *kinds,
            *(f"{first} before {second}" for first, second in itertools.pairwise(kinds)),
            *("frozen" for weight in model.weights if not weight.trainable),
            *(
                re.findall(
                    r"Adam\(\w+|schedule = \S+|smoothing=\S+",
                    ingredients.without(recipe, ingredient),
                )
            ),
        ]
    )


# For the beginning of a name, what the variant has more (+) and less (-) of.
DIFFERENCES = {
    "dropout": {"-Dropout"},
    "batch normalization": {"-BatchNormalization"},
    "the falling learning rate": {"-Adam(CosineDecay", "+Adam(0"},
    "the rising and falling learning rate": {"-Adam(schedule", "+Adam(0"},
    "the rising learning rate": {"-schedule = CosineDecay(0.0,"},
    "label smoothing": {"-smoothing=0.1)"},
    "ReLU behind the pooling": {"-ReLU"},  # the convolution has it
    "mirrored images": {"-RandomFlip"},
    "pooling first": {"-MaxPooling2D before BatchNormalization", "+ReLU before MaxPooling2D"},
    "larger images": {"-Resizing"},
    "pixels in": {"-Rescaling"},
    "the cut": {"+DepthwiseConv2D"},
    "frozen": {"-frozen"},
}
SIDE_EFFECTS = re.compile(r".(\w+ before \w+|frozen)|\+schedule = CosineDecay\(0.\d+,")


def test_each_variant_differs_from_its_recipe_in_one_ingredient(ingredients):
    found = 0
    for recipe, (_, variants) in ingredients.RECIPES.items():
        whole = facts(ingredients, recipe, ingredients.NOTHING)
        for ingredient in variants:
            (wanted,) = (what for name, what in DIFFERENCES.items() if ingredient.startswith(name))
            other = facts(ingredients, recipe, ingredient)
            changed = {f"-{fact}" for fact in whole - other} | {
                f"+{fact}" for fact in other - whole
            }
            assert wanted <= changed, ingredient
            for fact in changed - wanted:
                assert SIDE_EFFECTS.fullmatch(fact) or ingredient.startswith("the cut"), fact
            found += 1
    assert found == 17


def test_relu_in_front_of_the_pooling_gives_the_same_values(ingredients):
    model = model_of(ingredients, "cnn", ingredients.NOTHING)
    other = model_of(ingredients, "cnn", "ReLU behind the pooling (in front of it)")
    other.set_weights(model.get_weights())
    x = np.random.default_rng(0).random((3, 32, 32, 3), dtype="float32")
    np.testing.assert_allclose(other(x), model(x), atol=1e-5)


def test_a_recipe_that_has_changed_is_noticed(ingredients, monkeypatch):
    monkeypatch.setitem(ingredients.RECIPES, "cnn", (1, {"x": [("Dropout(0.123)", "")]}))
    with pytest.raises(RuntimeError, match="beyond/cnn.py has not one piece for x"):
        ingredients.without("cnn", "x")


def pixels(folder):
    return [np.asarray(Image.open(path)).tobytes() for path in folder.rglob("*.png")]


def test_from_nothing_to_the_table_without_a_test_image(ingredients, monkeypatch, tmp_path, capfd):
    fewer = ("epochs=20", "epochs=2")
    variants = {"dropout": [*ingredients.RECIPES["cnn"][1]["dropout"], fewer]}
    variants[ingredients.NOTHING] = [fewer]
    monkeypatch.setattr(ingredients, "RECIPES", {"cnn": (50, variants)})
    monkeypatch.setattr(ingredients, "RESULTS", tmp_path)
    monkeypatch.setattr(ingredients, "SEEDS", (0,))
    monkeypatch.setattr(ingredients, "HELD_BACK", 30)
    written = {}
    monkeypatch.setattr(ingredients, "write", lambda name, *lines: written.update({name: lines}))
    ingredients.compare("cnn", "sample")

    args = argparse.Namespace(data="sample", seed=0, limit=None)
    (x_train, _), (x_test, _), _, _ = images.load_data(args)
    rest, held_back = (pixels(tmp_path / "images" / kind) for kind in ("train", "test"))
    assert len(held_back) == 30
    assert sorted(rest + held_back) == sorted(image.tobytes() for image in x_train)
    assert not {*rest, *held_back} & {image.tobytes() for image in x_test}

    lines = written["ingredients_cnn"]
    assert [line.split(" |")[0] for line in lines[2:4]] == ["| nothing", "| dropout"]
    assert "50 training images, 10 others held back" in lines[-1]

    epochs = capfd.readouterr().out.count("Epoch ")
    assert epochs == 4
    ingredients.compare("cnn", "sample")  # all is there
    assert capfd.readouterr().out.count("Epoch ") == 0
    assert written["ingredients_cnn"] == lines
