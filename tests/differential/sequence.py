"""Takes one sequence of steps on two sides and compares their answers.

The times of alarms are real, so that a step that needs an alarm to have run, or not yet to run, waits for it.
AlarmModel
says how long; its expectation of a run is a third opinion, with which both sides must agree. A step that took so long
that an alarm may have come due meanwhile proves nothing; the sequence then ends as Overtaken.
"""

import copy
import json
import time

import differences
from alarm_model import BACKOFF_START_MS, NEAR_MAX_MS, AlarmModel
from subject import encoded, now_ms

MARGIN_MS = 250  # no step begins so shortly before an alarm
GRACE_MS = 10_000  # an alarm may be so late
AFTER_RUN_MS = 60  # until workerd has seen the handler's result
LOST_MS = 1_000  # an alarm is lost if workerd has not run it this long after Holdfast
POLL_S = 0.025
ANSWER_LETTERS_MAX = 1500
BACKOFF_SLACK_MS = 20
SAME_TIME_GAP_MS = 300  # replaces the same time between two workerds


class Found(Exception):
    """The answers of the sides differ."""

    def __init__(self, index, what, reference, subject):
        self.index, self.what, self.reference, self.subject = index, what, reference, subject
        super().__init__(f"step {index}: {what}")


class Overtaken(Exception):
    """The machine was too slow: the rest of this sequence would prove nothing."""


def show(answer):
    text = json.dumps(answer)
    return text if len(text) <= ANSWER_LETTERS_MAX else f"{text[:ANSWER_LETTERS_MAX]}... ({len(text)} letters)"


def comparable(answer):
    """Returns the answer without the words of an error."""
    return {"refused": True} if "refused" in answer else {"aborted": True} if "aborted" in answer else answer


class Sequence:
    def __init__(self, reference, subject, name, keeps_alarm, tally):
        """Between two sides of the same kind no difference is expected."""
        self._sides = [reference, subject]
        self._same_kind = reference.is_workerd and subject.is_workerd
        self._objects = [side.open(name, keeps_alarm) for side in self._sides]
        self._keeps_alarm = keeps_alarm
        self._tally = tally
        self._model = AlarmModel()
        self._index = 0
        self._runs_seen = [0, 0]
        self._clamped = set()  # times that workerd replaced by the present
        self._lead = self._hold = self._linger = 0
        self._attempt = {}
        self._last_end = [0, 0]
        self._alarm_deleted_in_run = False

    def run(self, steps):
        try:
            self._run(steps)
        except (RuntimeError, OSError) as error:  # a side failed, which no answer may do
            raise Found(self._index, repr(error), None, None) from error

    def _run(self, steps):
        for self._index, step in enumerate(steps):
            self._reach(step)
            self._take(step)
        self._index = len(steps)
        self._lead = self._hold = self._linger = 0
        while self._model.running or self._model.is_waiting():
            self._advance()
        self._take({"op": "getAlarm"})
        self._take({"op": "deleteAlarm"})
        self._take({"op": "list", "options": {}})
        self._compare_run_counts()

    def abandon(self):
        for one in self._objects:
            one.abandon()

    def late_runs(self):
        """Returns runs of the handler after the end, when there should be none."""
        return [runs[seen:] for runs, seen in zip(self._runs(), self._runs_seen)]

    # --- Comparison

    def _count(self, kind):
        self._tally.compared[kind] += 1

    def _differ(self, what, reference, subject):
        raise Found(self._index, what, reference, subject)

    def _listed(self, name):
        self._tally.listed[name] += 1

    def _compare(self, operation, reference, subject, where=""):
        self._count(operation["op"] + where)
        refused = None if self._same_kind else differences.refused_by_holdfast(operation)
        if refused:
            if "value" not in reference or "refused" not in subject:
                self._differ(f"{operation['op']}{where}, listed as {refused}", reference, subject)
            self._listed(refused)
            return
        if operation["op"] == "getAlarm":
            reference, subject = self._asked_for([reference, subject], "value", self._model.time)
        if comparable(reference) != comparable(subject):
            self._differ(operation["op"] + where, reference, subject)

    def _asked_for(self, pair, field, asked):
        """Returns the runs with the time that was asked for, where workerd replaced a past time by the present."""
        result = []
        for side, one in zip(self._sides, pair):
            told = one.get(field)
            if side.is_workerd and told is not None and asked is not None and asked < told <= now_ms():
                if told not in self._clamped and not self._same_kind:
                    self._listed(differences.PAST_TIME)
                self._clamped.add(told)
                one = {**one, field: asked}
            result.append(one)
        return result

    # --- Steps

    def _take(self, step):
        operation, plan = self._resolved(step)
        if operation is None:
            self._tally.skipped += 1
            return
        model = self._model
        due_before = None if model.running else model.ready_at
        if plan is not None:
            for one in self._objects:
                one.plan(plan)
        special = None
        if operation["op"] == "setAlarm" and not self._same_kind:
            special = differences.of_alarm_time(operation["time"])
        if special:
            self._set_special_alarm(special, operation)
            return
        if operation["op"] == "unload" and model.running:
            # The deletion would end workerd's handler in the middle of its run.
            skipped = {"value": None}
            answers = [skipped, skipped if self._same_kind else self._objects[1].do(operation)]
        else:
            kept = self._kept_from_change(operation)
            answers = [one.do(operation) for one in self._objects]
            self._undo_on_reference(kept)
        if due_before is not None and now_ms() >= due_before:
            raise Overtaken("a step ended after the alarm had come due")
        self._compare(operation, *answers)
        if "value" in answers[0]:
            self._apply_to_model(operation)
        self._end_hold_beside_deleted()
        if plan is not None:
            model.plan = copy.deepcopy(plan)
            self._lead = step.get("lead", 0)
        elif operation["op"] == "setAlarm":
            self._lead = 0

    def _kept_from_change(self, operation):
        """Returns what a change that only workerd makes would overwrite: the keys and their values there."""
        changes = operation["op"] in ("put", "putMany", "delete", "deleteMany")
        if self._same_kind or not changes or not differences.refused_by_holdfast(operation):
            return None
        keys = list(dict.fromkeys(differences.keys_of(operation)))
        return keys, [self._objects[0].do({"op": "get", "key": key})["value"] for key in keys]

    def _undo_on_reference(self, kept):
        for key, value in zip(*kept) if kept else []:
            undo = {"op": "delete", "key": key} if value is None else {"op": "put", "key": key, "value": value}
            self._objects[0].do(undo)

    def _set_special_alarm(self, name, operation):
        """Sets an alarm at a listed time. Nothing else may be under way; afterwards no alarm is set."""
        time_ms = operation["time"]
        answers = [one.do(operation) for one in self._objects]
        self._count("setAlarm")
        refuses = name != differences.MICROSECONDS
        if ("refused" in answers[0]) != refuses or "value" not in answers[1]:
            self._differ(f"setAlarm, listed as {name}", *answers)
        if name == differences.EARLY_TIME:
            wanted = [self._runs_seen[0], self._runs_seen[1] + 1]
            runs, came = self._await_counts(wanted, now_ms() + GRACE_MS)
            if not all(came) or runs[1][-1]["scheduled"] != time_ms:
                self._differ(f"an alarm, listed as {name}", None, runs[1])
            self._runs_seen = wanted
        else:
            is_set = [one.do({"op": "getAlarm"})["value"] for one in self._objects]
            wanted = [self._model.time if refuses else int(time_ms), time_ms]
            if is_set != wanted:
                self._differ(f"getAlarm, listed as {name}, should say {wanted}", *is_set)
        self._listed(name)
        for one in self._objects:
            one.do({"op": "deleteAlarm"})
        self._model.delete()
        self._model.plan = []

    def _resolved(self, step):
        """Returns the operation with the values and times to send, and the plan that comes with it."""
        now = now_ms()
        operation = _materialized({k: v for k, v in step.items() if k not in ("plan", "lead")}, lambda t: _from(now, t))
        if step["op"] != "setAlarm":
            return operation, None
        if self._model.retry and now < self._model.retry["latest"]:
            step = {**step, "plan": []}  # the time of its run may differ, so that the plan must be simple
        if differences.of_alarm_time(operation["time"]):
            # Such times need an object whose alarm is at rest, and prove nothing between two sides of the same kind.
            if self._same_kind or self._model.running or self._model.is_waiting():
                return None, None
        alarm = operation["time"]
        # Chance decides which of two workerds loses an alarm that is set again for the same time.
        same = alarm + (SAME_TIME_GAP_MS if self._same_kind else 0)
        in_handler = lambda t: same if "same" in t else _from(max(now, alarm) if "near" in t else now, t)
        return operation, [_materialized(attempt, in_handler) for attempt in step.get("plan", [])]

    def _apply_to_model(self, operation):
        kind = operation["op"]
        if kind == "setAlarm":
            self._model.set(operation["time"])
        elif kind == "deleteAlarm" or kind == "cleanup" or (kind == "deleteAll" and not self._keeps_alarm):
            self._model.delete()
            if kind != "deleteAlarm":
                self._alarm_deleted_in_run = True
        for step in operation.get("steps", []):
            self._apply_to_model(step)

    # --- Alarms

    def _reach(self, step):
        """Waits until the step may be taken: until no alarm can come due in the middle of it."""
        while True:
            model = self._model
            if model.running and self._hold > 0:
                self._hold -= 1
                return
            if not model.running and not model.is_waiting():
                return
            if not model.running and now_ms() + MARGIN_MS < model.ready_at:
                if model.retry_count > 0 and self._linger > 0:
                    self._linger -= 1
                    return
                if model.retry_count == 0 and self._lead > 0:
                    self._lead -= 1
                    return
            self._advance()

    def _advance(self):
        if self._model.running:
            self._release()
        else:
            self._await_run()

    def _runs(self):
        return [one.runs() for one in self._objects]

    def _await_counts(self, counts, until_ms):
        """Waits for so many runs that have ended or hold. Returns all runs, and whether they came in time."""
        while True:
            runs = self._runs()
            came = [
                len(some) >= count and (count == 0 or bool(some[count - 1].get("ended") or some[count - 1].get("holding")))
                for some, count in zip(runs, counts)
            ]
            if all(came):
                return runs, came
            if now_ms() > until_ms:
                return runs, came
            time.sleep(POLL_S)  # the time between two looks; nothing relies on its length

    def _await_run(self):
        """Waits for the next run of the handler, on both sides, to its end or until it holds."""
        model = self._model
        time.sleep(max(0, model.ready_at - now_ms()) / 1000)
        wanted = [seen + 1 for seen in self._runs_seen]
        until = max(now_ms(), model.ready_at, model.retry["latest"] if model.retry else 0) + GRACE_MS
        loses = model.loses_on_equal_time and not self._same_kind
        if loses:
            self._await_counts([self._runs_seen[0], wanted[1]], until)
            until = now_ms() + LOST_MS
        runs, came = self._await_counts(wanted, until)
        if loses and came == [False, True]:
            self._lose_on_reference(runs[1][wanted[1] - 1])
            return
        if not all(came):
            self._differ("an alarm did not run" if any(came) else "an alarm ran on neither side", *runs)
        self._runs_seen = wanted
        pair = [some[count - 1] for some, count in zip(runs, wanted)]
        self._compare_runs(*pair)
        attempt = self._attempt = model.begin_run()
        self._alarm_deleted_in_run = False
        for operation, *outcomes in zip(attempt.get("ops", []), *(run["answers"] for run in pair)):
            self._compare(operation, *outcomes, " in a handler")
            if "value" in outcomes[0]:
                self._apply_to_model(operation)
            if operation["op"] == "setAlarm":
                if operation["time"] <= model.running_time:
                    model.loses_on_equal_time = True
                elif any(run["started"] >= operation["time"] for run in pair):
                    raise Overtaken("a handler set its alarm in the past")
        self._last_end = [0, 0]
        if "hold" not in attempt:
            self._end_run(pair, attempt)
        else:
            self._hold = attempt["hold"]
            self._end_hold_beside_deleted()

    def _end_hold_beside_deleted(self):
        """Checks a listed difference: after a deletion took the delivery, an alarm that is set runs on Holdfast
        at once, and on workerd when the handler ends."""
        model = self._model
        if model.running and self._alarm_deleted_in_run and model.ready_at and model.ready_at < now_ms() + NEAR_MAX_MS:
            self._hold = 0

    def _lose_on_reference(self, run):
        """Checks the known fault of workerd: it forgets an alarm set for the very time of the alarm that runs."""
        self._count("alarm")
        self._listed(differences.EQUAL_TIME)
        self._runs_seen[1] += 1
        if run["scheduled"] != self._model.time or run["retryCount"] != 0:
            self._differ("an alarm set again for the same time", None, run)
        self._model.begin_run()
        self._model.end_run(False, now_ms())
        for one in self._objects:
            one.do({"op": "deleteAlarm"})

    def _compare_runs(self, reference, subject):
        self._count("alarm")
        reference, subject = self._as_replacing([reference, subject])
        reference, subject = self._asked_for([reference, subject], "scheduled", self._model.time)
        for field in ("scheduled", "retryCount", "early"):
            if reference[field] != subject[field]:
                self._differ(f"{field} of an alarm", reference, subject)
        if subject["early"]:
            self._differ("an alarm was early on both sides", reference, subject)
        if subject["retryCount"] != self._model.retry_count or subject["scheduled"] != self._model.time:
            wanted = {"scheduled": self._model.time, "retryCount": self._model.retry_count}
            self._differ(f"an alarm is not {wanted}", reference, subject)
        if not self._same_kind and self._alarm_deleted_in_run and subject["started"] < self._last_end[1]:
            self._listed(differences.BESIDE_DELETED)
        elif any(run["started"] < ended for run, ended in zip((reference, subject), self._last_end)):
            self._differ(f"an alarm ran beside another, which ended at {self._last_end}", reference, subject)
        if self._model.retry_count:
            backoff = BACKOFF_START_MS << (self._model.retry_count - 1)
            for run, ended in zip((reference, subject), self._last_end):
                if run["started"] - ended < backoff - BACKOFF_SLACK_MS:
                    self._differ(f"a retry after less than {backoff} ms; before it ended at {ended}", reference, subject)

    def _as_replacing(self, pair):
        """Checks a listed difference: workerd runs an alarm that replaces a retry when that retry is due, and as that
        retry."""
        replaced = self._model.replaced_retry()
        result = []
        for side, run in zip(self._sides, pair):
            if replaced and side.is_workerd and run["retryCount"] == replaced["retryCount"]:
                if not self._same_kind:
                    self._listed(differences.REPLACED_RETRY)
                run = {**run, "scheduled": self._model.time, "retryCount": 0, "early": run["started"] < self._model.time}
            result.append(run)
        return result

    def _release(self):
        """Ends the handler that holds."""
        end = {key: self._attempt[key] for key in ("commit", "fail") if key in self._attempt}
        if self._alarm_deleted_in_run:
            # The delivery was deleted with the object, so that no commit can end it.
            end.pop("commit", None)
        until = now_ms() + GRACE_MS
        for one in self._objects:
            one.release(end)
        while True:
            pair = [runs[seen - 1] for runs, seen in zip(self._runs(), self._runs_seen)]
            if all("ended" in run for run in pair):
                break
            if now_ms() > until:
                self._differ("a handler did not end", *pair)
            time.sleep(POLL_S)  # as above
        self._end_run(pair, end)

    def _end_run(self, pair, end):
        failed = bool(end.get("fail"))
        if end.get("commit"):
            operation = {"op": "batch", **end["commit"]}
            outcomes = [run["answers"][-1] for run in pair]
            self._compare(operation, *outcomes, " in a handler")
            if "value" in outcomes[0]:
                self._apply_to_model(operation)
            else:
                failed = True
        self._last_end = [run["ended"] for run in pair]
        time.sleep(AFTER_RUN_MS / 1000)
        self._model.end_run(failed, min(self._last_end))
        self._linger = self._attempt.get("linger", 0)

    def _compare_run_counts(self):
        self._count("alarm runs")
        runs = self._runs()
        if [len(some) for some in runs] != self._runs_seen:
            self._differ(f"alarms ran more often than {self._runs_seen}", *runs)


def _bytes_of(value):
    return encoded(b"v" * value["size"]) if isinstance(value, dict) else value


def _from(base_ms, time_of):
    """Returns the time that a step names, in milliseconds."""
    if "exactly" in time_of:
        return time_of["exactly"]
    if "past" in time_of:
        return base_ms - time_of["past"]
    return base_ms + time_of.get("far", time_of.get("near"))


def _materialized(part, time_from):
    """Returns a step, or a part of one, with the values and times to send."""
    part = dict(part)
    for name in ("ops", "steps", "preconditions"):
        if name in part:
            part[name] = [_materialized(one, time_from) for one in part[name]]
    if "commit" in part:
        part["commit"] = _materialized(part["commit"], time_from)
    if "entries" in part:
        part["entries"] = [[key, _bytes_of(value)] for key, value in part["entries"]]
    if "value" in part:
        part["value"] = _bytes_of(part["value"])
    if isinstance(part.get("key"), dict):
        part["key"] = "k" * part["key"]["size"]
    if isinstance(part.get("keys"), dict):
        part["keys"] = [f"k{number}" for number in range(part["keys"]["count"])]
    if "time" in part:
        part["time"] = time_from(part["time"])
    return part
