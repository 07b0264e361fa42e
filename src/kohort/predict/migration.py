"""In which part of a segment its members will be: training sets from the log of memberships."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.definitions.features import FeatureDefinition, describe
from kohort.definitions.predictions import Target, span_us
from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import DAY_US, iso
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.progress import Progress, silent
from kohort.predict.dataset import MOMENTS, MOST_MOMENTS, Dataset, Features, joined, known_as
from kohort.predict.recurrent.weeks import words_of

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.model.snapshot import Snapshot

LEFT = "(left)"
"""The part of those who are in none any more; no key of a part is written so."""

NOW = FeatureInfo("part_now", "Part now", "text", "text", definition="part of the segment at that moment")
SINCE = FeatureInfo("part_days", "Days in that part", "number", "days", "tenure", "days since it was entered")

Members = Callable[[int], "pa.Table"]
"""As `store.members.at` of one segment: moment → customer, segment, since."""


def moments_of(target: Target, *, first: int, until: int, most: int = MOMENTS) -> list[int]:
    """The last moments whose outcomes the log of memberships knows, a horizon apart.

    Args:
        first: The moment of the first run.
        until: The moment of the latest one.

    Raises:
        NotEnough: The log is shorter than the horizon.
    """
    step = span_us(target.horizon)
    found = [until - step * k for k in range(most, 0, -1) if until - step * k >= first]
    if not found:
        raise NotEnough(
            f"Who was in {target.events[0]!r} is known from {iso(first)} to {iso(until)}: less than {target.horizon}.",
            hint="Choose a shorter horizon, or run the segment at past moments: kohort segments run --as-of T",
        )
    return found


def standing(
    snapshot: Snapshot,
    definitions: Sequence[FeatureDefinition],
    members: Members,
    *,
    as_of: int,
    features: Features,
    zone: str,
    currency: str,
) -> FeatureTable:
    """Features at a moment of those who are in a part then, beside which part that is and for how many days."""
    import pyarrow as pa

    own = [d for d in definitions if d.name not in (NOW.name, SINCE.name)]
    table = features(snapshot, own, as_of=as_of, zone=zone, currency=currency)
    inside = members(as_of).sort_by("customer")
    place, there = _places(inside, table.ids.to_numpy(zero_copy_only=False))
    rows, mask = pa.array(place[there]), pa.array(there)
    data = table.data.filter(mask)
    days = (as_of - inside.column("since").take(rows).to_numpy()) / DAY_US
    data = data.append_column(NOW.name, inside.column("segment").take(rows).cast(pa.string()))
    data = data.append_column(SINCE.name, pa.array(days, pa.float64()))
    return replace(table, ids=table.ids.filter(mask), data=data, features=(*table.features, NOW, SINCE), value=None)


def datasets(
    snapshot: Snapshot,
    definitions: Sequence[FeatureDefinition],
    target: Target,
    *,
    as_of: Sequence[int],
    first: int,
    until: int,
    members: Members,
    features: Features,
    zone: str = "UTC",
    currency: str = "EUR",
    progress: Progress = silent,
) -> dict[str, Dataset]:
    """For each part where somebody was a horizon later: everybody in any part at past moments, and whether it is hers then.

    Args:
        snapshot: The event log.
        definitions: The features.
        target: A migration.
        as_of: Moments, microseconds UTC.
        first, until: Between which moments the log knows who was in what.
        members: Who was in what.
        features: The engine.
        zone: Time zone of calendar windows.
        currency: Of money.

    Raises:
        NotEnough: A moment or the end of its horizon lies outside what the log knows, or nobody was in any part.
        WrongUsage: No moment, a moment twice, or too many.
    """
    moments, ahead = sorted(as_of), span_us(target.horizon)
    if not moments or len(set(moments)) < len(moments) or len(moments) > MOST_MOMENTS:
        raise WrongUsage(f"Give 1 to {MOST_MOMENTS} different moments.")
    if moments[0] < first or moments[-1] + ahead > until:
        raise NotEnough(
            f"Who was in {target.events[0]!r} is known from {iso(first)} to {iso(until)} only.",
            hint="Choose moments between them, a horizon before the last.",
        )
    tables, ends = [], []
    for number, moment in enumerate(moments):
        progress("Looking at past moments", number, len(moments))
        table = standing(snapshot, definitions, members, as_of=moment, features=features, zone=zone, currency=currency)
        tables.append(table)
        ends.append(_arrived(snapshot, table, members, moment + ahead))
    progress("Looking at past moments", len(moments), len(moments))
    rows = [len(t) for t in tables]
    if not sum(rows):
        raise NotEnough(f"Nobody was in {target.events[0]!r} at these moments.", hint="Choose later ones.")
    whole, where = joined(tables), np.concatenate(ends)
    traits = [column for column in snapshot.columns if column.startswith("t_")]
    past = tuple(d.name for d in definitions if not any(t in describe(d.measure) for t in traits))
    at = np.repeat(np.array(moments, np.int64), rows)
    asked = dict(zip(moments, rows, strict=True))
    return {
        part: Dataset(
            whole,
            (where == part).astype(float),
            at,
            at + ahead,
            target.part(part),
            asked,
            (*past, NOW.name, SINCE.name),
            channels=words_of(definitions),
        )
        for part in sorted(set(where.tolist()))
    }


def _arrived(snapshot: Snapshot, table: FeatureTable, members: Members, end: int) -> np.ndarray:
    """The part each customer of a table is in at the end, under the id that she has then; LEFT = in none."""
    inside = members(end).sort_by("customer")
    place, there = _places(inside, known_as(snapshot, table.ids.to_numpy(zero_copy_only=False), end))
    parts: Any = np.array([*inside.column("segment").to_pylist(), LEFT], object)
    return np.asarray(parts[np.where(there, place, len(parts) - 1)])


def _places(inside: pa.Table, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each id stands among members sorted by customer, and whether it does."""
    who = inside.column("customer").to_numpy()
    place = np.minimum(np.searchsorted(who, ids), max(len(who) - 1, 0))
    return place, (who[place] == ids if len(who) else np.zeros(len(ids), bool))
