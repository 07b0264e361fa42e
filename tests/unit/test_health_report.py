"""The health report counts what is there, says what was done, and shows nobody's name."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from kohort.health import report
from kohort.health.spelling import country_code, odd_countries, plain, variants
from kohort.model.clock import DAY_US, iso
from kohort.model.event import LINE_KINDS, event_schema
from kohort.model.source import BatchReport, RejectedRow
from kohort.store import create_store

START_DAY = 15_000
EXTRA = {"p_country": "text", "p_note": "text"}


def line(n, *, day=0, customer=1, order=None, product="a", quantity=2, price=100, kind="goods", **changed):
    """One order line on a day; `n` names it."""
    ts = (START_DAY + day) * DAY_US
    amount = None if price is None else quantity * price
    return {
        "customer": customer,
        "event_id": f"e{n}",
        "event": "order_line",
        "ts": ts,
        "received_at": (START_DAY + 500) * DAY_US,
        "local_day": START_DAY + day,
        "local_hour": 0,
        "order_id": order or f"o{n}",
        "product": product,
        "product_name": f"Product {product}",
        "line_kind": kind,
        "duplicate_line": False,
        "quantity": quantity * 1000,
        "amount": amount,
        "amount_source": amount,
        "currency": "GBP",
        "p_country": "United Kingdom",
    } | changed


WORLD = [
    line(1),
    line(2, day=1, product="b", quantity=5, price=300),
    line(3, day=2, product="b", quantity=-3, price=300),  # given back a day later
    line(4, day=5, product="c", quantity=-1, price=700),  # never bought
    line(5, day=6, customer=None, quantity=4, price=50),
    line(6, day=6, customer=None, quantity=-1, price=50),
    line(7, day=7, product="POST", kind="postage", quantity=1, price=495),
    line(8, day=8, order="o8", product="d"),
    line(9, day=8, order="o8", product="d", duplicate_line=True),
    line(10, day=9, product="e", order="o10"),
    line(11, day=9, product="e", order="o11"),  # bought again the same day
    line(12, day=10, product="f", price=0),
    line(13, day=11, product="g", price=-100, quantity=1),
    line(14, day=12, customer=2, currency="EUR", fx_day=START_DAY + 12, p_country="EIRE"),
    line(15, day=13, customer=2, price=None, currency="XXX", p_country="european community"),
    line(16, day=40, customer=2, p_country="United kingdom "),
    line(17, day=460, customer=1, product="A", product_name="Another name"),
    line(18, day=461, customer=1, product="A", ts=(START_DAY + 600) * DAY_US),  # dated after it was read
    line(19, day=20, customer=3, product="M", kind="manual", product_name="Typed by Jane Doe"),
    *(line(100 + i, day=14 + i % 5, customer=3, product="z", quantity=1 + i % 3) for i in range(20)),
    line(200, day=15, customer=3, product="z", quantity=1_500),  # 500 times and more
    line(201, day=15, customer=3, product="z", quantity=1, price=9_000),
]


@pytest.fixture(scope="module")
def health(tmp_path_factory):
    with create_store(tmp_path_factory.mktemp("health")) as store:
        fill(store, WORLD)
        yield report(store, zone="UTC", currency="GBP", controls={"M": "manual"})


def fill(store, rows):
    store.log.declare(EXTRA)
    batch = store.state.begin_batch("orders", "orders.csv")
    schema = event_schema(EXTRA)
    names = [n for n in schema.names if n not in ("bucket", "batch")]
    table = pa.Table.from_pylist(rows, schema=pa.schema([schema.field(n) for n in names]))
    appended = store.log.append(table, batch=batch)
    rejected = [RejectedRow("orders", "orders.csv", 7, "bad_time", "The time is no time.", "when", {"who": "Jane Doe"})]
    store.state.add_rejected(rejected, batch)
    read = appended.stored + 4 + 1
    store.state.finish_batch(
        BatchReport("orders", "orders.csv", batch, read, appended.stored, 4, 1, {"bad_time": 1}, ())
    )


def finding(health, code):
    found = [f for f in health.findings if f.code == code]
    assert len(found) == 1, (code, [f.code for f in health.findings])
    return found[0]


@pytest.mark.parametrize(
    ("code", "rows", "amount"),
    [
        ("anonymous_revenue", 2, 1.5),
        ("returns_matched", 1, 9.0),
        ("returns_unmatched", 1, 7.0),
        ("cancelled_within_a_day", 1, 9.0),
        ("returns_anonymous", 1, 0.5),
        ("line_postage", 1, 4.95),
        ("line_manual", 1, 2.0),
        ("duplicate_lines", 1, 2.0),
        ("already_known", 4, None),
        ("rejected_rows", 1, None),
        ("currency_converted", 1, 2.0),
        ("amount_unknown", 1, None),
        ("free_goods", 1, 0.0),
        ("negative_price", 1, -1.0),
        ("absurd_quantity", 1, 1500.0),
        ("absurd_price", 1, 90.0),
        ("from_the_future", 1, None),
    ],
)
def test_each_finding_has_its_rows_and_money(health, code, rows, amount):
    found = finding(health, code)
    assert (found.rows, found.amount) == (rows, amount)
    assert found.text
    assert found.action


def test_repeated_purchases_are_told_from_duplicates(health):
    # Besides `e`, product z is bought several times on the same days in different orders.
    by_day = {}
    for row in WORLD:
        if row["line_kind"] == "goods" and row["quantity"] > 0 and row["customer"] and not row["duplicate_line"]:
            key = row["customer"], row["product"], row["local_day"]
            by_day.setdefault(key, set()).add(row["order_id"])
    assert finding(health, "repeated_purchases").rows == sum(len(orders) - 1 for orders in by_day.values())


def test_spellings_are_found(health):
    country = finding(health, "unusual_country")
    assert {s["written"]: s["meant"] for s in country.sample} == {"EIRE": "Ireland", "european community": "unclear"}
    written = finding(health, "spelling_p_country").sample[0]
    assert (written["usual"], written["also"]) == ("United Kingdom", ["United kingdom "])
    assert finding(health, "product_code_variants").sample[0]["also"] == ["A"]
    assert finding(health, "product_many_names").rows == 2


def test_time_coverage_names_months_and_silence(health):
    months = {c["month"]: c for c in health.coverage}
    expected = {}
    for row in WORLD:
        expected.setdefault(iso(row["local_day"] * DAY_US)[:7], set()).add(row["customer"])
    assert {m: c["customers"] for m, c in months.items()} == {m: len(c - {None}) for m, c in expected.items()}
    assert sum(c["events"] for c in health.coverage) == len(WORLD)
    assert finding(health, "quiet_days").sample[0]["days"] == 460 - 40 - 1
    assert finding(health, "quiet_customers").rows == 2


def test_completeness_counts_only_events_that_use_a_column(health):
    (source,) = health.sources
    assert (source.source, source.rows, source.stored) == ("orders", len(WORLD) + 5, len(WORLD))
    assert source.completeness["customer"] == pytest.approx(1 - 2 / len(WORLD))
    assert source.completeness["country"] == 1.0
    assert "note" not in source.completeness
    assert source.reasons == {"bad_time": 1}


def test_few_customers_are_called_few(health):
    assert health.verdict == "insufficient"
    assert health.text.startswith("3 customers with at least one purchase")


def test_the_score_is_the_sum_of_its_parts(health):
    assert health.score == sum(p["points"] for p in health.score_parts)
    assert sum(p["of"] for p in health.score_parts) == 100
    assert all(0 <= p["points"] <= p["of"] and p["text"] for p in health.score_parts)


def test_samples_show_rows_but_nobody(health):
    text = json.dumps(health.as_dict(), allow_nan=False)
    assert "Jane" not in text
    assert not re.search(r"[\w.]+@[\w.]+", text)
    postage = finding(health, "line_postage").sample[0]
    assert postage == {"order": "o7", "product": "POST", "quantity": 1, "amount": 4.95, "at": iso(WORLD[6]["ts"])}


def test_problems_come_first(health):
    order = ["problem", "warning", "info"]
    ranks = [order.index(f.severity) for f in health.findings]
    assert ranks == sorted(ranks)


def test_at_an_earlier_moment_later_events_are_unknown(tmp_path):
    with create_store(tmp_path) as store:
        fill(store, WORLD)
        early = report(store, zone="UTC", currency="GBP", controls={}, as_of=(START_DAY + 1) * DAY_US)
    assert early.events == 2
    assert early.as_of == iso((START_DAY + 1) * DAY_US)
    assert {f.code for f in early.findings} == {"already_known", "rejected_rows"}


def test_a_rejected_row_that_was_read_twice_waits_once_and_a_corrected_one_no_longer(tmp_path):
    with create_store(tmp_path) as store:
        fill(store, WORLD)
        batch = store.state.begin_batch("orders", "orders.csv")
        store.state.finish_batch(BatchReport("orders", "orders.csv", batch, 5, 0, 4, 1, {"bad_time": 1}, ()))
        waiting = finding(report(store, zone="UTC", currency="GBP", controls={}), "rejected_rows")
        assert (waiting.rows, len(waiting.sample)) == (1, 1)
        assert waiting.text == f"1 of {len(WORLD) + 1} rows of orders could not be used: 1 bad time."
        store.state.mark_retried([row.id for row in store.state.rejected()])
        codes = {f.code for f in report(store, zone="UTC", currency="GBP", controls={}).findings}
    assert "rejected_rows" not in codes


def test_an_empty_workspace_has_a_report(tmp_path):
    with create_store(tmp_path) as store:
        empty = report(store, zone="UTC", currency="EUR", controls={})
    assert (empty.verdict, empty.events, empty.customers, empty.as_of) == ("insufficient", 0, 0, None)
    assert 0 <= empty.score <= 100


def test_a_customers_table_alone_is_enough_to_judge(tmp_path):
    traits = [
        {
            "customer": i,
            "event_id": f"i{i}",
            "event": "identify",
            "ts": 0,
            "received_at": DAY_US,
            "local_day": 0,
            "local_hour": 0,
            "t_country": "NL",
        }
        for i in range(1_200)
    ]
    with create_store(tmp_path) as store:
        store.log.declare({"t_country": "text"})
        batch = store.state.begin_batch("customers", "people.csv")
        store.log.append(pa.Table.from_pylist(traits), batch=batch)
        found = report(store, zone="UTC", currency="EUR", controls={})
    assert (found.verdict, found.customers) == ("limited", 1_200)
    assert found.findings == ()
    json.dumps(found.as_dict(), allow_nan=False)


def test_values_of_a_free_text_column_are_not_looked_into(tmp_path):
    rows = [line(i, p_note=f"person{i}@example.org") for i in range(30)]
    with create_store(tmp_path) as store:
        fill(store, rows)
        found = report(store, zone="UTC", currency="GBP", controls={})
    assert "example.org" not in json.dumps(found.as_dict())


def test_yen_have_no_minor_unit(tmp_path):
    with create_store(tmp_path) as store:
        fill(store, WORLD)
        found = report(store, zone="UTC", currency="JPY", controls={})
    assert finding(found, "line_postage").amount == 495


def test_every_finding_is_in_the_docs(health):
    text = (Path(__file__).parents[2] / "docs" / "health.md").read_text(encoding="utf-8")
    codes = {
        re.sub(r"^(line|spelling)_.*", lambda m: f"{m[1]}_<{'kind' if m[1] == 'line' else 'column'}>", f.code)
        for f in health.findings
    }
    assert {c for c in codes if f"| `{c}` |" not in text} == set()
    assert all(f"`{kind}`" in text for kind in LINE_KINDS)


def test_spelling_helpers():
    assert plain("  Té-a ") == "te a"
    assert variants({"+": 1, "-": 1}) == []
    assert [v.rows for v in variants({"Red": 5, "RED": 2, "red.": 1})] == [3]
    assert country_code("Österreich") == "AT"
    assert odd_countries(["GB", "nl", "DK"]) == {}
    assert odd_countries(["Korea", "USA"]) == {"Korea": None, "USA": "United States"}
