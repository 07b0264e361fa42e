"""The answer to "why is she in, why not": conditions with what is so, what is missing, what holds, what comes next."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from kohort.model.clock import iso
from kohort.segments.decide import Truth
from kohort.segments.next_change import Change

How = Literal["one", "all", "any", "not"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One node of a rule, nested as written.

    Attributes:
        text: Canonical text.
        sentence: Plain words.
        actual: What is so for her: "twice, needs at least 3 times"; empty for all, any and not.
        true: None = unknown.
        how: one condition, or all, any, not of `items`.
    """

    text: str
    sentence: str
    actual: str
    true: Truth
    how: How = "one"
    items: tuple[Condition, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        own: dict[str, Any] = {"text": self.text, "sentence": self.sentence, "actual": self.actual, "true": self.true}
        return own | ({"how": self.how, "conditions": [i.as_dict() for i in self.items]} if self.items else {})


@dataclass(frozen=True, slots=True)
class Needed:
    """A condition that would have to change for her to get in.

    Attributes:
        wanted: What it would have to be.
        distance: "1 more time", "120.00 EUR more"; empty where there is none to tell.
        possible: False where nothing she does, and no waiting, can bring it about.
    """

    text: str
    sentence: str
    wanted: bool
    distance: str
    possible: bool


@dataclass(frozen=True, slots=True)
class PartWhy:
    """One part of the definition.

    Attributes:
        true: Whether the rule for getting in is true; None = unknown, or there is no rule.
        conditions: Of the rule for getting in: the items of its outermost "and", or the one condition that it is.
        keep: Likewise of the rule for staying.
        missing: The smallest set of conditions that would have to change for the rule to be true; empty where it is.
        holding: The smallest set of conditions that make it true; empty where it is not.
    """

    segment: str
    label: str
    true: Truth
    conditions: tuple[Condition, ...]
    keep: tuple[Condition, ...]
    missing: tuple[Needed, ...]
    holding: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """Why a customer is where she is in one definition.

    Attributes:
        name: The definition.
        segment: The part she is in; None = in none.
        asked: The part that `conditions` are about: hers, else the one that she is nearest to.
        since: When she entered (µs UTC); None where no run has recorded it.
        reason: rule, keep, minimum stay, not allowed yet, by hand, random, paused; empty in no part.
        left_out: Part she would be in if she had agreed to the purpose.
        notes: What decides beside the conditions, whole sentences.
        change: What time alone does next; None = nothing until `looked_until`.
        change_text: The same in one sentence.
        text: The answer in a few sentences.
    """

    name: str
    segment: str | None
    asked: PartWhy
    parts: tuple[PartWhy, ...]
    since: int | None
    reason: str
    left_out: str | None
    notes: tuple[str, ...]
    change: Change | None
    change_text: str
    looked_until: int
    text: str

    @property
    def member(self) -> bool:
        return self.segment is not None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, instants as ISO 8601 UTC: `{"member", "conditions": [{"text", "actual", "true"}], "changes_at"}`
        and more."""
        change = self.change
        return {
            "member": self.member,
            "segment": self.segment,
            "since": None if self.since is None else iso(self.since),
            "reason": self.reason,
            "text": self.text,
            "notes": list(self.notes),
            "conditions": [c.as_dict() for c in self.asked.conditions],
            "missing": [asdict(n) for n in self.asked.missing] if not self.member else [],
            "holding": [c.as_dict() for c in self.asked.holding] if self.member else [],
            "changes_at": None if change is None else iso(change.at),
            "change": None if change is None else {"before": change.before, "after": change.after.segment},
            "change_text": self.change_text,
            "looked_until": iso(self.looked_until),
            "left_out": self.left_out,
            "parts": [_part_dict(p) for p in self.parts],
        }


def _part_dict(part: PartWhy) -> dict[str, Any]:
    return {
        "segment": part.segment,
        "label": part.label,
        "true": part.true,
        "conditions": [c.as_dict() for c in part.conditions],
        "keep": [c.as_dict() for c in part.keep],
        "missing": [asdict(n) for n in part.missing],
    }
