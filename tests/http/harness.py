"""A server with an HTTP port, and clients that are as small as they can be: of requests, and of bytes."""

import hashlib
import json
import os
import pathlib
import secrets
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

HOLDFASTD = os.environ.get("HOLDFASTD", "")
# The sanitizers with which the server is built; "" without.
SANITIZE = os.environ.get("HOLDFAST_SANITIZE", "")
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
ANSWER_TIMEOUT_S = 60

COUNTERS = "/holdfast.v1.CounterService"
OBJECTS = "/holdfast.v1.ObjectService"
HEALTH = "/grpc.health.v1.Health"


class Server:
    """holdfastd with its own folder, on ports that it chooses."""

    def __init__(self, http="", config="", has_tls=False):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        (self.path / "holdfast.conf").write_text(
            f'listen: "127.0.0.1:0"\ndata_dir: "{self.path}/data"\nhttp {{ listen: "127.0.0.1:0" {http} }}\n{config}\n')
        self.has_tls = has_tls
        self.log = open(self.path / "log", "wb")
        self.process = subprocess.Popen([HOLDFASTD, "--config", self.path / "holdfast.conf"], stderr=self.log)
        self.port = self._port_of("http")
        self.grpc_port = self._port_of("serving")

    def _port_of(self, event):
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            for line in (self.path / "log").read_text().splitlines():
                fields = json.loads(line) if line.startswith("{") else {}
                if fields.get("event") == event:
                    return int(fields["listen"].rsplit(":", 1)[1])
            time.sleep(0.02)  # the time between two looks; nothing relies on its length
        raise AssertionError(f"no event {event} in:\n{(self.path / 'log').read_text()}")

    def stop(self):
        """Ends the server as an operator does, and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)

    def discard(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def metric(self, name):
        """The sum of the series whose names begin so, labels included."""
        text = self.get("/metrics").body.decode()
        values = [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name)]
        if not values:
            raise AssertionError(f"no metric {name}")
        return sum(float(value) for value in values)

    # --- Clients

    def connect(self, tls=None):
        return Connection(self.port, tls)

    def get(self, path, headers=(), tls=None):
        return self.request("GET", path, headers, tls=tls)

    def request(self, method, path, headers=(), body=b"", tls=None):
        connection = self.connect(tls)
        try:
            connection.send(request_bytes(method, path, [*headers, ("Connection", "close")], body))
            return connection.answer(method)
        finally:
            connection.close()

    def call(self, method, message, headers=(), tls=None, content_type="application/json"):
        """Calls a method with JSON; returns the answer."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.request("POST", method, [("Content-Type", content_type), *headers], body, tls)


def request_bytes(method, path, headers=(), body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers)]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]}"


class Connection:
    """A connection of which each byte is the test's."""

    def __init__(self, port, tls=None, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(ANSWER_TIMEOUT_S)
        self.socket.connect(("127.0.0.1", port))
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        self.socket.close()

    def _more(self):
        """Returns whether there were more bytes."""
        try:
            data = self.socket.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return False
        self.rest += data
        return bool(data)

    def read_until(self, mark):
        while mark not in self.rest:
            if not self._more():
                raise EOFError(f"the connection ended behind {self.rest[:500]}")
        found, self.rest = self.rest.split(mark, 1)
        return found

    def read(self, count):
        while len(self.rest) < count:
            if not self._more():
                raise EOFError(f"the connection ended {count - len(self.rest)} bytes too soon")
        found, self.rest = self.rest[:count], self.rest[count:]
        return found

    def is_closed(self):
        """Waits for the end of the connection; returns the bytes before it."""
        while self._more():
            pass
        return self.rest

    def head(self):
        lines = self.read_until(b"\r\n\r\n").decode().split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            headers[name] = value
        return int(lines[0].split(" ")[1]), headers

    def chunk(self):
        """Reads a chunk of a body; b"" is the last one."""
        data = self.read(int(self.read_until(b"\r\n"), 16))
        self.read(2)
        return data

    def answer(self, method="GET"):
        status, headers = self.head()
        body = b""
        if method != "HEAD" and status not in (100, 204, 304):
            if headers.get("transfer-encoding") == "chunked":
                while chunk := self.chunk():
                    body += chunk
            else:
                body = self.read(int(headers["content-length"]))
        return Answer(status, headers, body)


def envelope(message, flags=0):
    return struct.pack(">BI", flags, len(message)) + message


def envelopes(body):
    """Yields the flags and the message of each envelope."""
    while body:
        flags, size = struct.unpack(">BI", body[:5])
        yield flags, body[5:5 + size]
        body = body[5 + size:]


def new_token():
    """Returns a token, and the hash that stands for it in a file of tokens."""
    token = "hf_" + secrets.token_urlsafe(32)
    return token, hashlib.sha256(token.encode()).hexdigest()


class Certificates:
    """An authority and what it signs, made by the openssl of the command line."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                      "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name, alternative="DNS:localhost"):
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n" if alternative else "")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                      "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-days", "1", "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    def client(self, name=None):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if name:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context


class Case(unittest.TestCase):
    """Tests that share a server, which must be well in the end."""

    HTTP = ""
    CONFIG = ""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.HTTP, cls.CONFIG)
        cls.addClassCleanup(cls.server.discard)

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(), "the server has ended")
        self.assertEqual(self.server.get("/healthz").status, 200)

    def eventually(self, condition, what, timeout_s=30):
        end = time.monotonic() + timeout_s
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)  # the time between two looks; nothing relies on its length

    def expect_cheap(self, what, count, before, bytes_max):
        """Checks the memory that each of so many connections takes. A sanitizer's own memory would be counted too."""
        each = (self.server.resident_bytes() - before) / count
        print(f"{what}: {count}, resident bytes of each: {each:.0f}")
        if not SANITIZE:
            self.assertLess(each, bytes_max)

    def expect_error(self, answer, status, code, reason=None, says=""):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        error = answer.json()
        self.assertEqual(error["code"], code, answer)
        self.assertIn(says, error.get("message", ""))
        if reason:
            reasons = [detail["debug"]["reason"] for detail in error["details"]
                       if detail["type"] == "google.rpc.ErrorInfo"]
            self.assertEqual(reasons, [reason], answer)
        return error
