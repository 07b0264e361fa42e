"""`ws.predict.turning_points`: who does surely more, or less, than before, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.errors import WrongUsage
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.workspace.people import company_numbers, customer_keys
from kohort.workspace.profiled import Profiled

if TYPE_CHECKING:
    from kohort.predict.turning import Turns
    from kohort.workspace.workspace import Workspace

MOST_WEEKS = 260
"""Five years: what was before says little of what a customer does now."""

MOST_TOGETHER = 5
SURE = 0.05


def turning_points(
    ws: Workspace,
    customer: str | None = None,
    *,
    as_of: int | str | None = None,
    false_alarms: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Turning points in the active days per week of everybody, or of one customer.

    Args:
        customer: Only this one's; None = everybody's.
        as_of: Nothing later is looked at.
        false_alarms: How often a customer who never changed may be said to have; None = 0.01.
        seed: Of the draws that say what chance gives.

    Returns:
        `{"code", "text", "as_of", "weeks", "customers", "tested", "found", "expected_by_chance", "false_alarms", "turned",
        "together", "test"}`. `code`: ok; none (no more turns than chance gives; nobody is named then); too_few. One of `turned` is
        `{"customer", "direction", "since", "from", "to", "before", "after", "p"}`: more or less, since the week that begins at
        `since` (with 95 % between `from` and `to`), active days per week. `together`: weeks in which most turned at once.
        Of one customer `{"customer", "code", "text", …}`: turned, steady or too_few.

    Raises:
        UnknownCustomer: The number is nobody's.
        WrongUsage: `false_alarms` is no share that can be told, or there is something wrong with the moment.
    """
    from kohort.predict.turning import DRAWS, FALSE_ALARMS
    from kohort.predict.turning import turning_points as told

    level = FALSE_ALARMS if false_alarms is None else false_alarms
    if not 1 / (DRAWS + 1) <= level <= 0.2:
        raise WrongUsage(f"False alarms are a share from {1 / (DRAWS + 1):g} to 0.2.", hint="For example 0.01.")
    when = as_of if isinstance(as_of, int) else ws.as_of(as_of)
    key = None if customer is None else customer_keys(ws.store.vault, [customer])[0]
    progress("Counting weeks", 0, 2)
    ids, counts = _active_days(ws, when)
    progress("Looking for changes", 1, 2)
    found = told(counts, seed=seed)
    progress("Looking for changes", 2, 2)
    starts = [when - (counts.shape[1] - week) * _week_us() for week in range(counts.shape[1] + 1)]
    if key is not None:
        return {"customer": customer, "as_of": iso(when)} | _of_one(found, ids == key, starts, level)
    tested, turned = int(found.tested.sum()), np.flatnonzero(found.p <= level)
    report: dict[str, Any] = {
        "as_of": iso(when),
        "weeks": counts.shape[1],
        "customers": len(ids),
        "tested": tested,
        "found": len(turned),
        "expected_by_chance": round(level * tested, 1),
        "false_alarms": level,
        "turned": [],
        "together": [],
        "test": (
            f"Likelihood ratio of two Poisson rates against one, over all weeks; {DRAWS} draws of each customer's own weeks in another "
            "order, busy weeks of everybody taken more often"
        ),
    }
    code, text = _verdict(tested, len(turned), level)
    if code != "ok":
        return {**report, "code": code, "text": text}
    order = turned[np.lexsort((ids[turned], found.p[turned], -found.place[turned]))]
    numbers = company_numbers(ws.store.vault, ids[order])
    report["turned"] = [
        {"customer": n, **_told(found, i, starts)} for n, i in zip(numbers, order.tolist(), strict=True)
    ]
    weeks, many = np.unique(found.place[turned], return_counts=True)
    most = np.lexsort((weeks, -many))[:MOST_TOGETHER]
    report["together"] = [{"week": iso(starts[weeks[i]]), "customers": int(many[i])} for i in most.tolist()]
    return {**report, "code": code, "text": text}


def _active_days(ws: Workspace, when: int) -> tuple[np.ndarray, np.ndarray]:
    """Pseudonyms, and active days (customers, weeks), the oldest week first; of those who may be profiled."""
    from kohort.engines.weeks import Channel

    first = ws.contents().first_ts
    weeks = 1 if first is None else min(max(-(-(when - first) // _week_us()), 1), MOST_WEEKS)
    ids, series = Profiled(ws).weekly(
        ws.store.log.snapshot(), [Channel("days")], as_of=when, weeks=weeks, currency=ws.currency
    )
    return ids, np.ascontiguousarray(series[:, ::-1, 0])


def _verdict(tested: int, found: int, level: float) -> tuple[str, str]:
    from kohort.predict.turning import by_chance

    if not tested:
        return "too_few", "Nobody has enough weeks: after the first event 16 are needed, with something in 6 of them."
    chance = f"{level * tested:,.0f} would be by chance alone"
    if by_chance(tested, found, level) > SURE:
        return "none", f"No turning points: {found:,} of {tested:,} customers seem to turn, and {chance}."
    return (
        "ok",
        f"{found:,} of {tested:,} customers with enough weeks do more or less than before; of these about {chance}.",
    )


def _of_one(found: Turns, mine: np.ndarray, starts: list[int], level: float) -> dict[str, Any]:
    place = np.flatnonzero(mine)
    if not len(place) or not found.tested[place[0]]:
        text = "Not enough weeks: after the first event 16 are needed, with something in 6 of them."
        return {"code": "too_few", "text": text}
    told = _told(found, int(place[0]), starts)
    change = f"{told['before']:.2g} active days per week before, {told['after']:.2g} after"
    if told["p"] > level:
        return {"code": "steady", "text": f"No turning point: chance alone shows as much with {told['p']:.2g}.", **told}
    return {"code": "turned", "text": f"{told['direction'].capitalize()} since {told['since'][:10]}: {change}.", **told}


def _told(found: Turns, i: int, starts: list[int]) -> dict[str, Any]:
    return {
        "direction": "more" if found.after[i] > found.before[i] else "less",
        "since": iso(starts[found.place[i]]),
        "from": iso(starts[found.first[i]]),
        "to": iso(starts[found.last[i]]),
        "before": round(float(found.before[i]), 4),
        "after": round(float(found.after[i]), 4),
        "p": round(float(found.p[i]), 4),
    }


def _week_us() -> int:
    from kohort.engines.weeks import WEEK_US

    return WEEK_US
