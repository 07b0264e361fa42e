"""Everything about one customer, at the moment that memberships show, from what the loop holds in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.engines.pairs import Pairs, of_pairs
from kohort.live.outlook import Beside, Outlook, Question, outlook

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.segments import SegmentDefinition
    from kohort.live.program import Program
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
        late: She has so many events that her places may be a little older than `as_of`; see `kohort.live.lane`.
        drifting: Definitions that may change earlier than that, at instants that nothing stored tells.
    """

    customer: int
    as_of: int
    places: Mapping[str, Place]
    features: Mapping[str, Any]
    outlook: Outlook
    known: frozenset[str]
    drifting: tuple[str, ...]
    late: bool = False


class Asked:
    """A set of definitions and features, ready to be asked about one customer at a time, from any thread.

    Args:
        program: Whose definitions and features these are; it may be closed before this is.
    """

    def __init__(self, program: Program) -> None:
        self.plan, self.zone = program.time, program.given.zone
        self._wanted = program.featured.wanted
        # The first question is about features and definitions together: what both need is worked out once.
        self._all = Pairs(program.with_features(), 1, "small")
        self._places = Pairs(program.pairs.compiled, 1, "small")
        self._lock = threading.Lock()

    def ask(self, question: Question, definitions: Sequence[SegmentDefinition]) -> tuple[dict[str, Any], Outlook]:
        """Her features (all None where she has no event yet), and what time will do to her; see `live.outlook`."""
        with self._lock:
            first, found = outlook(self._all, self._places, self.plan, definitions, question)
        return {f.name: first[f"f{j}"][0].as_py() for j, f in enumerate(self._wanted)}, found

    def close(self) -> None:
        with self._lock:
            self._all.close()
            self._places.close()


def beside(view: View, root: int, rows: pa.Table) -> Beside:
    """What decides about one customer beside her events, at any moments.

    Args:
        rows: Hers, under the ids they came with.
    """
    person, ids, known = np.array([root], np.int64), rows.column("customer").to_numpy(), rows.column("ts").to_numpy()
    stands = not view.program.consent or bool((ids == root).all())

    def at(moments: np.ndarray) -> pa.Table | None:
        if stands or moments.min() >= known.max(initial=0):
            return view.decided_beside(person, moments[:1], rows)
        each = [view.decided_beside(person, moments[n : n + 1], rows) for n in range(len(moments))]
        return of_pairs(each)

    return at


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
        rows = view.rows_of(view.who.ids([root]))
        events = view.who.as_customers(rows)
        question = Question(root, as_of, events, beside(view, root, rows), places, asked.zone)
        heads = view.heads
        kept = [d for d in view.program.definitions if d.name in heads]
        features, ahead = asked.ask(question, kept)
        return Profile(
            root,
            as_of,
            places,
            features,
            ahead,
            frozenset(d.name for d in view.program.definitions),
            tuple(sorted(view.program.time.drifting)),
            late=root in view.lane.late,
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
        key = program.given, compiled.definitions, compiled.columns, program.by_hand
        found = self._asked
        if found is None or found[0] != key:
            with self._making:
                found = self._asked
                if found is None or found[0] != key:
                    found = key, Asked(program)
                    self._asked = found
        return found[1]
