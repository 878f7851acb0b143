"""The guarantees for a client that repeats a request with its request_id. test_contract.py tests every method."""

import concurrent.futures

import grpc
import pytest
from google.protobuf import duration_pb2

from harness import Server, eventually, failure_of, item_failure, object_id
from holdfast.v1 import batch_processor_service_pb2 as batch_pb
from holdfast.v1 import counter_service_pb2 as counter_pb
from holdfast.v1 import object_service_pb2 as object_pb

HOUR = duration_pb2.Duration(seconds=3600)


def increment(ref, request_id="", amount=1):
    return counter_pb.IncrementRequest(object=ref, request_id=request_id, amount=amount)


def value(api, ref):
    return api.counter.GetValue(counter_pb.GetValueRequest(object=ref)).value


def unique_number(api, ref, request_id=""):
    return api.counter.GetUniqueNumber(counter_pb.GetUniqueNumberRequest(object=ref, request_id=request_id)).number


def reused(failure):
    return (failure.code, failure.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


def test_a_repeated_change_has_one_effect(api, ref):
    assert [api.counter.Increment(increment(ref, "once")).value for _ in range(3)] == [1, 1, 1]
    assert api.counter.Increment(increment(ref, "again")).value == 2
    assert api.counter.Increment(increment(ref)).value == 3
    assert api.counter.Increment(increment(ref, "once")).value == 1, "the reply of then, not of now"
    assert value(api, ref) == 3
    assert [unique_number(api, ref, id) for id in ("a", "b", "a", "")] == [0, 1, 0, 2]


def test_the_same_id_with_another_request_does_nothing(api, ref):
    api.counter.Increment(increment(ref, "once"))
    assert reused(failure_of(lambda: api.counter.Increment(increment(ref, "once", 2))))
    assert value(api, ref) == 1
    assert api.counter.Increment(increment(ref, "once")).value == 1, "and the first request is still known"


def test_each_object_has_ids_of_its_own(api, make_ref):
    for ref in (make_ref("a"), make_ref("b"), make_ref("a", "elsewhere")):
        assert api.counter.Increment(increment(ref, "once")).value == 1
        api.objects.PutEntries(
            object_pb.PutEntriesRequest(object=object_id(ref), request_id="once", entries=[object_pb.Entry(key="k")])
        )


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_ids_are_known_after_a_restart(own_server, ref, end):
    assert own_server.api.counter.Increment(increment(ref, "once")).value == 1
    put = object_pb.PutEntriesRequest(
        object=object_id(ref), request_id="once", entries=[object_pb.Entry(key="k", value=b"old")]
    )
    own_server.api.objects.PutEntries(put)
    end(own_server)
    api = own_server.start().api
    assert api.counter.Increment(increment(ref, "once")).value == 1
    assert value(api, ref) == 1
    api.objects.DeleteEntries(object_pb.DeleteEntriesRequest(object=object_id(ref), keys=["k"]))
    api.objects.PutEntries(put)
    assert not api.objects.GetEntries(object_pb.GetEntriesRequest(object=object_id(ref), keys=["k"])).entries


def test_a_call_that_was_cut_off_by_a_kill_is_repeated_until_it_is_answered(own_server, ref):
    """Every number from 1 on is answered exactly once, whatever the kills cut off."""
    answers = []
    for kill in range(2):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:

            def write():
                with pytest.raises(grpc.RpcError):
                    while True:
                        answers.append(own_server.api.counter.Increment(increment(ref, f"call {len(answers)}")).value)

            writing = pool.submit(write)
            eventually(lambda: len(answers) >= 20 * (kill + 1) or writing.done(), 60, "writes under way")
            own_server.kill()
            writing.result(60)
        own_server.start()
    answers.append(own_server.api.counter.Increment(increment(ref, f"call {len(answers)}")).value)
    assert answers == list(range(1, len(answers) + 1))


def test_ids_are_known_after_delete_all(api, obj):
    put = object_pb.PutEntriesRequest(object=obj, request_id="once", entries=[object_pb.Entry(key="k")])
    api.objects.PutEntries(put)
    api.objects.DeleteAll(object_pb.DeleteAllRequest(object=obj, request_id="delete"))
    api.objects.PutEntries(put)
    assert not api.objects.ListEntries(object_pb.ListEntriesRequest(object=obj)).entries
    put.request_id = ""
    api.objects.PutEntries(put)
    api.objects.DeleteAll(object_pb.DeleteAllRequest(object=obj, request_id="delete"))
    assert api.objects.ListEntries(object_pb.ListEntriesRequest(object=obj)).entries, "deleted once, not twice"


def test_a_flush_is_not_repeated(api, ref):
    api.batch.ConfigureBatch(batch_pb.ConfigureBatchRequest(object=ref, config=batch_pb.BatchConfig(delay=HOUR)))
    api.batch.AddItems(batch_pb.AddItemsRequest(object=ref, items=["a", "b"]))
    flush = lambda: api.batch.FlushBatch(batch_pb.FlushBatchRequest(object=ref, request_id="once")).processed_count
    assert flush() == 2
    api.batch.AddItems(batch_pb.AddItemsRequest(object=ref, items=["c"]))
    assert flush() == 2
    assert api.batch.GetBatchStatus(batch_pb.GetBatchStatusRequest(object=ref)).pending_count == 1


def test_the_items_of_a_batch_and_of_a_stream_have_ids(api, ref):
    items = [increment(ref, "a"), increment(ref, "a"), increment(ref, "a", 5), increment(ref), increment(ref, "b")]

    def outcomes(results):
        assert reused(item_failure(results[2].error))
        return [result.response.value for index, result in enumerate(results) if index != 2]

    batch = lambda: list(api.counter.BatchIncrement(counter_pb.BatchIncrementRequest(increments=items)).results)
    assert outcomes(batch()) == [1, 1, 2, 3]
    assert outcomes(batch()) == [1, 1, 4, 3], "only the item without an id has happened again"
    stream = api.counter.StreamIncrement(counter_pb.StreamIncrementRequest(increment=item) for item in items)
    assert outcomes([reply.result for reply in stream]) == [1, 1, 5, 3]
    assert value(api, ref) == 5
