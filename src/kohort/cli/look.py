"""Commands that look at segments: segments, members, report, serve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import PORT, moment
from kohort.cli.root import app
from kohort.errors import NotEnough, NotFound
from kohort.model.serving import SERVE_HOST, SERVE_PORT

if TYPE_CHECKING:
    from kohort.model.segmentation import Segmentation
    from kohort.workspace.workspace import Workspace


@app.group("segments", short_help="List, show, adopt, run and rename segments.")
def segments() -> None:
    """Segmentations of a workspace: those found and those adopted under a name."""


@command(segments, "list", short_help="All segmentations.")
def listed(door: Door) -> Result:
    """List what was found and what was adopted under a name, oldest first."""
    from kohort.cli.pages import segmentation_list
    from kohort.model.clock import iso

    with door.open() as ws:
        rows = [{**r, "created": iso(r["created_us"])} for r in ws.segmentations()]
    for row in rows:
        del row["created_us"]
    return Result({"segmentations": rows}, lambda screen: segmentation_list(screen, rows))


@command(segments, "show", short_help="The segments of one segmentation.")
@click.argument("name", required=False)
def show(door: Door, *, name: str | None) -> Result:
    """Show the segments of NAME (default: the adopted one, else the latest found)."""
    from kohort.cli.pages import segmentation_found

    with door.open() as ws:
        found = _segmentation(ws, name)
    return Result(found.as_dict(), lambda screen: segmentation_found(screen, found))


@command(segments, "adopt", short_help="Keep what was found last under a name.")
@click.argument("name")
def adopt(door: Door, *, name: str) -> Result:
    """Keep the latest result of `kohort discover` as the segmentation NAME, with everybody's membership."""
    from kohort.cli.pages import adopted

    with door.open() as ws, door.progress() as progress:
        found = ws.adopt(name, progress=progress)
    return Result(found, lambda screen: adopted(screen, found))


@command(segments, "run", short_help="Assign everybody again on newer data; who moved?")
@click.argument("name")
@click.option("--as-of", metavar="T", help="At this moment (default: the newest event).")
def run(door: Door, *, name: str, as_of: str | None) -> Result:
    """Assign everybody on later data. Segments keep their names and meaning; the result says who moved."""
    from kohort.cli.pages import moved

    with door.open() as ws, door.progress() as progress:
        movement = ws.run(name, as_of=moment(ws, as_of), progress=progress)
    return Result(movement.as_dict(), lambda screen: moved(screen, movement))


@command(segments, "rename", short_help="Give a segment a name of your own.")
@click.argument("name")
@click.argument("segment")
@click.argument("new_name")
def rename(door: Door, *, name: str, segment: str, new_name: str) -> Result:
    """In the segmentation NAME, call SEGMENT (its id or its name) NEW_NAME."""
    with door.open() as ws:
        ws.rename(name, segment, new_name)
    data = {"segmentation": name, "segment": segment, "name": new_name}
    return Result(data, lambda screen: screen.line(f"{segment} is now called {new_name}."))


@command(app, "members", short_help="Who is in which segment, since when and why.")
@click.argument("name")
@click.option("--as-of", metavar="T", help="At this moment: 2011-12-09 or 2011-12-09T12:50:00Z.")
@click.option("--out", metavar="FILE", help="Write the table: .csv or .parquet.")
def members(door: Door, *, name: str, as_of: str | None, out: str | None) -> Result:
    """Everybody with their segment of NAME: customer_id, segment, since, confidence, reason."""
    from kohort.cli.files import check_ending, say_formulas, write_table
    from kohort.cli.pages import member_counts

    check_ending(out)
    with door.open() as ws:
        table = ws.members(name, as_of=moment(ws, as_of))
    if out:
        say_formulas(door.note, write_table(table, out))
    counted = _counts(table)
    data = {"name": name, "customers": table.num_rows, "segments": counted, "out": out}
    return Result(data, lambda screen: member_counts(screen, data))


@command(app, "report", short_help="One HTML file with everything, to send around.")
@click.option("--out", default="report.html", show_default=True, metavar="FILE", help="The file to write.")
def report(door: Door, *, out: str) -> Result:
    """Write the report: one HTML file that needs nothing else, not even the network."""
    from kohort.cli.files import check_ending

    check_ending(out, (".html",))
    with door.open() as ws, door.progress():
        place = ws.report(out)
    return Result({"out": str(place)}, lambda screen: screen.line(f"The report is in {place}."))


@command(app, "serve", short_help="Show the pages in a browser.")
@click.option("--host", default=SERVE_HOST, show_default=True, help="Address to listen on.")
@click.option("--port", type=PORT, default=SERVE_PORT, show_default=True, help="Port; 0 = any free one.")
def serve(door: Door, *, host: str, port: int) -> Result:
    """Serve the pages of the workspace, on this machine only unless told otherwise, until Ctrl-C."""
    from kohort.cli.serving import CannotServe
    from kohort.cli.serving import serve as start
    from kohort.health.doctor import weak_secret

    weak = weak_secret(Path(door.folder))
    if weak is not None:
        raise CannotServe(weak.text, hint=weak.fix)
    with door.open() as ws:
        folder = Path(ws.root)
    start(folder, host=host, port=port)
    return Result({"served": str(folder)}, lambda screen: None)


def _segmentation(ws: Workspace, name: str | None) -> Segmentation:
    found = ws.segmentation(name)
    if found is not None:
        return found
    if name is not None:
        raise NotFound("segmentation", name, [str(s["name"]) for s in ws.segmentations() if s["name"]])
    raise NotEnough("Nothing was found yet.", hint="Run: kohort discover")


def _counts(table: Any) -> dict[str, int]:
    import pyarrow.compute as pc

    counted = pc.value_counts(table.column("segment")).to_pylist()
    return {str(c["values"]) if c["values"] is not None else "": c["counts"] for c in counted}
