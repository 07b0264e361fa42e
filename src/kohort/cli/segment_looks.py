"""Commands that look at segments: preview, why, history, overlap, movement; and decisions by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import MOMENT, moment
from kohort.cli.segments import segments
from kohort.errors import WrongUsage

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace


@command(segments, "preview", short_help="How many would be in, and which condition decides?")
@click.argument("name", required=False)
@click.option("--rule", metavar="RULE", help="Look at this rule instead of a segment.")
@click.option("--overlap", is_flag=True, help="Also say how it overlaps with the segments there are.")
@click.option("--as-of", **MOMENT)
def preview(door: Door, *, name: str | None, rule: str | None, overlap: bool, as_of: str | None) -> Result:
    """Show the size of the segment NAME, or of a rule, before anything is saved: condition by condition.

    \b
    kohort segments preview --rule "recency_days <= 60 and orders >= 2"
    """
    from kohort.cli.segment_look_pages import preview_shown

    if (name is None) == (rule is None):
        raise WrongUsage("Give either the name of a segment or --rule.")
    with door.open() as ws:
        when = moment(ws, as_of)
        data = ws.segments.preview(name, rule=rule, as_of=when).as_dict()
        if overlap:
            data["overlap"] = [asdict(o) for o in ws.segments.preview_overlap(name, rule=rule, as_of=when) if o.both]
            _label(ws, data["overlap"])
        currency = ws.currency
    return Result(data, lambda screen: preview_shown(screen, data, currency))


@command(
    segments,
    "why",
    short_help="Why is a customer in a segment, or not?",
    epilog="Example: kohort segments why loyal 14127",
)
@click.argument("name")
@click.argument("customer")
@click.option("--as-of", **MOMENT)
def why(door: Door, *, name: str, customer: str, as_of: str | None) -> Result:
    """Show for the CUSTOMER (your number of it) every condition of the segment NAME with its actual value.

    Also: what is missing to get in, and when the membership will change by time alone.
    """
    from kohort.cli.segment_look_pages import why_shown

    with door.open() as ws:
        data = ws.segments.why(name, customer, as_of=moment(ws, as_of)).as_dict()
    return Result(data, lambda screen: why_shown(screen, data))


@command(
    segments,
    "history",
    short_help="Runs of a segment, or one customer's stays.",
    epilog="Example: kohort segments history loyal 14127",
)
@click.argument("name")
@click.argument("customer", required=False)
def history(door: Door, *, name: str, customer: str | None) -> Result:
    """Show every run of the segment NAME; with a CUSTOMER, when she was in it and why."""
    from kohort.cli.segment_look_pages import runs_shown, stays_shown

    with door.open() as ws:
        rows, zone = list(ws.segments.history(name, customer)), ws.zone
        if customer is not None:
            _label(ws, rows, name)
    if customer is None:
        return Result({"name": name, "runs": rows}, lambda screen: runs_shown(screen, name, rows), zone=zone)
    data = {"name": name, "customer": customer, "stays": rows}
    return Result(data, lambda screen: stays_shown(screen, name, customer, rows), zone=zone)


@command(
    segments, "overlap", short_help="Which segments share customers?", epilog="Example: kohort segments overlap loyal"
)
@click.argument("name", required=False)
@click.option("--as-of", metavar="T", help="At this moment (default: as the latest runs left them).")
def overlap(door: Door, *, name: str | None, as_of: str | None) -> Result:
    """Show for each pair of segments (or for the pairs of NAME) how many customers are in both.

    Lift compares with chance: 2 = twice as many as if the two had nothing to do with each other.
    """
    from kohort.cli.segment_look_pages import overlap_shown

    with door.open() as ws:
        data = ws.segments.overlap(name, as_of=moment(ws, as_of)).as_dict()
        _label(ws, data["groups"])
    return Result(data, lambda screen: overlap_shown(screen, data))


@command(
    segments,
    "movement",
    short_help="Who moved, month by month or between two dates?",
    epilog="Example: kohort segments movement value --from 2011-06-30 --to 2011-12-09",
)
@click.argument("name")
@click.option("--from", "since", metavar="D", help="From this date (default: the first run).")
@click.option("--to", "until", metavar="D", help="To this date (default: the latest run).")
@click.option("--by", type=click.Choice(["month", "quarter", "year"]), default="month", show_default=True)
@click.option("--staying", is_flag=True, help="Say what keep, minimum_stay and then changed over the past year.")
def movement(door: Door, *, name: str, since: str | None, until: str | None, by: Any, staying: bool) -> Result:
    """Show who entered, left and moved between the parts of NAME: from month to month, or between two dates.

    Says whether the latest month is unusual, once there is history enough to know what is usual.
    """
    from kohort.cli.segment_look_pages import movement_shown, staying_shown

    if staying:
        with door.open() as ws:
            replayed, zone = ws.segments.staying(name, as_of=moment(ws, until)).as_dict(), ws.zone
        return Result(replayed, lambda screen: staying_shown(screen, replayed), zone=zone)
    with door.open() as ws:
        found, zone = ws.segments.movement(name, moment(ws, since), moment(ws, until), by=by), ws.zone
        unusual = ws.segments.alarms(found) if since is None and until is None else None
    data = {"name": name, "movements": [m.as_dict() for m in found], "alarms": unusual and unusual.as_dict()}
    return Result(data, lambda screen: movement_shown(screen, data), zone=zone)


@command(
    segments,
    "put",
    short_help="Put customers in by hand.",
    epilog='Example: kohort segments put friends 14127 --note "met at the fair"',
)
@click.argument("name")
@click.argument("customers", nargs=-1, required=True, metavar="CUSTOMER…")
@click.option("--segment", metavar="PART", default="", help="Which part, where NAME has several.")
@click.option("--note", default="", help="Why, for those who look later.")
def put(door: Door, *, name: str, customers: tuple[str, ...], segment: str, note: str) -> Result:
    """Put customers (your numbers of them) into the segment NAME, whatever its rule says, until you reset them."""
    with door.open() as ws:
        ws.segments.put(name, customers, segment=segment, note=note)
    return _decided(name, customers, "put in", segment)


@command(
    segments,
    "take-out",
    short_help="Keep customers out by hand.",
    epilog="Example: kohort segments take-out friends 14127",
)
@click.argument("name")
@click.argument("customers", nargs=-1, required=True, metavar="CUSTOMER…")
@click.option("--segment", metavar="PART", default="", help="Only out of this part.")
@click.option("--note", default="", help="Why, for those who look later.")
def take_out(door: Door, *, name: str, customers: tuple[str, ...], segment: str, note: str) -> Result:
    """Keep customers out of the segment NAME, whatever its rule says, until you reset them."""
    with door.open() as ws:
        ws.segments.take_out(name, customers, segment=segment, note=note)
    return _decided(name, customers, "taken out", segment)


@command(
    segments, "reset", short_help="Let the rule decide again.", epilog="Example: kohort segments reset friends 14127"
)
@click.argument("name")
@click.argument("customers", nargs=-1, required=True, metavar="CUSTOMER…")
def reset(door: Door, *, name: str, customers: tuple[str, ...]) -> Result:
    """Forget what was decided by hand about these customers: the rule of NAME decides again."""
    with door.open() as ws:
        ws.segments.reset(name, customers)
    return _decided(name, customers, "left to the rule again", "")


def _label(ws: Workspace, rows: Sequence[dict[str, Any]], name: str = "") -> None:
    """Say how people call the part that each row is about."""
    labels = {(d.name, p.key): p.label for d in ws.segments.list() for p in d.parts}
    for row in rows:
        row["label"] = labels.get((name or row["name"], row["segment"]), row["segment"])


def _decided(name: str, customers: tuple[str, ...], done: str, segment: str) -> Result:
    from kohort.views.words import plural

    data = {"name": name, "customers": len(customers), "done": done.replace(" ", "_"), "segment": segment or None}

    def shown(screen: Any) -> None:
        screen.line(f"{plural(len(customers), 'customer')} {done}. It takes effect with the next run:")
        screen.command(f"  kohort segments run {name}")

    return Result(data, shown)
