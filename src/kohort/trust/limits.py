"""Objection to profiling and restriction of use: in force at once, kept until they are taken back.

They are decisions about single customers (`kohort.store.by_hand`) under names that no definition can have, so every engine, the loop
and an erasure know them already. What somebody said is sealed in the vault with her key, like a consent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.definitions.segments import SegmentDefinition
from kohort.model.clock import iso
from kohort.model.limits import LIMITS, MARKS, Limit
from kohort.model.links import roots
from kohort.model.membership import Placed
from kohort.segments.run_rules import turn
from kohort.store.erasing import leave_out_examples
from kohort.store.sealed import Ledger
from kohort.trust.models import forget_rows
from kohort.trust.statements import Statement, seal, sealed

if TYPE_CHECKING:
    from kohort.store.store import Store

_ROWS = ["customer", "segment", "confidence", "reason"]


def forbid(
    store: Store, customers: Sequence[int], limit: Limit, definitions: Iterable[SegmentDefinition], said: Statement
) -> dict[str, Any]:
    """Writes down that persons object, or that their data may not be used, and ends what they are in because of that.

    Args:
        customers: Pseudonyms, theirs or ones that lead to them.
        definitions: All that are evaluated; of others the members were found, which takes profiling.
        said: Where, when, and what proves it.

    Returns:
        The receipt: `{"request", "limit", "holds", "people", "examples", "left", "model_rows", "recipients", "asked_at"}`;
        it names nobody.
    """
    ids, people = _persons(store, customers)
    seal(store, people, limit, said)
    store.by_hand.put(MARKS[limit], "", ids, False, by="person", now=said.now)
    exempt = {d.name for d in definitions if limit == "objection" and not d.profiles}
    told = told_about(store, ids, exempt)
    with turn(store):
        rows, left = forget_rows(store, ids), _leave(store, ids, exempt, said.now)
    return _noted(store, limit, said, people, ids, left=left, model_rows=rows, recipients=told)


def allow(store: Store, customers: Sequence[int], limit: Limit, said: Statement) -> dict[str, Any]:
    """Takes it back, for every id of these persons; the next run or tick places them again. Answers the receipt."""
    ids, people = _persons(store, customers)
    seal(store, people, limit, said)
    store.by_hand.reset(MARKS[limit], ids, by="person", now=said.now)
    return _noted(store, limit, said, people, left=0, model_rows=0, recipients=[])


def ledger(store: Store, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Per limit whether it holds, and what was said: `[{"limit", "holds", "statements": [{"at", "holds", "source", "proof"}]}]`.

    Args:
        ids: Every pseudonym of one person.
    """
    told = [one for id_ in ids for one in sealed(store, id_)]
    return [
        {
            "limit": limit,
            "holds": bool(np.isin(forbidding(store, limit), ids).any()),
            "statements": [
                {"at": iso(one.at), "holds": one.agreed, "source": one.source, "proof": one.proof}
                for one in sorted(told, key=lambda one: (one.at, one.now))
                if one.about == limit
            ],
        }
        for limit in LIMITS
    ]


def forbidding(store: Store, *limits: Limit) -> np.ndarray:
    """Everybody who forbids one of these, with every id that a merge joined to hers: pseudonyms, sorted."""
    table = store.by_hand.table()
    marks = pa.array([MARKS[limit] for limit in limits])
    said = table.filter(pc.is_in(table.column("name"), marks)).column("customer").to_numpy()
    if not len(said):
        return np.zeros(0, np.int64)
    found = roots(store.links.now())
    return np.unique(np.concatenate([said, *(found.members(int(root)) for root in np.unique(found.of(said)))]))


class Forbidding:
    """Who forbids what, looked up anew only where decisions or links changed since. Any thread may ask."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._found: tuple[object, dict[Limit, frozenset[int]]] = None, {}

    def who(self, *limits: Limit) -> frozenset[int]:
        """Everybody who forbids one of these, see `forbidding`."""
        with self._store._database.read() as con:
            ledger = Ledger(con)
            stamp = ledger.get("by_hand"), ledger.get("link")
        if self._found[0] != stamp:
            self._found = stamp, {limit: frozenset(forbidding(self._store, limit).tolist()) for limit in LIMITS}
        return frozenset().union(*(self._found[1][limit] for limit in limits))


def _persons(store: Store, customers: Sequence[int]) -> tuple[list[int], list[int]]:
    """Every id of some persons, and who they are."""
    found = roots(store.links.now())
    people = sorted({int(found.root_of(int(customer))) for customer in customers})
    return sorted({int(id_) for root in people for id_ in found.members(root)} | set(people)), people


def _leave(store: Store, ids: Sequence[int], exempt: Iterable[str], now: int) -> int:
    """Ends their stored memberships, also of what is paused or found: no run would. Says how many there were.

    What a server keeps current it ends itself at its next tick.
    """
    whom = pa.array(ids, pa.int64())
    kept = store.ticks.position().heads if store.kept_current() is not None else {}
    heads, gone = store.members.heads(), 0
    inside = {
        row["name"] for id_ in ids for row in store.members.of_customer(id_, without={*exempt, *kept}).to_pylist()
    }
    for name in sorted(inside):
        rows = store.members.current(name).select(_ROWS)
        rows = rows.filter(pc.invert(pc.is_in(rows.column("customer"), whom)))
        one = Placed(name, int(heads[name]["version"]), rows)
        gone += store.members.publish([one], as_of=int(heads[name]["as_of"]), now=now)[name].left
    return gone


def told_about(store: Store, ids: Sequence[int], exempt: Iterable[str]) -> list[dict[str, Any]]:
    """Destinations that were told about them, with how often: whoever runs this has to tell them what changed.

    Args:
        exempt: Definitions that do not count.
    """
    without = set(exempt)
    found: dict[str, int] = {}
    for id_ in ids:
        for one in store.deliveries.some(customer=id_, limit=1_000_000):
            if one.attempts and one.name not in without:
                found[one.destination] = found.get(one.destination, 0) + 1
    return [{"destination": name, "deliveries": n} for name, n in sorted(found.items())]


def _noted(
    store: Store, limit: Limit, said: Statement, people: Sequence[int], forgotten: Sequence[int] = (), **done: Any
) -> dict[str, Any]:
    """The request as it is listed, finished and naming nobody; in the same step they are no examples any more."""
    with store.write_lock(), store._database.write() as con:
        examples = leave_out_examples(con, forgotten) if forgotten else 0
        receipt = {"limit": limit, "holds": said.agreed, "people": len(people), "examples": examples, **done}
        number = store.requests.begin(con, limit, (), now=said.now, receipt=receipt)
        store.requests.advance(con, number, "done", receipt, forget_whom=True, ended_us=said.now)
    return {"request": f"{limit}-{number}", **receipt, "asked_at": iso(said.now)}
