"""A workspace with `engine: spark` says what the same workspace says on DuckDB: members, reasons, history, transitions, statuses.

Two copies of one workspace live through the same months, one on each engine: late events, people's decisions, an edit,
a removal, the same moment twice. Nobody passes through the driver, a killed run is run again, nothing is left behind.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.features import parse_features
from kohort.definitions.segments import SegmentSettings
from kohort.definitions.segments_text import read_segments
from kohort.definitions.yaml_text import read_yaml
from kohort.model.clock import iso, parse_instant
from kohort.model.event import Event
from kohort.segments.accounts import account_names
from kohort.segments.run_rules import run
from kohort.store import create_store
from kohort.testing.worlds import event_table

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and Java"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]

SEGMENTS = """
consent: {mail: t_newsletter}
accounts: t_company
segments:
  recent: {rule: "did('order_line', within => '30 days')", keep: "did('order_line', within => '75 days')"}
  calm: {rule: "did('order_line', within => '20 days')", minimum_stay: 45 days}
  value:
    tiers:
      gold: {rule: "sum('order_line').amount >= 200", keep: "sum('order_line').amount >= 120"}
      silver: sum('order_line').amount >= 60
      other: did('order_line')
  life:
    stages:
      new: {rule: "days_since_first('order_line') <= 30", then: [active, lost]}
      active: {rule: "did('order_line', within => '30 days')", minimum_stay: 40 days}
      sleeping: did('order_line', within => '60 days')
      lost: did('order_line')
  slipping: in_segment('value', 'gold') and never('order_line', within => '30 days')
  split: {buckets: {test: 30, control: 30}, salt: spring}
  friends: {by_hand: true}
  firms: {accounts: {any: "in_segment('value', 'gold')"}}
  mail: {rule: did('order_line'), purpose: mail}
  old: {rule: "did('order_line', within => '30 days')", paused: true}
  were_old: in_segment('old') and not in_segment('recent')
"""
SINCE, NEXT, THEN, LAST = "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-01"
NAMES = ["recent", "calm", "value", "life", "slipping", "split", "friends", "firms", "mail", "old", "were_old"]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    from kohort.engines import spark

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = spark.session(threads=1)
    # A few hundred rows: generating and compiling code per query would take longer than all the rest.
    found.conf.set("spark.sql.codegen.wholeStage", "false")
    found.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    found.conf.set("spark.sql.shuffle.partitions", "1")
    yield found
    found.stop()


def orders(first: str, last: str, seed: int) -> str:
    """Orders of 30 customers between two days, as a file."""
    chance = Random(seed)
    start, days = parse_instant(first), (parse_instant(last) - parse_instant(first)) // 86_400_000_000
    lines = ["order,customer,date,product,quantity,price"]
    for n in range(70):
        day = iso(start + chance.randrange(days) * 86_400_000_000)[:10]
        lines.append(f"{first}-{n},K{chance.randrange(1, 31)},{day},mug,1,{chance.choice([5, 20, 45, 90])}")
    return "\n".join(lines)


def people() -> str:
    firms = ["Acme", "Bolt", "Cole"]
    return "\n".join(
        ["customer,newsletter,company", *(f"K{n},{['true', 'false', ''][n % 3]},{firms[n % 3]}" for n in range(1, 31))]
    )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after its first run, which took place on DuckDB."""
    folder = tmp_path_factory.mktemp("spark")
    (folder / "orders.csv").write_text(orders("2024-01-01", SINCE, 1))
    (folder / "people.csv").write_text(people())
    with kohort.create(folder / "shop", currency="GBP") as ws:
        ws.ingest(folder / "orders.csv")
        ws.ingest(folder / "people.csv", kind="customers")
    file = folder / "shop" / "kohort.yaml"
    file.write_text(file.read_text() + SEGMENTS.replace(", paused: true", ""))
    with kohort.open(folder / "shop") as ws:
        assert not ws.segments.run(as_of=SINCE).failed
        pause(ws)
    return folder / "shop"


def pause(ws: kohort.Workspace) -> None:
    def paused(config: Any) -> Any:
        return replace(config, segments=tuple(replace(d, paused=d.name == "old") for d in config.segments))

    ws.change(paused)


def use(ws: kohort.Workspace, engine: Any) -> None:
    ws.change(lambda config: replace(config, engine=engine))


def months(ws: kohort.Workspace, folder: Path) -> Iterator[None]:
    """What happens, step by step."""
    (folder / "more.csv").write_text(orders(SINCE, LAST, 2))
    (folder / "late.csv").write_text(orders("2024-02-01", NEXT, 3))
    ws.ingest(folder / "more.csv")
    report = ws.segments.run(as_of=NEXT)
    assert {o.name: o.result for o in report.outcomes} == {
        name: "paused" if name == "old" else "published" for name in NAMES
    }
    yield
    ws.ingest(folder / "late.csv")
    ws.segments.put("friends", ["K1", "K2", "K9"], by="kim")
    ws.segments.put("value", ["K4"], segment="gold", by="kim")
    ws.segments.take_out("life", ["K5"], by="kim")
    ws.segments.put("firms", ["Cole"], by="kim")
    assert not ws.segments.run(as_of=NEXT).failed
    yield
    tiers = "{tiers: {gold: \"sum('order_line').amount >= 150\", rest: did('order_line')}}"
    ws.segments.add("value", ws.segments.read(f"value: {tiers}"))
    ws.segments.remove("were_old")
    ws.segments.reset("friends", ["K2"], by="kim")
    assert not ws.segments.run(as_of=THEN).failed
    yield
    use(ws, "duckdb")  # and on with the other engine: what Spark stored is what it expects
    assert not ws.segments.run(as_of=LAST).failed
    yield


def told(ws: kohort.Workspace) -> dict[str, Any]:
    """Everything that the store says; accounts by name, since each workspace has pseudonyms of its own for them."""
    members, found = ws.store.members, {}
    for name in members.names():

        def known(rows: list[dict[str, Any]], name: str = name) -> list[dict[str, Any]]:
            if name == "firms":
                rows = [row | {"customer": account_names(ws.store, [row["customer"]])[0]} for row in rows]
            return sorted(rows, key=lambda row: tuple(map(str, row.values())))

        for asked in (SINCE, "2024-03-15", NEXT, THEN, LAST):
            at = parse_instant(asked)
            found[f"{name} at {asked}"] = known(members.at(name, at).to_pylist())
            found[f"{name} before {asked}"] = known(members.before(name, at).to_pylist())
        found[f"{name} now"] = known(members.current(name).to_pylist())
        found[f"{name} told"] = known([{**t, "seq": 0} for t in members.transitions(name, limit=10**6).to_pylist()])
        found[f"{name} runs"] = [{**run, "ran_us": 0} for run in members.runs(name)]
    for name in ("recent", "value", "life"):
        customers = sorted({row["customer"] for row in found[f"{name} told"]})
        found[f"{name} history"] = [members.history(name, customer) for customer in customers]
    seqs = members.transitions(limit=10**6).column("seq").to_pylist()
    assert seqs == list(range(1, len(seqs) + 1))
    statuses = ws.store.status.all()
    found["status"] = {n: replace(s, evaluated_at=None, duration_ms=None) for n, s in statuses.items()}
    return found


def test_both_engines_say_the_same_all_along(session: Any, shop: Path, tmp_path: Path) -> None:
    here, there = (Path(shutil.copytree(shop, tmp_path / name)) for name in ("here", "there"))
    with kohort.open(here) as duck, kohort.open(there) as spark:
        use(spark, "spark")
        for step, _ in enumerate(zip(months(duck, tmp_path), months(spark, tmp_path), strict=True)):
            expected, found = told(duck), told(spark)
            for about, said in expected.items():
                assert found[about] == said, (step, about)
            assert found.keys() == expected.keys()
            assert spark.store.verify() == []
            if step < 3:
                assert spark.store.members.sweep() == 0, "nothing is left behind"
            if step == 2:
                assert any(r["reason"] == "keep" and r["number"] == 1 for r in found["recent now"]), "restated"
        reasons = {row["reason"] for about, rows in found.items() if " at " in about for row in rows}
        assert reasons == {"rule", "keep", "minimum stay", "not allowed yet", "by hand", "random"}
        assert len(spark.store.members.outbox("exports", 10**6)) == spark.store.members.last_transition() > 300


def test_squares_that_no_64_bits_hold_harm_no_other_definition(session: Any, tmp_path: Path) -> None:
    text = """
    absurd: spread >= 5
    visited: did('page')
    both: in_segment('absurd') or in_segment('visited')
    """
    document = read_yaml(text, "segments")
    definitions = read_segments(document, document.data, ())
    columns: Any = {"p_n": "number"}
    features = parse_features("spread: {std: p_n}", columns)
    local = {"local_day": 0, "local_hour": 0, "batch": 1, "p_n": 2**62}
    events = [Event(f"h{n}", 9, "page", n, {**local, "received_at": n}) for n in range(3)]
    told = []
    for engine in ("duckdb", "spark"):
        with create_store(tmp_path / engine, buckets=2) as store:
            store.log.declare(columns)
            store.log.append(event_table(events, columns), batch=store.state.begin_batch("site", "site.csv"))
            given: Any = {
                "zone": "UTC",
                "currency": "EUR",
                "features": features,
                "settings": SegmentSettings(),
                "threads": 1,
            }
            told.append(run(store, definitions, as_of=100, now=5, engine=engine, **given))
            assert store.members.names() == ["visited"]
            assert store.members.sweep() == 0
    assert told[0].outcomes == told[1].outcomes
    assert {o.name: (o.result, o.code) for o in told[1].outcomes} == {
        "absurd": ("failed", "too_large"),
        "visited": ("published", ""),
        "both": ("waiting", "reference_failed"),
    }


def test_features_are_the_same_and_a_file_of_them_is_written_piece_by_piece(
    session: Any, shop: Path, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(shop, tmp_path / "shop"))
    with kohort.open(root) as ws:
        expected = ws.features(as_of=SINCE).to_arrow()
        use(ws, "spark")
        assert ws.features(as_of=SINCE).to_arrow().equals(expected)
    out = tmp_path / "features.parquet"
    told = CliRunner().invoke(app, ["features", "-w", str(root), "--as-of", SINCE, "--out", str(out), "--json"])
    assert told.exit_code == 0, told.output
    said = json.loads(told.stdout)
    found = pq.read_table(tmp_path / "features.parquet")
    assert found.equals(expected)
    assert (said["customers"], len(said["features"])) == (found.num_rows, found.num_columns - 1)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["features.parquet"]
    assert not list(root.glob(".features-*"))
