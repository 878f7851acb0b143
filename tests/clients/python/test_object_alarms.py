"""Alarms of objects of class Object, which a client sets, watches, and ends."""

import contextlib
import datetime
import time

import grpc
import pytest
from google.protobuf import duration_pb2, timestamp_pb2

from harness import Server, assert_invalid, failure_of, object_id
from holdfast.v1 import batch_processor_service_pb2 as batch_pb
from holdfast.v1 import object_service_pb2 as pb
from holdfast.v1 import types_pb2

WATCH_TIMEOUT_S = 60
FIRST_RETRY_S = 2  # by the contract; the server adds up to a quarter
LONG = duration_pb2.Duration(seconds=600)


def seconds(value):
    duration = duration_pb2.Duration()
    duration.FromTimedelta(datetime.timedelta(seconds=value))
    return duration


def unix(timestamp):
    return timestamp.ToMicroseconds() / 1e6


def in_seconds(delay):
    """Returns a time so long from now, in whole microseconds; the server has the same clock."""
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromMicroseconds(int((time.time() + delay) * 1e6))
    return timestamp


def set_alarm(api, obj, at=None):
    at = in_seconds(0) if at is None else at
    api.objects.SetAlarm(pb.SetAlarmRequest(object=obj, scheduled_time=at))
    return at


def alarm(api, obj):
    """Returns the time for which the alarm is set, or None."""
    reply = api.objects.GetAlarm(pb.GetAlarmRequest(object=obj))
    return reply.scheduled_time if reply.HasField("scheduled_time") else None


def acknowledge(api, delivery, **fields):
    api.objects.AcknowledgeAlarm(
        pb.AcknowledgeAlarmRequest(object=delivery.object, delivery_token=delivery.delivery_token, **fields)
    )


def assert_stale(call):
    failure = failure_of(call)
    assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "ALARM_DELIVERY_STALE")


@contextlib.contextmanager
def watching(api, prefix, timeout=WATCH_TIMEOUT_S, **fields):
    """Streams the alarms of objects whose names have this prefix. Their names belong to one test, as `ref` makes
    them."""
    fields.setdefault("lease", LONG)
    call = api.objects.WatchAlarms(pb.WatchAlarmsRequest(name_prefix=prefix, **fields), timeout=timeout)
    try:
        yield call
    finally:
        call.cancel()


def arrivals(api, prefix, for_s, **fields):
    """Returns all alarms that come within so many seconds."""
    found = []
    with watching(api, prefix, timeout=for_s, **fields) as watch:
        with pytest.raises(grpc.RpcError) as raised:
            for delivery in watch:
                found.append(delivery)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    return found


def test_an_alarm_is_set_replaced_and_deleted(api, obj):
    assert alarm(api, obj) is None
    first = set_alarm(api, obj, in_seconds(1000))
    assert alarm(api, obj) == first, "to the microsecond"
    second = set_alarm(api, obj, in_seconds(500))
    assert alarm(api, obj) == second
    api.objects.DeleteAlarm(pb.DeleteAlarmRequest(object=obj))
    api.objects.DeleteAlarm(pb.DeleteAlarmRequest(object=obj))
    assert alarm(api, obj) is None


def test_an_alarm_is_delivered_when_it_is_due_and_ends_with_its_acknowledgement(api, obj):
    with watching(api, obj.name) as watch:
        due = set_alarm(api, obj, in_seconds(0.3))
        delivery = next(watch)
        now = time.time()
        assert now >= unix(due), "never early"
        assert (delivery.object.name, delivery.object.object_class) == (obj.name, "Object")
        assert delivery.scheduled_time == due
        assert delivery.retry_count == 0
        assert delivery.delivery_token
        assert 0 < unix(delivery.lease_expire_time) - now <= LONG.seconds
        assert alarm(api, obj) is None, "it is being delivered"
        acknowledge(api, delivery, request_id="once")
        acknowledge(api, delivery, request_id="once")
        assert_stale(lambda: acknowledge(api, delivery, request_id="another"))
        assert alarm(api, obj) is None
        due = set_alarm(api, obj)
        assert next(watch).scheduled_time == due, "one delivery of each alarm"


def test_an_alarm_in_the_past_is_due_at_once(api, obj):
    set_alarm(api, obj, timestamp_pb2.Timestamp(seconds=1))
    with watching(api, obj.name) as watch:
        acknowledge(api, next(watch))


def test_without_a_watcher_an_alarm_stays_due_and_no_attempt_counts(api, obj):
    due = set_alarm(api, obj)
    time.sleep(0.5)
    assert alarm(api, obj) == due
    with watching(api, obj.name) as watch:
        delivery = next(watch)
        assert (delivery.scheduled_time, delivery.retry_count) == (due, 0)
        acknowledge(api, delivery)


def test_a_failed_attempt_is_retried_with_another_token(api, obj):
    with watching(api, obj.name) as watch:
        due = set_alarm(api, obj)
        first = next(watch)
        acknowledge(api, first, error=types_pb2.ItemError(code=grpc.StatusCode.INTERNAL.value[0], message="not now"))
        failed = time.monotonic()
        assert alarm(api, obj) == due, "while it is retried, the time for which it was set"
        assert_stale(lambda: acknowledge(api, first))
        second = next(watch)
        assert time.monotonic() - failed >= FIRST_RETRY_S - 0.5
        assert (second.scheduled_time, second.retry_count) == (due, 1)
        assert second.delivery_token != first.delivery_token
        acknowledge(api, second)
        assert alarm(api, obj) is None


def test_a_lease_that_expires_is_a_failed_attempt(api, obj):
    with watching(api, obj.name, lease=seconds(0.2)) as watch:
        set_alarm(api, obj)
        first = next(watch)
        second = next(watch)
        assert second.retry_count == 1
        assert_stale(lambda: acknowledge(api, first))
        assert_stale(
            lambda: api.objects.ExtendAlarmLease(
                pb.ExtendAlarmLeaseRequest(object=obj, delivery_token=first.delivery_token)
            )
        )


def test_a_lease_is_extended(api, obj):
    with watching(api, obj.name, lease=seconds(1)) as watch:
        set_alarm(api, obj)
        delivery = next(watch)
        extended = api.objects.ExtendAlarmLease(
            pb.ExtendAlarmLeaseRequest(object=obj, delivery_token=delivery.delivery_token, lease=LONG)
        )
        assert unix(extended.lease_expire_time) - time.time() > LONG.seconds - 30
        time.sleep(1.5)
        acknowledge(api, delivery)


def test_a_batch_acknowledges_in_its_own_commit(api, obj):
    apply = lambda delivery, value: api.objects.ApplyBatch(
        pb.ApplyBatchRequest(
            object=obj,
            steps=[pb.BatchStep(put=pb.Entry(key="k", value=value))],
            alarm_delivery_token=delivery.delivery_token,
        )
    )
    value = lambda: api.objects.GetEntries(pb.GetEntriesRequest(object=obj, keys=["k"])).entries[0].value
    with watching(api, obj.name) as watch:
        set_alarm(api, obj)
        delivery = next(watch)
        apply(delivery, b"done")
        assert alarm(api, obj) is None
        assert_stale(lambda: acknowledge(api, delivery))
        assert_stale(lambda: apply(delivery, b"twice"))
        assert value() == b"done"
        set_alarm(api, obj)
        delivery = next(watch)
        api.objects.ApplyBatch(pb.ApplyBatchRequest(object=obj, alarm_delivery_token=delivery.delivery_token))
        assert_stale(lambda: acknowledge(api, delivery))


def test_a_batch_sets_and_deletes_the_alarm(api, obj):
    at = in_seconds(1000)
    apply = lambda *steps: api.objects.ApplyBatch(pb.ApplyBatchRequest(object=obj, steps=steps))
    apply(pb.BatchStep(delete_alarm=True), pb.BatchStep(set_alarm=at))
    assert alarm(api, obj) == at
    apply(pb.BatchStep(set_alarm=in_seconds(5)), pb.BatchStep(delete_alarm=True))
    assert alarm(api, obj) is None


def test_an_alarm_that_is_set_while_one_is_delivered_is_the_next(api, obj):
    with watching(api, obj.name) as watch:
        due = set_alarm(api, obj)
        first = next(watch)
        set_alarm(api, obj, due)  # also at the same time as before
        assert alarm(api, obj) == due
        acknowledge(api, first)
        second = next(watch)
        assert (second.scheduled_time, second.retry_count) == (due, 0)
        # The new alarm also takes the place of a retry.
        later = set_alarm(api, obj, in_seconds(1000))
        acknowledge(api, second, error=types_pb2.ItemError(code=2))
        assert alarm(api, obj) == later


def test_an_alarm_that_is_deleted_while_it_is_delivered_is_not_retried(api, obj):
    with watching(api, obj.name) as watch:
        set_alarm(api, obj)
        delivery = next(watch)
        api.objects.DeleteAlarm(pb.DeleteAlarmRequest(object=obj))
        with contextlib.suppress(grpc.RpcError):  # the test does not say whether the delivery has ended by now
            acknowledge(api, delivery, error=types_pb2.ItemError(code=2))
    assert alarm(api, obj) is None
    assert arrivals(api, obj.name, for_s=FIRST_RETRY_S + 1.5) == []


def test_no_more_are_out_than_the_watcher_takes(api, make_ref, own_namespace):
    objects = [object_id(make_ref(f"w{i}", own_namespace)) for i in range(3)]
    for obj in objects:
        set_alarm(api, obj)
    found = []
    with watching(api, "w", namespace=own_namespace, max_outstanding=1) as watch:
        for delivery in watch:
            found.append(delivery.object.name)
            assert sum(alarm(api, obj) is None for obj in objects) == len(found), "the others wait, though they are due"
            acknowledge(api, delivery)
            if len(found) == len(objects):
                break
    assert sorted(found) == sorted(obj.name for obj in objects)


def test_a_delivery_goes_to_one_watcher(api, obj):
    with watching(api, obj.name) as one:
        set_alarm(api, obj)
        delivery = next(one)
        assert arrivals(api, obj.name, for_s=1) == []
        acknowledge(api, delivery)


def test_watchers_get_what_matches_them(api, make_ref, own_namespace):
    here, elsewhere = object_id(make_ref("mine")), object_id(make_ref("mine", own_namespace))
    other = object_id(make_ref("other"))
    for obj in (here, elsewhere, other):
        set_alarm(api, obj)
    with watching(api, "", namespace=own_namespace) as watch:
        delivery = next(watch)
        assert delivery.object == object_id(elsewhere, "Object")
        acknowledge(api, delivery)
    assert [one.object.name for one in arrivals(api, here.name, for_s=1)] == [here.name]
    assert alarm(api, other) is not None


def test_alarms_of_other_classes_are_not_for_watchers(api, ref):
    api.batch.ConfigureBatch(
        batch_pb.ConfigureBatchRequest(object=ref, config=batch_pb.BatchConfig(delay=seconds(0.3)))
    )
    due = api.batch.AddItems(batch_pb.AddItemsRequest(object=ref, items=["a"])).next_flush_time
    assert alarm(api, object_id(ref, "BatchProcessor")) == due
    assert arrivals(api, ref.name, for_s=1) == []


def test_delete_all_deletes_the_alarm_unless_it_is_to_be_kept(api, make_ref):
    gone, kept = object_id(make_ref("gone")), object_id(make_ref("kept"))
    for obj in (gone, kept):
        api.objects.PutEntries(pb.PutEntriesRequest(object=obj, entries=[pb.Entry(key="k")]))
        set_alarm(api, obj, in_seconds(0.5))
    api.objects.DeleteAll(pb.DeleteAllRequest(object=gone))
    api.objects.DeleteAll(pb.DeleteAllRequest(object=kept, keep_alarm=True))
    assert alarm(api, gone) is None
    with watching(api, kept.name) as watch:
        acknowledge(api, next(watch))
    assert not api.objects.ListEntries(pb.ListEntriesRequest(object=kept)).entries
    assert arrivals(api, gone.name, for_s=1) == []


def test_a_delivery_ends_with_delete_all(api, obj):
    with watching(api, obj.name) as watch:
        set_alarm(api, obj)
        delivery = next(watch)
        api.objects.DeleteAll(pb.DeleteAllRequest(object=obj))
        assert_stale(lambda: acknowledge(api, delivery))


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_a_delivery_outlives_a_restart(own_server, obj, end):
    with watching(own_server.api, obj.name) as watch:
        set_alarm(own_server.api, obj)
        delivery = next(watch)
        end(own_server)
        with pytest.raises(grpc.RpcError) as raised:
            next(watch)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
    api = own_server.start().api
    assert arrivals(api, obj.name, for_s=1) == [], "it stays leased"
    acknowledge(api, delivery)
    assert alarm(api, obj) is None


def test_a_watch_ends_when_the_server_drains(own_server, obj):
    with watching(own_server.api, obj.name) as watch:
        set_alarm(own_server.api, obj)
        acknowledge(own_server.api, next(watch))
        own_server.stop()
        failure = failure_of(lambda: next(watch))
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


def test_an_alarm_that_fell_due_while_the_server_was_down_is_delivered(own_server, obj):
    due = set_alarm(own_server.api, obj, in_seconds(0.5))
    own_server.kill()
    api = own_server.start().api
    with watching(api, obj.name) as watch:
        delivery = next(watch)
        assert time.time() >= unix(due)
        assert (delivery.scheduled_time, delivery.retry_count) == (due, 0)
        acknowledge(api, delivery)


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"max_outstanding": -1}, "max_outstanding"),
        ({"max_outstanding": 1001}, "max_outstanding"),
        ({"lease": seconds(0.099)}, "lease"),
        ({"lease": seconds(901)}, "lease"),
        ({"lease": seconds(-1)}, "lease"),
    ],
    ids=["outstanding -1", "outstanding 1001", "lease 99 ms", "lease 901 s", "lease -1 s"],
)
def test_a_wrong_watch_is_refused(api, obj, fields, field):
    with watching(api, obj.name, **fields) as watch:
        assert_invalid(failure_of(lambda: next(watch)), field)


def test_wrong_requests_are_refused(api, obj):
    assert_invalid(failure_of(lambda: api.objects.SetAlarm(pb.SetAlarmRequest(object=obj))), "scheduled_time")
    wrong = timestamp_pb2.Timestamp(seconds=1, nanos=-1)
    assert_invalid(failure_of(lambda: set_alarm(api, obj, wrong)), "scheduled_time")
    for method in ("AcknowledgeAlarm", "ExtendAlarmLease"):
        request = getattr(pb, method + "Request")(object=obj)
        assert_invalid(failure_of(lambda: getattr(api.objects, method)(request)), "delivery_token")
        request.delivery_token = "none of ours"
        assert_stale(lambda: getattr(api.objects, method)(request))
    request = pb.ExtendAlarmLeaseRequest(object=obj, delivery_token="t", lease=seconds(901))
    assert_invalid(failure_of(lambda: api.objects.ExtendAlarmLease(request)), "lease")
