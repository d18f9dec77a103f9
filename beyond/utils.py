"""What `python beyond/NAME.py` finds in place of the project's `utils`: how to run it instead.

Python looks for modules in the folder of the script that it was given, and this is the first that the
recipes ask for. With `python -m beyond.NAME` it looks in the working folder.
"""

import sys
from pathlib import Path

name = f"beyond.{Path(sys.argv[0]).stem}"
print(
    f"{name}: error: give python -m {name}, in the folder of README.md, and not the file's path",
    file=sys.stderr,
)
sys.exit(2)
