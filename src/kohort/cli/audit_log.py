"""The group `audit-log`: who did what, and whether that still is what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.root import app

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@app.group("audit-log", short_help="Who did what, and whether the log was changed.")
def audit_log() -> None:
    """The log of logins, looks at single customers, decisions, and changes of users and keys.

    \b
    kohort audit-log show
    kohort audit-log verify
    """


@command(
    audit_log, "show", short_help="Who did what, the latest first.", epilog="Example: kohort audit-log show --by Bob"
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many entries.")
@click.option("--before", type=click.IntRange(min=1), metavar="N", help="Only entries before this number.")
@click.option("--by", default="", metavar="NAME", help="Only what this user did.")
@click.option("--act", default="", metavar="ACT", help="Only what was of this kind, such as looked_at_customer.")
def show(door: Door, *, limit: int, before: int | None, by: str, act: str) -> Result:
    """Show who did what. Customers stand there by their numbers; whoever was erased stands there no more."""
    from kohort.workspace.programs import logged

    with door.open() as ws:
        zone = ws.zone
        rows = logged(ws, ws.audit_log.latest(limit, before=before, by=by, act=act))

    def shown(screen: Screen) -> None:
        if not rows:
            screen.line("There is nothing of that kind in the log.")
            return
        columns = ("number", "at", "by", "act", "about", "customer")
        lines = [
            (
                str(r["number"]),
                screen.second(r["at"]),
                r["by"],
                r["act"],
                r["about"],
                "(erased)" if r["erased"] else r["customer_id"] or "",
            )
            for r in rows
        ]
        screen.table([(name, "left") for name in columns], lines)

    return Result({"entries": rows}, shown, zone=zone)


@command(
    audit_log,
    "verify",
    short_help="Is the log as it was written?",
    epilog="Example: kohort audit-log verify --head 120:9f3c…",
)
@click.option(
    "--head", default="", metavar="N:DIGEST", help="A head that was kept elsewhere: the log must still have it."
)
def verify(door: Door, *, head: str) -> Result:
    """Compare every entry with the chain: none may be changed, missing, added or in another place. Exit code 1 where one is.

    It prints the head of the log. Keep it where nobody who can write here can write: with it, the next check also finds that
    the end was cut off or the whole was written anew.
    """
    with door.open() as ws:
        found = ws.audit_log.verify(head)
    data = {
        "entries": found.entries,
        "erased": found.erased,
        "sound": not found.broken,
        "head": str(found.head),
        "broken": [{"number": one.number, "text": one.text} for one in found.broken],
    }

    def shown(screen: Screen) -> None:
        for one in found.broken[:20]:
            screen.line(one.text)
        if len(found.broken) > 20:
            screen.line(f"And {len(found.broken) - 20:,} more.")
        if not found.broken:
            screen.line(f"{found.entries:,} entries, all as they were written.")
        screen.command(f"Head: {found.head}")

    return Result(data, shown, 1 if found.broken else 0)
