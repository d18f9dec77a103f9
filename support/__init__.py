"""What the article does not talk about: command line, images, a run that survives, other figures."""

import platform
import sys

# Here, before a module is read that an older Python does not understand.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        f"{sys.argv[0]}: error: Python {platform.python_version()} ({sys.executable}) is too old; "
        "take Python 3.11, 3.12 or 3.13"
    )
