"""Commands about what is kept current: how many events there are, and whether live is what batch is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import start
from kohort.cli.root import app

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@app.group("events", short_help="What came in.")
def events() -> None:
    """The event log.

    \b
    kohort events count --event 'Order Completed' --since 2026-01-01
    """


@command(events, "count", short_help="How many events there are.", epilog="Example: kohort events count --event page")
@click.option("--event", metavar="NAME", help="Of this name only.")
@click.option("--since", metavar="T", help="That happened then or later: 2026-01-01 or 2026-01-01T12:00:00Z.")
def count(door: Door, *, event: str | None, since: str | None) -> Result:
    """Count stored events and their customers; what could not be used; and what came in and waits for its effect."""
    from kohort.workspace.live import events_count

    with door.open() as ws, door.progress():
        data = events_count(ws, event=event, since=start(ws, since))

    def shown(screen: Screen) -> None:
        screen.line(f"{data['events']:,} events of {data['customers']:,} customers.")
        if data["dead_letters"]:
            screen.line(f"{data['dead_letters']:,} could not be used. See them with: kohort rejected list")
        if data["waiting"]:
            screen.line(f"{data['waiting']:,} more came in and wait for the server.")

    return Result(data, shown)


@command(app, "audit", short_help="Is what is kept current what a full run would find?")
def audit(door: Door) -> Result:
    """Evaluate everybody anew at the moment that members show, and compare; the server may go on meanwhile.

    Nothing may differ. Exit code 1 where something does, so that a nightly job can raise an alarm; the server tells of it
    in its metrics, too.
    """
    from kohort.workspace.live import audit_of

    with door.open() as ws, door.progress() as progress:
        found = audit_of(ws, progress=progress)
        zone = ws.zone
    data = found.as_dict()

    def shown(screen: Screen) -> None:
        if found.sound:
            screen.line(
                f"{found.definitions:,} segments of {found.customers:,} customers: live is what a full run finds."
            )
        for one in found.differ:
            screen.line(f"{one.name}: {one.missing:,} should be in it or in another part, {one.extra:,} should be out.")
        if found.damage:
            screen.line(found.damage)

    return Result(data, shown, 0 if found.sound else 1, zone=zone)
