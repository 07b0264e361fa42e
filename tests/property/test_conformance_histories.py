"""Random histories (late and repeated events, edits, pauses, deletions, decisions by hand) end alike everywhere.

The engine with the real store and the naive judge with a store of dictionaries take the same turns; members, entries and
exits with their numbers, who lacks consent, and the past as asked later must be equal. The whole list of cases runs too.
"""

from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.segments.conform import EngineSubject, run_conformance
from kohort.testing.conformance import Answer, CaseTurn, NaiveSubject, all_cases
from kohort.testing.conformance.cases import all_refusals
from kohort.testing.conformance.histories import random_history

SEEDS = (3, 8)
"""3 deletes a definition; 8 pauses one that others refer to."""


def told(answer: Answer) -> dict[str, object]:
    """An answer without definitions in which nobody is."""

    def filled(members: Mapping[str, Mapping[int | str, str]]) -> dict[str, object]:
        return {name: dict(places) for name, places in members.items() if places}

    return {
        "members": filled(answer.members),
        "changes": sorted(answer.changes, key=str),
        "left out": dict(answer.left_out),
        "past": {moment: filled(members) for moment, members in answer.past.items()},
        "error": answer.error,
    }


def differences(turns: list[CaseTurn], folder: Path) -> list[str]:
    """The first turn that ends differently, with what the engine and the judge say."""
    with EngineSubject(folder, "duckdb") as engine:
        judge = NaiveSubject(engine.bucket_key(turns[0]))
        for number, turn in enumerate(turns):
            ours, theirs = told(engine.take([turn])[0]), told(judge.take([turn])[0])
            wrong = [f"turn {number}, {k}: engine {ours[k]}, judge {theirs[k]}" for k in ours if ours[k] != theirs[k]]
            if wrong:
                return wrong
    return []


@pytest.mark.parametrize("seed", SEEDS)
def test_known_histories_end_alike(seed: int, tmp_path: Path) -> None:
    assert differences(random_history(Random(seed)), tmp_path) == []


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**32))
def test_drawn_histories_end_alike(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    assert differences(random_history(Random(seed)), tmp_path_factory.mktemp("history")) == []


@pytest.mark.slow
def test_duckdb_agrees_on_every_case() -> None:
    result = run_conformance("duckdb")
    assert result["differ"] == []
    assert result["agree"] == result["cases"] == len(all_cases()) + len(all_refusals())


def test_a_history_can_differ(tmp_path: Path) -> None:
    first, *rest = random_history(Random(SEEDS[0]))
    with EngineSubject(tmp_path, "duckdb") as engine:
        judge = NaiveSubject(engine.bucket_key(first))
        fewer = engine.take([first])[0]
        more = judge.take([rest[-1]])[0]
    assert told(fewer) != told(more)
