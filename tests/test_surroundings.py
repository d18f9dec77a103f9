"""What other people's phones, networks, notebooks and installations bring: after public reports."""

import http.server
import json
import subprocess
import sys
import threading
import zipfile

import h5py
import keras
import numpy as np
import pytest
from conftest import ROOT, one_line
from PIL import Image, ImageDraw
from test_records import describe

from support import command_line
from support.data import cifar10, folder
from support.ending import ScriptError
from support.run import run_folder


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGBA", "png"), ("LA", "png"), ("RGBA", "gif"), ("RGBA", "webp")]
)
def test_a_black_drawing_on_transparent_ground_is_seen(tmp_path, mode, suffix):
    """Below the ground it is black too, so that all such drawings would be one image."""
    drawing = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(drawing).ellipse((16, 16, 48, 48), fill=(0, 0, 0, 255))
    drawing.convert(mode).save(tmp_path / f"drawing.{suffix}", lossless=True)
    pixels = folder.read_image(tmp_path / f"drawing.{suffix}")
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[16, 16].tolist() == [0, 0, 0]


# How files begin: of two phones, and of a film, which has the same container.
HEIC = [b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"]
FILM = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "


@pytest.mark.parametrize("name", ["photo.HEIC", "photo.jpg", "photo"])
@pytest.mark.parametrize("head", HEIC)
def test_heic_is_known_by_its_content(tmp_path, name, head):
    (tmp_path / name).write_bytes(head + bytes(400))
    with pytest.raises(ScriptError, match=f"{name}: HEIC, which cannot be read; save it as JPEG"):
        folder.read_image(tmp_path / name)


@pytest.mark.parametrize("content", [b"text", b"", FILM])
def test_what_is_called_heic_and_is_none(tmp_path, content):
    (tmp_path / "photo.heic").write_bytes(content)
    with pytest.raises(ScriptError, match=r"photo.heic: not an image; mend or remove it"):
        folder.read_image(tmp_path / "photo.heic")
    Image.fromarray(np.full((32, 32, 3), 7, "uint8")).save(tmp_path / "photo.heic", "JPEG")
    assert (folder.read_image(tmp_path / "photo.heic") == 7).all()


def classes(root, *names):
    for part in ("train", "test"):
        for name in names:
            (root / part / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(root / part / name / "0.png")


def test_a_class_that_is_a_link_to_nowhere_is_not_left_out(tmp_path):
    classes(tmp_path, "bird", "cat", "dog")
    for part in ("train", "test"):
        (tmp_path / part / "bird").rename(tmp_path / f"birds of {part}")
        (tmp_path / part / "bird").symlink_to(tmp_path / f"birds of {part}")
    assert folder.list_images(tmp_path)[2] == ["bird", "cat", "dog"]
    for part in ("train", "test"):
        (tmp_path / f"birds of {part}").rename(tmp_path / f"moved {part}")
    with pytest.raises(
        ScriptError, match="train/bird: No such file or directory; make it readable or remove it"
    ):
        folder.list_images(tmp_path)


class LoginPage(http.server.BaseHTTPRequestHandler):
    """What a hotel's network answers, whatever is asked for."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "32")
        self.end_headers()
        self.wfile.write(b"<html>Please log in first</html>")

    def log_message(self, *words):
        pass


@pytest.fixture
def hotel():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), LoginPage)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_login_page_in_place_of_cifar10_is_known_by_its_size(hotel, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cifar10, "ORIGINS", [hotel])
    monkeypatch.setattr(cifar10, "folders", lambda: [tmp_path / "datasets"])
    with pytest.raises(ScriptError, match="no server gave it"):
        cifar10.load_data()
    assert "32 bytes that are not CIFAR-10's archive" in capsys.readouterr().out
    assert list((tmp_path / "datasets").iterdir()) == []


def test_a_backend_in_keras_json_that_is_not_installed(cold_script, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "jax.py").write_text("raise ModuleNotFoundError('No module', name='jax')")
    places = {"KERAS_HOME": str(tmp_path), "PYTHONPATH": str(tmp_path / "without")}
    done = cold_script("cnn.py", "--data", "sample", code=1, **places)
    one_line(done, "keras.json: jax is not installed for Python", "install it, or change keras.json")


def test_packages_that_have_changed_under_a_notebook_s_kernel(cold_script, tmp_path):
    """As after `pip install` in a cell: what is loaded is old, what is on the disk is new."""
    (tmp_path / "own" / "keras").mkdir(parents=True)
    program = "import sys\nsys.modules['ipykernel'] = sys\nraise ValueError('numpy.dtype size changed')"
    (tmp_path / "own" / "keras" / "__init__.py").write_text(program)
    done = cold_script("cnn.py", "--data", "sample", code=1, PYTHONPATH=str(tmp_path / "own"))
    one_line(done, "numpy.dtype size changed; restart the kernel, look at KERAS_BACKEND")


@pytest.mark.parametrize("kernel", ["ipykernel_launcher.py", "colab_kernel_launcher.py"])
def test_main_in_a_notebook_is_not_given_the_kernel_s_own_words(monkeypatch, kernel):
    monkeypatch.setattr(sys, "argv", [f"/usr/lib/{kernel}", "-f", "/root/kernel-1.json"])
    assert command_line.parse("cnn.py", "", epochs=20, batch_size=100).epochs == 20
    with pytest.raises(SystemExit):
        command_line.parse("cnn.py", "", ["-f", "x"], epochs=20, batch_size=100)


def test_a_saved_model_of_keras_2_is_called_by_its_name(script, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "saved_model.pb").write_bytes(b"")
    done = script("visualize_weights.py", "old", code=1)
    one_line(done, "old: a SavedModel, which Keras 3 cannot load; save it as .keras or .h5")


@pytest.mark.parametrize("name", ["cnn.py", "transfer_learning.py", "cnn_with_gap.py"])
def test_somebody_else_s_utils_is_noticed_before_the_training(tmp_path, name):
    """Where a notebook has loaded another `utils`, `%run` does not look for ours."""
    (tmp_path / "utils.py").write_text("def get_data():\n    pass\n")
    program = (
        f"import runpy, sys\nimport utils\nsys.path.insert(0, {str(ROOT)!r})\nsys.argv = ['x.py', '--help']\n"
        f"runpy.run_path({str(ROOT / name)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1].startswith(
        "ImportError: cannot import name 'plot_accuracy' from 'utils'"
    )
    assert str(tmp_path / "utils.py") in done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def of_keras_2(tmp_path_factory):
    """A model in two files, with the setting of its first layer that Keras 2 wrote and Keras 3 does not."""
    path = tmp_path_factory.mktemp("model") / "old.h5"
    layers = [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    model.save(path)
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = with_input_shape(file.attrs["model_config"])
    model.save(path.with_name("new.keras"))
    with (
        zipfile.ZipFile(path.with_name("new.keras")) as new,
        zipfile.ZipFile(path.with_suffix(".keras"), "w") as old,
    ):
        for name in new.namelist():
            content = new.read(name)
            old.writestr(name, with_input_shape(content) if name == "config.json" else content)
    return path, model


def with_input_shape(config):
    config = json.loads(config)
    config["config"]["layers"][1]["config"]["batch_input_shape"] = [None, 32, 32, 3]
    return json.dumps(config)


def test_a_model_that_keras_2_saved_is_loaded(of_keras_2):
    path, model = of_keras_2
    loaded = run_folder.load_model(path, kernels_first=True).get_weights()
    for one, other in zip(loaded, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_why_a_model_cannot_be_loaded_stands_behind_its_settings(of_keras_2):
    path = of_keras_2[0].with_suffix(".keras")
    with pytest.raises(
        ScriptError, match=r"old.keras: cannot be shown: Unrecognized keyword .* Conv2D: {'batch_input_shape'"
    ):
        run_folder.load_model(path)


def test_two_runs_at_once_in_one_notebook(tmp_path):
    """The second in a thread of its own, as of a subshell, does not take the folder from the first."""
    end = threading.Event()

    def first():
        run_folder.claim(tmp_path, describe(), fresh=False)
        claimed.set()
        end.wait()
        run_folder.release(tmp_path)

    claimed, thread = threading.Event(), threading.Thread(target=first)
    thread.start()
    claimed.wait()
    try:
        for _ in range(2):
            with pytest.raises(ScriptError, match="another run is at work there; take another --out"):
                run_folder.claim(tmp_path, describe(), fresh=False)
    finally:
        end.set()
        thread.join()
    run_folder.claim(tmp_path, describe(), fresh=False)  # of a cell that has ended
    run_folder.claim(tmp_path, describe(), fresh=False)  # and once more, as of a cell that was interrupted
    run_folder.release(tmp_path)
