"""docs/rule-sentences.md says what the code says, and its examples show every form in every language."""

import re
from pathlib import Path

import pytest

from kohort.definitions.rules import format_rule, parse_rule
from kohort.definitions.rules.sentences import LANGUAGES, read_sentence, say_rule
from kohort.definitions.rules.sentences.languages import language
from kohort.definitions.rules.sentences.syntax import MARK, chunks

TEXT = (Path(__file__).parents[2] / "docs" / "rule-sentences.md").read_text(encoding="utf-8")
LABEL_ROWS = [
    [cell.strip() for cell in row.split("|")]
    for row in re.findall(r"```labels\n(.*?)```", TEXT, re.DOTALL)[0].splitlines()
]
LABELS = {code: {row[0]: row[1 + i] for row in LABEL_ROWS} for i, code in enumerate(LANGUAGES)}
BLOCKS = "\n\n".join(re.findall(r"```sentences\n(.*?)```", TEXT, re.DOTALL)).strip()
EXAMPLES = [
    (lines[0].removeprefix("rule  "), dict(line.split(maxsplit=1) for line in lines[1:]))
    for lines in (block.splitlines() for block in re.split(r"\n\n+", BLOCKS))
]


def test_there_are_many_examples() -> None:
    assert len(EXAMPLES) > 40
    assert all(list(sentences) == list(LANGUAGES) for _, sentences in EXAMPLES)


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize(("text", "sentences"), EXAMPLES, ids=[text[:40] for text, _ in EXAMPLES])
def test_examples_are_said_and_read(text: str, sentences: dict[str, str], code: str) -> None:
    rule = parse_rule(text)
    assert format_rule(rule) == text
    assert say_rule(rule, code, labels=LABELS[code]) == sentences[code]
    assert read_sentence(sentences[code], code, labels=LABELS[code]) == rule


@pytest.mark.parametrize("code", LANGUAGES)
def test_examples_show_every_form(code: str) -> None:
    said = "\n".join(sentences[code] for _, sentences in EXAMPLES)
    # `at least once` is how often something happens that is not counted at all: read, never said.
    templates = {form: words for form, words in language(code).templates.items() if form != "at_least_once"}
    fixed = {
        (form, words.replace(MARK, "").strip(" ,")) for form in templates for _, _, words in chunks(templates[form])
    }
    assert not {(form, words) for form, words in fixed if words not in said}


def test_python_example_runs() -> None:
    for example in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        names: dict[str, object] = {}
        exec(example, names)
        assert "rule" in names
