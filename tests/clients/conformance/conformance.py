#!/usr/bin/env python3
"""Runs the cases of cases.json with the generated client of each language against one server, and compares the outcome
of each case with what the file expects, and so with the other languages. Prints a table.

    conformance.py HOLDFASTD [--all] [LANGUAGE=COMMAND...]

A command is the runner of a language, which prints a line of JSON for each case: {"case": NAME, "outcomes": [OUTCOME]}.
LANGUAGE=- means that its tool chain is missing: it is named as skipped, and with --all that is a failure. If all are
missing, the exit status is 77.

An outcome is {"reply": MESSAGE}, with "replayed": true where the server gave the reply again; of a method that streams
replies {"replies": [MESSAGE]}; of a failed call {"error": {"code", "reason", "metadata", "fields", "retry"}}, each only
if the error has it. Messages are in the JSON mapping of Protobuf, so that all languages write them alike. In the file
"*" stands for any value, $RUN for a namespace of the runner's own, and ${NAME} for a text that an earlier step of the
case saved.

A runner finds in its environment HOLDFAST_ADDRESS (a server with TLS), HOLDFAST_CA, HOLDFAST_TOKEN and
HOLDFAST_READER_TOKEN (files), HOLDFAST_CONFIGS (the folder of the service configs), HOLDFAST_RUN, and HOLDFAST_FLAKY: a
server that answers the first two attempts of each call with UNAVAILABLE, so that only a client that retries gets a
reply.
"""
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE / "cases.json"
RUN_SECONDS_MAX = 120
MISSING = "-"
SKIPPED = 77  # the exit status that ctest takes for a skipped test


def fits(expected, found):
    """Returns whether the outcome is the expected one; "*" fits anything that is there."""
    if expected == "*":
        return True
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(fits(value, found[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        expected, found = sorted(expected, key=type_of), sorted(found, key=type_of)
        return len(expected) == len(found) and all(map(fits, expected, found))
    # 1 and 1.0 are one number in JSON, and True is none.
    return isinstance(expected, bool) == isinstance(found, bool) and expected == found


def type_of(value):
    """Returns the type of a detail of an error, by which details are sorted, since they come in any order."""
    return value.get("@type", "") if isinstance(value, dict) else ""


def outcomes_of(language, command, environment):
    """Runs a runner; returns {case: [outcome]} and the error of the run, which is empty if it ended well."""
    run = f"run-{language}"
    try:
        done = subprocess.run(
            shlex.split(command) + [str(CASES)],
            env={**os.environ, **environment, "HOLDFAST_RUN": run},
            capture_output=True, encoding="utf-8", timeout=RUN_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {}, str(error)
    found = {}
    for line in done.stdout.replace(run, "$RUN").splitlines():
        case = json.loads(line)
        found[case["case"]] = case["outcomes"]
    return found, "" if done.returncode == 0 else done.stderr


def compare(cases, found):
    """Returns {case: {language: complaint}}; an empty complaint says that the outcomes are those of the file."""
    table = {}
    for case in cases:
        expected = [step["expect"] for step in case["steps"]]
        row = table[case["case"]] = {}
        for language, outcomes in found.items():
            got = outcomes.get(case["case"])
            if got is None:
                row[language] = "did not run"
            else:
                wrong = [f"step {number}: expected {json.dumps(one)}, got {json.dumps(other)}"
                         for number, (one, other) in enumerate(zip(expected, got), 1) if not fits(one, other)]
                if len(expected) != len(got):
                    wrong.append(f"{len(expected)} steps are due, {len(got)} ran")
                row[language] = "\n    ".join(wrong)
    return table


def show(table, languages):
    width = max(map(len, [*table, "case"]))
    columns = [max(len(language), len("differs")) for language in languages]
    line = lambda first, cells: "  ".join([first.ljust(width), *map(str.ljust, cells, columns)]).rstrip()
    print(line("case", languages))
    for case, row in table.items():
        print(line(case, ["differs" if row[each] else "equal" for each in languages]))


def run(server, commands, fail_on_skip):
    skipped = [language for language, command in commands.items() if command == MISSING]
    for language in skipped:
        print(f"conformance: skipped {language}: its tool chain is missing")
    if fail_on_skip and skipped:
        return 1
    if len(skipped) == len(commands):
        return SKIPPED
    # Needs gRPC, which those who only read or compare do not have.
    from secure_server import SecureServer

    cases = json.loads(CASES.read_text(encoding="utf-8"))
    found, failed = {}, False
    with tempfile.TemporaryDirectory() as folder, SecureServer(server, pathlib.Path(folder)) as running:
        for language, command in commands.items():
            if command == MISSING:
                continue
            found[language], error = outcomes_of(language, command, running.environment())
            if error:
                print(f"conformance: the runner of {language} failed: {error}")
                failed = True
    table = compare(cases, found)
    show(table, list(found))
    for case, row in table.items():
        for language, complaint in row.items():
            if complaint:
                print(f"conformance: {language}: {case}\n    {complaint}")
                failed = True
    print(f"conformance: {len(cases)} cases, {len(found)} languages: {'NOT equal' if failed else 'all equal'}")
    return 1 if failed else 0


def main(arguments):
    if len(arguments) < 2:
        sys.exit(__doc__)
    server, *rest = arguments
    commands = dict(each.split("=", 1) for each in rest if each != "--all")
    return run(server, commands, "--all" in rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
