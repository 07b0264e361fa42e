"""`kohort privacy retention`: what is older than it may be, and deleting it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.privacy import privacy

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@command(
    privacy,
    "retention",
    short_help="What is too old to be kept, and deleting it.",
    epilog="Example: kohort privacy retention --apply",
)
@click.option("--apply", "delete", is_flag=True, help="Delete it, for good.")
def retention(door: Door, *, delete: bool) -> Result:
    """Show what is older than `retention:` in kohort.yaml says, by kind of data; with --apply it is deleted.

    Files are written anew without it and replaced ones go at once. Let it run every day; a server may go on meanwhile.
    """
    with door.open() as ws, door.progress() as progress:
        zone = ws.zone
        data = ws.privacy.expire(progress=progress) if delete else ws.privacy.expiring()
    return Result(data, lambda screen: _shown(screen, data, deleted=delete), zone=zone)


def _shown(screen: Screen, data: dict[str, Any], *, deleted: bool) -> None:
    if not data["clocks"]:
        screen.line("No period is set. Write in kohort.yaml for example: retention: {events: 25 months}")
        return
    rows = [(_named(c), c["keep"], screen.day(c["until"]), f"{c['due']:,}") for c in data["clocks"]]
    screen.table([("data", "left"), ("kept for", "left"), ("too old until", "left"), ("rows", "right")], rows)
    if deleted:
        screen.line(f"{data['events']:,} events and {data['rejected_rows']:,} rejected rows are deleted.")
        if data["identifiers"]:
            screen.line(f"{data['identifiers']:,} identifiers are destroyed.")
        if data["people"]:
            screen.line(f"{data['people']:,} people are erased ({data['erasure']}).")
    elif data["hold"]:
        screen.line(f"Nothing may be deleted for now: {data['hold']}")
    elif any(c["due"] for c in data["clocks"]):
        screen.line("Delete them with: kohort privacy retention --apply")


def _named(clock: dict[str, Any]) -> str:
    match clock["data"]:
        case "rejected_rows":
            return "rejected rows"
        case "people":
            return "people"
        case "identifiers":
            return "all other identifiers" if clock["kind"] == "*" else f"identifiers {clock['kind']!r}"
    return "all other events" if clock["event"] == "*" else f"events {clock['event']!r}"
