"""Everything about one customer, at the moment that memberships show, from what the loop holds in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.compile.pairs import CompiledPairs
from kohort.engines.pairs import Pairs
from kohort.live.outlook import Outlook, Question, outlook

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition
    from kohort.live.moments import TimePlan
    from kohort.live.shown import Place
    from kohort.live.view import View


@dataclass(frozen=True, slots=True)
class Profile:
    """One customer at one moment.

    Attributes:
        customer: Pseudonym of the one meant, whichever of her ids was asked for.
        as_of: Microseconds UTC.
        places: Where she is, by definition; hidden ones of triggers too.
        features: In the order of the workspace; None = missing. Money in major units.
        outlook: What time alone will do next.
        known: Definitions that `places` speaks for: where one of them is not in it, she is in none of its parts.
        drifting: Definitions that may change earlier than that, at instants that nothing stored tells.
    """

    customer: int
    as_of: int
    places: Mapping[str, Place]
    features: Mapping[str, Any]
    outlook: Outlook
    known: frozenset[str]
    drifting: tuple[str, ...]


class Asked:
    """A set of definitions and features, ready to be asked about one customer at a time, from any thread.

    Args:
        compiled: The definitions; `plan` says what the clock does to them.
        featured: From `compiled_features`.
    """

    def __init__(self, compiled: CompiledPairs, featured: CompiledPairs, plan: TimePlan, zone: str) -> None:
        self.compiled, self.featured, self.plan, self.zone = compiled, featured, plan, zone
        # Each is one caller's at a time, and whoever asks for one need not wait for who asks for the other.
        self._features = Pairs(featured, 1, "small"), threading.Lock()
        self._places = Pairs(compiled, 1, "small"), threading.Lock()

    def features(self, customer: int, as_of: int, events: pa.Table) -> dict[str, Any]:
        """Her features; all None where she has no event at that moment."""
        pairs, lock = self._features
        with lock:
            found = pairs.evaluate(pa.table({"person": [customer], "as_of": [as_of]}), events).to_pylist()[0]
        return {f.name: found[f"f{j}"] for j, f in enumerate(self.featured.wanted)}

    def outlook(self, question: Question, definitions: Sequence[SegmentDefinition]) -> Outlook:
        """See `kohort.live.outlook.outlook`."""
        pairs, lock = self._places
        with lock:
            return outlook(pairs, self.plan, definitions, question)

    def close(self) -> None:
        for pairs, lock in (self._features, self._places):
            with lock:
                pairs.close()


class Profiles:
    """Answers about single customers while the loop goes on; any thread may ask.

    Args:
        view: What the loop knows; None while it starts or after it failed.
    """

    def __init__(self, view: Callable[[], View | None]) -> None:
        self._view = view
        self._asked: tuple[object, Asked] | None = None
        self._making = threading.Lock()

    def of(self, customer: int) -> Profile | None:
        """A customer as she is at the loop's moment; None where the loop is not there to be asked.

        Args:
            customer: Any of her pseudonyms.
        """
        view = self._view()
        if view is None:
            return None
        asked = self._ready(view)
        root = view.who.root(customer)
        as_of, places = view.shown.of(root)
        events = view.events(np.array([root], np.int64))
        question = Question(root, as_of, events, _of(view.by_hand, root), places, asked.zone)
        heads = view.heads
        kept = [d for d in view.program.definitions if d.name in heads]
        return Profile(
            root,
            as_of,
            places,
            asked.features(root, as_of, events),
            asked.outlook(question, kept),
            frozenset(d.name for d in view.program.definitions),
            tuple(sorted(view.program.time.drifting)),
        )

    def warm(self) -> None:
        """Makes ready what the first question would wait for."""
        view = self._view()
        if view is not None:
            self._ready(view)

    def close(self) -> None:
        with self._making:
            if self._asked is not None:
                self._asked[1].close()
                self._asked = None

    def _ready(self, view: View) -> Asked:
        program = view.program
        compiled = program.pairs.compiled
        key = program.given, compiled.definitions, compiled.columns
        found = self._asked
        if found is None or found[0] != key:
            with self._making:
                found = self._asked
                if found is None or found[0] != key:
                    found = key, Asked(compiled, program.featured, program.time, view.given.zone)
                    self._asked = found
        return found[1]


def _of(by_hand: pa.Table, customer: int) -> pa.Table | None:
    return by_hand.filter(pc.equal(by_hand.column("customer"), customer)) if by_hand.num_rows else None
