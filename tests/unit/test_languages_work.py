"""What the engine says of its work is read in another language too, and what is not is said to be English."""

import ast
from dataclasses import replace
from pathlib import Path

from kohort.errors import WrongUsage
from kohort.locale import PSEUDO, speaking
from kohort.model.job import Job
from kohort.views.pages import Shell, problem
from kohort.views.said import said
from kohort.views.start import use
from kohort.views.working import PHASES, Work, progress

ROOT = Path(__file__).parents[2] / "src" / "kohort"
JOB = Job("8", "discover", {}, "", "running")


def phases(path: Path) -> set[str]:
    """Texts that a module gives to `progress`, the present phase in words."""
    calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call) and node.args]
    named = [node for node in calls if "progress" in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))]
    return {
        str(node.args[0].value)
        for node in named
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }


def test_every_phase_of_work_is_marked() -> None:
    said_by_the_engine = set().union(*(phases(path) for path in ROOT.rglob("*.py")))
    assert len(said_by_the_engine) > 20
    assert said_by_the_engine == set(PHASES)


def test_a_phase_is_read_in_another_language_and_a_file_keeps_its_name() -> None:
    assert progress(replace(JOB, note="comparing groupings")) == "Comparing groupings"
    assert progress(replace(JOB, note="Reading orders.csv")) == "Reading orders.csv"
    with speaking(PSEUDO):
        assert progress(replace(JOB, note="comparing groupings")) == "⟦comparing groupings⟧"
        assert progress(replace(JOB, note="Reading orders.csv")) == "⟦Reading orders.csv⟧"
        assert progress(replace(JOB, note="Of another version")) == "Of another version"


def test_what_no_catalog_has_is_marked_as_english_and_harmless() -> None:
    error = WrongUsage("Row 3 says <b>.", hint="Look at it.")
    assert said("Row 3 says <b>.", "") == "Row 3 says <b>."
    assert said(error) == "Row 3 says <b>. Look at it."
    with speaking("da"):
        assert said("Row 3 says <b>.", "") == '<span lang="en">Row 3 says &lt;b&gt;.</span>'
        assert said("", "") == ""
        page = problem(Shell("Shop"), "Title", said("Row 3 says <b>."))
    assert '<p><span lang="en">Row 3 says &lt;b&gt;.</span></p>' in page


def test_failed_work_says_the_error_in_english_and_the_rest_in_the_readers_language() -> None:
    failed = Work(replace(JOB, state="failed", error="The disk is full."), "Finding groups", "/jobs/8")
    assert failed.text == "The disk is full."
    with speaking("da"):
        assert failed.text == '<span lang="en">The disk is full.</span>'
    with speaking(PSEUDO):
        assert failed.ended == "⟦did not work⟧"


def test_uses_of_columns_are_sentences_that_can_be_looked_up() -> None:
    with speaking(PSEUDO):
        assert [use(text) for text in ("customer", "left out", "", "trait (text)", "email (sealed)")] == [
            "⟦Customer number⟧",
            "⟦Not used⟧",
            "⟦Not used⟧",
            "⟦Trait (text)⟧",
            "⟦Email (sealed)⟧",
        ]
    assert use("customer and email (sealed)") == "Customer and email (sealed)"
