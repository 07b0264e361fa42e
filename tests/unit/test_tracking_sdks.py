"""What real clients send for the same seven calls is stored alike.

The files in tests/golden/tracking were recorded from unmodified clients against a loopback server; the browser's was
written after its source.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from kohort.ingest.memory import MemoryVault
from kohort.ingest.tracking import Normaliser, arrivals, inflate, parse
from kohort.ingest.tracking.clock import instant

RECORDED = sorted((Path(__file__).parents[1] / "golden" / "tracking").glob("*.json"))


def stored(file: Path) -> tuple[list[dict[str, Any]], MemoryVault, int, list[Any]]:
    """Rows of all requests of a client, each received 20 ms after it was sent."""
    vault = MemoryVault()
    normaliser = Normaliser(vault, {}, "UTC", "EUR")
    rows, links, calls = [], [], 0
    for n, request in enumerate(json.loads(file.read_text())):
        body = json.dumps(request["body"]).encode()
        sent = instant(request["body"]["sentAt"])
        assert sent is not None
        read = parse(inflate(gzip.compress(body) if request["gzip"] else body, request["content_encoding"]))
        found = arrivals(read, request["path"], sent + 20_000, "web", str(n))
        out = normaliser.normalise(found)
        assert not out.rejected
        assert out.retimed == frozenset(), "a clock that is right is left alone"
        rows += out.table.to_pylist()
        links += out.links
        calls += len(found)
    return rows, vault, calls, links


@pytest.mark.parametrize("file", RECORDED, ids=lambda f: f.stem)
def test_every_client_says_the_same(file: Path) -> None:
    rows, vault, calls, links = stored(file)
    assert calls == 7
    own = ("event", "p_plan", "p_price", "p_when", "p_name", "p_url", "t_plan", "t_logins", "t_group_id", "t_group_name",
           "t_group_employees")  # fmt: skip
    told = [{name: row[name] for name in own if row.get(name) is not None} for row in rows]
    screen = told[3].pop("p_name")
    assert told == [
        {"event": "identify", "t_plan": "gold", "t_logins": 5_000_000},
        {"event": "Plan Changed", "p_plan": "gold", "p_price": 18_990_000, "p_when": 1_748_736_000_000_000},
        {"event": "page", "p_name": "Home", "p_url": "https://shop.example/a"},
        {"event": "screen"},
        {"event": "identify", "t_group_id": "g1", "t_group_name": "Acme", "t_group_employees": 9_000_000},
        {"event": "alias"},
        {"event": "Seen"},
    ]
    assert screen in ("Main", "Start")
    user, visitor = vault.keys["u1"], vault.anonymous["anon-2"]
    assert [row["customer"] for row in rows] == [user] * 6 + [visitor]
    assert {(kind, value) for _, kind, value in vault.sealed} == {("email", "ada@example.org")}
    assert all(len(row["event_id"]) > 20 for row in rows)
    assert len({row["event_id"] for row in rows}) == 7
    assert all(0 < row["received_at"] - row["ts"] < 1_000_000 for row in rows)
    assert all("analytics" in row["p_context_library"] for row in rows)
    assert (vault.anonymous["anon-1"], user) in [(link.customer, link.root) for link in links]


def test_clients_were_recorded() -> None:
    assert len(RECORDED) == 5
