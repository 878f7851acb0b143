"""DeleteAll and Cleanup, which every class of object has. For keys, alarms and lists: test_object_*.py."""

import pytest
from google.protobuf import duration_pb2

from harness import assert_invalid, eventually, failure_of, object_id
from holdfast.v1 import batch_processor_service_pb2 as batch_pb
from holdfast.v1 import counter_service_pb2 as counter_pb
from holdfast.v1 import object_service_pb2 as pb
from holdfast.v1 import rate_limiter_service_pb2 as limiter_pb
from holdfast.v1 import user_cache_service_pb2 as users_pb

HOUR = duration_pb2.Duration(seconds=3600)
LIMIT = limiter_pb.RateLimit(key="alice", limit=1, window=HOUR)


class Contents:
    """Writes something into one object of every class, all of the same name; returns whether each reads as new."""

    def __init__(self, api, ref):
        self.api, self.ref = api, ref

    def write(self):
        self.api.counter.Increment(counter_pb.IncrementRequest(object=self.ref, amount=5))
        self.unique_number()
        self.api.limiter.CheckLimit(limiter_pb.CheckLimitRequest(object=self.ref, check=LIMIT))
        self.api.batch.ConfigureBatch(
            batch_pb.ConfigureBatchRequest(object=self.ref, config=batch_pb.BatchConfig(delay=HOUR, max_items=500))
        )
        self.api.batch.AddItems(batch_pb.AddItemsRequest(object=self.ref, items=["done"]))
        self.api.batch.FlushBatch(batch_pb.FlushBatchRequest(object=self.ref))
        self.api.batch.AddItems(batch_pb.AddItemsRequest(object=self.ref, items=["pending"]))
        self.api.users.UpdateUser(
            users_pb.UpdateUserRequest(object=self.ref, user=users_pb.User(id="u1", name="Ada"), allow_missing=True)
        )

    def unique_number(self):
        return self.api.counter.GetUniqueNumber(counter_pb.GetUniqueNumberRequest(object=self.ref)).number

    def is_new(self, object_class):
        if object_class == "Counter":
            return self.api.counter.GetValue(counter_pb.GetValueRequest(object=self.ref)).value == 0
        if object_class == "RateLimiter":
            return self.api.limiter.CheckLimit(
                limiter_pb.CheckLimitRequest(object=self.ref, check=LIMIT, peek=True)
            ).allowed
        if object_class == "BatchProcessor":
            status = self.api.batch.GetBatchStatus(batch_pb.GetBatchStatusRequest(object=self.ref))
            listed = self.api.batch.ListProcessedItems(batch_pb.ListProcessedItemsRequest(object=self.ref)).items
            return (
                (status.pending_count, status.processed_count, len(listed)) == (0, 0, 0)
                and not status.HasField("next_flush_time")
                and status.config.max_items == 1000
            )
        assert object_class == "UserCache"
        return not self.api.users.ListUsers(users_pb.ListUsersRequest(object=self.ref)).users


CLASSES = ["Counter", "RateLimiter", "BatchProcessor", "UserCache"]


def delete_all(api, ref, object_class, **fields):
    api.objects.DeleteAll(pb.DeleteAllRequest(object=object_id(ref, object_class), **fields))


def clean_up(api, ref, object_class):
    api.objects.Cleanup(pb.CleanupRequest(object=object_id(ref, object_class)))


@pytest.mark.parametrize("remove", [delete_all, clean_up])
@pytest.mark.parametrize("object_class", CLASSES)
def test_a_deleted_object_reads_as_new(api, ref, object_class, remove):
    contents = Contents(api, ref)
    contents.write()
    assert not any(contents.is_new(one) for one in CLASSES)
    remove(api, ref, object_class)
    assert [one for one in CLASSES if contents.is_new(one)] == [object_class], "objects of other classes stay"
    contents.write()
    assert not contents.is_new(object_class), "and it works again"
    remove(api, ref, object_class)
    assert contents.is_new(object_class)


@pytest.mark.parametrize("remove", [delete_all, clean_up])
def test_unique_numbers_begin_again(api, ref, remove):
    contents = Contents(api, ref)
    assert [contents.unique_number() for _ in range(3)] == [0, 1, 2]
    remove(api, ref, "Counter")
    assert contents.unique_number() == 0


@pytest.mark.parametrize("remove", [delete_all, clean_up])
@pytest.mark.parametrize("object_class", CLASSES + ["Object", ""])
def test_on_an_object_that_never_existed_it_succeeds(api, ref, object_class, remove):
    remove(api, ref, object_class)
    remove(api, ref, object_class)


def test_a_kept_alarm_fires_on_the_emptied_object(api, ref):
    api.batch.ConfigureBatch(
        batch_pb.ConfigureBatchRequest(
            object=ref, config=batch_pb.BatchConfig(delay=duration_pb2.Duration(nanos=300_000_000))
        )
    )
    api.batch.AddItems(batch_pb.AddItemsRequest(object=ref, items=["lost"]))
    delete_all(api, ref, "BatchProcessor", keep_alarm=True)
    status = lambda: api.batch.GetBatchStatus(batch_pb.GetBatchStatusRequest(object=ref))
    assert status().pending_count == 0
    # The object still works after the alarm found nothing to do, and processes new items exactly once.
    api.batch.AddItems(batch_pb.AddItemsRequest(object=ref, items=["kept"]))
    api.batch.FlushBatch(batch_pb.FlushBatchRequest(object=ref))
    eventually(lambda: not status().HasField("next_flush_time"), what="no alarm left")
    listed = api.batch.ListProcessedItems(batch_pb.ListProcessedItemsRequest(object=ref)).items
    assert [(item.sequence, item.item) for item in listed] == [(1, "kept")]


@pytest.mark.parametrize("remove", [delete_all, clean_up])
def test_an_unknown_class_is_refused(api, ref, remove):
    assert_invalid(failure_of(lambda: remove(api, ref, "Spaceship")), "object.object_class")
