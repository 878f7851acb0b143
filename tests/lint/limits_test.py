#!/usr/bin/env python3
"""The check of docs/limits.md finds what it is for: runs it over small trees with and without a fault."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("limits.py")
PROTO = """message Config {
  ServerConfig server = 1;
}

message ServerConfig {
  optional int32 calls_max = 1;
}
"""
CASES = [
    ("`server.calls_max`", "`CallsAreBounded`", True),
    ("fixed", "`tests/unit/calls_test.cc`", True),
    ("`server.streams_max`", "`CallsAreBounded`", False),
    ("`server.calls_max`", "`NobodyWroteIt`", False),
    ("`server.calls_max`", "`tests/unit/other_test.cc`", False),
    ("`server.calls_max`", "", False),
    ("", "`CallsAreBounded`", False),
]

for setting, test, allowed in CASES:
    with tempfile.TemporaryDirectory() as root:
        files = {
            "proto/holdfast/config/v1/config.proto": PROTO,
            "tests/unit/calls_test.cc": "TEST(CallsTest, CallsAreBounded) {}\n",
            "docs/limits.md": f"| calls | 10 | {setting} | an error | {test} |\n",
        }
        for path, text in files.items():
            file = pathlib.Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        passed = subprocess.run([sys.executable, CHECK, root], capture_output=True).returncode == 0
        assert passed == allowed, f"{setting}, {test}: {'passed' if passed else 'refused'}"
print(f"{len(CASES)} cases as expected")
