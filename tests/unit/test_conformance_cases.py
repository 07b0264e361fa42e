"""The list of cases is complete, the judge passes it, wrong implementations do not, and the docs show it as it is."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from kohort.errors import RefusedDefinition
from kohort.model.limits import MARKS
from kohort.testing.conformance import PENDING, Answer, CaseTurn, NaiveSubject, all_cases, run_cases
from kohort.testing.conformance.case import case, covered, refusal, stored
from kohort.testing.conformance.cases import all_refusals
from kohort.testing.conformance.run import check_refusal, read_case
from kohort.testing.conformance.table import replaced

PAGE = Path(__file__).parents[2] / "docs" / "semantics.md"
DECISIONS = [
    *(f"T{n}" for n in range(1, 8)),
    *(f"N{n}" for n in range(1, 8)),
    *(f"L{n}" for n in range(1, 9)),
    *(f"S{n}" for n in range(1, 5)),
    *(f"M{n}" for n in range(1, 11)),
    "P1",
    "P2",
]
LISTED = [str(n) for n in range(1, 61)]
NOT_YET = {"P2", "50", "53", "58", "59", "60"}
"""Only pending: nothing in this release can be asked about them."""


def test_every_decision_and_every_listed_case_is_covered() -> None:
    asked = {code for one in (*all_cases(), *all_refusals()) for code in one.covers}
    pending = {code for one in PENDING for code in covered(one.code)}
    assert set(DECISIONS) | set(LISTED) <= asked | pending
    assert (set(DECISIONS) | set(LISTED)) - asked == NOT_YET
    assert all(one.reason for one in PENDING)


def test_codes_are_unique_and_sentences_are_sentences() -> None:
    everything = (*all_cases(), *all_refusals(), *PENDING)
    assert len({one.code for one in everything}) == len(everything)
    assert [one.code for one in everything if not one.says.endswith(".")] == []


def test_the_judge_passes_every_case() -> None:
    result = run_cases(NaiveSubject())
    assert [d.as_dict() for d in result.differ] == []
    assert result.agree == result.cases == len(all_cases()) + len(all_refusals())


def test_the_result_is_json() -> None:
    told = json.loads(json.dumps(run_cases(NaiveSubject(), all_cases()[:3], ()).as_dict()))
    assert told["cases"] == told["agree"] == 3
    assert told["differ"] == []
    assert {p["case"] for p in told["pending"]} == {p.code for p in PENDING}


# Wrong implementations are noticed ------------------------------------------------------------------------------------


class Broken:
    """The judge, told something else than was asked, or misreported."""

    def __init__(
        self,
        turn: Callable[[CaseTurn], CaseTurn] = lambda turn: turn,
        answer: Callable[[Answer], Answer] = lambda answer: answer,
    ) -> None:
        self.judge, self.turn, self.answer = NaiveSubject(), turn, answer

    def take(self, turns: Sequence[CaseTurn]) -> list[Answer]:
        return [self.answer(found) for found in self.judge.take([self.turn(one) for one in turns])]


def parts(turn: CaseTurn, **changed: object) -> CaseTurn:
    definitions = tuple(
        replace(d, parts=tuple(replace(p, **changed) for p in d.parts))  # type: ignore[arg-type]
        for d in turn.definitions
    )
    return replace(turn, definitions=definitions)


def definitions(turn: CaseTurn, **changed: object) -> CaseTurn:
    return replace(turn, definitions=tuple(replace(d, **changed) for d in turn.definitions))  # type: ignore[arg-type]


NUMBERS = count()
WRONG: dict[str, tuple[str, Broken]] = {
    "a run is a microsecond late": ("T2", Broken(lambda t: replace(t, as_of=t.as_of + 1))),
    "a run is a microsecond early": ("T7", Broken(lambda t: replace(t, as_of=t.as_of - 1))),
    "every time zone is UTC": ("T5", Broken(lambda t: replace(t, zone="UTC"))),
    "definitions have no time zone": ("T5", Broken(lambda t: definitions(t, zone=""))),
    "repeated events count": (
        "N1",
        Broken(lambda t: replace(t, arrived=tuple(replace(e, event_id=str(next(NUMBERS))) for e in t.arrived))),
    ),
    "money always has cents": ("N7", Broken(lambda t: replace(t, currency="EUR"))),
    "people decide nothing": ("M4", Broken(lambda t: replace(t, by_hand=()))),
    "nobody asks for consent": ("M9", Broken(lambda t: definitions(t, purpose=""))),
    "nobody forbids anything": (
        "M10",
        Broken(lambda t: replace(t, by_hand=tuple(move for move in t.by_hand if move.name not in MARKS.values()))),
    ),
    "everything is profiling": ("M10", Broken(lambda t: definitions(t, profiling=True))),
    "nothing is profiling": ("M10", Broken(lambda t: definitions(t, profiling=False))),
    "nobody is kept": ("keep", Broken(lambda t: parts(t, keep=None))),
    "nobody has to stay": ("minimum", Broken(lambda t: parts(t, minimum_stay=None))),
    "every move is allowed": ("stages", Broken(lambda t: parts(t, then=()))),
    "nothing is paused": ("56", Broken(lambda t: definitions(t, paused=False))),
    "tiers have another order": (
        "M7",
        Broken(lambda t: replace(t, definitions=tuple(replace(d, parts=d.parts[::-1]) for d in t.definitions))),
    ),
    "all accounts need one user": ("M8", Broken(lambda t: definitions(t, quantifier="any"))),
    "nothing is deleted": ("46", Broken(lambda t: replace(t, removed=()))),
    "late events are lost": (
        "T7",
        Broken(lambda t: replace(t, arrived=tuple(e for e in t.arrived if e.ts > t.as_of - 20 * 86_400_000_000))),
    ),
    "clocks are never wrong": (
        "34",
        Broken(lambda t: replace(t, calls=tuple(replace(c, sent="") for c in t.calls))),
    ),
    "every clock is wrong": (
        "34",
        Broken(lambda t: replace(t, calls=tuple(replace(c, stated="") for c in t.calls))),
    ),
    "changes are told twice": ("M2", Broken(answer=lambda a: replace(a, changes=a.changes * 2))),
    "every change is the customer's": (
        "M3",
        Broken(answer=lambda a: replace(a, changes=tuple(replace(c, backfill=False) for c in a.changes))),
    ),
    "links are lost": ("M5", Broken(lambda t: replace(t, links=()))),
    "links hold from the beginning": (
        "41",
        Broken(lambda t: replace(t, links=tuple(replace(link, ts=0) for link in t.links))),
    ),
    "the last link counts": (
        "41",
        Broken(lambda t: replace(t, links=tuple(replace(link, ts=-link.ts) for link in t.links))),
    ),
    "nothing is split": ("M5", Broken(lambda t: replace(t, taken_back=()))),
    "nobody is erased": ("M6", Broken(lambda t: replace(t, erased=()))),
    "visitors are never included": ("L7", Broken(lambda t: definitions(t, include_anonymous=False))),
    "visitors are always included": ("L7", Broken(lambda t: definitions(t, include_anonymous=True))),
    "the past is forgotten": ("M1", Broken(answer=lambda a: replace(a, past={}))),
    "refusals are silent": ("L8", Broken(answer=lambda a: replace(a, error=""))),
    "nobody is ever a member": ("L1", Broken(answer=lambda a: replace(a, members={}))),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_implementation_is_noticed(wrong: str) -> None:
    about, subject = WRONG[wrong]
    differ = run_cases(subject, refusals=()).differ
    assert about in {code for d in differ for code in covered(d.case)}, f"nobody noticed that {wrong}"


def test_a_refusal_that_does_not_happen_is_noticed() -> None:
    fine = refusal("x", "It is fine.", "it: did('page')", "bad_rule", at="page")
    elsewhere = refusal("x", "The place is another.", "it: spnt > 3", "unknown_name", at="3")
    unhelpful = refusal("x", "The hint is another.", "it: spnt > 3", "unknown_name", at="spnt", hint="recency_days")
    assert [check_refusal(r)[0].got for r in (fine,)] == ["accepted"]
    assert check_refusal(elsewhere)
    assert check_refusal(unhelpful)


def test_a_case_with_a_mistake_says_so() -> None:
    with pytest.raises(RefusedDefinition):
        read_case(case("x", "A misspelt name.", "spnt > 3", "ana  2024-03-01  page", "ana"))


# Reading and showing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "text", "currency", "expected"),
    [
        ("amount", "12.50", "EUR", 1250),
        ("amount", "1250", "JPY", 1250),
        ("quantity", "1.5", "EUR", 1500),
        ("p_rating", "-1", "EUR", -1_000_000),
        ("t_member", "false", "EUR", False),
        ("t_member", "", "EUR", None),
        ("t_joined", "1970-01-02", "EUR", 86_400_000_000),
        ("t_tags", "a,b", "EUR", "\x1fa\x1fb\x1f"),
        ("t_country", "", "EUR", ""),
    ],
)
def test_values_in_cases_are_stored_as_the_log_stores_them(
    column: str, text: str, currency: str, expected: object
) -> None:
    assert stored(column, text, currency) == expected


def test_the_page_shows_the_list_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page) == page, "run: python -m kohort.testing.conformance.table docs/semantics.md"


def test_the_page_explains_every_decision() -> None:
    explained = set(
        re.findall(r"\*\*([TNLSMP]\d+)\*\*", PAGE.read_text(encoding="utf-8").split("## The conformance")[0])
    )
    assert explained == set(DECISIONS)
