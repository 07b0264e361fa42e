"""docs/features.md says what is true: its examples are read, and it names every key and column there is."""

import re
from pathlib import Path
from typing import get_args

import pytest

from kohort.definitions.columns import FIXED
from kohort.definitions.features import Kind, SessionFact
from kohort.definitions.workspace_file import parse
from kohort.model.feature import Idea, Unit

TEXT = (Path(__file__).parents[2] / "docs" / "features.md").read_text(encoding="utf-8")
TRAITS = "sources: {people: {kind: customers, columns: {customer: Id}, properties: {country: text}}}\n"


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_examples_are_definitions(example: str) -> None:
    assert parse("name: Toys\n" + TRAITS + example).features


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_python_examples_run(example: str) -> None:
    names: dict[str, object] = {}
    exec(example, names)
    assert "feature" in names


def test_every_word_is_explained() -> None:
    words = {*get_args(Kind), *FIXED, *get_args(Unit), *get_args(Idea), "gap", "share", "ratio", "sequence", "trait"}
    words |= {"sessions", "pause", "longest", "most", *get_args(SessionFact)}
    assert not {word for word in words if not re.search(rf"\b{word}\b", TEXT)}
