#!/usr/bin/env python3
"""The check of excerpts finds what it is for: runs it over small trees with and without a fault."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("excerpts.py")
SOURCE = "#include <string>\n\nint One() {\n  int a = 1;\n  return a;\n}\n"
# The lines of the block, and whether the class has them.
CASES = [
    ("  int a = 1;\n", True),
    ("int One() {\n  ...\n  return a;\n}\n", True),
    ("int One() {\n  return a;\n}\n", False),
    ("int a = 1;\n", False),
    ("int One() {\n  ...\n  return b;\n", False),
]

for lines, good in CASES:
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "docs").mkdir()
        (root / "actors/objects").mkdir(parents=True)
        (root / "actors/objects/one.cc").write_text(SOURCE)
        (root / "docs/patterns.md").write_text(f"# A\n\n```cpp\n{lines}```\n")
        done = subprocess.run([sys.executable, CHECK, folder], capture_output=True, text=True)
        if (done.returncode == 0) != good or good != (done.stdout == ""):
            sys.exit(f"excerpts_test: unexpected for {lines!r}:\n{done.stdout}{done.stderr}")
print("excerpts: cases as expected")
