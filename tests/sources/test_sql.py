"""A real PostgreSQL, fetched over the wire: every kind of value, only what is new, interrupted and gone on with."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from kohort.cli.app import app
from kohort.errors import SourceFailed, WrongUsage
from kohort.ingest.connect.marks import furthest
from kohort.model.connection import Connection, Mark, Since

sql = pytest.importorskip("kohort.ingest.connect.sql", exc_type=ImportError)
pytestmark = [pytest.mark.sources, pytest.mark.ci]
NOW = 2_000_000_000_000_000
Run = Callable[..., None]


@pytest.fixture(scope="module")
def run(postgres: str) -> Iterator[Run]:
    engine = sa.create_engine(postgres.replace("postgresql://", "postgresql+pg8000://"))

    def execute(text: str, **values: Any) -> None:
        with engine.begin() as con:
            con.execute(sa.text(text), values)

    execute(
        "CREATE TABLE customers (id bigint, email text, vip boolean, spent numeric(12,2), tags text[], about jsonb, "
        "born date, photo bytea, updated_at timestamptz)"
    )
    execute(
        "INSERT INTO customers SELECT n, 'c' || n || '@example.org', n % 2 = 0, n / 8.0, ARRAY['a','b'], "
        """'{"plan": {"name": "pro"}, "seats": 3}', DATE '2000-01-01', '\\x00ff', """
        "TIMESTAMPTZ '2024-03-01 00:00:00+00' + n * INTERVAL '1 second' FROM generate_series(1, 12000) n"
    )
    execute("INSERT INTO customers (id) VALUES (0)")  # never changed
    yield execute
    engine.dispose()


@pytest.fixture
def crm(postgres: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setenv("CRM_URL", postgres)
    return Connection("crm", "customers", url_env="CRM_URL", table="public.customers", since=Since("updated_at"))


def test_a_table_comes_in_the_order_of_its_column_in_parts(crm: Connection) -> None:
    pages = list(sql.pages(crm, None))
    assert [len(p) for p in pages] == [10_000, 2_001]
    times = [r["updated_at"] for p in pages for r in p if r["updated_at"]]
    assert len(times) == 12_000
    assert all(a < b for a, b in pairwise(times))
    (first,) = [r for r in pages[0] if r["id"] == 1]
    assert (first["spent"], first["vip"], first["about"]["seats"]) == (Decimal("0.13"), False, 3)


def test_only_new_rows_are_read(crm: Connection) -> None:
    last = furthest((r for p in sql.pages(crm, None) for r in p), "updated_at", None, now=NOW)
    assert last == Mark(1709251200_000000 + 12_000_000_000, True)
    ids = {r["id"] for p in sql.pages(crm, last) for r in p}
    # What changed in the last ten minutes before, and what has no time at all.
    assert ids == {0, *range(11_400, 12_001)}


def test_numbers_and_walls_grow_too(crm: Connection, run: Run, postgres: str) -> None:
    run("CREATE TABLE visits (number bigint, at timestamp)")
    run("INSERT INTO visits SELECT n, TIMESTAMP '2024-03-01' + n * INTERVAL '1 hour' FROM generate_series(1, 9) n")
    by_number = Connection("v", "v", url_env="CRM_URL", table="visits", since=Since("number"))
    assert [r["number"] for p in sql.pages(by_number, Mark(7, False)) for r in p] == [7, 8, 9]
    by_wall = Connection("v", "v", url_env="CRM_URL", table="visits", since=Since("at", overlap_s=0))
    last = furthest((r for p in sql.pages(by_wall, None) for r in p), "at", None, now=NOW)
    assert last is not None
    assert not last.zoned
    assert [r["at"] for p in sql.pages(by_wall, last) for r in p] == [dt.datetime(2024, 3, 1, 9)]  # noqa: DTZ001


def test_what_is_wrong_is_said_without_the_databases_words(
    crm: Connection, run: Run, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    def caught(connection: Connection) -> SourceFailed:
        with pytest.raises(SourceFailed) as error:
            list(sql.pages(connection, None))
        assert "s3cret-word" not in f"{error.value} {error.value.__cause__}"
        return error.value

    run("CREATE ROLE nobody LOGIN PASSWORD 's3cret-word'")
    monkeypatch.setenv("CRM_URL", postgres.replace("kohort:", "nobody:"))
    assert caught(crm).code == "not_allowed"
    monkeypatch.setenv("CRM_URL", postgres)
    assert caught(replace(crm, table="absent")).code == "not_allowed"
    assert caught(replace(crm, since=Since("absent"))).code == "bad_answer"
    monkeypatch.setenv("CRM_URL", postgres.replace("s3cret-word", "wrong"))
    assert caught(crm).code == "not_allowed"
    monkeypatch.setenv("CRM_URL", "postgresql://kohort:s3cret-word@127.0.0.1:1/postgres")
    assert caught(crm).code == "unreachable"


@pytest.mark.parametrize("url", ["", "no address", "oracle9://me:s3cret-word@host/db", "nonsense+driver://me@host/db"])
def test_an_address_that_is_none(crm: Connection, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CRM_URL", url)
    with pytest.raises(WrongUsage) as caught:
        list(sql.pages(crm, None))
    assert "s3cret-word" not in str(caught.value)


def test_a_database_comes_into_a_workspace_and_its_changes_after_it(
    run: Run, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_URL", postgres)
    run("CREATE TABLE people (customer_id bigint, email text, plan text, updated_at timestamptz)")
    run(
        "INSERT INTO people SELECT n, 'canary-' || n || '@example.org', 'free', "
        "TIMESTAMPTZ '2024-03-01 00:00:00+00' + n * INTERVAL '1 hour' FROM generate_series(1, 200) n"
    )
    shop = tmp_path / "shop"
    machine("init", shop)
    config = shop / "kohort.yaml"
    text = "connections:\n  people: {url_env: CRM_URL, table: people, since: updated_at}\n"
    config.write_text(config.read_text() + text)
    (tmp_path / "answers.yaml").write_text("kind: customers\n")
    first = machine("connect", "-w", shop, "--map", tmp_path / "answers.yaml")
    assert (first["read"], first["stored"]) == (200, 200)
    run("UPDATE people SET plan = 'pro', updated_at = TIMESTAMPTZ '2024-04-01 00:00:00+00' WHERE customer_id = 7")
    again = machine("connect", "-w", shop)
    assert (again["read"], again["stored"], again["duplicate"]) == (2, 1, 1)
    features = machine("features", "-w", shop, "--out", tmp_path / "f.csv")
    assert features["customers"] == 200
    kept = b"".join(p.read_bytes() for p in shop.rglob("*") if p.is_file())
    assert b"canary-7@example.org" not in kept
    assert b"s3cret-word" not in kept


def machine(*arguments: Any) -> dict[str, Any]:
    told = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout)
