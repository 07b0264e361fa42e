"""Who answers is not whom a mailing moves: the public e-mail test of Hillstrom, where a lot decided who got a mail.

    python bench/response.py --data ../shared/data

A model of visits is learned from half of the customers who got a mail, as `predict train` does it. The other half and those who got none
are put in fifths by its probability; beside how many of each visited, the difference between mail and no mail is what the mail moved.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa

from kohort.discovery.discover import read_table
from kohort.model.feature import FeatureTable
from kohort.predict.labels import find_column
from kohort.predict.train import train

OUTCOMES = ("segment", "visit", "conversion", "spend")
PARTS = 5


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    options = ask.parse_args()
    [file] = [f for f in (options.data / "hillstrom-email-test").iterdir() if f.suffix in (".csv", ".parquet")]
    table = read_table(file)
    names = {title: find_column(table, title) for title in OUTCOMES}
    mailed = np.array([not str(v).lower().startswith("no ") for v in table.data[names["segment"]].to_pylist()])
    visited = np.array([float(v) for v in table.data[names["visit"]].to_pylist()])
    table = table.select([f.name for f in table.features if f.name not in names.values()])
    learn = mailed & (np.random.default_rng(0).random(len(mailed)) < 0.5)
    rows = pa.array(np.flatnonzero(learn))
    found = train(FeatureTable(table.ids.take(rows), table.data.take(rows), table.features), visited[learn])
    print(found.report["reason"])
    assert found.model is not None
    auc = found.report["metrics"]["roc_auc"]
    print(f"AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})")
    p = found.model.probability(table.data)
    others = ~learn
    cuts = np.quantile(p[others], np.arange(1, PARTS) / PARTS)
    part = np.searchsorted(cuts, p, side="right")
    print(
        "| fifth by probability | said | visited after a mail | without a mail | moved by the mail | 95 % |\n|---|---|---|---|---|---|"
    )
    for number in range(PARTS):
        mine = others & (part == number)
        with_mail, without = visited[mine & mailed], visited[mine & ~mailed]
        moved = with_mail.mean() - without.mean()
        error = 1.96 * np.sqrt(with_mail.var() / len(with_mail) + without.var() / len(without))
        print(
            f"| {number + 1} | {p[mine].mean():.1%} | {with_mail.mean():.1%} | {without.mean():.1%} | {moved:.1%} | "
            f"{moved - error:.1%} to {moved + error:.1%} |"
        )


if __name__ == "__main__":
    main()
