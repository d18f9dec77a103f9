import errno
import hashlib
import http.server
import pickle
import socket
import sys
import threading

import keras
import numpy as np
import pytest
from conftest import write_archive
from PIL import Image

import data

# The built-in sample


@pytest.fixture(scope="module")
def sample():
    return data.load("sample", seed=0)


def test_sample_has_the_documented_form(sample):
    (x_train, y_train), (x_test, y_test), class_names, name = sample
    assert x_train.shape == (5000, 32, 32, 3)
    assert x_test.shape == (1000, 32, 32, 3)
    assert x_train.dtype == x_test.dtype == np.uint8
    assert y_train.dtype == y_test.dtype == np.int64
    assert class_names == sorted(data.SHAPES)
    assert set(y_train) == set(y_test) == set(range(10))
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == [600] * 10
    assert name == "the built-in sample"


def test_sample_depends_on_the_seed_alone(sample):
    (x_train, y_train), (x_test, y_test), _, _ = data.load("sample", seed=0)
    np.testing.assert_array_equal(x_train, sample[0][0])
    np.testing.assert_array_equal(y_test, sample[1][1])
    (other, _), _, _, _ = data.load("sample", seed=1)
    assert (other != x_train).any(axis=(1, 2, 3)).all()


def test_no_test_picture_is_in_the_training_set(sample):
    pictures = np.concatenate([sample[0][0], sample[1][0]]).reshape(6000, -1)
    assert len(np.unique(pictures, axis=0)) == 6000


def test_every_shape_lies_within_its_picture_and_fills_some_of_it():
    for outline, hue in data.SHAPES.values():
        corners = np.asarray(outline)
        assert 0.7 < np.abs(corners).max() < 1.15
        assert 0 <= hue < 1


# A limited set, batches


def test_limit_takes_all_classes_alike_and_is_fixed_by_the_seed(sample):
    (x_train, y_train), (x_test, y_test), _, _ = data.load("sample", 0, limit=500)
    assert np.bincount(y_train).tolist() == [50] * 10
    assert np.bincount(y_test).tolist() == [10] * 10
    whole = {picture.tobytes(): label for picture, label in zip(*sample[0], strict=True)}
    assert all(whole[x.tobytes()] == y for x, y in zip(x_train, y_train, strict=True))
    (again, _), _, _, _ = data.load("sample", 0, limit=500)
    np.testing.assert_array_equal(x_train, again)


def test_limit_that_no_class_number_divides_or_that_is_too_large():
    labels = np.array([0] * 3 + [1] * 20 + [2] * 20)
    rows = data.pick(labels, 14, np.random.default_rng(0))
    assert sorted(np.bincount(labels[rows])) == [3, 5, 6]
    assert len(set(rows)) == 14
    assert data.pick(labels, 99, np.random.default_rng(0)).tolist() == list(range(43))


def test_limit_too_small_for_the_test_set():
    with pytest.raises(data.DataError, match=r"--limit 49.* 50"):
        data.load("sample", 0, limit=49)


def test_batches_are_float_in_0_1_with_one_hot_labels():
    images = np.arange(7 * 12, dtype="uint8").reshape(7, 2, 2, 3) + 172
    batches = data.batches(images, np.array([0, 1, 2, 0, 1, 2, 2]), num_classes=4, batch_size=3)
    assert [len(batches[i][0]) for i in range(len(batches))] == [3, 3, 1]
    x, y = batches[1]
    assert x.dtype == y.dtype == np.float32
    np.testing.assert_array_equal(x, images[3:6].astype("float32") / 255)
    assert batches[2][0].max() == 1
    np.testing.assert_array_equal(y, np.eye(4)[[0, 1, 2]])


def test_the_order_of_the_batches_depends_on_seed_and_epoch_alone():
    images, labels = np.zeros((100, 1, 1, 3), "uint8"), np.arange(100)

    def order(seed, *epochs):
        batches = data.batches(images, labels, 100, 10, seed)
        for epoch in epochs:
            batches.shuffle(epoch)
        return np.concatenate([batches[i][1].argmax(1) for i in range(10)]).tolist()

    assert sorted(order(0, 3)) == list(range(100))
    assert order(0, 3) == order(0, 1, 2, 3)
    assert len({tuple(order(s, e)) for s in (0, 1) for e in (0, 1)}) == 4


# A folder of pictures


@pytest.fixture
def folder(tmp_path):
    """Two classes, red and green, one 32 x 32 PNG file each in train/ and test/."""
    for part in ("train", "test"):
        for name in ("green", "red"):
            path = tmp_path / "own" / part / name
            path.mkdir(parents=True)
            Image.new("RGB", (32, 32), name).save(path / "a.png")
    return tmp_path / "own"


def test_folder(folder):
    (x_train, y_train), (x_test, y_test), class_names, name = data.load(folder)
    assert class_names == ["green", "red"]
    assert x_train.shape == x_test.shape == (2, 32, 32, 3)
    assert x_train.dtype == np.uint8
    assert y_train.tolist() == y_test.tolist() == [0, 1]
    assert x_train[1, 5, 5].tolist() == [255, 0, 0]
    assert name == "the pictures in own"


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "gif", "webp"])
@pytest.mark.parametrize("size", [(32, 32), (300, 20), (1, 1)])
def test_folder_takes_every_format_and_size(folder, suffix, size):
    Image.new("RGB", size, (255, 0, 0)).save(folder / "train" / "red" / f"b.{suffix}")
    (x_train, y_train), _, _, _ = data.load(folder)
    assert y_train.tolist() == [0, 1, 1]
    np.testing.assert_allclose(x_train[2], np.full((32, 32, 3), [255, 0, 0]), atol=3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_folder_takes_every_mode(folder, mode):
    suffix = "jpg" if mode == "CMYK" else "png"
    grey = np.full((40, 40), 255 if mode == "1" else 128, "uint8")
    if mode == "I;16":
        image = Image.fromarray(grey.astype("uint16") * 257)
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE)
    image.save(folder / "train" / "red" / f"b.{suffix}")
    (x_train, _), _, _, _ = data.load(folder)
    np.testing.assert_allclose(x_train[2], grey[0, 0], atol=2)


def test_folder_takes_the_first_frame_of_an_animation_and_turns_photos_upright(folder):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "train" / "red" / "b.gif", save_all=True, append_images=frames[1:])
    lying = Image.new("RGB", (32, 32))
    lying.paste("white", (0, 0, 16, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    lying.save(folder / "train" / "red" / "c.png", exif=exif)
    (x_train, _), _, _, _ = data.load(folder)
    assert x_train[2, 5, 5].tolist() == [255, 0, 0]
    assert x_train[3, 5, 30].tolist() == [255, 255, 255]
    assert x_train[3, 25, 5].tolist() == [0, 0, 0]


def test_folder_passes_over_hidden_files(folder):
    (folder / "train" / ".DS_Store").write_text("x")
    (folder / "train" / "red" / ".DS_Store").write_text("x")
    assert len(data.load(folder)[0][0]) == 2


def test_limited_folder_decodes_no_more_than_it_needs(folder):
    for part, count in (("train", 60), ("test", 12)):
        for name in ("green", "red"):
            for n in range(count):
                Image.new("RGB", (32, 32), name).save(folder / part / name / f"{n}.png")
    for path in (folder / "train").glob("*/*"):
        path.write_bytes(b"damaged" if path.name == "a.png" else path.read_bytes())
    decoded = [data.load(folder, seed, limit=10) for seed in range(3)]
    assert all(len(x_train) == 10 for (x_train, _), _, _, _ in decoded)


def remove(path):
    path.unlink() if path.is_file() else [remove(p) for p in path.iterdir()] and path.rmdir()


def save_bomb(path):
    size = Image.MAX_IMAGE_PIXELS // 10000 + 1  # a little over the limit, where Pillow only warns
    Image.new("1", (size, 10000)).save(path)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda f: remove(f / "train"), "own/train: no such folder"),
        (lambda f: remove(f / "test"), "own/test: no such folder"),
        (lambda f: remove(f / "train" / "red" / "a.png"), "train/red: no pictures"),
        (lambda f: (f / "test" / "blue").mkdir(), "test/blue: no pictures"),
        (lambda f: remove(f / "test" / "red"), "own: class red is in only one"),
        (lambda f: [remove(f / p / "red") for p in ("train", "test")], "own: 1 class"),
        (
            lambda f: [remove(f / p / c) for p in ("train", "test") for c in ("green", "red")],
            "own: 0",
        ),
        (
            lambda f: (f / "train" / "red" / "notes.txt").write_text("x"),
            "red/notes.txt: not a picture",
        ),
        (lambda f: (f / "train" / "red" / "b.png").touch(), "red/b.png: not a picture"),
        (lambda f: (f / "train" / "red" / "deeper").mkdir(), "red/deeper"),
        (lambda f: cut(f / "test" / "red" / "a.png"), "red/a.png: .*truncated"),
        (lambda f: save_bomb(f / "train" / "red" / "b.png"), "red/b.png: .*exceeds limit"),
    ],
)
def test_folder_errors_name_the_place(folder, damage, named):
    damage(folder)
    with pytest.raises(data.DataError, match=named):
        data.load(folder)


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def test_no_such_source():
    with pytest.raises(
        data.DataError, match="--data nowhere: no such file or folder; give cifar10"
    ):
        data.load("nowhere")


# CIFAR-10


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Keras cache: where Keras and `data` put the archive."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras_home"))
    folder = tmp_path / "keras_home" / "datasets"
    folder.mkdir(parents=True)
    module = sys.modules[keras.datasets.cifar10.load_data.__module__]

    def get_file(*args, origin, file_hash=None, **kwargs):
        if args or "fname" in kwargs:
            kwargs.setdefault("fname", args[0] if args else None)
        assert file_hash == data_sha256  # Keras checks the same hash as we do
        return real(
            origin="http://127.0.0.1:9/",
            file_hash=data.CIFAR10_SHA256,
            cache_dir=folder.parent,
            **kwargs,
        )

    data_sha256, real = data.CIFAR10_SHA256, module.get_file
    monkeypatch.setattr(module, "get_file", get_file)
    ours = keras.utils.get_file
    monkeypatch.setattr(
        keras.utils, "get_file", lambda *a, **k: ours(*a, cache_dir=folder.parent, **k)
    )
    monkeypatch.setattr(data, "CIFAR10_ORIGINS", ["http://127.0.0.1:9/cifar-10-python.tar.gz"])
    return folder


@pytest.fixture
def known(archive, monkeypatch):
    """The small archive, taken for the real one."""
    monkeypatch.setattr(data, "CIFAR10_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    return archive


def check_pictures(loaded):
    (x_train, y_train), (x_test, y_test), class_names, name = loaded
    assert x_train.shape == (50000, 32, 32, 3)
    assert x_test.shape == (10000, 32, 32, 3)
    assert x_train.flags.c_contiguous
    assert y_train.dtype == np.int64
    assert (x_train[:, 31, 31, 2] == np.arange(50000) % 10000 % 251).all()
    assert (y_test == np.arange(10000) % 10).all()
    assert class_names[3] == "cat"
    assert name == "CIFAR-10"


def test_archive_of_ones_own_goes_into_the_cache_and_needs_no_network_again(cache, known):
    check_pictures(data.load(str(known)))
    assert sorted(p.name for p in cache.iterdir()) == [
        "cifar-10-batches-py-target",
        data.CIFAR10_ARCHIVE,
    ]
    check_pictures(data.load("cifar10"))
    check_pictures(data.load(None))


def test_archive_with_the_wrong_hash_is_not_touched(cache, archive, tmp_path, capsys):
    with pytest.raises(data.DataError) as error:
        data.load(str(archive))
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in str(error.value)
    assert data.CIFAR10_SHA256 in str(error.value)
    assert list(cache.iterdir()) == []


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_would_write_a_file_does_not(cache, tmp_path, monkeypatch):
    evil = write_archive(tmp_path / "evil.tar.gz", pickle.dumps(Payload(tmp_path / "written"), 2))
    with pytest.raises(data.DataError, match="not CIFAR-10's archive"):
        data.load(str(evil))
    monkeypatch.setattr(data.time, "sleep", lambda seconds: None)
    # Even if the hash were right, Keras unpickles nothing but arrays.
    monkeypatch.setattr(data, "CIFAR10_SHA256", hashlib.sha256(evil.read_bytes()).hexdigest())
    with pytest.raises(data.DataError, match="cannot be unpacked"):
        data.load(str(evil))
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("damage", ["removed", "cut", "in the way"])
def test_a_half_unpacked_folder_is_put_right_without_the_network(cache, known, damage):
    data.load(str(known))
    unpacked = cache / "cifar-10-batches-py-target"
    batch = unpacked / "cifar-10-batches-py" / "data_batch_3"
    if damage == "removed":
        batch.unlink()
    elif damage == "cut":
        batch.write_bytes(batch.read_bytes()[:1000])
    else:  # what Keras cannot overwrite: the folder must go before the archive is unpacked again
        batch.unlink()
        batch.mkdir()
    check_pictures(data.load("cifar10"))


def test_a_half_fetched_archive_is_fetched_again(cache, known):
    (cache / data.CIFAR10_ARCHIVE).write_bytes(known.read_bytes()[:5000])
    (cache / f"{data.CIFAR10_ARCHIVE}.part").write_bytes(known.read_bytes()[:5000])
    check_pictures(data.load(str(known)))


def test_a_whole_archive_that_was_not_yet_moved_is_not_fetched_again(cache, known):
    (cache / f"{data.CIFAR10_ARCHIVE}.part").write_bytes(known.read_bytes())
    check_pictures(data.load("cifar10"))  # the one origin refuses


@pytest.fixture
def server(archive):
    """Serves the archive as /right; /wrong, /missing, /short and /stall do what they say."""
    done = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = archive.read_bytes()
            if self.path == "/missing":
                return self.send_error(404)
            if self.path == "/wrong":
                content = b"not the archive"
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.path in ("/stall", "/short"):
                content = content[:20000]
            self.wfile.write(content)
            if self.path == "/stall":
                done.wait(30)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        done.set()
        running.shutdown()


def test_origins_are_tried_in_turn(cache, known, server, monkeypatch, capsys):
    monkeypatch.setattr(data, "STALL_SECONDS", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{free.getsockname()[1]}/refused"
    paths = ["missing", "stall", "short", "wrong", "right", "never asked"]
    origins = [refusing, *(f"{server}/{path}" for path in paths)]
    monkeypatch.setattr(data, "CIFAR10_ORIGINS", origins)
    check_pictures(data.load("cifar10"))
    skipped = [x for x in capsys.readouterr().out.splitlines() if x.startswith("skipped")]
    assert len(skipped) == 5
    for line, origin, reason in zip(
        skipped,
        origins,
        ["refused", "404", "no answer for 0.5 s", "retrieval incomplete", "hash"],
        strict=False,
    ):
        assert line.startswith(f"skipped {origin}: ")
        assert reason in line
    assert socket.getdefaulttimeout() is None


def test_no_origin_left(cache, server, monkeypatch, capsys):
    monkeypatch.setattr(data, "CIFAR10_ORIGINS", [f"{server}/missing", f"{server}/wrong"])
    with pytest.raises(data.DataError, match=r"CIFAR-10: .*--data"):
        data.load("cifar10")
    assert list(cache.iterdir()) == []
    capsys.readouterr()
    (x_train, _), _, _, name = data.load(None, limit=50)
    assert name == "the built-in sample"
    assert len(x_train) == 50
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 2
    assert "--data" in warnings[0]
    assert "built-in sample" in warnings[1]


def test_a_full_disk_is_said_at_once_and_the_next_server_is_not_asked(cache, monkeypatch, capsys):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.utils, "get_file", full)
    with pytest.raises(data.DataError, match=r"No space left on device; free"):
        data.load("cifar10")
    assert "skipped" not in capsys.readouterr().out
