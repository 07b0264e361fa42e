"""Groups followed month by month, from the event log: which moments, what happened after each, and keeping the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import iso
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.model.segmentation import Segmentation, TrendPoint
from kohort.workspace.found import Found, keep
from kohort.workspace.people import with_company_numbers

if TYPE_CHECKING:
    import numpy as np

    from kohort.definitions.features import FeatureDefinition
    from kohort.discovery.discover import Discovery
    from kohort.discovery.over_time import By, Followed, OverTime
    from kohort.segments import Movement
    from kohort.workspace.workspace import Workspace

MONTHS = 12
MOST_MONTHS = 36
BEFORE_FIRST = 3
"""Months of history before the first moment: with less, everybody is new."""

SHAPE_MONTHS = 12
MOST_FOLLOWED = 50_000
"""Customers that the ways are compared on; a larger population is represented by a sample."""

ACTS, SPEND = "acts_1m", "spend_1m"


@dataclass(frozen=True, slots=True)
class FoundOverTime:
    """What `Workspace.discover_over_time` found.

    Attributes:
        over_time: The evidence: weights tried, ways compared, sizes by month.
        segmentation: The groups at the last moment, in words.
        segment_of: Segment id of each group number of `over_time.sizes`.
        found: The same, ready to be adopted; None where the groups are of shapes.
        followed: Everything behind it, with who was in which group when.
    """

    over_time: OverTime
    segmentation: Segmentation
    segment_of: tuple[str, ...]
    found: Found | None
    followed: Followed

    def adopt(self, name: str) -> Movement:
        """Keep the groups under a name; `Workspace.refit` then carries them on.

        Raises:
            WrongUsage: They are groups of shapes, whose features no definition computes.
        """
        if self.found is None:
            raise WrongUsage(
                "Groups by shape are a report and cannot be adopted.", hint="Follow groups by behaviour instead."
            )
        return self.found.adopt(name)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **self.over_time.as_dict(),
            "segments": list(self.segment_of),
            "segmentation": self.segmentation.as_dict(),
        }


def over_time(
    ws: Workspace,
    *,
    months: int | None,
    by: By,
    k: int | None,
    weight: float | None,
    seed: int,
    as_of: int | str | None,
    progress: Progress = silent,
) -> FoundOverTime:
    """See `Workspace.discover_over_time`."""
    from kohort.discovery.carry import carried
    from kohort.discovery.discover import describe
    from kohort.discovery.evolving import check_weight
    from kohort.discovery.explain import with_trend
    from kohort.discovery.over_time import follow

    if by not in ("behaviour", "shape"):
        raise WrongUsage("Groups are followed by behaviour or by shape.")
    if weight is not None:
        check_weight(weight)
    until = as_of if isinstance(as_of, int) else ws.as_of(as_of)
    when, shape_months = _moments(ws, until, months, by)
    data_version, used = ws.store.log.version(), ws.definitions()
    whole, tables, monthly = _tables(ws, when, used, progress)
    outcomes = _outcomes(tables, monthly)
    if by == "shape":
        earlier = _earlier(ws, when[0], shape_months, tables[-1].ids.to_numpy(), progress)
        tables = _shapes(tables, monthly, earlier, shape_months)
        whole = tables[-1]
    followed = follow(tables, outcomes, by=by, k=k, weight=weight, seed=seed, threads=ws.threads, progress=progress)
    first, result = followed.first, followed.over_time
    grouping = carried(
        whole,
        followed.courses["evolving"],
        first.assigner,  # type: ignore[arg-type]  # `follow` refused any other
        structure=_since(first.structure, when[0]),
        candidates=first.candidates,
        features=first.features,
        weight=result.weight,
        seed=seed,
    )
    told = describe(whole, grouping, asked=True, seed=seed, threads=ws.threads, progress=progress)
    if len(whole) == len(tables[-1]):  # of a sample, sizes would not be those of the segments
        told = replace(told, segmentation=with_trend(told.segmentation, _trend(tables, followed, told)))
    found = _kept(ws, told, whole, used, data_version) if by == "behaviour" else None
    segmentation = with_company_numbers(told.segmentation, ws.store.vault)
    return FoundOverTime(result, segmentation, told.segment_of, found, followed)


def refit(
    ws: Workspace, name: str, *, weight: float | None, as_of: int | str | None, seed: int, progress: Progress = silent
) -> Movement:
    """See `Workspace.refit`."""
    import numpy as np

    from kohort.discovery.assign import assigner_from_bytes
    from kohort.discovery.carry import WEIGHT, carried, next_step
    from kohort.discovery.discover import describe
    from kohort.segments import adopted

    mine = adopted(ws.store, name)
    if weight is None:
        weight = mine.segmentation.structure.evidence.get(WEIGHT)
    if weight is None:
        raise WrongUsage(
            f"{name!r} was not found over time, so nothing says what the past counts.",
            hint="Say it with --weight, 0 to 1; kohort over-time shows what each weight costs.",
        )
    data_version, used = ws.store.log.version(), ws.definitions()
    table = ws.pseudonymous_features(as_of, definitions=used, progress=progress)
    fitted = mine.provenance.get("as_of")
    if fitted is not None and iso(table.as_of or 0) <= fitted:
        raise WrongUsage(
            f"The borders of {name!r} are those of {fitted[:10]} already: each refit is a step ahead in time.",
            hint="Bring in newer data, or say a later moment with --as-of.",
        )
    progress("Carrying the groups on", 0, 1)
    assigner = assigner_from_bytes(mine.assigner)
    members = ws.store.members.current(name).column("segment").to_pylist()
    counts = np.array([members.count(s) if s else 0 for s in mine.segment_of], dtype=float)
    shares = counts / counts.sum() if counts.sum() else np.full(len(counts), 1 / len(counts))
    course = next_step(table, assigner, shares, weight, seed)
    grouping = carried(
        table,
        course,
        assigner,
        structure=mine.segmentation.structure,
        candidates=mine.segmentation.candidates,
        features=mine.segmentation.features,
        weight=weight,
        seed=seed,
    )
    progress("Carrying the groups on", 1, 1)
    told = describe(table, grouping, asked=True, seed=seed, threads=ws.threads, progress=progress)
    found = _kept(ws, told, table, used, data_version)
    left_out = {told.segment_of[g] for g, s in enumerate(mine.segment_of) if not s}
    return found.adopt(name, [s for s in told.segment_of if s not in left_out] if left_out else None)


def _moments(ws: Workspace, until: int, months: int | None, by: By) -> tuple[list[int], int]:
    """The moments to compare, the oldest first, and over how many months a shape is looked at."""
    from kohort.compile.windows import ago
    from kohort.definitions.windows import Span
    from kohort.discovery.over_time import FEWEST_MOMENTS
    from kohort.discovery.shapes import FEWEST_MONTHS

    if months is not None and not FEWEST_MOMENTS - 1 <= months <= MOST_MONTHS:
        raise WrongUsage(f"Groups are followed over {FEWEST_MOMENTS - 1} to {MOST_MONTHS} months, not {months}.")
    first = ws.contents().first_ts
    back = [until, *(ago(Span(n, "month"), until, ws.zone) for n in range(1, MOST_MONTHS + SHAPE_MONTHS + 1))]
    covered = max((n for n, t in enumerate(back) if first is not None and t >= first), default=0)
    before = FEWEST_MONTHS if by == "shape" else BEFORE_FIRST
    wanted = min(MONTHS, max(covered - before, 0)) if months is None else months
    if wanted < FEWEST_MOMENTS - 1 or covered < wanted + before:
        least = (FEWEST_MOMENTS - 1 if months is None else months) + before
        raise NotEnough(
            f"The history covers {covered} whole months; this needs {least}.",
            hint="Follow groups over fewer months, or wait." if months is not None else "Bring in older data, or wait.",
        )
    return list(reversed(back[: wanted + 1])), min(SHAPE_MONTHS, covered - wanted)


def _tables(
    ws: Workspace, when: Sequence[int], used: tuple[FeatureDefinition, ...], progress: Progress
) -> tuple[FeatureTable, list[FeatureTable], list[dict[str, np.ndarray]]]:
    """Everybody at the last moment; at each moment those that are followed; and what these did in the month before it."""
    import numpy as np

    extra = _last_month(ws)
    column = {d.name: _free(d.name, used) for d in extra}
    wanted = (*used, *(replace(d, name=column[d.name]) for d in extra))
    whole = ws.pseudonymous_features(when[-1], definitions=wanted, progress=progress)
    if not len(whole):
        raise NotEnough("There are no customers to group yet.", hint="Bring data in with: kohort ingest YOUR-FILES")
    last, chosen = whole, None
    if len(whole) > MOST_FOLLOWED:
        rows = np.sort(np.random.default_rng(0).choice(len(whole), MOST_FOLLOWED, replace=False))
        last, chosen = _rows(whole, rows), whole.ids.to_numpy()[rows].tolist()
    tables = []
    for number, moment in enumerate(when[:-1]):
        progress("Looking back", number, len(when) - 1)
        tables.append(ws.pseudonymous_features(moment, definitions=wanted, customers=chosen))
    progress("Looking back", len(when) - 1, len(when) - 1)
    tables.append(last)
    monthly = [{name: _numbers(t, there) for name, there in column.items()} for t in tables]

    def features(table: FeatureTable) -> FeatureTable:
        return table.select([f.name for f in table.features if f.name not in column.values()])

    return features(whole), [features(t) for t in tables], monthly


def _free(name: str, used: Sequence[FeatureDefinition]) -> str:
    """The name, or one like it where a feature of the workspace has it."""
    while name in {d.name for d in used}:
        name += "_"
    return name


def _last_month(ws: Workspace) -> tuple[FeatureDefinition, ...]:
    from kohort.definitions.defaults import last_month

    found = last_month(ws.contents())
    if not found:
        raise NotEnough(
            "Nothing that customers did is known, so there is nothing to follow.", hint="Ingest orders or events."
        )
    return found


def _rows(table: FeatureTable, rows: np.ndarray) -> FeatureTable:
    value = None if table.value is None else table.value[rows]
    return replace(table, ids=table.ids.take(rows), data=table.data.take(rows), value=value)


def _numbers(table: FeatureTable, name: str) -> np.ndarray:
    import numpy as np

    return np.asarray(np.nan_to_num(table.data[name].to_numpy().astype(float)))


def _outcomes(
    tables: Sequence[FeatureTable], monthly: Sequence[Mapping[str, np.ndarray]]
) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Of each moment's customers, whether they acted in the month that follows, and what they spent in it."""
    import numpy as np

    found: list[tuple[np.ndarray, np.ndarray | None]] = []
    for now, after, did in zip(tables, [*tables[1:], None], [*monthly[1:], None], strict=True):
        unknown = np.full(len(now), np.nan)
        if after is None or did is None:
            found.append((unknown, unknown if SPEND in monthly[0] else None))
            continue
        acted = _aligned(after.ids.to_numpy(), did[ACTS], now.ids.to_numpy())
        spent = _aligned(after.ids.to_numpy(), did[SPEND], now.ids.to_numpy()) if SPEND in did else None
        found.append((np.where(np.isnan(acted), np.nan, acted > 0), spent))
    return found


def _aligned(ids: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values of the wanted customers; NaN for those who are not among `ids`."""
    import numpy as np

    if not len(ids):
        return np.full(len(wanted), np.nan)
    order = np.argsort(ids)
    place = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    rows = order[place]
    return np.asarray(np.where(ids[rows] == wanted, values[rows], np.nan))


def _earlier(
    ws: Workspace, first: int, months: int, customers: np.ndarray, progress: Progress
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(ids, acts) of the months before the first moment's own, the oldest first."""
    from kohort.compile.windows import ago
    from kohort.definitions.windows import Span

    acts, found = _last_month(ws)[:1], []
    chosen = customers.tolist() if len(customers) >= MOST_FOLLOWED else None
    for number in range(months - 1, 0, -1):
        progress("Looking at earlier months", months - 1 - number, months - 1)
        moment = ago(Span(number, "month"), first, ws.zone)
        table = ws.pseudonymous_features(moment, definitions=acts, customers=chosen, context=False)
        found.append((table.ids.to_numpy(), _numbers(table, ACTS)))
    progress("Looking at earlier months", months - 1, months - 1)
    return found


def _shapes(
    tables: Sequence[FeatureTable],
    monthly: Sequence[Mapping[str, np.ndarray]],
    earlier: Sequence[tuple[np.ndarray, np.ndarray]],
    months: int,
) -> list[FeatureTable]:
    """The shape of each customer's months up to each moment."""
    import numpy as np

    from kohort.discovery.shapes import shapes

    acts = [*earlier, *((t.ids.to_numpy(), did[ACTS]) for t, did in zip(tables, monthly, strict=True))]
    found = []
    for number, table in enumerate(tables):
        ids = table.ids.to_numpy()
        series = np.column_stack([np.nan_to_num(_aligned(*one, ids)) for one in acts[number : number + months]])
        assert table.as_of is not None
        found.append(replace(shapes(series, ids, table.as_of, value=table.value), currency=table.currency))
    return found


def _since(structure: Any, first: int) -> Any:
    return replace(
        structure, text=f"{structure.text} Found on {iso(first)[:10]}, they have followed the customers since."
    )


def _trend(tables: Sequence[FeatureTable], followed: Followed, told: Discovery) -> dict[str, list[TrendPoint]]:
    """Sizes and revenue of each group at every moment, by the borders of that moment."""
    import numpy as np

    points: dict[str, list[TrendPoint]] = {s: [] for s in told.segment_of}
    k = followed.over_time.k
    for table, labels in zip(tables, followed.courses["evolving"].labels, strict=True):
        assert table.as_of is not None
        inside = labels >= 0
        sizes = np.bincount(labels[inside], minlength=k).tolist()
        money: list[Any] = [None] * k
        if table.value is not None:
            money = np.bincount(labels[inside], weights=np.nan_to_num(table.value[inside]), minlength=k).tolist()
        for segment, size, amount in zip(told.segment_of, sizes, money, strict=True):
            points[segment].append(TrendPoint(iso(table.as_of)[:10], size, amount))
    return points


def _kept(
    ws: Workspace,
    told: Discovery,
    table: FeatureTable,
    used: tuple[FeatureDefinition, ...],
    data_version: str,
) -> Found:
    found = Found(
        ws,
        told.segmentation,
        table,
        used,
        data_version,
        told.grouping.labels,
        told.grouping.confidence,
        told.segment_of,
        told.grouping.assigner.to_bytes(),
    )
    keep(ws, found)
    return found
