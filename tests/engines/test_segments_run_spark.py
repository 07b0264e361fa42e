"""A run on Spark leaves the same log of transitions as a run on DuckDB: who entered and left what, when, under which version."""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.definitions.segments_text import read_segments
from kohort.definitions.yaml_text import read_yaml
from kohort.model.event import Event
from kohort.segments.accounts import account_names
from kohort.segments.run_rules import RunReport, run
from kohort.store import create_store
from kohort.store.store import Store
from kohort.testing.worlds import event_table

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and Java"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]

DAY = 86_400_000_000
YAML = """
recent: {rule: "did('order', within => '20 days')", keep: "did('order', within => '40 days')"}
value:
  tiers:
    gold: did('order', at_least => 4)
    silver: did('order')
life:
  stages:
    new: {rule: "days_since_first('order') <= 15", minimum_stay: 30 days}
    active: did('order', within => '30 days')
    quiet: did('order')
golden: in_segment('value', 'gold') and not t_blocked
friends: {by_hand: true}
companies:
  accounts:
    any: in_segment('value', 'gold')
"""
DAYS = (30, 60, 60)


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from kohort.engines import spark

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spark.session(threads=1)
    # A few hundred rows: generating and compiling code per query would take longer than all the rest.
    found.conf.set("spark.sql.codegen.wholeStage", "false")
    found.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    found.conf.set("spark.sql.shuffle.partitions", "2")
    yield found
    found.stop()


def definitions(text: str = YAML) -> tuple[SegmentDefinition, ...]:
    document = read_yaml(text, "segments")
    found = read_segments(document, document.data, ())
    document.finish()
    return found


def event(number: str, customer: int, name: str, ts: int, **traits: Any) -> Event:
    times = {"received_at": ts, "local_day": ts // DAY, "local_hour": ts % DAY // (DAY // 24), "batch": 1}
    return Event(number, customer, name, ts, {**times, **traits})


def events(seed: int = 2) -> Iterator[Event]:
    chance = Random(seed)
    for customer in range(1, 61):
        company = chance.choice(["Acme", "Birch", "Cole"])
        yield event(f"i{customer}", customer, "identify", 0, t_company=company, t_blocked=customer % 7 == 0)
        for n in range(chance.randrange(7)):
            yield event(f"o{customer}-{n}", customer, "order", chance.randrange(90 * DAY))


def shop(root: Path) -> Store:
    store = create_store(root, buckets=4)
    columns: Any = {"t_company": "text", "t_blocked": "flag"}
    store.log.declare(columns)
    store.log.append(event_table(events(), columns), batch=store.state.begin_batch("shop", "shop.csv"))
    return store


def run_at(store: Store, day: int, engine: str, wanted: tuple[SegmentDefinition, ...] = ()) -> RunReport:
    return run(
        store,
        wanted or definitions(),
        as_of=day * DAY,
        now=day * DAY,
        zone="UTC",
        currency="EUR",
        features=(),
        settings=SegmentSettings(accounts="t_company"),
        engine=engine,
        threads=1,
    )


def told(store: Store) -> list[tuple[Any, ...]]:
    """Every transition; accounts by their name, whose pseudonyms are each workspace's own."""
    rows = store.members.transitions(limit=10**6).to_pylist()
    who = [r["customer"] if r["name"] != "companies" else account_names(store, [r["customer"]])[0] for r in rows]
    kept = ("name", "segment", "change", "number", "at", "version", "backfill")
    return sorted((*(r[k] for k in kept), str(c)) for r, c in zip(rows, who, strict=True))


def test_runs_leave_the_same_log(session: Any, tmp_path: Path) -> None:
    with shop(tmp_path / "here") as here, shop(tmp_path / "there") as there:
        for store, engine in ((here, "duckdb"), (there, "spark")):
            for day in DAYS:
                assert not run_at(store, day, engine).failed
            store.by_hand.put("value", "silver", [3, 4], True, by="kim")
            edited = definitions(YAML.replace("at_least => 4", "at_least => 3"))
            report = run_at(store, 90, engine, edited)
            assert {o.name for o in report.outcomes if o.backfill} == {"value", "golden", "companies"}
        assert told(there) == told(here)
        assert len(told(there)) > 150
        assert there.verify() == []
        for name in ("recent", "value", "life", "golden"):
            ours, theirs = here.members.current(name), there.members.current(name)
            for column in ("customer", "segment", "since", "number", "version"):
                assert ours[column].to_pylist() == theirs[column].to_pylist(), (name, column)
        # What was only passing through is gone; what is left is what the state names.
        assert not list((tmp_path / "there" / "memberships").rglob("codes*"))


def test_a_failing_definition_harms_no_other_there_either(session: Any, tmp_path: Path) -> None:
    with shop(tmp_path / "there") as there:
        odd = definitions(YAML.replace("at_least => 4)", "at_least => 4) and t_company > 3"))
        report = run_at(there, 60, "spark", odd)
        assert {o.name: o.result for o in report.outcomes} == {
            "recent": "published",
            "life": "published",
            "friends": "published",
            "value": "failed",
            "golden": "waiting",
            "companies": "waiting",
        }
