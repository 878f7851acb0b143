#!/usr/bin/env python3
"""The check of links finds what it is for: runs it over small trees with and without a fault."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("links.py")
OTHER = '# Two words, `code`\n\n## Same\n\n## Same\n\n```\n# no heading\n```\n\n<a name="x.Y"></a>\n'
# The text of a.md beside docs/other.md, and whether all of its links lead somewhere.
CASES = [
    ("[a](docs/other.md) [b](docs) [c](https://example.com/nowhere#x)", True),
    ("[a](docs/other.md#two-words-code) [b](docs/other.md#same-1) [c](docs/other.md#x.Y)", True),
    ("# Here\n[a](#here)", True),
    ("`[a](nowhere.md)`\n```\n[a](nowhere.md)\n```\n", True),
    ("![a](nowhere.png)", False),
    ("[a](other.md)", False),
    ("[a](docs/other.md#same-2)", False),
    ("[a](docs/other.md#no-heading)", False),
    ("[a](#there)", False),
]

for text, good in CASES:
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "docs").mkdir()
        (root / "docs/other.md").write_text(OTHER)
        (root / "a.md").write_text(text)
        done = subprocess.run([sys.executable, CHECK, folder], capture_output=True, text=True)
        if (done.returncode == 0) != good or good != (done.stdout == ""):
            sys.exit(f"links_test: unexpected for {text!r}:\n{done.stdout}{done.stderr}")
print("links: cases as expected")
