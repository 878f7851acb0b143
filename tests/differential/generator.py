"""Random sequences of steps. A sequence follows from its seed alone, and a part of it can run without the rest.

A step is an operation in the JSON of worker.js, except for these:
- a value is base64, or {"size": n} for n bytes; a key may have the same form, and keys {"count": n};
- the time of an alarm is {"far": ms}, {"near": ms} or {"past": ms} from the moment at which the step is taken; in a
  handler {"near": ms} is from the time of the alarm that the step sets, {"same": 0} that very time;
- a step that sets an alarm has a plan for the handler's runs. "hold" in it is the number of steps to take
  while the handler runs, "linger" the number while the alarm waits for its retry;
- "lead" is the number of steps to take before a near alarm comes due;
- "again" sends the request to Holdfast twice with one request_id.
"""

import base64
import random

# Bytes and UTF-16 order these differently, and some are prefixes of others.
LETTERS = ["a", "b", "k", "\x00", "\x7f", "é", "ÿ", "\ud7ff", "\uf8ff", "\ufffd", "\U00010000", "😀", "\U0010ffff"]
FIXED_KEYS = ["\x00", "\x00\x00", "a\x00", "10", "9", "__proto__", "constructor", "k" * 2048, "é" * 1024]
KEYS_OF_A_SEQUENCE = (6, 20)
KEY_LETTERS_MAX = 4
MANY_MAX = 128
VALUE_SIZES = [0, 1, 2, 10, 100, 4096]
LARGE_VALUE_SIZES = [70_000, 131_072, 131_073]  # around the limit of Cloudflare's older storage
PAGE_SIZES = [0, 1, 2, 3, 7, 1000]

NEAR_MS = (450, 900)
HANDLER_NEAR_MS = (300, 600)
FAR_MS = (3_600_000, 360_000_000)
PAST_MS = (0, 100_000)

WEIGHTS = {
    "put": 14,
    "putMany": 8,
    "get": 8,
    "getMany": 6,
    "delete": 7,
    "deleteMany": 5,
    "list": 24,
    "deleteAll": 2,
    "cleanup": 1,
    "batch": 6,
    "setAlarm": 8,
    "getAlarm": 6,
    "deleteAlarm": 3,
    "unload": 2,
    "listed": 2,
}


class Generator:
    def __init__(self, seed):
        self._random = random.Random(seed)
        count = self._random.randint(*KEYS_OF_A_SEQUENCE)
        self.keeps_alarm = self._random.random() < 0.4
        self._keys = [self._new_key() for _ in range(count)]

    def steps(self, count):
        """Returns the first steps of the sequence; a greater count gives the same steps and more."""
        kinds, weights = zip(*WEIGHTS.items())
        return [getattr(self, "_" + self._random.choices(kinds, weights)[0])() for _ in range(count)]

    # --- Parts

    def _chance(self, probability):
        return self._random.random() < probability

    def _letters(self, count):
        return "".join(self._random.choices(LETTERS, k=count))

    def _new_key(self):
        if self._chance(0.15):
            return self._random.choice(FIXED_KEYS)
        return self._letters(self._random.randint(1, KEY_LETTERS_MAX))

    def _key(self):
        return self._random.choice(self._keys)

    def _several_keys(self):
        if self._chance(0.05):
            return [f"{self._letters(1)}{number}" for number in range(MANY_MAX)]
        return [self._key() for _ in range(self._random.randint(1, 8))]

    def _value(self):
        if self._chance(0.02):
            return {"size": self._random.choice(LARGE_VALUE_SIZES)}
        size = self._random.choice(VALUE_SIZES[:4] if self._chance(0.9) else VALUE_SIZES)
        return base64.b64encode(self._random.randbytes(size)).decode()

    def _changing(self, step):
        if self._chance(0.08):
            step["again"] = True
        return step

    def _far(self):
        return {"far": self._random.randint(*FAR_MS)}

    # --- Keys

    def _put(self):
        return self._changing({"op": "put", "key": self._key(), "value": self._value()})

    def _putMany(self):
        entries = [[key, self._value()] for key in self._several_keys()]
        return self._changing({"op": "putMany", "entries": entries})

    def _get(self):
        return {"op": "get", "key": self._key()}

    def _getMany(self):
        return {"op": "getMany", "keys": self._several_keys()}

    def _delete(self):
        return self._changing({"op": "delete", "key": self._key()})

    def _deleteMany(self):
        return self._changing({"op": "deleteMany", "keys": self._several_keys()})

    def _bound(self):
        shape = self._random.random()
        if shape < 0.5:
            return self._key()
        if shape < 0.7:
            key = self._key()
            return key[: self._random.randint(1, len(key))]
        if shape < 0.75:
            return ""
        return self._letters(self._random.randint(1, 3))

    def _list(self):
        options = {}
        if self._chance(0.35):
            options["start"] = self._bound()
        # start and start_after together are refused.
        if self._chance(0.25 if "start" not in options else 0.08):
            options["startAfter"] = self._bound()
        if self._chance(0.35):
            options["end"] = self._bound()
        if self._chance(0.35):
            options["prefix"] = self._bound()
        if self._chance(0.4):
            options["reverse"] = self._chance(0.8)
        if self._chance(0.35):
            options["limit"] = self._random.choice([1, 1, 2, 3, 5, 100, 1000, 2_147_483_647])
        if self._chance(0.04):
            options["limit"] = self._random.choice([0, -1, -2_147_483_648])
        step = {"op": "list", "options": options}
        if self._chance(0.6):
            step["pageSize"] = self._random.choice(PAGE_SIZES)
        return step

    def _deleteAll(self):
        return self._changing({"op": "deleteAll"})

    def _cleanup(self):
        return self._changing({"op": "cleanup"})

    def _condition(self):
        if self._chance(0.3):
            return {"key": self._key(), "value": self._value()}
        return {"key": self._key(), "present": self._chance(0.5)}

    def _batch_of(self, with_alarm):
        steps = []
        for _ in range(self._random.randint(1, 6)):
            if self._chance(0.6):
                steps.append({"op": "put", "key": self._key(), "value": self._value()})
            else:
                steps.append({"op": "delete", "key": self._key()})
        if with_alarm:
            for _ in range(self._random.randint(1, 2)):
                step = {"op": "deleteAlarm"} if self._chance(0.3) else {"op": "setAlarm", "time": self._far()}
                steps.insert(self._random.randint(0, len(steps)), step)
        return {"preconditions": [self._condition() for _ in range(self._random.choice([0, 0, 0, 1, 2]))], "steps": steps}

    def _batch(self):
        return self._changing({"op": "batch", **self._batch_of(with_alarm=self._chance(0.3))})

    def _unload(self):
        return {"op": "unload"}

    # --- Alarms

    def _getAlarm(self):
        return {"op": "getAlarm"}

    def _deleteAlarm(self):
        return self._changing({"op": "deleteAlarm"})

    def _setAlarm(self):
        shape = self._random.random()
        if shape < 0.3:
            return self._changing({"op": "setAlarm", "time": self._far()})
        if shape < 0.45:
            time = {"past": self._random.randint(*PAST_MS)}
        else:
            time = {"near": self._random.randint(*NEAR_MS)}
        lead = self._random.choice([0, 0, 1, 3, 6])
        return self._changing({"op": "setAlarm", "time": time, "lead": lead, "plan": self._plan()})

    def _plan(self):
        plan, may_be_late, sets_near = [], False, False
        for number in range(self._random.choice([0, 1, 1, 1, 2, 2, 3])):
            attempt = {}
            ops = []
            for _ in range(self._random.choice([0, 1, 2, 3])):
                ops.append(self._handler_operation(None if may_be_late else number * HANDLER_NEAR_MS[1]))
                sets_near = sets_near or "near" in ops[-1].get("time", {})
            if ops:
                attempt["ops"] = ops
            if self._chance(0.3):
                attempt["hold"] = self._random.randint(0, 4)
            if self._chance(0.3):
                attempt["fail"] = True
                attempt["linger"] = self._random.choice([0, 0, 1, 3, 6])
                may_be_late = True
            elif self._chance(0.3) and not any(op["op"] in ("deleteAll", "cleanup") for op in ops):
                attempt["commit"] = self._batch_of(with_alarm=self._chance(0.4))
                if self._chance(0.8):
                    attempt["commit"]["preconditions"] = []  # a failed one costs seconds for the retry
                else:
                    may_be_late = True
            plan.append(attempt)
        if not sets_near and self._chance(0.25):
            # This comes at the end of the plan: workerd may not run an operation after it.
            plan.append({"ops": [{"op": "setAlarm", "time": {"same": 0}}]})
        return plan

    def _handler_operation(self, earliest):
        """Returns an operation of a handler. Near alarms come later than `earliest`; without it none is set."""
        shape = self._random.random()
        if shape < 0.25:
            return {"op": "getAlarm"}
        if shape < 0.40 and earliest is not None:
            return {"op": "setAlarm", "time": {"near": earliest + self._random.randint(*HANDLER_NEAR_MS)}}
        if shape < 0.45:
            return {"op": "setAlarm", "time": self._far()}
        if shape < 0.52:
            return {"op": "deleteAlarm"}
        if shape < 0.56:
            return {"op": self._random.choice(["deleteAll", "cleanup"])}
        return self._random.choice([self._put, self._delete, self._list, self._get, self._getMany])()

    # --- The known differences (differences.py)

    def _listed(self):
        odd_key = self._random.choice(["", "k" * 2049, "é" * 1025, "a\ud800b"])
        shape = self._random.randrange(10)
        if shape == 0:
            return {"op": "put", "key": odd_key, "value": self._value()}
        if shape == 1:
            return {"op": "putMany", "entries": [[key, self._value()] for key in [self._key(), odd_key, self._key()]]}
        if shape == 2:
            return {"op": self._random.choice(["get", "delete"]), "key": odd_key}
        if shape == 3:
            return {"op": self._random.choice(["getMany", "deleteMany"]), "keys": [self._key(), odd_key]}
        if shape == 4:
            many = [f"m{number}" for number in range(MANY_MAX + 1)]
            if self._chance(0.3):
                return {"op": "putMany", "entries": [[key, ""] for key in many]}
            return {"op": self._random.choice(["getMany", "deleteMany"]), "keys": many}
        if shape == 5:
            if self._chance(0.3):
                return {"op": "putMany", "entries": []}
            return {"op": self._random.choice(["getMany", "deleteMany"]), "keys": []}
        if shape == 6:
            return {"op": "put", "key": self._key(), "value": {"size": 2 * 1024 * 1024 + 1}}
        if shape == 7:
            return {"op": "setAlarm", "time": {"exactly": self._random.choice([0, -1, -86_400_000])}}
        if shape == 8:
            return {"op": "setAlarm", "time": {"exactly": self._random.choice([9_223_372_036_855, 253_402_300_799_000])}}
        return {"op": "setAlarm", "time": {"far": self._random.randint(*FAR_MS) + 0.25}}
