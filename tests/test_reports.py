"""What people have met with such scripts on their own machines and with their own files."""

import json
import os
import struct
import zlib

import nbformat
import numpy as np
import pytest
from conftest import ROOT, one_line
from nbclient import NotebookClient
from PIL import Image

import show_samples
from support.data import folder
from support.figures import drawing


@pytest.fixture
def ramp():
    return np.linspace(0, 1, 32)[None].repeat(32, 0)


def kinds(ramp):
    sixteen = (ramp * 65535).astype(">u2").tobytes()
    return {
        "float.tif": Image.fromarray(ramp.astype("float32")),
        "16-bit.png": Image.fromarray((ramp * 65535).astype("uint16")),
        "16-bit.tif": Image.fromarray((ramp * 65535).astype("uint16")),
        "16-bit.pgm": b"P5 32 32 65535\n" + sixteen,
        "float.pfm": b"Pf\n32 32\n-1.0\n" + ramp.astype("<f4").tobytes(),
    }


@pytest.mark.parametrize("name", ["float.tif", "16-bit.png", "16-bit.tif", "16-bit.pgm", "float.pfm"])
def test_images_of_other_depths_keep_their_greys(tmp_path, ramp, name):
    content, path = kinds(ramp)[name], tmp_path / name
    path.write_bytes(content) if isinstance(content, bytes) else content.save(path)
    grey = folder.read_image(path)
    assert np.abs(grey[16, :, 0] - ramp[16] * 255).max() <= 1
    assert (grey[..., 0] == grey[..., 2]).all()


@pytest.mark.parametrize(
    ("low", "high", "values"), [(0, 70_000, "int32"), (0, 2, "float32"), (-1, 1, "float32")]
)
def test_a_range_of_values_that_cannot_be_known_is_said(script, small, tmp_path, ramp, low, high, values):
    Image.fromarray((low + ramp * (high - low)).astype(values)).save(tmp_path / "odd.tif")
    one_line(
        script("-m", "explore.classify", "odd.tif", code=1), "odd.tif: the range of its values", "8 bits"
    )


def exif_jpeg(entries):
    """A JPEG of a red left and a blue right half that lies on its side, with odd entries beside that."""
    import io

    pixels = np.zeros((64, 64, 3), "uint8")
    pixels[:, :32, 0] = pixels[:, 32:, 2] = 250
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    entries = [(0x112, 3, 1, struct.pack("<H", 6)), *entries]
    offset, head, rest = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, count, value in entries:
        if len(value) <= 4:
            head += struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")
        else:
            head += struct.pack("<HHII", tag, kind, count, offset + len(rest))
            rest += value
    table = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + head + b"\0\0\0\0" + rest
    exif, jpeg = b"Exif\0\0" + table, file.getvalue()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize(
    "entry",
    {
        "a resolution that is text": (0x11A, 2, 1, b"\0"),
        "a fraction with 0 below": (0x11A, 10, 1, struct.pack("<ii", -1, 0)),
        "a number too large": (0x100, 16, 1, struct.pack("<Q", 2**63)),
    }.items(),
    ids=lambda item: item[0],
)
def test_odd_metadata_does_no_harm_and_a_photo_stands_upright(tmp_path, entry):
    (tmp_path / "photo.jpg").write_bytes(exif_jpeg([entry[1]]))
    image = folder.read_image(tmp_path / "photo.jpg")
    top, bottom = image[4, 16], image[28, 16]
    assert top[0] > 200 > top[2]  # turned a quarter clockwise: what was left is above
    assert bottom[2] > 200 > bottom[0]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    "extra", [("eXIf", b"\0\x08\0\x02\x01\x12\0\x03"), ("iCCP", b"icc\0\0" + zlib.compress(b"x" * 3_000_000))]
)
def test_odd_chunks_of_a_png_do_no_harm(tmp_path, extra):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress((b"\0" + b"\x50" * 24) * 8)) + chunk(b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(extra[0].encode(), extra[1]) + body
    (tmp_path / "odd.png").write_bytes(content)
    assert (folder.read_image(tmp_path / "odd.png") == 0x50).all()


def test_a_large_photo_is_read_and_heic_gets_its_way_out(tmp_path):
    Image.new("L", (12000, 9000), 77).save(tmp_path / "large.jpg")
    assert (folder.decode([tmp_path / "large.jpg"], verbose=0) == 77).all()
    Image.new("1", (12000, 9000)).save(tmp_path / "large.png")
    from support.ending import ScriptError

    with pytest.raises(ScriptError, match=r"large.png: has more than 89 million pixels"):
        folder.decode([tmp_path / "large.png"], verbose=0)
    (tmp_path / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400))
    with pytest.raises(ScriptError, match=r"photo.HEIC: HEIC, .*save it as JPEG"):
        folder.read_image(tmp_path / "photo.HEIC")


def test_keras_json_with_other_settings(cold_script, script, tmp_path):
    settings = {"floatx": "float16", "epsilon": 1e-7, "backend": "tensorflow"}
    settings["image_data_format"] = "channels_first"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "keras.json").write_text(json.dumps(settings))
    words = ["cnn.py", "--data", "sample", "--limit", "100", "--epochs", "1"]
    other = cold_script(*words, "--out", "other", KERAS_HOME=str(tmp_path / "home"))
    assert "image_data_format is channels_first; these scripts go on with channels_last" in other.stdout
    assert "floatx is float16" in other.stdout
    script(*words, "--out", "own")
    histories = [(tmp_path / name / "history.csv").read_bytes() for name in ("other", "own")]
    assert histories[0] == histories[1]
    assert json.loads((tmp_path / "home" / "keras.json").read_text()) == settings


def test_a_reader_s_matplotlib_changes_no_figure(cold_script, script, small, tmp_path):
    words = ["show_samples.py", "--data", small]
    script(*words, "--out", "own")
    style = "image.origin: lower\ntext.usetex: True\nfont.family: No Such Font\naxes.facecolor: red\n"
    (tmp_path / "matplotlibrc").write_text(style)
    cold_script(*words, "--out", "other", MATPLOTLIBRC=str(tmp_path / "matplotlibrc"))
    for name in ("samples.png", "classes.png"):
        one, other = (np.asarray(Image.open(tmp_path / out / name)) for out in ("own", "other"))
        assert np.array_equal(one, other)


def test_a_dollar_in_a_name_is_a_dollar(script, tmp_path):
    for part in ("train", "test"):
        for name in ("$1_bill", "$5_$10_bill"):
            (tmp_path / "price $5_vs_$6" / part / name).mkdir(parents=True)
            Image.new("RGB", (32, 32)).save(tmp_path / "price $5_vs_$6" / part / name / "0.png")
    script("show_samples.py", "--data", "price $5_vs_$6")
    script("cnn.py", "--data", "price $5_vs_$6", "--epochs", "1", eager=True)


def test_paths_that_may_not_be_looked_into(script):
    long = "x" * 300
    one_line(script("show_samples.py", "--data", long, code=1), f"--data {long}: File name too long")
    one_line(script("visualize_weights.py", long, code=1), "File name too long")
    one_line(script("transfer_learning.py", "--weights", long, code=1), "File name too long")


def test_a_home_that_is_not_there(monkeypatch):
    from support.data import cifar10

    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it gives a user without a home
    assert [str(path) for path in cifar10.folders()] == ["/tmp/.keras/datasets"]


def test_messages_point_the_right_way(script, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    one_line(script("cnn.py", "--data", "photo.png", code=1), "python -m explore.classify photo.png")
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"cos\nsystem\n")
    done = script("cnn.py", "--data", "cifar-10-batches-py", code=1)
    one_line(done, "an unpacked CIFAR-10; give its archive, cifar-10-python.tar.gz")
    one_line(
        script("visualize_weights.py", "cifar-10-batches-py", code=1), "a folder; give the model.keras in it"
    )


def test_a_model_that_has_changed_is_said_first(script, small, tmp_path):
    changed = (ROOT / "cnn.py").read_text().replace('padding="valid"', 'padding="same"')
    more = (
        (ROOT / "cnn.py")
        .read_text()
        .replace(
            "_hidden = Flatten()(_hidden)",
            "_hidden = MaxPooling2D()(_hidden)\n    _hidden = Flatten()(_hidden)",
        )
    )
    words = ["--data", small, "--epochs", "1", "--out", "run"]
    script("cnn.py", *words, eager=True)
    for text, said in ((changed, "layer 1, Conv2D, padding valid, not same"), (more, "5 layers, not 6")):
        (tmp_path / "cnn.py").write_text(text)
        done = script(tmp_path / "cnn.py", *words, eager=True, code=1)
        one_line(done, f"the model has changed, {said}; --fresh")


def test_other_epochs_of_a_recipe_are_said_as_such(script, small):
    words = ["-m", "beyond.cnn_with_gap", "--data", small, "--out", "run"]
    script(*words, "--epochs", "1", eager=True)
    one_line(script(*words, "--epochs", "2", code=1, eager=True), "holds a run with --epochs 1, not 2")


def test_a_figure_ends_no_run_that_has_trained(script, small, tmp_path):
    words = ["cnn.py", "--data", small, "--epochs", "1", "--out", "run"]
    script(*words, eager=True)
    (tmp_path / "run" / "accuracy.png").write_text("the reader's own by now")
    done = script(*words, eager=True)
    assert done.stderr.startswith("warning: the figure is left out: run/accuracy.png: not written by these")
    assert len(done.stderr.splitlines()) == 1
    assert "(best test accuracy)" in done.stdout
    assert (tmp_path / "run" / "accuracy.png").read_text() == "the reader's own by now"


def test_another_pooling_is_no_reason_to_end(script, small, tmp_path):
    text = (ROOT / "cnn_with_gap.py").read_text().replace("GlobalAveragePooling2D", "GlobalMaxPooling2D")
    (tmp_path / "cnn_with_gap.py").write_text(text)
    done = script(tmp_path / "cnn_with_gap.py", "--data", small, "--epochs", "1", "--out", "run", eager=True)
    assert done.stderr == ""
    one_line(script("-m", "explore.maps", "run/model.keras", code=1), "has no global average pooling")


def test_a_title_promises_no_more_than_there_is(monkeypatch, small, tmp_path):
    titles = []
    monkeypatch.setattr(drawing, "plot_cells", lambda *args: titles.append(args[1]))
    show_samples.main(["--data", small, "--out", str(tmp_path)])
    assert titles == ["Up to ten training images of each class: the images in small"]


KERNEL = {
    "%run {root}/show_samples.py --data {small}": "training set (100, 32, 32, 3)",
    "import signal, sys; print(signal.getsignal(15) == signal.SIG_DFL, "
    "sys.unraisablehook is sys.__unraisablehook__)": "True True",
    "%run {root}/show_samples.py --typo": "show_samples.py: error: unrecognized arguments: --typo",
    "%run stop.py": "stop.py: interrupted",
    "import os, time\ntry:\n    os.kill(os.getpid(), 2)\n    time.sleep(9)\n"
    "except KeyboardInterrupt:\n    print('stopped as ever')": "stopped as ever",
    "%run {root}/show_samples.py --data {small} --out again": "training set (100, 32, 32, 3)",
}


def test_run_in_a_notebook_and_after_it_the_kernel_is_as_it_was(small, tmp_path, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")  # what a kernel sets itself
    (tmp_path / "stop.py").write_text(
        f"import os, sys, time\nsys.path.insert(0, {str(ROOT)!r})\nfrom support import ending\n"
        "def main():\n    os.kill(os.getpid(), 2)\n    time.sleep(9)\n"
        "if __name__ == '__main__':\n    ending.run(main)\n"
    )
    sources = [source.replace("{root}", str(ROOT)).replace("{small}", small) for source in KERNEL]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, allow_errors=True, resources={"metadata": {"path": tmp_path}}).execute()
    printed = ["".join(output.get("text", "") for output in cell.outputs) for cell in notebook.cells]
    assert [said in text for said, text in zip(KERNEL.values(), printed, strict=True)] == [True] * 6, printed
    errors = [[o.evalue for o in cell.outputs if o.output_type == "error"] for cell in notebook.cells]
    assert errors == [[], [], ["2"], ["130"], [], []]
    # The figures are in the notebook too.
    shown = [sum("image/png" in o.get("data", {}) for o in cell.outputs) for cell in notebook.cells]
    assert shown == [2, 0, 0, 0, 0, 2]
    assert (tmp_path / "again" / "samples.png").exists()


def test_what_takes_long_is_said_before(script):
    done = script("cnn_with_gap.py", "--data", "sample", "--limit", "100", "--epochs", "1", eager=True)
    assert 0 < done.stdout.index("(preparing the first step) ...") < done.stdout.index(" - loss: ")
    said = script("-m", "explore.maps").stdout
    assert (
        0 < said.index("(asking about 1,000 images) ...") < said.index("(drawing) ...") < said.index("wrote ")
    )
