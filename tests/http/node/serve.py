"""Runs a command with the address of a server of its own in HOLDFAST_HTTP: serve.py COMMAND..."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness import Server  # noqa: E402 (found by the line above)

server = Server()
try:
    environment = {**os.environ, "HOLDFAST_HTTP": f"http://127.0.0.1:{server.port}"}
    sys.exit(subprocess.run(sys.argv[1:], env=environment, timeout=240).returncode)
finally:
    server.discard()
