"""Put what the benchmarks wrote into `docs/*.md` and `README*.md`.

    python benchmarks/insert.py [--check]

What stands between `<!-- NAME.md -->` and `<!-- end -->` becomes the text of `benchmarks/NAME.md`, and
behind `<!-- printed NAME -->` that of `benchmarks/printed/NAME.txt`. A Japanese page keeps the headers
that its tables have, gets the rows alone, and says in its own text what they are.
"""

import argparse
import re
import sys

from common import HERE, ROOT

from support.files import replacing

BLOCK = re.compile(r"^(<!-- (printed )?([\w.]+) -->)$(.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
HEADER = re.compile(r"^\|.*\|$(?=\n\|---)", re.MULTILINE)


def filled(text, own_headers=False):
    """The text of a page with what the benchmarks wrote last in its blocks."""

    def block(found):
        begin, printed, name, old = found.groups()
        path = HERE / "printed" / f"{name}.txt" if printed else HERE / name
        if not path.exists():
            sys.exit(f"{path.relative_to(ROOT)}: not there; run its benchmark")
        new = path.read_text(encoding="utf-8").strip()
        if printed:
            new = f"```\n{new}\n```"
        elif own_headers and (headers := HEADER.findall(old)):
            kept = iter(headers)
            new = HEADER.sub(lambda _: next(kept), new)
            new = "\n".join(line for line in new.splitlines() if not line or line[0] == "|").strip()
            new = new.replace(" %", "%")
        return f"{begin}\n{new}\n<!-- end -->"

    return BLOCK.sub(block, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a page is old")
    check, old = parser.parse_args().check, []
    for page in sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("README*.md")]):
        text, name = page.read_text(encoding="utf-8"), str(page.relative_to(ROOT))
        if text.count("\n<!-- ") != 2 * len(BLOCK.findall(text)):
            sys.exit(f"{name}: a block without <!-- end -->")
        if (new := filled(text, own_headers=name.endswith(".ja.md"))) != text:
            old.append(name)
            if not check:
                with replacing(page) as part:
                    part.write_text(new, encoding="utf-8")
    if old and check:
        sys.exit(f"{', '.join(old)}: not up to date; run python benchmarks/insert.py")
    print("changed:", ", ".join(old) or "nothing")


if __name__ == "__main__":
    main()
