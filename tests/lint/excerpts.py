#!/usr/bin/env python3
"""Checks that the lines of C++ which docs/patterns.md shows are those of the classes.

    excerpts.py ROOT

A block is made of pieces with a line `...` between them. Each piece must be in one file below actors/, as it stands.
"""
import pathlib
import re
import sys

PAGE = "docs/patterns.md"
BLOCK = re.compile(r"^```cpp\n(.*?)^```$", re.M | re.S)
LEFT_OUT = re.compile(r"^ *\.\.\.\n", re.M)


def faults(root):
    sources = [path.read_text(encoding="utf-8") for path in sorted((root / "actors").rglob("*")) if path.suffix in (".cc", ".h")]
    blocks = BLOCK.findall((root / PAGE).read_text(encoding="utf-8"))
    if not blocks:
        yield "there is no block of cpp"
    for block in blocks:
        for piece in LEFT_OUT.split(block):
            if not any(f"\n{piece}" in source for source in sources):
                yield f"no class has these lines:\n{piece}"


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    found = list(faults(pathlib.Path(arguments[0])))
    for fault in found:
        print(f"{PAGE}: {fault}")
    if found:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
