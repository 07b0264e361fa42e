"""The groups `triggers` and `deliveries`: what is told to other systems, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.root import app
from kohort.errors import WrongUsage
from kohort.model.delivery import DELIVERY_STATES, DeliveryState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kohort.cli.screen import Screen
    from kohort.definitions.triggers import Shape

SHAPES = ("plain", "track", "identify")
LIMIT = click.option("--limit", type=click.IntRange(1, 100_000), default=50, help="How many at most (default: 50).")


@app.group("triggers", short_help="What happens when customers enter and leave segments.")
def triggers() -> None:
    """Triggers tell other systems when customers enter or leave segments. They are written in kohort.yaml.

    \b
    kohort triggers list
    kohort triggers test welcome --send
    kohort triggers log welcome
    """


@app.group("deliveries", short_help="What was told to other systems.")
def deliveries() -> None:
    """Deliveries of triggers: sent, to be sent, given up, left out on purpose.

    \b
    kohort deliveries list --state dead
    kohort deliveries replay --destination crm
    """


@command(triggers, "list", short_help="Every trigger there is.", epilog="Example: kohort triggers list -w shop")
def listed(door: Door) -> Result:
    """List the triggers: what each waits for, the rule it became, where it is sent, and what is wrong with it."""
    with door.open() as ws:
        found = ws.triggers.list()
    return Result({"triggers": found}, lambda screen: _triggers(screen, found))


@command(triggers, "test", short_help="What would be sent?")
@click.argument("name")
@click.argument("customer", required=False)
@click.option("--send", is_flag=True, help="Send it, and show what is answered.")
def test(door: Door, *, name: str, customer: str | None, send: bool) -> Result:
    """Show what the trigger NAME would send about CUSTOMER (or somebody made up) to each of its destinations.

    Nothing is kept. The id of such a delivery begins with test_.

    \b
    kohort triggers test welcome 14127
    kohort triggers test welcome --send
    """
    with door.open() as ws:
        found = ws.triggers.test(name, customer, send=send)
    if not found:
        raise WrongUsage(f"{name!r} is sent nowhere.", hint="Write send_to: with the name of a destination.")
    failed = send and any(not str(line["answer"]).startswith("status 2") for line in found)
    return Result({"trigger": name, "tests": found}, lambda screen: _tests(screen, found), 1 if failed else 0)


@command(triggers, "schema", short_help="The Avro schema of deliveries.")
@click.option("--shape", type=click.Choice(SHAPES), default="plain", show_default=True, help="Of what is sent.")
def schema(door: Door, *, shape: Shape) -> Result:
    """Print the Avro schema of what a Kafka destination with format: avro is sent. It is the same in every workspace.

    \b
    kohort triggers schema --shape track > track.avsc
    """
    import json

    from kohort.actions.avro_schema import schema_of

    found = schema_of(shape)

    def shown(screen: Screen) -> None:
        for line in json.dumps(found, indent=2).splitlines():
            screen.command(line)

    return Result(found, shown)


@command(triggers, "log", short_help="What a trigger told.", epilog="Example: kohort triggers log welcome")
@click.argument("name", required=False)
@click.option("--customer", metavar="NUMBER", help="Of this customer only.")
@LIMIT
def told(door: Door, *, name: str | None, customer: str | None, limit: int) -> Result:
    """Show the latest deliveries of the trigger NAME, or of all: to whom, about whom, and what became of each."""
    with door.open() as ws:
        found = ws.triggers.deliveries(trigger=name, customer=customer, limit=limit)
        zone = ws.zone
    return Result({"deliveries": found}, lambda screen: _deliveries(screen, found), zone=zone)


@command(deliveries, "list", short_help="The latest deliveries.")
@click.option("--state", type=click.Choice(DELIVERY_STATES), help="Only those in this state.")
@click.option("--destination", metavar="NAME", help="Only those to this destination.")
@click.option("--trigger", metavar="NAME", help="Only those of this trigger.")
@LIMIT
def listing(door: Door, *, state: str | None, destination: str | None, trigger: str | None, limit: int) -> Result:
    """Show the latest deliveries, newest first.

    \b
    kohort deliveries list --state pending --destination crm
    """
    return _listing(door, cast("DeliveryState | None", state), destination, trigger, limit)


@command(deliveries, "dead", short_help="Those that were given up.", epilog="Example: kohort deliveries dead")
@click.option("--destination", metavar="NAME", help="Only those to this destination.")
@LIMIT
def dead(door: Door, *, destination: str | None, limit: int) -> Result:
    """Show deliveries that were given up, with why. Send them again with: kohort deliveries replay."""
    return _listing(door, "dead", destination, None, limit)


@command(deliveries, "replay", short_help="Send again.")
@click.argument("ids", nargs=-1, metavar="[ID]…")
@click.option("--destination", metavar="NAME", help="All dead ones to this destination.")
@click.option("--trigger", metavar="NAME", help="All dead ones of this trigger.")
def replay(door: Door, *, ids: tuple[str, ...], destination: str | None, trigger: str | None) -> Result:
    """Put deliveries back into the queue, each under its own id: those named, or all dead ones.

    \b
    kohort deliveries replay msg_0f3a…
    kohort deliveries replay --destination crm
    """
    with door.open() as ws:
        n = ws.triggers.replay(ids, destination=destination, trigger=trigger)
    return Result({"replayed": n}, lambda screen: screen.line(f"{n:,} will be sent again."))


@command(deliveries, "send", short_help="Make and send what is due now.", epilog="Example: kohort deliveries send")
@click.option("--seconds", type=click.IntRange(1, 86_400), default=300, help="Give up waiting after so long.")
def send(door: Door, *, seconds: int) -> Result:
    """Make the deliveries of what happened since the last look, send what is due, and end.

    For workspaces without a running server, after kohort segments run. A server does this by itself.
    """
    with door.open() as ws:
        counts = ws.triggers.send(seconds)

    def shown(screen: Screen) -> None:
        screen.facts([(state, f"{counts[state]:,}") for state in DELIVERY_STATES if state in counts])
        if not counts:
            screen.line("There is nothing to tell.")

    return Result({"deliveries": counts}, shown)


def _listing(
    door: Door, state: DeliveryState | None, destination: str | None, trigger: str | None, limit: int
) -> Result:
    with door.open() as ws:
        found = ws.triggers.deliveries(state=state, destination=destination, trigger=trigger, limit=limit)
        zone = ws.zone
    return Result({"deliveries": found}, lambda screen: _deliveries(screen, found), zone=zone)


def _triggers(screen: Screen, found: Sequence[dict[str, Any]]) -> None:
    if not found:
        screen.line("There are no triggers. Write them under triggers: in kohort.yaml; see docs/triggers.md.")
    for one in found:
        screen.title(one["name"])
        sent = ", ".join(f"{n:,} {state}" for state, n in one["deliveries"].items())
        facts = [("on", one["watches"]), ("rule", one["rule"]), ("sent to", ", ".join(one["send_to"]))]
        facts += [(f"feature {name}", text) for name, text in one["features"].items()]
        facts += [(key.replace("_", " "), one[key] or "") for key in ("quiet_hours", "at_most", "purpose")]
        facts += [("deliveries", sent), ("paused", "yes" if one["paused"] else "")]
        facts += [("problem", text) for text in one["problems"]]
        screen.facts([(name, text) for name, text in facts if text])


def _tests(screen: Screen, found: Sequence[dict[str, Any]]) -> None:
    for line in found:
        screen.title(line["destination"])
        screen.command(line["body"])
        if line["answer"] is not None:
            screen.line(f"Answer: {line['answer']}")


def _deliveries(screen: Screen, found: Sequence[dict[str, Any]]) -> None:
    if not found:
        screen.line("There are none.")
        return
    columns = ["created", "trigger", "destination", "customer", "change", "state", "why", "tries", "id"]
    rows = [
        [
            screen.minute(d["created_at"]),
            d["trigger"],
            d["destination"],
            d["customer_id"] or "",
            f"{d['change']} {d['segment']}",
            d["state"],
            d["reason"],
            str(d["attempts"]),
            d["id"],
        ]
        for d in found
    ]
    screen.table([(name, "right" if name == "tries" else "left") for name in columns], rows)
