import concurrent.futures
import datetime
import time

import pytest
from google.protobuf import duration_pb2

from harness import assert_invalid, eventually, failure_of
from holdfast.v1 import rate_limiter_service_pb2 as pb

SLIDING = pb.RATE_LIMIT_ALGORITHM_SLIDING_WINDOW_LOG
GCRA = pb.RATE_LIMIT_ALGORITHM_GCRA
FIXED = pb.RATE_LIMIT_ALGORITHM_FIXED_WINDOW
YEAR_S = 365 * 24 * 3600


def limit_of(limit, window_s=3600.0, key="alice", **fields):
    window = duration_pb2.Duration()
    window.FromTimedelta(datetime.timedelta(seconds=window_s))
    return pb.RateLimit(key=key, limit=limit, window=window, **fields)


def check(api, ref, limit, peek=False):
    return api.limiter.CheckLimit(pb.CheckLimitRequest(object=ref, check=limit, peek=peek))


def seconds(duration):
    return duration.seconds + duration.nanos / 1e9


def test_the_sixth_check_of_five_is_denied(api, ref):
    replies = [check(api, ref, limit_of(5)) for _ in range(6)]
    assert [reply.allowed for reply in replies] == [True] * 5 + [False]
    assert [reply.remaining for reply in replies] == [4, 3, 2, 1, 0, 0]
    assert {reply.limit for reply in replies} == {5}
    assert [seconds(reply.retry_after) for reply in replies[:5]] == [0] * 5
    assert 0 < seconds(replies[5].retry_after) <= 3600.000001
    assert 0 < seconds(replies[5].reset_after) <= 3600.000001


def test_keys_and_objects_are_apart(api, make_ref):
    one, other = make_ref("one"), make_ref("other")
    assert check(api, one, limit_of(1)).allowed
    assert not check(api, one, limit_of(1)).allowed
    assert check(api, one, limit_of(1, key="bob")).allowed
    assert check(api, other, limit_of(1)).allowed


def test_a_denied_check_is_allowed_after_retry_after_and_not_before(api, ref):
    limit = limit_of(2, window_s=1)
    start = time.monotonic()
    check(api, ref, limit)
    check(api, ref, limit)
    denied = check(api, ref, limit)
    assert not denied.allowed
    assert 0 < seconds(denied.retry_after) <= 1.000001
    eventually(lambda: check(api, ref, limit).allowed, what="allowed again")
    # `start` was read before the first check was counted, on a clock that runs like the server's.
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize("algorithm", [SLIDING, GCRA, FIXED])
def test_a_peek_counts_nothing(api, ref, algorithm):
    limit = limit_of(2, window_s=YEAR_S, algorithm=algorithm)
    for _ in range(5):
        peeked = check(api, ref, limit, peek=True)
        assert peeked.allowed and peeked.remaining == 1
    assert [check(api, ref, limit).allowed for _ in range(3)] == [True, True, False]
    assert not check(api, ref, limit, peek=True).allowed


@pytest.mark.parametrize("algorithm", [SLIDING, GCRA, FIXED])
def test_costs(api, ref, algorithm):
    ten = lambda cost: check(api, ref, limit_of(10, window_s=YEAR_S, algorithm=algorithm, cost=cost))
    assert ten(4).remaining == 6
    assert not ten(7).allowed
    assert ten(6).allowed
    assert not ten(1).allowed


def test_gcra_allows_the_burst_at_once_and_then_the_rate(api, ref):
    limit = limit_of(100, window_s=100, algorithm=GCRA, burst=3)
    replies = [check(api, ref, limit) for _ in range(4)]
    assert [reply.allowed for reply in replies] == [True, True, True, False]
    assert 0 < seconds(replies[3].retry_after) <= 1, "one comes back at each emission interval"
    eventually(lambda: check(api, ref, limit).allowed, what="one more after an interval")
    assert not check(api, ref, limit).allowed


def test_fixed_window_begins_at_a_multiple_of_its_length(api, ref):
    limit = limit_of(1, window_s=YEAR_S, algorithm=FIXED)
    check(api, ref, limit)
    denied = check(api, ref, limit)
    assert not denied.allowed
    left = YEAR_S - time.time() % YEAR_S
    assert seconds(denied.retry_after) == pytest.approx(left, abs=30)


def test_algorithms_and_windows_of_one_key_are_apart(api, ref):
    for limit in (
        limit_of(1),
        limit_of(1, algorithm=GCRA),
        limit_of(1, window_s=YEAR_S, algorithm=FIXED),
        limit_of(1, window_s=7200),
    ):
        assert check(api, ref, limit).allowed
        assert not check(api, ref, limit).allowed
    assert not check(api, ref, limit_of(1, algorithm=SLIDING)).allowed, "the default algorithm"


def test_no_two_concurrent_checks_take_the_same_room(api, ref):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(check, api, ref, limit_of(10)) for _ in range(200)]
        assert sum(call.result().allowed for call in calls) == 10


def test_check_limits_is_all_or_nothing(api, ref):
    checks = lambda *limits: api.limiter.CheckLimits(pb.CheckLimitsRequest(object=ref, checks=limits))
    per_user, per_site = limit_of(1, key="user"), limit_of(5, key="site")
    first = checks(per_user, per_site)
    assert first.allowed
    assert [(one.allowed, one.remaining) for one in first.results] == [(True, 0), (True, 4)]
    second = checks(per_user, per_site)
    assert not second.allowed
    assert [(one.allowed, one.remaining) for one in second.results] == [(False, 0), (True, 4)], "nothing was counted"
    assert check(api, ref, per_site).remaining == 3


def test_check_limits_can_peek(api, ref):
    limits = [limit_of(1, key="a"), limit_of(1, key="b")]
    for _ in range(3):
        assert api.limiter.CheckLimits(pb.CheckLimitsRequest(object=ref, checks=limits, peek=True)).allowed
    assert api.limiter.CheckLimits(pb.CheckLimitsRequest(object=ref, checks=limits)).allowed


def test_reset_forgets_a_key_under_every_algorithm(api, ref):
    limits = [limit_of(1, window_s=YEAR_S, algorithm=algorithm) for algorithm in (SLIDING, GCRA, FIXED)]
    for limit in limits:
        check(api, ref, limit)
        assert not check(api, ref, limit).allowed
    check(api, ref, limit_of(1, key="bob"))
    api.limiter.ResetLimit(pb.ResetLimitRequest(object=ref, key="alice"))
    assert all(check(api, ref, limit).allowed for limit in limits)
    assert not check(api, ref, limit_of(1, key="bob")).allowed
    api.limiter.ResetLimit(pb.ResetLimitRequest(object=ref, key="never used"))


@pytest.mark.parametrize(
    "limit, field",
    [
        (limit_of(5, key=""), "check.key"),
        (limit_of(5, key="x" * 513), "check.key"),
        (limit_of(0), "check.limit"),
        (limit_of(100_001), "check.limit"),
        (limit_of(5, window_s=0), "check.window"),
        (pb.RateLimit(key="alice", limit=5), "check.window"),
        (limit_of(5, window_s=367 * 24 * 3600), "check.window"),
        (limit_of(5, cost=0), "check.cost"),
        (limit_of(5, cost=6), "check.cost"),
        (limit_of(5, burst=5), "check.burst"),
        (limit_of(5, algorithm=GCRA, burst=0), "check.burst"),
        (limit_of(5, algorithm=99), "check.algorithm"),
    ],
    ids=str,
)
def test_a_limit_out_of_its_bounds_is_refused(api, ref, limit, field):
    assert_invalid(failure_of(lambda: check(api, ref, limit)), field)


def test_check_limits_refuses_none_too_many_and_doubles(api, ref):
    checks = lambda limits: api.limiter.CheckLimits(pb.CheckLimitsRequest(object=ref, checks=limits))
    assert_invalid(failure_of(lambda: checks([])), "checks")
    assert_invalid(failure_of(lambda: checks([limit_of(1, key=str(i)) for i in range(101)])), "checks")
    double = failure_of(lambda: checks([limit_of(5), limit_of(7)]))
    assert double.reason == "INVALID_FIELD"
    assert len(double.fields) == 1 and double.fields[0].startswith("checks")
    assert check(api, ref, limit_of(5)).remaining == 4, "what was refused has counted nothing"
