"""Keys of objects: put, get, delete, list, and batches with conditions."""

import re

import grpc
import pytest

from harness import Server, assert_invalid, failure_of, object_id
from holdfast.v1 import counter_service_pb2 as counter_pb
from holdfast.v1 import object_service_pb2 as pb

MIB = 1 << 20


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


def test_of_entries_with_the_same_key_the_last_counts(api, obj):
    put(api, obj, entry("a", b"1"), entry("b"), entry("a", b"2"))
    assert get(api, obj, "a", "b") == {"a": b"2", "b": b""}


def test_any_bytes_and_any_key(api, obj):
    values = {"nul\0inside": bytes(range(256)), "\0": b"\0", "é" * 1024: b"\xff", " ": b"", "new\nline": b"x"}
    put(api, obj, *[entry(key, value) for key, value in values.items()])
    assert get(api, obj, *values) == values
    assert delete(api, obj, "\0") == 1
    assert "\0" not in keys(api, obj)


def test_an_etag_is_a_hash_of_the_value(api, obj):
    def etags():
        entries = list_page(api, obj).entries
        assert all(re.fullmatch("[0-9a-f]{32}", one.etag) for one in entries), entries
        return {one.key: one.etag for one in entries}

    put(api, obj, pb.Entry(key="a", value=b"1", etag="ignored"), entry("b", b"1"), entry("c", b"2"))
    before = etags()
    assert before["a"] == before["b"] != before["c"]
    read = api.objects.GetEntries(pb.GetEntriesRequest(object=obj, keys=["a", "b", "c"])).entries
    assert {one.key: one.etag for one in read} == before
    put(api, obj, a=b"2")
    assert etags() == {"a": before["c"], "b": before["b"], "c": before["c"]}


def test_objects_are_apart(api, make_ref):
    refs = [make_ref("a"), make_ref("b"), make_ref("a", "team-1")]
    for number, ref in enumerate(refs):
        put(api, object_id(ref), k=b"%d" % number)
    api.counter.Increment(counter_pb.IncrementRequest(object=refs[0]))
    assert [get(api, object_id(ref), "k")["k"] for ref in refs] == [b"0", b"1", b"2"]
    assert get(api, object_id(refs[0], "Object"), "k") == {"k": b"0"}, "no class means 'Object'"


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["SIGTERM", "SIGKILL"])
def test_entries_are_there_after_a_restart(own_server, obj, end):
    put(own_server.api, obj, a=b"1", b=b"2")
    delete(own_server.api, obj, "b")
    apply(own_server.api, obj, put_step("c", b"3"))
    end(own_server)
    api = own_server.start().api
    assert get(api, obj, "a", "b", "c") == {"a": b"1", "c": b"3"}


@pytest.mark.parametrize(
    "entries, field",
    [
        ([], "entries"),
        ([entry(str(i)) for i in range(129)], "entries"),
        ([entry("fine"), entry("")], "entries[1].key"),
        ([entry("x" * 2049)], "entries[0].key"),
        ([entry("fine"), entry("big", b"x" * (2 * MIB + 1))], "entries[1].value"),
    ],
    ids=["none", "too many", "no key", "long key", "large value"],
)
def test_a_wrong_put_is_refused_whole(api, obj, entries, field):
    assert_invalid(failure_of(lambda: put(api, obj, *entries)), field)
    assert keys(api, obj) == []


@pytest.mark.parametrize("method", ["GetEntries", "DeleteEntries"])
def test_wrong_keys_are_refused(api, obj, method):
    call = lambda keys: getattr(api.objects, method)(getattr(pb, method + "Request")(object=obj, keys=keys))
    for wrong, field in [([], "keys"), (["k"] * 129, "keys"), (["fine", ""], "keys[1]"), (["x" * 2049], "keys[0]")]:
        assert_invalid(failure_of(lambda: call(wrong)), field)


def test_the_largest_of_each_is_taken(api, obj):
    put(api, obj, *[entry(f"{i:03}" + "x" * 2045) for i in range(128)])
    assert len(keys(api, obj)) == 128
    value = b"v" * (2 * MIB)
    put(api, obj, large=value)
    assert get(api, obj, "large") == {"large": value}


def test_entries_that_do_not_fit_into_a_reply_are_refused(api, obj):
    for key in ("a", "b"):
        put(api, obj, entry(key, b"v" * (2 * MIB)))
    failure = failure_of(lambda: get(api, obj, "a", "b"))
    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RESPONSE_TOO_LARGE")
    assert len(get(api, obj, "a")["a"]) == 2 * MIB


@pytest.mark.parametrize("object_class", ["Counter", "RateLimiter", "BatchProcessor", "UserCache"])
def test_objects_of_other_classes_are_not_written_here(api, ref, object_class):
    other = object_id(ref, object_class)
    for call in (
        lambda: put(api, other, a=b"1"),
        lambda: delete(api, other, "a"),
        lambda: apply(api, other, put_step("a")),
        lambda: api.objects.DeleteAlarm(pb.DeleteAlarmRequest(object=other)),
    ):
        failure = failure_of(call)
        assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CLASS_READ_ONLY")
    assert get(api, other, "a") == {}
    assert keys(api, other) == []


# --- Lists


ALPHABET = ["\0", "A", "a", "a\0", "aa", "ab", "b", "z", "é", "😀"]  # in the order of their bytes


@pytest.fixture
def alphabet(api, obj):
    put(api, obj, *[entry(key, key.encode()) for key in reversed(ALPHABET)])
    return obj


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({}, ALPHABET),
        ({"prefix": "a"}, ["a", "a\0", "aa", "ab"]),
        ({"start": "a"}, ["a", "a\0", "aa", "ab", "b", "z", "é", "😀"]),
        ({"start_after": "a"}, ["a\0", "aa", "ab", "b", "z", "é", "😀"]),
        ({"start": ""}, ALPHABET),
        ({"end": "aa"}, ["\0", "A", "a", "a\0"]),
        ({"start": "a\0", "end": "b"}, ["a\0", "aa", "ab"]),
        ({"start_after": "a", "end": "ab", "prefix": "a"}, ["a\0", "aa"]),
        ({"start": "b", "end": "a"}, []),
        ({"start": "b", "prefix": "a"}, []),
        ({"limit": 3}, ["\0", "A", "a"]),
        ({"reverse": True}, ALPHABET[::-1]),
        ({"reverse": True, "limit": 2}, ["😀", "é"]),
        ({"reverse": True, "start": "a\0", "end": "b"}, ["ab", "aa", "a\0"]),
        ({"reverse": True, "start_after": "a", "prefix": "a", "limit": 2}, ["ab", "aa"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("page_size", [0, 1, 3])
def test_list(api, alphabet, fields, expected, page_size):
    assert keys(api, alphabet, page_size=page_size, **fields) == expected


def test_list_gives_values_and_pages(api, alphabet):
    page = list_page(api, alphabet, page_size=4)
    assert [(one.key, one.value) for one in page.entries] == [(key, key.encode()) for key in ALPHABET[:4]]
    assert page.next_page_token
    page = list_page(api, alphabet, page_size=4, page_token=page.next_page_token)
    assert [one.key for one in page.entries] == ALPHABET[4:8]


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"page_size": -1}, "page_size"),
        ({"page_token": "garbled"}, "page_token"),
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
    ],
    ids=str,
)
def test_a_wrong_list_is_refused(api, alphabet, fields, field):
    assert_invalid(failure_of(lambda: list_page(api, alphabet, **fields)), field)


def test_start_and_start_after_exclude_each_other(api, alphabet):
    failure = failure_of(lambda: list_page(api, alphabet, start="a", start_after="a"))
    assert failure.reason == "INVALID_FIELD"
    assert len(failure.fields) == 1 and failure.fields[0] in ("start", "start_after")


@pytest.mark.parametrize(
    "other", [{"prefix": "a"}, {"reverse": True}, {"start": "a"}, {"end": "z"}, {"limit": 5}], ids=str
)
def test_a_token_is_for_the_arguments_that_it_came_from(api, alphabet, other):
    token = list_page(api, alphabet, page_size=2).next_page_token
    assert_invalid(
        failure_of(lambda: list_page(api, alphabet, page_size=2, page_token=token, **other)), "page_token"
    )


def test_a_token_is_for_its_object(api, make_ref):
    one, two = object_id(make_ref("one")), object_id(make_ref("two"))
    for obj in (one, two):
        put(api, obj, a=b"", b=b"")
    token = list_page(api, one, page_size=1).next_page_token
    assert_invalid(failure_of(lambda: list_page(api, two, page_size=1, page_token=token)), "page_token")


def test_a_page_ends_at_a_mebibyte(api, obj):
    for i in range(8):
        put(api, obj, entry(f"k{i}", b"v" * (MIB // 3)))
    page = list_page(api, obj)
    assert 1 <= len(page.entries) <= 4 and page.next_page_token
    assert keys(api, obj) == [f"k{i}" for i in range(8)]


def test_a_page_has_a_hundred_unless_told_otherwise_and_never_more_than_a_thousand(api, obj):
    for first in range(0, 1100, 100):
        put(api, obj, *[entry(f"{i:04}") for i in range(first, first + 100)])
    assert len(list_page(api, obj).entries) == 100
    assert len(list_page(api, obj, page_size=5000).entries) == 1000


def test_a_list_while_others_write(api, obj):
    put(api, obj, *[entry(key) for key in ("b", "d", "f", "h")])
    page = list_page(api, obj, page_size=2)
    assert [one.key for one in page.entries] == ["b", "d"]
    delete(api, obj, "b", "f")
    put(api, obj, entry("a"), entry("d", b"new"), entry("e"), entry("h", b"new"))
    page = list_page(api, obj, page_size=2, page_token=page.next_page_token)
    assert [(one.key, one.value) for one in page.entries] == [("e", b""), ("h", b"new")]


# --- Batches


def test_steps_are_taken_in_order(api, obj):
    put(api, obj, old=b"")
    steps = [put_step("a", b"1"), put_step("a", b"2"), put_step("gone"), delete_step("gone"), delete_step("old")]
    steps += [delete_step("back"), put_step("back", b"b"), delete_step("missing")]
    apply(api, obj, *steps)
    assert get(api, obj, *keys(api, obj)) == {"a": b"2", "back": b"b"}


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


def test_conditions_look_at_what_was_there_before_the_steps(api, obj):
    apply(api, obj, put_step("a"), preconditions=[absent("a")])
    failure = failure_of(lambda: apply(api, obj, delete_step("a"), put_step("a"), preconditions=[absent("a")]))
    assert failure.reason == "PRECONDITION_FAILED"


def test_a_counter_by_compare_and_swap(api, obj):
    put(api, obj, n=b"0")
    stale = etag_of(api, obj, "n")
    apply(api, obj, put_step("n", b"1"), preconditions=[etag_is("n", stale)])
    failure = failure_of(lambda: apply(api, obj, put_step("n", b"1"), preconditions=[etag_is("n", stale)]))
    assert failure.reason == "ETAG_MISMATCH"
    apply(api, obj, put_step("n", b"2"), preconditions=[etag_is("n", etag_of(api, obj, "n"))])
    assert get(api, obj, "n") == {"n": b"2"}


@pytest.mark.parametrize(
    "steps, conditions, field",
    [
        ([], [], "steps"),
        ([delete_step("k")] * 129, [], "steps"),
        ([delete_step("k")], [absent("k")] * 129, "preconditions"),
        ([delete_step("k"), pb.BatchStep()], [], "steps[1]"),
        ([put_step("")], [], "steps[0].put.key"),
        ([put_step("k", b"x" * (2 * MIB + 1))], [], "steps[0].put.value"),
        ([delete_step("")], [], "steps[0].delete_key"),
        ([pb.BatchStep(delete_alarm=False)], [], "steps[0].delete_alarm"),
    ],
    ids=["no steps", "many steps", "many conditions", "empty step", "no key", "value", "delete", "delete_alarm"],
)
def test_a_wrong_batch_is_refused(api, obj, steps, conditions, field):
    assert_invalid(failure_of(lambda: apply(api, obj, *steps, preconditions=conditions)), field)
    assert keys(api, obj) == []


@pytest.mark.parametrize("condition", [pb.Precondition(), absent(""), etag_is("", "e"), etag_is("k", "")], ids=str)
def test_a_wrong_condition_is_refused(api, obj, condition):
    failure = failure_of(lambda: apply(api, obj, put_step("a"), preconditions=[condition]))
    assert failure.reason == "INVALID_FIELD"
    assert len(failure.fields) == 1 and failure.fields[0].startswith("preconditions[0]")
    assert keys(api, obj) == []


def test_the_largest_batch_is_taken(api, obj):
    apply(
        api, obj, *[put_step(f"k{i}") for i in range(128)], preconditions=[absent(f"k{i}") for i in range(128)]
    )
    assert len(keys(api, obj)) == 128
