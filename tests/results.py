#!/usr/bin/env python3
"""Reads the results of a run of ctest (--output-junit).

    results.py took BUILD RESULTS [SUITE=SECONDS...]
        prints what each suite took against the minutes that it may take, which are in the table "How long they may
        take" of README.md. A suite that took longer is marked and warned of; the exit status is 0 even so. Times of
        suites that ctest did not run are given as SUITE=SECONDS. BUILD is the tree that ctest ran in.
    results.py skips RESULTS
        fails if a test was skipped or did not run, and names it. RESULTS may be of a program of GoogleTest, too.
"""
import json
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as xml

README = pathlib.Path(__file__).with_name("README.md")
# The suites whose label has another name, and the labels that tests of other suites may have beside their own.
SUITE_OF_LABEL = {"client": "client_cli"}
ALSO = {"answers", "postgres"}


def minutes_of_suites(readme):
    """The table as {suite: minutes}."""
    section = readme.split("\n## How long they may take\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)`[^|]*\| (\d+) min \|", section, re.M)
    if not rows:
        sys.exit(f"results: {README} has no table of the times that suites may take")
    return {suite: int(minutes) for suite, minutes in rows}


def labels_of_tests(build):
    """The labels of the tests of a tree as {test: [label]}."""
    shown = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, check=True)
    labels = {}
    for test in json.loads(shown.stdout)["tests"]:
        properties = {each["name"]: each["value"] for each in test.get("properties", [])}
        labels[test["name"]] = properties.get("LABELS", [])
    return labels


def suite_of(labels):
    label = next((label for label in labels if label not in ALSO), labels[0] if labels else "(no label)")
    return SUITE_OF_LABEL.get(label, label)


def table(seconds, minutes):
    """The lines of the table, and those of the warnings."""
    lines, warnings = [], []
    for suite in [*minutes, *sorted(seconds.keys() - minutes.keys())]:
        if suite not in seconds:
            lines.append(f"{suite:<14} {'not run':>8}")
            continue
        took = seconds[suite]
        if suite not in minutes:
            lines.append(f"{suite:<14} {took:6.0f} s")
            warnings.append(f"{suite} took {took:.0f} s and has no row in tests/README.md")
            continue
        over = took > 60 * minutes[suite]
        lines.append(f"{suite:<14} {took:6.0f} s of {minutes[suite]:3} min{'  TOO LONG' if over else ''}")
        if over:
            warnings.append(f"{suite} took {took:.0f} s and may take {minutes[suite]} min")
    return lines, warnings


def took(build, results, added):
    labels = labels_of_tests(build)
    seconds = {}
    for case in xml.parse(results).getroot().iter("testcase"):
        suite = suite_of(labels.get(case.get("name"), []))
        seconds[suite] = seconds.get(suite, 0.0) + float(case.get("time"))
    for each in added:
        suite, value = each.split("=")
        seconds[suite] = seconds.get(suite, 0.0) + float(value)
    lines, warnings = table(seconds, minutes_of_suites(README.read_text()))
    print("What each suite took, and the minutes that it may take:", *lines, sep="\n  ")
    print(f"  {'all':<14} {sum(seconds.values()):6.0f} s")
    for warning in warnings:
        print(f"warning: {warning}")


def skips(results):
    cases = list(xml.parse(results).getroot().iter("testcase"))
    if not cases:
        sys.exit(f"results: {results} has no tests")
    skipped = [
        case.get("name") for case in cases
        if case.get("status") not in ("run", "fail") or case.find("skipped") is not None
    ]
    for name in skipped:
        print(f"results: {name} did not run")
    if skipped:
        sys.exit(1)


def main(arguments):
    if len(arguments) >= 3 and arguments[0] == "took":
        took(arguments[1], arguments[2], arguments[3:])
    elif len(arguments) == 2 and arguments[0] == "skips":
        skips(arguments[1])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
