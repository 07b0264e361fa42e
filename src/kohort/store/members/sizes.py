"""How many members each part of a definition has, without reading them: counted once, then every transition counts.

Pages ask for it again and again while ticks of the live loop add entries and exits.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from kohort.store.members.fold import OPEN, untils
from kohort.store.members.heads import HeadRow
from kohort.store.members.parts import EVERY_NAME, Part, Parts
from kohort.store.members.snapshots import stays_of
from kohort.store.members.tables import ENTERED, LEFT, real
from kohort.store.sealed import Ledger

MOST_NEW = 200_000
"""Transitions since the last question: with more of them it is quicker to count members again."""


class Sizes:
    """Sizes of parts as they were told last, with the number of the last transition in them.

    Attributes:
        turn: Held from before a moment is opened until it is answered, so that no earlier one is asked about after a later.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._last = 0
        self._counts: dict[str, Counter[str]] = {}
        self.turn = threading.Lock()

    def of(self, con: Connection, heads: Mapping[str, HeadRow], names: Iterable[str]) -> dict[str, dict[str, int]]:
        """Name → part → members, in a moment that the caller has opened.

        Args:
            heads: Of that moment.
        """
        self._catch_up(con)
        wanted = [name for name in names if name in heads]
        # What is erased or taken back by hand of the store leaves no transition: the size tells.
        again = [n for n in wanted if n not in self._counts or self._counts[n].total() != heads[n]["size"]]
        if again:
            for name, stays in stays_of(self._parts, con, again).items():
                inside = stays.filter(pa.array(untils(stays) == OPEN)).column("segment").cast(pa.string())
                found = pc.value_counts(inside.combine_chunks())
                self._counts[name] = Counter({row["values"]: row["counts"] for row in found.to_pylist()})
        return {name: {part: n for part, n in self._counts[name].items() if n} for name in wanted}

    def _catch_up(self, con: Connection) -> None:
        """Counts the transitions since the last question, of what was ever asked about."""
        last = Ledger(con).get("next:transition")[0]
        if last == self._last:
            return
        if last < self._last or last - self._last > MOST_NEW:
            self._counts.clear()
        if self._counts:
            news = [self._news(con, part) for part in self._parts.after(con, self._last)]
            for name, segment, step in (one for some in news for one in some):
                self._counts[name][segment] += step
        self._last = last

    def _news(self, con: Connection, part: Part) -> list[tuple[str, str, int]]:
        """What the transitions of a part that were not counted yet add to sizes: name, part of the definition, how many."""
        assert part.seq is not None
        start = max(0, self._last + 1 - part.seq)
        if start >= part.rows or (part.name != EVERY_NAME and part.name not in self._counts):
            return []
        moves = real(self._parts.slice(con, part, start, part.rows))
        texts = {n: moves.column(n).cast(pa.string()) for n in ("name", "segment")}
        plain = pa.table({**texts, "change": moves.column("change")})
        found = plain.group_by(["name", "segment", "change"]).aggregate([([], "count_all")]).to_pylist()
        steps = {ENTERED: 1, LEFT: -1}
        return [
            (row["name"], row["segment"], steps[row["change"]] * row["count_all"])
            for row in found
            if row["name"] in self._counts and row["change"] in steps
        ]
