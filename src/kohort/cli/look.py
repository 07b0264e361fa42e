"""Commands that look at what is there: members, report, serve, conformance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import PORT, moment
from kohort.cli.root import app
from kohort.model.serving import SERVE_HOST, SERVE_PORT


@command(app, "members", short_help="Who is in which segment, since when and why.")
@click.argument("name")
@click.option("--as-of", metavar="T", help="At this moment: 2011-12-09 or 2011-12-09T12:50:00Z.")
@click.option("--out", metavar="FILE", help="Write the table: .csv or .parquet.")
def members(door: Door, *, name: str, as_of: str | None, out: str | None) -> Result:
    """Everybody with their segment of NAME: customer_id, segment, since, confidence, reason."""
    from kohort.cli.files import check_ending, say_formulas, write_table
    from kohort.cli.pages import member_counts
    from kohort.model.clock import iso
    from kohort.workspace.members import run_shown

    check_ending(out)
    with door.open() as ws:
        asked = moment(ws, as_of)
        table, shown, zone = ws.members(name, as_of=asked), run_shown(ws, name, asked), ws.zone
    if out:
        say_formulas(door.note, write_table(table, out))
    counted = _counts(table)
    data = {"name": name, "customers": table.num_rows, "segments": counted, "out": out}
    data["run_as_of"] = None if shown is None else iso(shown)
    return Result(data, lambda screen: member_counts(screen, data), zone=zone)


@command(app, "conformance", short_help="Does an engine decide every case as documented?")
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True)
def conformance(door: Door, *, engine: Any) -> Result:
    """Run every case of the conformance suite on an engine and compare with the documented answers.

    The cases and their answers are the table of docs/semantics.md. No workspace is needed. Exit code 1 where one differs.
    """
    from kohort.cli.segment_look_pages import cases_shown
    from kohort.segments.conform import run_conformance
    from kohort.testing.conformance.cases import all_cases, all_refusals

    with door.progress():
        data = run_conformance(engine)
    asked = [*((c.code, c.says) for c in all_cases()), *((r.code, r.says) for r in all_refusals())]
    return Result(data, lambda screen: cases_shown(screen, data, asked), 1 if data["differ"] else 0)


@command(app, "report", short_help="One HTML file with everything, to send around.")
@click.option("--out", default="report.html", show_default=True, metavar="FILE", help="The file to write.")
def report(door: Door, *, out: str) -> Result:
    """Write the report: one HTML file that needs nothing else, not even the network."""
    from kohort.cli.files import check_ending

    check_ending(out, (".html",))
    with door.open() as ws, door.progress():
        place = ws.report(out)
    return Result({"out": str(place)}, lambda screen: screen.line(f"The report is in {place}."))


@command(
    app,
    "serve",
    short_help="Show the pages, take events, keep everything current.",
    epilog="Example: kohort serve --port 8080 --log json",
)
@click.option("--host", default=SERVE_HOST, show_default=True, help="Address to listen on.")
@click.option("--port", type=PORT, default=SERVE_PORT, show_default=True, help="Port; 0 = any free one.")
@click.option("--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Lines on stderr.")
@click.option(
    "--login", is_flag=True, help="Everybody logs in, also on this machine; prints a word for the first user."
)
@click.option("--plain-http", "plain", is_flag=True, help="Let people log in over connections that are not encrypted.")
def serve(door: Door, *, host: str, port: int, log: Any, login: bool, plain: bool) -> Result:
    """Serve the pages of the workspace, on this machine only unless told otherwise, until Ctrl-C.

    As soon as there is a user (kohort users add), everybody logs in. Without one the pages are open to whoever works at this
    machine, and to nobody else: another --host is refused. See docs/security.md.

    With a key of scope ingest (kohort keys add shop --scope ingest) it also takes events at /v1/…, and keeps every segment
    current: an event counts at once, and time alone does at its exact instant. Programs read with a key of scope read:
    /v1/customers/NUMBER, /v1/segments, /v1/stream. For monitoring: /health, /ready, /metrics. See docs/operations.md.
    """
    from kohort.cli.serving import CannotServe
    from kohort.cli.serving import serve as start
    from kohort.health.doctor import weak_secret

    weak = weak_secret(Path(door.folder))
    if weak is not None:
        raise CannotServe(weak.text, hint=weak.fix)
    with door.open() as ws:
        folder, users = Path(ws.root), ws.store.users.any()
    start(folder, host=host, port=port, log=log, users=users, login=login, plain=plain)
    return Result({"served": str(folder)}, lambda screen: None)


def _counts(table: Any) -> dict[str, int]:
    import pyarrow.compute as pc

    counted = pc.value_counts(table.column("segment")).to_pylist()
    return {str(c["values"]) if c["values"] is not None else "": c["counts"] for c in counted}
