"""`kohort privacy object` and `restrict`: what a customer may forbid whatever segments say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import moment
from kohort.cli.privacy import PEOPLE_FILE, numbers_given, privacy
from kohort.model.limits import Limit

if TYPE_CHECKING:
    from kohort.cli.screen import Screen

_NOW = {
    "objection": "from now on in no segment that needs profiling",
    "restriction": "from now on kept, but not used",
}
_OVER = {"objection": "no longer objecting to profiling", "restriction": "no longer restricted"}


def _options(function: Any) -> Any:
    for option in (
        click.option("--at", "said", metavar="DATE", help="When it was said; now where it is left out."),
        click.option("--proof", default="", help="Where that can be seen."),
        click.option("--source", default="", help="Where it was said."),
        click.option("--lift", is_flag=True, help="It is taken back."),
        click.option("--file", "path", type=PEOPLE_FILE, help="A text file with one number a line."),
        click.argument("numbers", metavar="NUMBER…", nargs=-1),
    ):
        function = option(function)
    return function


@command(
    privacy,
    "object",
    short_help="Somebody objects to profiling.",
    epilog="Example: kohort privacy object 14127 --source 'e-mail of 3 March'",
)
@_options
def object_(door: Door, **given: Any) -> Result:
    """Write down that customers object to profiling, with every id of theirs; --lift takes it back.

    From then on they are in no segment but lists by hand, random buckets and definitions with `profiling: false`, in no features
    and in nothing that is found; deliveries about the others stop. Bringing data in again does not undo it.
    """
    return _said(door, "objection", **given)


@command(
    privacy,
    "restrict",
    short_help="Keep somebody's data, but do not use them.",
    epilog="Example: kohort privacy restrict 14127 --source 'letter' --proof 'folder 12, page 3'",
)
@_options
def restrict(door: Door, **given: Any) -> Result:
    """Keep the data of customers but do not use them, with every id of theirs; --lift takes it back.

    From then on they are in no segment at all, in no features and in nothing that is found, and nothing is delivered about them.
    What comes in is kept.
    """
    return _said(door, "restriction", **given)


def _said(
    door: Door, limit: Limit, *, numbers: tuple[str, ...], path: str | None, lift: bool, said: str | None, **about: str
) -> Result:
    whom = numbers_given(numbers, path)
    with door.open() as ws:
        act = ws.privacy.allow if lift else ws.privacy.forbid
        data = act(limit, whom, at=moment(ws, said) if said else None, **about)
        zone = ws.zone
    return Result(data, lambda screen: _shown(screen, limit, data), zone=zone)


def _shown(screen: Screen, limit: Limit, data: dict[str, Any]) -> None:
    people = "One person is" if data["people"] == 1 else f"{data['people']:,} people are"
    screen.line(f"{people} {(_NOW if data['holds'] else _OVER)[limit]} ({data['request']}).")
    if not data["holds"]:
        screen.line("The next run, or the next tick of a server, places them again.")
        return
    if data["left"]:
        screen.line(f"{data['left']:,} memberships ended. What a server keeps current it ends at its next tick.")
    for recipient in data["recipients"]:
        screen.line(f"{recipient['destination']} had been told about them {recipient['deliveries']:,} times: tell it.")
