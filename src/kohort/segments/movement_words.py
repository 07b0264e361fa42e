"""Sentences about who moved and what is unusual, in the reader's language."""

from __future__ import annotations

from kohort.definitions.figures import number
from kohort.locale import gettext, mark, ngettext
from kohort.model.segmentation import Estimate


def migration(
    entered: int, left: int, moved: int, stayed: int, mobility: Estimate | None, *, redefined: bool, rerun: bool
) -> str:
    """The movement between two dates in one or two sentences.

    Example:
        >>> migration(3, 1, 0, 40, None, redefined=False, rerun=True)
        '3 entered, 1 left, 40 stayed.'
    """
    if not rerun:
        return gettext("No run took place between the two dates, so nobody can have moved.")
    if not entered + left + moved + stayed:
        return gettext("Nobody was in at either date.")
    counts = {"entered": number(entered), "left": number(left), "moved": number(moved), "stayed": number(stayed)}
    told = [
        gettext("%(entered)s entered, %(left)s left, %(moved)s moved to another part, %(stayed)s stayed.", **counts)
        if moved
        else gettext("%(entered)s entered, %(left)s left, %(stayed)s stayed.", **counts)
    ]
    if mobility is not None and moved:
        told.append(_in_another(mobility.value))
    if redefined:
        told.append(gettext("The definition changed in between: not all of this is what customers did."))
    return " ".join(told)


def _in_another(share: float) -> str:
    """Of those who moved or stayed, how many moved: somebody did."""
    if share < 0.01:
        return gettext("Of those in at both dates, fewer than 1 in 100 are in another part.")
    return gettext("Of those in at both dates, %(n)s in 100 are in another part.", n=number(100 * share))


def hysteresis(avoided: int, without: int, periods: int) -> str:
    """What staying rules changed.

    Example:
        >>> hysteresis(30, 100, 12)
        'Over 12 periods, staying rules avoided 30 of 100 entries, exits and moves.'
    """
    # Told by the command line and the API only.
    over = f"Over {periods} period{'' if periods == 1 else 's'}"
    if not without:
        return f"{over}, nobody would have moved with or without staying rules."
    if avoided < 0:
        return f"{over}, staying rules led to {-avoided:,} more entries, exits and moves than the {without:,} without them."
    return f"{over}, staying rules avoided {avoided:,} of {without:,} entries, exits and moves."


def alarms(raised: int, periods: int, needed: int, *, enough: bool, redefined: bool, rerun: bool) -> str:
    """What the comparison with the past came to."""
    if not rerun:
        return gettext("No run took place in the latest period, so there is nothing to compare.")
    if redefined:
        return gettext("The definition changed in the latest period, so its movement cannot be compared with the past.")
    if not enough:
        return ngettext(
            "Not enough history: %(n)s past period, and %(needed)s are needed.",
            "Not enough history: %(n)s past periods, and %(needed)s are needed.",
            periods,
            n=periods,
            needed=needed,
        )
    if not raised:
        return gettext("Nothing moved more or less than its own history suggests.")
    return ngettext(
        "%(n)s figure lie outside what %(periods)s past periods suggest.",
        "%(n)s figures lie outside what %(periods)s past periods suggest.",
        raised,
        n=raised,
        periods=periods,
    )


def alarm(label: str, watched: str, hits: int, low: int | None, high: int | None, *, unusual: bool | None) -> str:
    """One figure beside what its past suggests.

    Example:
        >>> alarm("Gold", "left", 40, 5, 21, unusual=True)
        '40 customers left Gold, more than the 5 to 21 that its history suggests.'
    """
    if watched == "left":
        what = ngettext(
            "%(n)s customer left %(name)s", "%(n)s customers left %(name)s", hits, n=number(hits), name=label
        )
    else:
        what = ngettext(
            "%(n)s customer is new in %(name)s",
            "%(n)s customers are new in %(name)s",
            hits,
            n=number(hits),
            name=label,
        )
    if unusual is None or low is None or high is None:
        return gettext("%(change)s; there is not enough history to say whether that is usual.", change=what)
    suggested = number(low) if low == high else gettext("%(low)s to %(high)s", low=number(low), high=number(high))
    if not unusual:
        return gettext("%(change)s; its history suggests %(n)s.", change=what, n=suggested)
    return gettext(_MORE if hits > high else _FEWER, change=what, n=suggested)


_MORE = mark("%(change)s, more than the %(n)s that its history suggests.")
_FEWER = mark("%(change)s, fewer than the %(n)s that its history suggests.")
