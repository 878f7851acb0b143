"""The differences from workerd that are kept on purpose, by the names under which docs/differences.md explains them.

Each is a claim about both sides, and both halves are checked: where an operation falls under one, workerd must accept
it
and Holdfast refuse it, for instance. The test thus finds a difference that has gone as well as a new one.
"""

from subject import has_lone_surrogate

KEY_BYTES_MAX = 2048
KEYS_MAX = 128
VALUE_BYTES_MAX = 2 * 1024 * 1024
WORKERD_TIME_MAX_MS = 9_223_372_036_854

EMPTY_KEY = "empty-key"
LONG_KEY = "key-over-2048-bytes"
NOT_UTF8 = "key-not-utf-8"
NO_KEYS = "no-keys"
MANY_KEYS = "over-128-keys"
LARGE_VALUE = "value-over-2-mib"
EARLY_TIME = "alarm-not-after-1970"
LATE_TIME = "alarm-after-2262"
MICROSECONDS = "alarm-microseconds"
PAST_TIME = "alarm-in-the-past"
EQUAL_TIME = "equal-alarm-time"
REPLACED_RETRY = "alarm-in-place-of-a-retry"
BESIDE_DELETED = "alarm-beside-a-deleted-one"
NEVER_DROPPED = "alarm-never-dropped"

ALL = [
    EMPTY_KEY,
    LONG_KEY,
    NOT_UTF8,
    NO_KEYS,
    MANY_KEYS,
    LARGE_VALUE,
    EARLY_TIME,
    LATE_TIME,
    MICROSECONDS,
    PAST_TIME,
    EQUAL_TIME,
    REPLACED_RETRY,
    BESIDE_DELETED,
    NEVER_DROPPED,
]
# The corpus shows the other differences in every run. These come by chance, and with --give-up.
NOT_ALWAYS_SEEN = [EQUAL_TIME, NEVER_DROPPED]


def keys_of(operation):
    if "key" in operation:
        return [operation["key"]]
    if "entries" in operation:
        return [key for key, _ in operation["entries"]]
    return operation.get("keys", [])


def _value_bytes(encoded):
    return len(encoded) * 3 // 4 - encoded.count("=", -2)


def refused_by_holdfast(operation):
    """Returns the name of the difference for which Holdfast refuses this operation on keys, or None."""
    if not any(field in operation for field in ("key", "keys", "entries")):
        return None
    keys = keys_of(operation)
    if not keys:
        return NO_KEYS
    if len(set(keys)) > KEYS_MAX:
        return MANY_KEYS
    if any(map(has_lone_surrogate, keys)):
        return NOT_UTF8
    if "" in keys:
        return EMPTY_KEY
    if any(len(key.encode()) > KEY_BYTES_MAX for key in keys):
        return LONG_KEY
    if _value_bytes(operation.get("value", "")) > VALUE_BYTES_MAX:
        return LARGE_VALUE
    return None


def of_alarm_time(time_ms):
    """Returns the name of the difference under which the time of a setAlarm falls, or None."""
    if time_ms <= 0:
        return EARLY_TIME
    if time_ms > WORKERD_TIME_MAX_MS:
        return LATE_TIME
    if time_ms != int(time_ms):
        return MICROSECONDS
    return None
