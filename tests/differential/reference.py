"""The reference: workerd, Cloudflare's runtime, on loopback. A worker shows the storage of its durable objects over
HTTP."""

import http.client
import json
import os
import pathlib
import select
import subprocess
import threading
import time

HERE = pathlib.Path(__file__).parent
SOCKETS = 2
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
CALL_TIMEOUT_S = 20
IDLE_MAX_S = 2


class Workerd:
    """One workerd process over one directory."""

    name = "workerd"
    is_workerd = True

    def __init__(self, directory):
        self._data_dir = directory / "data"
        self._log_path = directory / "workerd.log"
        self._ports = {}
        self._process = None
        self._connections = threading.local()

    def start(self):
        self._data_dir.mkdir(parents=True)
        reader, writer = os.pipe()
        with open(self._log_path, "ab") as log:
            self._process = subprocess.Popen(
                [
                    os.environ["WORKERD"],
                    "serve",
                    str(HERE / "workerd.capnp"),
                    f"--directory-path=disk={self._data_dir}",
                    f"--control-fd={writer}",
                ],
                pass_fds=[writer],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        os.close(writer)
        with os.fdopen(reader, "rb", buffering=0) as control:
            self._ports = self._read_ports(control)

    def _read_ports(self, control):
        """Returns the ports that the operating system chose; the control pipe tells each in a line of JSON."""
        ports, text = {}, b""
        end = time.monotonic() + START_TIMEOUT_S
        while len(ports) < SOCKETS:
            ready, _, _ = select.select([control], [], [], max(0, end - time.monotonic()))
            chunk = control.read(4096) if ready else b""
            if not chunk:
                raise RuntimeError(f"workerd did not start; its log:\n{self.log()}")
            *lines, text = (text + chunk).split(b"\n")
            for event in map(json.loads, lines):
                if event["event"] == "listen":
                    ports[event["socket"]] = event["port"]
        return ports

    def log(self):
        return self._log_path.read_text(errors="replace")

    def stop(self):
        process, self._process = self._process, None
        if process is None:
            return
        ended = process.poll()
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if ended is not None:
            raise RuntimeError(f"workerd ended by itself with status {ended}; its log:\n{self.log()}")

    def open(self, name, keeps_alarm):
        """With keeps_alarm, deleteAll() leaves the alarm alone."""
        return WorkerdObject(self, "keeps" if keeps_alarm else "deletes", name)

    def _connection(self, worker):
        """Returns a connection of this thread. workerd closes connections that are idle for 5 s, so that those are not
        reused."""
        mine = self._connections.__dict__
        if worker in mine and time.monotonic() - mine[worker].used_at > IDLE_MAX_S:
            mine.pop(worker).close()
        if worker not in mine:
            mine[worker] = http.client.HTTPConnection("127.0.0.1", self._ports[worker], timeout=CALL_TIMEOUT_S)
            mine[worker].used_at = time.monotonic()
        return mine[worker]

    def call(self, worker, method, path, body=None):
        connection = self._connection(worker)
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        text = response.read()
        connection.used_at = time.monotonic()
        if response.status != 200:
            raise RuntimeError(f"workerd: {method} {path}: {response.status} {text[:500]!r}")
        return json.loads(text)


class WorkerdObject:
    def __init__(self, workerd, worker, name):
        self._workerd, self._worker, self._name = workerd, worker, name

    def do(self, operation):
        if operation["op"] == "unload":
            answer = self._call("POST", "do", operation)
            return {"value": None} if answer == {"broken": "unload"} else answer
        return self._call("POST", "do", operation)

    def plan(self, attempts):
        self._call("POST", "alarms", attempts)

    def runs(self):
        return self._call("GET", "alarms")

    def release(self, end):
        self._call("POST", "release", end)

    def abandon(self):
        """Ends a handler that holds. Nothing more is expected of this object."""
        self.plan([])
        self.release({})

    def _call(self, method, what, body=None):
        return self._workerd.call(self._worker, method, f"/{self._name}/{what}", body)
