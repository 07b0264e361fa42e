"""T15: after an erasure no file of the workspace holds her identifiers or her pseudonyms, however they are packed, sealed or
written; whoever stays is found, so the search proves something; and replaying the sources does not bring her back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import kohort
from kohort.errors import UnknownCustomer
from kohort.live.audit import audit
from kohort.live.loop import Loop, Pace
from kohort.live.sources import JournalSource
from kohort.model.delivery import Outcome, Wanted
from kohort.trust.erasure import Eraser, digest
from kohort.workspace.live import look

ADA, HER_DEVICE, HER_EMAIL = "customer-4711-ada", "device-of-ada-77421", "ada.lovelace@example.com"
HERS = [ADA, HER_DEVICE, HER_EMAIL, "Augusta Ada Lovelace", "31 22 77 41"]
OTHER = "customer-0001"
NOW = 1_790_000_000_000_000
AT = {"timestamp": "2026-09-20T10:00:00Z"}
SENT: list[dict[str, Any]] = [
    {"type": "page", "anonymousId": HER_DEVICE, "messageId": "m-1", **AT},
    {"type": "identify", "anonymousId": HER_DEVICE, "userId": ADA, "messageId": "m-2", "traits": {"email": HER_EMAIL}, **AT},
    {"type": "track", "event": "Order Completed", "userId": ADA, "messageId": "m-3", "properties": {"total": 9}, **AT},
    {"type": "track", "event": "Order Completed", "userId": OTHER, "messageId": "m-4", **AT},
    {"type": "nonsense", "userId": ADA, "messageId": "m-5", **AT},
    {"type": "nonsense", "userId": "customer-0002", "messageId": "m-6", "note": f"ask {HER_EMAIL}, she knows", **AT},
    {"type": "nonsense", "userId": "customer-0003", "messageId": "m-7", "note": "4711", **AT},
]  # fmt: skip


@dataclass
class Live:
    """The loop of a server, and the journal it reads."""

    ws: Any
    journal: Any = field(init=False)
    loop: Loop = field(init=False)

    def __post_init__(self) -> None:
        self.journal = self.ws.store.journal()
        pace = Pace(watch=0, note=0)
        self.loop = Loop(self.ws.store, look(self.ws), [JournalSource(self.journal)], pace=pace)

    def send(self, payloads: list[dict[str, Any]]) -> None:
        for payload in payloads:
            meta = {"received_us": NOW, "source": "shop", "path": "batch", "ip": "", "user_agent": ""}
            self.journal.append(json.dumps({"batch": [payload]}).encode(), meta).result(10)
        self.go_on()

    def go_on(self) -> None:
        while self.loop.tick().more:
            pass

    def close(self) -> None:
        self.loop.close()


@dataclass
class Shop:
    """A workspace in which one person is wherever a person can be."""

    ws: Any
    orders: Path
    customers: Path
    keys: list[int] = field(default_factory=list)

    def bring(self) -> None:
        """The company's files and programs say again what they have always said."""
        self.ws.ingest(self.orders, kind="orders")
        self.ws.ingest(self.customers, kind="customers")
        live = Live(self.ws)
        live.send(SENT)
        live.close()

    def left_of_her(self) -> list[tuple[str, str, int]]:
        found = self.ws.privacy.scan(HERS, self.keys)
        assert found.proves, "who is still there is found"
        assert not found.short
        return [(hit.file, hit.packed, hit.needle) for hit in found.hits]


def write_files(folder: Path, people: int = 40) -> tuple[Path, Path]:
    numbers = [ADA, *(f"customer-{n:04}" for n in range(people))]
    orders = ["order_id,customer_id,order_date,product,quantity,price"]
    orders += [
        f"o{n}-{i},{who},2026-0{1 + n % 8}-1{n},cup,1,{5 + i % 7}" for i, who in enumerate(numbers) for n in range(6)
    ]
    orders += [f"x,{ADA},no date,tea,1,2", "y,customer-0005,no date,tea,1,2"]
    customers = ["customer_id,email,name,phone", f"{ADA},{HER_EMAIL},Augusta Ada Lovelace,+45 31 22 77 41"]
    customers += [f"{who},{who}@shop.example.com,Person {i},20{i:08}" for i, who in enumerate(numbers[1:])]
    for name, lines in (("orders.csv", orders), ("customers.csv", customers)):
        (folder / name).write_text("\n".join(lines))
    return folder / "orders.csv", folder / "customers.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """The folder of the shop and its files, and her pseudonyms."""
    folder = tmp_path_factory.mktemp("made")
    with kohort.create(folder / "ws", name="Toys") as ws:
        shop = Shop(ws, *write_files(folder))
        ws.segments.add("buyer", "did('order_line') or did('Order Completed')")
        shop.bring()
        store = ws.store
        keys = [int(store.vault.known([ADA])[0]), int(store.vault.known_visitors([HER_DEVICE])[0])]
        ws.segments.add("vip", "did('order_line', at_least => 2)")
        ws.segments.run()
        store.audit_log.note("looked_at_customer", by="Eve", about="vip", customers=keys)
        store.by_hand.put("vip", "vip", [keys[0], int(store.vault.known([OTHER])[0])], True, by="Eve")
        ws.discover(algorithm="kmeans", k=2)
        seq = store.deliveries.begin()
        store.deliveries.plan(seq, seq, [wanted(keys[0], "d1"), wanted(keys[0], "d2")], now=NOW)
        (first,) = store.deliveries.due("crm", NOW, 1)
        store.deliveries.settle([Outcome(first.number, "done", "", 200, began_at=NOW)], now=NOW)
    return folder, keys


@pytest.fixture
def shop(made: tuple[Path, list[int]], tmp_path: Path) -> Iterator[Shop]:
    folder, keys = made
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    with kohort.open(tmp_path / "ws") as ws:
        yield Shop(ws, tmp_path / "orders.csv", tmp_path / "customers.csv", keys)


def wanted(customer: int, id_: str) -> Wanted:
    return Wanted(id_, "welcome", "crm", 1, "buyer", "buyer", "", customer, "entered", 1, NOW, 1)


def test_no_file_holds_anything_of_her_and_before_it_was_everywhere(shop: Shop) -> None:
    before = shop.left_of_her()
    assert {needle for _, _, needle in before} == set(range(7)), "each identifier and each pseudonym of hers is found"
    assert {packed for _, packed, _ in before} >= {"", "parquet", "sqlite", "vault", "rejected row"}
    events = shop.ws.store.log.count()

    receipt = shop.ws.privacy.erase([ADA])

    assert shop.left_of_her() == []
    assert shop.ws.store.verify() == []
    assert receipt["people"] == 1
    assert receipt["ids"] == 2
    assert receipt["stores"]["vault"] == 2
    assert receipt["stores"]["events"] == events - shop.ws.store.log.count() > 6
    assert receipt["stores"]["rejected_rows"] == 3, "hers, and the one of another that names her address"
    assert receipt["stores"]["memberships"] == 2
    assert receipt["stores"]["by_hand"] == 1
    assert receipt["stores"]["deliveries"] == 2
    assert receipt["stores"]["looks"] == 2
    assert receipt["stores"]["model_rows"] == 1
    assert [(r["destination"], r["deliveries"]) for r in receipt["recipients"]] == [("crm", 1)]
    assert {one["what"] for one in receipt["remaining"]} == {"backups", "sources", "models"}
    assert receipt["retrain"]


def test_others_keep_everything(shop: Shop) -> None:
    store = shop.ws.store
    before = {name: table.to_pylist() for name, table in store.members.current_together().items()}
    shop.ws.privacy.erase([ADA])
    after = {name: table.to_pylist() for name, table in store.members.current_together().items()}
    assert after == {name: [r for r in rows if r["customer"] not in shop.keys] for name, rows in before.items()}
    assert store.by_hand.table()["customer"].to_pylist() == store.vault.known([OTHER]).tolist()
    assert {row.raw.get("customer_id") or json.loads(row.raw["event"])["userId"] for row in store.state.rejected()} == {
        "customer-0005",
        "customer-0003",
    }, "a short text in somebody's note is no mention of her"
    assert len(shop.ws.segmentation().segments) == 2


def test_replaying_files_and_events_does_not_bring_her_back(shop: Shop) -> None:
    shop.ws.privacy.erase([ADA])
    before = shop.ws.store.log.count()
    shop.bring()
    store = shop.ws.store
    assert store.log.count() == before
    assert not store.vault.known([ADA]).any()
    assert not store.vault.known_visitors([HER_DEVICE]).any()
    shop.ws.privacy.erase(["customer-0000"])  # lets go of the requests that were refused
    assert shop.left_of_her() == [("state.db", "rejected row", 2)], "what another customer's refused event says of her"
    assert {json.loads(r.raw["event"])["messageId"] for r in store.state.rejected() if "event" in r.raw} == {
        "m-6",
        "m-7",
    }


def test_erasing_the_rows_only_is_caught(shop: Shop) -> None:
    """The twin that cheats: keys are destroyed and rows marked, but nothing is written anew."""
    shop.ws.store.log.compact()
    shop.ws.store.vault.erase(shop.keys, erased_us=NOW)
    left = shop.left_of_her()
    assert any(packed == "parquet" and needle == 5 for _, packed, needle in left)
    assert any(packed == "rejected row" and needle == 0 for _, packed, needle in left)


def test_while_a_server_runs_live_stays_what_batch_finds(shop: Shop) -> None:
    live = Live(shop.ws)
    live.go_on()
    with kohort.open(shop.ws.root) as other:
        waited = []
        eraser = other.privacy._eraser(lambda _text, step, _of: waited.append(step))
        receipt = eraser.with_journal_seconds(0).erase([shop.keys[0]])
        assert receipt["people"] == 1
        live.go_on()
        found = audit(shop.ws.store, look(shop.ws)())
        assert found.differ == ()
        assert found.damage == ""
        assert shop.keys[0] not in shop.ws.store.members.current("buyer")["customer"].to_pylist()
        assert shop.left_of_her() == [], "requests that were dealt with went with their file"
        live.send(SENT)
        assert not shop.ws.store.vault.known([ADA]).any()
        assert shop.ws.store.verify() == []
    live.close()


def test_numbers_of_other_transitions_stay_and_readers_pass_over_the_empty_places(shop: Shop) -> None:
    members = shop.ws.store.members
    before = [r for r in members.transitions().to_pylist() if r["customer"] not in shop.keys]
    shop.ws.privacy.erase([ADA])
    assert members.transitions().to_pylist() == before
    one_by_one, seq = [], 0
    while page := members.transitions(after=seq, limit=1).to_pylist():
        one_by_one += page
        seq = page[-1]["seq"]
    assert one_by_one == before
    assert members.history("buyer", shop.keys[0]) == []
    assert members.last_transition() > len(before)


def test_asked_again_it_says_so_and_unknown_numbers_erase_nobody(shop: Shop) -> None:
    with pytest.raises(UnknownCustomer, match="2"):
        shop.ws.privacy.erase([ADA, "customer-9999"])
    assert shop.ws.store.vault.known([ADA]).all()
    first = shop.ws.privacy.erase([ADA, OTHER])
    again = shop.ws.privacy.erase([ADA, OTHER])
    assert (again["request"], again["already"], first["people"]) == (None, 2, 2)
    third = shop.ws.privacy.erase([ADA, "customer-0002"])
    assert (third["people"], third["already"]) == (1, 1)


def test_two_who_go_on_with_one_erasure_leave_one_receipt(shop: Shop) -> None:
    one, other = (Eraser(shop.ws.store, {}, journal_seconds=0) for _ in range(2))
    with shop.ws.store.write_lock():
        known = shop.ws.store.requests.one(one._close(one._ask(shop.keys)))
    told = one._go_on(known)
    assert told["stores"]["events"] > 0
    assert other._go_on(known) == told, "what it knew is old by then"


def test_receipts_are_chained_and_name_nobody(shop: Shop) -> None:
    first, second = shop.ws.privacy.erase([ADA]), shop.ws.privacy.erase([OTHER])
    assert second["previous"] == first["digest"]
    for number, request in enumerate(shop.ws.store.requests.all(), start=1):
        assert request.step == "done"
        assert request.customers == ()
        assert digest(number, request.receipt) == request.receipt["digest"]
        assert digest(number, {**request.receipt, "people": 0}) != request.receipt["digest"]
