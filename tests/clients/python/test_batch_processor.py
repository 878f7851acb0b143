import datetime

from google.protobuf import duration_pb2, field_mask_pb2

from harness import assert_invalid, eventually, failure_of
from holdfast.v1 import batch_processor_service_pb2 as pb


def duration(seconds):
    result = duration_pb2.Duration()
    result.FromTimedelta(datetime.timedelta(seconds=seconds))
    return result


def configure(api, ref, mask=None, **config):
    if "delay" in config:
        config["delay"] = duration(config["delay"])
    request = pb.ConfigureBatchRequest(object=ref, config=pb.BatchConfig(**config))
    if mask is not None:
        request.update_mask.CopyFrom(field_mask_pb2.FieldMask(paths=mask))
    return api.batch.ConfigureBatch(request).config


def add(api, ref, *items):
    return api.batch.AddItems(pb.AddItemsRequest(object=ref, items=items))


def status(api, ref):
    return api.batch.GetBatchStatus(pb.GetBatchStatusRequest(object=ref))


def flush(api, ref):
    return api.batch.FlushBatch(pb.FlushBatchRequest(object=ref)).processed_count


def page(api, ref, **fields):
    return api.batch.ListProcessedItems(pb.ListProcessedItemsRequest(object=ref, **fields))


def processed(api, ref, **fields):
    return [(item.sequence, item.item) for item in page(api, ref, **fields).items]


def test_the_alarm_processes_after_the_delay(api, ref):
    configure(api, ref, delay=0.2)
    added = add(api, ref, "hello", "world")
    assert (added.first_sequence, added.pending_count) == (1, 2)
    done = eventually(lambda: page(api, ref).items, what="processed by the alarm")
    assert [(item.sequence, item.item) for item in done] == [(1, "hello"), (2, "world")]
    due = added.next_flush_time.ToDatetime()
    assert all(item.process_time.ToDatetime() >= due for item in done), "an alarm is never early"
    after = status(api, ref)
    assert (after.pending_count, after.processed_count) == (0, 2)
    assert not after.HasField("next_flush_time")


def test_pending_items_wait_for_their_time(api, ref):
    configure(api, ref, delay=3600)
    first = add(api, ref, "a")
    second = add(api, ref, "b", "c")
    assert (second.first_sequence, second.pending_count) == (2, 3)
    assert second.next_flush_time == first.next_flush_time, "an alarm that is set is kept"
    now = status(api, ref)
    assert (now.pending_count, now.processed_count) == (3, 0)
    assert now.next_flush_time == first.next_flush_time
    assert processed(api, ref) == []


def test_flush_processes_what_is_pending(api, ref):
    configure(api, ref, delay=3600)
    add(api, ref, "a", "b")
    assert flush(api, ref) == 2
    assert processed(api, ref) == [(1, "a"), (2, "b")]
    assert flush(api, ref) == 0
    assert add(api, ref, "c").first_sequence == 3
    assert flush(api, ref) == 1


def test_max_items_flushes_early(api, ref):
    configure(api, ref, delay=3600, max_items=3)
    add(api, ref, "a", "b")
    assert status(api, ref).pending_count == 2
    add(api, ref, "c")
    eventually(lambda: status(api, ref).processed_count == 3, what="processed at max_items")


def test_configuration_defaults_and_masks(api, ref):
    default = status(api, ref).config
    assert (default.delay, default.max_items, default.retention) == (duration(5), 1000, duration(7 * 24 * 3600))
    assert configure(api, ref, delay=2).max_items == 1000
    both = configure(api, ref, max_items=50)
    assert (both.delay, both.max_items) == (duration(2), 50), "absent mask: the fields that are set"
    masked = configure(api, ref, mask=["delay"], max_items=7)
    assert (masked.delay, masked.max_items) == (duration(5), 50), "a masked field that is not set gets its default"
    assert status(api, ref).config == masked


def test_paging(api, ref):
    configure(api, ref, delay=3600)
    add(api, ref, *"abcdefg")
    flush(api, ref)
    first = page(api, ref, page_size=3)
    assert [item.item for item in first.items] == ["a", "b", "c"]
    second = page(api, ref, page_size=3, page_token=first.next_page_token)
    assert [item.item for item in second.items] == ["d", "e", "f"]
    third = page(api, ref, page_size=3, page_token=second.next_page_token)
    assert [item.item for item in third.items] == ["g"]
    assert third.next_page_token == ""
    other = failure_of(lambda: page(api, ref, page_size=3, page_token=first.next_page_token, after_sequence=1))
    assert_invalid(other, "page_token")
    assert_invalid(failure_of(lambda: page(api, ref, page_token="garbled")), "page_token")
    assert_invalid(failure_of(lambda: page(api, ref, page_size=-1)), "page_size")


def test_a_consumer_follows_by_sequence(api, ref):
    configure(api, ref, delay=3600)
    add(api, ref, *"abc")
    flush(api, ref)
    assert processed(api, ref, after_sequence=1) == [(2, "b"), (3, "c")]
    assert processed(api, ref, after_sequence=3) == []
    add(api, ref, "d")
    flush(api, ref)
    assert processed(api, ref, after_sequence=3) == [(4, "d")]


def test_trim_removes_processed_items_only(api, ref):
    configure(api, ref, delay=3600)
    add(api, ref, *"abc")
    flush(api, ref)
    add(api, ref, "d")
    trim = lambda up_to: api.batch.TrimProcessedItems(
        pb.TrimProcessedItemsRequest(object=ref, up_to_sequence=up_to)
    ).removed_count
    assert trim(2) == 2
    assert trim(2) == 0
    assert processed(api, ref) == [(3, "c")]
    assert trim(1000) == 1
    now = status(api, ref)
    assert (now.pending_count, now.processed_count) == (1, 0)
    flush(api, ref)
    assert processed(api, ref) == [(4, "d")], "sequence numbers go on"
