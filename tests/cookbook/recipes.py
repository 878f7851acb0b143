"""Reads docs/cookbook.md: the code that all recipes share, and each recipe's code with the output that it must have."""

import dataclasses
import re

SHARED = "What every recipe uses"


class Malformed(Exception):
    """The document does not have the form that the test expects; the message names the section."""


@dataclasses.dataclass
class Recipe:
    title: str
    file_name: str
    code: str
    output: str


def sections(text):
    """Yields the title and the text of each section of level 2. A line within a code block is never a heading."""
    title, lines, fenced = "", [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        if line.startswith("## ") and not fenced:
            yield title, "\n".join(lines)
            title, lines = line[3:].strip(), []
        else:
            lines.append(line)
    if fenced:
        raise Malformed(f"{title}: a code block has no end")
    yield title, "\n".join(lines)


def blocks(text, language):
    return [body for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", text + "\n", re.M | re.S) if kind == language]


def only_block(title, text, language):
    found = blocks(text, language)
    if len(found) != 1:
        raise Malformed(f"{title}: {len(found)} blocks of {language or 'output'}, one is due")
    return found[0]


def parse(text):
    """Returns the shared module's code, and the recipes in their order. A recipe is a section whose title has a
    number."""
    shared, recipes = None, []
    for title, body in sections(text):
        if title == SHARED:
            shared = only_block(title, body, "python")
        elif re.match(r"\d+\. ", title):
            name = re.search(r"Save it as `(\w+\.py)`", body)
            if not name:
                raise Malformed(f"{title}: does not say under what name to save it")
            code, output = only_block(title, body, "python"), only_block(title, body, "text")
            recipes.append(Recipe(title, name.group(1), code, output))
        elif blocks(body, "python"):
            raise Malformed(f"{title}: has code that no test runs")
    if shared is None:
        raise Malformed(f"there is no section {SHARED!r}")
    return shared, recipes
