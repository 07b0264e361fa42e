"""`kohort over-time`: groups followed month by month; and `kohort segments refit`, one more step of adopted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import MOMENT, GroupCount, moment
from kohort.cli.root import app
from kohort.cli.segments import segments

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.workspace.over_time import FoundOverTime
    from kohort.workspace.workspace import Workspace

_WEIGHT = click.FloatRange(0, 1)


@command(
    app,
    "over-time",
    short_help="Follow groups month by month; what stays, and at what price?",
    epilog="Example: kohort over-time --months 12 --k 6 --adopt Main",
)
@click.option("--months", type=click.IntRange(1), metavar="N", help="How far back to begin (default: 12 where known).")
@click.option(
    "--by",
    type=click.Choice(["behaviour", "shape"]),
    default="behaviour",
    show_default=True,
    help="Group by what customers are like, or by the course of their months.",
)
@click.option("--k", type=GroupCount(), default="auto", show_default=True, help="Number of groups, or auto.")
@click.option("--weight", type=_WEIGHT, help="What the past counts, 0 to 1 (default: chosen on evidence).")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="For repeating a run.")
@click.option("--as-of", metavar="T", help="The last moment (default: the newest).")
@click.option("--adopt", metavar="NAME", help="Keep the groups as the segmentation of this name.")
@click.option("--out", metavar="FILE", help="Who was in which segment when, as .csv or .parquet.")
def over_time(door: Door, *, adopt: str | None, as_of: str | None, out: str | None, **how: Any) -> Result:
    """Find groups some months ago and let their borders follow the customers from month to month.

    Compared with groups found anew each month and with borders that never move: how many customers change group, how well
    the groups fit, and whether they tell what customers do next. Exits with 3 where the history is too short or no groups hold.
    """
    from kohort.cli.files import check_ending, say_formulas, write_table
    from kohort.cli.over_time_pages import over_time_shown
    from kohort.errors import WrongUsage

    check_ending(out)
    if adopt and how["by"] == "shape":
        raise WrongUsage("Groups by shape are a report and cannot be adopted.", hint="Leave --adopt or --by shape out.")
    with door.open() as ws:
        when = moment(ws, as_of)
        with door.progress() as progress:
            found = ws.discover_over_time(as_of=when, progress=progress, **how)
        if adopt:
            found.adopt(adopt)
        if out:
            say_formulas(door.note, write_table(_courses(ws, found), out))
        zone = ws.zone
    data = {**found.as_dict(), "adopted": adopt, "out": out}
    return Result(data, lambda screen: over_time_shown(screen, found, adopt), zone=zone)


@command(
    segments,
    "refit",
    short_help="Let borders follow the customers, names stay.",
    epilog="Example: kohort segments refit Main",
)
@click.argument("name")
@click.option("--weight", type=_WEIGHT, help="What the past counts, 0 to 1 (default: as when found over time).")
@click.option("--as-of", **MOMENT)
def refit(door: Door, *, name: str, weight: float | None, as_of: str | None) -> Result:
    """Let the borders of the adopted segmentation NAME follow the customers one step, and say who moved.

    Segments keep their names and ids. Each call is a step: run it once a month where the groups were found month by month.
    """
    from kohort.cli.pages import moved

    with door.open() as ws:
        when = moment(ws, as_of)
        with door.progress() as progress:
            movement = ws.refit(name, weight=weight, as_of=when, progress=progress)
    return Result(movement.as_dict(), lambda screen: moved(screen, movement))


def _courses(ws: Workspace, found: FoundOverTime) -> pa.Table:
    """customer_id, moment, segment of everybody followed; who was in none at a moment has no row for it."""
    import numpy as np
    import pyarrow as pa

    from kohort.workspace.people import company_numbers

    panel = found.followed.panels["evolving"]
    titles = {s.id: s.name for s in found.segmentation.segments}
    names = [titles.get(s, s) for s in found.segment_of]
    at, who = np.nonzero(panel.groups >= 0)
    numbers = pa.array(company_numbers(ws.store.vault, panel.ids), pa.string())
    moments = pa.array(found.over_time.moments, pa.string())
    groups = pa.array(names, pa.string())
    return pa.table(
        {
            "customer_id": numbers.take(pa.array(who)),
            "moment": moments.take(pa.array(at)),
            "segment": groups.take(pa.array(panel.groups[at, who].astype(np.int32))),
        }
    )
