"""The page of one piece of long work."""

from __future__ import annotations

from typing import Any

from kohort.locale import gettext
from kohort.model.job import Job
from kohort.views import own_words as say
from kohort.views import words
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.working import progress

SECOND_US = 1_000_000


def job(
    shell: Shell,
    one: Job,
    *,
    title: str,
    by: str,
    onward: str,
    button: str,
    zone: str,
    now: int,
    before: Job | None = None,
    stops: bool = True,
    half_way: str = "",
) -> str:
    """The page of a job.

    Args:
        title: What it does.
        by: Who started it; empty where nobody had to log in.
        onward: Address of the page that shows its result, or where it can be tried again.
        button: What the link to the result says.
        now: Microseconds UTC.
        before: The last one of its kind that was done, for how long it may take.
        stops: Whether somebody may stop it.
        half_way: What is so where it ended half way; empty = all is as it was before.
    """
    return page(
        "job.html",
        shell,
        "",
        job=one,
        title=title,
        by=by,
        onward=onward,
        button=button,
        stops=stops,
        half_way=half_way,
        **_said(one, zone, now, before),
    )


def _said(one: Job, zone: str, now: int, before: Job | None) -> dict[str, Any]:
    done, total = formats().number(one.done), formats().number(one.total)
    return {
        "phase": progress(one),
        "figure": gettext("%(done)s of %(total)s", done=done, total=total) if one.total else "",
        "started": say.moment_of(one.started_us, zone),
        "lasted": lasted((one.ended_us or now) - one.started_us),
        "usual": lasted(before.ended_us - before.started_us) if before is not None and before.ended_us else "",
    }


def lasted(us: int) -> str:
    """A length of time in words.

    Example:
        >>> lasted(400_000), lasted(41_000_000), lasted(150_000_000), lasted(2 * 3_600_000_000)
        ('1 second', '41 seconds', '2 minutes', '2 hours')
    """
    seconds = max(1, round(us / SECOND_US))
    if seconds < 90:
        return words.plural(seconds, "second")
    if seconds < 5_400:
        return words.plural(round(seconds / 60), "minute")
    return words.plural(round(seconds / 3_600), "hour")
