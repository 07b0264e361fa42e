"""The group `customer`: one customer from all sides, finding her, and which ids are hers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.merges import in_words, merge, show_decisions, split
from kohort.cli.root import app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kohort.cli.screen import Screen


@app.group("customer", short_help="One customer: look, find, merge, split.")
def customer() -> None:
    """Look at one customer, find her, and decide which ids are hers.

    \b
    kohort customer search ann@example.org
    kohort customer show 14127
    kohort customer merge 14127 88012
    kohort customer split 14127 88012
    """


customer.add_command(merge)
customer.add_command(split)


@command(customer, "show", short_help="Everything about one customer.", epilog="Example: kohort customer show 14127")
@click.argument("number", metavar="CUSTOMER")
@click.option("--events", type=click.IntRange(0), default=10, show_default=True, help="How many of the latest events.")
def show(door: Door, *, number: str, events: int) -> Result:
    """Show the ids that are hers and why, whom she lives with and which account she belongs to, what happened last, her segments
    and features, what she agreed to, and what was decided about who she is.

    Identifiers are counted and not shown; `kohort privacy export` gives them out.
    """
    with door.open() as ws:
        zone, data = ws.zone, ws.customers.show(number, events=events)

    def shown(screen: Screen) -> None:
        screen.title(f"Customer {data['customer_id']}")
        lines = [(one["customer_id"], screen.day(one["since"]), _because(one)) for one in data["ids"]]
        screen.table([("id", "left"), ("since", "left"), ("why", "left")], lines)
        screen.facts((kind, f"{n:,}") for kind, n in data["identities"].items())
        for place in data["profile"]["segments"]:
            part = f" ({place['part']})" if place["part"] != place["segment"] else ""
            screen.line(
                f"In {place['segment']}{part} since {screen.day(place['since'])}. {place['because'] or ''}".rstrip()
            )
        show_groups(screen, data["groups"])
        for one in data["consent"]:
            screen.line(f"{one['purpose']}: {'agreed' if one['agreed'] else 'not agreed'}.")
        _features(screen, data["profile"]["features"])
        if data["timeline"]:
            screen.title(f"The latest of {sum(data['sources'].values()):,} events")
            happened = [
                (screen.minute(e["at"]), e["event"], e.get("amount", ""), e["source"]) for e in data["timeline"]
            ]
            screen.table([("when", "left"), ("event", "left"), ("amount", "right"), ("from", "left")], happened)
        if data["decisions"]:
            screen.title("Decisions")
            show_decisions(screen, data["decisions"])

    return Result(data, shown, zone=zone)


@command(
    customer,
    "search",
    short_help="Find a customer by an identifier.",
    epilog="Example: kohort customer search ann@example.org",
)
@click.argument("text", metavar="IDENTIFIER")
def search(door: Door, *, text: str) -> Result:
    """Find who has exactly this number, e-mail address, telephone number, anonymous id, name or address. It is not kept."""
    with door.open() as ws:
        data = ws.customers.search(text)

    def shown(screen: Screen) -> None:
        if not data["customers"]:
            screen.line("Nobody has it.")
        else:
            lines = [(one["customer_id"], ", ".join(one["by"])) for one in data["customers"]]
            screen.table([("customer", "left"), ("by", "left")], lines)

    return Result(data, shown)


def show_groups(screen: Screen, groups: Mapping[str, Any]) -> None:
    """The household and the account of a customer, a line each; nothing where there is none."""
    for level in ("household", "account"):
        if (one := groups[level]) is None:
            continue
        others = [other["customer_id"] for other in one["others"]]
        more = one["size"] - 1 - len(others)
        told = f" and {more:,} more" if more else ""
        with_whom = f", with {', '.join(others)}{told}" if others else ", alone"
        screen.line(f"{level.capitalize()} {one['group']}{with_whom}. Why: {one['how']}.")


def _because(one: Mapping[str, Any]) -> str:
    """Why an id is hers."""
    return f"{one['how']}: {in_words(one['evidence'])}".removesuffix(": ") if one["why"] == "merge" else one["why"]


def _features(screen: Screen, features: Mapping[str, Any]) -> None:
    known = [(name, str(value)) for name, value in features.items() if value is not None]
    if known:
        screen.title("Features")
        screen.facts(known)
