import os
import signal
import subprocess
import sys

import pytest
from conftest import ROOT, cold, one_line


def fake_keras(tmp_path, program):
    (tmp_path / "fake" / "keras").mkdir(parents=True)
    (tmp_path / "fake" / "keras" / "__init__.py").write_text(program)
    return {"PYTHONPATH": str(tmp_path / "fake")}


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import no_such_package", ["no_such_package", sys.executable, "requirements.txt", "3.13"]),
        ("raise ValueError('Unable to import backend : x')", ["ValueError", "KERAS_BACKEND"]),
        ("raise ImportError('DLL load failed')", ["DLL load failed", "requirements.txt"]),
    ],
)
def test_packages_that_cannot_be_loaded_are_said_in_one_line(cold_script, tmp_path, program, words):
    environment = fake_keras(tmp_path, program)
    one_line(cold_script("cnn.py", "--data", "sample", code=1, **environment), *words)


def test_a_backend_that_is_not_there(cold_script):
    done = cold_script("cnn.py", "--data", "sample", code=1, KERAS_BACKEND="nothing")
    one_line(done, "nothing", "KERAS_BACKEND")


def test_a_backend_that_is_known_and_not_installed(cold_script, tmp_path):
    environment = fake_keras(tmp_path, "import jax")
    (tmp_path / "fake" / "jax.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'jax'\", name='jax')"
    )
    done = cold_script("cnn.py", "--data", "sample", code=1, KERAS_BACKEND="jax", **environment)
    one_line(done, "KERAS_BACKEND: jax is not installed for Python", "or change KERAS_BACKEND")


@pytest.mark.parametrize("package", ["matplotlib", "PIL"])
def test_a_package_that_keras_does_without(cold_script, tmp_path, monkeypatch, package):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    program = (
        f"import sys\nsys.modules[{package!r}] = None\n"  # as if it were not installed
        "class config:\n    backend = lambda: 'tensorflow'\n"
    )
    done = cold_script("cnn.py", "--data", "sample", code=1, **fake_keras(tmp_path, program))
    one_line(done, f"No module named '{package}'", "requirements.txt")
    assert "KERAS_BACKEND" not in done.stderr


def test_a_python_without_the_packages(tmp_path):
    """What happens when the environment is not activated: -S hides what is installed."""
    done = subprocess.run(
        [sys.executable, "-S", ROOT / "cnn.py", "--data", "sample"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    one_line(done, "No module named 'keras'", ".venv/bin/python", "3.11")


def test_a_crash_of_native_code_while_keras_is_loaded_is_seen(tmp_path):
    environment = fake_keras(tmp_path, "import os; os.abort()")
    done = subprocess.run(
        cold("cnn.py", "--data", "sample"), cwd=tmp_path, env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_keras_is_loaded(cold_script, tmp_path, number):
    """Native code that was interrupted while it was loaded has crashed: jaxlib, in the middle of TensorFlow."""
    program = (
        f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(0.1)\nopen('loaded', 'w')\n"
        "class config:\n    backend = lambda: 'tensorflow'\n"
    )
    done = cold_script("cnn.py", "--data", "sample", code=128 + number, **fake_keras(tmp_path, program))
    assert done.stderr == "cnn.py: interrupted\n"
    assert (tmp_path / "loaded").exists()


def test_log_lines_are_kept_off_the_screen_and_nothing_else(cold_script, tmp_path):
    program = (
        "import os\n"
        "os.write(2, b'WARNING: All log messages before absl::InitializeLog() is called\\n')\n"
        "os.write(2, b'I0000 00:00:1795559980.293864    3288 port.cc:153] chatter\\n')\n"
        "os.write(2, b'W0000 00:00:1795559980.293864    3288 port.cc:153] a warning\\n')\n"
        "os.write(2, b'E0000 00:00:1795559980.293864    3288 port.cc:153] an error of no consequence\\n')\n"
        "os.write(2, b'something that matters\\n')\n"
        "raise ValueError('stop here')\n"
    )
    environment = fake_keras(tmp_path, program) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = cold_script("cnn.py", "--data", "sample", code=1, **environment)
    assert done.stderr.splitlines()[0] == "something that matters"
    assert len(done.stderr.splitlines()) == 2
    done = cold_script("cnn.py", "--data", "sample", code=1, **environment | {"TF_CPP_MIN_LOG_LEVEL": "0"})
    assert "chatter" in done.stderr


def test_that_keras_is_being_loaded_is_said_before(cold_script, tmp_path):
    environment = fake_keras(tmp_path, "import os; os._exit(9)") | {"PYTHONUNBUFFERED": ""}
    done = cold_script("cnn.py", code=9, **environment)
    assert done.stdout == "Kerasを読み込んでいる (loading Keras) ...\n"


def test_keras_really_loaded_is_quiet(cold_script):
    """With TensorFlow's own log, and with a warning where Keras has something to say."""
    done = cold_script("cnn.py", "--summary", "--out", "here")
    assert done.stderr == ""
    assert "loading Keras" in done.stdout.splitlines()[0]
    assert "Total params: 591,390 " in done.stdout
