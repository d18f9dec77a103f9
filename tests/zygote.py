"""A process that has loaded Keras and forks a copy of itself for each script that it is asked to run.

Most of a script's time in a test is the loading of Keras. What is forked is a process of its own,
which can be interrupted and killed like any other. `conftest.Zygote` is the other end.
"""

import atexit
import importlib
import json
import os
import resource
import runpy
import sys
import warnings

sys.path.insert(0, sys.argv[1])
os.environ["MPLBACKEND"] = "agg"

from support import keras_start

keras_start.start()

from support.data import images, sample  # noqa: E402, F401
from support.figures import blocks  # noqa: E402, F401
from support.run import pretrained, training  # noqa: E402, F401

sample.draw(0)


def interrupt_in(place, number, call):
    """Let this process get a signal when a function is called for the n-th time."""
    module, _, path = place.partition(":")
    *parents, name = path.split(".")
    owner = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    function, calls = getattr(owner, name), 0

    def interrupted(*args, **options):
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), number)
        return function(*args, **options)

    setattr(owner, name, interrupted)


def run(request):
    """In the child: become the script."""
    os.setsid()
    os.chdir(request["cwd"])
    for name, value in request["environment"].items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    os.dup2(os.pipe()[0], 0)  # in which nothing ever comes, nor an end
    for number, path in ((1, request["out"]), (2, request["err"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    if request["eager"]:
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)
        warnings.filterwarnings("ignore", "Even though the `tf.config")
    if request["file_size"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"],) * 2)
    if request["interrupt"]:
        interrupt_in(*request["interrupt"])
    name, *arguments = request["command"]
    if name == "-m":
        name, *arguments = arguments
        sys.argv = [name, *arguments]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        path = os.path.join(sys.path[0], name)
        sys.argv = [path, *arguments]
        runpy.run_path(path, run_name="__main__")


print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "wait" in request:
        pid, status = os.waitpid(request["wait"], os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if pid else None
        print(json.dumps({"code": code}), flush=True)
        continue
    child = os.fork()
    if child == 0:
        try:
            run(request)
        except SystemExit as end:
            if "KERAS_DISTRIBUTION_PROCESS_ID" in os.environ:  # JAX waits for the other processes there
                atexit._run_exitfuncs()
            # What else Python does at its end takes a second here; scripts of their own show it.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code or 0)
    print(json.dumps({"pid": child}), flush=True)
