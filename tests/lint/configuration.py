#!/usr/bin/env python3
"""docs/configuration.md is what proto/holdfast/config/v1 says.

Usage: configuration.py ROOT [--write]. Without --write it exits 1 if the document is out of date; with it, it writes the
document. It also fails if a setting has no comment, or a number no default or bounds.
"""

import difflib
import pathlib
import sys

import settings

HEAD = """\
# Configuration

<!-- Written by tests/lint/configuration.py from proto/holdfast/config/v1: change the settings there. -->

`holdfastd --config FILE` reads its settings from a file in [protobuf text format](https://protobuf.dev/reference/protobuf/textformat-spec). Every setting is optional, and `--listen`, `--data-dir` and `--log-level` override the file. A setting that is unknown or out of its bounds stops the start with a message that names it. `holdfastd --check-config` prints the settings that result.

A number is written in the unit in which its name ends, or in bytes: this file sets 15 s and 4 MiB.

```
log_level: INFO
server {
  drain_timeout_ms: 15000
  message_bytes_max: 4194304
}
```

[limits.md](limits.md) says what bounds a client meets, and what it gets then.
"""


def default_of(setting):
    option = setting.option
    if "default_text" in option:
        return f"`{option['default_text'][0]}`"
    if setting.type == "TYPE_BOOL":
        return "false"
    if not setting.is_number():
        return ""
    if "zero_chooses" not in option:
        return setting.value("default")
    most = f", up to {setting.value('chosen_most')}" if "chosen_most" in option else ""
    return f"0: the server chooses{most}"


def bounds_of(setting):
    if setting.is_number():
        return f"{setting.value('least')} to {setting.value('most')}"
    return ", ".join(setting.values)


def faults_of(setting):
    if not setting.comment:
        yield f"{setting.path} has no comment"
    for key in ("default", "least", "most"):
        if setting.is_number() and key not in setting.option:
            yield f"{setting.path} has no {key}"


def document(sections):
    lines = [HEAD]
    for section in sections:
        if section.name:
            lines += [f"## {section.name}", "", section.comment, ""]
        lines += ["| setting | default | bounds | what it is |", "|---|---|---|---|"]
        for setting in section.settings:
            cells = (f"`{setting.path}`", default_of(setting), bounds_of(setting), setting.comment.replace("|", "\\|"))
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def main(root, write):
    sections = settings.sections(root)
    faults = [fault for section in sections for setting in section.settings for fault in faults_of(setting)]
    for fault in faults:
        print(f"config/v1: {fault}")
    if faults:
        return 1
    path = root / "docs/configuration.md"
    wanted = document(sections)
    if write:
        path.write_text(wanted)
    there = path.read_text() if path.exists() else ""
    sys.stdout.writelines(difflib.unified_diff(there.splitlines(True), wanted.splitlines(True), str(path), "config/v1"))
    count = sum(len(section.settings) for section in sections)
    if there != wanted:
        print(f"configuration.md is out of date; write it with: tests/lint/configuration.py {root} --write")
    else:
        print(f"configuration.md: {count} settings are as config/v1 says")
    return 1 if there != wanted else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), "--write" in sys.argv[2:]))
