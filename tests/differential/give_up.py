"""Runs one alarm whose handler always fails, on both sides to its end.

workerd tries 7 times, 2, 4, 8, 16, 32 and 64 s apart, each with up to a quarter more, and then drops the alarm.
Holdfast
waits as long, and continues for ever, 64 s apart.
"""

import time

import differences
from alarm_model import BACKOFF_START_MS
from sequence import BACKOFF_SLACK_MS
from subject import now_ms

ATTEMPTS_OF_WORKERD = 7
BACKOFF_MAX_MS = 64_000
LATE_MAX_MS = 3_000
LOOK_S = 0.5
TIME_MAX_S = 300


def _backoff_faults(runs):
    faults = []
    for count, (before, after) in enumerate(zip(runs, runs[1:])):
        backoff = min(BACKOFF_START_MS << count, BACKOFF_MAX_MS)
        waited = after["started"] - before["ended"]
        if not backoff - BACKOFF_SLACK_MS <= waited <= backoff * 5 // 4 + LATE_MAX_MS:
            faults.append(f"retry {count + 1} came after {waited} ms instead of {backoff} to {backoff * 5 // 4}")
    return faults


def give_up(reference, subject, name, tally):
    """Returns the differences that are not listed."""
    objects = [side.open(name, False) for side in (reference, subject)]
    for one in objects:
        one.plan([{"fail": True}] * (3 * ATTEMPTS_OF_WORKERD))
        one.do({"op": "setAlarm", "time": now_ms() + 200})
    end = time.monotonic() + TIME_MAX_S
    while True:
        runs = [one.runs() for one in objects]
        if len(runs[0]) >= ATTEMPTS_OF_WORKERD and len(runs[1]) > ATTEMPTS_OF_WORKERD and "ended" in runs[1][-1]:
            break
        if time.monotonic() > end:
            return [f"after {TIME_MAX_S} s the handlers had run {[len(some) for some in runs]} times"]
        time.sleep(LOOK_S)  # the time between two looks
    faults = []
    for side, some in zip((reference, subject), runs):
        faults += [f"{side.name}: {fault}" for fault in _backoff_faults(some)]
        counts = [run["retryCount"] for run in some]
        if counts != list(range(len(some))):
            faults.append(f"{side.name}: the counts of the retries are {counts}")
    tally.compared["alarm"] += ATTEMPTS_OF_WORKERD
    is_set = [one.do({"op": "getAlarm"})["value"] for one in objects]
    if len(runs[0]) == ATTEMPTS_OF_WORKERD and is_set == [None, runs[1][0]["scheduled"]]:
        tally.listed[differences.NEVER_DROPPED] += 1
    else:
        faults.append(f"workerd tried {len(runs[0])} times, Holdfast {len(runs[1])}; the alarms are now {is_set}")
    for one in objects:
        one.do({"op": "deleteAlarm"})
    return faults
