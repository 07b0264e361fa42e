"""The group `identity`: which records are one customer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.root import app
from kohort.errors import BadInput, NotFound, UnreadableFile, WrongUsage

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from kohort.cli.screen import Screen

_MISSING = ["", "NULL", "null", "NA", "NaN", "nan"]


@app.group("identity", short_help="Which records are one customer.")
def identity() -> None:
    """Find records of one customer that were entered more than once, in different ways. Needs the extra `identity`.

    \b
    kohort identity dedupe customers.csv --id number --out groups.csv
    kohort identity run --dry-run
    kohort identity review
    """


@command(
    identity,
    "dedupe",
    short_help="Find doubles in a plain table.",
    epilog="Example: kohort identity dedupe customers.csv --id number --region DK --out groups.csv",
)
@click.argument("table", metavar="TABLE")
@click.option("--id", "id_column", metavar="COLUMN", help="Which column says which record it is (default: the first).")
@click.option(
    "--column",
    "columns",
    metavar="ROLE=COLUMN",
    multiple=True,
    help="What a column holds, e.g. surname=name2; default: by its name.",
)
@click.option(
    "--region", default="NL", show_default=True, metavar="CC", help="Country whose telephone numbers need no prefix."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Probability from which records are joined (default: where F1 is expected to be best).",
)
@click.option(
    "--truth", metavar="COLUMN", help="Column that says who it really is: measured against, never read for finding."
)
@click.option("--out", metavar="FILE", help="Record, group and confidence as .csv or .parquet.")
def dedupe(
    door: Door,
    *,
    table: str,
    id_column: str | None,
    columns: Sequence[str],
    region: str,
    threshold: float | None,
    truth: str | None,
    out: str | None,
) -> Result:
    """Find records of TABLE (CSV or Parquet, no workspace needed) that are one customer. Nothing of it is kept.

    Confidence is the probability of the surest pair that ties a record to its group; of a record alone, that it is alone.
    """
    from kohort.cli.files import check_ending, write_table
    from kohort.identity.likely import likely
    from kohort.identity.measure import pairwise

    check_ending(out)
    records = read_texts(Path(table))
    key = id_column or records.column_names[0]
    for name in (key, truth):
        if name is not None and name not in records.column_names:
            raise NotFound("column", name, records.column_names)
    given = records.drop_columns([name for name in {key, truth} if name is not None])
    found = likely(given, region=region.upper(), roles=_roles(columns), threshold=threshold)
    sizes = _sizes(found.customer)
    expected = found.curve.at(found.threshold)
    data: dict[str, Any] = {
        "records": records.num_rows,
        "clusters": len(sizes),
        "doubles": records.num_rows - len(sizes),
        "threshold": found.threshold,
        "expected": {"precision": expected[0], "recall": expected[1]},
        "to_review": found.review().num_rows,
        "left_out": {role: dict(counts) for role, counts in found.problems.items() if counts},
        "seconds": round(sum(found.seconds.values()), 2),
    }
    if truth is not None:
        data["pairs"] = pairwise(found.customer, records.column(truth).to_pylist())
    if out is not None:
        import pyarrow as pa

        confidence = _confidence(found.customer, found.pairs)
        groups = {
            key: records.column(key),
            "cluster": records.column(key).take(pa.array(found.customer)),
            "confidence": confidence,
        }
        write_table(pa.table({name: groups[name] for name in groups}), out)

    def shown(screen: Screen) -> None:
        screen.line(f"{data['records']:,} records are {data['clusters']:,} customers: {data['doubles']:,} doubles.")
        screen.line(
            f"Expected of this: {expected[0]:.0%} of the pairs right, {expected[1]:.0%} of those compared found."
        )
        if data["to_review"]:
            screen.line(f"{data['to_review']:,} pairs are too uncertain to tell.")
        if "pairs" in data:
            screen.line(
                "Measured: precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f}.".format(**data["pairs"])
            )

    return Result(data, shown)


def _roles(columns: Sequence[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for text in columns:
        role, equals, name = text.partition("=")
        if not equals:
            raise WrongUsage("After --column comes ROLE=COLUMN.", hint="For example: --column surname=last")
        found[role.strip()] = name.strip()
    return found or None


def read_texts(file: Path) -> pa.Table:
    """A table of texts (CSV or Parquet); empty cells are missing.

    Raises:
        UnreadableFile: It is none.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    if not file.is_file():
        raise UnreadableFile("The file does not exist.", place=file.name)
    try:
        if file.suffix.lower() == ".parquet":
            data = pq.ParquetFile(file).read()
            return data.cast(pa.schema([(name, pa.string()) for name in data.column_names]))
        with file.open("rb") as opened:
            head = opened.readline().decode("utf-8-sig", "replace")
        delimiter = max(",;\t|", key=head.count)
        read = csv.ReadOptions(
            column_names=[name.strip().strip('"') for name in head.rstrip("\r\n").split(delimiter)], skip_rows=1
        )
        texts = {name: pa.string() for name in read.column_names}
        how = csv.ConvertOptions(column_types=texts, strings_can_be_null=True, null_values=_MISSING)
        found = csv.read_csv(
            file,
            read_options=read,
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=how,
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableFile("The file is not a table in UTF-8 with one header line.", place=file.name) from error
    if len(set(found.column_names)) < len(found.column_names):
        raise BadInput("Two columns have the same name.", place=file.name)
    if not found.num_rows:
        raise UnreadableFile("The table has no rows.", place=file.name)
    return found


def _sizes(customer: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.asarray(np.unique(customer, return_counts=True)[1])


def _confidence(customer: np.ndarray, pairs: pa.Table) -> np.ndarray:
    """For each record how sure its group is."""
    import numpy as np

    left, right = (pairs.column(name).to_numpy() for name in ("left", "right"))
    probability = pairs.column("probability").to_numpy()
    joined = customer[left] == customer[right]
    inside, outside = np.zeros(len(customer)), np.zeros(len(customer))
    for ends in (left, right):
        np.maximum.at(inside, ends[joined], probability[joined])
        np.maximum.at(outside, ends[~joined], probability[~joined])
    return np.asarray(np.where(inside > 0, inside, 1 - outside).round(6))
