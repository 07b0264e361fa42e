"""Types of option values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.errors import BadInput, WrongUsage

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

MOMENT: dict[str, Any] = {
    "metavar": "T",
    "help": "At this moment: 2011-12-09 or 2011-12-09T12:50:00Z (default: the newest).",
}
PORT = click.IntRange(0, 65_535)
MOST_GROUPS = 100


class GroupCount(click.ParamType):  # type: ignore[type-arg]
    """A number of groups, or `auto` (None)."""

    name = "auto|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or value == "auto":
            return None
        text = str(value)
        if not (text.isascii() and text.isdigit() and len(text) < 6 and 2 <= int(text) <= MOST_GROUPS):
            self.fail(f"{value!r} is neither auto nor a number from 2 to {MOST_GROUPS}.", param, ctx)
        return int(text)


def machine_user() -> str:
    """Who gives commands, for the record: the user of this machine, told apart from those who log in to the pages."""
    import getpass

    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "the command line"


def start(ws: Workspace, text: str | None) -> int | None:
    """What `--since` says, in µs UTC: a date is the beginning of that day; None where it was left out.

    Raises:
        WrongUsage: It is no date and no time.
    """
    from kohort.model.clock import parse_start

    try:
        return None if text is None else parse_start(text, zone=ws.zone)
    except BadInput as error:
        raise WrongUsage(error.message, hint=error.hint) from error


def moment(ws: Workspace, text: str | None) -> int | None:
    """What `--as-of` says, in µs UTC; None where it was left out.

    Raises:
        WrongUsage: It is no date and no time.
    """
    if text is None:
        return None
    try:
        return ws.as_of(text)
    except BadInput as error:
        raise WrongUsage(error.message, hint=error.hint) from error
