"""Customers are never collected in the driver, a killed run is done again, and Kohort is a tidy guest of a cluster.

Each test has processes of its own: how much Spark may hand to its driver is decided when it starts.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import kohort
from kohort.store.store import Store

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None or shutil.which("java") is None, reason="needs pyspark and Java"
    ),
]

CUSTOMERS = 200_000
DAY = 86_400_000_000
SEGMENTS = """
engine: spark
consent: {mail: t_agreed}
accounts: t_company
segments:
  recent: {rule: "did('order', within => '30 days')", keep: "did('order', within => '75 days')"}
  life:
    stages:
      new: {rule: "days_since_first('order') <= 40", minimum_stay: 60 days}
      active: did('order', within => '45 days')
      quiet: did('order')
  split: {buckets: {test: 30, control: 30}}
  mail: {rule: did('order'), purpose: mail}
  friends: {by_hand: true}
  firms: {accounts: {any: in_segment('recent')}}
"""


def log_orders(store: Store, customers: int) -> None:
    """One to three orders of each customer in the first ninety days of 1970, and what is known of them."""
    chance = np.random.default_rng(5)
    people = np.sort(chance.choice(2**62, customers, replace=False))
    times = chance.integers(1, 4, customers)
    who = np.concatenate([people, np.repeat(people, times)])
    n, learned = len(who), np.arange(len(who)) < customers
    ts = np.where(learned, 0, chance.integers(0, 90 * DAY, n))
    columns = {
        "customer": who,
        "event_id": pa.array(np.arange(n)).cast(pa.string()),
        "event": pa.array(np.where(learned, "identify", "order")),
        "ts": ts,
        "received_at": ts,
        "local_day": (ts // DAY).astype(np.int32),
        "local_hour": (ts // (DAY // 24) % 24).astype(np.int32),
        "t_agreed": pa.array(who % 3 > 0, mask=~learned),
        "t_company": pa.array([f"firm {c % 50}" for c in who], mask=~learned),
    }
    store.log.declare({"t_agreed": "flag", "t_company": "text"})
    store.log.append(pa.table(columns), batch=store.state.begin_batch("shop", "shop.csv"))
    store.by_hand.put("friends", "friends", [int(c) for c in people[:2_000]], True, by="kim")


def shop(root: Path, customers: int) -> None:
    with kohort.create(root) as ws:
        log_orders(ws.store, customers)
    (root / "kohort.yaml").write_text((root / "kohort.yaml").read_text() + SEGMENTS)


@pytest.fixture
def scratch(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that works in an empty folder and keeps its temporary files in the test's own."""
    (tmp_path / "empty").mkdir()
    return {**os.environ, "SPARK_LOCAL_DIRS": str(tmp_path), "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}


def script(text: str, *arguments: object) -> list[str]:
    return [sys.executable, "-W", "ignore", "-c", textwrap.dedent(text), *map(str, arguments)]


RUNS = """
    import json, sys, kohort
    from pathlib import Path
    from pyspark.sql import SparkSession
    guest = SparkSession.builder.master("local[2]").appName("their notebook")
    settings = {"driver.maxResultSize": "1m", "ui.enabled": "false", "sql.shuffle.partitions": "4",
                "sql.ansi.enabled": "false", "sql.session.timeZone": "Asia/Tokyo", "log.level": "ERROR",
                "sql.warehouse.dir": sys.argv[1] + "/theirs", "ui.showConsoleProgress": "false"}
    for key, value in settings.items():
        guest = guest.config(f"spark.{key}", value)
    guest = guest.getOrCreate()
    guest.range(3).createOrReplaceTempView("events")
    def peak():
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(status["VmHWM"].split()[0]) / 1024
    told = []
    with kohort.open(sys.argv[1]) as ws:
        ws.definitions()
        before = peak()
        for day in (50, 88):
            report = ws.segments.run(as_of=day * 86_400_000_000)
            told.append({o.name: [o.result, o.size] for o in report.outcomes})
        grown = peak() - before
    try:
        guest.range(200_000).selectExpr("id customer", "'active' segment", "'rule' reason").toArrow()
        collecting = "succeeds"
    except Exception as error:
        collecting = "maxResultSize" if "maxResultSize" in str(error) else type(error).__name__
    print(json.dumps({
        "told": told, "grown_mb": grown, "collecting": collecting, "events": guest.table("events").count(),
        "views": [t.name for t in guest.catalog.listTables()],
        "settings": {key: guest.conf.get(f"spark.{key}") for key in settings},
    }))
    guest.stop()
"""


def test_two_hundred_thousand_customers_never_pass_through_the_driver(tmp_path: Path, scratch: dict[str, str]) -> None:
    shop(tmp_path / "shop", CUSTOMERS)
    with kohort.open(shutil.copytree(tmp_path / "shop", tmp_path / "here")) as ws:
        (ws.root / "kohort.yaml").write_text((ws.root / "kohort.yaml").read_text().replace("engine: spark", ""))
        expected = []
        for day in (50, 88):
            report = ws.segments.run(as_of=day * DAY)
            expected.append({o.name: [o.result, o.size] for o in report.outcomes})
    done = subprocess.run(
        script(RUNS, tmp_path / "shop"),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=scratch,
        cwd=tmp_path / "empty",
        timeout=500,
    )
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    print(f"memory of the driver's Python grew by {found['grown_mb']:.0f} MB")
    assert found["told"] == expected
    assert expected[-1]["life"][1] > 0.9 * CUSTOMERS
    assert found["collecting"] == "maxResultSize", "the same rows do not fit into what a driver may take here"
    # Their session is as it was, and nothing lies about.
    assert (found["events"], found["views"]) == (3, ["events"])
    assert found["settings"]["sql.session.timeZone"] == "Asia/Tokyo"
    assert found["settings"]["sql.ansi.enabled"] == "false"
    assert list((tmp_path / "empty").iterdir()) == []
    assert found["grown_mb"] < 150
    with kohort.open(tmp_path / "shop") as there, kohort.open(tmp_path / "here") as here:
        assert there.store.verify() == []
        for name in ("recent", "life", "split", "mail", "friends"):
            assert there.store.members.current(name).equals(here.store.members.current(name)), name


KILLED = """
    import sys, kohort
    from dataclasses import replace
    from kohort.segments.evaluate import Question
    from kohort.segments.on_spark import spark_run
    from kohort.segments.run_rules import run_with, turn

    class Instead:
        def __init__(self, thing, **more):
            self.thing = thing
            self.__dict__.update(more)
        def __getattr__(self, name):
            return getattr(self.thing, name)

    def register(found, **when):
        print(sum(len(one.files) for one in found), flush=True)
        sys.stdin.read()  # everything is written, and nothing is true yet

    with kohort.open(sys.argv[1]) as ws, turn(ws.store):
        store, snapshot = ws.store, ws.store.log.snapshot()
        question = Question(88 * 86_400_000_000, ws.zone, ws.currency, ws.definitions(), ws.config.segment_settings,
                            1, snapshot.columns)
        with spark_run(store, snapshot, question) as there:
            patient = replace(there, store=Instead(store, members=Instead(store.members, register=register)))
            run_with(patient.evaluate, store, ws.config.segments, question, now=1, publish=patient.publish)
"""


def test_a_run_killed_before_its_files_count_changes_nothing_and_is_run_again(
    tmp_path: Path, scratch: dict[str, str]
) -> None:
    shop(tmp_path / "shop", 300)
    with kohort.open(tmp_path / "shop") as ws:
        (ws.root / "kohort.yaml").write_text((ws.root / "kohort.yaml").read_text().replace("engine: spark", ""))
        ws.segments.run(as_of=50 * DAY)
        before = {name: ws.store.members.current(name) for name in ws.store.members.names()}
    shutil.copytree(tmp_path / "shop", tmp_path / "calm")
    child = subprocess.Popen(
        script(KILLED, tmp_path / "shop"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=scratch,
        cwd=tmp_path / "empty",
        start_new_session=True,
    )
    assert child.stdout is not None
    written = int(child.stdout.readline())
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert written >= 4
    assert list((tmp_path / "empty").iterdir()) == []
    with kohort.open(tmp_path / "shop") as ws, kohort.open(tmp_path / "calm") as calm:
        memberships = ws.root / "memberships"
        assert len(list(memberships.glob("staged-*/moves/**/*.parquet"))) >= written
        assert {name: ws.store.members.current(name) for name in before} == before
        assert ws.store.verify() == []
        for one in (ws, calm):
            assert not one.segments.run(as_of=88 * DAY).failed
        names = ("recent", "life", "split", "mail", "friends")
        told, expected = (
            [w.store.members.transitions(n, limit=10**6).drop_columns("seq") for n in names] for w in (ws, calm)
        )
        assert told == expected
        assert sum(len(t) for t in told) > 700
        assert ws.store.members.sweep() > 0, "as the next run on Spark does when it begins"
        assert not list(memberships.glob("staged-*/*"))


NOTHING = """
    import sys
    from kohort.errors import KohortError
    if sys.argv[1] == "pyspark":
        sys.modules["pyspark"] = None  # what a missing package looks like
    import kohort
    try:
        kohort.open(sys.argv[2]).segments.run()
    except KohortError as error:
        print(error.code, error)
"""


@pytest.mark.parametrize(("missing", "said"), [("pyspark", "missing_extra"), ("java", "Java")])
def test_what_is_missing_is_said_in_one_sentence(
    tmp_path: Path, scratch: dict[str, str], missing: str, said: str
) -> None:
    shop(tmp_path / "shop", 5)
    environment = {k: v for k, v in scratch.items() if k != "JAVA_HOME"} | {"PATH": "/nowhere"}
    done = subprocess.run(
        script(NOTHING, missing, tmp_path / "shop"), check=True, capture_output=True, text=True, env=environment
    )
    assert said in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
