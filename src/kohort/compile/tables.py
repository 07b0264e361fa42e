"""The tables of a plan: one stage per kind of need, each one `GROUP BY customer`, joined at the end.

- **direct**: plain aggregates over events, filtered by flags (one boolean column per distinct condition and window);
- **by key**: what needs a second level (distinct, mode, entropy, gaps) first groups by (customer, key). One such stage,
  the host, also carries the plain aggregates as partial sums: reading the events once more would cost more than that;
- **sequence**, **sessions**, **periods**, **changes**: one per need, grouping by (customer, instant), (customer, period)
  or ordering the values of one column.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import and_, or_
from typing import Any

import ibis

from kohort.compile.clock import Instant, MovingClock, on
from kohort.compile.conditions import condition_value, is_present, stored_value
from kohort.compile.plan import Plan, Predicate
from kohort.compile.stages import (
    change_stage,
    gap_stage,
    level_partials,
    level_values,
    merged,
    mode_stage,
    partial,
    period_stage,
    sequence_stage,
    session_stage,
)


def build(plan: Plan, visible: Any) -> Any:
    """All stages, joined: one row per customer.

    Args:
        visible: The events that count, of customers only. With a moving clock each moment has its own copy of them
            under its own `customer`, beside the columns of `moments`.
    """
    tables = _Tables(plan, visible)
    joined, host = tables.everybody()
    for n, stage in enumerate(tables.stages(host)):
        other = stage.rename(**{f"key{n}": "customer"})
        joined = joined.left_join(other, joined.customer == other[f"key{n}"]).drop(f"key{n}")
    return joined


def separate(plan: Plan, visible: Any) -> list[Any]:
    """The stages one by one; customers of whom a stage knows nothing but zeros may be left out of it."""
    tables = _Tables(plan, visible)
    return [*tables.some(), *tables.stages(None)]


class _Tables:
    def __init__(self, plan: Plan, visible: Any) -> None:
        self.plan = plan
        self.tested = self._tested(visible)

    def everybody(self) -> tuple[Any, str | None]:
        """The first stage, which has a row for everybody, and the key it groups by on the way."""
        values, levels = self.plan.values, self.plan.levels
        host = next((k for k in (values.get("order_id"), values.get("day")) if k in levels), None)
        return (self._direct() if host is None else self._host(host)), host

    def some(self) -> list[Any]:
        """The plain aggregates of those who have any event that counts for them."""
        if not self.plan.plain:
            return []
        used = sorted({f for _, _, f in self.plan.plain})
        rows = self._for_plain(used)
        return [self._grouped(rows.filter(reduce(or_, (rows[f] for f in used))) if all(used) else rows)]

    def stages(self, host: str | None) -> list[Any]:
        """Everything beyond the first stage."""
        stages = [s for key in self.plan.levels for s in self._level_stages(key, hosted=key == host)]
        stages += [self._ordered_stage()] if self.plan.ordered else []
        stages += [
            sequence_stage(self._flagged((first, then)), first, then, within, name, alone=alone)
            for (first, then, within, alone), name in self.plan.sequences.items()
        ]
        for (flag, limits), facts in self.plan.sessions.items():
            rows = self._flagged((flag,))
            stages.append(session_stage(rows.filter(rows[flag]) if flag else rows, limits, facts))
        for (flag, edges), name in self.plan.periods.items():
            rows = self._flagged((flag,), *self._moving(edges))
            stages.append(period_stage(rows.filter(rows[flag]) if flag else rows, edges, name))
        for value, name in self.plan.changes.items():
            stages.append(change_stage(self._flagged((), "event_id", value), value, name))
        return stages

    def _tested(self, visible: Any) -> Any:
        """Events with the values and the tested conditions that anything needs: what all stages share."""
        identity = ["customer", "ts", *(["event_id"] if self.plan.ordered or self.plan.changes else []), *self._edges()]
        values = {n: stored_value(visible, self.plan.scope.column(c)) for c, n in self.plan.values.items()}
        return visible.select(
            *identity, **values, **{n: self._predicate(visible, p) for p, n in self.plan.predicates.items()}
        )

    def _edges(self) -> list[str]:
        return list(self.plan.clock.edges.values()) if isinstance(self.plan.clock, MovingClock) else []

    def _moving(self, edges: Iterable[Instant]) -> list[str]:
        return [e for e in edges if isinstance(e, str)]

    def _flagged(self, flags: Iterable[str], *others: str) -> Any:
        """The events with the flags (and other columns) of one stage. Windows are cheaper to test again than to keep."""
        keys = {name: key for key, name in self.plan.flags.items()}
        columns = dict.fromkeys(("customer", "ts", *sorted(c for c in others if c)))
        tested = self.tested
        return tested.select(*columns, **{f: self._flag_value(tested, *keys[f]) for f in sorted(set(flags)) if f})

    def _predicate(self, events: Any, predicate: Predicate) -> Any:
        names, condition, zone = predicate
        parts = [events.event == names[0] if len(names) == 1 else events.event.isin(names)] if names else []
        if condition is not None:
            parts.append(condition_value(events, condition, self.plan.scope.in_zone(zone)))
        return reduce(and_, parts)

    def _flag_value(
        self, table: Any, parts: tuple[Predicate, ...], after: Instant | None, limits: tuple[Instant, ...]
    ) -> Any:
        tests = [table[self.plan.predicates[p]] for p in parts]
        if after is not None:
            tests.append(table.ts > on(table, after))
        tests += [table.ts <= on(table, limit) for limit in limits]
        return reduce(and_, tests)

    def _direct(self) -> Any:
        """Everybody, with the plain aggregates straight from the events."""
        return self._grouped(self._for_plain({f for _, _, f in self.plan.plain}))

    def _for_plain(self, flags: Iterable[str]) -> Any:
        return self._flagged(flags, *(v for _, v, _ in self.plan.plain))

    def _grouped(self, rows: Any) -> Any:
        return rows.group_by("customer").agg(**{name: partial(rows, *need) for need, name in self.plan.plain.items()})

    def _host(self, key: str) -> Any:
        """Everybody, with the plain aggregates and those of one key: first by (customer, key), then by customer."""
        needs = self.plan.levels[key]
        flags = [f for _, _, f in self.plan.plain] + [f for _, f in needs]
        flagged = self._flagged(flags, key, *(v for _, v, _ in self.plan.plain))
        level = flagged.group_by("customer", key).agg(
            **{name: partial(flagged, *need) for need, name in self.plan.plain.items()},
            **level_partials(flagged, key, needs),
        )
        again = {name: merged(level, function, name) for (function, _, _), name in self.plan.plain.items()}
        return level.group_by("customer").agg(**again, **level_values(level, key, needs))

    def _level_stages(self, key: str, *, hosted: bool) -> list[Any]:
        """What one key contributes beyond what the host already carries."""
        needs = self.plan.levels[key]
        if hosted and not any(f == "mode" or f.startswith("gap_") for f, _ in needs):
            return []
        used = sorted({flag for _, flag in needs})
        rows = self._flagged(used, key)
        rows = rows.filter(is_present(rows[key]))
        if all(used):
            rows = rows.filter(reduce(or_, (rows[flag] for flag in used)))
        if len(needs) == 1 and ("distinct", used[0]) in needs:
            pairs = rows.select("customer", key).distinct()
            return [pairs.group_by("customer").agg(**{needs["distinct", used[0]]: pairs.count()})]
        level = rows.group_by("customer", key).agg(**level_partials(rows, key, needs))
        values = {} if hosted else level_values(level, key, needs)
        stages = [level.group_by("customer").agg(**values)] if values else []
        stages += [mode_stage(level, key, flag, name) for (f, flag), name in needs.items() if f == "mode"]
        for flag in used:
            wanted = {f.removeprefix("gap_"): n for (f, g), n in needs.items() if g == flag and f.startswith("gap_")}
            stages += [gap_stage(level, key, flag, wanted, by_day=key == self.plan.values.get("day"))] if wanted else []
        return stages

    def _ordered_stage(self) -> Any:
        kept = {value for _, value, _ in self.plan.ordered}
        flagged = self._flagged([flag for _, _, flag in self.plan.ordered], "event_id", *kept)
        flagged = flagged.filter(reduce(or_, (is_present(flagged[value]) for value in sorted(kept))))
        order = ibis.struct({"ts": flagged.ts, "event_id": flagged.event_id})
        found = {}
        for (kind, value, flag), name in self.plan.ordered.items():
            there = is_present(flagged[value])
            present = there & flagged[flag] if flag else there
            pick = flagged[value].argmin if kind == "first" else flagged[value].argmax
            found[name] = pick(order, where=present)
        return flagged.group_by("customer").agg(**found)
