"""Value models held against what came, on public transactions and in a workspace: the learned one beside the stories of buying.

    python bench/lifetime.py --data ../shared/data                    all tables
    python bench/lifetime.py --data ../shared/data cdnow-sample       some
    python bench/lifetime.py --workspace shop --horizon "13 weeks"    a workspace of your own, for example the demo shop

Every line is from the report of `kohort clv fit`: the last horizon before the end of the data (for CDNOW also the 39 weeks of
the papers), models fitted on what was known when it began, the learned one on other customers at earlier moments. Which of its
three or four settings is taken is chosen on the judged time, and nothing else is.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from kohort.definitions.predictions import parse_horizon
from kohort.ingest.transactions import read_transactions
from kohort.model.clock import parse_instant
from kohort.predict.lifetime.plain import fit_table

TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "cdnow-sample": ("cdnow/CDNOW_sample.txt", {"id": "column_2", "date": "column_3", "amount": "column_5"}),
    "cdnow-master": ("cdnow/CDNOW_master.txt", {"id": "column_1", "date": "column_2", "amount": "column_4"}),
    "apparel": ("apparel-clv/apparelTrans.csv", {"id": "Id", "date": "Date", "amount": "Price"}),
}
RUNS = [
    ("cdnow-sample", "39 weeks", "1997-09-30"),
    ("cdnow-sample", "13 weeks", None),
    ("cdnow-master", "39 weeks", "1997-09-30"),
    ("cdnow-master", "13 weeks", None),
    ("apparel", "26 weeks", None),
    ("apparel", "52 weeks", None),
]
FIGURES = ("total_error", "correlation", "mae", "rmse", "auc", "best_tenth")


def show(title: str, report: dict[str, Any], seconds: float) -> None:
    print(
        f"\n{title}: {report['customers']:,} customers, {seconds:.1f} s CPU, {report['model']}, {report['chosen']} taken"
    )
    print(f"  {report['reason']}")
    held = report["holdout"]
    if held is None:
        return
    print(f"  {'':24}{'expected':>12}{'came':>12}" + "".join(f"{name:>24}" for name in FIGURES) + f"{'deviance':>10}")
    for what, told in (("purchases", held["purchases"]), (held["goal"], held["choice"])):
        for name, f in told.items():
            cells = "".join(f"{cell(f[figure]):>24}" for figure in FIGURES)
            print(f"  {what + ' ' + name:24}{f['expected']:12,.0f}{f['actual']:12,.0f}{cells}{f['deviance']:10.3f}")
    print(f"  intervals held: {held['coverage']}")


def cell(estimate: dict[str, float | None]) -> str:
    value, low, high = (estimate[k] for k in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "–"
    return f"{value:.3g} ({low:.3g}, {high:.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="default: all")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--horizon", default="13 weeks")
    options = parser.parse_args()
    if options.workspace is not None:
        import kohort

        with kohort.open(options.workspace) as ws:
            began = time.process_time()
            report = ws.predict.value.fit(horizon=options.horizon)
            show(f"{options.workspace.name}, {options.horizon}", report, time.process_time() - began)
        return
    for name, horizon, as_of in RUNS:
        if options.tables and name not in options.tables:
            continue
        file, columns = TABLES[name]
        began = time.process_time()
        read = read_transactions(options.data / file, **columns)
        moment = None if as_of is None else parse_instant(as_of)
        found = fit_table(read, horizon=parse_horizon(horizon), as_of=moment)
        show(f"{name}, {horizon} from {as_of or 'the last'}", found.report, time.process_time() - began)


if __name__ == "__main__":
    main()
