"""The health report of the bundled shop equals an independent computation with pandas on the same files."""

from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kohort
from kohort.health import report

pytestmark = pytest.mark.slow

FILES = [files("kohort") / "data" / "online_retail_ii" / f"year_{y}.parquet" for y in ("2009_2010", "2010_2011")]
SERVICES = {"POST", "DOT", "M", "m", "D", "S", "B", "C2", "C3", "BANK CHARGES", "AMAZONFEE", "CRUK"}
SERVICES |= {"ADJUST", "ADJUST2", "TEST001", "TEST002"}
LINE = ["Invoice", "StockCode", "Quantity", "Price", "InvoiceDate", "Customer ID"]
DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def health(tmp_path_factory):
    with kohort.create(tmp_path_factory.mktemp("real") / "shop", timezone="Europe/London", currency="GBP") as ws:
        ws.ingest(*FILES)
        yield report(ws.store, zone=ws.zone, currency=ws.currency, controls={})


@pytest.fixture(scope="module")
def lines():
    """Every line once: the n-th equal line of an order is the same line in whatever file it stands."""
    years = []
    for file in FILES:
        year = pd.read_parquet(str(file))
        year["StockCode"] = year.StockCode.str.strip()
        year["n"] = year.groupby(LINE, dropna=False).cumcount()
        years.append(year)
    both = pd.concat(years, ignore_index=True).drop_duplicates([*LINE, "n"])
    both["pennies"] = np.floor(np.abs(both.Quantity * both.Price * 100).round(4) + 0.5) * np.sign(
        both.Quantity * both.Price
    )
    service = both.StockCode.isin(SERVICES) | both.StockCode.str.startswith("gift_0001_")
    service |= both.Description.str.startswith("Dotcomgiftshop Gift Voucher", na=False)
    both["goods"] = ~service & (both.n == 0)
    return both


@pytest.fixture(scope="module")
def judged(lines):
    """Each return line of a customer and product, given back as an accountant would do it with a pencil."""
    known = lines[lines.goods & lines["Customer ID"].notna()]
    known = known.sort_values(["InvoiceDate", "Invoice", "Quantity", "pennies"])
    products = defaultdict(list)
    columns = ("Customer ID", "StockCode", "InvoiceDate", "Quantity", "Price", "pennies", "Invoice")
    for customer, product, *rest in zip(*(known[c].tolist() for c in columns), strict=True):
        products[customer, product].append(rest)
    rows = []
    for group in products.values():
        bought = [[when, price, q, (order, q, pennies)] for when, q, price, pennies, order in group if q > 0]
        for when, quantity, price, pennies, _ in group:
            if quantity > 0:
                continue
            wanted, quick = -quantity, False
            earlier = [b for b in bought if b[0] <= when]
            for purchase in sorted(earlier, key=lambda b, p=price: (b[1] == p, b[0], b[3]), reverse=True):
                taken = min(purchase[2], wanted)
                purchase[2] -= taken
                wanted -= taken
                quick |= taken > 0 and when - purchase[0] <= DAY
            rows.append((-quantity, -quantity - wanted, -pennies, quick))
    return pd.DataFrame(rows, columns=["returned", "matched", "pennies", "quick"])


def finding(health, code):
    (found,) = [f for f in health.findings if f.code == code]
    return found


def test_rows_and_customers(health, lines):
    assert health.events == len(lines)
    assert health.customers == lines["Customer ID"].nunique()
    assert finding(health, "already_known").rows == sum(len(pd.read_parquet(str(f))) for f in FILES) - len(lines)


def test_returns_are_matched_as_with_a_pencil(health, judged):
    matched, unmatched = finding(health, "returns_matched"), finding(health, "returns_unmatched")
    assert matched.rows == (judged.matched > 0).sum()
    assert unmatched.rows == (judged.matched < judged.returned).sum()
    money = np.floor(judged.pennies * judged.matched / judged.returned + 1e-9).sum() / 100
    assert matched.amount == pytest.approx(money, abs=0.005)
    assert matched.amount + unmatched.amount == pytest.approx(judged.pennies.sum() / 100, abs=0.005)


def test_cancelled_orders_are_found(health, judged):
    found = finding(health, "cancelled_within_a_day")
    assert found.rows == judged.quick.sum()
    largest = found.sample[0]
    assert (largest["product"], largest["quantity"], largest["amount_given_back"]) == ("23843", 80_995, 168_469.6)


def test_the_docs_say_these_figures(health, judged):
    text = (Path(__file__).parents[2] / "docs" / "health.md").read_text(encoding="utf-8")
    matched, unmatched = finding(health, "returns_matched"), finding(health, "returns_unmatched")
    quick = finding(health, "cancelled_within_a_day")
    assert f"{matched.rows:,} of {len(judged):,} returned lines matched, £{matched.amount:,.0f}" in text
    assert f"£{unmatched.amount:,.0f} without an earlier purchase" in text
    assert f"£{quick.amount:,.0f} taken back within a day" in text


def test_lines_without_a_customer(health, lines):
    nobody = lines[lines.goods & lines["Customer ID"].isna()]
    found = finding(health, "anonymous_revenue")
    assert found.amount == pytest.approx(nobody.pennies.sum() / 100, abs=0.005)
    notes = finding(health, "line_stock_note")
    assert found.rows + notes.rows == len(nobody)
    assert notes.amount == 0


def test_repeated_lines(health, lines):
    repeated = lines[lines.n > 0]
    found = finding(health, "duplicate_lines")
    assert found.rows == len(repeated)
    assert found.amount == pytest.approx(repeated.pennies.sum() / 100, abs=0.005)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("postage", {"POST", "DOT", "C2", "C3"}),
        ("manual", {"M", "m"}),
        ("fee", {"BANK CHARGES", "AMAZONFEE"}),
        ("bad_debt", {"B"}),
        ("commission", {"CRUK"}),
        ("test", {"TEST001", "TEST002"}),
    ],
)
def test_other_lines_are_told_apart(health, lines, kind, codes):
    expected = lines[lines.StockCode.isin(codes)]
    found = finding(health, f"line_{kind}")
    assert found.amount == pytest.approx(expected.pennies.sum() / 100, abs=0.005)
    assert abs(found.rows - len(expected)) <= (expected.pennies == 0).sum()


def test_months_and_revenue(health, lines):
    goods = lines[lines.goods]
    assert len(health.coverage) == 25
    assert sum(m["revenue"] for m in health.coverage) == pytest.approx(goods.pennies.sum() / 100, abs=0.05)
    december = goods[goods.InvoiceDate.dt.strftime("%Y-%m") == "2010-12"]
    (month,) = [m for m in health.coverage if m["month"] == "2010-12"]
    assert month["revenue"] == pytest.approx(december.pennies.sum() / 100, abs=0.05)
