"""`kohort privacy ledger` and `replay`: erasures survive a restored back-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.privacy import PEOPLE_FILE, privacy

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@command(
    privacy,
    "ledger",
    short_help="Write down who is erased, for after a restore.",
    epilog="Example: kohort privacy ledger --out /safe/erased.json",
)
@click.option("--out", metavar="FILE", required=True, help="Where back-ups are not: it has to be newer than they are.")
def ledger(door: Door, *, out: str) -> Result:
    """Write the ledger of erasures: a keyed token per erased id, from which nobody can be told. Let it run after each erasure."""
    with door.open() as ws:
        zone, data = ws.zone, ws.privacy.write_ledger(out)
    return Result(data, lambda screen: screen.line(f"{data['ids']:,} erased ids are in {out}."), zone=zone)


@command(
    privacy,
    "replay",
    short_help="After a restore: erase again who was erased.",
    epilog="Example: kohort privacy replay /safe/erased.json",
)
@click.argument("file", metavar="LEDGER", type=PEOPLE_FILE)
def replay(door: Door, *, file: str) -> Result:
    """Erase whoever a ledger says is erased and this workspace still has, because it comes from an older back-up.

    Run it before anything else reads the restored workspace: before `kohort serve`.
    """
    with door.open() as ws, door.progress() as progress:
        zone, data = ws.zone, ws.privacy.replay(file, progress=progress)

    def shown(screen: Screen) -> None:
        if data["request"] is None:
            screen.line(f"None of {data['ids']:,} erased ids is here.")
        else:
            screen.line(f"{data['people']:,} people were here and are erased ({data['request']}).")

    return Result(data, shown, zone=zone)
