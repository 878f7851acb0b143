"""Each recipe of docs/cookbook.md prints the output that the document shows."""

import os
import pathlib
import subprocess
import sys

import pytest

import recipes

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "cookbook.md"
RUN_TIMEOUT_S = 60
SHARED, RECIPES = recipes.parse(DOCUMENT.read_text())


def run(directory, recipe, address):
    """Runs the document's code beside the code that recipes share, and returns its output."""
    (directory / "cookbook.py").write_text(SHARED)
    (directory / recipe.file_name).write_text(recipe.code)
    done = subprocess.run(
        [sys.executable, recipe.file_name],
        cwd=directory,
        env={**os.environ, "HOLDFAST_SERVER": address},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_seven_recipes_each_with_a_name_of_its_own():
    assert [recipe.title.split(".")[0] for recipe in RECIPES] == [str(number) for number in range(1, 8)]
    assert len({recipe.file_name for recipe in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.file_name.removesuffix(".py") for recipe in RECIPES])
def test_it_prints_what_the_document_shows(server, tmp_path, recipe):
    assert run(tmp_path, recipe, server.address) == recipe.output
