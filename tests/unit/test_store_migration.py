"""A workspace of the first schema opens with its memberships, history included, and damage in it is not carried over."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from kohort.errors import Damaged
from kohort.model.membership import Placed
from kohort.store import create_store, open_store
from kohort.store.checks import row_digest
from kohort.store.sealed import Ledger, SealedTable, signed

STAYS = [  # customer, since, until, version, segment, confidence, reason
    (1, 100, None, 1, "a", 0.5, "More than 3 orders"),
    (2, 100, 200, 1, "a", 0.25, None),
    (2, 200, None, 2, "b", None, "alike"),
    (3, 100, 200, 1, "b", 1.0, None),
    (3, 300, None, 2, "b", 0.0, None),
    (2**63 - 1, 200, 300, 2, "a", None, None),
    (4, 200, 200 + 100, 2, "a", 0.5, None),
    (4, 300, None, 2, "a", 0.75, "back at once"),
]
RUNS = [(1, 100, 3, 0, 0, 0), (2, 200, 2, 1, 1, 1), (2, 300, 2, 2, 0, 2)]


def digests(rows: list[tuple]) -> np.ndarray:
    """As the first schema made them."""
    customer, since, until, version, segment, confidence, reason = zip(*rows, strict=True)
    bits = np.array([-1.0 if c is None else c for c in confidence]).view(np.int64)
    whole = [pa.array(column, pa.int64()) for column in (customer, since, until, version)]
    texts = [pa.array(column, pa.string()) for column in (segment, reason)]
    return row_digest([*whole, texts[0], pa.array(bits), texts[1]], 0xC0407 ^ 1).view(np.int64)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A workspace whose state has the first schema."""
    from alembic import command
    from alembic.config import Config

    root = tmp_path / "ws"
    with create_store(root, buckets=2) as store:
        kept = {name: store.state.get(name) for name in ("buckets", "hash_seed")}
    for name in ("state.db", "state.mark"):
        (root / name).unlink()
    engine = sa.create_engine(f"sqlite:///{root / 'state.db'}")
    config = Config()
    config.set_main_option("script_location", "kohort.store:migrations")
    with engine.begin() as con:
        config.attributes["connection"] = con
        command.upgrade(config, "0001")
    with engine.begin() as con:
        fill(con, kept)
    engine.dispose()
    return root


def fill(con: sa.Connection, kept: dict) -> None:
    import json

    tables = sa.MetaData()
    tables.reflect(con)
    SealedTable(tables.tables["setting"]).insert(con, [{"name": n, "value": json.dumps(v)} for n, v in kept.items()])
    runs = SealedTable(tables.tables["membership_run"])
    columns = ("version", "as_of", "entered", "left", "moved", "stayed")
    for number, facts in enumerate(RUNS, start=1):
        row = dict(zip(columns, facts, strict=True))
        runs.insert(con, [{**row, "id": number, "population": 1, "name": "Main"}])
    Ledger(con).put("next:membership_run", len(RUNS), 0)
    names = ("customer", "since", "until", "version", "segment", "confidence", "reason")
    found = digests(STAYS)
    rows = [dict(zip(names, row, strict=True)) for row in STAYS]
    con.execute(
        sa.insert(tables.tables["membership"]),
        [{**row, "population": 1, "digest": int(digest)} for row, digest in zip(rows, found, strict=True)],
    )
    Ledger(con).put("membership:1:all", len(STAYS), signed(int(found.sum(dtype=np.int64))))


def test_memberships_of_the_first_schema_are_carried_over(old: Path) -> None:
    with open_store(old) as store:
        members = store.members
        now = {r["customer"]: (r["segment"], r["since"], r["version"]) for r in members.current("Main").to_pylist()}
        assert now == {1: ("a", 100, 1), 2: ("b", 200, 2), 3: ("b", 300, 2), 4: ("a", 200, 2)}
        assert [(h["segment"], h["since"], h["until"], h["reason"]) for h in members.history("Main", 2)] == [
            ("a", 100, 200, None),
            ("b", 200, None, "alike"),
        ]
        assert [(h["since"], h["until"]) for h in members.history("Main", 3)] == [(100, 200), (300, None)]
        assert [(h["since"], h["until"], h["reason"]) for h in members.history("Main", 4)] == [
            (200, None, "back at once")
        ], "out and in again at one instant: she never left"
        assert sorted(members.at("Main", 250).column("customer").to_pylist()) == [1, 2, 4, 2**63 - 1]
        assert [
            tuple(run[k] for k in ("version", "as_of", "entered", "left", "moved", "stayed"))
            for run in members.runs("Main")
        ] == RUNS
        assert store.status.all()["Main"].size == 4
        assert members.last_transition() == len(STAYS) + sum(row[2] is not None for row in STAYS)
        assert store.verify() == []
        rows = {"customer": [1, 4], "segment": ["a", "a"], "confidence": [None, 1.0], "reason": [None, "x"]}
        again = members.publish([Placed("Main", 3, pa.table(rows))], as_of=400, now=1)["Main"]
        assert (again.left, again.stayed) == (2, 2)
        assert members.runs("Main")[-1]["run"] == 4


def test_opening_again_does_not_migrate_again(old: Path) -> None:
    with open_store(old) as store:
        first = store.members.transitions()
    with open_store(old) as store:
        assert store.members.transitions() == first


def test_killed_while_rows_are_carried_over_nothing_is_half_done(old: Path) -> None:
    """A child process opens the workspace and dies at the third part of the log."""
    dies = """
        import os, signal, sys
        from kohort.store import open_store
        from kohort.store.members import parts
        done, encoded = [], parts.encoded
        parts.encoded = lambda t: os.kill(os.getpid(), signal.SIGKILL) if len(done) == 2 else done.append(1) or encoded(t)
        open_store(sys.argv[1])
    """
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(dies), str(old)], check=False, timeout=60)
    assert said.returncode == -9
    with open_store(old) as store:
        assert store.members.last_transition() == len(STAYS) + sum(row[2] is not None for row in STAYS)
        assert store.verify() == []


def test_damage_in_the_old_rows_is_not_carried_over(old: Path) -> None:
    before = (old / "state.db").read_bytes()
    for change in (
        "UPDATE membership SET segment = 'c' WHERE customer = 1",
        "DELETE FROM membership WHERE customer = 1",
    ):
        (old / "state.db").write_bytes(before)
        con = sqlite3.connect(old / "state.db")
        con.execute(change)
        con.commit()
        con.close()
        with pytest.raises(Damaged, match="memberships"):
            open_store(old)
        con = sqlite3.connect(old / "state.db")
        assert con.execute("SELECT count(*) FROM membership_run").fetchone() == (3,), "nothing is half done"
        assert con.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        con.close()
