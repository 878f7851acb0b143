#!/usr/bin/env python3
"""The check of docs/limits.md finds what it is for: runs it over small trees with and without a fault."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("limits.py")
SETTING = CHECK.parents[2] / "proto/holdfast/config/v1/setting.proto"
PROTO = """syntax = "proto3";
package holdfast.config.v1;
import "holdfast/config/v1/setting.proto";
message Config {
  // The calls.
  ServerConfig server = 1;
}

// The calls.
message ServerConfig {
  // The most calls.
  optional int32 calls_max = 1 [(setting) = {default: 1000, least: 1, most: 2000}];
  // The most bytes.
  optional int64 bytes_max = 2 [(setting) = {default: 65536, least: 1, most: 65536, unit: UNIT_BYTES}];
  // The most files.
  optional int32 files_max = 3 [(setting) = {default: 0, least: 0, most: 99, zero_chooses: true, chosen_most: 64}];
}
"""
CASES = [
    ("1,000", "`server.calls_max`", "`CallsAreBounded`", True),
    ("64 KiB, for 1,000, or more", "`server.calls_max`, `server.bytes_max`", "`CallsAreBounded`", True),
    ("up to 64", "`server.files_max`", "`CallsAreBounded`", True),
    ("twice `server.calls_max`", "`server.calls_max`", "`CallsAreBounded`", True),
    ("10", "fixed", "`tests/unit/calls_test.cc`", True),
    ("1,000", "`server.streams_max`", "`CallsAreBounded`", False),
    ("1,000", "`calls_max`", "`CallsAreBounded`", False),
    ("100", "`server.calls_max`", "`CallsAreBounded`", False),
    ("11,000, 1,000,000", "`server.calls_max`", "`CallsAreBounded`", False),
    ("65536", "`server.bytes_max`", "`CallsAreBounded`", False),
    ("0", "`server.files_max`", "`CallsAreBounded`", False),
    ("1,000", "`server.calls_max`", "`NobodyWroteIt`", False),
    ("1,000", "`server.calls_max`", "`tests/unit/other_test.cc`", False),
    ("1,000", "`server.calls_max`", "", False),
    ("1,000", "", "`CallsAreBounded`", False),
]

for bound, setting, test, allowed in CASES:
    with tempfile.TemporaryDirectory() as root:
        files = {
            "proto/holdfast/config/v1/config.proto": PROTO,
            "proto/holdfast/config/v1/setting.proto": SETTING.read_text(),
            "tests/unit/calls_test.cc": "TEST(CallsTest, CallsAreBounded) {}\n",
            "docs/limits.md": f"| calls | {bound} | {setting} | an error | {test} |\n",
        }
        for path, text in files.items():
            file = pathlib.Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        passed = subprocess.run([sys.executable, CHECK, root], capture_output=True).returncode == 0
        assert passed == allowed, f"{bound}, {setting}, {test}: {'passed' if passed else 'refused'}"
print(f"{len(CASES)} cases as expected")
