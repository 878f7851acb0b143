#!/usr/bin/env python3
"""docs/configuration.md is refused when it is not what config.proto says, and then written as it should be."""
import pathlib
import subprocess
import sys
import tempfile

CHECK = pathlib.Path(__file__).with_name("configuration.py")
SETTING = CHECK.parents[2] / "proto/holdfast/config/v1/setting.proto"
PROTO = """syntax = "proto3";
package holdfast.config.v1;
import "holdfast/config/v1/setting.proto";
message Config {
  // The name, in "quotes".
  optional string name = 1 [(setting) = {default_text: "it"}];
  // No way.
  optional Empty empty = 2;
  ServerConfig server = 3;
  enum LogLevel {
    LOG_LEVEL_UNSPECIFIED = 0;
    LOG_LEVEL_INFO = 1;
    LOG_LEVEL_ERROR = 2;
  }
  // The level.
  LogLevel level = 4 [(setting) = {default_text: "INFO"}];
}

message Empty {}

// The calls
// and more.
message ServerConfig {
  // The time.
  optional int64 time_ms = 1 [(setting) = {default: 90000, least: 0, most: 3600000, unit: UNIT_MS}];
  // The bytes.
  optional int64 bytes_max = 2 [(setting) = {default: 98304, least: 1, most: 1099511627776, unit: UNIT_BYTES}];
  // The files.
  optional int32 files_max = 3 [(setting) = {default: 0, least: 0, most: 1000, zero_chooses: true, chosen_most: 64}];
  // The switch.
  bool off = 4;
}
"""
WANTED = """\
| `name` | `it` |  | The name, in "quotes". |
| `empty` |  |  | No way. |
| `level` | `INFO` | INFO, ERROR | The level. |

## server

The calls and more.

| setting | default | bounds | what it is |
|---|---|---|---|
| `server.time_ms` | 90 s | 0 to 1 h | The time. |
| `server.bytes_max` | 96 KiB | 1 byte to 1 TiB | The bytes. |
| `server.files_max` | 0: the server chooses, up to 64 | 0 to 1,000 | The files. |
| `server.off` | false |  | The switch. |
"""


def run(root, *arguments):
    return subprocess.run([sys.executable, CHECK, root, *arguments], capture_output=True).returncode


with tempfile.TemporaryDirectory() as root:
    protos = pathlib.Path(root) / "proto/holdfast/config/v1"
    protos.mkdir(parents=True)
    (protos / "setting.proto").write_text(SETTING.read_text())
    (protos / "config.proto").write_text(PROTO)
    document = pathlib.Path(root) / "docs/configuration.md"
    document.parent.mkdir()

    assert run(root) == 1, "a document that is missing passes"
    assert run(root, "--write") == 0 and run(root) == 0, "the document that was written is refused"
    assert document.read_text().endswith(WANTED), document.read_text()
    (protos / "config.proto").write_text(PROTO.replace("default: 90000", "default: 91000"))
    assert run(root) == 1, "a document with another default passes"
    (protos / "config.proto").write_text(PROTO.replace("  // The switch.\n", ""))
    assert run(root, "--write") == 1, "a setting without a comment passes"
    (protos / "config.proto").write_text(PROTO.replace("least: 0, most: 1000,", "most: 1000,"))
    assert run(root, "--write") == 1, "a number without a bound passes"
print("configuration.md is refused and written as expected")
