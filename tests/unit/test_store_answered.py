"""Requests with a key of their own: carried out once, answered again for a day, and nothing of them is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kohort
from kohort.store.answered import KEPT_US, LONGEST_US, Answered
from kohort.store.store import Store

NOW = 1_800_000_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with kohort.create(tmp_path / "shop") as ws:
        yield ws.store


def test_the_same_request_is_answered_again(store: Store) -> None:
    kept = store.answered
    assert kept.begin("crm", "a", b"PUT x", now=NOW).state == "new"
    assert kept.begin("crm", "a", b"PUT x", now=NOW + 1).state == "busy"
    kept.keep("crm", "a", 200, b'{"done": true}')
    found = kept.begin("crm", "a", b"PUT x", now=NOW + 2)
    assert (found.state, found.status, found.answer) == ("done", 200, b'{"done": true}')
    kept.check()


def test_its_key_is_not_good_for_another_request_but_for_another_program(store: Store) -> None:
    kept = store.answered
    kept.begin("crm", "a", b"PUT x", now=NOW)
    assert kept.begin("crm", "a", b"PUT y", now=NOW).state == "other"
    assert kept.begin("shop", "a", b"PUT y", now=NOW).state == "new"


def test_what_was_not_carried_out_may_be_tried_again(store: Store) -> None:
    kept = store.answered
    kept.begin("crm", "a", b"PUT x", now=NOW)
    kept.forget("crm", "a")
    assert kept.begin("crm", "a", b"PUT y", now=NOW).state == "new"


def test_what_nobody_knows_the_outcome_of_is_not_tried_again_for_a_day(store: Store) -> None:
    kept = store.answered
    kept.begin("crm", "a", b"PUT x", now=NOW)
    kept.lose("crm", "a")
    assert kept.begin("crm", "a", b"PUT x", now=NOW + LONGEST_US).state == "unknown"
    assert kept.begin("crm", "a", b"PUT y", now=NOW + LONGEST_US).state == "other"
    assert kept.begin("crm", "a", b"PUT x", now=NOW + KEPT_US).state == "new"
    kept.check()


def test_answers_go_after_a_day_and_what_was_interrupted_after_ten_minutes(store: Store) -> None:
    kept = store.answered
    kept.begin("crm", "a", b"PUT x", now=NOW)
    kept.keep("crm", "a", 200, b"{}")
    kept.begin("crm", "b", b"PUT x", now=NOW)
    assert kept.begin("crm", "b", b"PUT x", now=NOW + LONGEST_US - 1).state == "busy"
    assert kept.begin("crm", "b", b"PUT x", now=NOW + LONGEST_US).state == "new"
    assert kept.begin("crm", "a", b"PUT x", now=NOW + KEPT_US - 1).state == "done"
    assert kept.begin("crm", "a", b"PUT x", now=NOW + KEPT_US).state == "new"


def test_it_outlives_the_process_and_holds_nothing_of_the_request(store: Store) -> None:
    store.answered.begin("crm", "order-4711", b'POST {"customer": "ana@shop.example"}', now=NOW)
    again = Answered(store._database, store.vault.key_for("answered requests"))
    assert again.begin("crm", "order-4711", b"PUT y", now=NOW).state == "other"
    for path in (store.root / "state.db", store.root / "state.db-wal"):
        text = path.read_bytes() if path.exists() else b""
        assert b"ana@shop" not in text
        assert b"order-4711" not in text
