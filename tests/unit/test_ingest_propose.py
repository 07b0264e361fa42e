"""Proposing a mapping: recognised where names and values say it, asked where they allow two readings, never guessed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kohort.errors import BadInput, NeedsAnswer, WrongUsage
from kohort.ingest import Proposal, fits, ingest_files, propose
from kohort.ingest.memory import MemoryStore
from kohort.model.source import stored_name

DATA = Path(__file__).parents[2] / "src" / "kohort" / "data" / "online_retail_ii"
SHARED = Path(os.environ.get("KOHORT_SHARED", Path(__file__).parents[3] / "shared" / "data"))


def put(tmp_path: Path, text: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def orders(dates: list[str], prices: list[str] | None = None, mark: str = ",") -> str:
    prices = prices or ["1.50", "2.25"] * len(dates)
    lines = [["order_id", "customer_id", "order_date", "sku", "quantity", "price"]]
    lines += [[str(i), f"c{i % 3}", d, f"p{i}", "1", prices[i]] for i, d in enumerate(dates)]
    return "\n".join(mark.join(line) for line in lines) + "\n"


def questions(path: Path, **options: object) -> list[str]:
    with pytest.raises(NeedsAnswer) as asked:
        propose(path, **options)
    assert asked.value.questions
    assert all("Set `" in q for q in asked.value.questions), "every question says how to answer it"
    return list(asked.value.questions)


def test_the_bundled_orders() -> None:
    found = propose(DATA / "year_2009_2010.parquet", currency="GBP")
    assert isinstance(found, Proposal)
    assert found.mapping.columns == {
        "order_id": "Invoice", "customer": "Customer ID", "time": "InvoiceDate", "product": "StockCode",
        "product_name": "Description", "quantity": "Quantity", "price": "Price",
    }  # fmt: skip
    assert (found.mapping.kind, found.mapping.currency, found.mapping.properties) == (
        "orders",
        "GBP",
        {"Country": "text"},
    )
    shown = {e["column"]: e for e in found.examples}
    assert shown["Price"]["use"] == "price"
    assert len(shown["Country"]["examples"]) == 3


@pytest.mark.parametrize(
    "head",
    [
        "Invoice No;Customer ID;Invoice Date;Stock Code;Description;Quantity;Unit Price",
        "Bestelnummer;Klantnummer;Besteldatum;Artikelnummer;Omschrijving;Aantal;Stukprijs",
        "Ordrenr;Kundenr;Ordredato;Varenummer;Varenavn;Antal;Stykpris",
        "Rechnungsnummer;Kundennummer;Rechnungsdatum;Artikelnummer;Bezeichnung;Menge;Einzelpreis",
    ],
)
def test_names_in_four_languages(tmp_path: Path, head: str) -> None:
    found = propose(
        put(tmp_path, head + "\n1;7;13.01.2024 10:15;A;Tasse;2;1.234,50\n1;7;13.01.2024 10:15;B;Krus;1;3,75\n")
    ).mapping
    assert list(found.columns) == ["order_id", "customer", "time", "product", "product_name", "quantity", "price"]
    assert list(found.columns.values()) == [head.split(";")[i] for i in (0, 1, 2, 3, 4, 5, 6)]
    assert (found.time_format, found.day_first, found.csv.decimal if found.csv else "") == ("%d.%m.%Y %H:%M", True, ",")


# -- dates -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dates", "time_format", "day_first"),
    [
        (["2024-01-02", "2024-01-03"], "iso", None),
        (["2024-01-02T10:00:00Z", "2024-01-03T10:00:00+02:00"], "iso", None),
        (["13/01/2024", "02/01/2024 "], "%d/%m/%Y", True),
        (["01/13/2024 10:15", "02/01/2024 10:15"], "%m/%d/%Y %H:%M", False),
        (["13-01-2024 10:15:30", "02-01-2024"], "%d-%m-%Y %H:%M:%S", True),
        (["1/31/24 9:05 PM", "2/1/24 11:15 AM"], "%m/%d/%y %I:%M %p", False),
        (["20240102", "20240131"], "%Y%m%d", None),
        (["1465413032", "1465413999"], "epoch_s", None),
        (["1465413032123", "1465413999000"], "epoch_ms", None),
        (["01-Dec-2010", "15-Jan-2011"], "%d-%b-%Y", None),
        (["December 1, 2010", "January 15, 2011"], "%B %d, %Y", None),
    ],
)
def test_time_formats(tmp_path: Path, dates: list[str], time_format: str, day_first: bool | None) -> None:
    text = orders(dates, mark="|")
    path = put(tmp_path, text)
    found = propose(path).mapping
    assert (found.time_format, found.day_first) == (time_format, day_first)
    report = ingest_files(path, found, store=MemoryStore(), zone="UTC", currency="EUR", now=1_800_000_000_000_000)
    assert report.stored == len(dates)


def test_a_date_that_cannot_be_decided_is_asked(tmp_path: Path) -> None:
    path = put(tmp_path, orders(["03/04/2024", "05/06/2024"]))
    (question,) = questions(path)
    assert "`day_first: true`" in question
    assert propose(path, answers={"day_first": True}).mapping.time_format == "%d/%m/%Y"
    assert propose(path, answers={"day_first": False}).mapping.time_format == "%m/%d/%Y"


def test_a_date_far_down_decides(tmp_path: Path) -> None:
    path = put(tmp_path, orders(["03/04/2024"] * 21_000 + ["25/04/2024"], ["1.5"] * 21_001))
    assert propose(path).mapping.day_first is True


def test_dates_in_both_orders_are_asked(tmp_path: Path) -> None:
    assert any("day first in some rows" in q for q in questions(put(tmp_path, orders(["13/04/2024", "04/13/2024"]))))


def test_an_impossible_date_is_a_mistake_not_another_order(tmp_path: Path) -> None:
    path = put(tmp_path, orders(["13/04/2024", "32/13/2024", "99/99/2024"], ["1.5"] * 3))
    assert propose(path).mapping.day_first is True


def test_long_titles_that_differ_at_their_end_are_both_kept(tmp_path: Path) -> None:
    long = "probability_by_" + "a_list_of_columns_" * 5
    path = put(tmp_path, f"customer_id,{long}1,{long}2\n7,1.5,2\n8,2.5,3\n")
    mapping = propose(path).mapping
    assert set(mapping.properties) == {f"{long}1", f"{long}2"}
    assert len({stored_name(n) for n in mapping.properties}) == 2


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_thousands_or_decimals_is_asked(tmp_path: Path) -> None:
    path = put(tmp_path, orders(["2024-01-01", "2024-01-02"], ["1.234", "2.345"], mark=";"))
    (question,) = questions(path)
    assert "1.234" in question
    assert "`decimal: '.'`" in question
    comma = propose(path, answers={"decimal": ","}).mapping
    store = MemoryStore()
    ingest_files(path, comma, store=store, zone="UTC", currency="EUR", now=1_800_000_000_000_000)
    assert [e["amount"] for e in store.log.events()] == [123_400, 234_500]
    assert propose(path, answers={"decimal": "."}).mapping.csv is None


def test_another_column_settles_the_decimal_mark(tmp_path: Path) -> None:
    text = "order_id;customer_id;order_date;price;weight\n1;a;2024-01-01;1.234;2,5\n2;a;2024-01-02;2.345;0,75\n"
    found = propose(put(tmp_path, text)).mapping
    assert found.csv is not None
    assert found.csv.decimal == ","


def test_two_notations_are_asked(tmp_path: Path) -> None:
    text = "order_id;customer_id;order_date;price;weight\n1;a;2024-01-01;1,50;2.5\n2;a;2024-01-02;2,25;0.75\n"
    assert any("decimal mark" in q for q in questions(put(tmp_path, text)))


# -- who, what, how much -----------------------------------------------------------------------------------------------


def test_two_customer_columns_are_asked(tmp_path: Path) -> None:
    text = "order_id,customer_id,user_id,order_date,price\n1,a,x,2024-01-01,1.5\n2,b,y,2024-01-02,2.5\n3,a,x,2024-01-02,2.5\n"
    (question,) = questions(put(tmp_path, text))
    assert "'customer_id'" in question
    assert "'user_id'" in question
    answered = propose(tmp_path / "a.csv", answers={"columns": {"customer": "user_id"}}).mapping
    assert answered.columns["customer"] == "user_id"
    assert answered.properties["customer_id"] == "text"


def test_two_amounts_are_asked(tmp_path: Path) -> None:
    text = "order_id,customer_id,order_date,amount,total\n1,a,2024-01-01,1.5,2\n2,a,2024-01-02,2.5,3\n"
    assert any("line's total" in q for q in questions(put(tmp_path, text)))


def test_an_amount_that_is_quantity_times_price_is_the_lines_total(tmp_path: Path) -> None:
    head = "order_id,customer_id,order_date,quantity,price,amount\n"
    found = propose(put(tmp_path, head + "1,a,2024-01-01,2,1.5,3.0\n2,a,2024-01-02,3,2.5,7.5\n")).mapping
    assert found.columns["amount"] == "amount"
    assert "price" not in found.columns
    (question,) = questions(put(tmp_path, head + "1,a,2024-01-01,2,1.5,9.99\n1,a,2024-01-01,3,2.5,9.99\n"))
    assert "belongs to the whole order" in question


def test_no_time_no_money_no_customer_are_asked(tmp_path: Path) -> None:
    no_time = "order_id,customer_id,sku,price\n1,a,p,1.5\n2,a,p,2.5\n"
    assert any("When did it happen" in q for q in questions(put(tmp_path, no_time), kind="orders"))
    no_money = "order_id,customer_id,order_date\n1,a,2024-01-01\n2,a,2024-01-02\n"
    assert any("What did a line cost" in q for q in questions(put(tmp_path, no_money), kind="orders"))
    nobody = "mood,size\ngood,1\nbad,2\n"
    assert any("customer's number" in q for q in questions(put(tmp_path, nobody)))


def test_a_few_bad_values_do_not_hide_what_a_column_is(tmp_path: Path) -> None:
    text = "order_id,customer_id,order_date,sku,quantity,price\n1,7,2024-01-15,A,2,3.5\n1,7,2024-01-15,A,2,3.5\n2,8,bad,A,x,free\n"
    found = propose(put(tmp_path, text)).mapping
    assert (found.kind, found.columns["time"], found.time_format, found.columns["price"]) == (
        "orders",
        "order_date",
        "iso",
        "price",
    )
    report = ingest_files(
        tmp_path / "a.csv", found, store=MemoryStore(), zone="UTC", currency="EUR", now=1_800_000_000_000_000
    )
    assert (report.stored, report.rejected) == (2, 1)


def test_customers_that_repeat_without_a_time_are_asked(tmp_path: Path) -> None:
    assert any("several times" in q for q in questions(put(tmp_path, "customer_id,plan\n1,a\n1,b\n2,a\n")))
    assert any(
        "When did it happen" in q for q in questions(put(tmp_path, "order_id,customer_id,price\n1,a,2.5\n2,a,3.5\n"))
    )


def test_a_file_without_header_is_asked_and_can_be_answered(tmp_path: Path) -> None:
    path = put(tmp_path, " 00001 19970101  1   11.77\n 00002 19970112  1   12.00\n")
    (question,) = questions(path)
    assert "no header line" in question
    columns = {"customer": "column_1", "time": "column_2", "quantity": "column_3", "amount": "column_4"}
    found = propose(path, answers={"kind": "orders", "columns": columns, "time_format": "%Y%m%d"}).mapping
    assert found.columns == columns
    assert found.csv is not None
    assert not found.csv.has_header
    report = ingest_files(path, found, store=MemoryStore(), zone="UTC", currency="USD", now=1_800_000_000_000_000)
    assert report.stored == 2


# -- identifiers -------------------------------------------------------------------------------------------------------


def test_direct_identifiers_are_sealed_and_masked(tmp_path: Path) -> None:
    text = (
        "customer_id,E-Mail,Contact,Mobil,Vorname,Straße,PLZ,ssn,dob,plan\n"
        "1,ann@x.dk,bo@y.dk,+45 12 34 56 78,Ann,Vej 1,2100,1,1980-01-01,gold\n"
        "2,eva@x.dk,ib@y.dk,+45 87 65 43 21,Eva,Vej 2,2200,2,1990-01-01,free\n"
    )
    found = propose(put(tmp_path, text))
    assert found.mapping.identities == {
        "E-Mail": "email", "Contact": "email", "Mobil": "phone", "Vorname": "name", "Straße": "address",
    }  # fmt: skip
    assert set(found.mapping.ignored) == {"ssn", "dob"}
    assert set(found.mapping.properties) == {"plan", "PLZ"}
    shown = str(found.examples)
    assert "ann@x.dk" not in shown
    assert "1980-01-01" not in shown
    assert "a•••" in shown


def test_the_email_address_tells_customers_apart_where_nothing_else_does(tmp_path: Path) -> None:
    text = (
        "order_id,email,order_date,price\n1,A@x.dk,2024-01-01,1.5\n2,a@x.dk,2024-01-02,2.5\n3,b@x.dk,2024-01-03,2.5\n"
    )
    found = propose(put(tmp_path, text))
    assert (found.mapping.columns["customer"], found.mapping.identities) == ("email", {"email": "email"})
    assert any("e-mail" in n for n in found.notes)
    store = MemoryStore()
    ingest_files(tmp_path / "a.csv", found.mapping, store=store, zone="UTC", currency="EUR", now=1_800_000_000_000_000)
    assert set(store.vault.keys) == {"a@x.dk", "b@x.dk"}


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_types_of_traits(tmp_path: Path) -> None:
    text = "id,n,code,yes,when,word,zero\n" + "".join(
        f"{i},{i / 2},0{i},{'ja' if i % 2 else 'nej'},2024-01-0{i},w,{i % 2}\n" for i in range(1, 8)
    )
    found = propose(put(tmp_path, text)).mapping
    assert found.properties == {
        "n": "number",
        "code": "text",
        "yes": "flag",
        "when": "time",
        "word": "text",
        "zero": "number",
    }


def test_names_of_sources_do_not_clash(tmp_path: Path) -> None:
    path = put(tmp_path, orders(["2024-01-01", "2024-01-02"]))
    assert propose(path).mapping.name == "orders"
    assert propose(path, taken=["orders", "orders_2"]).mapping.name == "orders_3"
    assert propose(path, answers={"name": "Web Shop"}).mapping.name == "web_shop"


def test_a_mapping_fits_files_with_its_columns(tmp_path: Path) -> None:
    path = put(tmp_path, orders(["2024-01-01", "2024-01-02"]))
    mapping = propose(path).mapping
    assert fits(path, mapping)
    assert not fits(put(tmp_path, "a,b\n1,2\n", "b.csv"), mapping)
    assert not fits(tmp_path / "missing.csv", mapping)


def test_files_of_different_shape_are_asked(tmp_path: Path) -> None:
    one, two = put(tmp_path, orders(["2024-01-01"])), put(tmp_path, "id,plan\n1,x\n", "b.csv")
    with pytest.raises(NeedsAnswer, match="same columns"):
        propose([one, two])


def test_answers_that_cannot_be(tmp_path: Path) -> None:
    path = put(tmp_path, orders(["2024-01-01", "2024-01-02"]))
    with pytest.raises(WrongUsage):
        propose(path, answers={"colour": "red"})
    with pytest.raises(WrongUsage):
        propose(path, answers={"kind": "hats"})
    with pytest.raises(BadInput):
        propose(path, answers={"columns": {"customer": "nobody"}})
    with pytest.raises(BadInput):
        propose(put(tmp_path, "order_id,price\n", "b.csv"))


# -- real files --------------------------------------------------------------------------------------------------------

REAL = {
    "online-retail-ii/year_2010_2011_daily_csv.zip": (
        "orders", {"order_id": "InvoiceNo", "price": "UnitPrice", "customer": "CustomerID"}, "iso"
    ),
    "telco-churn/Telco-Customer-Churn.csv": ("customers", {"customer": "customerID"}, ""),
    "customer-personality/marketing_campaign.csv": ("customers", {"customer": "ID"}, ""),
    "bank-card-churn/BankChurners.csv": ("customers", {"customer": "CLIENTNUM"}, ""),
    "mall-customers/Mall_Customers.csv": ("customers", {"customer": "CustomerID"}, ""),
    "deskdrop-interactions/users_interactions.csv.zip": (
        "events", {"customer": "personId", "event": "eventType", "product": "contentId"}, "epoch_s"
    ),
    "ecom-journeys-synthetic/ecom.csv": ("events", {"customer": "user_id", "event": "event", "time": "timestamp"}, "iso"),
    "apparel-clv/apparelTrans.csv": ("orders", {"customer": "Id", "time": "Date", "price": "Price"}, "iso"),
    "apparel-clv/apparelStaticCov.csv": ("customers", {"customer": "Id"}, ""),
    "anon-review-events/anonreviews.parquet": ("events", {"customer": "reviewerId", "time": "date"}, ""),
    "splink-fake-1000/fake_1000.csv": ("customers", {"customer": "unique_id"}, ""),
}  # fmt: skip
ASKED = (
    "cdnow/CDNOW_master.txt",
    "hotel-bookings/hotel_bookings.csv.zip",
    "saas-churn/churn.csv",
    "hillstrom-email-test/hillstrom.csv",
)
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared public datasets")


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("path", list(REAL))
def test_real_files_are_recognised(path: str) -> None:
    kind, columns, time_format = REAL[path]
    found = propose(SHARED / path, currency="GBP").mapping
    assert (found.kind, found.time_format) == (kind, time_format)
    assert columns.items() <= found.columns.items()


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("path", ASKED)
def test_real_files_that_do_not_say_enough_are_asked(path: str) -> None:
    questions(SHARED / path)


@pytest.mark.shared
@needs_shared
def test_traits_of_a_real_customers_table() -> None:
    path = SHARED / "telco-churn/Telco-Customer-Churn.csv"
    found = propose(path).mapping
    assert found.properties["TotalCharges"] == "number"
    assert found.properties["Partner"] == "flag"
    store = MemoryStore()
    report = ingest_files(path, found, store=store, zone="UTC", currency="USD", now=1_800_000_000_000_000)
    assert (report.stored, report.rejected) == (7_043, 0)
    assert sum(e["t_total_charges"] is None for e in store.log.events()) == 11
    assert sum(e["t_churn"] is True for e in store.log.events()) == 1_869
