"""Training sets from the event log: every customer as they were at past moments, and what happened after each.

Features are computed by the compiler of all features with `as_of` the moment, so nothing later can be read. Outcomes are
computed by the same compiler with `as_of` the end of the horizon, over a window as long as the horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.definitions.features import FeatureDefinition, describe
from kohort.definitions.predictions import BEFORE, Target, span_us
from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import DAY_US, iso
from kohort.model.columns import values
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.predict.change import beside_before, changed
from kohort.predict.recurrent.weeks import words_of
from kohort.predict.train import Costs, Trained, train
from kohort.predict.when import timing

if TYPE_CHECKING:
    from kohort.model.snapshot import Snapshot

MOST_MOMENTS = 60
MOMENTS = 6
"""Moments where none are given: the last ones whose outcomes are known, a horizon apart."""

Features = Callable[..., FeatureTable]
"""As `kohort.engines.evaluate.features`: (snapshot, definitions, as_of=…, …) → one row per customer."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows to learn from.

    Attributes:
        table: Features; `ids` are customers, who are there once per moment.
        y: 1 = the target happened, 0 = it did not, NaN = unknown.
        moments: Instant of each row's features, microseconds UTC.
        known_at: Instant at which its outcome was known.
        target: What was asked.
        asked: Moment → customers it was asked about.
        days: Of `next`: how many days after its moment the event came; NaN = not within the horizon. None = not asked.
        past: Features made from events, which cannot know what came after their moment. Traits are not among them: a
            table of customers without a date says what is known when it is exported.
        channels: Words of what the columns of single weeks count; empty = there are none.
    """

    table: FeatureTable
    y: np.ndarray
    moments: np.ndarray
    known_at: np.ndarray
    target: Target
    asked: dict[int, int]
    past: tuple[str, ...] = ()
    days: np.ndarray | None = None
    channels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.y)

    def to_arrow(self) -> Any:
        """One Arrow table: `customer_id`, `as_of` (UTC), `outcome` (null = unknown), then the features."""
        import pyarrow as pa

        data = self.table.to_arrow()
        data = data.add_column(1, "as_of", pa.array(self.moments, pa.timestamp("us", "UTC")))
        return data.add_column(2, "outcome", pa.array(self.y, pa.float64(), from_pandas=True))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def train(self, *, costs: Costs | None = None, progress: Progress = silent, **how: Any) -> Trained:
        """Compare, choose and check models on these rows: customers apart, the latest moments judged by what was known before.

        With one moment there is no later one: then customers are apart, and that is all. See `kohort.predict.train.train`.
        """
        several = len(np.unique(self.moments)) > 1
        own = np.unique(self.table.ids.to_numpy(zero_copy_only=False), return_inverse=True)[1]
        found = train(
            self.table,
            self.y,
            groups=own,
            time=self.moments.astype(float) if several else None,
            known_at=self.known_at.astype(float) if several else None,
            costs=costs,
            as_of=self.past,
            channels=self.channels,
            progress=progress,
            **how,
        )
        if found.model is None or found.judged is None or not (more := self._more(*found.judged, own)):
            return found
        warnings = [*found.report["warnings"], *more.pop("warnings", [])]
        report = {**found.report, **more, "warnings": warnings}
        return replace(found, report=report, model=replace(found.model, about={**found.model.about, "report": report}))

    def _more(self, rows: np.ndarray, p: np.ndarray, own: np.ndarray) -> dict[str, Any]:
        """What is told of the judged rows beside what every model is judged by."""
        if self.days is not None:
            return {"when": timing(p, self.days[rows], own[rows], horizon=span_us(self.target.horizon) / DAY_US)}
        if self.target.kind == "change":
            before = values(self.table.data[BEFORE])[rows]
            return beside_before(before, self.y[rows], p, own[rows])
        if self.target.kind == "response":
            return {"response": _answered(self.y, len(self.asked))}
        return {}


def dataset(
    snapshot: Snapshot,
    definitions: Sequence[FeatureDefinition],
    target: Target,
    *,
    as_of: Sequence[int],
    until: int,
    features: Features,
    zone: str = "UTC",
    currency: str = "EUR",
    progress: Progress = silent,
) -> Dataset:
    """Features at past moments and what happened after each.

    Args:
        snapshot: The event log.
        definitions: The features.
        target: What is to be predicted.
        as_of: Moments, microseconds UTC.
        until: Up to when the log knows what happened: no horizon may end later.
        features: The engine.
        zone: Time zone of calendar windows.
        currency: Of money.

    Raises:
        NotEnough: A horizon ends after `until`, or nobody is asked about.
        WrongUsage: No moment, a moment twice, or too many.
    """
    moments = sorted(as_of)
    if not moments or len(set(moments)) < len(moments) or len(moments) > MOST_MOMENTS:
        raise WrongUsage(f"Give 1 to {MOST_MOMENTS} different moments.")
    ahead = target.ahead_us
    if moments[-1] + ahead > until:
        raise NotEnough(
            f"What happens within {target.horizon} of {iso(moments[-1])} is not known yet: the data ends {iso(until)}.",
            hint=f"The last moment that can be learned from is {iso(until - ahead)}.",
        )
    shared = {"zone": zone, "currency": currency}
    used = [d for d in definitions if not tells(d, target)]
    tables, outcomes, days = [], [], []
    for number, moment in enumerate(moments):
        progress("Looking at past moments", number, len(moments))
        table = asked_about(snapshot, used, target, as_of=moment, features=features, **shared)
        asked_then = [target.happened(), *target.compared(), *target.timed()]
        after = features(snapshot, asked_then, as_of=moment + ahead, **shared)
        found = _After.of(snapshot, table, after, moment + ahead)
        tables.append(table)
        outcomes.append(found.outcome(target))
        if target.timed():
            days.append(found.days(ahead))
    progress("Looking at past moments", len(moments), len(moments))
    rows = [len(t) for t in tables]
    if not sum(rows):
        raise NotEnough(
            "There is nobody to ask about at these moments.", hint="Choose later ones, or a longer `active`."
        )
    traits = [column for column in snapshot.columns if column.startswith("t_")]
    own = target.known_before()
    past = tuple(d.name for d in (*used, *own) if not any(t in describe(d.measure) for t in traits))
    at = np.repeat(np.array(moments, np.int64), rows)
    return Dataset(
        joined(tables),
        np.concatenate(outcomes),
        at,
        at + ahead,
        target,
        dict(zip(moments, rows, strict=True)),
        past,
        np.concatenate(days) if days else None,
        words_of(used),
    )


def asked_about(
    snapshot: Snapshot,
    definitions: Sequence[FeatureDefinition],
    target: Target,
    *,
    as_of: int,
    features: Features,
    zone: str,
    currency: str,
) -> FeatureTable:
    """Features at one moment of the customers that a target is about: those who were active, or have not had the event."""
    import pyarrow as pa

    gates, own = target.gates(), target.known_before()
    used = [*(d for d in definitions if d.name not in {o.name for o in own}), *own]
    table = features(snapshot, [*used, *(g.measured for g in gates)], as_of=as_of, zone=zone, currency=currency)
    if not gates:
        return table
    asked = np.ones(len(table), bool)
    for gate in gates:
        asked &= (values(table.data[gate.measured.name]) > gate.above) == gate.wanted
    mask = pa.array(asked)
    kept = table.select([f.name for f in table.features if f.name not in {g.measured.name for g in gates}])
    return replace(kept, ids=kept.ids.filter(mask), data=kept.data.filter(mask), value=None)


def tells(definition: FeatureDefinition, target: Target) -> bool:
    """Whether a feature is made from the very label that is to be predicted."""
    return target.kind == "trait" and target.events[0] in describe(definition.measure)


def default_moments(target: Target, *, first: int, until: int, most: int = MOMENTS) -> list[int]:
    """The last moments whose outcomes are known, a horizon apart, none before a horizon of history.

    Raises:
        NotEnough: The data is shorter than two horizons.
    """
    if target.kind == "trait":
        return [until]
    step = span_us(target.horizon)
    moments = [until - step * k for k in range(1, most + 1) if until - step * k >= first + step]
    if not moments:
        days = step / DAY_US
        raise NotEnough(
            f"The data is shorter than two horizons of {days:g} days: there is no past to learn from.",
            hint="Choose a shorter horizon, or bring older data.",
        )
    return moments[::-1]


def known_as(snapshot: Snapshot, ids: np.ndarray, end: int) -> np.ndarray:
    """Under which ids customers are known at a later instant: those they were joined to since, else their own."""
    led = snapshot.resolved(end).led
    return ids if led is None else np.asarray(led.of(ids))


@dataclass(frozen=True, slots=True)
class _After:
    """What the log knows at the end of a horizon of the customers of a table.

    Whoever was joined to another one since is asked about under that id.
    """

    data: Any
    place: np.ndarray
    found: np.ndarray

    @classmethod
    def of(cls, snapshot: Snapshot, table: FeatureTable, after: FeatureTable, end: int) -> _After:
        now = known_as(snapshot, table.ids.to_numpy(zero_copy_only=False), end)
        there = after.ids.to_numpy(zero_copy_only=False)
        place = np.minimum(np.searchsorted(there, now), max(len(there) - 1, 0))
        found = there[place] == now if len(there) else np.zeros(len(now), bool)
        return cls(after.data, place, found)

    def outcome(self, target: Target) -> np.ndarray:
        """What happened: 1, 0, or NaN = unknown."""
        if target.kind == "trait":
            return _labels(self.data["happened"], self.place, self.found, target.value)
        if target.kind == "change":
            return changed(self._at("compared", 0.0), self._at("happened", 0.0), target.by)
        happened = self._at("happened", 0.0) > 0
        return (~happened if target.kind == "churn" else happened).astype(float)

    def days(self, ahead: int) -> np.ndarray:
        """Days from the moment to the first such event; NaN = none."""
        return np.asarray(ahead / DAY_US - self._at("timed", np.nan))

    def _at(self, name: str, nothing: float) -> np.ndarray:
        counts = values(self.data[name])
        return np.where(self.found, counts[self.place] if len(counts) else nothing, nothing)


def _labels(column: Any, place: np.ndarray, found: np.ndarray, value: str) -> np.ndarray:
    told = [_as_text(v) for v in column.to_pylist()]
    wanted = value.casefold()
    y = np.array([np.nan if v is None else float(v.casefold() == wanted) for v in told] or [np.nan])
    return np.where(found, y[place], np.nan)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value:g}"


def _answered(y: np.ndarray, waves: int) -> dict[str, Any]:
    """How many answered what was sent to them, and what that does not say."""
    text = (
        f"{int(y.sum()):,} of {len(y):,} answered what was sent to them on {waves} days. It tells who answers, not whom the "
        "sending moves: some would have done it anyway. What it moves shows only beside customers drawn by lot who get nothing."
    )
    return {"sent": len(y), "answered": int(y.sum()), "waves": waves, "text": text}


def joined(tables: Sequence[FeatureTable]) -> FeatureTable:
    """The rows of several tables of the same features, one after the other."""
    import pyarrow as pa

    data = pa.concat_tables([t.data for t in tables])
    ids = pa.chunked_array([t.ids for t in tables]).combine_chunks()
    return FeatureTable(
        ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids,
        data,
        tables[0].features,
        None,
        None,
        tables[0].currency,
    )
