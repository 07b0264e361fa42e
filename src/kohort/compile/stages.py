"""Stages of a compiled program: one GROUP BY each, over the flagged events or over one key of each customer."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Rows
from typing import Any

import ibis

from kohort.compile.clock import Instant, on
from kohort.compile.conditions import folded, is_present
from kohort.compile.values import HALF
from kohort.model.clock import SECOND_US


def partial(table: Any, function: str, value: str, flag: str) -> Any:
    """One plain aggregate over the rows of a table where the flag is true."""
    where = table[flag] if flag else None
    if function == "count":
        return count(table, where)
    return summary(table[value], function, where)


def count(table: Any, where: Any) -> Any:
    """How many rows; zero also where the condition is unknown for all of them (Spark would say null)."""
    return table.count() if where is None else ibis.coalesce(table.count(where=where), 0)


def summary(value: Any, function: str, where: Any = None) -> Any:
    """One aggregate of a whole number; hi, mid and lo are the parts of the sum of squares."""
    high, low = value.abs() >> HALF, value.abs() & ((1 << HALF) - 1)
    summed = {"sum": value, "hi": high * high, "mid": high * low, "lo": low * low}
    if function in summed:
        return summed[function].sum(where=where)
    return {"present": value.count, "min": value.min, "max": value.max}[function](where=where)


def merged(level: Any, function: str, name: str) -> Any:
    """A plain aggregate from its partial values: counts and sums add, extremes stay extremes."""
    column = level[name]
    return getattr(column, function if function in ("min", "max") else "sum")()


def level_partials(rows: Any, key: str, needs: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Per (customer, key) and flag: how many events, the first and the last instant, as far as needed."""
    partials: dict[str, Any] = {}
    for function, flag in needs:
        where = rows[flag] if flag else None
        partials[f"n_{key}{flag}"] = count(rows, where)
        if function in ("earliest", "latest") or function.startswith("gap_"):
            partials[f"first_{key}{flag}"] = rows.ts.min(where=where)
        if function == "mode":
            partials[f"last_{key}{flag}"] = rows.ts.max(where=where)
    return partials


def level_values(level: Any, key: str, needs: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """What can be had from one more GROUP BY customer."""
    values: dict[str, Any] = {}
    for (function, flag), name in needs.items():
        n = level[f"n_{key}{flag}"]
        chosen = is_present(level[key]) & (n > 0)
        match function:
            case "distinct":
                values[name] = count(level, chosen)
            case "total":
                values[name] = n.sum(where=chosen)
            case "n_log_n":
                values[name] = (n.cast("float64") * n.nullif(0).cast("float64").log2()).sum(where=chosen)
            case "earliest":
                values[name] = moment_of(level, key, flag).min(where=chosen)
            case "latest":
                values[name] = moment_of(level, key, flag).max(where=chosen)
    return values


def moment_of(level: Any, key: str, flag: str) -> Any:
    """When a key happened: days are their own number, an order is as old as its first event."""
    return level[key] if level[key].type().is_integer() else level[f"first_{key}{flag}"]


def mode_stage(level: Any, key: str, flag: str, name: str) -> Any:
    """The most frequent value: highest count, then most recent, then first in order."""
    n, last = level[f"n_{key}{flag}"], level[f"last_{key}{flag}"]
    ranked = level.filter(n > 0).mutate(
        place=ibis.row_number().over(group_by="customer", order_by=[ibis.desc(n), ibis.desc(last), level[key]])
    )
    return ranked.filter(ranked.place == 0).select("customer", **{name: ranked[key]})


def gap_stage(level: Any, key: str, flag: str, wanted: Mapping[str, str], *, by_day: bool) -> Any:
    """Statistics of the distances between consecutive keys of one customer."""
    rows = level.filter(level[f"n_{key}{flag}"] > 0)
    moment = moment_of(rows, key, flag)
    gaps = rows.mutate(gap=moment - moment.lag().over(group_by="customer", order_by=[moment, rows[key]]))
    gaps = gaps.filter(gaps.gap.notnull())
    # The spread of gaps between orders counts whole seconds; their extremes are exact.
    gaps = gaps.mutate(coarse=gaps.gap if by_day else gaps.gap // SECOND_US)
    return gaps.group_by("customer").agg(
        **{
            name: summary(gaps["coarse" if f.startswith("coarse_") else "gap"], f.removeprefix("coarse_"))
            for f, name in wanted.items()
        }
    )


def sequence_stage(flagged: Any, first: str, then: str, within: int, name: str, *, alone: bool) -> Any:
    """How many events start the sequence and are followed by one that ends it in time; `alone`: and are not.

    Per instant: how many events start it, and does one end it; then look at the next instant that does.
    """
    a, b = (flagged[f] if f else ibis.literal(True) for f in (first, then))
    rows = flagged.filter(a | b)
    starts, ends = (rows[f] if f else ibis.literal(True) for f in (first, then))
    instants = rows.group_by("customer", "ts").agg(starts=count(rows, starts), ends=count(rows, ends))
    end_ts = (instants.ends > 0).ifelse(instants.ts, ibis.null("int64"))
    following = ibis.window(group_by=instants.customer, order_by=instants.ts, rows=(1, None))
    seen = instants.mutate(next_ts=end_ts.min().over(following))
    done = seen.next_ts - seen.ts <= within
    met = ~done | seen.next_ts.isnull() if alone else done
    return seen.group_by("customer").agg(**{name: seen.starts.sum(where=met)})


def session_stage(rows: Any, limits: tuple[int, int, int], wanted: Mapping[str, str]) -> Any:
    """Facts about sessions: `count`, `events`, `length` (of all together), `last_length`, `cut`; lengths in microseconds.

    Args:
        limits: The pause and the greatest length in microseconds, the most events (0 = any number).
        wanted: Fact → name of its column.

    Over instants, not events: those of one instant stay together, so nothing depends on the order of equals. A run has no
    pause inside; it is cut where another multiple of `longest`, or of `most` events, has gone by.
    """
    pause, longest, most = limits
    instants = rows.group_by("customer", "ts").agg(n=rows.count())

    def earlier(column: Any, table: Any) -> Any:
        return column.lag().over(group_by=table.customer, order_by=table.ts)

    def so_far(column: Any, table: Any) -> Any:
        return column.over(ibis.window(group_by=table.customer, order_by=table.ts, rows=(None, 0)))

    runs = instants.mutate(before=earlier(instants.ts, instants), gone=so_far(instants.n.sum(), instants) - instants.n)
    runs = runs.mutate(apart=runs.before.isnull() | (runs.ts - runs.before > pause))
    nothing = ibis.null("int64")
    begun = so_far(runs.apart.ifelse(runs.ts, nothing).max(), runs)
    first = so_far(runs.apart.ifelse(runs.gone, nothing).max(), runs)
    runs = runs.mutate(since=runs.ts - begun, done=runs.gone - first)
    # Remainders, not quotients: whole division goes through floating point in some engines.
    runs = runs.mutate(piece=runs.since - runs.since % longest, bite=runs.done - runs.done % most if most else 0)
    moved = (runs.piece != earlier(runs.piece, runs)) | (runs.bite != earlier(runs.bite, runs))
    found = runs.mutate(cut=~runs.apart & moved)
    found = found.mutate(opens=found.apart | found.cut)
    facts = {
        "count": lambda: count(found, found.opens),
        "cut": lambda: count(found, found.cut),
        "events": found.n.sum,
        "length": lambda: ibis.coalesce((found.ts - found.before).sum(where=~found.opens), 0),
        "last_length": lambda: found.ts.max() - found.ts.max(where=found.opens),
    }
    return found.group_by("customer").agg(**{name: facts[fact]() for fact, name in wanted.items()})


def period_stage(rows: Any, edges: Rows[Instant], name: str) -> Any:
    """In how many periods there is an event: each begins after one edge and ends with the next."""
    last = on(rows, edges[-1])
    inside = rows.filter((rows.ts > on(rows, edges[0])) & (rows.ts <= last))
    number = _place(inside, edges[1:], 0)
    active = inside.select("customer", period=number).distinct()
    return active.group_by("customer").agg(**{name: active.count()})


def _place(rows: Any, edges: Rows[Instant], first: int) -> Any:
    """Which of the edges is the first that an instant does not pass, found by halving."""
    if len(edges) == 1:
        return ibis.literal(first, "int64")
    half = len(edges) // 2
    return (rows.ts <= on(rows, edges[half - 1])).ifelse(
        _place(rows, edges[:half], first), _place(rows, edges[half:], first + half)
    )


def change_stage(rows: Any, value: str, name: str) -> Any:
    """When a value last became another one; letters that differ only in size are no change, and neither is nothing."""
    there = rows.filter(is_present(rows[value]))
    told = folded(there[value]) if there[value].type().is_string() else there[value]
    there = there.select("customer", "ts", "event_id", told=told)
    before = there.told.lag().over(group_by="customer", order_by=[there.ts, there.event_id])
    steps = there.mutate(before=before)
    return steps.group_by("customer").agg(**{name: steps.ts.max(where=~steps.told.identical_to(steps.before))})
