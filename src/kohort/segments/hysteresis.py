"""What staying rules (keep, minimum stay, allowed next stages) changed: past moments replayed with and without them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from kohort.definitions.segments import remembers
from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import iso
from kohort.model.progress import silent
from kohort.segments import movement_words as words
from kohort.segments.dependencies import refers_to, with_needed
from kohort.segments.evaluate import Evaluator, Question, duckdb_evaluator
from kohort.segments.evaluate import by_hand as by_hand_of

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.segments import SegmentDefinition, SegmentSettings
    from kohort.store.store import Store

STAYING = ("keep", "minimum stay", "not allowed yet")
"""Reasons of those who are where they are only because of staying rules."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """Entries, exits and moves between two moments, with and without staying rules."""

    start: int
    end: int
    with_staying: int
    without: int


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """What staying rules changed over past moments.

    Attributes:
        avoided: Entries, exits and moves that did not take place because of them; below 0 they led to more.
        without: Entries, exits and moves without them.
        staying: Members at the last moment who are where they are only because of them, by reason.
    """

    name: str
    periods: tuple[Replayed, ...]
    avoided: int
    without: int
    staying: dict[str, int]
    text: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, instants as ISO 8601 UTC."""
        periods = [{**asdict(p), "start": iso(p.start), "end": iso(p.end)} for p in self.periods]
        return {**asdict(self), "periods": periods}


def replay(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    definition: SegmentDefinition,
    moments: Sequence[int],
    *,
    zone: str,
    currency: str,
    features: Sequence[FeatureDefinition],
    settings: SegmentSettings,
    threads: int | None = None,
) -> Hysteresis:
    """What the staying rules of a definition would have changed, on the data of past moments. Nothing is written.

    Takes two evaluations of the definition, with all that it refers to, per moment.

    Args:
        definitions: All of the workspace.
        definition: One of them, or one that is not saved.
        moments: Ascending (µs UTC), for example the beginnings of months.

    Raises:
        WrongUsage: The definition has no staying rules.
        NotEnough: Fewer than two moments.
    """
    everything = (*(d for d in definitions if d.name != definition.name), definition)
    needed = [d for d in with_needed(everything, [definition.name]) if not d.paused or d.name == definition.name]
    outside = sorted({n for d in needed for n in refers_to(d)} - {d.name for d in needed})
    snapshot = store.log.snapshot()

    def evaluator(at: int) -> Evaluator:
        return duckdb_evaluator(
            store, snapshot, Question(at, zone, currency, tuple(features), settings, threads), silent
        )

    return hysteresis(
        evaluator,
        needed,
        moments,
        by_hand=by_hand_of(store, needed),
        elsewhere=lambda at: store.members.standing(outside, at + 1),
    )


def hysteresis(
    evaluator: Callable[[int], Evaluator],
    definitions: Sequence[SegmentDefinition],
    moments: Sequence[int],
    *,
    by_hand: pa.Table,
    elsewhere: Callable[[int], pa.Table],
) -> Hysteresis:
    """Replays a definition from moment to moment, once as it is and once without its staying rules.

    Nobody is in before the first moment. Other segments that it refers to are replayed with it, as they are.

    Args:
        evaluator: The engine for one moment (µs UTC).
        definitions: In order of evaluation; the last one is asked about.
        moments: Ascending, for example the beginnings of months.
        by_hand: What people decided.
        elsewhere: Stored members of what is not evaluated (paused, adopted), at a moment: customer, name, segment, since.

    Raises:
        WrongUsage: The definition has no staying rules.
        NotEnough: Fewer than two moments.
    """
    asked = definitions[-1]
    if not remembers(asked) or asked.kind == "accounts":
        raise WrongUsage(f"{asked.name!r} has no staying rules.", hint="Give it `keep` or `minimum_stay`.")
    if len(moments) < 2:
        raise NotEnough("Two moments at least are needed to see who moved.", hint="Ask for a longer time.")
    bare = replace(asked, parts=tuple(replace(p, keep=None, minimum_stay=None, then=()) for p in asked.parts))
    told = [
        _replay(evaluator, [*definitions[:-1], last], moments, by_hand=by_hand, elsewhere=elsewhere)
        for last in (asked, bare)
    ]
    moves = [[_moves(old, new) for old, new in pairwise(tables)] for tables in told]
    spans = zip(moments, moments[1:], *moves, strict=False)
    periods = tuple(Replayed(start, end, kept, free) for start, end, kept, free in spans)
    without = sum(moves[1])
    avoided = without - sum(moves[0])
    staying = {reason: _with_reason(told[0][-1], reason) for reason in STAYING}
    return Hysteresis(asked.name, periods, avoided, without, staying, words.hysteresis(avoided, without, len(periods)))


def _replay(
    evaluator: Callable[[int], Evaluator],
    definitions: Sequence[SegmentDefinition],
    moments: Sequence[int],
    *,
    by_hand: pa.Table,
    elsewhere: Callable[[int], pa.Table],
) -> list[pa.Table]:
    """Members of the last definition at each moment: customer, segment, reason, since."""
    stood: dict[str, pa.Table] = {}
    found = []
    for at in moments:
        others = elsewhere(at)
        standing = _standing([*stood.items()], others)
        placed = evaluator(at)(definitions, by_hand=by_hand, standing=standing).placed
        memory = [d.name for d in definitions if remembers(d)]
        stood = {name: _since(placed[name], stood.get(name), at) for name in memory}
        found.append(placed[definitions[-1].name])
    return found


def _standing(stood: Sequence[tuple[str, pa.Table]], others: pa.Table) -> pa.Table:
    import pyarrow as pa

    own = [
        table.append_column("name", pa.array([name] * table.num_rows, pa.string())).select(others.column_names)
        for name, table in stood
    ]
    return pa.concat_tables([others, *(t.cast(others.schema) for t in own)])


def _since(placed: pa.Table, before: pa.Table | None, at: int) -> pa.Table:
    """Who is where since when: as before where the part is the same, since now otherwise."""
    import pyarrow as pa
    import pyarrow.compute as pc

    now = placed.select(["customer", "segment"])
    if before is None:
        return now.append_column("since", pa.array([at] * now.num_rows, pa.int64()))
    joined = now.join(before, keys=["customer", "segment"], join_type="left outer")
    return joined.set_column(joined.column_names.index("since"), "since", pc.fill_null(joined.column("since"), at))


def _moves(old: pa.Table, new: pa.Table) -> int:
    """Entries, exits and moves from one part to another."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pairs = [t.select(["customer", "segment"]).rename_columns(["customer", key]) for t, key in ((old, "a"), (new, "b"))]
    joined = pairs[0].join(pairs[1], keys="customer", join_type="full outer")
    same = pc.fill_null(pc.equal(joined.column("a").cast(pa.string()), joined.column("b").cast(pa.string())), False)
    stayed: int = pc.sum(same).as_py() or 0
    return int(joined.num_rows) - stayed


def _with_reason(members: pa.Table, reason: str) -> int:
    import pyarrow.compute as pc

    return int(pc.sum(pc.equal(members.column("reason"), reason)).as_py() or 0)
