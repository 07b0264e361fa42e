"""The group `privacy`: what people may ask about their data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import machine_user, moment
from kohort.cli.root import app
from kohort.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kohort.cli.screen import Screen
    from kohort.workspace.workspace import Workspace

PEOPLE_FILE = click.Path(exists=True, dir_okay=False)
FORBIDDEN = {"objection": "being profiled", "restriction": "being used at all"}
_STORES = {
    "vault": "ids with their keys",
    "events": "events",
    "transitions": "entries and exits",
    "memberships": "memberships that went on",
    "rejected_rows": "rejected rows",
    "links": "links between ids",
    "merges": "decisions about who is one customer",
    "reasons": "reasons of other decisions",
    "by_hand": "mentions in lists by hand",
    "feedback": "votes about where somebody belongs",
    "deliveries": "deliveries",
    "examples": "example customers",
    "model_rows": "rows in saved models",
    "looks": "entries of the audit log",
}


@app.group("privacy", short_help="What people may ask about their data.")
def privacy() -> None:
    """Requests of persons about their data.

    \b
    kohort privacy erase 14127
    kohort privacy erase --file leavers.txt
    kohort privacy export 14127 --out her.html
    kohort privacy scan --file identifiers.txt
    kohort privacy consent 14127
    kohort privacy object 14127
    kohort privacy rectify 14127 --kind email --ask
    kohort privacy retention
    kohort privacy requests
    """


@command(privacy, "erase", short_help="Erase people from everywhere.", epilog="Example: kohort privacy erase 14127")
@click.argument("numbers", metavar="NUMBER…", nargs=-1)
@click.option("--file", "path", type=PEOPLE_FILE, help="A text file with one customer number a line.")
@click.option("--unfinished", is_flag=True, help="Only go on with what was interrupted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(door: Door, *, numbers: tuple[str, ...], path: str | None, unfinished: bool, yes: bool) -> Result:
    """Erase customers, by the company's customer numbers, with every id that leads to them. It cannot be undone.

    Keys, identifiers, events, memberships, lists, deliveries and rejected rows go; what comes in about them later is refused.
    The receipt says what went and what remains to be done. A server may go on meanwhile; interrupted, it is run again.
    """
    wanted = numbers_given(numbers, path)
    if unfinished and wanted:
        raise WrongUsage("--unfinished only goes on; it takes no numbers.")
    if not unfinished and not _sure(door, len(wanted), yes):
        raise click.Abort
    with door.open() as ws, door.progress() as progress:
        zone = ws.zone
        if unfinished:
            receipts = ws.privacy.finish(progress=progress)
            return Result({"receipts": receipts}, lambda screen: _finished(screen, receipts), zone=zone)
        data = ws.privacy.erase(wanted, progress=progress)
        if data["request"] is not None:
            ws.audit_log.note("erased", by=machine_user(), about=data["request"])
    return Result(data, lambda screen: _receipt(screen, data), zone=zone)


@command(
    privacy,
    "export",
    short_help="Everything about one person.",
    epilog="Example: kohort privacy export 14127 --out her.html",
)
@click.argument("number", metavar="NUMBER")
@click.option(
    "--out", metavar="FILE", help="A page to read (.html), or for programs (.json; .csv with the events only)."
)
def export(door: Door, *, number: str, out: str | None) -> Result:
    """Give out everything that is kept about a customer: identities, events, segments with why and since when, what was worked
    out about her, consent, who was told, where it came from. The file is for this user alone.
    """
    with door.open() as ws:
        zone = ws.zone
        _note_export(ws, number)
        data = ws.privacy.write_export(number, out) if out else ws.privacy.export(number)

    def shown(screen: Screen) -> None:
        kinds = ", ".join(data["identities"]) or "nothing"
        screen.line(f"Known by {kinds}; {len(data['events']):,} events from {len(data['sources']):,} sources.")
        for one in data["segments"]:
            screen.line(f"In {one['segment']} since {screen.day(one['since'])}. {one['because'] or ''}".rstrip())
        screen.line(f"Written to {out}." if out else "Write all of it with --out her.html, her.json or her.csv.")

    return Result(data, shown, zone=zone)


@command(
    privacy,
    "consent",
    short_help="What somebody agreed to, and writing it down.",
    epilog="Example: kohort privacy consent 14127 --grant marketing --source 'paper form' --proof 'folder 12, page 3'",
)
@click.argument("number", metavar="NUMBER")
@click.option("--grant", metavar="PURPOSE", help="She agreed to this purpose.")
@click.option("--withdraw", metavar="PURPOSE", help="She refused it, or took her consent back.")
@click.option("--source", default="", help="Where she said it.")
@click.option("--proof", default="", help="Where that can be seen.")
@click.option("--at", "said", metavar="DATE", help="When she said it; now where it is left out.")
def consent(
    door: Door, *, number: str, grant: str | None, withdraw: str | None, source: str, proof: str, said: str | None
) -> Result:
    """Show what a customer said about each purpose, with source and proof, and what holds now; or write a statement down.

    Purposes are those below `consent:` in kohort.yaml. Segments and triggers with a purpose follow the statement at the next
    run or tick. Source and proof are sealed with the key of the person.
    """
    if grant and withdraw:
        raise WrongUsage("One statement at a time: --grant or --withdraw.")
    purpose = grant or withdraw
    if not purpose and (source or proof or said):
        raise WrongUsage("Say what about: --grant PURPOSE or --withdraw PURPOSE.")
    with door.open() as ws:
        zone = ws.zone
        if purpose:
            about: dict[str, Any] = {"source": source, "proof": proof, "at": moment(ws, said) if said else None}
            data = ws.privacy.record_consent(number, purpose, bool(grant), **about)
        else:
            data = ws.privacy.consent(number)
    return Result(data, lambda screen: _consent(screen, data), zone=zone)


@command(privacy, "requests", short_help="Every request, and its receipt.", epilog="Example: kohort privacy requests")
def requests(door: Door) -> Result:
    """List all requests with what became of them. Receipts name nobody."""
    with door.open() as ws:
        zone, rows = ws.zone, ws.privacy.requests()

    def shown(screen: Screen) -> None:
        if not rows:
            screen.line("There were no requests.")
            return
        lines = [(r["request"], screen.day(r["asked_at"]), r["step"], f"{r.get('people', 0):,}") for r in rows]
        screen.table([("request", "left"), ("asked", "left"), ("step", "left"), ("people", "right")], lines)

    return Result({"requests": rows}, shown, zone=zone)


@command(
    privacy, "scan", short_help="Look for people in every file.", epilog="Example: kohort privacy scan --file ids.txt"
)
@click.argument("texts", metavar="IDENTIFIER…", nargs=-1)
@click.option(
    "--file", "path", type=PEOPLE_FILE, help="A text file with one identifier a line: better than typing them."
)
def scan(door: Door, *, texts: tuple[str, ...], path: str | None) -> Result:
    """Look for identifiers in every file of the workspace, unpacking and opening whatever is packed or sealed.

    Some people who are there are looked for as well: if they are not found, finding nothing proves nothing. Exit code 1 where
    something was found, or where the search proves nothing.
    """
    wanted = numbers_given(texts, path)
    if not wanted:
        raise WrongUsage("Say what to look for.", hint="Give identifiers, or a file with one a line.")
    with door.open() as ws, door.progress():
        found = ws.privacy.scan(wanted)
        zone = ws.zone

    def shown(screen: Screen) -> None:
        screen.line(f"{found.files:,} files searched, {found.bytes / 1e6:,.1f} MB.")
        for hit in found.hits:
            screen.line(
                f"Line {hit.needle + 1} of what you look for is in {hit.file} ({hit.packed or 'as it lies there'})."
            )
        if not found.hits:
            screen.line("Nothing was found.")
        if found.short:
            screen.line(f"{found.short:,} were too short to be looked for: such texts stand everywhere.")
        if not found.proves:
            screen.line("The search did not find people who are there: it proves nothing.")

    return Result(found.as_dict(), shown, 0 if not found.hits and found.proves else 1, zone=zone)


def numbers_given(given: Sequence[str], path: str | None) -> list[str]:
    """What was typed, and what a file lists below it."""
    from kohort.workspace.privacy import numbers_in

    return [*given, *(numbers_in(path) if path else ())]


def _consent(screen: Screen, data: dict[str, Any]) -> None:
    if data.get("new") is False:
        screen.line("That was written down before.")
    for one in (limit for limit in data["limits"] if limit["holds"]):
        screen.line(f"She forbids: {FORBIDDEN[one['limit']]}.")
    if not data["consent"]:
        screen.line("No purpose asks for consent: see `consent:` in kohort.yaml.")
    for one in data["consent"]:
        screen.line(f"{one['purpose']}: {'agreed' if one['agreed'] else 'not agreed'}.")
        rows = [
            (screen.day(s["at"]), "yes" if s["agreed"] else "no", s["source"], s["proof"]) for s in one["statements"]
        ]
        if rows:
            screen.table([("said on", "left"), ("", "left"), ("source", "left"), ("proof", "left")], rows)


def _sure(door: Door, people: int, yes: bool) -> bool:
    """Asks where somebody sits; a program knows what it does."""
    if yes or door.as_json or not sys.stdin.isatty():
        return True
    whom = "one person" if people == 1 else f"{people:,} people"
    return click.confirm(f"Erase {whom} for ever?", err=True)


def _note_export(ws: Workspace, number: str) -> None:
    """Who gives out everything about somebody stands in the audit log before it is given out."""
    from kohort.workspace.people import customer_keys

    ws.audit_log.note("exported", by=machine_user(), customers=customer_keys(ws.store.vault, [number]))


def _finished(screen: Screen, receipts: list[dict[str, Any]]) -> None:
    if not receipts:
        screen.line("Nothing was unfinished.")
    for receipt in receipts:
        _receipt(screen, receipt)


def _receipt(screen: Screen, data: dict[str, Any]) -> None:
    if data["request"] is None:
        screen.line("Nothing to do: erased already.")
        return
    whom = "One person is" if data["people"] == 1 else f"{data['people']:,} people are"
    screen.line(f"{whom} erased ({data['request']}).")
    lines = [(text, f"{data['stores'][name]:,}") for name, text in _STORES.items() if data["stores"].get(name)]
    if lines:
        screen.table([("what went", "left"), ("", "right")], lines)
    for recipient in data.get("recipients", ()):
        screen.line(f"{recipient['destination']} had been told about them {recipient['deliveries']:,} times: tell it.")
    for one in data.get("remaining", ()):
        screen.line(one["text"])
