"""What `python explore/NAME.py` finds in place of the package `explore`: how to run it instead.

Python looks for modules in the folder of the script that it was given. With `python -m explore.NAME`
it looks in the working folder.
"""

import sys
from pathlib import Path

name = f"explore.{Path(sys.argv[0]).stem}"
print(
    f"{name}: error: give python -m {name}, in the folder of README.md, and not the file's path",
    file=sys.stderr,
)
sys.exit(2)
