"""`kohort connect` as a user runs it: an API and a database into a workspace, interrupted, run again, and no trace left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kohort.cli.app import app

pytestmark = pytest.mark.sources
CANARY = "canary-7f3a@example.org"


def machine(*arguments: Any, code: int = 0) -> dict[str, Any]:
    told = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)


def ticket(n: int) -> dict[str, Any]:
    at = f"2024-03-{n:02}T10:00:00Z"
    contact = {"id": n % 5, "email": CANARY if n == 3 else f"c{n % 5}@example.org"}
    body = {"ticket_id": n, "event": "support_ticket", "customer": contact, "created_at": at, "updated_at": at}
    return body | {"priority": "high" if n % 2 else "low"}


@pytest.fixture
def shop(tmp_path: Path, api: Any) -> Path:
    folder = tmp_path / "shop"
    machine("init", folder, "--name", "Toys")
    config = folder / "kohort.yaml"
    config.write_text(
        config.read_text()
        + f"""
connections:
  desk:
    rest: {api.url}/tickets
    source: tickets
    records: tickets
    pages: {{by: cursor, path: next, param: after}}
    since: {{column: updated_at, param: since, overlap: 0 minutes, ascending: true}}
sources:
  tickets:
    kind: events
    columns: {{customer: customer.id, time: created_at, event: event}}
    identities: {{customer.email: email}}
    properties: {{priority: text, ticket_id: text}}
    time_format: iso
"""
    )
    return folder


def serve(api: Any, rows: list[dict[str, Any]], size: int = 4, fail_at: int | None = None) -> None:
    def says(path: str, params: dict[str, str]) -> Any:
        start = int(params.get("after", 0))
        if fail_at is not None and start >= fail_at:
            return api.answer(b"", 403)
        fresh = [r for r in rows if r["updated_at"] >= params.get("since", "")]
        following = {"next": start + size} if start + size < len(fresh) else {}
        return api.answer({"tickets": fresh[start : start + size], **following})

    api.says = says


def test_an_api_comes_in_once_and_goes_on(shop: Path, api: Any) -> None:
    rows = [ticket(n) for n in range(1, 11)]
    serve(api, rows, fail_at=8)
    broken = machine("connect", "-w", shop, code=1)
    assert (broken["stored"], broken["connections"][0]["error"]["code"]) == (8, "not_allowed")
    listed = machine("sources", "-w", shop)["connections"][0]
    assert (listed["complete"], listed["reached"]) == (False, "2024-03-08T10:00:00Z")
    serve(api, rows)
    first = machine("connect", "-w", shop)
    assert (first["read"], first["stored"], first["duplicate"]) == (3, 2, 1)
    again = machine("connect", "-w", shop, "desk")
    assert (again["read"], again["stored"]) == (1, 0)
    assert machine("events", "count", "-w", shop)["events"] == 10
    people = CliRunner().invoke(app, ["connect", "-w", str(shop)]).stdout
    assert "1 rows read: 0 new, 1 already known" in people


def test_identifiers_are_in_the_vault_and_nowhere_else(shop: Path, api: Any, tmp_path: Path) -> None:
    """Neither in the workspace, nor in what dlt may write: its home and the folder for temporary files are watched."""
    serve(api, [ticket(n) for n in range(1, 11)])
    watched = tmp_path / "watched"
    for name in ("home", "tmp"):
        (watched / name).mkdir(parents=True)
    env = {**os.environ, "HOME": str(watched / "home"), "TMPDIR": str(watched / "tmp")}
    command = [sys.executable, "-m", "kohort", "connect", "-w", str(shop), "--json"]
    told = subprocess.run(command, env=env, cwd=watched, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(told.stdout)["stored"] == 10
    assert told.stderr == ""
    assert CANARY not in told.stdout
    files = [p for p in (*shop.rglob("*"), *watched.rglob("*")) if p.is_file()]
    assert {p.relative_to(watched) for p in files if p.is_relative_to(watched)} == set()
    hits = [p.name for p in files if CANARY.encode() in p.read_bytes()]
    assert hits == []


def test_a_source_without_a_mapping_is_proposed_or_asked_about(shop: Path, api: Any, tmp_path: Path) -> None:
    config = shop / "kohort.yaml"
    config.write_text(config.read_text().split("sources:")[0])
    rows = [
        {"order_id": n, "customer_id": n % 3, "order_date": "2024-03-01T10:00:00Z", "sku": "mug", "price": n, "qty": 1}
        | {"updated_at": f"2024-03-{n:02}T10:00:00Z"}
        for n in range(1, 8)
    ]
    serve(api, rows)
    assert machine("connect", "-w", shop)["stored"] == 7
    listed = machine("sources", "-w", shop)
    assert listed["sources"] == [{"name": "tickets", "kind": "orders"}]
    assert listed["connections"][0]["mapped"] is True


def test_wrong_names_and_no_connections(shop: Path, tmp_path: Path) -> None:
    assert machine("connect", "-w", shop, "dest", code=1)["error"]["hint"] == "Did you mean 'desk'?"
    machine("init", tmp_path / "empty")
    assert machine("connect", "-w", tmp_path / "empty", code=2)["error"]["code"] == "wrong_usage"
