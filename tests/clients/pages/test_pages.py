"""Each page of docs/clients does what it says: its commands run as they stand and print what the page shows. The first
call goes to a server without TLS, all others to one with TLS and tokens. The watch goes on while that one is stopped and
started again.

HOLDFAST_PAGES names the languages, HOLDFAST_BUILD the tree of CMake from which the page on C++ installs.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading

import grpc
import pytest
from google.protobuf import duration_pb2

import harness
import pages
from holdfast.v1 import object_service_pb2 as object_pb
from holdfast.v1 import object_service_pb2_grpc as object_rpc
from holdfast.v1 import types_pb2
from secure_server import SecureServer

ROOT = pathlib.Path(__file__).resolve().parents[3]
ADDRESS, PLAIN_ADDRESS = "localhost:50051", "127.0.0.1:50051"
STEP_SECONDS_MAX = 900
LINE_SECONDS_MAX = 180
# Some tools reset the colours of a terminal even if there is none.
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# The tests of this repository find these in their environment; programs of the page must not.
OF_THE_TEST = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "HOLDFASTD")


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    with SecureServer(os.environ["HOLDFASTD"], folder) as running:
        yield running


@pytest.fixture
def plain_server(tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()
    running = harness.Server(folder).start()
    yield running
    running.stop()


class Watch:
    """A program that runs until it is ended, and its lines so far."""

    def __init__(self, command, folder, environment):
        # A session of its own, so that whatever the command starts can be ended with it.
        self.process = subprocess.Popen(
            ["bash", "-euc", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            encoding="utf-8", start_new_session=True)
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(COLOURS.sub("", line))
                self.changed.notify_all()

    def wait_for(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.lines) >= count, LINE_SECONDS_MAX), self.lines

    def end(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.reader.join()


def set_alarm(server, name):
    environment = server.environment()
    tls = grpc.ssl_channel_credentials(pathlib.Path(environment["HOLDFAST_CA"]).read_bytes())
    token = pathlib.Path(environment["HOLDFAST_TOKEN"]).read_text().strip()
    credentials = grpc.composite_channel_credentials(tls, grpc.access_token_call_credentials(token))
    with grpc.secure_channel(server.address, credentials) as channel:
        object_rpc.ObjectServiceStub(channel).SetAlarm(
            object_pb.SetAlarmRequest(object=types_pb2.ObjectId(name=name), delay=duration_pb2.Duration()),
            timeout=20, wait_for_ready=True)


def run_watch(step, server, folder, environment):
    watch = Watch(step.commands, folder, environment)
    try:
        # A program of the page has set the first alarm.
        watch.wait_for(1)
        server.restart()
        set_alarm(server, "reminder/2")
        watch.wait_for(2)
    finally:
        watch.end()
    assert "".join(watch.lines) == step.output


@pytest.mark.parametrize("language", os.environ["HOLDFAST_PAGES"].split())
def test_the_page_does_what_it_says(server, plain_server, tmp_path, language):
    folder = tmp_path / "shop"
    folder.mkdir()
    files = server.environment()
    shutil.copy(files["HOLDFAST_CA"], folder / "ca.crt")
    shutil.copy(files["HOLDFAST_TOKEN"], folder / "shop.token")
    environment = {name: value for name, value in os.environ.items() if name not in OF_THE_TEST}
    environment |= {"HOLDFAST": str(ROOT), "PREFIX": str(tmp_path / "prefix")}
    text = (ROOT / "docs" / "clients" / f"{language}.md").read_text(encoding="utf-8")
    assert ADDRESS in text and PLAIN_ADDRESS in text
    text = text.replace(ADDRESS, server.address).replace(PLAIN_ADDRESS, plain_server.address)
    for step in pages.parse(text):
        if isinstance(step, pages.File):
            path = folder / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
        elif step.watches:
            run_watch(step, server, folder, environment)
        else:
            done = subprocess.run(
                ["bash", "-euc", step.commands], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                capture_output=True, encoding="utf-8", timeout=STEP_SECONDS_MAX, check=False)
            logs = "".join(log.read_text(errors="replace") for log in folder.glob("*.log"))
            assert done.returncode == 0, done.stdout + done.stderr + logs
            assert COLOURS.sub("", done.stdout) == step.output, done.stderr
