#!/usr/bin/env python3
"""Each row of docs/limits.md names its bound's setting and its test, and both are there.

Usage: limits.py ROOT. A setting is "section.field" of the configuration or "fixed"; a test is the name of one in tests/, or a
path. The bound tells the default of each setting of the row, unless it names the setting. Prints each row that is wrong,
and exits 1 if there is one.
"""

import pathlib
import re
import sys

import settings


def tells(bound, setting):
    """Whether this text has the default of the setting, or the most that the server chooses by default."""
    if f"`{setting.path}`" in bound or not setting.is_number():
        return True
    default = setting.value("chosen_most" if "chosen_most" in setting.option else "default")
    return re.search(rf"(?<![\d,.]){re.escape(default)}(?!,?\d)", bound) is not None


def rows(text):
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 5 and cells[0] != "resource":
            yield cells


def main(root):
    known = {setting.path: setting for section in settings.sections(root) for setting in section.settings}
    names = set()
    for path in (root / "tests").rglob("*.cc"):
        names.update(re.findall(r"^TEST(?:_F|_P)?\(\w+, (\w+)\)", path.read_text(), re.M))
    count = 0
    wrong = []
    for resource, bound, setting, _, test in rows((root / "docs/limits.md").read_text()):
        count += 1
        if not setting or not test:
            wrong.append(f"{resource}: a setting or a test is missing")
        for name in re.findall(r"`([\w.]+)`", setting):
            if name not in known:
                wrong.append(f"{resource}: there is no setting {name}")
            elif not tells(bound, known[name]):
                wrong.append(f"{resource}: the bound does not tell the default of {name}")
        for name in re.findall(r"`([^`]+)`", test):
            if not ((root / name).exists() if "/" in name else name in names):
                wrong.append(f"{resource}: there is no test {name}")
    for line in wrong:
        print(f"limits.md: {line}")
    print(f"limits.md: {count} rows, {len(wrong)} faults")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
