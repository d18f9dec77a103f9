"""Make `article.ja.ipynb` and `article.ipynb` from `article.py` and the scripts.

    python notebooks/build.py --data SOURCE   run the cells on these images, once for both
    python notebooks/build.py                 new text and comments: the outputs stay as they are
    python notebooks/build.py --quick DIR     try the cells on few images; the notebooks go into DIR
    python notebooks/build.py --check         are both what `article.py` and the scripts say?

`article.py` is in jupytext's percent format, with its text in two languages. In the place of

    # script: cnn.build_model                 comes the function
    # script: cnn.main from X to Y            come its lines, from the first with X to that with Y
"""

import argparse
import ast
import asyncio
import base64
import copy
import io
import os
import re
import signal
import sys
import tempfile
import textwrap
import tokenize
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from benchmarks.common import ONE_CORE  # noqa: E402
from support import ending, files  # noqa: E402

NOTEBOOKS = {"article.ja.ipynb": "ja", "article.ipynb": "en"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
LINES = re.compile(r"^# script: (\w+)\.(\w+)(?: from (\S+))?(?: to (\S+))?$", re.MULTILINE)
FEW = ["--data=sample", "--limit=100"]
QUICK = {
    "cnn": ["--epochs=2"],
    "transfer_learning": ["--epochs=1", "--alpha=0.25", "--weights=none"],
    "cnn_with_gap": ["--epochs=1"],
}


def script_lines(script, name, first, last):
    """A script's function, or its statements from one with `first` to one with `last` (of `main` all)."""
    text = (ROOT / f"{script}.py").read_text(encoding="utf-8")

    def find(nodes, words):
        for index, node in enumerate(nodes):
            if words in ast.get_source_segment(text, node):
                return index
        raise ending.ScriptError(f"{script}.py: no {words!r} in {name}; change article.py")

    nodes = ast.parse(text).body
    function = nodes[find(nodes, f"def {name}(")]
    body, begin, end = function.body, function.lineno, function.end_lineno
    left_out = [node for node in body if "summary" in ast.unparse(node)]  # in cells of their own
    if ast.get_docstring(function):
        left_out.append(body[0])
    if name == "main" or first or last:
        at = find(body, first or "")
        begin = body[at - 1].end_lineno + 1 if at else body[0].lineno
        end = body[at + find(body[at:], last)].end_lineno if last else end
    without = {n for node in left_out for n in range(node.lineno, node.end_lineno + 1)}
    wanted = [n for n in range(begin, end + 1) if n not in without]
    lines = textwrap.dedent("\n".join(text.splitlines()[n - 1] for n in wanted)).strip()
    # The notebook has a function for the command line, and those of `utils` in its own cells.
    parse = r"command_line\.parse\((\s*)__file__, __doc__, argv"
    lines = re.sub(parse, rf'options(\1"{script}"', lines)
    return f"# {script}.py: {name}\n" + re.sub(r"(?<![\w.])utils\.", "", lines)


def made(language):
    """The notebook in a language, without outputs."""
    notebook = jupytext.reads((HERE / "article.py").read_text(encoding="utf-8"), fmt="py:percent")
    cells = [cell for cell in notebook.cells if cell.metadata.pop("lang", language) == language]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.source = LINES.sub(lambda found: script_lines(*found.groups()), cell.source)
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tokens(cell):
    """The code of a cell without its comments, which change no output."""
    found = tokenize.generate_tokens(io.StringIO(cell.source).readline)
    return [token.string for token in found if token.type not in (tokenize.COMMENT, tokenize.NL)]


def run(notebook, data, more):
    """The code cells with their outputs, run in a folder that has all of this one but its results.

    On one core, as `benchmarks/reproduce.py` runs the scripts: more would change rounding, and so the digits.
    `data` and, for some scripts, `more` are words of a command line.
    """
    cells = code(notebook := copy.deepcopy(notebook))
    for cell in cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += f"\nDATA, OPTIONS = {data}, OPTIONS | {more}"
    ours = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    async def handle_signals(**_):  # not as nbclient does it, which ends in a traceback
        for number, handler in ours.items():
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.signal(number, handler)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for path in ROOT.iterdir():
            if path.name != "results" and not path.name.startswith("."):
                (Path(folder) / path.name).symlink_to(path)
        client = NotebookClient(
            notebook, timeout=None, record_timing=False, resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=50"], on_notebook_start=handle_signals,
        )  # fmt: skip
        try:
            client.execute(env=os.environ | ONE_CORE)
        except (CellExecutionError, DeadKernelError) as error:
            what = f"{error.ename}: {error.evalue}" if hasattr(error, "ename") else error
            raise ending.ScriptError(f"code cell {client.code_cells_executed}: {what}") from None
    for cell in cells:
        cell.outputs = kept(cell.outputs)
    return cells


def kept(outputs):
    """What to keep of outputs: the last state of a progress bar, and a photograph as a JPEG."""
    found = []
    for output in outputs:
        if output.output_type == "stream" and found and output.name == found[-1].get("name"):
            found[-1].text += output.text
        else:
            found.append(output)
    for output in found:
        if output.output_type == "stream":
            output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text.replace("\b", ""))
        elif png := output.get("data", {}).get("image/png"):
            image, jpeg = Image.open(io.BytesIO(base64.b64decode(png))), io.BytesIO()
            image.convert("RGB").save(jpeg, "JPEG", quality=75)
            if 2 * len(text := base64.b64encode(jpeg.getvalue()).decode()) < len(png):
                del output.data["image/png"]
                output.data["image/jpeg"] = text
            else:  # 160 colours are enough for a figure
                image.convert("RGB").quantize(160).save(few := io.BytesIO(), "PNG", optimize=True)
                output.data["image/png"] = base64.b64encode(few.getvalue()).decode()
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--data", metavar="SOURCE", help="run the cells on these images")
    choice.add_argument("--quick", metavar="DIR", type=Path, help="on few, and write into DIR")
    choice.add_argument("--check", action="store_true", help="write nothing; 1 if one is old")
    args = parser.parse_args(argv)
    new, old = {name: made(language) for name, language in NOTEBOOKS.items()}, {}
    first = new["article.ipynb"]
    if args.quick:
        cells = run(first, FEW, QUICK)
    elif args.data:
        source = Path(args.data).resolve() if Path(args.data).exists() else args.data
        cells = run(first, [f"--data={source}"], {})
    else:
        try:
            old = {name: nbformat.read(HERE / name, as_version=4) for name in new}
        except (OSError, ValueError) as error:
            raise ending.ScriptError(f"no notebooks yet: {error}; give --data SOURCE") from None
        cells = code(old["article.ipynb"])
        if list(map(tokens, cells)) != list(map(tokens, code(first))):
            raise ending.ScriptError("the code has changed; give --data SOURCE to run it")
    for name, notebook in new.items():
        for cell, done in zip(code(notebook), cells, strict=True):
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
        if args.check and notebook != old[name]:
            raise ending.ScriptError(f"{name}: the text has changed; run python notebooks/build.py")
        if not args.check:
            path = (args.quick or HERE) / name
            files.make_folder(path.parent)
            with files.replacing(path) as part:
                nbformat.write(notebook, part)
            print(f"wrote {path}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    ending.run(main)
