"""Runs the same random sequences of operations on workerd and on Holdfast, and compares every answer.

run.sh starts this program and explains its options.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import re
import secrets
import signal
import sys
import tempfile
import threading
import time

import differences
import sql_differences
import sql_part
from generator import Generator
from give_up import give_up
from subject import Holdfast
from sequence import Found, Overtaken, Sequence, show
from sql_part import SqlRun
from reference import Workerd

CORPUS = pathlib.Path(__file__).parent / "corpus.json"
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "differences.md"
PARALLEL = 12
CORPUS_TRIES = 4
SHRINK_TIME_S = 60
FOUND_MAX = 5  # the run ends after so many differences
SETTLE_S = 1.0


class Tally:
    """Counts the operations; threads share one."""

    def __init__(self):
        self.compared = collections.Counter()
        self.listed = collections.Counter()
        self.overtaken = collections.Counter()
        self.skipped = 0


class Lying:
    """A side that gives a wrong answer to one kind of operation, which the driver must notice."""

    is_workerd = True

    def __init__(self, side, kind):
        self._side, self._kind = side, kind
        self.name = f"{side.name}, which lies about {kind}"

    def open(self, name, keeps_alarm):
        honest = self._side.open(name, keeps_alarm)
        if self._kind == "alarm":
            tell = honest.runs
            honest.runs = lambda: [{**run, "retryCount": run["retryCount"] + 1} for run in tell()]
            return honest
        do = honest.do
        honest.do = lambda operation: self._lie(do(operation)) if operation["op"] == self._kind else do(operation)
        return honest

    @staticmethod
    def _lie(answer):
        if "value" not in answer:
            return {"value": None}
        value = answer["value"]
        if isinstance(value, list):
            return {"value": value[:-1]} if value else {"value": [["", ""]]}
        return {"value": not value} if isinstance(value, bool) else {"refused": "by the liar"}


class Run:
    def __init__(self, reference, subject, seed, label="s"):
        self.reference, self.subject, self.seed, self.tally = reference, subject, seed, Tally()
        self._label = f"{label}{secrets.token_hex(3)}"
        self._names = 0
        self._lock = threading.Lock()
        self._finished = []

    def name(self):
        with self._lock:
            self._names += 1
            return f"{self._label}-{self._names}"

    def steps_of(self, index, count):
        generator = Generator(f"{self.seed}/{index}")
        return generator.keeps_alarm, generator.steps(count)

    def take(self, keeps_alarm, steps, tally=None):
        """Takes the steps on a new object. Returns the difference or None."""
        sequence = Sequence(self.reference, self.subject, self.name(), keeps_alarm, tally or self.tally)
        try:
            sequence.run(steps)
        except Found as found:
            sequence.abandon()
            return found
        except Overtaken as reason:
            sequence.abandon()
            (tally or self.tally).overtaken[str(reason)] += 1
            return None
        with self._lock:
            self._finished.append(sequence)
        return None

    def late_runs(self):
        """Returns runs of alarms after the last one was deleted, when there should be none."""
        time.sleep(SETTLE_S)  # a late alarm would come in this time
        return [late for late in (sequence.late_runs() for sequence in self._finished) if any(late)]

    def shrunk(self, keeps_alarm, steps):
        """Removes steps that the difference does not need, as far as the time allows."""
        end = time.monotonic() + SHRINK_TIME_S
        index, last = len(steps) - 1, None
        while index >= 0 and time.monotonic() < end:
            fewer = steps[:index] + steps[index + 1 :]
            found = self.take(keeps_alarm, fewer, Tally())
            if found:
                steps, last = fewer[: found.index + 1], found
                index = min(index, len(steps))
            index -= 1
        return steps, last


def report(run, index, keeps_alarm, steps, found, shrink):
    """Prints the difference, its place, and how to reproduce it."""
    prefix = steps[: found.index + 1]
    lines = [f"\nDIFFERENCE in sequence {index} of seed {run.seed}, step {found.index}: {found.what}"]
    if shrink:
        prefix, again = run.shrunk(keeps_alarm, prefix)
        found = again or found
        lines.append(f"  with fewer steps: {found.what}" if again else "  (no shorter sequence showed it)")
    lines += [
        f"  {run.reference.name}: {show(found.reference)}",
        f"  {run.subject.name}: {show(found.subject)}",
        f"  the {len(prefix)} steps:",
        *(f"    {json.dumps(step)}" for step in prefix),
    ]
    file, replay = tempfile.mkstemp(prefix="differential-", suffix=".json")
    replay = pathlib.Path(replay)
    os.close(file)
    replay.write_text(json.dumps({"keepsAlarm": keeps_alarm, "steps": prefix}))
    lines.append(f"  again: tests/differential/run.sh --replay {replay}")
    if isinstance(index, int):
        lines.append(f"  whole: tests/differential/run.sh --seed {run.seed} --only {index} --steps {len(steps)}")
    print("\n".join(lines), flush=True)


def compare(run, indices, step_count, seconds_max):
    """Takes all sequences, several at a time. Returns the number of sequences taken, and the differences."""
    found_all, taken = [], 0
    end = time.monotonic() + seconds_max

    def one(index):
        if len(found_all) >= FOUND_MAX or time.monotonic() > end:
            return None
        keeps_alarm, steps = run.steps_of(index, step_count)
        found = run.take(keeps_alarm, steps)
        if found:
            found_all.append((index, keeps_alarm, steps, found))
        return found is None

    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for outcome in pool.map(one, indices):
            taken += outcome is not None
    return taken, found_all


def of_corpus(run):
    """Takes the sequences of the corpus, which are part of every run."""
    corpus = json.loads(CORPUS.read_text())
    # A machine that is slow for a moment cuts those sequences short in which an alarm must come between two steps.
    for _ in range(CORPUS_TRIES):
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            found_all = list(pool.map(lambda one: run.take(one["keepsAlarm"], one["steps"]), corpus))
        found = [(one["why"], one["keepsAlarm"], one["steps"], found) for one, found in zip(corpus, found_all) if found]
        if found or not unseen(run):
            break
    return found


def unseen(run):
    """Returns the listed differences that no longer show: they are as wrong as unlisted ones."""
    return [
        f"{name} is listed, but did not show"
        for name in differences.ALL
        if name not in differences.NOT_ALWAYS_SEEN and not run.tally.listed[name]
    ]


def unexplained():
    """Returns the names that only this folder or only the document has."""
    explained = set(re.findall(r"^\| `([a-z0-9-]+)` \|", DOCUMENT.read_text(), re.MULTILINE))
    known = set(differences.ALL) | set(sql_differences.ALL)
    return [f"{name} is not both here and in {DOCUMENT.name}" for name in sorted(explained ^ known)]


def summary(run, taken, found_count, names=differences.ALL):
    print(f"seed {run.seed}: {taken} sequences, {run.reference.name} and {run.subject.name}")
    print(f"operations compared: {sum(run.tally.compared.values())}")
    for kind, count in sorted(run.tally.compared.items()):
        print(f"  {kind:<34} {count}")
    print("listed differences seen (docs/differences.md):")
    for name in names:
        print(f"  {name:<34} {run.tally.listed[name]}")
    if run.tally.skipped:
        print(f"steps left out, as an alarm was under way: {run.tally.skipped}")
    for reason, count in run.tally.overtaken.items():
        print(f"sequences cut short, as the machine was too slow: {reason}: {count}")
    print(f"differences found: {found_count}")


def main_compare(arguments, run):
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        giving_up = beside.submit(give_up, run.reference, run.subject, run.name(), run.tally) if arguments.give_up else None
        return compare_all(arguments, run, giving_up)


def compare_all(arguments, run, giving_up):
    if arguments.replay:
        replay = json.loads(arguments.replay.read_text())
        found = run.take(replay["keepsAlarm"], replay["steps"])
        taken, found_all = 1, [("replay", replay["keepsAlarm"], replay["steps"], found)] if found else []
    else:
        found_all = of_corpus(run) if arguments.only is None else []
        indices = range(arguments.sequences) if arguments.only is None else [arguments.only]
        taken, found_more = compare(run, indices, arguments.steps, arguments.seconds)
        found_all += found_more
        if arguments.only is None and taken < arguments.sequences and len(found_more) < FOUND_MAX:
            print(f"only {taken} of {arguments.sequences} sequences in {arguments.seconds} s")
            return 1
    for index, keeps_alarm, steps, found in found_all:
        report(run, index, keeps_alarm, steps, found, shrink=not arguments.replay)
    problems = [f"an alarm ran after the end: {show(late)}" for late in run.late_runs()]
    problems += giving_up.result() if giving_up else []
    problems += run.subject.problems + unexplained()
    if not arguments.replay and arguments.only is None and not run.tally.overtaken:
        problems += unseen(run)
    for problem in problems:
        print(f"\nDIFFERENCE: {problem}")
    summary(run, taken, len(found_all) + len(problems))
    if run.tally.overtaken.total() * 4 > taken:
        print("too many sequences were cut short for this run to say anything")
        return 1
    return 1 if found_all or problems else 0


def main_sql(arguments, run):
    """Runs the part of SQL. `run` is a new one, for names and the tally."""
    sql = SqlRun(run.reference, run.subject, run.seed, run.tally, run.name)
    problems = []
    if arguments.replay:
        steps = json.loads(arguments.replay.read_text())["steps"]
        found = sql.take(steps)
        taken, found_all = 1, [("replay", steps, found)] if found else []
    else:
        indices = range(arguments.sql_sequences) if arguments.only is None else [arguments.only]
        taken, found_all = sql.compare(indices, arguments.steps, arguments.seconds)
        problems = unexplained() + (sql.listed() if arguments.only is None else [])
        if taken < len(indices) and len(found_all) < sql_part.FOUND_MAX:
            problems.append(f"only {taken} of {len(indices)} sequences in {arguments.seconds} s")
    for index, steps, found in found_all:
        sql.report(index, steps, found, shrink=not arguments.replay)
    for problem in problems:
        print(f"\nDIFFERENCE: {problem}")
    summary(run, taken, len(found_all) + len(problems), sql_differences.ALL)
    return 1 if found_all or problems else 0


def main_self_test(arguments, run):
    """Tests this test: two workerds must agree, and then one lies about each kind of operation in turn."""
    taken, found_all = compare(run, range(arguments.sequences), arguments.steps, arguments.seconds)
    for index, keeps_alarm, steps, found in found_all:
        report(run, index, keeps_alarm, steps, found, shrink=False)
    summary(run, taken, len(found_all))
    if found_all:
        return 1
    missed = []
    for kind in ["put", "putMany", "get", "getMany", "delete", "deleteMany", "list", "deleteAll", "cleanup", "batch",
                 "setAlarm", "getAlarm", "deleteAlarm", "alarm"]:
        lying = Run(run.reference, Lying(run.subject, kind), run.seed, label="l")
        found = None
        for index in range(20):
            found = lying.take(*lying.steps_of(index, 60))
            if found:
                break
        print(f"a lie about {kind}: {found if found else 'NOT NOTICED'}")
        if not found:
            missed.append(kind)
    return 1 if missed else 0


def main_sql_self_test(arguments, run):
    problems = sql_part.self_test(
        run.reference, run.subject, run.seed, run.tally, run.name, arguments.sequences, arguments.seconds
    )
    for problem in problems:
        print(f"\n{problem}")
    return 1 if problems else 0


def arguments_of(argv):
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("--sequences", type=int, default=48)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", type=int)
    parser.add_argument("--part", choices=["storage", "sql", "all"], default="all")
    parser.add_argument("--sql-sequences", type=int, default=60)
    parser.add_argument("--replay", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=240)
    parser.add_argument("--give-up", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    return parser.parse_args(argv)


def parts_of(arguments):
    if arguments.replay:
        return [main_sql if json.loads(arguments.replay.read_text()).get("sql") else main_compare]
    storage = main_self_test if arguments.self_test else main_compare
    sql = main_sql_self_test if arguments.self_test else main_sql
    return {"storage": [storage], "sql": [sql], "all": [storage, sql]}[arguments.part]


def main(argv):
    arguments = arguments_of(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that both sides are ended too
    seed = random.SystemRandom().randrange(10**9) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="differential-") as scratch:
        directory = pathlib.Path(scratch)
        reference = Workerd(directory / "workerd")
        subject = Workerd(directory / "another") if arguments.self_test else Holdfast(directory / "holdfast")
        try:
            reference.start()
            subject.start()
            # Each part has a tally of its own.
            parts = [part(arguments, Run(reference, subject, seed)) for part in parts_of(arguments)]
            return max(parts)
        finally:
            try:
                reference.stop()
            finally:
                subject.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
