"""The part of the test that compares SQL: random sequences of calls, and the listed differences, each by its cases."""

import concurrent.futures
import json
import os
import pathlib
import tempfile
import time

import sql_differences
from sequence import Found, show
from sql_generator import SqlGenerator
from sql_sequence import SqlSequence
from sql_wire import comparable

PARALLEL = 6
SHRINK_TIME_S = 30
FOUND_MAX = 5  # the run ends after so many differences
STEPS_OF_A_LIE = 40
LIES = ["columns", "rows", "kinds of failures"]
KINDS = {
    "error": sql_differences.REFUSES,
    "constraint": sql_differences.CONSTRAINT,
    "bound": sql_differences.TOO_LARGE,
}


class SqlRun:
    """new_name returns a new object's name."""

    def __init__(self, reference, subject, seed, tally, new_name):
        self.reference, self.subject, self.seed, self.tally = reference, subject, seed, tally
        self._new_name = new_name

    def steps_of(self, index, count):
        return SqlGenerator(f"{self.seed}/{index}").steps(count)

    def _sequence(self, tally=None):
        return SqlSequence(self.reference, self.subject, self._new_name(), tally or self.tally)

    def take(self, steps, tally=None):
        """Takes the steps on a new object. Returns the difference or None."""
        try:
            self._sequence(tally).run(steps)
        except Found as found:
            return found
        return None

    def compare(self, indices, step_count, seconds_max):
        """Takes all sequences, several at a time. Returns the number of sequences taken, and the differences."""
        found_all = []
        end = time.monotonic() + seconds_max

        def one(index):
            if len(found_all) >= FOUND_MAX or time.monotonic() > end:
                return False
            steps = self.steps_of(index, step_count)
            found = self.take(steps)
            if found:
                found_all.append((index, steps, found))
            return True

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            taken = sum(pool.map(one, indices))
        return taken, found_all

    def report(self, index, steps, found, shrink):
        """Prints the difference, its place, and how to reproduce it."""
        steps = steps[: found.index + 1]
        print(f"\nDIFFERENCE of SQL in sequence {index} of seed {self.seed}, step {found.index}")
        if shrink:
            steps, found = self._shrunk(steps, found)
        print(f"  {self.reference.name}: {show(found.reference)}\n  {self.subject.name}: {show(found.subject)}")
        print(f"  {found.what}, the {len(steps)} steps:", *(json.dumps(step) for step in steps), sep="\n    ")
        file, replay = tempfile.mkstemp(prefix="differential-sql-", suffix=".json")
        os.close(file)
        pathlib.Path(replay).write_text(json.dumps({"sql": True, "steps": steps}))
        print(f"  again: tests/differential/run.sh --replay {replay}", flush=True)

    def _shrunk(self, steps, found):
        end = time.monotonic() + SHRINK_TIME_S
        index = len(steps) - 1
        while index >= 0 and time.monotonic() < end:
            fewer = steps[:index] + steps[index + 1 :]
            again = self.take(fewer, type(self.tally)())
            if again:
                steps, found = fewer[: again.index + 1], again
                index = min(index, len(steps))
            index -= 1
        return steps, found

    # --- The listed differences

    def listed(self):
        """Takes the cases of every listed difference. Returns the differences that do not show as listed."""
        problems = []
        for name, cases in sql_differences.ALL.items():
            for case in cases:
                problem = self._problem_of(case)
                if problem:
                    problems.append(f"{name}: {problem}")
                else:
                    self.tally.listed[name] += 1
        return problems

    def _problem_of(self, case):
        sequence = self._sequence()
        for statements in case.before:
            try:
                sequence.take({"op": "sql", "statements": [{"sql": sql} for sql in statements]})
            except Found as found:
                return f"{statements}: {show(found.reference)} and {show(found.subject)}"
        answers = sequence.answers({"op": "sql", "statements": [{"sql": case.sql, "params": list(case.params)}]})
        for side, answer, expected in zip((self.reference, self.subject), answers, (case.workerd, case.holdfast)):
            if not _is(answer, expected):
                return f"{show(case.sql)}: {side.name} was expected to answer {show(expected)}, and answered {show(answer)}"
        return None


def _is(answer, expected):
    """Returns whether the answer is the one of a case: rows, or a word."""
    if "broken" in answer:
        return expected == sql_differences.RESET
    outcome = comparable(answer, [False])
    if "value" not in outcome:
        return expected == KINDS.get(outcome.get("kind"))
    if expected == sql_differences.ACCEPTS:
        return True
    return json.dumps(outcome["value"][0]["rows"]) == json.dumps([[_real(value) for value in row] for row in expected])


def _real(value):
    return float(value) if isinstance(value, int) else value


# --- The test of this test


class Lying:
    """A side that gives wrong answers of one kind to SQL."""

    def __init__(self, side, lie):
        self._side, self._lie = side, lie
        self.name = f"{side.name}, which lies about {lie}"

    def open(self, name, keeps_alarm):
        honest = self._side.open(name, keeps_alarm)
        do = honest.do
        honest.do = lambda operation: self._distorted(do(operation)) if operation["op"] == "sql" else do(operation)
        return honest

    def _distorted(self, answer):
        if self._lie == "kinds of failures" and "failed" in answer:
            return {**answer, "kind": "error"}
        for result in answer.get("value") or []:
            if self._lie == "columns" and result["columns"]:
                result["columns"][0] += "x"
            if self._lie == "rows" and result["rows"]:
                result["rows"][0][0] = "a lie"
        return answer


def self_test(reference, subject, seed, tally, new_name, sequences, seconds_max):
    """Takes two workerds that agree, and then one that lies. Returns the problems."""
    run = SqlRun(reference, subject, seed, tally, new_name)
    taken, found_all = run.compare(range(sequences), STEPS_OF_A_LIE, seconds_max)
    for index, steps, found in found_all:
        run.report(index, steps, found, shrink=False)
    problems = [f"{len(found_all)} differences of SQL between two workerds"] if found_all else []
    if taken < sequences and not found_all:
        problems.append(f"only {taken} of {sequences} sequences of SQL in {seconds_max} s")
    for lie in LIES:
        lying = SqlRun(reference, Lying(subject, lie), seed, type(tally)(), new_name)
        _, found_all = lying.compare(range(sequences), STEPS_OF_A_LIE, seconds_max)
        print(f"a lie about {lie} of SQL: {found_all[0][2] if found_all else 'NOT NOTICED'}")
        if not found_all:
            problems.append(f"a lie about {lie} was not noticed")
    return problems
