"""Sentences about who moved and what is unusual, in one place, so that another language is another such module."""

from __future__ import annotations

from kohort.model.segmentation import Estimate
from kohort.segments.words import in_hundred


def migration(
    entered: int, left: int, moved: int, stayed: int, mobility: Estimate | None, *, redefined: bool, rerun: bool
) -> str:
    """The movement between two dates in one or two sentences.

    Example:
        >>> migration(3, 1, 0, 40, None, redefined=False, rerun=True)
        '3 entered, 1 left, 40 stayed.'
    """
    if not rerun:
        return "No run took place between the two dates, so nobody can have moved."
    if not entered + left + moved + stayed:
        return "Nobody was in at either date."
    counts = [f"{entered:,} entered", f"{left:,} left", *([f"{moved:,} moved to another part"] if moved else [])]
    text = f"{', '.join(counts)}, {stayed:,} stayed."
    if mobility is not None and moved:
        text += f" Of those in at both dates, {in_hundred(mobility.value)} are in another part."
    if redefined:
        text += " The definition changed in between: not all of this is what customers did."
    return text


def hysteresis(avoided: int, without: int, periods: int) -> str:
    """What staying rules changed.

    Example:
        >>> hysteresis(30, 100, 12)
        'Over 12 periods, staying rules avoided 30 of 100 entries, exits and moves.'
    """
    over = f"Over {periods} period{'' if periods == 1 else 's'}"
    if not without:
        return f"{over}, nobody would have moved with or without staying rules."
    if avoided < 0:
        return f"{over}, staying rules led to {-avoided:,} more entries, exits and moves than the {without:,} without them."
    return f"{over}, staying rules avoided {avoided:,} of {without:,} entries, exits and moves."


def alarms(raised: int, periods: int, needed: int, *, enough: bool, redefined: bool, rerun: bool) -> str:
    """What the comparison with the past came to."""
    if not rerun:
        return "No run took place in the latest period, so there is nothing to compare."
    if redefined:
        return "The definition changed in the latest period, so its movement cannot be compared with the past."
    if not enough:
        return f"Not enough history: {periods} past period{'' if periods == 1 else 's'}, and {needed} are needed."
    if not raised:
        return "Nothing moved more or less than its own history suggests."
    return f"{raised} figure{'' if raised == 1 else 's'} lie outside what {periods} past periods suggest."


def alarm(label: str, watched: str, hits: int, low: int | None, high: int | None, *, unusual: bool | None) -> str:
    """One figure beside what its past suggests.

    Example:
        >>> alarm("Gold", "left", 40, 5, 21, unusual=True)
        '40 customers left Gold, more than the 5 to 21 that its history suggests.'
    """
    people = f"{hits:,} customer{'' if hits == 1 else 's'}"
    what = f"{people} left {label}" if watched == "left" else f"{people} {'is' if hits == 1 else 'are'} new in {label}"
    if unusual is None or low is None or high is None:
        return f"{what}; there is not enough history to say whether that is usual."
    suggested = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    if not unusual:
        return f"{what}; its history suggests {suggested}."
    return f"{what}, {'more' if hits > high else 'fewer'} than the {suggested} that its history suggests."
