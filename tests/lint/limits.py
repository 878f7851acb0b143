#!/usr/bin/env python3
"""Each row of docs/limits.md names its bound's setting and its test, and both are there.

Usage: limits.py ROOT. A setting is "section.field" of config.proto or "fixed"; a test is the name of one in tests/, or a
path. Prints each row that is wrong, and exits 1 if there is one.
"""

import pathlib
import re
import sys


def sections(proto):
    """{"server": {"calls_max", ...}, ...} of the messages that Config has."""
    messages = {}
    for name, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", proto, re.M | re.S):
        messages[name] = re.findall(r"^  (?:optional |repeated )?([\w.]+) (\w+) = \d+;", body, re.M)
    return {field: {name for _, name in messages[kind]} for kind, field in messages["Config"] if kind in messages}


def rows(text):
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 5 and cells[0] != "resource":
            yield cells


def main(root):
    known = sections((root / "proto/holdfast/config/v1/config.proto").read_text())
    names = set()
    for path in (root / "tests").rglob("*.cc"):
        names.update(re.findall(r"^TEST(?:_F|_P)?\(\w+, (\w+)\)", path.read_text(), re.M))
    count = 0
    wrong = []
    for resource, _, setting, _, test in rows((root / "docs/limits.md").read_text()):
        count += 1
        if not setting or not test:
            wrong.append(f"{resource}: a setting or a test is missing")
        section = ""
        for name in re.findall(r"`([\w.]+)`", setting):
            section, _, field = name.rpartition(".") if "." in name else (section, "", name)
            if field not in known.get(section, ()):
                wrong.append(f"{resource}: there is no setting {name}")
        for name in re.findall(r"`([^`]+)`", test):
            if not ((root / name).exists() if "/" in name else name in names):
                wrong.append(f"{resource}: there is no test {name}")
    for line in wrong:
        print(f"limits.md: {line}")
    print(f"limits.md: {count} rows, {len(wrong)} faults")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
