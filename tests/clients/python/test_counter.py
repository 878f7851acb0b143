import concurrent.futures
import queue

import grpc
import pytest

from harness import assert_invalid, failure_of, item_failure
from holdfast.v1 import counter_service_pb2 as pb
from holdfast.v1 import types_pb2

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)


def increment(ref, amount=None):
    return pb.IncrementRequest(object=ref, amount=amount)


def value(api, ref):
    return api.counter.GetValue(pb.GetValueRequest(object=ref)).value


def test_increment_adds_and_returns_the_value_after(api, ref):
    assert value(api, ref) == 0
    assert api.counter.Increment(increment(ref)).value == 1
    assert api.counter.Increment(increment(ref, 41)).value == 42
    assert api.counter.Increment(increment(ref, 0)).value == 42
    assert api.counter.Increment(increment(ref, -50)).value == -8
    assert value(api, ref) == -8


def test_unique_numbers_are_a_sequence_of_their_own(api, ref):
    take = lambda: api.counter.GetUniqueNumber(pb.GetUniqueNumberRequest(object=ref)).number
    assert [take(), take()] == [0, 1]
    api.counter.Increment(increment(ref, 100))
    assert take() == 2
    api.counter.ResetCounter(pb.ResetCounterRequest(object=ref))
    assert take() == 3
    assert value(api, ref) == 0


def test_unique_numbers_under_concurrency(api, ref):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(api.counter.GetUniqueNumber, pb.GetUniqueNumberRequest(object=ref)) for _ in range(400)
        ]
        assert sorted(call.result().number for call in calls) == list(range(400))


def test_reset_returns_the_value_before(api, ref):
    api.counter.Increment(increment(ref, 7))
    reset = lambda to: api.counter.ResetCounter(pb.ResetCounterRequest(object=ref, value=to)).previous_value
    assert reset(-3) == 7
    assert value(api, ref) == -3
    assert reset(0) == -3
    assert value(api, ref) == 0


@pytest.mark.parametrize("limit, step", [(INT64_MAX, 1), (INT64_MIN, -1)])
def test_overflow_changes_nothing(api, ref, limit, step):
    api.counter.ResetCounter(pb.ResetCounterRequest(object=ref, value=limit))
    failure = failure_of(lambda: api.counter.Increment(increment(ref, step)))
    assert (failure.code, failure.reason) == (grpc.StatusCode.OUT_OF_RANGE, "COUNTER_OVERFLOW")
    assert value(api, ref) == limit


def test_batch_increment_answers_each_item_for_itself(api, make_ref):
    one, full = make_ref("one"), make_ref("full")
    api.counter.ResetCounter(pb.ResetCounterRequest(object=full, value=INT64_MAX))
    reply = api.counter.BatchIncrement(
        pb.BatchIncrementRequest(
            increments=[
                increment(one),
                increment(full),
                increment(types_pb2.ObjectRef()),
                increment(one, 10),
                increment(full, -1),
            ]
        )
    )
    outcomes = [result.WhichOneof("outcome") for result in reply.results]
    assert outcomes == ["response", "error", "error", "response", "response"]
    assert reply.results[0].response.value == 1
    assert reply.results[3].response.value == 11, "items on the same counter take effect in request order"
    assert reply.results[4].response.value == INT64_MAX - 1
    overflow, malformed = item_failure(reply.results[1].error), item_failure(reply.results[2].error)
    assert (overflow.code, overflow.reason) == (grpc.StatusCode.OUT_OF_RANGE, "COUNTER_OVERFLOW")
    assert malformed.code == grpc.StatusCode.INVALID_ARGUMENT
    assert len(malformed.fields) == 1 and malformed.fields[0].endswith("object.name")
    assert value(api, one) == 11


@pytest.mark.parametrize("count", [0, 1001])
def test_batch_increment_refuses_none_and_too_many(api, ref, count):
    request = pb.BatchIncrementRequest(increments=[increment(ref)] * count)
    assert_invalid(failure_of(lambda: api.counter.BatchIncrement(request)), "increments")
    assert value(api, ref) == 0


def test_batch_increment_takes_a_thousand(api, make_ref):
    refs = [make_ref(f"c{i}") for i in range(100)]
    request = pb.BatchIncrementRequest(increments=[increment(refs[i % 100]) for i in range(1000)])
    results = api.counter.BatchIncrement(request).results
    assert [result.response.value for result in results] == [i // 100 + 1 for i in range(1000)]


def test_stream_answers_in_request_order(api, make_ref):
    refs = [make_ref(f"c{i}") for i in range(10)]
    bad = 500

    def requests():
        for i in range(2000):  # several times as many as the server lets be outstanding
            ref = types_pb2.ObjectRef() if i == bad else refs[i % 10]
            yield pb.StreamIncrementRequest(increment=increment(ref))

    results = [reply.result for reply in api.counter.StreamIncrement(requests())]
    assert len(results) == 2000
    failure = item_failure(results[bad].error)
    assert failure.code == grpc.StatusCode.INVALID_ARGUMENT and failure.reason == "INVALID_FIELD"
    expected = dict.fromkeys(range(10), 0)
    for i, result in enumerate(results):
        if i == bad:
            continue
        expected[i % 10] += 1
        assert result.response.value == expected[i % 10]
    assert [value(api, ref) for ref in refs] == [199 if i == bad % 10 else 200 for i in range(10)]


def test_stream_answers_before_the_client_has_closed_its_side(api, ref):
    requests = queue.SimpleQueue()
    replies = api.counter.StreamIncrement(iter(requests.get, None))
    for expected in (1, 2, 3):
        requests.put(pb.StreamIncrementRequest(increment=increment(ref)))
        assert next(replies).result.response.value == expected
    requests.put(None)
    with pytest.raises(StopIteration):
        next(replies)
    assert replies.code() == grpc.StatusCode.OK


def test_stream_request_without_an_increment_is_an_error_of_the_item(api, ref):
    requests = [pb.StreamIncrementRequest(), pb.StreamIncrementRequest(increment=increment(ref))]
    first, second = api.counter.StreamIncrement(iter(requests))
    failure = item_failure(first.result.error)
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert second.result.response.value == 1


def test_empty_stream_ends_with_ok(api):
    replies = api.counter.StreamIncrement(iter(()))
    assert list(replies) == []
    assert replies.code() == grpc.StatusCode.OK
