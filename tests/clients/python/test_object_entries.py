"""Keys of objects: put, get, delete, list, and batches with conditions."""

import grpc
import pytest

from harness import Server, failure_of
from holdfast.v1 import object_service_pb2 as pb


def entry(key, value=b""):
    return pb.Entry(key=key, value=value)


def put(api, obj, *entries, **more):
    """put(api, obj, entry(...), ...) or put(api, obj, a=b"1", b=b"2")"""
    entries = list(entries) + [entry(key, value) for key, value in more.items()]
    return api.objects.PutEntries(pb.PutEntriesRequest(object=obj, entries=entries))


def get(api, obj, *keys):
    entries = api.objects.GetEntries(pb.GetEntriesRequest(object=obj, keys=keys)).entries
    return {one.key: one.value for one in entries}


def delete(api, obj, *keys):
    return api.objects.DeleteEntries(pb.DeleteEntriesRequest(object=obj, keys=keys)).deleted_count


def list_page(api, obj, **fields):
    return api.objects.ListEntries(pb.ListEntriesRequest(object=obj, **fields))


def keys(api, obj, **fields):
    """Returns the entries of all pages."""
    found, token = [], ""
    while True:
        reply = list_page(api, obj, page_token=token, **fields)
        found += [one.key for one in reply.entries]
        token = reply.next_page_token
        if not token:
            return found


def apply(api, obj, *steps, **fields):
    return api.objects.ApplyBatch(pb.ApplyBatchRequest(object=obj, steps=steps, **fields))


def put_step(key, value=b""):
    return pb.BatchStep(put=entry(key, value))


def delete_step(key):
    return pb.BatchStep(delete_key=key)


# --- Put, get, delete


def test_entries_are_put_read_and_deleted(api, obj):
    assert get(api, obj, "a") == {}
    put(api, obj, b=b"2", a=b"1", c=b"")
    reply = api.objects.GetEntries(pb.GetEntriesRequest(object=obj, keys=["c", "b", "missing", "a", "b"]))
    assert [(one.key, one.value) for one in reply.entries] == [("a", b"1"), ("b", b"2"), ("c", b"")]
    put(api, obj, a=b"new")
    assert get(api, obj, "a", "b") == {"a": b"new", "b": b"2"}
    assert delete(api, obj, "a", "missing", "a", "b") == 2
    assert delete(api, obj, "a") == 0
    assert keys(api, obj) == ["c"]


def test_any_bytes_and_any_key(api, obj):
    values = {"nul\0inside": bytes(range(256)), "\0": b"\0", "é" * 1024: b"\xff", " ": b"", "new\nline": b"x"}
    put(api, obj, *[entry(key, value) for key, value in values.items()])
    assert get(api, obj, *values) == values
    assert delete(api, obj, "\0") == 1
    assert "\0" not in keys(api, obj)


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_entries_are_there_after_a_restart(own_server, obj, end):
    put(own_server.api, obj, a=b"1", b=b"2")
    delete(own_server.api, obj, "b")
    apply(own_server.api, obj, put_step("c", b"3"))
    end(own_server)
    api = own_server.start().api
    assert get(api, obj, "a", "b", "c") == {"a": b"1", "c": b"3"}


# --- Lists


ALPHABET = ["\0", "A", "a", "a\0", "aa", "ab", "b", "z", "é", "😀"]  # in the order of their bytes


@pytest.fixture
def alphabet(api, obj):
    put(api, obj, *[entry(key, key.encode()) for key in reversed(ALPHABET)])
    return obj


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"start": ""}, ALPHABET),
        ({"start_after": "a", "end": "ab", "prefix": "a"}, ["a\0", "aa"]),
        ({"limit": 3}, ["\0", "A", "a"]),
        ({"reverse": True}, ALPHABET[::-1]),
    ],
    ids=str,
)
def test_list(api, alphabet, fields, expected):
    assert keys(api, alphabet, page_size=3, **fields) == expected


def test_list_gives_values_and_pages(api, alphabet):
    page = list_page(api, alphabet, page_size=4)
    assert [(one.key, one.value) for one in page.entries] == [(key, key.encode()) for key in ALPHABET[:4]]
    assert page.next_page_token
    page = list_page(api, alphabet, page_size=4, page_token=page.next_page_token)
    assert [one.key for one in page.entries] == ALPHABET[4:8]


# --- Batches


def absent(key):
    return pb.Precondition(key_absent=key)


def present(key):
    return pb.Precondition(key_present=key)


def etag_is(key, etag):
    return pb.Precondition(etag_equals=pb.Entry(key=key, etag=etag))


def etag_of(api, obj, key):
    return api.objects.GetEntries(pb.GetEntriesRequest(object=obj, keys=[key])).entries[0].etag


def test_a_batch_whose_conditions_hold_is_applied(api, obj):
    put(api, obj, a=b"1")
    conditions = [absent("b"), present("a"), etag_is("a", etag_of(api, obj, "a"))]
    apply(api, obj, put_step("b", b"2"), delete_step("a"), preconditions=conditions)
    assert get(api, obj, "a", "b") == {"b": b"2"}


@pytest.mark.parametrize(
    "condition, reason",
    [
        (absent("a"), "PRECONDITION_FAILED"),
        (present("b"), "PRECONDITION_FAILED"),
        (etag_is("a", "0" * 32), "ETAG_MISMATCH"),
        (etag_is("b", "0" * 32), "ETAG_MISMATCH"),
    ],
    ids=["absent", "present", "etag", "etag of none"],
)
def test_a_batch_with_a_condition_that_does_not_hold_does_nothing(api, obj, condition, reason):
    put(api, obj, a=b"1")
    request = dict(preconditions=[present("a"), condition, present("also not")], request_id="once")
    steps = [put_step("a", b"2"), put_step("b"), pb.BatchStep(delete_alarm=True)]
    failure = failure_of(lambda: apply(api, obj, *steps, **request))
    assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, reason)
    assert "preconditions[1]" in failure.message, "the first that does not hold is named"
    assert get(api, obj, "a", "b") == {"a": b"1"}


def test_a_counter_by_compare_and_swap(api, obj):
    put(api, obj, n=b"0")
    stale = etag_of(api, obj, "n")
    apply(api, obj, put_step("n", b"1"), preconditions=[etag_is("n", stale)])
    failure = failure_of(lambda: apply(api, obj, put_step("n", b"1"), preconditions=[etag_is("n", stale)]))
    assert failure.reason == "ETAG_MISMATCH"
    apply(api, obj, put_step("n", b"2"), preconditions=[etag_is("n", etag_of(api, obj, "n"))])
    assert get(api, obj, "n") == {"n": b"2"}
