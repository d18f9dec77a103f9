"""`benchmarks/ingredients.py` leaves out what it says, and looks at no test image."""

import collections
import itertools
import re
import types

import keras
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from support.run.records import flat_layers


@pytest.fixture
def ingredients(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import ingredients

    return ingredients


@pytest.fixture
def kept(ingredients, monkeypatch, tmp_path):
    """Where the runs of a test are kept."""
    import common

    monkeypatch.setattr(common, "HERE", tmp_path)


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
    flat = list(flat_layers(model := model_of(ingredients, recipe, ingredient)))
    kinds = [type(layer).__name__ for layer in flat]
    text = ingredients.without(recipe, ingredient)
    return collections.Counter(
        [
            *kinds,
            *(f"{first} before {second}" for first, second in itertools.pairwise(kinds)),
            *("frozen" for weight in model.weights if not weight.trainable),
            *(found for pattern in WORDS for found in re.findall(pattern, text)),
        ]
    )


WORDS = (r"Adam\([\w.]+", r"CosineDecay\([\d.]+", r"smoothing=\S+", r"batch_size=\d+", "bicubic")
LAYERS_OF_A_BLOCK = ("DepthwiseConv2D", "Conv2D", "BatchNormalization", "ReLU", "ZeroPadding2D")
# For the beginning of a name, what the variant has more (+) and less (-) of; {} is the number in it.
DIFFERENCES = {
    "dropout": {"-Dropout"},
    "batch normalization": {"-BatchNormalization"},
    "the falling learning rate": {"-Adam(CosineDecay", "+Adam({}"},
    "the rising and falling learning rate": {"-Adam(schedule", "+Adam({}"},
    "the rising learning rate": {"-CosineDecay(0.0", "+CosineDecay({}"},
    "label smoothing": {"-smoothing=0.1)"},
    "ReLU behind the pooling": {"-ReLU"},  # the convolution has it
    "mirrored images": {"-RandomFlip"},
    "pooling first": {"-MaxPooling2D before BatchNormalization", "+ReLU before MaxPooling2D"},
    "larger images": {"-Resizing", "-bicubic"},
    "sharper enlarging": {"-bicubic"},
    "batches of": {"-batch_size=64", "+batch_size=128"},
    "the cut": {f"+{kind}" for kind in LAYERS_OF_A_BLOCK},
    "frozen": {"-frozen"},
    "nothing, but pixels": {"+Rescaling"},
}
SIDE_EFFECTS = re.compile(r".(\w+ before \w+|frozen)|-CosineDecay\(.*")  # it goes with "falling"


def test_each_variant_differs_from_its_recipe_in_one_ingredient(ingredients):
    found = 0
    for recipe, (_, variants) in ingredients.RECIPES.items():
        whole = facts(ingredients, recipe, ingredients.NOTHING)
        for ingredient in variants:
            (wanted,) = (what for name, what in DIFFERENCES.items() if ingredient.startswith(name))
            numbers = re.findall(r"\((0\.\d+)", ingredient)  # a learning rate
            wanted = {what.format(*numbers) for what in wanted}
            other = facts(ingredients, recipe, ingredient)
            changed = {f"-{fact}" for fact in whole - other} | {f"+{fact}" for fact in other - whole}
            assert wanted <= changed, ingredient
            for fact in changed - wanted:
                assert SIDE_EFFECTS.fullmatch(fact), (ingredient, fact)
            found += 1
    assert found == 19


def test_the_pixels_are_in_the_range_that_is_said(ingredients):
    model = model_of(ingredients, "transfer_learning", "nothing, but pixels in [−1, 1]")
    (scaling,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling))
    np.testing.assert_allclose(scaling(np.array([0.0, 0.5, 1.0])), [-1, 0, 1])


def test_the_runs_of_a_recipe_that_has_changed_do_not_count(ingredients, monkeypatch, tmp_path):
    monkeypatch.setattr(ingredients, "RESULTS", tmp_path)
    log = ingredients.out_of("cnn", "dropout", 0).with_suffix(".log")
    log.parent.mkdir(parents=True)
    log.touch()
    script = log.with_name("recipe.py")
    script.write_text(ingredients.without("cnn", "dropout"))
    ingredients.train("cnn", "dropout", 0, "sample")  # done already
    script.write_text(ingredients.without("cnn", "dropout").replace("0.0015", "0.002"))
    with pytest.raises(SystemExit, match="has changed since; delete this folder"):
        ingredients.train("cnn", "dropout", 0, "sample")


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


def test_from_nothing_to_the_table_without_a_test_image(ingredients, kept, monkeypatch, tmp_path, capfd):
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
    ingredients.write_table("cnn")

    (x_train, _), (x_test, _), _, _ = ingredients.load_data("sample")
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
    ingredients.write_table("cnn")
    assert capfd.readouterr().out.count("Epoch ") == 0
    assert written["ingredients_cnn"] == lines
