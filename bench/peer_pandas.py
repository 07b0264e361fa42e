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
    years = [pd.read_parquet(DATA / f"year_{y}.parquet") for y in ("2009_2010", "2010_2011")]
    shared_invoices = set(years[0]["Invoice"]) & set(years[1]["Invoice"])
    years[1] = years[1][~years[1]["Invoice"].isin(shared_invoices)]
    return pd.concat(years, ignore_index=True)


def clean(lines: pd.DataFrame) -> pd.DataFrame:
    lines = lines.drop_duplicates()
    lines = lines.dropna(subset=["Customer ID"])
    goods = lines["StockCode"].str.match(r"^(\d{5}[A-Za-z]{0,2}|DCGS.*|PADS)$")
    lines = lines[goods]
    return lines.assign(amount=(lines["Quantity"] * lines["Price"]).round(2), day=lines["InvoiceDate"].dt.normalize())


def features(lines: pd.DataFrame) -> pd.DataFrame:
    now = lines["InvoiceDate"].max()
    year = lines[lines["InvoiceDate"] > now - pd.Timedelta(days=365)]
    bought, bought_year = lines[lines["amount"] > 0], year[year["amount"] > 0]
    by, by_year = bought.groupby("Customer ID"), bought_year.groupby("Customer ID")
    table = pd.DataFrame(index=pd.Index(lines["Customer ID"].unique(), name="customer"))
    table["recency_days"] = (now - by["InvoiceDate"].max()).dt.total_seconds() / 86400
    table["tenure_days"] = (now - by["InvoiceDate"].min()).dt.total_seconds() / 86400
    table["orders"] = by["Invoice"].nunique()
    table["orders_365d"] = by_year["Invoice"].nunique()
    table["revenue_365d"] = year.groupby("Customer ID")["amount"].sum()
    table["order_value"] = by["amount"].sum() / table["orders"]
    table["items_per_order"] = by["Quantity"].sum() / table["orders"]
    table["products"] = by["StockCode"].nunique()
    returned = -lines[lines["amount"] < 0].groupby("Customer ID")["amount"].sum()
    table["returned_share"] = (returned / by["amount"].sum()).reindex(table.index).fillna(0)
    days = bought[["Customer ID", "day"]].drop_duplicates().sort_values(["Customer ID", "day"])
    gaps = days.groupby("Customer ID")["day"].diff().dt.days
    table["gap_days"] = gaps.groupby(days["Customer ID"]).mean()
    hours = bought["InvoiceDate"].dt.hour
    table["evening_share"] = (hours >= 17).groupby(bought["Customer ID"]).mean()
    table["weekend_share"] = (bought["InvoiceDate"].dt.day_of_week >= 5).groupby(bought["Customer ID"]).mean()
    half = lines[lines["InvoiceDate"] > now - pd.Timedelta(days=180)].groupby("Customer ID")["amount"].sum()
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
    table = features(clean(read()))
    best, labels = group(table, range(2, 13))
    profile = table.assign(group=labels).groupby("group").median()
    print(
        json.dumps(
            {
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
