"""Spark reads the stays and writes moves: members change without passing through the driver."""

import importlib.util
import shutil
import warnings
from pathlib import Path

import pyarrow as pa
import pytest

from kohort.model.membership import Difference, Placed
from kohort.store import create_store
from kohort.store.members.elsewhere import Registered

pytestmark = [
    pytest.mark.spark,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and Java"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]

MOVES = """
with inside as (select customer, segment, number from stays where until is null),
past as (select customer, segment, number from stays where until is not null)
select i.customer, i.segment, cast(-1 as tinyint) change, i.number + 1 number
from inside i left join now n on n.customer = i.customer and n.segment = i.segment where n.customer is null
union all
select n.customer, n.segment, cast(1 as tinyint), coalesce(p.number, 0) + 1
from now n left join inside i on n.customer = i.customer and n.segment = i.segment
left join past p on n.customer = p.customer and n.segment = p.segment where i.customer is null
"""


def placed(rows: dict[int, str]) -> Placed:
    n = len(rows)
    columns = {"customer": list(rows), "segment": list(rows.values())}
    nothing = {"confidence": pa.nulls(n, pa.float64()), "reason": pa.nulls(n, pa.string())}
    return Placed("value", 1, pa.table({**columns, **nothing}))


def test_executors_compare_and_write_and_the_store_names_their_files(tmp_path: Path) -> None:
    from kohort.engines import spark

    then = {c << 45: "high" if c % 3 else "low" for c in range(1, 400)}
    now = {c << 45: "high" if c % 4 else "low" for c in range(50, 450)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        session = spark.session(threads=1)
    with create_store(tmp_path, buckets=2) as store, create_store(tmp_path / "other", buckets=2) as other:
        for one in (store, other):
            one.members.publish([placed(then)], as_of=100, now=1)
            one.members.publish([placed({})], as_of=150, now=1)
            one.members.publish([placed(then)], as_of=200, now=1)
        path, run = store.members.stays_file("value")
        session.read.parquet(str(path)).createOrReplaceTempView("stays")
        session.createDataFrame(list(now.items()), "customer long, segment string").createOrReplaceTempView("now")
        moves = session.sql(MOVES).selectExpr("*", "300L at", "cast(null as double) confidence", "'rule' reason")
        folder = store.members.staging() / "value"
        moves.repartition(2, "customer").sortWithinPartitions("customer", "change").write.parquet(str(folder))
        session.stop()
        (expected,) = other.members.publish([placed(now)], as_of=300, now=2).values()
        told = Registered("value", 1, sorted(folder.glob("*.parquet")), expected, after_run=run)
        assert store.members.register([told], as_of=300, now=2) == {"value": expected}
        assert isinstance(expected, Difference)
        columns = ["customer", "segment", "since", "number"]
        assert store.members.current("value").select(columns) == other.members.current("value").select(columns)
        assert store.verify() == []
