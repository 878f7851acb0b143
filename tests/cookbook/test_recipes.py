"""The reader of the document refuses a recipe that no test would run, or that has no output to compare."""

import pytest

import recipes

SHARED = "## What every recipe uses\n\n```python\nshared = 1\n```\n\n"
CODE = "```python\n## no heading\nprint(1)\n```\n\n"
RECIPE = f"## 1. One\n\nSave it as `one.py`:\n\n{CODE}It prints:\n\n```text\n1\n```\n"


def test_code_and_output_are_those_of_the_section():
    other = RECIPE.replace("One", "Two").replace("one", "two")
    shared, found = recipes.parse(f"# Title\n\n{SHARED}{RECIPE}\n{other}")
    assert shared == "shared = 1\n"
    assert found[0] == recipes.Recipe("1. One", "one.py", "## no heading\nprint(1)\n", "1\n")
    assert [recipe.file_name for recipe in found] == ["one.py", "two.py"]


@pytest.mark.parametrize(
    "text, message",
    [
        (RECIPE, "no section 'What every recipe uses'"),
        (SHARED + RECIPE.replace("```text", "```"), "1. One: 0 blocks of text"),
        (SHARED + RECIPE + "\n```text\n2\n```\n", "1. One: 2 blocks of text"),
        (SHARED + RECIPE + "\n```python\nprint(2)\n```\n", "1. One: 2 blocks of python"),
        (SHARED + RECIPE.replace("one.py", "one"), "1. One: does not say under what name"),
        (SHARED + RECIPE.replace("1. One", "One"), "One: has code that no test runs"),
        (SHARED + RECIPE.removesuffix("```\n"), "1. One: a code block has no end"),
    ],
)
def test_a_document_that_is_made_otherwise_is_refused(text, message):
    with pytest.raises(recipes.Malformed, match=message.replace(".", r"\.")):
        recipes.parse(text)
