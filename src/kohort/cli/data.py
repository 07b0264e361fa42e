"""Commands that bring data in and look at it: init, ingest, rejected, health, features, doctor."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import moment
from kohort.cli.root import app
from kohort.errors import NeedsAnswer

if TYPE_CHECKING:
    from kohort.model.source import SourceKind, SourceMapping
    from kohort.workspace.workspace import Workspace

KINDS = ("events", "orders", "customers")


@command(app, "init", short_help="Make a new workspace folder.")
@click.argument("folder", required=False)
@click.option("--name", help="What the business is called (default: the folder's name).")
@click.option("--timezone", default="UTC", show_default=True, help="Time zone of your days, e.g. Europe/London.")
@click.option("--currency", default="EUR", show_default=True, help="Currency that money is reported in, e.g. GBP.")
@click.option(
    "--business",
    type=click.Choice(["auto", "shop", "subscription", "b2b", "traits"]),
    default="auto",
    show_default=True,
    help="Which default features to start with; auto decides from the data.",
)
def init(door: Door, *, folder: str | None, name: str | None, timezone: str, currency: str, business: str) -> Result:
    """Make a new workspace: the folder FOLDER (or the one given with -w), empty or not there yet."""
    import kohort
    from kohort.cli.pages import workspace_made

    place = folder or door.folder
    with kohort.create(place, name=name, timezone=timezone, currency=currency, business=business) as ws:
        found = {"workspace": str(ws.root), "name": ws.name, "timezone": ws.zone, "currency": ws.currency}
    return Result(found, lambda screen: workspace_made(screen, found))


@command(app, "ingest", short_help="Read files of orders, events or customers.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--as", "kind", type=click.Choice(KINDS), help="What a row is, where the file does not make it plain.")
@click.option("--map", "map_file", metavar="FILE", help="A mapping to read the files with (as in kohort.yaml).")
def ingest(door: Door, *, paths: tuple[str, ...], kind: SourceKind | None, map_file: str | None) -> Result:
    """Read files, folders or patterns: CSV, Excel, JSON lines, Parquet.

    Reading the same rows again adds nothing. Rows that cannot be used are kept; see `kohort rejected list`.
    """
    from kohort.cli.pages import ingested

    with door.open() as ws:
        mapping = _mapping(door, ws, paths, kind, map_file)
        with door.progress() as progress:
            report = ws.ingest(*paths, kind=kind, mapping=mapping, progress=progress)
    return Result(report.as_dict(), lambda screen: ingested(screen, report))


@command(app, "health", short_help="Is the data good enough, and what is odd in it?")
@click.option("--refresh", is_flag=True, help="Look again even if nothing has changed.")
def health(door: Door, *, refresh: bool) -> Result:
    """Check the data: is it enough for segments, what is missing, doubled or odd, and what was done about it."""
    from kohort.cli.pages import data_health

    with door.open() as ws, door.progress() as progress:
        report = ws.health(refresh=refresh, progress=progress)
    return Result(report.as_dict(), lambda screen: data_health(screen, report))


@command(app, "features", short_help="One row per customer with what we know about them.")
@click.option("--as-of", metavar="T", help="At this moment: 2011-12-09 or 2011-12-09T12:50:00Z (default: the newest).")
@click.option("--out", metavar="FILE", help="Write the table: .csv or .parquet.")
def features(door: Door, *, as_of: str | None, out: str | None) -> Result:
    """Compute the features of every customer as they were at one moment."""
    from kohort.cli.files import check_ending, say_formulas, write_table
    from kohort.cli.pages import feature_list

    check_ending(out)
    with door.open() as ws, door.progress() as progress:
        at = moment(ws, as_of)
        if out and out.lower().endswith(".parquet") and ws.config.engine == "spark" and not ws.config.context:
            return _features_by_spark(ws, at, out)
        found = ws.features(as_of=at, progress=progress)
    for note in found.notes:
        door.note(f"Note: {note}")
    if out:
        say_formulas(door.note, write_table(found.to_arrow(), out))
    data = {
        "customers": len(found),
        "as_of": _iso(found.as_of),
        "features": [f.as_dict() for f in found.features],
        "warnings": list(found.notes),
        "out": out,
    }
    return Result(data, lambda screen: feature_list(screen, found, out))


def _features_by_spark(ws: Workspace, as_of: int | None, out: str) -> Result:
    """The file alone: this process never holds everybody who is in it."""
    at = ws.as_of() if as_of is None else as_of
    customers, infos = ws.write_features(out, at)
    listed = [f.as_dict() for f in infos]
    data = {"customers": customers, "as_of": _iso(at), "features": listed, "warnings": [], "out": out}
    said = f"{customers:,} customers with {len(infos)} features, written to {out}."
    return Result(data, lambda screen: screen.line(said, "bold"))


@command(app, "doctor", short_help="Is this installation and workspace in order?")
@click.option("--repair", is_flag=True, help="First write anew what follows from the rest (the Delta log).")
def doctor(door: Door, *, repair: bool) -> Result:
    """Check the workspace and the installation. Each thing that is wrong comes with what to do."""
    from dataclasses import asdict

    from kohort.cli.pages import checks_done
    from kohort.health import doctor as health_doctor

    if repair:
        with door.open() as ws:
            health_doctor.repair(ws.store)
    checks = health_doctor.run_checks(Path(door.folder))
    bad = [c for c in checks if not c.ok and c.severity == "problem"]
    data = {"ok": not bad, "failed": len(bad), "checks": [asdict(c) for c in checks]}
    return Result(data, lambda screen: checks_done(screen, checks), 1 if bad else 0)


@app.group("rejected", short_help="Rows that could not be used: list, export, retry.")
def rejected() -> None:
    """Rows that could not be used. None is lost: list them, take them out, fix them, read them again."""


@command(rejected, "list", short_help="Show rejected rows and why.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many to show.")
@click.option("--values", is_flag=True, help="Also show the rows themselves. They can hold names and addresses.")
def listed(door: Door, *, limit: int, values: bool) -> Result:
    """Show rejected rows: file, line, what is wrong."""
    from kohort.cli.pages import rejected_rows

    with door.open() as ws:
        rows = ws.rejected(limit=limit)
        waiting = sum(ws.store.state.rejected_counts().values())
    shown = [
        {"source": r.source, "file": r.file, "line": r.line, "code": r.code, "reason": r.reason, "column": r.column}
        | ({"row": dict(r.raw)} if values else {})
        for r in rows
    ]
    return Result({"rejected": waiting, "rows": shown}, lambda screen: rejected_rows(screen, shown, waiting))


@command(rejected, "export", short_help="Write rejected rows to a CSV file, to fix them.")
@click.option("--out", required=True, metavar="FILE", help="The CSV file to write.")
def export(door: Door, *, out: str) -> Result:
    """Write all rejected rows, with what is wrong, to a CSV file that you can correct."""
    from kohort.cli.files import check_ending
    from kohort.views.words import plural

    check_ending(out, (".csv",))
    with door.open() as ws:
        rows = ws.export_rejected(out)
    text = f"{plural(rows, 'row')} written to {out}. Correct there, then: kohort rejected retry {quote(out)}"
    if not rows:
        text = f"No rejected rows wait; {out} holds the column names only."
    return Result({"rows": rows, "out": out}, lambda screen: screen.line(text))


@command(rejected, "retry", short_help="Read rejected rows again, as they are or corrected.")
@click.argument("file", required=False)
def retry(door: Door, *, file: str | None) -> Result:
    """Read the rejected rows again: as they are, or corrected in FILE (from `kohort rejected export`)."""
    from kohort.cli.pages import ingested

    with door.open() as ws, door.progress() as progress:
        report = ws.retry_rejected(file, progress=progress)
    return Result(report.as_dict(), lambda screen: ingested(screen, report))


def _mapping(
    door: Door, ws: Workspace, paths: tuple[str, ...], kind: SourceKind | None, map_file: str | None
) -> SourceMapping:
    """How to read the files: as told, as stored, or as we propose, which is shown before anything is read."""
    from kohort.cli.mapping import read_map_file
    from kohort.cli.pages import mapping_proposed

    told = read_map_file(map_file) if map_file else {}
    if not isinstance(told, dict):
        return told
    stored = None if told else ws.stored_mapping(paths, kind=kind)
    if stored is not None:
        return stored
    try:
        proposal = ws.propose(paths, kind=kind, answers=told)
    except NeedsAnswer as error:
        hint = "Write the answers into a file and give it with --map. What a row is can also be said with --as."
        raise NeedsAnswer(error.message, error.questions, hint=hint) from error
    if not door.as_json:
        mapping_proposed(door.notes, proposal)
    return proposal.mapping


def _iso(us: int | None) -> str | None:
    from kohort.model.clock import iso

    return None if us is None else iso(us)
