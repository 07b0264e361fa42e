"""Files to events: every row is stored, known already or rejected with its reason; again changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kohort.errors import BadInput, KohortError
from kohort.ingest import export_rejected, ingest_files, rejected_rows, retry_rejected
from kohort.ingest.memory import MemoryStore
from kohort.ingest.refusal import REASONS
from kohort.model.clock import iso, micros
from kohort.model.source import CsvFormat, IngestReport, SourceMapping

NOW = micros(dt.datetime(2024, 6, 1, tzinfo=dt.UTC))
ORDERS = SourceMapping(
    "orders",
    "orders",
    {
        "order_id": "order", "customer": "customer", "time": "time", "product": "code", "product_name": "name",
        "quantity": "qty", "price": "price",
    },
    time_format="iso",
)  # fmt: skip
HEAD = "order,customer,time,code,name,qty,price\n"


def put(tmp_path: Path, text: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def ingest(
    paths, mapping: SourceMapping, store: MemoryStore | None = None, **options
) -> tuple[IngestReport, MemoryStore]:
    store = store or MemoryStore()
    settings = {"zone": "UTC", "currency": "EUR", "now": NOW} | options
    report = ingest_files(paths, mapping, store=store, **settings)
    for batch in report.batches:
        assert batch.read == batch.stored + batch.duplicate + batch.rejected
    return report, store


def test_an_order_line_becomes_an_event(tmp_path: Path) -> None:
    path = put(tmp_path, HEAD + "1001,17850.0,2024-03-31T01:30,85123A, WHITE  HANGING HEART ,6,2.55\n")
    _, store = ingest(path, ORDERS, zone="Europe/London", currency="GBP")
    (event,) = store.log.events()
    assert event["customer"] == store.vault.keys["17850"]
    # 01:30 was skipped that night in London: it is read with the offset before the jump.
    assert iso(event["ts"]) == "2024-03-31T01:30:00Z"
    assert (event["local_day"], event["local_hour"]) == ((dt.date(2024, 3, 31) - dt.date(1970, 1, 1)).days, 2)
    assert (event["quantity"], event["amount"], event["amount_source"], event["currency"]) == (6000, 1530, 1530, "GBP")
    assert (event["product_name"], event["line_kind"], event["event"]) == ("WHITE HANGING HEART", "goods", "order_line")
    assert event["duplicate_line"] is False
    assert event["received_at"] == NOW


def test_money_is_rounded_half_away_from_zero_and_never_through_floats(tmp_path: Path) -> None:
    lines = [
        ("1", "0.005", 1),
        ("1", "-0.005", -1),
        ("3", "0.335", 101),
        ("7", "1.005", 704),
        ("0.333", "3", 100),
        ("-2", "2.675", -535),
    ]
    text = HEAD + "".join(f"{i},c,2024-01-01,p{i},n,{q},{p}\n" for i, (q, p, _) in enumerate(lines))
    _, store = ingest(put(tmp_path, text), ORDERS)
    assert [e["amount"] for e in store.log.events()] == [minor for *_, minor in lines]


BAD = [
    ("1,c,,p,n,1,1", "missing_time"),
    ("1,c,yesterday,p,n,1,1", "bad_time"),
    ("1,c,2999-01-01,p,n,1,1", "future_time"),
    ("1,c,2024-06-02T00:00:00.000001Z,p,n,1,1", "future_time"),
    ("1,c,1900-01-01,p,n,1,1", "time_too_early"),
    ("1,c,1970-01-01,p,n,1,1", "time_too_early"),
    (",c,2024-01-01,p,n,1,1", "missing_order_id"),
    ("1,c,2024-01-01,p,n,,1", "missing_quantity"),
    ("1,c,2024-01-01,p,n,two,1", "bad_quantity"),
    ("1,c,2024-01-01,p,n,99999999999,1", "absurd_quantity"),
    ("1,c,2024-01-01,p,n,1,", "missing_amount"),
    ("1,c,2024-01-01,p,n,1,nan", "missing_amount"),
    ("1,c,2024-01-01,p,n,1,inf", "bad_amount"),
    ("1,c,2024-01-01,p,n,1,1e300", "absurd_amount"),
    ("1,c,2024-01-01,p,n,1,99999999999", "absurd_amount"),
    ("1,c,2024-01-01,p,n,999999999,999999999", "absurd_amount"),
    ('1,c,2024-01-01,p,n,1,"1,5"', "bad_amount"),
    (f"1,c,2024-01-01,p,{'x' * 10_001},1,1", "text_too_long"),
    ("1,c,2024-01-01,p,n,1", "too_few_columns"),
    ("1,c,2024-01-01,p,n,1,1,1", "too_many_columns"),
]


@pytest.mark.parametrize(("line", "code"), BAD, ids=[code for _, code in BAD])
def test_a_bad_row_is_kept_with_its_reason_and_costs_no_other(tmp_path: Path, line: str, code: str) -> None:
    good = "1,c,2024-01-01,p,n,1,1\n"
    report, store = ingest(put(tmp_path, HEAD + good + line + "\n" + good.replace("1,c", "2,c")), ORDERS)
    assert (report.read, report.stored, report.rejected) == (3, 2, 1)
    assert report.batches[0].reasons == {code: 1}
    (row,) = store.state.rejected()
    assert (row.line, row.code, row.reason, row.file, row.source) == (3, code, REASONS[code], "a.csv", "orders")
    assert list(row.raw.values())[:2] == [c for c in line.split(",")[:2] if c] or not line.startswith("1,")


def test_up_to_a_day_ahead_is_a_fast_clock(tmp_path: Path) -> None:
    report, _ = ingest(put(tmp_path, HEAD + "1,c,2024-06-02T00:00:00Z,p,n,1,1\n"), ORDERS)
    assert report.stored == 1


def test_customers_without_a_number_are_anonymous_revenue(tmp_path: Path) -> None:
    text = HEAD + "".join(f"{i},{c},2024-01-01,p,n,1,1\n" for i, c in enumerate(["", "NULL", "nan", "7"]))
    _, store = ingest(put(tmp_path, text), ORDERS)
    assert [e["customer"] is None for e in store.log.events()] == [True, True, True, False]


def test_whole_numbers_written_as_floats_are_one_customer_and_versions_are_not(tmp_path: Path) -> None:
    one = put(tmp_path, HEAD + "1,17850.0,2024-01-01,p,n,1,1\n2,17850,2024-01-01,p,n,1,1\n")
    _, store = ingest(one, ORDERS)
    assert list(store.vault.keys) == ["17850"]
    two = put(tmp_path, HEAD + "1,A1.0,2024-01-01,p,n,1,1\n2,5.0,2024-01-01,p,n,1,1\n", "b.csv")
    _, store = ingest(two, ORDERS)
    assert list(store.vault.keys) == ["A1.0", "5.0"]


def test_again_and_overlapping_files_change_nothing(tmp_path: Path) -> None:
    lines = [f"{i // 3},c{i % 2},2024-01-0{1 + i % 5},p{i},n,1,{i}.5\n" for i in range(12)]
    same = "9,c,2024-01-01,p,n,1,1\n"
    one = put(tmp_path, HEAD + "".join(lines[:8]) + same + same + same)
    two = put(tmp_path, HEAD + same + "".join(lines[5:]) + same, "b.csv")
    report, store = ingest([one, two], ORDERS)
    assert [(b.stored, b.duplicate) for b in report.batches] == [(11, 0), (4, 5)]
    again, _ = ingest([two, one, one], ORDERS, store)
    assert [(b.stored, b.duplicate) for b in again.batches] == [(0, 9), (0, 11)]
    repeated = [e["duplicate_line"] for e in store.log.events() if e["order_id"] == "9"]
    assert repeated == [False, True, True]


def test_the_same_customer_in_another_file_gives_the_same_ids_whatever_the_columns_are_called(tmp_path: Path) -> None:
    one = put(tmp_path, HEAD + "1,17850,2010-12-01 08:26:00,p,n,6,2.55\n")
    two = put(tmp_path, "No;Kunde;Zeit;Artikel;Menge;Preis\n1;17850.0;01.12.2010 08:26;p;6;2,55\n", "b.csv")
    german = SourceMapping(
        "bestellungen", "orders",
        {"order_id": "No", "customer": "Kunde", "time": "Zeit", "product": "Artikel", "quantity": "Menge", "price": "Preis"},
        time_format="%d.%m.%Y %H:%M", csv=CsvFormat(delimiter=";", decimal=","),
    )  # fmt: skip
    _, store = ingest(one, ORDERS)
    report, _ = ingest(two, german, store)
    assert (report.stored, report.duplicate) == (0, 1)


def test_rejected_rows_of_the_same_file_are_listed_once(tmp_path: Path) -> None:
    path = put(tmp_path, HEAD + "1,c,never,p,n,1,1\n2,c,never,p,n,1,1\n")
    _, store = ingest(path, ORDERS)
    again, _ = ingest(path, ORDERS, store)
    assert again.rejected == 2
    assert len(store.state.rejected()) == 2
    put(tmp_path, HEAD + "1,c,tomorrow,p,n,1,1\n")
    ingest(path, ORDERS, store)
    assert len(store.state.rejected()) == 3


def test_an_export_of_rejected_rows_is_for_this_user_alone(tmp_path: Path) -> None:
    _, store = ingest(put(tmp_path, HEAD + "1,c,never,p,n,1,1\n"), ORDERS)
    assert export_rejected(tmp_path / "out.csv", store=store) == 1
    assert (tmp_path / "out.csv").stat().st_mode & 0o077 == 0


def test_fixing_rejected_rows_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path = put(tmp_path, HEAD + "1,c,never,p,n,1,1\n2,c,2024-01-01,p,n,x,1\n3,c,2024-01-01,p,n,1,1\n4,c\n")
    _, store = ingest(path, ORDERS)
    settings = {"mappings": {"orders": ORDERS}, "store": store, "zone": "UTC", "currency": "EUR", "now": NOW}
    assert export_rejected(tmp_path / "out.csv", store=store) == 3
    text = (tmp_path / "out.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith("(source),(file),(line),(code),(reason),(id),order,customer,time")
    (tmp_path / "out.csv").write_text(text.replace("never", "2024-02-01"), encoding="utf-8")
    report = retry_rejected(tmp_path / "out.csv", **settings)
    assert (report.read, report.stored, report.duplicate, report.rejected) == (3, 1, 0, 2)
    assert [r.line for r in rejected_rows(store)] == [3, 5]
    with pytest.raises(BadInput, match="not on the list"):
        retry_rejected(tmp_path / "out.csv", **settings)
    # The rows as they were: nothing changed, so nothing succeeds and nothing is lost.
    again = retry_rejected(**settings)
    assert (again.read, again.stored, again.rejected) == (2, 0, 2)
    assert [r.line for r in rejected_rows(store)] == [3, 5]
    assert len(store.log.events()) == 2


def test_a_better_mapping_saves_rows_as_they_were(tmp_path: Path) -> None:
    path = put(tmp_path, HEAD + "1,c,31/01/2024,p,n,1,1\n")
    _, store = ingest(path, ORDERS)
    better = SourceMapping("orders", "orders", ORDERS.columns, time_format="%d/%m/%Y", day_first=True)
    report = retry_rejected(mappings={"orders": better}, store=store, zone="UTC", currency="EUR", now=NOW)
    assert (report.stored, rejected_rows(store)) == (1, [])


def test_a_file_that_was_not_exported_cannot_be_retried(tmp_path: Path) -> None:
    path = put(tmp_path, HEAD + "1,c,never,p,n,1,1\n")
    _, store = ingest(path, ORDERS)
    with pytest.raises(BadInput, match="not an export"):
        retry_rejected(path, mappings={"orders": ORDERS}, store=store, zone="UTC", currency="EUR", now=NOW)


def test_an_interruption_and_the_same_call_again_lose_and_double_nothing(tmp_path: Path) -> None:
    class PowerCut(Exception):
        pass

    class Failing(MemoryStore):
        pass

    text = HEAD + "".join(f"{i},c{i % 9},2024-01-01,p,n,1,{i}\n" for i in range(50)) + "x,c,never,p,n,1,1\n"
    path = put(tmp_path, text)
    store = MemoryStore()

    def cut(phase: str, done: int, total: int | None) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        ingest(path, ORDERS, store, progress=cut)
    report, _ = ingest(path, ORDERS, store)
    assert report.stored + report.duplicate == 50
    assert len({e["event_id"] for e in store.log.events()}) == len(store.log.events()) == 50
    assert len(store.state.rejected()) == 1


# -- events and customers ----------------------------------------------------------------------------------------------


def test_events_with_ids_properties_and_large_numbers(tmp_path: Path) -> None:
    mapping = SourceMapping(
        "clicks", "events",
        {"event_id": "id", "customer": "person", "time": "ts", "event": "what", "product": "item"},
        properties={"Screen Size": "number", "premium": "flag", "lang": "text"}, time_format="epoch_s",
    )  # fmt: skip
    path = put(
        tmp_path,
        "id,person,ts,what,item,Screen Size,premium,lang\n"
        "e1,-8845298781299428018,1465413032,VIEW,-3499919498720038879,13.37,yes,da\n"
        "e2,-8845298781299428018,1465413033,VIEW,,,,\n"
        "e2,-8845298781299428018,1465413033,VIEW,,,,\n"
        "e2,-8845298781299428018,1465419999,LIKE,,,,\n"
        "e3,7,1465413033,,,x,maybe,\n",
    )
    report, store = ingest(path, mapping)
    assert (report.stored, report.duplicate) == (2, 1)
    assert report.batches[0].reasons == {"conflicting_id": 1, "missing_event": 1}
    one, two = store.log.events()
    assert next(iter(store.vault.keys)) == "-8845298781299428018"
    assert one["product"] == "-3499919498720038879"
    assert (one["p_screen_size"], one["p_premium"], one["p_lang"]) == (13_370_000, True, "da")
    assert (two["p_screen_size"], two["p_premium"], two["p_lang"]) == (None, None, None)
    assert {r.line: r.code for r in store.state.rejected()} == {5: "conflicting_id", 6: "missing_event"}
    assert store.log.columns == {"p_screen_size": "number", "p_premium": "flag", "p_lang": "text"}


@pytest.mark.parametrize(
    ("value", "code"), [("x", "bad_number"), ("maybe", "bad_flag"), ("soon", "bad_date"), ("9e15", "bad_number")]
)
def test_unreadable_properties_are_rejected(tmp_path: Path, value: str, code: str) -> None:
    kind = {"bad_number": "number", "bad_flag": "flag", "bad_date": "time"}[code]
    mapping = SourceMapping("c", "customers", {"customer": "id"}, properties={"trait": kind})
    report, store = ingest(put(tmp_path, f"id,trait\n1,{value}\n2,\n"), mapping)
    assert report.batches[0].reasons == {code: 1}
    assert store.state.rejected()[0].column == "trait"
    assert report.stored == 1


def test_a_customers_table_is_known_since_ever_and_seals_identifiers(tmp_path: Path) -> None:
    mapping = SourceMapping(
        "customers", "customers", {"customer": "id"},
        properties={"Plan": "text", "Joined": "time"}, identities={"Mail": "email", "Name": "name"},
    )  # fmt: skip
    text = "id,Mail,Name,Plan,Joined\n1,a@b.dk,Ann,gold,2024-01-02\n2,c@d.dk,,free,\n2,c@d.dk,,free,\n,x@y.z,Nobody,free,\n"
    report, store = ingest(put(tmp_path, text), mapping)
    assert (report.stored, report.duplicate, report.rejected) == (2, 1, 1)
    keys = store.vault.keys
    assert store.vault.sealed == {
        (keys["1"], "email", "a@b.dk"), (keys["1"], "name", "Ann"), (keys["2"], "email", "c@d.dk"),
    }  # fmt: skip
    one, two = store.log.events()
    assert (one["ts"], one["event"], one["t_plan"]) == (0, "identify", "gold")
    assert one["t_joined"] == micros(dt.datetime(2024, 1, 2, tzinfo=dt.UTC))
    assert two["t_joined"] is None
    assert not any("b.dk" in str(v) or "Ann" in str(v) for e in (one, two) for v in e.values())
    assert store.state.rejected()[0].code == "missing_customer"


def test_orders_without_numbers_are_orders_of_their_own(tmp_path: Path) -> None:
    mapping = SourceMapping(
        "cdnow",
        "orders",
        {"customer": "column_1", "time": "column_2", "quantity": "column_3", "amount": "column_4"},
        time_format="%Y%m%d",
    )
    text = " 00001 19970101  1   11.77\r\n 00002 19970112  1   12.00\r\n 00002 19970112  1   12.00\r\n"
    report, store = ingest(put(tmp_path, text), mapping)
    assert report.stored == 3
    assert len({e["order_id"] for e in store.log.events()}) == 3
    assert not any(e["duplicate_line"] for e in store.log.events())
    assert ingest(put(tmp_path, text), mapping, store)[0].stored == 0
    assert list(store.vault.keys) == ["00001", "00002"]


def test_kinds_of_line_come_from_the_table_a_column_or_the_shop(tmp_path: Path) -> None:
    text = (
        HEAD
        + "1,c,2024-01-01,POST,POSTAGE,1,5\n1,c,2024-01-01,X9,Extra wrapping,1,2\n"
        + "1,,2024-01-01,21,wet damaged,-3,0\n1,c,2024-01-01,22,wet damaged,1,0\n"
    )
    _, store = ingest(put(tmp_path, text), ORDERS, controls={"X9": "fee"})
    assert [e["line_kind"] for e in store.log.events()] == ["postage", "fee", "stock_note", "goods"]
    with pytest.raises(BadInput):
        ingest(put(tmp_path, text), ORDERS, controls={"X9": "wrapping"})
    stated = SourceMapping("o", "orders", {**ORDERS.columns, "line_kind": "kind"}, time_format="iso")
    text = (
        HEAD.replace("\n", ",kind\n")
        + "1,c,2024-01-01,POST,n,1,5,Goods\n1,c,2024-01-01,POST,n,1,6,\n1,c,2024-01-01,p,n,1,7,?\n"
    )
    report, store = ingest(put(tmp_path, text), stated)
    assert [e["line_kind"] for e in store.log.events()] == ["goods", "postage"]
    assert report.batches[0].reasons == {"unknown_line_kind": 1}


def test_a_source_without_descriptions_sells_goods_with_short_codes(tmp_path: Path) -> None:
    text = HEAD + "1,c,2024-01-01,B,,1,5\n1,c,2024-01-01,M,,1,2\n1,c,2024-01-01,POST,,1,2\n"
    bare = SourceMapping("o", "orders", {r: c for r, c in ORDERS.columns.items() if c != "name"}, time_format="iso")
    _, store = ingest(put(tmp_path, text), bare)
    assert [e["line_kind"] for e in store.log.events()] == ["goods", "goods", "postage"]
    _, store = ingest(put(tmp_path, text), ORDERS)
    assert [e["line_kind"] for e in store.log.events()] == ["bad_debt", "manual", "postage"]


def test_columns_that_the_mapping_does_not_name_are_told(tmp_path: Path) -> None:
    text = HEAD.replace("\n", ",colour\n") + "1,c,2024-01-01,p,n,1,1,red\n"
    report, _ = ingest(put(tmp_path, text), ORDERS)
    assert any("'colour'" in note for note in report.batches[0].notes)
    named = SourceMapping("o", "orders", ORDERS.columns, ignored={"colour": "not needed"}, time_format="iso")
    assert ingest(put(tmp_path, text), named)[0].batches[0].notes == ()


def test_foreign_money_is_converted_at_the_last_known_rate(tmp_path: Path) -> None:
    mapping = SourceMapping("o", "orders", {**ORDERS.columns, "currency": "cur"}, time_format="iso")
    head = HEAD.replace("\n", ",cur\n")
    # Sunday 5 December 2010: the rate of Friday the 3rd, 1 EUR = 7.4536 DKK at the European Central Bank.
    text = (
        head
        + "1,c,2010-12-05,p,n,1,100,DKK\n2,c,2010-12-05,p,n,1,100,eur\n3,c,2010-12-05,p,n,1,100,XYZ\n4,c,2010-12-05,p,n,1,1000,JPY\n"
    )
    report, store = ingest(put(tmp_path, text), mapping)
    danish, euro, unknown, yen = store.log.events()
    friday = (dt.date(2010, 12, 3) - dt.date(1970, 1, 1)).days
    assert (danish["amount"], danish["amount_source"], danish["currency"], danish["fx_day"]) == (
        1342,
        10000,
        "DKK",
        friday,
    )
    assert (euro["amount"], euro["fx_day"], euro["currency"]) == (10000, None, "EUR")
    assert (unknown["amount"], unknown["amount_source"]) == (None, 10000)
    assert (yen["amount_source"], yen["currency"]) == (1000, "JPY")
    assert any("XYZ" in note for note in report.batches[0].notes)


@pytest.mark.parametrize(
    "change",
    [
        {"columns": {**ORDERS.columns, "customer": "nobody"}},
        {"columns": {"customer": "customer"}},
        {"columns": {**ORDERS.columns, "hat": "name"}},
        {"time_format": "%Q"},
        {"time_format": "'; DROP TABLE x"},
        {"zone": "Mars/Olympus"},
        {"properties": {"a b": "text", "A B": "text"}},
    ],
)
def test_mappings_that_cannot_work_are_refused_before_anything_is_stored(tmp_path: Path, change: dict) -> None:
    from dataclasses import replace

    store = MemoryStore()
    with pytest.raises(KohortError):
        ingest(put(tmp_path, HEAD + "1,c,2024-01-01,p,n,1,1\n"), replace(ORDERS, **change), store)
    assert not store.log.tables
    assert not store.state.begun


def test_column_names_and_values_never_become_sql(tmp_path: Path) -> None:
    nasty = "x'); DROP TABLE raw; --"
    mapping = SourceMapping("o", "customers", {"customer": nasty}, properties={'a"b': "number", "c'd": "text"})
    path = tmp_path / "a.csv"
    path.write_text(f'"{nasty}","a""b","c\'d"\n"\'; DROP TABLE raw; --",1.5,"\'"\n', encoding="utf-8")
    report, store = ingest(path, mapping)
    assert report.stored == 1
    assert store.log.events()[0]["t_a_b"] == 1_500_000


def wall_times() -> Iterator[tuple[str, str]]:
    yield from (
        ("2023-10-29T01:30", "Europe/London"),
        ("2024-03-31T02:30", "Europe/Berlin"),
        ("2024-02-29", "Asia/Kolkata"),
    )


@pytest.mark.parametrize(("text", "zone"), list(wall_times()))
def test_local_times_are_those_of_the_workspace(tmp_path: Path, text: str, zone: str) -> None:
    _, store = ingest(put(tmp_path, HEAD + f"1,c,{text},p,n,1,1\n"), ORDERS, zone=zone)
    expected = micros(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))
    assert store.log.events()[0]["ts"] == expected
