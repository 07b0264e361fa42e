"""T31: identifiers, and people as a whole, are kept for so long after the last thing that happened with them, and no longer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from kohort.definitions.retention import Retention
from kohort.definitions.windows import Span
from kohort.definitions.workspace_file import WorkspaceConfig, parse, write
from kohort.errors import RefusedDefinition
from kohort.model.arrival import Link
from kohort.model.event import Event
from kohort.store import create_store
from kohort.store.store import Store
from kohort.testing.worlds import event_table
from kohort.trust.erasure import Eraser
from kohort.trust.limits import forbid
from kohort.trust.retention import Clocks
from kohort.trust.statements import stated

ZONE = "Europe/Amsterdam"
YEAR, TWO = Span(1, "year"), Span(2, "year")


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp() * 1e6)


NOW = us("2026-02-28T12:00")
NUMBERS = count()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with create_store(tmp_path / "ws", buckets=3) as opened:
        yield opened


def people(store: Store, *names: str) -> list[int]:
    keys = [int(key) for key in store.vault.customers(names)]
    store.vault.seal(keys, "email", [f"{name}@shop.example" for name in names])
    store.vault.seal(keys, "phone", [f"06123456{n}" for n in range(10, 10 + len(names))])
    return keys


def happened(store: Store, *events: tuple[int, str, int]) -> None:
    rows = [
        Event(f"e{next(NUMBERS)}", customer, event, ts, {"local_day": 0, "local_hour": 0})
        for customer, event, ts in events
    ]
    store.log.append(event_table(rows, {}, 3), batch=1)


def clocks(store: Store, now: int, *, erase: bool = True, **periods: Any) -> Clocks:
    def erased(customers: Sequence[int]) -> dict[str, Any]:
        return Eraser(store, {}).erase(customers)

    return Clocks(store, Retention(**periods), now, ZONE, {}, erased if erase else None)


def held(store: Store, key: int) -> set[str]:
    return set(store.vault.open_person(key)) - {"ref"} if store.vault.there([key])[0] else set()


def test_identifiers_go_with_the_moment_and_not_before_and_their_person_stays(store: Store) -> None:
    ada, ben = people(store, "ada", "ben")
    happened(store, (ada, "page", us("2025-02-28T12:00")), (ben, "page", NOW))
    asked: dict[str, Any] = {"identifiers": (("phone", YEAR), ("*", TWO))}
    assert [c["due"] for c in clocks(store, NOW - 1, **asked).due()["clocks"]] == [0, 0]
    assert clocks(store, NOW - 1, **asked).apply()["request"] is None
    due = clocks(store, NOW, **asked).due()["clocks"]
    assert [(c["data"], c["kind"], c["due"]) for c in due] == [("identifiers", "phone", 1), ("identifiers", "*", 0)]
    told = clocks(store, NOW, **asked).apply()
    assert (told["identifiers"], told["people"], told["events"]) == (1, 0, 0)
    assert (held(store, ada), held(store, ben)) == ({"email"}, {"email", "phone"})
    assert clocks(store, NOW, **asked).apply()["request"] is None
    assert store.log.count() == 2
    store.vault.check()


def test_people_go_as_a_whole_and_what_they_said_of_themselves_is_no_sign_of_life(store: Store) -> None:
    ada, ben, cas = people(store, "ada", "ben", "cas")
    old = us("2023-02-28T12:00")
    happened(store, (ada, "order_line", old), (ada, "identify", NOW), (ben, "order_line", NOW - 1), (cas, "page", old))
    happened(store, (ada, "kohort_score", NOW))  # nor what was noted of her
    store.link([Link("l1", cas, ben, old)], now=1)
    told = clocks(store, NOW, people=TWO).apply()
    assert (told["people"], told["erasure"]) == (1, "erasure-1")
    assert store.vault.there([ada, ben, cas]) == [False, True, True], "cas is ben, with whom something happened"
    assert store.vault.erased_refs(["ada"]).tolist() == [True]
    assert store.log.count() == 2
    assert [r.kind for r in store.requests.all()] == ["erasure", "retention"]
    assert store.verify() == []


def test_of_whom_nothing_but_facts_is_known_the_day_counts_on_which_they_were_learned(store: Store) -> None:
    ada, ben = people(store, "ada", "ben")
    learned = [us("2023-01-01"), NOW - 1]
    facts = [Event(f"f{key}", key, "identify", 0, {"local_day": 0, "local_hour": 0}) for key in (ada, ben)]
    table = event_table(facts, {}, 3)
    place = table.schema.get_field_index("received_at")
    store.log.append(table.set_column(place, table.schema.field(place), pa.array(learned, pa.int64())), batch=1)
    clocks(store, NOW, people=TWO).apply()
    assert store.vault.there([ada, ben]) == [False, True]


def test_a_person_goes_with_the_last_event_that_is_kept_of_her(store: Store) -> None:
    ada, ben = people(store, "ada", "ben")
    (tab,) = (int(key) for key in store.vault.visitors(["tab"]))
    seen = us("2025-06-01")
    happened(store, (tab, "page", seen), (ada, "page", seen), (ada, "order_line", seen), (ben, "page", NOW))
    periods: dict[str, Any] = {"events": (("page", Span(90, "day")),), "people": Span(7, "year")}
    happened(store, (tab, "kohort_score", NOW))
    assert clocks(store, NOW, **periods).due()["clocks"][-1]["due"] == 1
    told = clocks(store, NOW, **periods).apply()
    assert (told["people"], told["events"]) == (1, 1), "her page went with her, ada's alone"
    assert store.vault.there([tab, ada, ben]) == [False, True, True]


def test_whose_data_may_not_be_used_are_kept_and_whoever_is_not_asked_for_stays(store: Store) -> None:
    ada, ben = people(store, "ada", "ben")
    happened(store, (ada, "page", us("2020-01-01")), (ben, "page", us("2020-01-01")))
    forbid(store, [ada], "restriction", [], stated(True, source="letter", at=None, now=NOW))
    assert clocks(store, NOW, erase=False, events=(("*", Span(9, "year")),), people=YEAR).due()["clocks"][1:] == []
    told = clocks(store, NOW, people=YEAR, identifiers=(("*", YEAR),)).apply()
    assert told["people"] == 1
    assert store.vault.there([ada, ben]) == [True, False]
    assert held(store, ada) >= {"email", "phone"}


@pytest.mark.parametrize(
    "said",
    [
        Retention(identifiers=(("*", YEAR),)),
        Retention(identifiers=(("phone", YEAR), ("*", TWO)), people=Span(7, "year")),
        Retention(events=(("*", YEAR),), people=TWO, hold="court case 12"),
    ],
    ids=str,
)
def test_it_reads_back_as_it_is_written(said: Retention) -> None:
    config = WorkspaceConfig("Toys", retention=said)
    assert parse(write(config)) == config


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{people: soon}", "retention.people"),
        ("{identifiers: {shoe: 1 year}}", "retention.identifiers.shoe"),
        ("{identifiers: {email: 0 days}}", "retention.identifiers.email"),
        ("{identifiers: 7}", "retention.identifiers"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, key: str) -> None:
    with pytest.raises(RefusedDefinition) as refused:
        parse(f"name: Toys\nretention: {text}")
    (mistake,) = refused.value.mistakes
    assert (mistake["key"], mistake["line"]) == (key, 2)
