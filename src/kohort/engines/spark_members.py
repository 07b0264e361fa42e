"""From who was in and who is in now to moves, on the executors: entries, exits, restatements and the stays after them.

All definitions of a run are compared together, in a handful of jobs however many they are. What comes back to the
driver is counts per definition and names of files. The meaning is that of the store (see docs/store.md): moves of one
moment replace what that moment said before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.engines.spark import write
from kohort.model.membership import Difference

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

STAYS = (
    "customer bigint, segment string, number int, since bigint, until bigint, version bigint, confidence double, "
    "reason string"
)
"""The last stay of each customer and segment: `number` of its last transition, `until` null = still in."""


@dataclass(frozen=True, slots=True)
class Now:
    """What one definition says.

    Attributes:
        rows: `customer` (int64, each once), `segment`, `reason`.
        version: Of the definition.
        stays: Parquet file of the stays so far (`STAYS`); None = there are none.
    """

    rows: DataFrame
    version: int
    stays: Path | None


@dataclass(frozen=True, slots=True)
class Moved:
    """What the executors found and wrote for one definition.

    Attributes:
        moves: Files of entries and exits, sorted by customer; all of one customer are in one file, exits first.
        restated: Files of who stays for another reason.
        stays: File of the stays after these moves; None where nothing changed.
    """

    difference: Difference
    moves: tuple[Path, ...] = ()
    restated: tuple[Path, ...] = ()
    stays: Path | None = None


def compare(spark: SparkSession, found: Sequence[Now], as_of: int, folder: Path) -> list[Moved]:
    """Compares members found with the stored ones, and writes what changes.

    Args:
        found: One for each definition.
        as_of: The moment of all moves.
        folder: Where the files go; it exists, and executors can reach it.
    """
    from pyspark.sql import functions as f

    if not found:
        return []
    write(_after(spark, found, as_of), folder / "after")
    after = spark.read.parquet(str(folder / "after"))
    differences, changed = _counted(after, len(found))
    if changed:
        news = after.where(f.col("n").isin(changed))
        _write_moves(news.where(f.col("change").isNotNull()), as_of, folder / "moves")
        last = news.select("n", *(field.split()[0] for field in STAYS.split(", "))).repartition("n")
        write(last.sortWithinPartitions("n", "customer", "segment"), folder / "stays", by=["n"])
    return [_moved(folder, i, difference) for i, difference in enumerate(differences)]


def _moved(folder: Path, i: int, difference: Difference) -> Moved:
    def files(place: str) -> tuple[Path, ...]:
        return tuple(sorted((folder / place / f"n={i}").glob("*.parquet")))

    last = files("stays")
    return Moved(difference, files("moves/kind=moved"), files("moves/kind=restated"), last[0] if last else None)


def _after(spark: SparkSession, found: Sequence[Now], as_of: int) -> DataFrame:
    """One row for each definition (`n`), customer and segment ever: the last stay, and the change that led to it."""
    from pyspark.sql import functions as f

    c = f.col
    known = _together(
        [stays(spark, one.stays).withColumn("n", f.lit(i)) for i, one in enumerate(found)],
        "was_",
        ["number", "since", "until", "version"],
    )
    now = _together(
        [
            one.rows.select("customer", "segment", f.lit(None).cast("double").alias("confidence"), "reason")
            .withColumn("version", f.lit(one.version).cast("bigint"))
            .withColumn("n", f.lit(i))
            for i, one in enumerate(found)
        ],
        "now_",
        ["version"],
    )
    both = known.join(now, ["n", "customer", "segment"], "full_outer")
    was = c("was_number").isNotNull() & c("was_until").isNull()
    inside = c("now_version").isNotNull()
    alike = c("was_confidence").eqNullSafe(c("now_confidence")) & c("was_reason").eqNullSafe(c("now_reason"))
    change = f.when(was & ~inside, -1).when(~was & inside, 1).when(was & ~alike, 0)
    entered, left = ~was & inside, was & ~inside
    # An exit and an entry at the same instant: the stay went on.
    begun = entered & ~c("was_until").eqNullSafe(f.lit(as_of))

    def told(name: str) -> Column:
        return f.when(inside, c(f"now_{name}")).otherwise(c(f"was_{name}")).alias(name)

    return both.select(
        "n",
        "customer",
        "segment",
        (f.coalesce(c("was_number"), f.lit(0)) + (entered | left).cast("int")).alias("number"),
        f.when(begun, f.lit(as_of).cast("bigint")).otherwise(c("was_since")).alias("since"),
        f.when(left, f.lit(as_of).cast("bigint")).when(~inside, c("was_until")).alias("until"),
        f.when(begun, c("now_version")).otherwise(c("was_version")).alias("version"),
        told("confidence"),
        told("reason"),
        change.cast("tinyint").alias("change"),
    )


def _together(frames: Sequence[DataFrame], prefix: str, names: Sequence[str]) -> DataFrame:
    """All definitions' rows as one relation; what is not a key gets a prefix."""
    whole: DataFrame = reduce(lambda a, b: a.unionByName(b), frames)
    return whole.withColumnsRenamed({name: f"{prefix}{name}" for name in ("confidence", "reason", *names)})


def _counted(after: DataFrame, definitions: int) -> tuple[list[Difference], list[int]]:
    """How each definition's members change, and which definitions do."""
    from pyspark.sql import functions as f

    change = f.col("change")
    counts = {
        "entries": change == 1,
        "exits": change == -1,
        "restated": change == 0,
        "inside": f.col("until").isNull(),
    }
    counted = after.groupBy("n").agg(*(f.count_if(test).alias(name) for name, test in counts.items())).collect()
    # A customer enters one part and leaves one at most, so who does both moved.
    both = after.where(change.isin(1, -1)).groupBy("n", "customer").count().where("count = 2")
    moved = {row["n"]: int(row["moved"]) for row in both.groupBy("n").agg(f.count("*").alias("moved")).collect()}
    differences, changed = [Difference(0, 0, 0, 0)] * definitions, []
    for row in counted:
        n, there = row["n"], moved.get(row["n"], 0)
        differences[n] = Difference(row["entries"] - there, row["exits"] - there, there, row["inside"] - row["entries"])
        changed += [n] if row["entries"] or row["exits"] or row["restated"] else []
    return differences, sorted(changed)


def _write_moves(changes: DataFrame, as_of: int, folder: Path) -> None:
    from pyspark.sql import functions as f

    c = f.col
    left = c("change") == -1
    moves = changes.select(
        f.when(c("change") == 0, "restated").otherwise("moved").alias("kind"),
        "n",
        "customer",
        "segment",
        "change",
        "number",
        f.lit(as_of).cast("bigint").alias("at"),
        *(f.when(~left, c(name)).alias(name) for name in ("confidence", "reason")),
    )
    # All moves of a customer in one file, exits before entries: readers go through files in that order.
    ordered = moves.repartition("n", "customer").sortWithinPartitions("kind", "n", "customer", "change")
    write(ordered, folder, by=["kind", "n"])


def stays(spark: SparkSession, path: Path | None) -> DataFrame:
    """The rows of a file of stays (`STAYS`); None = there are none."""
    return spark.createDataFrame([], STAYS) if path is None else spark.read.schema(STAYS).parquet(str(path))
