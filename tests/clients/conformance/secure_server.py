"""A server with TLS, tokens and rules on loopback, and before it a flaky one; for tests of clients in any language."""

import concurrent.futures
import contextlib
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import time

import grpc

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30
FLAKY_ATTEMPTS = 2
# The two files of the service config, which clients in all languages use as they are.
CONFIGS = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", "..", "client"))
RULES = """
authorization {
  rule { principal: "writer" verb: READ verb: WRITE }
  rule { principal: "reader" verb: READ }
}
"""


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_certificates(folder):
    """Makes an authority and the certificate of a server on this machine."""
    def openssl(*arguments):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             *arguments], cwd=folder, check=True, capture_output=True)

    openssl("-subj", "/CN=Holdfast CA", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("-CA", "ca.crt", "-CAkey", "ca.key", "-subj", "/CN=holdfast", "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", "tls.key", "-out", "tls.crt")
    for key in ("ca.key", "tls.key"):
        os.chmod(folder / key, 0o600)


def make_tokens(folder):
    """Makes a token for each principal, NAME.token, and the server's file of them."""
    lines = []
    for name in ("writer", "reader"):
        token = "hf_" + secrets.token_urlsafe(32)
        path = folder / f"{name}.token"
        path.write_text(token + "\n")
        os.chmod(path, 0o600)
        lines.append(f"{name} {hashlib.sha256(token.encode()).hexdigest()}\n")
    (folder / "tokens").write_text("".join(lines))
    os.chmod(folder / "tokens", 0o600)


class Flaky(grpc.GenericRpcHandler):
    """Passes unary calls on, but for the first attempts of each, which a client marks as gRPC says."""

    def __init__(self, channel):
        self.channel = channel

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self.call(details.method, request, context))

    def call(self, method, request, context):
        metadata = dict(context.invocation_metadata())
        if int(metadata.get("grpc-previous-rpc-attempts", "0")) < FLAKY_ATTEMPTS:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        passed = [("authorization", metadata["authorization"])]
        return self.channel.unary_unary(method)(request, metadata=passed, timeout=context.time_remaining())


class SecureServer:
    """Runs holdfastd with its data in `folder`; a context manager. restart() ends it and starts it again."""

    def __init__(self, program, folder):
        self.program, self.folder, self.port = program, folder, free_port()
        self.process = self.flaky = self.channel = None
        make_certificates(folder)
        make_tokens(folder)
        (folder / "holdfast.textproto").write_text(
            f'listen: "127.0.0.1:{self.port}"\ndata_dir: "{folder}/data"\n'
            'tls { certificate_file: "tls.crt" private_key_file: "tls.key" }\n'
            'authentication { token_file: "tokens" }\n' + RULES)

    @property
    def address(self):
        return f"localhost:{self.port}"

    def __enter__(self):
        self.start()
        try:
            self.start_flaky()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.flaky.stop(0).wait()
        self.channel.close()
        self.stop()

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--config", "holdfast.textproto"], cwd=self.folder, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS_MAX
        while True:
            with contextlib.closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise RuntimeError("holdfastd did not start:\n" + (self.folder / "log").read_text(errors="replace"))
            time.sleep(0.02)  # the time between two polls

    def start_flaky(self):
        authority = (self.folder / "ca.crt").read_bytes()
        self.channel = grpc.secure_channel(self.address, grpc.ssl_channel_credentials(authority))
        self.flaky = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=(Flaky(self.channel),))
        pair = ((self.folder / "tls.key").read_bytes(), (self.folder / "tls.crt").read_bytes())
        self.flaky_port = self.flaky.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        self.flaky.start()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        if status != 0:
            raise RuntimeError(f"holdfastd ended with {status}")

    def restart(self):
        self.stop()
        self.start()

    def environment(self):
        """Returns the environment of a client: addresses, files, and the folder of the service configs."""
        return {
            "HOLDFAST_ADDRESS": self.address,
            "HOLDFAST_FLAKY": f"localhost:{self.flaky_port}",
            "HOLDFAST_CA": str(self.folder / "ca.crt"),
            "HOLDFAST_TOKEN": str(self.folder / "writer.token"),
            "HOLDFAST_READER_TOKEN": str(self.folder / "reader.token"),
            "HOLDFAST_CONFIGS": CONFIGS,
        }
