"""The log of decisions about which ids are one customer, as rows. What was read and checked is kept; only what came since is read
again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.model.merging import Merge
from kohort.store import schema
from kohort.store.sealed import Ledger, SealedTable, signed

What = Literal["merge", "split", "reject", "undo"]

decisions = SealedTable(schema.identity_decision)
_t = schema.identity_decision.c

BY_HAND = "by hand"
"""How a pair was found that nobody was asked about."""


@dataclass(frozen=True, slots=True)
class Field:
    """What one field says about two ids, in words and without any value: `weight` is log2 evidence, None = not weighed."""

    field: str
    says: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ids that may be one customer, and why.

    Attributes:
        keep: Who would stay.
        other: Who would become part of her.
        how: What found it: "same email", "likely", "by hand", …
        score: Probability of being one customer; None = none was worked out.
        evidence: Field by field.
    """

    keep: int
    other: int
    how: str
    score: float | None = None
    evidence: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the log.

    Attributes:
        number: 1, 2, … in the order they were made.
        what: "merge"; "split" (a merge was wrong: they stay apart), "reject" (they were never one), "undo" (as if the
            merge had not been made, or the rejection; a run may find them again).
        pair: Whom it is about.
        ts: Since when a merge is true, microseconds UTC.
        run: Number of the run that made or undid it; 0 = somebody did by hand.
        ends: The number of the merge, or of the rejection, that it takes back; 0 = none.
        reason, by, at: Why, who, and when, microseconds UTC.
        stands: Whether it is a merge or a rejection that was not taken back.
    """

    number: int
    what: What
    pair: Pair
    ts: int
    run: int
    ends: int
    reason: str
    by: str
    at: int
    stands: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A pair that a run was not sure about; `number` stays its own for ever, and goes with the answer or the next run."""

    number: int
    run: int
    pair: Pair


class DecisionLog:
    """Every decision, oldest first. Each call is part of the caller's transaction."""

    def __init__(self) -> None:
        self._kept: list[sa.RowMapping] = []
        self._line = (0, 0)
        self._turn = threading.Lock()

    def add(self, con: Connection, what: Sequence[tuple[What, Pair, Mapping[str, Any]]], **said: Any) -> list[Decision]:
        """Adds lines: what, about whom, and columns of its own beside those that all share."""
        if not what:
            return []
        first = Ledger(con).take("identity_decision", len(what))
        blank = {"ts": 0, "link": "", "run": 0, "ends": 0, **said}
        rows = [
            {**blank, **own, "number": number, "what": name, **stored(pair)}
            for number, (name, pair, own) in enumerate(what, first)
        ]
        decisions.insert(con, rows)
        return read(rows)

    def all(self, con: Connection) -> list[Decision]:
        """Every decision."""
        return read(self._rows(con))

    def merges(self, con: Connection) -> list[tuple[Merge, bool, int]]:
        """Every merge there ever was, whether it stands, and the run that made it."""
        rows = self._rows(con)
        ended = {row["ends"] for row in rows}
        return [
            (Merge(r["number"], r["keep"], r["other"], r["ts"], r["link"]), r["number"] not in ended, r["run"])
            for r in rows
            if r["what"] == "merge"
        ]

    def pairs(self, con: Connection, numbers: Iterable[int]) -> list[tuple[int, Pair]]:
        """Number and pair of some decisions."""
        wanted = set(numbers)
        return [(row["number"], pair_of(row)) for row in self._rows(con) if row["number"] in wanted]

    def _rows(self, con: Connection) -> list[sa.RowMapping]:
        line = Ledger(con).get("identity_decision")
        with self._turn:
            if line != self._line:
                self._kept, self._line = self._anew(con, line), line
            return self._kept

    def _anew(self, con: Connection, line: tuple[int, int]) -> list[sa.RowMapping]:
        if self._kept and line[0] > self._line[0]:
            since = sa.select(schema.identity_decision).where(_t.number > self._kept[-1]["number"]).order_by(_t.number)
            new = decisions.some(con, since)
            if (len(self._kept) + len(new), signed(self._line[1] + sum(row["digest"] for row in new))) == line:
                return [*self._kept, *new]
        return list(decisions.all(con, _t.number))


def stored(pair: Pair) -> dict[str, Any]:
    """A pair as columns."""
    evidence = json.dumps([[f.field, f.says, f.weight] for f in pair.evidence], allow_nan=False)
    score = None if pair.score is None else float(pair.score)
    return {"keep": int(pair.keep), "other": int(pair.other), "how": pair.how, "score": score, "evidence": evidence}


def pair_of(row: Mapping[str, Any] | sa.RowMapping) -> Pair:
    """The inverse of `stored`."""
    evidence = tuple(Field(*line) for line in json.loads(row["evidence"]))
    return Pair(row["keep"], row["other"], row["how"], row["score"], evidence)


def read(rows: Iterable[Mapping[str, Any] | sa.RowMapping]) -> list[Decision]:
    """Rows in the order of their numbers; `stands` is right where they are all there are."""
    listed = list(rows)
    ended = {row["ends"] for row in listed}
    return [
        Decision(
            row["number"],
            row["what"],
            pair_of(row),
            row["ts"],
            row["run"],
            row["ends"],
            row["reason"],
            row["by"],
            row["decided_us"],
            row["what"] in ("merge", "reject") and row["number"] not in ended,
        )
        for row in listed
    ]
