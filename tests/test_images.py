import os
import platform
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, options, small_batches
from PIL import Image

import cnn
from support import processes
from support.data import folder, images
from support.data.batches import Batches
from support.ending import ScriptError


def make_folder(root, *classes, count=1):
    for part in ("train", "test"):
        for name in classes:
            (root / part / name).mkdir(parents=True)
            for n in range(count):
                Image.new("RGB", (32, 32), name).save(root / part / name / f"{n}.png")
    return root


def test_batches_for_fit(small):
    train, test = images.batches(options(data=small, batch_size=20), cnn.prepare)
    assert (len(train), len(test)) == (5, 1)
    assert train.num_classes == test.num_classes == 4
    assert train.class_names == ["a", "b", "c", "d"]
    assert train.name == "the images in small"
    x, y = train[0]
    assert x.shape == (20, 32, 32, 3)
    assert x.dtype == np.float32
    assert y.shape == (20, 4)
    np.testing.assert_array_equal(x, train.images[:20].astype("float32") / 255)


def test_the_last_batch_is_what_is_left():
    train, _ = small_batches(count=50, batch_size=20)
    assert [len(train[n][0]) for n in range(len(train))] == [20, 20, 10]


def test_the_shares_of_all_processes_are_the_batch_of_one(monkeypatch):
    train, _ = small_batches(count=51, batch_size=20)
    train.shuffle(0, 1)
    rows, shares = train.order, []
    monkeypatch.setenv(processes.COUNT, "2")
    for number in "01":
        monkeypatch.setenv(processes.NUMBER, number)
        assert len(train) == 3
        shares.append([train[n] for n in range(3)])
    for start, *parts in zip((0, 20, 40), *shares, strict=True):
        for n, whole in enumerate(train.prepared(rows[start : start + 20][: 50 - start])):
            np.testing.assert_array_equal(np.concatenate([part[n] for part in parts]), whole)


def test_a_batch_of_the_test_set_can_be_shared_out(small, monkeypatch):
    """500 images cannot be shared out among three processes."""
    monkeypatch.setenv(processes.COUNT, "3")
    _, test = images.batches(options(data=small, batch_size=30), cnn.prepare)
    assert test.batch_size % 3 == 0
    assert test.batch_size >= 500


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends get the batches themselves"
)
@pytest.mark.parametrize("batch_size", [7, 1500])
def test_tensorflow_gets_the_same_batches_in_the_order_of_the_epoch(batch_size):
    train, _ = small_batches(count=3001, batch_size=batch_size)
    for epoch in (0, 1):
        train.shuffle(0, epoch)
        got = [[part.numpy() for part in batch] for batch in train.dataset]
        assert len(got) == len(train) == len(train.dataset)
        for n, batch in enumerate(got):
            for part, expected in zip(batch, train[n], strict=True):
                assert part.dtype == np.float32
                np.testing.assert_array_equal(part, expected)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="other backends have no `tf.data`")
def test_the_end_of_an_epoch_waits_for_no_tuning():
    """TensorFlow's tuning thread can miss that an iterator ends; the end then waits for as long as it sleeps."""
    assert small_batches(count=100, batch_size=10)[0].dataset.options().autotune.enabled is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="`from_generator` changes glibc")
def test_freed_memory_is_used_again():
    """After `from_generator` every large array would be a page fault for each of its pages."""
    steps = """
import resource
import numpy as np
from support.data.batches import Batches
prepare = lambda x, y, num_classes: (x.astype("float32"), y)
for batch in Batches(np.zeros((200, 32, 32, 3), "uint8"), np.zeros(200), [], "", 100, prepare).dataset:
    pass
np.ones(2**20, "uint8")
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for step in range(100):
    np.ones(2**20, "uint8")
print("page faults:", resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
    printed = subprocess.check_output([sys.executable, "-c", steps], cwd=ROOT, env=environment, text=True)
    assert int(printed.split()[-1]) < 10_000  # of 25,600 pages


def test_the_order_depends_on_seed_and_epoch_alone():
    batches = Batches(
        np.zeros((100, 1, 1, 3), "uint8"), np.arange(100), range(100), "", 10,
        lambda x, y, num_classes: (x, y),
    )  # fmt: skip

    def order(seed, *epochs):
        for epoch in epochs:
            batches.shuffle(seed, epoch)
        return np.concatenate([batches[n][1] for n in range(10)]).tolist()

    assert sorted(order(0, 3)) == list(range(100))
    assert order(0, 3) == order(0, 1, 2, 3)
    # With another the figures on record would be others.
    assert order(0, 1)[:8] == [65, 45, 69, 50, 18, 86, 80, 9]
    assert len({tuple(order(s, e)) for s in (0, 1) for e in range(150)}) == 300


def test_limit_takes_all_classes_alike_and_is_fixed_by_the_seed(small):
    (x_all, y_all), _, _, _ = images.load_data(options(data=small))
    (x_train, y_train), (_, y_test), _, _ = images.load_data(options(data=small, limit=40))
    assert np.bincount(y_train).tolist() == [10] * 4
    assert np.bincount(y_test).tolist() == [2] * 4
    whole = {image.tobytes(): label for image, label in zip(x_all, y_all, strict=True)}
    assert all(whole[x.tobytes()] == y for x, y in zip(x_train, y_train, strict=True))
    (again, _), _, _, _ = images.load_data(options(data=small, limit=40))
    np.testing.assert_array_equal(x_train, again)
    (other, _), _, _, _ = images.load_data(options(data=small, limit=40, seed=1))
    assert (x_train != other).any()


def test_limit_that_no_class_number_divides_or_that_is_too_large():
    labels = np.array([0] * 3 + [1] * 20 + [2] * 20)
    rows = images.pick(labels, 14, np.random.default_rng(0))
    assert sorted(np.bincount(labels[rows])) == [3, 5, 6]
    assert len(set(rows)) == 14
    assert images.pick(labels, 99, np.random.default_rng(0)).tolist() == list(range(43))


@pytest.mark.parametrize("name", ["sample", "cifar10"])
def test_a_folder_does_not_hide_a_word_of_the_command_line(tmp_path, monkeypatch, name):
    make_folder(tmp_path / name, "red", "green")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "support.data.cifar10.load_data", lambda own=None, verbose=2: ((own, 0), (0, 0), ["CIFAR-10"])
    )
    (_, _), _, class_names, _ = images.find_images(name, 0, 0)
    assert class_names != ["green", "red"]
    assert images.find_images(f"./{name}", 0, 0)[2] == ["green", "red"]


def test_a_limited_folder_decodes_no_more_than_it_needs(tmp_path):
    own = make_folder(tmp_path / "own", "green", "red", count=60)
    (paths, labels), _, _ = folder.list_images(own)
    wanted = images.pick(labels, 10, np.random.default_rng(0))
    for row in set(range(len(paths))) - set(wanted):
        paths[row].write_bytes(b"damaged")
    (x_train, _), _, _, _ = images.load_data(options(data=own, limit=10))
    assert len(x_train) == 10


def test_without_cifar10_the_sample_is_taken_and_said(capsys, monkeypatch):
    monkeypatch.setattr("support.data.cifar10.ORIGINS", ["http://127.0.0.1:9/none"])
    _, _, _, name = images.load_data(options(data=None, limit=50))
    assert name == "the built-in sample"
    warnings = capsys.readouterr().err.splitlines()
    assert [line[:9] for line in warnings] == ["warning: "] * 2
    assert "--data" in warnings[0]
    with pytest.raises(ScriptError, match="not in Keras' cache"):
        images.load_data(options(data="cifar10"))


@pytest.mark.parametrize(
    ("source", "name", "expected"),
    [
        (None, "CIFAR-10", "cifar10"),
        (None, images.SAMPLE, "sample"),
        ("cifar10", "CIFAR-10", "cifar10"),
        ("sample", images.SAMPLE, "sample"),
    ],
)
def test_a_source_that_lasts(source, name, expected):
    assert images.absolute_source(source, name) == expected


def test_a_folder_is_found_from_any_other(small, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(small).parent)
    found = images.absolute_source("small", "the images in small")
    monkeypatch.chdir(tmp_path)
    (x, y), class_names = images.load_tests(found, 0, 0)
    _, (x_test, y_test), _, _ = images.load_data(options(data=small))
    np.testing.assert_array_equal(x, x_test)
    np.testing.assert_array_equal(y, y_test)
    assert class_names == list("abcd")
