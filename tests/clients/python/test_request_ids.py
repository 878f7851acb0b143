"""The guarantees for a client that repeats a request with its request_id. test_contract.py tests every method."""

import concurrent.futures

import grpc
import pytest
from google.protobuf import duration_pb2

from harness import Server, eventually, failure_of, item_failure, object_id
from holdfast.v1 import batch_processor_service_pb2 as batch_pb
from holdfast.v1 import counter_service_pb2 as counter_pb
from holdfast.v1 import object_service_pb2 as object_pb
from holdfast.v1 import rate_limiter_service_pb2 as limiter_pb
from holdfast.v1 import user_cache_service_pb2 as users_pb

INT64_MAX = 2**63 - 1
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


def test_the_same_request_at_the_same_time_happens_once(api, ref):
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for round in range(10):
            calls = [pool.submit(api.counter.Increment, increment(ref, f"round {round}")) for _ in range(16)]
            assert {call.result().value for call in calls} == {round + 1}


def test_an_error_leaves_no_record(api, ref):
    api.counter.ResetCounter(counter_pb.ResetCounterRequest(object=ref, value=INT64_MAX))
    failure = failure_of(lambda: api.counter.Increment(increment(ref, "once")))
    assert failure.reason == "COUNTER_OVERFLOW"
    api.counter.ResetCounter(counter_pb.ResetCounterRequest(object=ref, value=5))
    assert api.counter.Increment(increment(ref, "once")).value == 6


def test_a_denied_or_peeked_limit_leaves_no_record(api, ref):
    def check(request_id, peek=False):
        limit = limiter_pb.RateLimit(key="alice", limit=1, window=HOUR)
        return api.limiter.CheckLimit(
            limiter_pb.CheckLimitRequest(object=ref, request_id=request_id, check=limit, peek=peek)
        ).allowed

    assert check("peeked", peek=True)
    assert check("peeked"), "a peek has left no record with which this would be another request"
    assert check("peeked"), "the same again, not a second one"
    assert not check("denied")
    api.limiter.ResetLimit(limiter_pb.ResetLimitRequest(object=ref, key="alice"))
    assert check("denied")


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


def test_a_reply_that_is_too_large_to_keep_is_refused_and_nothing_is_done(api, ref):
    user = users_pb.User(id="u1", name="n" * 512, email="e" * 512)
    user.attributes.update({"big": "x" * 65_400})
    update = lambda request_id: api.users.UpdateUser(
        users_pb.UpdateUserRequest(object=ref, request_id=request_id, user=user, allow_missing=True)
    )
    failure = failure_of(lambda: update("once"))
    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE")
    assert not api.users.ListUsers(users_pb.ListUsersRequest(object=ref)).users
    update("")
