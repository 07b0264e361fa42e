"""The controls, counted again with pandas only: rows and money per control and year, line by line with what was stored."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kohort.ingest import ingest_files, propose
from kohort.store import create_store

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[2] / "src" / "kohort" / "data" / "online_retail_ii"
SHARED = Path(os.environ.get("KOHORT_SHARED", Path(__file__).parents[3] / "shared" / "data"))
DAILY = SHARED / "online-retail-ii" / "year_2010_2011_daily_csv.zip"
YEARS = ("year_2009_2010", "year_2010_2011")
NOW = 1_800_000_000_000_000


def lines(year: str) -> pd.DataFrame:
    """One year with the controls as columns. Nothing of Kohort is used here."""
    raw = pd.read_parquet(DATA / f"{year}.parquet")
    code, name = raw["StockCode"].str.strip(), raw["Description"].str.strip()
    words = name.str.lower().fillna("")
    free = (raw["Quantity"] * raw["Price"]).abs() < 0.005
    amount = (raw["Quantity"] * (raw["Price"] * 1000).round().astype("int64") / 10).abs()
    cents = np.floor(amount + 0.5) * np.sign(raw["Quantity"] * raw["Price"])
    kind = pd.Series("goods", index=raw.index)
    by_code = {
        "POST": "postage", "DOT": "postage", "C2": "postage", "C3": "postage", "M": "manual", "m": "manual",
        "D": "discount", "S": "sample", "BANK CHARGES": "fee", "AMAZONFEE": "fee", "CRUK": "commission",
        "B": "bad_debt", "ADJUST": "adjustment", "ADJUST2": "adjustment",
    }  # fmt: skip
    kind = code.map(by_code).fillna(kind)
    kind[code.str.startswith("TEST")] = "test"
    kind[code.str.match(r"gift_0001_\d+$") | name.str.contains("Gift Voucher £", na=False)] = "voucher"
    note = (
        (words == "")
        | words.str.contains(r"\?")
        | ((name == words) & words.str.contains("[a-z]"))
        | words.map(
            lambda w: bool(
                re.search(
                    r"\b(damag|damges|lost|missing|found|check|adjust|thrown|throw|smash|crush|broken|wet|rust|mould|faulty|unsale|"
                    r"destroy|wrong|incorrect|sold as|dotcom|amazon|ebay|given away|mailout|sample|temp|display|counted|no stock|"
                    r"stock|return|mixed up|mix up|donated|mia|crack)",
                    w,
                )
            )
        )
    )
    kind[(kind == "goods") & free & raw["Customer ID"].isna() & note] = "stock_note"
    found = pd.DataFrame(
        {
            "order_id": raw["Invoice"].str.strip(),
            "product": code,
            "quantity": raw["Quantity"] * 1000,
            "amount": cents.astype("int64"),
            "local": raw["InvoiceDate"],
            "ref": raw["Customer ID"].astype("Int64").astype("string"),
            "kind": kind,
        }
    )
    found["nth"] = found.groupby(["order_id", "product", "quantity", "amount", "local", "ref"], dropna=False).cumcount()
    return found


KEY = ["order_id", "product", "quantity", "amount", "local", "ref", "nth"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory):
    """Both years ingested into a real store, with the reports and every stored line."""
    store = create_store(tmp_path_factory.mktemp("shop"))
    files = [DATA / f"{y}.parquet" for y in YEARS]
    mapping = propose(files, currency="GBP").mapping
    settings = {"store": store, "zone": "Europe/London", "currency": "GBP", "now": NOW}
    first = ingest_files(files, mapping, **settings)
    again = ingest_files(files, mapping, **settings)
    columns = ["order_id", "product", "quantity", "amount", "ts", "customer", "line_kind", "duplicate_line", "batch"]
    snapshot = store.log.snapshot()
    parts = [pq.read_table(f, columns=columns, partitioning=None) for fs in snapshot.files.values() for f in fs]
    if snapshot.hot is not None:
        parts.append(snapshot.hot.select(columns))
    table = pa.concat_tables([p.cast(parts[0].schema) for p in parts])
    known = table.column("customer").unique().drop_null()
    refs = pa.array(store.vault.refs(known.to_numpy()), pa.string())
    # A pseudonym has 63 bits: it must not pass through pandas' floating point on its way back to a number.
    ref = refs.take(pc.index_in(table.column("customer"), value_set=known))
    stored = table.drop_columns(["customer"]).append_column("ref", ref).to_pandas()
    stored["ref"] = stored["ref"].astype("string")
    stored["local"] = (
        pd.to_datetime(stored["ts"], unit="us", utc=True).dt.tz_convert("Europe/London").dt.tz_localize(None)
    )
    yield first, again, stored, store
    store.close()


@pytest.fixture(scope="module")
def expected() -> tuple[pd.DataFrame, pd.DataFrame]:
    return lines(YEARS[0]), lines(YEARS[1])


def test_counts_and_the_overlap(shop, expected) -> None:
    first, again, stored, _ = shop
    one, two = expected
    overlap = len(two.merge(one[KEY].drop_duplicates(), on=KEY))
    assert overlap == 22_523
    assert [b.read for b in first.batches] == [len(one), len(two)] == [525_461, 541_909]
    assert [b.stored for b in first.batches] == [len(one), len(two) - overlap]
    assert [b.duplicate for b in first.batches] == [0, overlap]
    assert first.rejected == 0
    assert (again.read, again.stored, again.duplicate) == (1_067_370, 0, 1_067_370)
    assert len(stored) == first.stored


def test_every_line_is_there_once_with_its_kind_and_money(shop, expected) -> None:
    _, _, stored, _ = shop
    both = pd.concat(expected).drop_duplicates(KEY)
    stored = stored.copy()
    stored["nth"] = stored.groupby(KEY[:-1], dropna=False).cumcount()
    met = both.merge(stored, on=KEY, how="outer", indicator=True)
    assert met["_merge"].value_counts().to_dict() == {"both": len(both), "left_only": 0, "right_only": 0}
    different = met[met["kind"] != met["line_kind"]]
    assert different.empty, different[["order_id", "product", "kind", "line_kind"]].head().to_dict("records")


@pytest.mark.parametrize("year", [0, 1])
def test_rows_and_money_per_control(shop, expected, year: int) -> None:
    """The controls of one year: the lines of the other year that the overlap left out are put back by order number."""
    _, _, stored, _ = shop
    want = expected[year]
    have = stored[stored["order_id"].isin(set(want["order_id"]))]

    def table(frame: pd.DataFrame, kind: str, repeated: pd.Series) -> dict[str, tuple[int, int]]:
        cancelled = frame["order_id"].str.startswith("C")
        controls = {
            "cancelled": cancelled,
            "returned": frame["quantity"] < 0,
            "free": frame["amount"] == 0,
            "anonymous": frame["ref"].isna(),
            "repeated": repeated,
            "all": frame["amount"].notna(),
            **{k: frame[kind] == k for k in want["kind"].unique()},
        }
        return {name: (int(rows.sum()), int(frame.loc[rows, "amount"].sum())) for name, rows in controls.items()}

    found = table(have, "line_kind", have["duplicate_line"].astype(bool))
    assert found == table(want, "kind", want["nth"] > 0)
    assert found["cancelled"][0] == (10_206, 9_288)[year]
    assert found["anonymous"][0] == (107_927, 135_080)[year]
    assert found["returned"][0] == (12_326, 10_624)[year]
    assert found["all"][1] == (953_948_462, 974_774_793)[year]


@pytest.mark.shared
@pytest.mark.skipif(not DAILY.is_file(), reason="needs the shared public datasets")
@pytest.mark.parametrize("days", [20, pytest.param(305, marks=pytest.mark.ci)])
def test_the_same_year_day_by_day_adds_nothing(shop, tmp_path: Path, days: int) -> None:
    """The second year again, as one CSV per day with other column names and customers written as 17850.0."""
    *_, store = shop
    with zipfile.ZipFile(DAILY) as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".csv"))[:: 305 // days][:days]
        archive.extractall(tmp_path, names)
    mapping = propose(tmp_path, currency="GBP").mapping
    assert mapping.columns["customer"] == "CustomerID"
    report = ingest_files(tmp_path, mapping, store=store, zone="Europe/London", currency="GBP", now=NOW)
    assert (len(report.batches), report.stored, report.rejected) == (days, 0, 0)
    assert report.duplicate == report.read > 1_000 * days


def test_the_comparison_can_fail(expected) -> None:
    """Sabotage: one line less, or one pound more, is noticed."""
    one, _ = expected
    short = one.iloc[1:]
    assert len(one.merge(short, on=KEY, how="left", indicator=True).query("_merge != 'both'")) == 1
    dear = one.copy()
    dear.loc[5, "amount"] += 100
    assert len(one.merge(dear, on=KEY, how="left", indicator=True).query("_merge != 'both'")) == 1
