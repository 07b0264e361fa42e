"""`kohort privacy ask`, `asked`, `settle` and `records`: who asked what, by when, what became of it; and what is kept of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import machine_user, moment
from kohort.cli.privacy import privacy
from kohort.model.cases import CASE_KINDS, OUTCOMES, WAYS
from kohort.views.privacy_words import ASKED, BECAME, KINDS_OF_DATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kohort.cli.screen import Screen


@command(
    privacy,
    "ask",
    short_help="Write down what somebody asks.",
    epilog="Example: kohort privacy ask 14127 --kind erasure --way letter --received 2026-03-02",
)
@click.argument("number", metavar="NUMBER")
@click.option("--kind", type=click.Choice(CASE_KINDS), required=True, help="What she asks.")
@click.option("--way", type=click.Choice(WAYS), default="other", help="How it came.")
@click.option("--received", metavar="DATE", help="When it came; now where it is left out.")
def ask(door: Door, *, number: str, kind: str, way: str, received: str | None) -> Result:
    """Write down that a customer asks something about her data: she has to have an answer within a month of the day it came.

    No word of hers is kept. Do what she asks with the other commands, or on the page /privacy, then settle it.
    """
    with door.open() as ws:
        zone = ws.zone
        came = moment(ws, received) if received else None
        data = ws.privacy.cases.receive(kind, number, by=machine_user(), way=way, received=came)
        _note(ws, "request_received", data, kind)
    return Result(
        data, lambda s: s.line(f"Request {data['number']}: an answer is due by {s.day(data['due'])}."), zone=zone
    )


@command(
    privacy, "asked", short_help="Who waits for an answer, and until when.", epilog="Example: kohort privacy asked"
)
def asked(door: Door) -> Result:
    """List what customers asked: open requests first, the most urgent one on top."""
    with door.open() as ws:
        zone, rows = ws.zone, ws.privacy.cases.all()
    return Result({"asked": rows}, lambda screen: _asked(screen, rows), zone=zone)


@command(privacy, "settle", short_help="Say what became of a request.", epilog="Example: kohort privacy settle 3")
@click.argument("request", type=int)
@click.option("--outcome", type=click.Choice(OUTCOMES), default="done", show_default=True, help="What became of it.")
@click.option("--receipt", default="", help="Of what was done: erasure-4.")
@click.option("--reopen", is_flag=True, help="It was settled by mistake: open it again.")
def settle(door: Door, *, request: int, outcome: str, receipt: str, reopen: bool) -> Result:
    """Settle REQUEST, by its number in `kohort privacy asked`."""
    with door.open() as ws:
        cases, by = ws.privacy.cases, machine_user()
        data = cases.reopen(request) if reopen else cases.settle(request, outcome, by=by, receipt=receipt)
        _note(ws, "request_reopened" if reopen else "request_settled", data, "" if reopen else outcome)
    text = f"Request {request} is open again." if reopen else f"Request {request}: {BECAME[outcome].lower()}."
    return Result(data, lambda screen: screen.line(text))


@command(
    privacy,
    "records",
    short_help="What is kept of people, what for, who is told.",
    epilog="Example: kohort privacy records --json > records.json",
)
def records(door: Door) -> Result:
    """Records of processing, made from what the workspace holds: kinds of data, purposes and who agreed, recipients, periods."""
    with door.open() as ws, door.progress():
        zone = ws.zone
        data = {**ws.privacy.records.register(), "agreed": ws.privacy.records.purposes()}
    return Result(data, lambda screen: _records(screen, data), zone=zone)


def _note(ws: Any, act: Any, case: dict[str, Any], about: str) -> None:
    from kohort.workspace.people import customer_keys

    told = f"request {case['number']}{', ' if about else ''}{about}"
    whom = customer_keys(ws.store.vault, [case["code"]]) if case["code"] else []
    ws.audit_log.note(act, by=machine_user(), about=told, customers=whom)


def _asked(screen: Screen, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        screen.line("Nobody asked anything yet. Write a request down with: kohort privacy ask NUMBER --kind KIND")
        return
    lines = [
        (
            str(r["number"]),
            ASKED[r["kind"]],
            r["customer"] or "(erased)",
            screen.day(r["due"]),
            BECAME[r["outcome"]] if r["done"] else "late" if r["late"] else "open",
        )
        for r in rows
    ]
    screen.table(
        [("number", "right"), ("asked", "left"), ("customer", "left"), ("due", "left"), ("became", "left")], lines
    )


def _records(screen: Screen, data: dict[str, Any]) -> None:
    people = data["people"]
    screen.line(f"{people['customers']:,} customer ids and {people['visitors']:,} visitors.")
    kinds = [
        (KINDS_OF_DATA[d["kind"]], d["name"], "" if d["count"] is None else f"{d['count']:,}") for d in data["data"]
    ]
    screen.table([("data", "left"), ("", "left"), ("how much", "right")], kinds)
    for one in data["agreed"]:
        screen.line(
            f"{one['purpose']}: {one['agreed']:,} agreed, {one['refused']:,} refused, "
            f"{one['never_asked']:,} were never asked."
        )
    told = ", ".join(dict.fromkeys(r["name"] for r in data["recipients"]))
    screen.line(f"Told: {told or 'nobody'}.")
    screen.line(f"Kept for: {data['kept_for'] or 'no period is set'}.")
