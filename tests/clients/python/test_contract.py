"""What holds for every method alike: the table below has one valid request for each of them."""

import grpc
import pytest
from google.protobuf import duration_pb2

from harness import assert_invalid, failure_of, item_failure
from holdfast.v1 import batch_processor_service_pb2 as batch_pb
from holdfast.v1 import counter_service_pb2 as counter_pb
from holdfast.v1 import object_service_pb2 as object_pb
from holdfast.v1 import rate_limiter_service_pb2 as limiter_pb
from holdfast.v1 import types_pb2
from holdfast.v1 import user_cache_service_pb2 as users_pb

LIMIT = limiter_pb.RateLimit(key="alice", limit=5, window=duration_pb2.Duration(seconds=10))

# One row for each unary method on one object: stub, method, request without its object, and whether it changes anything.
METHODS = [
    ("counter", "Increment", counter_pb.IncrementRequest(), True),
    ("counter", "GetValue", counter_pb.GetValueRequest(), False),
    ("counter", "GetUniqueNumber", counter_pb.GetUniqueNumberRequest(), True),
    ("counter", "ResetCounter", counter_pb.ResetCounterRequest(), True),
    ("limiter", "CheckLimit", limiter_pb.CheckLimitRequest(check=LIMIT), True),
    ("limiter", "CheckLimits", limiter_pb.CheckLimitsRequest(checks=[LIMIT]), True),
    ("limiter", "ResetLimit", limiter_pb.ResetLimitRequest(key="alice"), True),
    ("batch", "AddItems", batch_pb.AddItemsRequest(items=["a"]), True),
    ("batch", "ConfigureBatch", batch_pb.ConfigureBatchRequest(config=batch_pb.BatchConfig(max_items=5)), True),
    ("batch", "FlushBatch", batch_pb.FlushBatchRequest(), True),
    ("batch", "ListProcessedItems", batch_pb.ListProcessedItemsRequest(), False),
    ("batch", "TrimProcessedItems", batch_pb.TrimProcessedItemsRequest(up_to_sequence=1), True),
    ("batch", "GetBatchStatus", batch_pb.GetBatchStatusRequest(), False),
    ("users", "UpdateUser", users_pb.UpdateUserRequest(user=users_pb.User(id="u1"), allow_missing=True), True),
    ("users", "GetUser", users_pb.GetUserRequest(id="u1"), False),
    ("users", "BatchGetUsers", users_pb.BatchGetUsersRequest(ids=["u1"]), False),
    ("users", "ListUsers", users_pb.ListUsersRequest(), False),
    ("users", "DeleteUser", users_pb.DeleteUserRequest(id="u1"), True),
    ("objects", "DeleteAll", object_pb.DeleteAllRequest(), True),
    ("objects", "Cleanup", object_pb.CleanupRequest(), True),
]
# These name their objects item by item.
ITEM_METHODS = {"BatchIncrement", "StreamIncrement"}

all_methods = pytest.mark.parametrize(
    "stub, method, template, changes", METHODS, ids=[f"{stub}.{method}" for stub, method, _, _ in METHODS]
)


def request_for(template, ref, **fields):
    request = type(template)()
    request.CopyFrom(template)
    if ref is not None:
        request.object.namespace, request.object.name = ref.namespace, ref.name
        if hasattr(request.object, "object_class"):
            request.object.object_class = "Counter"
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def test_the_table_has_every_method():
    services = [counter_pb, limiter_pb, batch_pb, users_pb, object_pb]
    declared = {
        method.name
        for module in services
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert {method for _, method, _, _ in METHODS} | ITEM_METHODS == declared


def test_every_method_answers_a_valid_request(api, ref):
    for stub, method, template, _ in METHODS:  # in this order: the users' rows build on each other
        getattr(getattr(api, stub), method)(request_for(template, ref))


@all_methods
def test_a_request_without_an_object_is_refused(api, stub, method, template, changes):
    failure = failure_of(lambda: getattr(getattr(api, stub), method)(request_for(template, None)))
    assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert len(failure.fields) == 1 and failure.fields[0] in ("object", "object.name")


@all_methods
@pytest.mark.parametrize(
    "namespace, name, field",
    [
        ("", "", "object.name"),
        ("", "x" * 513, "object.name"),
        ("Upper", "fine", "object.namespace"),
        ("a" * 64, "fine", "object.namespace"),
    ],
    ids=["no name", "long name", "namespace", "long namespace"],
)
def test_a_wrong_name_is_refused(api, stub, method, template, changes, namespace, name, field):
    wrong = types_pb2.ObjectRef(namespace=namespace, name=name)
    assert_invalid(failure_of(lambda: getattr(getattr(api, stub), method)(request_for(template, wrong))), field)


@all_methods
def test_a_request_id_is_refused(api, ref, stub, method, template, changes):
    has_one = "request_id" in type(template).DESCRIPTOR.fields_by_name
    assert has_one == changes
    if not changes:
        return
    request = request_for(template, ref, request_id="once")
    failure = failure_of(lambda: getattr(getattr(api, stub), method)(request))
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNIMPLEMENTED, "INVALID_FIELD")
    assert failure.fields == ["request_id"]


def test_a_request_id_of_an_item_is_refused_in_its_result(api, ref):
    items = [counter_pb.IncrementRequest(object=ref, request_id="once"), counter_pb.IncrementRequest(object=ref)]
    batch = list(api.counter.BatchIncrement(counter_pb.BatchIncrementRequest(increments=items)).results)
    stream = [
        reply.result
        for reply in api.counter.StreamIncrement(counter_pb.StreamIncrementRequest(increment=item) for item in items)
    ]
    for results, value in ((batch, 1), (stream, 2)):
        failure = item_failure(results[0].error)
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNIMPLEMENTED, "INVALID_FIELD")
        assert results[1].response.value == value


def test_names_of_any_characters(api, make_ref):
    for name in ("ünïcödé", "with space/and:slash", "nul\0inside", "new\nline", "'; --", "x" * 450):
        ref = make_ref(name)
        assert api.counter.Increment(counter_pb.IncrementRequest(object=ref)).value == 1
        assert api.counter.GetValue(counter_pb.GetValueRequest(object=ref)).value == 1


def test_an_unknown_method_is_unimplemented(api):
    call = api.plain_channel.unary_unary("/holdfast.v1.CounterService/Decrement")
    with pytest.raises(grpc.RpcError) as raised:
        call(b"", timeout=10)
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_request_over_the_bound_is_refused_and_the_connection_lives(api, ref):
    request = batch_pb.AddItemsRequest(object=ref, items=["x" * 65536] * 65)
    with pytest.raises(grpc.RpcError) as raised:
        api.batch.AddItems(request)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert api.batch.GetBatchStatus(batch_pb.GetBatchStatusRequest(object=ref)).pending_count == 0


def test_bytes_that_are_no_message_are_refused(api):
    call = api.plain_channel.unary_unary("/holdfast.v1.CounterService/Increment")
    with pytest.raises(grpc.RpcError) as raised:
        call(b"\xff\xff\xff", timeout=10)
    assert raised.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT)
    assert api.is_serving()
