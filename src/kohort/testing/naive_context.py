"""What a series could tell at a moment, one observation at a time: the judge of `kohort.engines.context`."""

from __future__ import annotations

from collections.abc import Iterable

from kohort.model.context import ContextFeature, Observation

MICROS = 1_000_000


def context_value(
    observations: Iterable[Observation], feature: ContextFeature, *, area: str, as_of: int
) -> float | None:
    """The value of a feature for one area, from observations of its column; None where nothing was known.

    Of several publications about one time, the last that was known counts. Observations lie in the window as events do:
    later than its start, not later than the moment.
    """
    newest: dict[int, Observation] = {}
    for one in observations:
        if one.area != area or one.known > as_of or one.ts > as_of:
            continue
        if one.ts not in newest or newest[one.ts].known < one.known:
            newest[one.ts] = one
    start = as_of - feature.within_s * MICROS
    inside = sorted((one for one in newest.values() if one.ts > start), key=lambda one: one.ts)
    if not inside:
        return None
    numbers = [one.number for one in inside]
    match feature.kind:
        case "last":
            return numbers[-1] / 1_000_000
        case "mean":
            return sum(numbers) / (len(numbers) * 1_000_000)
        case "sum":
            return sum(numbers) / 1_000_000
        case "min":
            return min(numbers) / 1_000_000
        case "max":
            return max(numbers) / 1_000_000
