#!/usr/bin/env python3
"""Checks that each link of a document to a file of this repository, and to a heading in it, leads somewhere.

    links.py ROOT

Reads all .md files below ROOT but those in folders of builds. Links to other hosts are not looked at.
"""
import pathlib
import re
import sys

LEFT_OUT = {"build", "data", "node_modules"}
# A fence may be indented in a list. A span of code has no links.
CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:")


def anchors(text):
    """The names that a link may have behind the #: those of headings, as GitHub makes them, and those of HTML."""
    names = set(re.findall(r'<a (?:name|id)="([^"]+)"', text))
    for heading in re.findall(r"^#+ +(.*?) *$", re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S), re.M):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        count, unique = 0, name
        while unique in names:
            count += 1
            unique = f"{name}-{count}"
        names.add(unique)
    return names


def documents(root):
    for path in sorted(root.rglob("*.md")):
        if not LEFT_OUT.intersection(path.relative_to(root).parts) and not path.is_symlink():
            yield path


def faults(root):
    texts = {path: path.read_text(encoding="utf-8") for path in documents(root)}
    for path, text in texts.items():
        for target in LINK.findall(CODE.sub("", text)):
            if ELSEWHERE.match(target):
                continue
            name, _, anchor = target.partition("#")
            there = (path.parent / name).resolve() if name else path
            where = f"{path.relative_to(root)}: {target}"
            if not there.exists():
                yield f"{where}: there is no such file"
            elif anchor and anchor not in anchors(texts.get(there, "")):
                yield f"{where}: there is no such heading"


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    found = list(faults(pathlib.Path(arguments[0]).resolve()))
    for fault in found:
        print(f"links: {fault}")
    if found:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
