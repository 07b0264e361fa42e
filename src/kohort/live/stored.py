"""A profile from the store, where no loop holds it in memory: the same answer, slower, as of the last run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.segments import REASONS
from kohort.engines.consent import withheld_from
from kohort.engines.led import carried
from kohort.engines.pairs import in_schema, of_pairs
from kohort.engines.segments import BY_HAND_SCHEMA
from kohort.live.outlook import Beside, Question
from kohort.live.profile import Asked, Profile
from kohort.live.program import Given, Program
from kohort.live.shown import Place
from kohort.live.standing import UNSAID
from kohort.model.event import event_schema
from kohort.model.links import around, belonging, roots
from kohort.segments.consent import Consents
from kohort.segments.why import rows_of

if TYPE_CHECKING:
    from kohort.model.snapshot import Snapshot
    from kohort.store.store import Store

_CODES = {reason: code for code, reason in enumerate(REASONS)}


class StoredProfiles:
    """Answers about single customers from what is stored; any thread may ask.

    Args:
        look: What the workspace says now.
        newest: The moment of the last event; what is asked about where nothing was ever run.
    """

    def __init__(self, store: Store, look: Callable[[], Given], newest: Callable[[], int]) -> None:
        self._store, self._look, self._newest = store, look, newest
        self._made: tuple[object, Program, Asked] | None = None
        self._making = threading.Lock()

    def of(self, customer: int) -> Profile:
        """A customer as she was when memberships were evaluated last.

        Args:
            customer: Any of her pseudonyms.
        """
        store = self._store
        runs = [status.as_of for status in store.status.all().values() if status.as_of is not None]
        as_of = max([store.ticks.position().as_of, *runs]) or self._newest()
        snapshot = store.log.snapshot()
        program, asked = self._ready(snapshot, as_of)
        root = store.meant(customer, as_of)
        rows = store.members.of_customer(root).to_pylist()
        places = {r["name"]: Place(r["segment"], r["since"], _CODES.get(r["reason"], UNSAID)) for r in rows}
        events = _events(snapshot, root, as_of)
        hands = carried(store.by_hand.table(), roots(around(snapshot.links, root), as_of))
        hers = hands.filter(pc.equal(hands.column("customer"), root)) if hands.num_rows else None
        known = store.members.names()
        kept = [d for d in program.definitions if d.name in known]
        consents = Consents(snapshot, root, as_of, program.consent)
        question = Question(root, as_of, events, _beside(hers, consents), places, asked.zone)
        features, ahead = asked.ask(question, kept)
        return Profile(
            root,
            as_of,
            places,
            features,
            ahead,
            frozenset(d.name for d in program.definitions),
            tuple(sorted(program.time.drifting)),
        )

    def _ready(self, snapshot: Snapshot, as_of: int) -> tuple[Program, Asked]:
        given = self._look()
        key = given, snapshot.columns
        with self._making:
            if self._made is None or self._made[0] != key:
                program = Program(self._store, given, snapshot.columns, as_of)
                asked = Asked(program)
                self._made = key, program, asked
            return self._made[1:]


def _beside(by_hand: pa.Table | None, consents: Consents) -> Beside:
    """What decides about her beside events: what people decided, and at each moment the consent that a merge withholds."""

    def at(moments: np.ndarray) -> pa.Table | None:
        if consents.of_one_id:
            return by_hand
        return of_pairs([_together(by_hand, consents, moment) for moment in moments.tolist()])

    return at


def _together(by_hand: pa.Table | None, consents: Consents, at: int) -> pa.Table:
    withheld = [withheld_from([consents.customer], p) for p in consents.purposes if consents.withheld(p, at)]
    hands = [] if by_hand is None else [by_hand.select(BY_HAND_SCHEMA.names).cast(BY_HAND_SCHEMA)]
    return pa.concat_tables([BY_HAND_SCHEMA.empty_table(), *hands, *withheld])


def _events(snapshot: Snapshot, customer: int, as_of: int) -> pa.Table:
    """All events of her and of the ids that lead to her, later ones too, under her own."""
    schema = pa.schema([(f.name, f.type) for f in event_schema(dict(snapshot.columns))])
    names = [name for name in schema.names if name != "customer"]
    hers = [b.member for b in belonging(snapshot.links, customer) if b.holds(as_of)]
    tables = [in_schema(t, schema) for member in hers for t in rows_of(snapshot, member, names)]
    events = pa.concat_tables([schema.empty_table(), *tables])
    named = pa.array([customer] * events.num_rows, pa.int64())
    return events.set_column(events.column_names.index("customer"), "customer", named)
