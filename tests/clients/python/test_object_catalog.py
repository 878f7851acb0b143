"""ListObjects and DescribeObject, which describe objects; and PassivateObject."""

import time

import pytest
from google.protobuf import timestamp_pb2

from harness import Server, assert_invalid, eventually, failure_of, object_id
from holdfast.v1 import batch_processor_service_pb2 as batch_pb
from holdfast.v1 import counter_service_pb2 as counter_pb
from holdfast.v1 import object_service_pb2 as pb
from holdfast.v1 import types_pb2

CLASSES = ["Counter", "RateLimiter", "BatchProcessor", "UserCache", "Object"]


def put(api, obj, key="k", value=b"v"):
    api.objects.PutEntries(pb.PutEntriesRequest(object=obj, entries=[pb.Entry(key=key, value=value)]))


def increment(api, ref):
    return api.counter.Increment(counter_pb.IncrementRequest(object=ref)).value


def page(api, namespace, **fields):
    return api.objects.ListObjects(pb.ListObjectsRequest(namespace=namespace, **fields))


def listed(api, namespace, **fields):
    """Returns all pages, as pairs of class and name."""
    found, token = [], ""
    while True:
        reply = page(api, namespace, page_token=token, **fields)
        assert all(one.object.namespace == namespace for one in reply.objects)
        found += [(one.object.object_class, one.object.name) for one in reply.objects]
        token = reply.next_page_token
        if not token:
            return found


def describe(api, obj):
    return api.objects.DescribeObject(pb.DescribeObjectRequest(object=obj))


def passivate(api, obj):
    api.objects.PassivateObject(pb.PassivateObjectRequest(object=obj))


@pytest.fixture
def here(own_namespace):
    return lambda name: types_pb2.ObjectRef(namespace=own_namespace, name=name)


@pytest.mark.parametrize("page_size", [0, 1, 2])
def test_objects_are_listed_in_order_of_class_and_name(api, here, own_namespace, page_size):
    names = ["b", "a", "é", "a\0", "ab"]
    for name in names:
        put(api, object_id(here(name)))
    for name in ("z", "b"):
        increment(api, here(name))
    of_counters = [("Counter", "b"), ("Counter", "z")]
    of_clients = [("Object", name) for name in sorted(names, key=str.encode)]
    list_all = lambda **fields: listed(api, own_namespace, page_size=page_size, **fields)
    assert list_all() == of_counters + of_clients
    assert list_all(object_class="Counter") == of_counters
    assert list_all(object_class="Object", name_prefix="a") == [("Object", name) for name in ("a", "a\0", "ab")]
    assert list_all(name_prefix="b") == [("Counter", "b"), ("Object", "b")]
    assert list_all(object_class="UserCache") == []


def test_an_object_is_listed_from_its_first_write_until_it_is_deleted(api, here, own_namespace):
    obj = object_id(here("a"))
    api.objects.GetEntries(pb.GetEntriesRequest(object=obj, keys=["k"]))
    api.counter.GetValue(counter_pb.GetValueRequest(object=here("a")))
    describe(api, obj)
    passivate(api, obj)
    api.objects.DeleteEntries(pb.DeleteEntriesRequest(object=obj, keys=["k"]))
    assert listed(api, own_namespace) == [], "reading creates nothing"
    put(api, obj)
    assert listed(api, own_namespace) == [("Object", "a")]
    api.objects.DeleteEntries(pb.DeleteEntriesRequest(object=obj, keys=["k"]))
    assert listed(api, own_namespace) == [("Object", "a")], "an object that has become empty is one while in memory"
    api.objects.DeleteAll(pb.DeleteAllRequest(object=obj))
    assert listed(api, own_namespace) == []


def test_an_object_that_has_become_empty_is_gone_when_it_leaves_memory(api, here, own_namespace):
    obj = object_id(here("a"))
    put(api, obj)
    api.objects.DeleteEntries(pb.DeleteEntriesRequest(object=obj, keys=["k"]))
    passivate(api, obj)
    eventually(lambda: not describe(api, obj).exists)
    assert listed(api, own_namespace) == []
    put(api, obj)
    assert listed(api, own_namespace) == [("Object", "a")]


def test_times_and_sizes(api, here, own_namespace):
    before = time.time()
    put(api, object_id(here("a")), value=b"v" * 1000)
    (summary,) = page(api, own_namespace).objects
    assert before - 1 <= summary.create_time.ToMicroseconds() / 1e6 <= time.time() + 1
    assert before - 61 <= summary.update_time.ToMicroseconds() / 1e6 <= time.time() + 1
    assert summary.size_bytes >= 1000


def test_wrong_lists_are_refused(api, here, own_namespace):
    for name in ("a", "b", "c"):
        put(api, object_id(here(name)))
    assert_invalid(failure_of(lambda: page(api, own_namespace, page_size=-1)), "page_size")
    assert_invalid(failure_of(lambda: page(api, own_namespace, page_token="garbled")), "page_token")
    assert_invalid(failure_of(lambda: page(api, own_namespace, object_class="Spaceship")), "object_class")
    token = page(api, own_namespace, page_size=1).next_page_token
    for other in ({"name_prefix": "a"}, {"object_class": "Object"}):
        assert_invalid(
            failure_of(lambda: page(api, own_namespace, page_size=1, page_token=token, **other)), "page_token"
        )
    assert_invalid(failure_of(lambda: page(api, "default", page_size=1, page_token=token)), "page_token")


def test_a_list_while_objects_come_and_go(api, here, own_namespace):
    for name in ("b", "d", "f", "h"):
        put(api, object_id(here(name)))
    first = page(api, own_namespace, page_size=2)
    assert [one.object.name for one in first.objects] == ["b", "d"]
    for name in ("b", "f"):
        api.objects.DeleteAll(pb.DeleteAllRequest(object=object_id(here(name))))
    for name in ("a", "e"):
        put(api, object_id(here(name)))
    second = page(api, own_namespace, page_size=1000, page_token=first.next_page_token)
    assert [one.object.name for one in second.objects] == ["e", "h"]


def test_an_object_is_described(api, obj):
    put(api, obj, "key", b"v" * 100)
    put(api, obj, "other", b"")
    description = describe(api, obj)
    summary = description.summary
    assert (summary.object.name, summary.object.object_class) == (obj.name, "Object")
    assert summary.size_bytes == len("key") + 100 + len("other")
    assert summary.HasField("create_time") and summary.HasField("update_time")
    assert description.key_count == 2
    assert description.placement in (pb.PLACEMENT_PACKED, pb.PLACEMENT_OWN_COLUMN_FAMILY)
    assert description.activation_state == pb.ACTIVATION_STATE_ACTIVE
    assert 0 <= description.shard < 256
    assert not description.HasField("alarm_time")
    assert not description.tables
    at = timestamp_pb2.Timestamp(seconds=4_000_000_000, nanos=123_000)
    api.objects.SetAlarm(pb.SetAlarmRequest(object=obj, scheduled_time=at))
    assert describe(api, obj).alarm_time == at


def test_an_object_of_another_class_is_described(api, ref):
    due = api.batch.AddItems(batch_pb.AddItemsRequest(object=ref, items=["a", "b"])).next_flush_time
    description = describe(api, object_id(ref, "BatchProcessor"))
    assert description.alarm_time == due
    assert description.schema_version == 2
    assert description.tables
    assert all(table.name and table.row_count >= 1 and not table.sql for table in description.tables)


@pytest.mark.parametrize("object_class", CLASSES)
def test_an_object_that_does_not_exist_is_described(api, ref, object_class):
    description = describe(api, object_id(ref, object_class))
    assert description.summary.object.name == ref.name
    assert description.summary.object.object_class == object_class
    assert not description.summary.HasField("create_time")
    assert not description.summary.HasField("update_time")
    assert (description.summary.size_bytes, description.key_count, len(description.tables)) == (0, 0, 0)
    assert description.activation_state == pb.ACTIVATION_STATE_INACTIVE
    assert describe(api, object_id(ref, object_class)).activation_state == pb.ACTIVATION_STATE_INACTIVE, "nor loaded"


def test_a_passivated_object_loses_nothing(api, ref, obj):
    put(api, obj)
    increment(api, ref)
    for one in (obj, object_id(ref, "Counter")):
        assert describe(api, one).activation_state == pb.ACTIVATION_STATE_ACTIVE
        passivate(api, one)
        eventually(lambda: describe(api, one).activation_state == pb.ACTIVATION_STATE_INACTIVE, what="unloaded")
        passivate(api, one)
    assert api.objects.GetEntries(pb.GetEntriesRequest(object=obj, keys=["k"])).entries[0].value == b"v"
    assert increment(api, ref) == 2
    assert describe(api, obj).activation_state == pb.ACTIVATION_STATE_ACTIVE


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_what_is_listed_survives_a_restart(own_server, here, own_namespace, end):
    put(own_server.api, object_id(here("a")))
    increment(own_server.api, here("b"))
    put(own_server.api, object_id(here("gone")))
    own_server.api.objects.DeleteAll(pb.DeleteAllRequest(object=object_id(here("gone"))))
    before = page(own_server.api, own_namespace)
    end(own_server)
    after = page(own_server.start().api, own_namespace)
    assert [(one.object, one.create_time) for one in after.objects] == [
        (one.object, one.create_time) for one in before.objects
    ]
    assert len(after.objects) == 2
