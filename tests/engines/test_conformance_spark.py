"""Spark gives the answers of the conformance suite: cases about one moment always, every story in continuous integration."""

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kohort.segments.conform import EngineSubject
from kohort.testing.conformance import all_cases, run_cases
from kohort.testing.conformance.case import Case

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and Java"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from kohort.engines import spark

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spark.session(threads=1)
    # A few hundred rows: generating and compiling code per query would take longer than all the tests.
    found.conf.set("spark.sql.codegen.wholeStage", "false")
    found.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    found.conf.set("spark.sql.shuffle.partitions", "1")
    yield found
    found.stop()


def disagreements(cases: list[Case], folder: Path) -> list[dict[str, object]]:
    with EngineSubject(folder, "spark") as subject:
        return [d.as_dict() for d in run_cases(subject, cases, ()).differ]


def test_cases_about_one_moment(session: Any, tmp_path: Path) -> None:
    cases = [c for c in all_cases() if len(c.turns) == 1 and not c.turns[0].left_out]
    assert len(cases) > 50
    assert disagreements(cases, tmp_path) == []


def test_accounts_are_published_by_spark(session: Any, tmp_path: Path) -> None:
    cases = [c for c in all_cases() if c.code == "M8 49: accounts"]
    assert len(cases) == 1
    assert disagreements(cases, tmp_path) == []


@pytest.mark.ci
def test_every_story(session: Any, tmp_path: Path) -> None:
    cases = [c for c in all_cases() if len(c.turns) > 1]
    assert disagreements(cases, tmp_path) == []
