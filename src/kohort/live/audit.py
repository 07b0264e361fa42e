"""The audit: everybody evaluated anew at the moment that members show, and compared with them; and the log with its fold.

Live and batch are the same definitions, so that nothing may differ. Whatever does is a fault of ours or damage, and is said.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kohort.errors import Damaged, NotEnough
from kohort.live.program import Given
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.segments.dependencies import with_needed
from kohort.segments.evaluate import by_hand, duckdb_evaluator, standing

if TYPE_CHECKING:
    from kohort.store.store import Store

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Differing:
    """One definition whose members are not those that a full evaluation finds.

    Attributes:
        missing: Who should be in a part and is not, or is in another.
        extra: Who is in one and should be in none.
        examples: Pseudonyms of a few of them.
    """

    name: str
    missing: int
    extra: int
    examples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        as_of: The moment that was compared, microseconds UTC.
        definitions: How many were compared.
        customers: In all.
        differ: Empty = live is what batch is.
        late: Customers who were not compared: they have so many events that they wait for their turn.
        damage: What does not check out about the log of transitions; empty = its fold is the membership.
    """

    as_of: int
    definitions: int
    customers: int
    differ: tuple[Differing, ...]
    damage: str = ""
    late: int = 0

    @property
    def sound(self) -> bool:
        return not self.differ and not self.damage

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, the moment as ISO 8601 UTC."""
        return {**asdict(self), "as_of": iso(self.as_of), "sound": self.sound}


def audit(store: Store, given: Given, *, progress: Progress = silent) -> Audit:
    """Compares members that a loop keeps current with a full evaluation, while the loop goes on.

    Both look at the same: events and links of the loop's position, what people had decided by hand when it last looked,
    and of what remembers (keep, minimum stay, stages) where everybody stood strictly before the loop's moment. Definitions
    of accounts are not compared: the loop runs them as a whole, now and then, so that their members are a full evaluation
    of the moment of their run.

    Raises:
        NotEnough: No loop keeps anything current here.
    """
    with store.write_lock():  # one moment of events, members and lists by hand
        position, snapshot = store.ticks.position(), store.log.snapshot()
        decided = by_hand(store, given.definitions, position.decided)
    if not position.heads:
        raise NotEnough("Nothing is kept current here.", hint="Start it with: kohort serve")
    names = [d.name for d in given.definitions if d.name in position.heads]
    asked = [d for d in with_needed(given.definitions, names) if not d.paused and d.kind != "accounts"]
    question = given.question(position.as_of, snapshot.columns)
    found = duckdb_evaluator(store, snapshot, question, progress)(
        asked, by_hand=decided, standing=standing(store, asked, position.as_of)
    )
    late = frozenset(position.late)
    differ = [_compared(store, name, position.as_of, found.placed[name], late) for name in names]
    wrong = tuple(d for d in differ if d.missing or d.extra)
    return Audit(position.as_of, len(names), found.universe, wrong, _damage(store), len(late))


def _compared(store: Store, name: str, as_of: int, placed: pa.Table, late: Collection[int]) -> Differing:
    members = store.members.at(name, as_of)
    should, are = _parts(placed), _parts(members)
    missing = sorted(c for c, part in should.items() if are.get(c) != part and c not in late)
    extra = sorted(are.keys() - should.keys() - set(late))
    return Differing(name, len(missing), len(extra), tuple((*missing, *extra)[:EXAMPLES]))


def _parts(table: pa.Table) -> dict[int, str]:
    customers: Sequence[int] = np.asarray(table.column("customer")).tolist()
    return dict(zip(customers, table.column("segment").to_pylist(), strict=True))


def _damage(store: Store) -> str:
    try:
        store.members.check()
    except Damaged as error:
        return error.message
    return ""
