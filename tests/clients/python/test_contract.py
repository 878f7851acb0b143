"""Rules that hold for every method: the table below has one valid request for each method."""

import grpc
import pytest
from google.protobuf import duration_pb2, timestamp_pb2

from harness import assert_invalid, failure_of
from holdfast.v1 import batch_processor_service_pb2 as batch_pb
from holdfast.v1 import counter_service_pb2 as counter_pb
from holdfast.v1 import object_service_pb2 as object_pb
from holdfast.v1 import rate_limiter_service_pb2 as limiter_pb
from holdfast.v1 import sql_pb2
from holdfast.v1 import types_pb2
from holdfast.v1 import user_cache_service_pb2 as users_pb

LIMIT = limiter_pb.RateLimit(key="alice", limit=5, window=duration_pb2.Duration(seconds=10))
STATEMENT = sql_pb2.SqlStatement(sql="CREATE TABLE IF NOT EXISTS t(v)")
MIGRATION = sql_pb2.Migration(version=1, statements=[STATEMENT])
FAR = timestamp_pb2.Timestamp(seconds=4_000_000_000)

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
    ("users", "DeleteUser", users_pb.DeleteUserRequest(id="u1", allow_missing=True), True),
    ("objects", "PutEntries", object_pb.PutEntriesRequest(entries=[object_pb.Entry(key="k")]), True),
    ("objects", "GetEntries", object_pb.GetEntriesRequest(keys=["k"]), False),
    ("objects", "ListEntries", object_pb.ListEntriesRequest(), False),
    ("objects", "ApplyBatch", object_pb.ApplyBatchRequest(steps=[object_pb.BatchStep(delete_key="k")]), True),
    ("objects", "DeleteEntries", object_pb.DeleteEntriesRequest(keys=["k"]), True),
    ("objects", "ExecuteSql", object_pb.ExecuteSqlRequest(statements=[STATEMENT]), True),
    ("objects", "MigrateSchema", object_pb.MigrateSchemaRequest(migrations=[MIGRATION]), True),
    ("objects", "SetAlarm", object_pb.SetAlarmRequest(scheduled_time=FAR), True),
    ("objects", "GetAlarm", object_pb.GetAlarmRequest(), False),
    ("objects", "DeleteAlarm", object_pb.DeleteAlarmRequest(), True),
    ("objects", "AcknowledgeAlarm", object_pb.AcknowledgeAlarmRequest(delivery_token="t"), True),
    ("objects", "ExtendAlarmLease", object_pb.ExtendAlarmLeaseRequest(delivery_token="t"), True),
    ("objects", "DescribeObject", object_pb.DescribeObjectRequest(), False),
    ("objects", "PassivateObject", object_pb.PassivateObjectRequest(), False),
    ("objects", "DeleteAll", object_pb.DeleteAllRequest(), True),
    ("objects", "Cleanup", object_pb.CleanupRequest(), True),
]
# The requests of these methods name their objects item by item.
ITEM_METHODS = {"BatchIncrement", "StreamIncrement"}
# These methods stream a file: test_object_sql.py, tests/integration/object_files_test.cc.
FILE_METHODS = {"ExportSql", "ImportSql", "ExportObject", "ImportObject"}
# These methods are about a namespace.
NAMESPACE_METHODS = {"ListObjects", "WatchAlarms", "GetRights"}
# These methods need a delivery of an alarm to succeed: test_object_alarms.py.
DELIVERY_METHODS = {"AcknowledgeAlarm", "ExtendAlarmLease"}

all_methods = pytest.mark.parametrize(
    "stub, method, template, changes", METHODS, ids=[f"{stub}.{method}" for stub, method, _, _ in METHODS]
)


def request_for(template, ref, **fields):
    request = type(template)()
    request.CopyFrom(template)
    if ref is not None:
        request.object.namespace, request.object.name = ref.namespace, ref.name
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
    assert {method for _, method, _, _ in METHODS} | ITEM_METHODS | FILE_METHODS | NAMESPACE_METHODS == declared


def test_every_method_answers_a_valid_request(api, ref):
    for stub, method, template, _ in METHODS:  # in this order: the users' rows build on each other
        if method in DELIVERY_METHODS:
            continue
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


@pytest.mark.parametrize("namespace", ["Upper", "a" * 64])
def test_a_wrong_namespace_of_a_list_or_a_watch_is_refused(api, namespace):
    assert_invalid(
        failure_of(lambda: api.objects.ListObjects(object_pb.ListObjectsRequest(namespace=namespace))), "namespace"
    )
    assert_invalid(
        failure_of(lambda: next(api.objects.WatchAlarms(object_pb.WatchAlarmsRequest(namespace=namespace)))),
        "namespace",
    )
    assert_invalid(
        failure_of(lambda: api.objects.GetRights(object_pb.GetRightsRequest(namespace=namespace))), "namespace"
    )


@all_methods
def test_what_changes_something_has_a_request_id(stub, method, template, changes):
    assert ("request_id" in type(template).DESCRIPTOR.fields_by_name) == changes
    if changes:
        assert type(template).DESCRIPTOR.fields_by_name["request_id"].number == 2


changing_methods = pytest.mark.parametrize(
    "stub, method, template",
    [row[:3] for row in METHODS if row[3] and row[1] not in DELIVERY_METHODS],
    ids=[f"{row[0]}.{row[1]}" for row in METHODS if row[3] and row[1] not in DELIVERY_METHODS],
)


@changing_methods
def test_a_request_id_replays_the_reply_byte_for_byte(api, ref, stub, method, template):
    call = getattr(getattr(api, stub), method)
    request = request_for(template, ref, request_id="once")
    first = call(request).SerializeToString(deterministic=True)
    call(request_for(template, ref, request_id="another"))
    assert [call(request).SerializeToString(deterministic=True) for _ in range(2)] == [first, first]


@changing_methods
def test_a_request_id_with_another_request_is_refused(api, ref, stub, method, template):
    getattr(getattr(api, stub), method)(request_for(template, ref, request_id="once"))
    # Another method of the same object is also refused.
    other, other_template = next(
        row[1:3] for row in METHODS if row[0] == stub and row[3] and row[1] not in DELIVERY_METHODS | {method}
    )
    failure = failure_of(
        lambda: getattr(getattr(api, stub), other)(request_for(other_template, ref, request_id="once"))
    )
    assert (failure.code, failure.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


@changing_methods
def test_a_request_id_has_up_to_128_bytes(api, ref, stub, method, template):
    call = getattr(getattr(api, stub), method)
    call(request_for(template, ref, request_id="é" * 64))
    assert_invalid(failure_of(lambda: call(request_for(template, ref, request_id="é" * 64 + "x"))), "request_id")


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
