"""Commands that fetch rows from other systems: connect, sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.root import app
from kohort.errors import BadInput, NeedsAnswer, WrongUsage

if TYPE_CHECKING:
    from kohort.cli.screen import Screen
    from kohort.ingest.connect.run import Pulled
    from kohort.ingest.context_fetch import Fetched


@command(app, "connect", short_help="Fetch what is new from APIs, databases and object stores.")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--again", is_flag=True, help="From the beginning; rows that are known already add nothing.")
@click.option("--map", "map_file", metavar="FILE", help="Answers for a source that is read for the first time.")
def connect(door: Door, *, names: tuple[str, ...], again: bool, map_file: str | None) -> Result:
    """Fetch new rows of the connections in kohort.yaml (all of them, or those named) and store them.

    It can be interrupted at any moment and run as often as you like: it goes on where it was, and known rows add nothing.
    """
    from kohort.cli.mapping import read_map_file

    told = read_map_file(map_file) if map_file else {}
    if not isinstance(told, dict):
        hint = "Put the whole mapping under sources: in kohort.yaml; --map takes answers, such as kind: orders."
        raise BadInput("This file is a whole mapping.", code="bad_mapping", hint=hint)
    with door.open() as ws, door.progress() as progress:
        found = ws.connections.pull(names, again=again, answers=told, progress=progress)
    code = max((p.error.exit_code for p in found if p.error), default=0)
    return Result(_data(found), lambda screen: _shown(screen, found), code=code)


@command(app, "sources", short_help="Where rows come from, and how far each was read.")
def sources(door: Door) -> Result:
    """List the sources of kohort.yaml and the connections that feed them. Connects to nothing."""
    with door.open() as ws:
        connections = ws.connections.listed()
        mapped = [{"name": m.name, "kind": m.kind} for m in ws.config.sources]
    return Result({"sources": mapped, "connections": connections}, lambda s: _listed(s, mapped, connections))


def _data(found: list[Pulled]) -> dict[str, Any]:
    batches = [batch for p in found for batch in p.report.as_dict()["batches"]]
    counts = {k: sum(getattr(p.report, k) for p in found) for k in ("read", "stored", "duplicate", "rejected")}
    return {**counts, "batches": batches, "connections": [p.as_dict() for p in found]}


def _shown(screen: Screen, found: list[Pulled]) -> None:
    from kohort.cli.pages import ingested
    from kohort.model.source import IngestReport

    ingested(screen, IngestReport(tuple(b for p in found for b in p.report.batches)))
    for one in found:
        if one.error is None:
            continue
        screen.line(f"{one.error.code}: {one.error.message}", "bold")
        for question in one.error.questions if isinstance(one.error, NeedsAnswer) else ():
            screen.line(f"  - {question}")
        if one.error.hint:
            screen.line(f"  {one.error.hint}")


def _listed(screen: Screen, mapped: list[dict[str, Any]], connections: list[dict[str, Any]]) -> None:
    if not mapped and not connections:
        screen.line("No sources yet. Bring some in with: kohort ingest YOUR-FILES")
        return
    screen.table([("source", "left"), ("rows are", "left")], [(m["name"], m["kind"]) for m in mapped])
    if connections:
        screen.title("Connections")
        rows = [(c["name"], c["source"], c["place"], c["last_run"] or "never", _reached(c)) for c in connections]
        heads = ("connection", "source", "from", "last run", "read up to")
        screen.table([(head, "left") for head in heads], rows)


def _reached(connection: dict[str, Any]) -> str:
    if connection["last_run"] is None:
        return ""
    reached = connection["reached"]
    text = "all, each time" if reached is None else str(reached)
    return text if connection["complete"] else f"{text}, interrupted"


@command(
    app,
    "context",
    short_help="Series about the world around customers, and how well they fit.",
    epilog="Example: kohort context --fetch",
)
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option(
    "--fetch", is_flag=True, help="Fetch what is new of the series that have a connection, or of those named."
)
@click.option("--again", is_flag=True, help="With --fetch: from the beginning, however new they are.")
@click.option("--note", is_flag=True, help="Note what is known for every customer, for rules to ask for.")
@click.option("--as-of", metavar="DATE", help="With --note: as it was known at another moment.")
def context(door: Door, *, names: tuple[str, ...], fetch: bool, again: bool, note: bool, as_of: str | None) -> Result:
    """List the series under context: in kohort.yaml: what they hold, how late they are known, whom they reach.

    With --fetch what is new is fetched first, within requests_per_day; what is newer than refresh is not asked for.
    With --note the figures of series that say rules: are noted for every customer, so that rules can name them.
    """
    if not fetch and (names or again):
        raise WrongUsage("Names of series, and --again, belong to --fetch.")
    if as_of and not note:
        raise WrongUsage("--as-of belongs to --note.")
    with door.open() as ws:
        fetched = ws.context.fetch(names, again=again) if fetch else []
        noted = ws.context.note(as_of) if note else None
        series = ws.context.listed()
    data: dict[str, Any] = {"series": series, **({"fetched": [one.as_dict() for one in fetched]} if fetch else {})}
    data |= {"noted": noted} if noted is not None else {}
    code = max((one.error.exit_code for one in fetched if one.error), default=0)

    def shown(screen: Screen) -> None:
        for one in fetched:
            _fetched(screen, one)
        if noted is not None:
            screen.line(f"{noted['noted']:,} figures are noted, as of {screen.day(noted['as_of'])}.")
        _series(screen, series)

    return Result(data, shown, code=code)


def _fetched(screen: Screen, one: Fetched) -> None:
    if not one.asked:
        screen.line(f"{one.series}: new enough, nothing was asked.")
        return
    wrong = f", {one.unusable:,} unusable" if one.unusable else ""
    screen.line(f"{one.series}: {one.new:,} new, {one.corrected:,} corrected{wrong}; {one.requests:,} requests.")
    if one.error is not None:
        screen.line(f"{one.error.code}: {one.error.message} {one.error.hint}".rstrip())


def _series(screen: Screen, series: list[dict[str, Any]]) -> None:
    if not series:
        screen.line("No series yet. Name one under context: in kohort.yaml, see docs/context.md.")
        return
    for one in series:
        screen.title(one["name"])
        if (told := one["fetched"]) is not None:
            most = f" of {told['requests_per_day']:,}" if told["requests_per_day"] else ""
            screen.line(f"Fetched: {told['at'] or 'not yet'}; {told['requests_today']:,}{most} requests today.")
        left = ", ".join(f"{n:,} {code.replace('_', ' ')}" for code, n in one["left_out"].items())
        screen.line(f"{one['used']:,} of {one['read']:,} rows used{f'; left out: {left}' if left else ''}.")
        if one["used"]:
            screen.line(f"About {one['first']} to {one['last']}, known {one['delay_days']:.1f} days later (median).")
        if (people := one["customers"]) is not None:
            said = f"{people['with_area']:,} customers say where they are; of {people['led']:,} we know the area"
            screen.line(f"{said}, and {people['in_series']:,} areas are in the series.")
        if (errors := one["area_errors"]) is not None:
            low, high = 100 * errors["low"], 100 * errors["high"]
            screen.line(f"Of the checked areas {100 * errors['value']:.1f} % are wrong ({low:.1f} to {high:.1f} %).")
        screen.line(f"Features: {', '.join(one['features'])}.")
