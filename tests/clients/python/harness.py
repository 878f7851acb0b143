"""The base of the tests: a server process, stubs with deadlines, and errors parsed as a client parses them."""

import collections
import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import time

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from holdfast.v1 import batch_processor_service_pb2_grpc as batch_grpc
from holdfast.v1 import counter_service_pb2_grpc as counter_grpc
from holdfast.v1 import errors_pb2
from holdfast.v1 import object_service_pb2_grpc as object_grpc
from holdfast.v1 import rate_limiter_service_pb2_grpc as limiter_grpc
from holdfast.v1 import types_pb2
from holdfast.v1 import user_cache_service_pb2_grpc as users_grpc

CALL_TIMEOUT_S = 20
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30
PORT_TRIES = 3

RETRYABLE_REASONS = {
    "MAILBOX_FULL",
    "SERVER_OVERLOADED",
    "DISK_FULL",
    "STARTING",
    "DRAINING",
    "OBJECT_RESET",
}


def eventually(condition, timeout_s=15, what="the condition"):
    """Returns the first true value of condition(), which is polled until the time is over."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"{what}: not within {timeout_s} s; last seen: {value!r}")
        time.sleep(0.02)  # the time between two polls; nothing relies on its length


# --- Stubs


class _CallDetails(
    collections.namedtuple(
        "_CallDetails", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")
    ),
    grpc.ClientCallDetails,
):
    pass


class _Deadline(
    grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor
):
    """Gives a deadline to every call that has none, so that a server that hangs fails a test instead of stopping it."""

    def _with_deadline(self, details):
        return _CallDetails(
            details.method,
            details.timeout if details.timeout is not None else CALL_TIMEOUT_S,
            details.metadata,
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )

    def intercept_unary_unary(self, continuation, client_call_details, request):
        return continuation(self._with_deadline(client_call_details), request)

    def intercept_unary_stream(self, continuation, client_call_details, request):
        return continuation(self._with_deadline(client_call_details), request)

    def intercept_stream_stream(self, continuation, client_call_details, request_iterator):
        return continuation(self._with_deadline(client_call_details), request_iterator)


class Api:
    """One channel and the stubs of all services."""

    def __init__(self, address):
        # Connections that all channels of the process share could outlive the server that they led to.
        self.plain_channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.channel = grpc.intercept_channel(self.plain_channel, _Deadline())
        self.counter = counter_grpc.CounterServiceStub(self.channel)
        self.limiter = limiter_grpc.RateLimiterServiceStub(self.channel)
        self.batch = batch_grpc.BatchProcessorServiceStub(self.channel)
        self.users = users_grpc.UserCacheServiceStub(self.channel)
        self.objects = object_grpc.ObjectServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def is_serving(self):
        try:
            reply = self.health.Check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return reply.status == health_pb2.HealthCheckResponse.SERVING

    def close(self):
        self.plain_channel.close()


def object_id(ref, object_class=""):
    """Returns ObjectService's id of the object that `ref` is in the service of its class; no class means "Object"."""
    return types_pb2.ObjectId(namespace=ref.namespace, name=ref.name, object_class=object_class)


# --- Errors


@dataclasses.dataclass
class Failure:
    """An error of the server, with its details."""

    code: grpc.StatusCode
    message: str
    reason: str
    details: status_pb2.Status

    @classmethod
    def from_status(cls, status):
        codes = {code.value[0]: code for code in grpc.StatusCode}
        infos = _unpack(status, error_details_pb2.ErrorInfo)
        assert len(infos) == 1, f"one ErrorInfo is due, there are {len(infos)}: {status}"
        assert infos[0].domain == "holdfast"
        assert "ERROR_REASON_" + infos[0].reason in errors_pb2.ErrorReason.keys()
        assert len(status.message.encode()) <= 1024
        assert sum(detail.ByteSize() for detail in status.details) <= 4096
        has_retry_info = bool(_unpack(status, error_details_pb2.RetryInfo))
        assert has_retry_info == (infos[0].reason in RETRYABLE_REASONS), str(status)
        return cls(codes[status.code], status.message, infos[0].reason, status)

    @property
    def fields(self):
        """Returns the fields that google.rpc.BadRequest names, each with a description."""
        result = []
        for detail in _unpack(self.details, error_details_pb2.BadRequest):
            for violation in detail.field_violations:
                assert violation.description, f"no description of {violation.field}"
                result.append(violation.field)
        return result


def _unpack(status, message_type):
    found = []
    for detail in status.details:
        message = message_type()
        if detail.Unpack(message):
            found.append(message)
    return found


def failure_of(call):
    """Makes a call that must fail, and returns its error, read from grpc-status-details-bin as any client does."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    error = raised.value
    trailers = dict(error.trailing_metadata() or ())
    assert "grpc-status-details-bin" in trailers, f"an error without details: {error}"
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    failure = Failure.from_status(status)
    assert failure.code == error.code()
    assert failure.message == error.details()
    return failure


def item_failure(item_error):
    """Returns the error of an item of a batch or stream: its wire form is that of google.rpc.Status."""
    return Failure.from_status(status_pb2.Status.FromString(item_error.SerializeToString()))


def assert_invalid(failure, field):
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"), failure
    assert failure.fields == [field]


# --- The server process


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts_connections(address):
    host, port = address.split(":")
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex((host, int(port))) == 0


class Server:
    """A holdfastd over one data directory. A test can end it and start it again; the data stays."""

    def __init__(self, directory):
        self.data_dir = directory / "data"
        self.log_path = directory / "holdfastd.log"
        self.api = None
        self.address = None
        self._process = None

    @staticmethod
    def launch(address, data_dir, log_path):
        """Starts a process and waits for nothing."""
        with open(log_path, "ab") as log:
            return subprocess.Popen(
                [os.environ["HOLDFASTD"], "--listen", address, "--data-dir", str(data_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self):
        return self._process.pid

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self):
        """Starts the server, and returns when health says SERVING."""
        assert self._process is None, "started already"
        self._close_api()
        for attempt in range(PORT_TRIES):
            self.address = f"127.0.0.1:{free_port()}"
            self._process = self.launch(self.address, self.data_dir, self.log_path)
            ended = lambda: self._process.poll() is not None
            # A channel that was refused once waits for seconds before it connects again.
            eventually(lambda: accepts_connections(self.address) or ended(), START_TIMEOUT_S, "listening")
            self.api = Api(self.address)
            eventually(lambda: self.api.is_serving() or ended(), START_TIMEOUT_S, "serving, according to its health")
            if not ended():
                return self
            # Another program may have taken the port between the search for a free port and the start.
            self._close_api()
            self._process = None
            if "in use" not in self.log().lower() or attempt == PORT_TRIES - 1:
                pytest.fail(f"the server did not start; its log:\n{self.log()}")
        return self

    def start_again(self):
        """Starts the server after an end, at the same address, so that clients continue. Returns when it accepts
        connections."""
        assert self._process is None, "started already"
        self._process = self.launch(self.address, self.data_dir, self.log_path)
        ended = lambda: self._process.poll() is not None
        eventually(lambda: accepts_connections(self.address) or ended(), START_TIMEOUT_S, "listening")
        if ended():
            pytest.fail(f"the server did not start again; its log:\n{self.log()}")

    def end(self, signal_number):
        """Sends the signal, waits for the end, and returns the exit status (negative: the signal that ended it).

        The stubs stay as they are until the next start: threads may be calling them.
        """
        process, self._process = self._process, None
        process.send_signal(signal_number)
        try:
            status = process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"the server did not end within {STOP_TIMEOUT_S} s; its log:\n{self.log()}")
        return status

    def stop(self):
        """Ends the server cleanly; any exit status but 0 is a failure."""
        status = self.end(signal.SIGTERM)
        assert status == 0, f"exit status {status} after SIGTERM; its log:\n{self.log()}"

    def kill(self):
        assert self.end(signal.SIGKILL) == -signal.SIGKILL

    def discard(self):
        """Ends the process after a test. The process must not have ended by itself."""
        self._close_api()
        if self._process is None:
            return
        status = self._process.poll()
        if status is not None:
            self._process = None
            pytest.fail(f"the server ended by itself with status {status}; its log:\n{self.log()}")
        self.stop()

    def _close_api(self):
        if self.api is not None:
            self.api.close()
            self.api = None
