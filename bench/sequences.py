"""Does a recurrent network on weeks, or an autoencoder, tell more than what is simpler? On the same unseen customers.

    python bench/sequences.py                              the bundled shop
    python bench/sequences.py --data ../shared/data        CDNOW too, where it is there
    python bench/sequences.py --only codes                 only: churn, next, turn, codes, pace

What is asked: whether a customer stays away for 90 days (churn), orders within 30 days (next), and whether she will be active on half
as many days in the next 13 weeks as in the 26 before (turn). Models are those that `kohort predict train` compares, on its folds:
customers apart, the latest moments judged by what was known before. Beside them boosting that reads the single weeks as columns.
saas-churn has one row per customer and no dates, so there is no sequence in it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn import config_context
from threadpoolctl import threadpool_limits

import kohort
from kohort.discovery.prepare import LOOK_ROWS, fit_preparation
from kohort.discovery.representation import compare as compare_codes
from kohort.engines.weeks import PREFIX, Channel, weekly
from kohort.model.clock import DAY_US
from kohort.model.columns import row_sample
from kohort.model.descent import descend
from kohort.model.progress import silent
from kohort.predict import validate
from kohort.predict.calibrate import sigmoid
from kohort.predict.dataset import Dataset
from kohort.predict.families import candidates
from kohort.predict.folds import make_folds
from kohort.predict.measures import auc_and_error, mean_and_error, row_losses
from kohort.predict.recurrent import network

GOODS = "line_kind = 'goods' and amount > 0"
WHAT = ("churn", "next", "turn", "codes", "pace")


def shop(folder: Path) -> kohort.Workspace:
    from kohort.cli.demo import make_demo

    make_demo(folder, "found", progress=silent, with_pages=False)
    return kohort.open(folder)


def cdnow(folder: Path, data: Path) -> kohort.Workspace:
    """A third of the customers of CDNOW: whose number can be divided by three."""
    lines = ["order,customer,date,product,quantity,price"]
    for n, line in enumerate((data / "cdnow" / "CDNOW_master.txt").read_text().split("\n")):
        if line.strip():
            who, day, _, paid = line.split()
            if int(who) % 3 == 0 and float(paid) > 0:
                lines.append(f"o{n},C{who},{day[:4]}-{day[4:6]}-{day[6:]},cd,1,{paid}")
    (folder / "cdnow.csv").write_text("\n".join(lines) + "\n")
    ws = kohort.create(folder / "cdnow", currency="USD")
    ws.ingest(folder / "cdnow.csv")
    return ws


def asked(ws: kohort.Workspace, what: str) -> Dataset:
    spec: dict[str, object] = {"where": GOODS, "sequence": True}
    if what == "next":
        return ws.predict.dataset({**spec, "next": "order_line", "horizon": "30 days"})
    data = ws.predict.dataset({**spec, "churn": "order_line", "horizon": "90 days"})
    return data if what == "churn" else turning(ws, data)


def turning(ws: kohort.Workspace, data: Dataset) -> Dataset:
    """The same rows of customers with four active days in 26 weeks; the outcome is that 13 weeks later it is half as many a week."""
    y, ids = np.full(len(data), np.nan), data.table.ids.to_numpy()
    for moment in data.asked:
        mine = data.moments == moment
        counts = []
        for at, weeks in ((moment, 26), (moment + 91 * DAY_US, 13)):
            who, series = weekly(ws.store.log.snapshot(), [Channel("days")], as_of=at, weeks=weeks)
            counts.append(dict(zip(who.tolist(), series[:, :, 0].sum(axis=1).tolist(), strict=True)))
        before, after = (np.array([c.get(i, 0.0) for i in ids[mine].tolist()]) for c in counts)
        y[mine] = np.where(before >= 4, after <= before / 4, np.nan)
    return replace(data, y=y, known_at=np.maximum(data.known_at, data.moments + 91 * DAY_US))


def judged(title: str, data: Dataset, seed: int = 0) -> None:
    known = ~np.isnan(data.y)
    table, y = validate_rows(data, known)
    groups = np.unique(table.ids.to_numpy(), return_inverse=True)[1]
    several = len(data.asked) > 1
    moments, known_at = (a[known].astype(float) for a in (data.moments, data.known_at))
    folds = make_folds(y, groups, time=moments if several else None, known_at=known_at if several else None, seed=seed)
    names = [f.name for f in table.features]
    plain = table.select([n for n in names if not n.startswith(PREFIX)])
    weeks = table.select([n for n in names if n.startswith(PREFIX)])
    prepared = validate.prepare(plain, folds)
    wide = validate.prepare_weeks(weeks, data.channels, prepared)
    started = time.perf_counter()
    found, chosen = validate.compare(prepared, folds, y, groups, weeks=wide, seed=seed, progress=silent)
    seconds = time.perf_counter() - started
    rows = folds.judged
    own = np.unique(groups[rows], return_inverse=True)[1]
    simple = found[:-1]
    best = int(np.argmin([j.loss for j in simple]))
    losses = [row_losses(sigmoid(j.z), y[rows]) for j in found]
    near = [mean_and_error(loss - losses[best], own) for loss in losses[:-1]]
    taken = next(i for i, (gap, error) in enumerate(near) if i == best or gap <= error)
    everything = validate.prepare(table, folds)
    lags = next(c for c in candidates(10_000) if c.family == "boosting")
    order = np.argsort(np.concatenate([f.judge for f in folds.folds]))
    z = np.concatenate(
        [
            lags.fit(p.encoder, p.learn, y[p.fold.learn], groups[p.fold.learn], seed).log_odds(p.encoder, p.judge)
            for p in everything
        ]
    )[order]
    print(
        f"\n{title}: {len(y):,} rows, {len(np.unique(groups)):,} customers, {y.mean():.1%} yes, {len(rows):,} judged; {seconds:.0f} s"
    )
    print("| model | AUC | log loss | network less this |\n|---|---|---|---|")
    mine = losses[-1]
    for name, scores in (
        (simple[taken].candidate.title, simple[taken].z),
        (f"{lags.title} that reads the weeks", z),
        (found[-1].candidate.title, found[-1].z),
    ):
        loss = row_losses(sigmoid(scores), y[rows])
        auc, error = auc_and_error(scores, y[rows], own)
        gap, spread = mean_and_error(mine - loss, own)
        told = (
            ""
            if name == found[-1].candidate.title
            else f"{gap:+.4f} ({gap - 1.96 * spread:+.4f} to {gap + 1.96 * spread:+.4f})"
        )
        print(
            f"| {name} | {auc:.3f} ({auc - 1.96 * error:.3f} to {auc + 1.96 * error:.3f}) | {loss.mean():.4f} | {told} |"
        )
    print(
        f"taken by the rule: {found[chosen].candidate.title}; rounds of the network: {[m.recurrent.epochs for m in found[-1].models]}",
        flush=True,
    )


def validate_rows(data: Dataset, known: np.ndarray):
    from kohort.predict.labels import without_unknown

    return without_unknown(data.table, known), data.y[known]


def codes(title: str, ws: kohort.Workspace) -> None:
    table = ws.pseudonymous_features(None)
    X = fit_preparation(table)[0].matrix(table.data.take(row_sample(table.data, LOOK_ROWS, seed=0)))
    for seed in range(3):
        started = time.perf_counter()
        told = compare_codes(X, "autoencoder", seed=seed).told
        print(f"{title}, seed {seed}, {time.perf_counter() - started:.0f} s: {told}", flush=True)


def pace() -> None:
    """Seconds of one round through 20,000 customers of 52 weeks and 3 channels."""
    rng = np.random.default_rng(0)
    series, plain = (
        rng.normal(size=(20_000, 52, 3)).astype(np.float32),
        rng.normal(size=(20_000, 20)).astype(np.float32),
    )
    y = (rng.random(20_000) < 0.5).astype(np.float32)
    for units in (8, 16, 32):
        w = network.new_weights(3, units, np.zeros(20), 0.0, seed=0)
        started = time.process_time()
        descend(
            w,
            lambda w, rows: network.slope(w, series[rows], plain[rows], y[rows]),
            lambda w, rows: 0.0,
            learn=np.arange(20_000),
            check=np.zeros(0, int),
            pace=replace(network.PACE, epochs=1),
            seed=0,
        )
        print(f"{units} units: {time.process_time() - started:.1f} CPU s a round of 20,000 customers", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="*", choices=WHAT, default=WHAT)
    parser.add_argument("--shop", type=Path, help="A workspace that `kohort demo` made.")
    options = parser.parse_args()
    # One thread, as `kohort predict train` has: on a busy machine threads that wait for each other take many times as long.
    with (
        tempfile.TemporaryDirectory() as made,
        threadpool_limits(limits=1),
        config_context(skip_parameter_validation=True),
    ):
        folder = Path(made)
        if "pace" in options.only:
            pace()
        places = {"Online Retail II": lambda: kohort.open(options.shop) if options.shop else shop(folder / "shop")}
        if options.data and (options.data / "cdnow" / "CDNOW_master.txt").is_file():
            places["CDNOW, a third"] = lambda: cdnow(folder, options.data)
        for title, opened in places.items():
            with opened() as ws:
                if "codes" in options.only:
                    codes(title, ws)
                for what in ("churn", "next", "turn"):
                    if what in options.only:
                        judged(f"{title}, {what}", asked(ws, what))


if __name__ == "__main__":
    main()
