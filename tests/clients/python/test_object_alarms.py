"""Alarms of objects of class Object, which a client sets, watches, and ends. Which alarm comes to whom and when is
tested by the unit tests of the objects."""

import contextlib
import datetime
import time

import grpc
from google.protobuf import duration_pb2, timestamp_pb2

from harness import assert_invalid, failure_of
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


def test_a_batch_sets_and_deletes_the_alarm(api, obj):
    at = in_seconds(1000)
    apply = lambda *steps: api.objects.ApplyBatch(pb.ApplyBatchRequest(object=obj, steps=steps))
    apply(pb.BatchStep(delete_alarm=True), pb.BatchStep(set_alarm=at))
    assert alarm(api, obj) == at
    apply(pb.BatchStep(set_alarm=in_seconds(5)), pb.BatchStep(delete_alarm=True))
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
