"""Runs the cases: reads what they define, lets a subject take their turns, and compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kohort.definitions.features import FeatureDefinition
from kohort.definitions.rules import Vocabulary
from kohort.definitions.scores import score_names
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.definitions.segments_text import read_segments
from kohort.definitions.yaml_text import read_yaml
from kohort.errors import RefusedDefinition
from kohort.testing.conformance.case import (
    COLUMNS,
    FEATURES,
    SCORES,
    Case,
    Members,
    Pending,
    Refusal,
    Turn,
    calls_of,
    customer_of,
    events_of,
    instant,
    lines,
    links_of,
    names,
    people,
)
from kohort.testing.conformance.cases import PENDING, all_cases, all_refusals
from kohort.testing.conformance.subject import Answer, CaseTurn, Change, HandMove, Subject

SETTINGS = SegmentSettings(consent=(("marketing", "t_newsletter"),), accounts="t_company")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing that did not come out as expected."""

    case: str
    says: str
    turn: int
    about: str
    expected: str
    got: str

    def as_dict(self) -> dict[str, object]:
        return {k: getattr(self, k) for k in ("case", "says", "turn", "about", "expected", "got")}


@dataclass(frozen=True, slots=True)
class ConformanceResult:
    """What came of the cases that were asked; those that are pending are neither right nor wrong."""

    cases: int
    differ: tuple[Disagreement, ...]
    pending: tuple[Pending, ...] = field(default=PENDING)

    @property
    def agree(self) -> int:
        return self.cases - len({d.case for d in self.differ})

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: `{"cases", "agree", "differ": […], "pending": […]}`."""
        return {
            "cases": self.cases,
            "agree": self.agree,
            "differ": [d.as_dict() for d in self.differ],
            "pending": [{"case": p.code, "says": p.says, "reason": p.reason} for p in self.pending],
        }


def run_cases(
    subject: Subject, cases: Sequence[Case] | None = None, refusals: Sequence[Refusal] | None = None
) -> ConformanceResult:
    """Asks all cases of a subject.

    Args:
        cases: Only these; None = all.
        refusals: Only these; None = all. They are answered by the definitions' reader, the same for every engine.
    """
    asked = all_cases() if cases is None else cases
    refused = all_refusals() if refusals is None else refusals
    found = [d for r in refused for d in check_refusal(r)]
    readings = {case.code: read_case(case) for case in asked}
    for number in range(max((len(c.turns) for c in asked), default=0)):
        turning = [c for c in asked if len(c.turns) > number]
        answers = subject.take([readings[c.code][number] for c in turning])
        for case, answer in zip(turning, answers, strict=True):
            found += _compare(case, number, answer)
    return ConformanceResult(len(asked) + len(refused), tuple(found))


# Reading --------------------------------------------------------------------------------------------------------------


def read_case(case: Case) -> list[CaseTurn]:
    """The turns of a case, ready to be taken.

    Raises:
        RefusedDefinition: Its definitions are wrong.
    """
    turns: list[CaseTurn] = []
    definitions: tuple[SegmentDefinition, ...] = ()
    for number, turn in enumerate(case.turns):
        if turn.segments is not None:
            definitions = read_definitions(turn.segments)
        turns.append(
            CaseTurn(
                case.code,
                instant(turn.as_of),
                definitions,
                events_of(case, number),
                tuple(_hand_move(case, line) for line in lines(turn.by_hand)),
                tuple(turn.remove.split()),
                tuple(instant(t) for t in turn.past),
                case.zone,
                case.currency,
                COLUMNS,
                (*FEATURES, *SCORES),
                SETTINGS,
                alone=any(t.left_out or t.counted or t.erase for t in case.turns)
                or any(d.kind == "accounts" for d in definitions),
                links=links_of(case, number),
                taken_back=tuple(f"{case.code}/{mark}" for mark in turn.taken_back.split()),
                erased=tuple(customer_of(case.code, who) for who in turn.erase.split()),
                calls=calls_of(case, number),
            )
        )
    return turns


def read_definitions(text: str, features: Sequence[FeatureDefinition] = FEATURES) -> tuple[SegmentDefinition, ...]:
    """Definitions over the columns of the cases.

    Raises:
        RefusedDefinition: With every mistake.
    """
    document = read_yaml(text, "the case")
    infos = {f.name: f.info(COLUMNS) for f in features}
    vocabulary = Vocabulary(features=infos, columns=COLUMNS, segments={}, scores=score_names(SCORES))
    found = read_segments(document, document.data, (), vocabulary, settings=SETTINGS)
    document.finish()
    return found


def _hand_move(case: Case, line: str) -> HandMove:
    """`put ana in vip`, `take ana out of value gold`, `forget ana in vip`."""
    verb, who, *rest = line.split()
    place = [word for word in rest if word not in ("in", "out", "of")]
    name, part = place[0], place[1] if len(place) > 1 else ""
    added = {"put": True, "take": False, "forget": None}[verb]
    return HandMove(name, part or (name if added else ""), customer_of(case.code, who), added)


# Comparing ------------------------------------------------------------------------------------------------------------


def check_refusal(refusal: Refusal) -> list[Disagreement]:
    """Whether a definition is refused with the right code, place and hint."""
    try:
        read_definitions(refusal.segments)
    except RefusedDefinition as error:
        got = [_mistake(refusal.segments, m) for m in error.mistakes or [error.as_dict()]]
    else:
        got = []
    if any((code, at) == (refusal.error, refusal.at) and refusal.hint in hint for code, at, hint in got):
        return []
    expected = f"{refusal.error} at {refusal.at!r}{f', hint {refusal.hint!r}' if refusal.hint else ''}"
    return [Disagreement(refusal.code, refusal.says, 0, "refusal", expected, str(got) if got else "accepted")]


def _mistake(text: str, said: Mapping[str, Any]) -> tuple[str, str, str]:
    """Code, underlined text and hint."""
    return said["code"], text[said["start"] : said["end"]], said["hint"]


def _compare(case: Case, number: int, answer: Answer) -> list[Disagreement]:
    turn = case.turns[number]
    who = {customer: name for customer, (code, name) in people([case]).items() if code == case.code}
    pairs: list[tuple[str, object, object]] = [("error", turn.refused, answer.error)]
    pairs += _member_pairs("members of", turn.members, answer.members, who)
    for moment, expected in turn.past.items():
        pairs += _member_pairs(f"at {moment}, members of", expected, answer.past.get(instant(moment), {}), who)
    pairs += [(f"left out of {name}", n, answer.left_out.get(name)) for name, n in turn.left_out.items()]
    if turn.counted is not None:
        pairs.append(("customers and visitors", turn.counted, answer.counted))
    if turn.changes is not None:
        pairs.append(("changes", sorted(lines(turn.changes)), sorted(said(c, who) for c in answer.changes)))
    return [
        Disagreement(case.code, case.says, number + 1, about, str(expected), str(got))
        for about, expected, got in pairs
        if expected != got
    ]


def _member_pairs(
    about: str,
    expected: Mapping[str, Members],
    got: Mapping[str, Mapping[int | str, str]],
    who: Mapping[int, str],
) -> list[tuple[str, object, object]]:
    pairs: list[tuple[str, object, object]] = []
    for name, wanted in expected.items():
        by_part = {name: wanted} if isinstance(wanted, str) else wanted
        places = {(n, part) for part, members in by_part.items() for n in names(members)}
        there = {(named(w, who), part) for w, part in got.get(name, {}).items()}
        pairs.append((f"{about} {name}", sorted(places), sorted(there)))
    return pairs


def named(customer: int | str, who: Mapping[int, str]) -> str:
    return customer if isinstance(customer, str) else who.get(customer, f"somebody else ({customer})")


def said(change: Change, who: Mapping[int, str]) -> str:
    """A change as cases write it."""
    part = "" if change.part == change.name else f" {change.part}"
    return f"{named(change.who, who)} {change.change} {change.name}{part}{' (backfill)' if change.backfill else ''}"


__all__ = ["ConformanceResult", "Disagreement", "Turn", "check_refusal", "read_case", "read_definitions", "run_cases"]
