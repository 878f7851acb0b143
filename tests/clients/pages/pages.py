"""Reads a page of docs/clients: its files, its commands, and the output that they must have.

A block of code is a file if the line before it is the file's name, as `shop.py`: in a line of its own. A block of sh is
run; a block of text after it is what it prints. The commands under the heading "Watch alarms" run until they are ended.
"""

import dataclasses
import re

WATCH = "Watch alarms"
NAME = re.compile(r"`([\w./-]+)`:")


class Malformed(Exception):
    """The page has not the form that the test expects."""


@dataclasses.dataclass
class File:
    name: str
    text: str


@dataclasses.dataclass
class Run:
    commands: str
    watches: bool
    output: str = ""


def parse(text):
    """Returns the steps of a page, each a File or a Run, in their order."""
    steps, heading, before, block, language = [], "", "", None, ""
    for line in text.splitlines():
        if block is not None:
            if line != "```":
                block.append(line)
                continue
            add(steps, heading, before, language, "".join(f"{one}\n" for one in block))
            block, before = None, ""
        elif line.startswith("```"):
            block, language = [], line[3:]
        elif line.startswith("## "):
            heading = line[3:].strip()
        elif line.strip():
            before = line.strip()
    if block is not None:
        raise Malformed(f"{heading}: a block has no end")
    if sum(isinstance(step, Run) and step.watches for step in steps) != 1:
        raise Malformed(f"one watch is due under {WATCH!r}")
    return steps


def add(steps, heading, before, language, body):
    name = NAME.fullmatch(before)
    if name:
        steps.append(File(name.group(1), body))
    elif language == "sh":
        steps.append(Run(body, heading == WATCH))
    elif language == "text" and steps and isinstance(steps[-1], Run) and not steps[-1].output:
        steps[-1].output = body
    else:
        raise Malformed(f"{heading}: a block of {language or 'no language'} that no test runs")
