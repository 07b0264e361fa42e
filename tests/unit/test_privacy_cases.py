"""Requests of persons: each has its day and its deadline, becomes settled once, and stays without her when she is erased."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import kohort
from kohort.errors import NotFound, UnknownCustomer, WrongUsage
from kohort.model.arrival import Link
from kohort.model.cases import due
from kohort.model.clock import iso, parse_instant
from kohort.workspace.workspace import Workspace

ADA, BEN, CLEO = "customer-0001x", "customer-0002x", "customer-0003x"
KOHORT = """consent: {marketing: t_newsletter, calls: t_calls}
segments: {buyers: {rule: did('order_line'), purpose: marketing}}
destinations: {mail: {webhook: 'https://mail.example/in?token=x', secret_env: MAIL, identifiers: [email]}}
retention: {events: 25 months}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    folder = tmp_path_factory.mktemp("cases")
    lines = [f"o{n},customer-000{n}x,2026-01-0{n},tea,1,5" for n in range(1, 5)]
    (folder / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    people = [f"customer-000{n}x,Ada-{n}x,a{n}-x@shop.example.com,{agreed}" for n, agreed in ((1, "yes"), (2, "no"))]
    (folder / "people.csv").write_text("\n".join(["customer_id,name,email,newsletter", *people]))
    with kohort.create(folder / "ws") as ws:
        ws.ingest(folder / "orders.csv", kind="orders")
        ws.ingest(folder / "people.csv", kind="customers")
    file = folder / "ws" / "kohort.yaml"
    file.write_text(file.read_text() + KOHORT)
    return folder / "ws"


@pytest.fixture
def ws(made: Path, tmp_path: Path) -> Iterator[Workspace]:
    with kohort.open(shutil.copytree(made, tmp_path / "ws")) as one:
        yield one


@pytest.mark.parametrize(
    ("came", "zone", "by"),
    [
        ("2026-01-31T10:00", "UTC", "2026-02-28T23:59:59.999999Z"),
        ("2028-01-30T10:00", "UTC", "2028-02-29T23:59:59.999999Z"),
        ("2026-12-31T10:00", "UTC", "2027-01-31T23:59:59.999999Z"),
        ("2026-02-28T10:00", "UTC", "2026-03-28T23:59:59.999999Z"),
        ("2026-03-15T23:30", "Europe/Berlin", "2026-04-15T21:59:59.999999Z"),
        ("2026-03-16T00:30+01:00", "America/New_York", "2026-04-16T03:59:59.999999Z"),
    ],
)
def test_a_month_ends_with_the_same_day_or_the_last_of_a_shorter_month(came: str, zone: str, by: str) -> None:
    assert iso(due(parse_instant(came, zone=zone), zone)) == by


def test_a_request_has_its_day_its_deadline_and_who_wrote_it_down(ws: Workspace) -> None:
    told = ws.privacy.cases.receive("erasure", ADA, by="Ida", way="letter", received=parse_instant("2026-01-05"))
    assert (told["number"], told["customer"], told["by"], told["way"]) == (1, ADA, "Ida", "letter")
    assert told["due"] == "2026-02-05T23:59:59.999999Z"
    assert told["late"] is True
    assert ws.privacy.cases.receive("access", told["code"], by="Ida")["late"] is False
    assert ws.store.verify() == []


def test_the_most_urgent_one_is_on_top_and_settled_ones_are_below(ws: Workspace) -> None:
    for number, day in ((ADA, "2026-03-05"), (BEN, "2026-02-05"), (CLEO, "2026-01-05")):
        ws.privacy.cases.receive("access", number, by="Ida", received=parse_instant(day))
    ws.privacy.cases.settle(3, by="Tom", receipt="")
    assert [one["number"] for one in ws.privacy.cases.all()] == [2, 1, 3]
    settled = ws.privacy.cases.one(3)
    assert (settled["outcome"], settled["done_by"]) == ("done", "Tom")


def test_it_is_settled_once_and_can_be_opened_again_with_the_same_deadline(ws: Workspace) -> None:
    first = ws.privacy.cases.receive("objection", ADA, by="Ida")
    ws.privacy.cases.settle(1, "refused", by="Ida")
    with pytest.raises(WrongUsage, match="settled already"):
        ws.privacy.cases.settle(1, by="Ida")
    assert ws.privacy.cases.reopen(1) == first
    with pytest.raises(WrongUsage, match="is open"):
        ws.privacy.cases.reopen(1)


def test_nobody_nothing_and_the_future_are_refused(ws: Workspace) -> None:
    cases = ws.privacy.cases
    with pytest.raises(UnknownCustomer):
        cases.receive("access", "nobody-at-all", by="Ida")
    with pytest.raises(NotFound):
        cases.receive("dance", ADA, by="Ida")
    with pytest.raises(NotFound):
        cases.receive("access", ADA, by="Ida", way="pigeon")
    with pytest.raises(WrongUsage, match="future"):
        cases.receive("access", ADA, by="Ida", received=parse_instant("2999-01-01"))
    with pytest.raises(NotFound):
        cases.settle(7, by="Ida")
    assert cases.all() == []


def test_an_erasure_is_done_only_once_she_is_gone(ws: Workspace) -> None:
    ws.privacy.cases.receive("erasure", ADA, by="Ida")
    with pytest.raises(WrongUsage, match="not erased yet"):
        ws.privacy.cases.settle(1, by="Ida")
    ws.privacy.cases.settle(1, "withdrawn", by="Ida")
    ws.privacy.cases.reopen(1)
    ws.privacy.erase([ADA])
    assert ws.privacy.cases.settle(1, by="Ida", receipt="erasure-1")["outcome"] == "done"


def test_once_she_is_erased_her_requests_stay_and_tell_nobody_who_she_was(ws: Workspace) -> None:
    ws.privacy.cases.receive("access", ADA, by="Ida")
    ws.privacy.cases.receive("erasure", ADA, by="Ida")
    ws.privacy.cases.receive("access", BEN, by="Ida")
    receipt = ws.privacy.erase([ADA])
    assert receipt["stores"]["cases"] == 2
    ws.privacy.cases.settle(2, by="Ida", receipt=receipt["request"])
    found = {one["number"]: one for one in ws.privacy.cases.all()}
    assert [found[n]["customer"] for n in (1, 2, 3)] == [None, None, BEN]
    assert [found[n]["code"] for n in (1, 2)] == [None, None]
    assert ws.privacy.records.receipt(found[2]["receipt"])["people"] == 1
    with pytest.raises(NotFound):
        ws.privacy.records.receipt("erasure-99")
    assert ws.store.verify() == []


def test_while_she_is_being_erased_her_request_is_about_nobody(ws: Workspace) -> None:
    ws.privacy.cases.receive("erasure", ADA, by="Ida")
    (ada,) = (int(key) for key in ws.store.vault.known([ADA]))
    ws.store.vault.erase([ada], erased_us=1)
    assert ws.privacy.cases.one(1)["code"] is None
    assert ws.privacy.cases.all()[0]["customer"] is None


def test_purposes_count_who_agreed_who_refused_and_who_was_never_asked(ws: Workspace) -> None:
    marketing, calls = ws.privacy.records.purposes()
    assert (marketing["agreed"], marketing["refused"], marketing["never_asked"]) == (1, 1, 2)
    assert (calls["agreed"], calls["refused"], calls["never_asked"]) == (0, 0, 4)
    assert marketing["segments"] == ["buyers"]
    ws.privacy.record_consent(CLEO, "marketing", True, source="form")
    ws.privacy.record_consent(ADA, "marketing", False, source="call")
    marketing, _ = ws.privacy.records.purposes()
    assert (marketing["agreed"], marketing["refused"], marketing["never_asked"]) == (1, 2, 1)


def test_a_refusal_of_one_id_counts_for_the_person_like_it_does_in_segments(ws: Workspace) -> None:
    ada, ben = (int(key) for key in ws.store.vault.known([ADA, BEN]))
    ws.store.link([Link("l", ben, ada, parse_instant("2026-06-01"))], now=parse_instant("2026-06-01"))
    marketing, _ = ws.privacy.records.purposes()
    assert (marketing["agreed"], marketing["refused"], marketing["never_asked"]) == (0, 1, 2)
    assert ws.privacy.consent(ADA)["consent"][0]["agreed"] is False


def test_limits_count_people_and_not_their_ids(ws: Workspace) -> None:
    ada, ben = (int(key) for key in ws.store.vault.known([ADA, BEN]))
    ws.store.link([Link("l", ben, ada, parse_instant("2026-06-01"))], now=parse_instant("2026-06-01"))
    ws.privacy.forbid("objection", [BEN])
    assert ws.privacy.records.forbidding() == {"objection": 1, "restriction": 0}


def test_the_register_is_made_from_what_there_is_and_names_nobody(ws: Workspace) -> None:
    ws.keys.add("shop page", "ingest")
    ws.keys.add("warehouse", "read")
    told = ws.privacy.records.register()
    data = {(one["kind"], one["name"]): one["count"] for one in told["data"]}
    assert data["identifier", "email"] == data["identifier", "name"] == 2
    assert data["event", "order_line"] == 4
    assert ("trait", "newsletter") in data
    assert told["people"] == {"customers": 4, "visitors": 0}
    assert [(r["kind"], r["name"], r["place"]) for r in told["recipients"]] == [
        ("webhook", "mail", "mail.example"),
        ("program", "warehouse", ""),
    ]
    assert told["kept_for"] == {"events": "25 months"}
    assert "token" not in str(told)
    assert ADA not in str(told)


def test_what_will_be_too_old_is_told_before_it_is(ws: Workspace) -> None:
    now = ws.privacy.expiring()["clocks"][0]["due"]
    years = 366 * 24 * 3_600 * 1_000_000 * 40
    assert ws.privacy.expiring(years)["clocks"][0]["due"] == 4 > now - 1
    assert ws.privacy.records.last_expired() is None
