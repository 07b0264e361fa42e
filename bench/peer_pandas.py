"""The peer: what a careful analyst writes with pandas and scikit-learn for the same job.

Reads both retail years, cleans them, computes the same kind of features, scales them, and fits k-means for every k of
the same range, choosing by silhouette. Fair on purpose: vectorised pandas, no needless copies, one pass per feature.
Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

DATA = Path(__file__).parents[1] / "src" / "kohort" / "data" / "online_retail_ii"


def read() -> pd.DataFrame:
    """Both years; the second adds only lines that the first does not hold, counting identical lines one by one."""
    years = [pd.read_parquet(DATA / f"year_{y}.parquet") for y in ("2009_2010", "2010_2011")]
    content = ["Invoice", "StockCode", "Quantity", "InvoiceDate", "Price", "Customer ID"]
    for year in years:
        year["nth"] = year.groupby(content, dropna=False).cumcount()
    lines = pd.concat(years, ignore_index=True)
    return lines.drop_duplicates([*content, "nth"]).rename(columns={"Customer ID": "customer"})


KINDS = [
    (r"^(?:POST|DOT|C2|C3)$", "postage"),
    (r"^(?:BANK CHARGES|AMAZONFEE)$", "fee"),
    (r"^D$", "discount"),
    (r"^S$", "sample"),
    (r"^[Mm]$", "manual"),
    (r"^ADJUST\d*$", "adjustment"),
    (r"^B$", "bad_debt"),
    (r"^gift_", "voucher"),
    (r"^CRUK$", "commission"),
    (r"^TEST", "test"),
]


def control(lines: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Tell goods from everything else, mark duplicates, and say what each control did to rows and money."""
    lines["amount"] = (lines["Quantity"] * lines["Price"]).round(2)
    lines["kind"] = "goods"
    for pattern, kind in KINDS:
        lines.loc[lines["StockCode"].str.match(pattern, na=False), "kind"] = kind
    note = (lines["Price"] == 0) & lines["customer"].isna()
    lines.loc[note & (lines["kind"] == "goods"), "kind"] = "stock_note"
    lines["duplicate"] = lines["nth"] > 0
    done = lines.groupby("kind")["amount"].agg(["size", "sum"]).to_dict("index")
    for name, chosen in {
        "duplicate": lines["duplicate"],
        "anonymous": lines["customer"].isna(),
        "returned": lines["Quantity"] < 0,
        "cancelled": lines["Invoice"].str.startswith("C"),
    }.items():
        done[name] = {"size": int(chosen.sum()), "sum": float(lines.loc[chosen, "amount"].sum())}
    clean = lines[(lines["kind"] == "goods") & ~lines["duplicate"] & lines["customer"].notna()]
    return clean.assign(day=clean["InvoiceDate"].dt.normalize()), done


def match_returns(lines: pd.DataFrame) -> dict[str, float]:
    """Each return to the latest earlier purchases of the same customer, product and price that it can still return."""
    keys = ["customer", "StockCode"]
    returned = lines[lines["Quantity"] < 0].sort_values("InvoiceDate")
    concerned = lines[lines["Quantity"] > 0].merge(returned[keys].drop_duplicates(), on=keys)
    bought: dict[tuple[float, str], list[list[object]]] = {}
    for row in concerned.sort_values("InvoiceDate").itertuples():
        bought.setdefault((row.customer, row.StockCode), []).append([row.InvoiceDate, row.Price, row.Quantity])
    matched = amount = 0.0
    for row in returned.itertuples():
        left = -row.Quantity
        earlier = [p for p in bought.get((row.customer, row.StockCode), ()) if p[0] <= row.InvoiceDate and p[2] > 0]
        for purchase in sorted(earlier, key=lambda p, price=row.Price: (p[1] == price, p[0]), reverse=True):
            taken = min(left, purchase[2])
            purchase[2] -= taken
            left -= taken
            amount += taken * row.Price
            if not left:
                break
        matched += left == 0
    return {"returns": len(returned), "matched": matched, "amount": round(amount, 2)}


def features(lines: pd.DataFrame) -> pd.DataFrame:
    now = lines["InvoiceDate"].max()
    year = lines[lines["InvoiceDate"] > now - pd.Timedelta(days=365)]
    bought, bought_year = lines[lines["amount"] > 0], year[year["amount"] > 0]
    by, by_year = bought.groupby("customer"), bought_year.groupby("customer")
    table = pd.DataFrame(index=pd.Index(lines["customer"].unique(), name="customer"))
    table["recency_days"] = (now - by["InvoiceDate"].max()).dt.total_seconds() / 86400
    table["tenure_days"] = (now - by["InvoiceDate"].min()).dt.total_seconds() / 86400
    table["orders"] = by["Invoice"].nunique()
    table["orders_365d"] = by_year["Invoice"].nunique()
    table["revenue_365d"] = year.groupby("customer")["amount"].sum()
    table["order_value"] = by["amount"].sum() / table["orders"]
    table["items_per_order"] = by["Quantity"].sum() / table["orders"]
    table["products"] = by["StockCode"].nunique()
    returned = -lines[lines["amount"] < 0].groupby("customer")["amount"].sum()
    table["returned_share"] = (returned / by["amount"].sum()).reindex(table.index).fillna(0)
    days = bought[["customer", "day"]].drop_duplicates().sort_values(["customer", "day"])
    gaps = days.groupby("customer")["day"].diff().dt.days
    table["gap_days"] = gaps.groupby(days["customer"]).mean()
    hours = bought["InvoiceDate"].dt.hour
    table["evening_share"] = (hours >= 17).groupby(bought["customer"]).mean()
    table["weekend_share"] = (bought["InvoiceDate"].dt.day_of_week >= 5).groupby(bought["customer"]).mean()
    half = lines[lines["InvoiceDate"] > now - pd.Timedelta(days=180)].groupby("customer")["amount"].sum()
    table["revenue_180d"] = half
    counts = ["orders", "orders_365d", "revenue_365d", "revenue_180d", "products"]
    table[counts] = table[counts].fillna(0)
    return table.fillna(table.median(numeric_only=True))


def group(table: pd.DataFrame, ks: range) -> tuple[int, np.ndarray]:
    skewed = [c for c in table if abs(table[c].skew()) > 1]
    values = table.copy()
    values[skewed] = np.sign(values[skewed]) * np.log1p(values[skewed].abs())
    matrix = StandardScaler().fit_transform(values)
    fits = {k: KMeans(k, n_init=10, random_state=0).fit(matrix) for k in ks}
    quality = {k: silhouette_score(matrix, fit.labels_) for k, fit in fits.items()}
    best = max(quality, key=quality.__getitem__)
    return best, fits[best].labels_


def main() -> None:
    started = time.perf_counter()
    lines, controls = control(read())
    returns = match_returns(lines)
    table = features(lines)
    best, labels = group(table, range(2, 13))
    profile = table.assign(group=labels).groupby("group").median()
    print(
        json.dumps(
            {
                "controls": controls,
                "returns": returns,
                "customers": len(table),
                "features": table.shape[1],
                "k": best,
                "sizes": np.bincount(labels).tolist(),
                "profile": profile.round(1).to_dict(),
                "seconds": round(time.perf_counter() - started, 2),
            }
        )
    )


if __name__ == "__main__":
    sys.exit(main())
