"""The life of the process: health, a clean end, SIGKILL, and starts that are refused."""

import contextlib
import dataclasses
import signal
import subprocess
import threading

import grpc
import pytest
from google.protobuf import duration_pb2
from grpc_health.v1 import health_pb2

from harness import START_TIMEOUT_S, Api, Server, eventually, free_port
from holdfast.v1 import batch_processor_service_pb2 as batch_pb
from holdfast.v1 import counter_service_pb2 as counter_pb
from holdfast.v1 import rate_limiter_service_pb2 as limiter_pb
from holdfast.v1 import user_cache_service_pb2 as users_pb

LIMIT = limiter_pb.RateLimit(key="alice", limit=3, window=duration_pb2.Duration(seconds=3600))


def increment(api, ref, amount=1):
    return api.counter.Increment(counter_pb.IncrementRequest(object=ref, amount=amount)).value


def value(api, ref):
    return api.counter.GetValue(counter_pb.GetValueRequest(object=ref)).value


def unique_number(api, ref):
    return api.counter.GetUniqueNumber(counter_pb.GetUniqueNumberRequest(object=ref)).number


def configure_delay(api, ref, delay):
    api.batch.ConfigureBatch(batch_pb.ConfigureBatchRequest(object=ref, config=batch_pb.BatchConfig(delay=delay)))


def add(api, ref, *items):
    return api.batch.AddItems(batch_pb.AddItemsRequest(object=ref, items=items))


def processed(api, ref):
    found, token = [], ""
    while True:
        reply = api.batch.ListProcessedItems(
            batch_pb.ListProcessedItemsRequest(object=ref, page_size=1000, page_token=token)
        )
        found += [(item.sequence, item.item) for item in reply.items]
        token = reply.next_page_token
        if not token:
            return found


def check(api, ref):
    return api.limiter.CheckLimit(limiter_pb.CheckLimitRequest(object=ref, check=LIMIT))


def test_health(api):
    assert api.health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as raised:
        api.health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_is_watched_to_the_end(own_server):
    watch = own_server.api.health.Watch(health_pb2.HealthCheckRequest(), timeout=60)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    own_server.stop()
    # The drain says NOT_SERVING, or the server is gone already; in no case does health still say SERVING.
    with contextlib.suppress(grpc.RpcError, StopIteration):
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING


def write_one_of_each(api, ref):
    assert increment(api, ref, 42) == 42
    assert [unique_number(api, ref) for _ in range(3)] == [0, 1, 2]
    assert [check(api, ref).allowed for _ in range(3)] == [True] * 3
    configure_delay(api, ref, duration_pb2.Duration(seconds=3600))
    add(api, ref, "processed")
    api.batch.FlushBatch(batch_pb.FlushBatchRequest(object=ref))
    pending = add(api, ref, "pending")
    user = users_pb.User(id="u1", name="Ada", email="ada@example.com")
    user.attributes.update({"plan": "pro"})
    written = api.users.UpdateUser(users_pb.UpdateUserRequest(object=ref, user=user, allow_missing=True)).user
    return pending, written


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_everything_answered_is_there_after_a_restart(own_server, ref, end):
    pending, user = write_one_of_each(own_server.api, ref)
    end(own_server)
    api = own_server.start().api
    assert value(api, ref) == 42
    assert unique_number(api, ref) == 3
    assert not check(api, ref).allowed, "a restart forgets no limit"
    assert processed(api, ref) == [(1, "processed")]
    status = api.batch.GetBatchStatus(batch_pb.GetBatchStatusRequest(object=ref))
    assert (status.pending_count, status.next_flush_time) == (1, pending.next_flush_time)
    assert api.batch.FlushBatch(batch_pb.FlushBatchRequest(object=ref)).processed_count == 1
    assert processed(api, ref) == [(1, "processed"), (2, "pending")]
    assert api.users.GetUser(users_pb.GetUserRequest(object=ref, id="u1")).user == user


def test_an_alarm_that_fell_due_while_the_server_was_down_fires(own_server, ref):
    configure_delay(own_server.api, ref, duration_pb2.Duration(nanos=500_000_000))
    due = add(own_server.api, ref, "a", "b").next_flush_time
    own_server.kill()
    api = own_server.start().api
    eventually(lambda: len(processed(api, ref)) == 2, what="processed after the restart")
    assert processed(api, ref) == [(1, "a"), (2, "b")]
    listed = api.batch.ListProcessedItems(batch_pb.ListProcessedItemsRequest(object=ref)).items
    assert all(item.process_time.ToNanoseconds() >= due.ToNanoseconds() for item in listed)


@dataclasses.dataclass
class Acknowledged:
    """The answers that one writer got before the server was killed."""

    increments: int = 0
    last_value: int = 0
    numbers: list = dataclasses.field(default_factory=list)
    items: list = dataclasses.field(default_factory=list)


class Writers:
    """Threads that write until their calls fail, each to a counter of its own, to a shared counter, and to one
    batch."""

    def __init__(self, api, own, shared, batch, name=""):
        self.results = [Acknowledged() for _ in own]
        self._threads = [
            threading.Thread(target=self._write, args=(api, own[index], shared, batch, mine, f"{name}/{index}"))
            for index, mine in enumerate(self.results)
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _write(api, own, shared, batch, mine, name):
        with contextlib.suppress(grpc.RpcError):
            while True:
                mine.last_value = increment(api, own)
                increment(api, shared)
                mine.increments += 1
                mine.numbers.append(unique_number(api, shared))
                item = f"{name}/{mine.increments}"
                add(api, batch, item)
                mine.items.append(item)

    def join(self):
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def test_sigkill_in_the_midst_of_writes_loses_nothing_that_was_acknowledged(own_server, make_ref):
    own, shared, batch = [make_ref(f"own{i}") for i in range(6)], make_ref("shared"), make_ref("batch")
    configure_delay(own_server.api, batch, duration_pb2.Duration(nanos=50_000_000))
    numbers, items, increments = [], [], 0
    for kill in range(3):
        floor = [value(own_server.api, ref) for ref in own]
        writers = Writers(own_server.api, own, shared, batch, f"kill {kill}")
        eventually(lambda: min(len(one.items) for one in writers.results) >= 20, 60, "writes under way")
        own_server.kill()
        writers.join()
        api = own_server.start().api
        for ref, one, before in zip(own, writers.results, floor):
            # One call of each writer was cut off, with or without its effect.
            assert value(api, ref) in (one.last_value, one.last_value + 1)
            assert value(api, ref) >= before + one.increments
            increments += one.increments
            numbers += one.numbers
            items += one.items
    assert len(set(numbers)) == len(numbers), "no unique number was given twice"
    assert unique_number(own_server.api, shared) > max(numbers)
    cut_off = 3 * len(own)
    assert increments <= value(own_server.api, shared) <= increments + cut_off
    own_server.api.batch.FlushBatch(batch_pb.FlushBatchRequest(object=batch))
    found = processed(own_server.api, batch)
    assert [sequence for sequence, _ in found] == list(range(1, len(found) + 1)), "in order, none missing, none twice"
    texts = [text for _, text in found]
    assert len(set(texts)) == len(texts)
    assert len(texts) <= len(items) + cut_off
    assert not set(items) - set(texts), "every acknowledged item was processed"


def test_a_call_in_progress_is_answered_when_the_server_drains(own_server, ref):
    """SIGTERM while writers write: each acknowledged write is there afterwards, and the exit is clean."""
    writers = Writers(own_server.api, [ref], ref, ref)
    eventually(lambda: len(writers.results[0].items) >= 5, 60, "writes under way")
    own_server.stop()
    writers.join()
    api = own_server.start().api
    one = writers.results[0]
    # Each round of the writer increments this counter twice; the last round may have been cut off anywhere.
    assert 2 * one.increments <= value(api, ref) <= 2 * one.increments + 2


def refused_start(address, data_dir, log_path):
    """Returns the exit status and the output of a start that must fail."""
    process = Server.launch(address, data_dir, log_path)
    try:
        status = process.wait(START_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        pytest.fail(f"it started; its log:\n{log_path.read_text()}")
    return status, log_path.read_text()


def test_a_second_process_on_the_same_data_is_refused(own_server, ref, tmp_path):
    increment(own_server.api, ref)
    status, log = refused_start(f"127.0.0.1:{free_port()}", own_server.data_dir, tmp_path / "second.log")
    assert status > 0, log
    assert str(own_server.data_dir) in log
    assert increment(own_server.api, ref) == 2, "the first one goes on"


def test_a_port_in_use_is_refused(own_server, tmp_path):
    status, log = refused_start(own_server.address, tmp_path / "other-data", tmp_path / "second.log")
    assert status > 0, log
    assert own_server.address in log


def test_a_public_address_without_tls_is_refused(tmp_path):
    status, log = refused_start(f"0.0.0.0:{free_port()}", tmp_path / "data", tmp_path / "public.log")
    assert status > 0, log
    assert "insecure_listen" in log


def test_two_servers_are_apart(own_server, shared_server, ref):
    assert increment(own_server.api, ref, 5) == 5
    other = Api(shared_server.address)
    try:
        assert value(other, ref) == 0
    finally:
        other.close()


def test_sigint_ends_it_cleanly_too(own_server, ref):
    increment(own_server.api, ref)
    assert own_server.end(signal.SIGINT) == 0, own_server.log()
    assert value(own_server.start().api, ref) == 1
