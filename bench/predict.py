"""Predictions on public tables against a tuned LightGBM, on the same folds.

    python bench/predict.py --data ../shared/data                  all tables
    python bench/predict.py --data ../shared/data telco saas       some
    python bench/predict.py --speed                                200,000 customers at 6 moments; scoring 1,000,000

Five outer folds; in each, everything is done on the other four: Kohort compares, chooses and calibrates as it always does;
LightGBM (with --histogram also scikit-learn's HistGradientBoosting) is tuned (6 settings, three inner folds, log loss) and
fitted again.
Nobody sees the judged fold. Each model runs in this process, one thread.
LightGBM is in the dependency group `bench`; without it its line is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from kohort.discovery.discover import read_table
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.predict.encode import fit_encoder
from kohort.predict.folds import make_folds
from kohort.predict.labels import take_labels
from kohort.predict.measures import (
    Scored,
    brier,
    calibration_error,
    log_loss,
    mean_and_error,
    roc_auc,
    row_losses,
)
from kohort.predict.train import train

TABLES = {
    "telco": ("telco-churn/Telco-Customer-Churn.csv", "Churn", ()),
    "bank": ("bank-card-churn/BankChurners.csv", "Attrition_Flag", ("naive_bayes",)),
    "saas": ("saas-churn/churn.csv", "churned", ("months_active",)),
    "caravan": ("caravan-insurance/Caravan.csv", "Purchase", ()),
    "shoppers": ("online-shoppers/online_shoppers_intention.csv", "Revenue", ()),
}
SETTINGS = [
    {"rate": rate, "leaves": leaves, "rounds": rounds, "least": least}
    for rate, rounds in ((0.03, 150), (0.03, 400), (0.1, 150))
    for leaves in (6, 16)
    for least in (40,)
]
Predict = Callable[[np.ndarray], np.ndarray]


def lightgbm(X: np.ndarray, y: np.ndarray, s: dict[str, float]) -> Predict:
    import lightgbm as lgb

    model = lgb.LGBMClassifier(
        n_estimators=int(s["rounds"]),
        learning_rate=s["rate"],
        num_leaves=int(s["leaves"]),
        min_child_samples=int(s["least"]),
        reg_lambda=1.0,
        n_jobs=1,
        verbose=-1,
        random_state=0,
    ).fit(X, y)
    return lambda Z: np.asarray(model.predict_proba(Z)[:, 1])


def histogram(X: np.ndarray, y: np.ndarray, s: dict[str, float]) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(
        learning_rate=s["rate"],
        max_iter=int(s["rounds"]),
        max_leaf_nodes=int(s["leaves"]),
        min_samples_leaf=int(s["least"]),
        l2_regularization=1.0,
        early_stopping=False,
        random_state=0,
    ).fit(X, y)
    return lambda Z: np.asarray(model.predict_proba(Z)[:, 1])


def tuned(fit: Callable[..., Predict], X: np.ndarray, y: np.ndarray) -> Predict:
    folds = make_folds(y, np.arange(len(y)), count=3, seed=1).folds

    def loss(s: dict[str, float]) -> float:
        p = np.concatenate([fit(X[f.learn], y[f.learn], s)(X[f.judge]) for f in folds])
        return log_loss(Scored(p, np.concatenate([y[f.judge] for f in folds])).tally())

    return fit(X, y, min(SETTINGS, key=loss))


def compare(name: str, folder: Path, *, with_histogram: bool) -> list[str]:
    place, label, without = TABLES[name]
    table = read_table(folder / place)
    table, labels = take_labels(table, label)
    table = table.select([f.name for f in table.features if not f.name.startswith(without or ("\0",))])
    y = labels.y
    folds = make_folds(y, np.arange(len(y)), seed=0).folds
    peers = {"LightGBM, tuned": lightgbm} if importlib.util.find_spec("lightgbm") else {}
    if with_histogram:
        peers["HistGradientBoosting, tuned"] = histogram
    p = {who: np.empty(len(y)) for who in ("Kohort", *peers)}
    spent, chosen = dict.fromkeys(p, 0.0), []
    for f in folds:
        rows, others = pa.array(f.learn), pa.array(f.judge)
        part = FeatureTable(table.ids.take(rows), table.data.take(rows), table.features)
        cpu = time.process_time()
        found = train(part, y[f.learn])
        spent["Kohort"] += time.process_time() - cpu
        assert found.model is not None, found.report["reason"]
        chosen.append(found.report["model"])
        p["Kohort"][f.judge] = found.model.probability(table.data.take(others))
        encoder = fit_encoder(part.data, part.features)
        X, Z = encoder.matrix(part.data), encoder.matrix(table.data.take(others))
        for who, fit in peers.items():
            cpu = time.process_time()
            p[who][f.judge] = tuned(fit, X, y[f.learn])(Z)
            spent[who] += time.process_time() - cpu
    lines, figures = [], {"auc": roc_auc, "log loss": log_loss, "brier": brier, "calibration": calibration_error}
    for who, of in p.items():
        told = Scored(of, y).estimates(figures)
        said = f" ({', '.join(sorted(set(chosen)))})" if who == "Kohort" else ""
        cells = [f"{e.value:.4f} ({e.low:.4f} to {e.high:.4f})" for e in told.values()]
        lines.append(f"| {name} | {who}{said} | {' | '.join(cells)} | {spent[who]:.0f} |")
    for who in peers:
        rows = np.arange(len(y))
        worse, error = mean_and_error(row_losses(p["Kohort"], y) - row_losses(p[who], y), rows)
        low, high = worse - 1.96 * error, worse + 1.96 * error
        lines.append(
            f"| {name} | log loss of Kohort less that of {who}: {worse:.4f} ({low:.4f} to {high:.4f}) | | | | | |"
        )
    return lines


def speed() -> None:
    rng = np.random.default_rng(0)
    rows, columns = 1_200_000, 30
    X = rng.normal(size=(rows, columns))
    X[rng.random(X.shape) < 0.1] = np.nan
    z = np.nan_to_num(X[:, :14]) @ rng.normal(size=14) * 0.4 + np.nan_to_num(X[:, 0] * X[:, 1]) - 1.6
    y = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(float)
    data = pa.table({f"x{i}": pa.array(X[:, i], from_pandas=True) for i in range(columns)})
    table = FeatureTable(pa.array(range(rows)), data, tuple(FeatureInfo(f"x{i}", f"x{i}") for i in range(columns)))
    groups, moment = np.arange(rows) // 6, (np.arange(rows) % 6).astype(float)
    cpu = time.process_time()
    found = train(table, y, groups=groups, time=moment, known_at=moment + 1)
    print(
        f"train, 200,000 customers x 30 features x 6 moments: {time.process_time() - cpu:.1f} CPU s "
        f"({found.report['model']}, {found.report['setting']}; {peak_mb():,.0f} MB)",
        flush=True,
    )
    if importlib.util.find_spec("lightgbm"):
        cpu = time.process_time()
        lightgbm(X.astype(np.float32), y, {"rounds": 300, "rate": 0.08, "leaves": 31, "least": 20})
        print(f"bare LightGBM, 300 rounds of 31 leaves: {time.process_time() - cpu:.1f} CPU s")
    assert found.model is not None
    cpu = time.process_time()
    found.model.probability(data.slice(0, 1_000_000))
    print(f"score 1,000,000 customers: {time.process_time() - cpu:.1f} CPU s")
    print(f"largest memory of this process, the table and LightGBM included: {peak_mb():,.0f} MB")


def peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024  # Linux tells kilobytes


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; all without")
    ask.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    ask.add_argument("--speed", action="store_true")
    ask.add_argument("--histogram", action="store_true", help="HistGradientBoosting, tuned in the same way, too")
    options = ask.parse_args()
    if wrong := sorted(set(options.tables) - set(TABLES)):
        ask.error(f"no table is called {', '.join(wrong)}")
    warnings.simplefilter("ignore")
    if options.speed:
        speed()
        return
    print("| table | model | AUC | log loss | Brier | calibration error | CPU s |\n|---|---|---|---|---|---|---|")
    for name in options.tables or TABLES:
        print("\n".join(compare(name, options.data, with_histogram=options.histogram)), flush=True)


if __name__ == "__main__":
    main()
