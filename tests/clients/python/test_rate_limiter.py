import concurrent.futures
import datetime
import time

import pytest
from google.protobuf import duration_pb2

from harness import eventually
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
def test_costs(api, ref, algorithm):
    ten = lambda cost: check(api, ref, limit_of(10, window_s=YEAR_S, algorithm=algorithm, cost=cost))
    assert ten(4).remaining == 6
    assert not ten(7).allowed
    assert ten(6).allowed
    assert not ten(1).allowed


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
