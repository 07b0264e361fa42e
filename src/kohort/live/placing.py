"""From where customers belong to what changes: transitions and restatements of one tick, numbered and dated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from kohort.compile.segments import REASONS
from kohort.definitions.segments import SegmentDefinition
from kohort.live.standing import OUT, Standing, Stay, Where
from kohort.store.members.tables import ENTERED, LEFT, RESTATED, TICK
from kohort.store.ticks import Head


@dataclass(frozen=True, slots=True)
class Move:
    """A customer entered or left a part, or stays in it for another reason.

    Attributes:
        reason: Place in REASONS; of an exit that of the stay which ends.
        since: Of the stay that begins, goes on or ends.
    """

    name: str
    key: str
    customer: int
    change: int
    number: int
    at: int
    reason: int
    since: int
    version: int

    @property
    def stay(self) -> Stay:
        """What stands afterwards."""
        return Stay(self.number, self.since, self.reason)


@dataclass(frozen=True, slots=True)
class _Who:
    name: str
    customer: int
    at: int
    version: int

    def move(self, key: str, change: int, number: int, *, reason: int, since: int) -> Move:
        return Move(self.name, key, self.customer, change, number, self.at, reason, since, self.version)


def _leads(there: Where, row: int, after: int, reason: int, who: _Who) -> Iterator[Move]:
    """The moves from where a customer stands to where she belongs."""
    before = int(there.part[row])
    if before != OUT:
        number, since = int(there.numbers[before][row]), int(there.since[row])
        if before == after:
            yield who.move(there.keys[before], RESTATED, number, reason=reason, since=since)
            return
        yield who.move(there.keys[before], LEFT, number + 1, reason=int(there.reason[row]), since=since)
    if after != OUT:
        yield who.move(there.keys[after], ENTERED, int(there.numbers[after][row]) + 1, reason=reason, since=who.at)


@dataclass(slots=True)
class Moves:
    """Everything that a tick changes about memberships, in the order in which it happens."""

    rows: list[Move] = field(default_factory=list)

    def find(
        self,
        standing: Standing,
        definitions: Sequence[SegmentDefinition],
        heads: Mapping[str, Head],
        *,
        placed: pa.Table,
        persons: np.ndarray,
        moments: np.ndarray,
    ) -> None:
        """Compares where customers belong with where they stand, and notes both what changes and that they now stand there.

        Args:
            definitions: As evaluated; column `s{i}` of `placed` is about the one at place i, which was not asked about
                where there is no such column.
            heads: Of each definition; one without is left alone.
            placed: One row per person, from `kohort.engines.pairs.Pairs.evaluate`.
            persons: Each once.
            moments: When each change takes effect.
        """
        place = {int(person): i for i, person in enumerate(persons.tolist())}
        asked = set(placed.column_names)
        for i, definition in enumerate(definitions):
            if f"s{i}" not in asked or definition.name not in heads:
                continue
            there = standing.where(definition.name, [p.key for p in definition.parts], persons, place)
            part, reason = placed[f"s{i}"].to_numpy(), placed[f"r{i}"].to_numpy()
            changed = (part != there.part) | ((part != OUT) & (reason != there.reason))
            version = heads[definition.name].version
            for row in np.flatnonzero(changed).tolist():
                who = _Who(definition.name, int(persons[row]), int(moments[row]), version)
                for move in _leads(there, row, int(part[row]), int(reason[row]), who):
                    self._note(standing, move)

    def _note(self, standing: Standing, move: Move) -> None:
        standing.put(move.name, move.key, move.customer, move.stay)
        self.rows.append(move)

    def in_order(self) -> None:
        """Sorts what was noted by when it happens; what happens at one moment stays as it was noted."""
        self.rows.sort(key=lambda move: move.at)

    def count(self) -> int:
        """How many transitions there are."""
        return sum(move.change != RESTATED for move in self.rows)

    def table(self, *, restated: bool = False) -> pa.Table:
        """The transitions, or the restatements, as the store keeps them (TICK)."""
        rows = [m for m in self.rows if (m.change == RESTATED) == restated]
        words = pa.array([*REASONS, None], pa.string())
        reason = words.take(pa.array([len(REASONS) if m.change == LEFT else m.reason for m in rows], pa.int8()))
        columns = {
            "customer": pa.array([m.customer for m in rows], pa.int64()),
            "segment": pa.array([m.key for m in rows], pa.string()).dictionary_encode(),
            "change": pa.array([m.change for m in rows], pa.int8()),
            "number": pa.array([m.number for m in rows], pa.int32()),
            "at": pa.array([m.at for m in rows], pa.int64()),
            "confidence": pa.nulls(len(rows), pa.float64()),
            "reason": reason.dictionary_encode(),
            "version": pa.array([m.version for m in rows], pa.int64()),
            "name": pa.array([m.name for m in rows], pa.string()).dictionary_encode(),
        }
        return pa.table([columns[f.name] for f in TICK], schema=TICK)

    def heads(self, before: Mapping[str, Head]) -> dict[str, Head]:
        """The heads of all definitions after these moves."""
        counts: dict[str, list[int]] = {}
        left: set[tuple[str, int, int]] = set()
        for move in self.rows:
            entered, gone, moved = counts.setdefault(move.name, [0, 0, 0])
            if move.change == LEFT:
                left.add((move.name, move.customer, move.at))
                counts[move.name] = [entered, gone + 1, moved]
            elif move.change == ENTERED:
                if (move.name, move.customer, move.at) in left:  # from one part to another at one instant
                    counts[move.name] = [entered, gone - 1, moved + 1]
                else:
                    counts[move.name] = [entered + 1, gone, moved]
        found = dict(before)
        for name, (entered, gone, moved) in counts.items():
            head = before[name]
            found[name] = replace(
                head,
                size=head.size + entered - gone,
                entered=head.entered + entered,
                left=head.left + gone,
                moved=head.moved + moved,
            )
        return found
