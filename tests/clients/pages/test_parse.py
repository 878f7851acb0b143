"""The reader of pages refuses a block that no test would run."""

import pytest

import pages

PAGE = "# A\n\n## Call\n\n`shop.py`:\n\n```python\n## no heading\n```\n\n```sh\nrun it\n```\n\nIt prints:\n\n```text\none\n```\n\n## Watch alarms\n\n```sh\nwatch\n```\n\n```text\ntwo\n```\n"


def test_files_commands_and_outputs_in_their_order():
    assert pages.parse(PAGE) == [
        pages.File("shop.py", "## no heading\n"),
        pages.Run("run it\n", False, "one\n"),
        pages.Run("watch\n", True, "two\n"),
    ]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("`shop.py`:", "A program:", "Call: a block of python that no test runs"),
        ("```sh\nrun it\n```\n", "", "Call: a block of text that no test runs"),
        ("```text\none", "```\none", "Call: a block of no language that no test runs"),
        ("## Watch alarms", "## Watch", "one watch is due"),
        ("two\n```", "two", "a block has no end"),
    ],
)
def test_a_page_of_another_form_is_refused(old, new, message):
    with pytest.raises(pages.Malformed, match=message):
        pages.parse(PAGE.replace(old, new))
