"""`kohort privacy rectify`: what is wrong about somebody goes, what is right takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import moment
from kohort.cli.privacy import privacy
from kohort.errors import WrongUsage

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@command(
    privacy,
    "rectify",
    short_help="Put right what is kept about somebody.",
    epilog="Example: kohort privacy rectify 14127 --kind email --wrong old@example.org --right new@example.org",
)
@click.argument("number", metavar="NUMBER")
@click.option("--kind", required=True, help="email, phone, name or address.")
@click.option("--wrong", default="", metavar="TEXT", help="What goes, and does not come back.")
@click.option("--right", default="", metavar="TEXT", help="What is kept in its place.")
@click.option("--ask", is_flag=True, help="Ask for both here: what is typed on the command line stays in its history.")
@click.option("--source", default="", help="Where she said it.")
@click.option("--proof", default="", help="Where that can be seen.")
@click.option("--at", "said", metavar="DATE", help="When she said it; now where it is left out.")
def rectify(
    door: Door,
    *,
    number: str,
    kind: str,
    wrong: str,
    right: str,
    ask: bool,
    source: str,
    proof: str,
    said: str | None,
) -> Result:
    """Put a right e-mail address, telephone number, name or address in the place of a wrong one.

    The wrong one is destroyed for every id of hers, and does not come back when the files it came from are read again. Only one of
    the two may be given: something is just missing, or just wrong. Other things known about her (traits) are corrected by the source
    that says them: the latest counts.
    """
    if ask and (wrong or right):
        raise WrongUsage("Type them here, or on the command line, not both.")
    if ask:
        wrong = click.prompt("Wrong (empty: nothing goes)", default="", show_default=False, err=True)
        right = click.prompt("Right (empty: nothing comes)", default="", show_default=False, err=True)
    with door.open() as ws:
        zone = ws.zone
        at = moment(ws, said) if said else None
        data = ws.privacy.rectify(number, kind, wrong=wrong, right=right, source=source, proof=proof, at=at)

    def shown(screen: Screen) -> None:
        screen.line(f"{data['struck']:,} destroyed, {data['added']:,} added ({data['request']}).")
        for one in data["remaining"]:
            screen.line(one["text"])
        for recipient in data["recipients"]:
            screen.line(
                f"{recipient['destination']} had been told about her {recipient['deliveries']:,} times: tell it."
            )

    return Result(data, shown, zone=zone)
