"""`kohort texts`: what the members of a segment write about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.root import app

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@command(app, "texts", short_help="What a segment's members write about, and in what mood.")
@click.argument("name")
def texts(door: Door, *, name: str) -> Result:
    """Languages, topics and mood of what the members of segment NAME wrote, as means with intervals: a list of words is
    wrong too often to say anything about one of them. Exit code 3 where fewer than 30 have written.
    """
    from kohort.segments.texts import texts_of
    from kohort.workspace.members import member_keys

    with door.open() as ws:
        found = {"segment": name, **texts_of(ws.store, member_keys(ws, name))}
    return Result(found, lambda screen: _shown(screen, found))


def _shown(screen: Screen, found: dict[str, Any]) -> None:
    screen.line(f"{found['texts']:,} texts of {found['customers']:,} customers; {found['spam']:,} are spam.", "bold")
    if mood := found["mood"]:
        screen.line(
            f"Mood: {_with_interval(mood)} on a scale from -1 to 1, of {found['with_mood']:,} texts that show any."
        )
    for topic in found["topics"]:
        screen.line(f"{topic['topic']}: {_with_interval(topic['share'])} of the texts ({topic['texts']:,})")
    said = ", ".join(f"{row['language'] or 'not told'} {row['texts']:,}" for row in found["languages"])
    screen.line(f"Languages: {said}.")


def _with_interval(value: dict[str, float]) -> str:
    return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f})"
