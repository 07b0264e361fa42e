"""Commands that find segments: discover, and demo, which does everything once on a real shop."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import PORT, GroupCount, moment
from kohort.cli.root import app
from kohort.errors import WrongUsage
from kohort.model.serving import SERVE_HOST, SERVE_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from kohort.model.feature import FeatureTable
    from kohort.model.segmentation import Segmentation

ALGORITHMS = ("auto", "kmeans", "hierarchical", "hdbscan", "mixture")
OUT_ENDINGS = (".csv", ".parquet", ".json")
DEMO_NAME = "Main"


@command(app, "discover", short_help="Find groups of customers that behave alike.")
@click.option("--table", metavar="FILE", help="Work on this table (CSV or Parquet) instead of a workspace.")
@click.option(
    "--id", "id_column", metavar="COLUMN", help="Which column of --table says who it is (default: the first)."
)
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default="auto", show_default=True, help="Way of grouping.")
@click.option("--k", type=GroupCount(), default="auto", show_default=True, help="Number of groups, or auto.")
@click.option("--micro", is_flag=True, help="Also cut each group into small slices, 50 to 100 in all.")
@click.option(
    "--labels",
    metavar="COLUMN",
    help="Column that holds groups of your own, to compare; it takes no part in the grouping.",
)
@click.option(
    "--map",
    "map_method",
    type=click.Choice(["pca", "tsne"]),
    default="pca",
    show_default=True,
    help="How the map is drawn; tsne takes longer and needs the extra `map`.",
)
@click.option(
    "--representation",
    type=click.Choice(["features", "pca", "autoencoder"]),
    default="features",
    show_default=True,
    help="What groups are found on; autoencoder only where it is better than pca, and the result says so.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="For repeating a run.")
@click.option("--as-of", metavar="T", help="Look at the customers as they were at this moment.")
@click.option("--adopt", metavar="NAME", help="Keep the result as the segmentation of this name.")
@click.option("--out", metavar="FILE", help="Who is in which segment as .csv or .parquet; everything found as .json.")
def discover(
    door: Door, *, table: str | None, adopt: str | None, as_of: str | None, out: str | None, **how: Any
) -> Result:
    """Compare ways of grouping and numbers of groups, and explain the one that holds best.

    Exits with 3 where no grouping holds: that is an answer too. Then value tiers are proposed instead.
    """
    from kohort.cli.files import check_ending
    from kohort.cli.pages import segmentation_found

    check_ending(out, OUT_ENDINGS)
    if table is not None:
        if adopt or as_of:
            raise WrongUsage("--adopt and --as-of need a workspace; they do not go with --table.")
        found = _discover_table(door, table, out=out, **how)
    else:
        if how["id_column"]:
            raise WrongUsage("--id goes with --table.", hint="In a workspace every customer has a number already.")
        found = _discover_workspace(door, adopt=adopt, as_of=as_of, out=out, **how)
    honest_none = found.structure.verdict == "none" and how["k"] is None
    return Result(found.as_dict(), lambda screen: segmentation_found(screen, found), 3 if honest_none else 0)


@command(app, "demo", short_help="Segments of a real shop, from raw files, in one go.")
@click.option("--dir", "folder", default="demo-shop", show_default=True, help="Folder to make the workspace in.")
@click.option("--no-serve", is_flag=True, help="Stop after the segments; do not start the pages.")
@click.option("--port", type=PORT, default=SERVE_PORT, show_default=True, help="Port of the pages.")
def demo(door: Door, *, folder: str, no_serve: bool, port: int) -> Result:
    """Two years of a real online gift shop, messy as delivered: read, checked, grouped, explained, shown.

    The data is bundled (Online Retail II, CC BY 4.0). Running it again gives the same segments.
    """
    from kohort.cli.demo import make_demo
    from kohort.cli.pages import demo_done
    from kohort.cli.serving import serve

    started = time.monotonic()
    with door.progress() as progress:
        rows, found = make_demo(Path(folder), DEMO_NAME, progress=progress, with_pages=not no_serve)
    data = {
        "rows": rows,
        "customers": found.customers,
        "seconds": round(time.monotonic() - started, 1),
        "workspace": folder,
        "segmentation": found.as_dict(),
    }
    after = None if no_serve else lambda: serve(Path(folder), host=SERVE_HOST, port=port)
    return Result(data, lambda screen: demo_done(screen, data, found), then=after)


def _discover_workspace(
    door: Door, *, adopt: str | None, as_of: str | None, out: str | None, id_column: None, **how: Any
) -> Segmentation:
    import pyarrow as pa

    from kohort.workspace.people import company_numbers

    with door.open() as ws:
        when = moment(ws, as_of)
        with door.progress() as progress:
            found = ws.discover(as_of=when, progress=progress, **how)
        if adopt and found.segmentation.segments:
            found.adopt(adopt)
        if out and out.lower().endswith(".json"):
            _write_json(out, found.segmentation)
        elif out:
            ids = pa.array(company_numbers(ws.store.vault, found.table.ids.to_numpy()), pa.string())
            labels = _labels(found.segmentation, found.groups, found.segment_of)
            columns = {"customer_id": ids, "segment": labels, "confidence": found.confidence}
            _write_people(door, out, columns, _unknown(found.table, found))
        segmentation: Segmentation = found.segmentation
        return segmentation


def _discover_table(
    door: Door,
    file: str,
    *,
    id_column: str | None,
    out: str | None,
    **how: Any,
) -> Segmentation:
    from kohort.discovery.discover import discover, read_table
    from kohort.engines.duck import threads_setting

    table = read_table(file, id=id_column)
    with door.progress() as progress:
        found = discover(table, threads=threads_setting(), progress=progress, **how)
    if out and out.lower().endswith(".json"):
        _write_json(out, found.segmentation)
    elif out:
        names = _labels(found.segmentation, found.grouping.labels, found.segment_of)
        columns = {table.key: table.ids, "segment": names, "confidence": found.grouping.confidence}
        _write_people(door, out, columns, _unknown(table, found))
    segmentation: Segmentation = found.segmentation
    return segmentation


def _labels(found: Segmentation, groups: np.ndarray, segment_of: Sequence[str]) -> list[str | None]:
    """Name of each customer's segment; None = left out."""
    titles = {s.id: s.name for s in found.segments}
    names = [titles.get(s, s) for s in segment_of]
    return [names[g] if 0 <= g < len(names) else None for g in groups.tolist()]


def _unknown(table: FeatureTable, found: Any) -> list[str]:
    from kohort.discovery.layers import unknown_words

    return unknown_words(table, found.segmentation.layers)


def _write_people(door: Door, out: str, columns: dict[str, Any], unknown: list[str]) -> None:
    import numpy as np
    import pyarrow as pa

    from kohort.cli.files import say_formulas, write_table

    left_out = [s is None for s in columns["segment"]]
    columns["segment"] = pa.array(columns["segment"], pa.string())
    columns["confidence"] = pa.array(columns["confidence"], pa.float32(), mask=np.array(left_out))
    if any(unknown):
        columns["unknown"] = pa.array(unknown, pa.string())
    say_formulas(door.note, write_table(pa.table(columns), out))


def _write_json(out: str, found: Segmentation) -> None:
    import json

    from kohort.cli.files import replacing

    with replacing(out) as part:
        Path(part).write_text(json.dumps(found.as_dict(), allow_nan=False, default=str), encoding="utf-8")
