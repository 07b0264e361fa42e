"""The group `bots`: what machines sent, and how to give it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.root import app

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@app.group("bots", short_help="Events that machines sent: list, give back.")
def bots() -> None:
    """Events of crawlers and scripts. They are kept and belong to nobody, so that no segment counts them.

    \b
    kohort bots list
    kohort bots restore monitoring
    """


@command(bots, "list", short_help="How many events machines sent, by kind.")
def listed(door: Door) -> Result:
    """Count the events that are set aside, by kind of machine, with the first and the last."""
    from kohort.ingest.controls import restore
    from kohort.model.clock import iso

    with door.open() as ws:
        kinds = [{**kind, "first": iso(kind["first"]), "last": iso(kind["last"])} for kind in restore.count(ws.store)]
    total = sum(kind["events"] for kind in kinds)

    def shown(screen: Screen) -> None:
        if not kinds:
            screen.line("No event of a machine has been seen.")
        for kind in kinds:
            screen.line(f"{kind['events']:,}  {kind['kind']}: {kind['meaning']}; {kind['first']} to {kind['last']}")

    return Result({"events": total, "kinds": kinds}, shown)


@command(bots, "restore", short_help="Give events back to those they came from.")
@click.argument("kinds", nargs=-1, required=True, metavar="KIND…")
def restored(door: Door, *, kinds: tuple[str, ...]) -> Result:
    """Give back the events of a KIND of machine, where it was no machine. To keep it from happening again, name the
    agent in kohort.yaml under controls, such as "agent: Acme Monitor": person
    """
    import time

    from kohort.ingest.controls.restore import restore

    with door.open() as ws:
        report = restore(ws.store, kinds, now=time.time_ns() // 1_000)
    data = {"found": report.read, "restored": report.stored, "nobody": report.rejected}

    def shown(screen: Screen) -> None:
        screen.line(f"{report.stored:,} of {report.read:,} events were given back.", "bold")
        if report.rejected:
            screen.line(f"{report.rejected:,} belong to people who were erased, and stay as they are.")

    return Result(data, shown)
