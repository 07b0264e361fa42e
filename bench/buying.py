"""How long do the buying models take to fit, and in how much memory, beside other libraries?

    python bench/buying.py                                       2,357, 100,000 and 1 million customers
    python bench/buying.py --customers 1e7                       one size; 10 million take some minutes
    python bench/buying.py --lifetimes PYTHON --pymc PYTHON      beside lifetimes and pymc-marketing, each in the interpreter
                                                                 of an environment that has it

Customers are simulated with the parameters published for CDNOW over a year and a half, to the day. Each fit runs in a process
of its own; `fit CPU s` leaves out reading the table and imports, `predict CPU s` is for all customers, `peak MB` has
everything. Peers are asked up to --peer-most customers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import measure

HERE = Path(__file__).parent
MODELS = ("bgnbd", "pareto", "bgbb", "gamma-gamma")


def shoppers(count: int, seed: int = 7):  # type: ignore[no-untyped-def]
    """Customers as the BG/NBD model makes them, in days / 7, each with a mean amount of her repeat purchases."""
    import numpy as np
    import pyarrow as pa

    draw = np.random.default_rng(seed)
    age = draw.integers(180, 546, count).astype(float)
    rate, stop = draw.gamma(0.243, 1 / (4.414 * 7), count), draw.beta(0.793, 2.426, count)
    x, recency, now = np.zeros(count, np.int32), np.zeros(count), np.zeros(count)
    here = np.arange(count)
    while len(here):
        now[here] += np.maximum(draw.standard_exponential(len(here)) / rate[here], 1e-9)
        here = here[now[here] < age[here]]
        x[here] += 1
        recency[here] = now[here]
        here = here[draw.random(len(here)) >= stop[here]]
    # several purchases of a day are one: no more of them than days
    recency = np.minimum(np.ceil(recency), age)
    x = np.minimum(x, recency).astype(np.int32)
    nu = draw.gamma(3.74, 1 / 15.44, count)
    mean = draw.standard_gamma(6.25 * np.maximum(x, 1)) / nu / np.maximum(x, 1)
    mean = np.where(x > 0, np.maximum(np.rint(mean * 100), 1) / 100, np.nan)
    return pa.table(
        {"frequency": x, "recency": recency / 7, "age": age / 7, "monetary": pa.array(mean, from_pandas=True)}
    )


def donors(count: int, seed: int = 7):  # type: ignore[no-untyped-def]
    """Donors as the BG/BB model makes them, 6 to 24 occasions."""
    import numpy as np
    import pyarrow as pa

    draw = np.random.default_rng(seed)
    age = draw.integers(6, 25, count)
    buys, leaves = draw.beta(1.204, 0.750, count), np.maximum(draw.beta(0.657, 2.783, count), 1e-9)
    stays = np.minimum(draw.geometric(leaves) - 1, age)
    x, recency = np.zeros(count, np.int32), np.zeros(count)
    for occasion in range(1, 25):
        bought = (stays >= occasion) & (draw.random(count) < buys)
        x += bought
        recency[bought] = occasion
    return pa.table({"frequency": x, "recency": recency, "age": age.astype(float)})


def one(model: str, path: Path, *, predict: bool) -> dict[str, object]:
    """One fit in this process."""
    import pyarrow.parquet as pq

    from kohort.predict.buying.bgbb import BGBB
    from kohort.predict.buying.bgnbd import BGNBD
    from kohort.predict.buying.gamma_gamma import GammaGamma
    from kohort.predict.buying.pareto_nbd import ParetoNBD

    columns = ["frequency", "recency", "age", *(["monetary"] if model == "gamma-gamma" else [])]
    table = pq.read_table(path, columns=columns)
    built = {"bgnbd": BGNBD, "pareto": ParetoNBD, "bgbb": BGBB, "gamma-gamma": GammaGamma}[model]()
    built.fit(table.slice(0, 2_000))  # first calls load scipy
    started = time.process_time()
    built.fit(table)
    found: dict[str, object] = {
        "seconds": time.process_time() - started,
        "parameters": built.parameters_,
        "groups": getattr(built, "groups_", len(table)),
    }
    if predict:
        started = time.process_time()
        if isinstance(built, GammaGamma):
            built.expected_value(table)
        else:
            built.expected_purchases(table, 12)
        found["predict_seconds"] = time.process_time() - started
    return found


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--customers", type=float, action="append")
    asked.add_argument("--models", nargs="*", default=MODELS, choices=MODELS)
    asked.add_argument("--lifetimes", help="interpreter that has lifetimes")
    asked.add_argument("--pymc", help="interpreter that has pymc-marketing")
    asked.add_argument("--peer-most", type=float, default=1e5)
    asked.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = asked.parse_args()
    if options.one:
        print(json.dumps(one(options.one[0], Path(options.one[1]), predict=True)))
        return
    peers = {name: python for name in ("lifetimes", "pymc") if (python := getattr(options, name))}
    print("| customers | model | by | groups | fit CPU s | predict CPU s | peak MB | parameters |")
    print("|---:|---|---|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.customers or [2_357, 1e5, 1e6]:
            measured(Path(folder), int(size), options.models, peers if size <= options.peer_most else {})


def measured(folder: Path, size: int, models: list[str], peers: dict[str, str]) -> None:
    import pyarrow.parquet as pq
    from pyarrow import csv

    for made, wanted in ((shoppers, [m for m in models if m != "bgbb"]), (donors, [m for m in models if m == "bgbb"])):
        if not wanted:
            continue
        table = made(size)
        path, plain = folder / "table.parquet", folder / "table.csv"
        pq.write_table(table, path)
        if peers:
            csv.write_csv(table, plain)
        del table
        for model in wanted:
            line(size, model, "kohort", measure.run([sys.executable, __file__, "--one", model, str(path)]))
            for peer, python in peers.items():
                if model != "bgbb":
                    line(size, model, peer, measure.run([python, str(HERE / "peer_clv.py"), peer, model, str(plain)]))


def line(size: int, model: str, by: str, usage: measure.Usage) -> None:
    said = json.loads(usage.output.strip().splitlines()[-1])
    parameters = ", ".join(f"{n} {v:.4g}" for n, v in said["parameters"].items())
    groups = f"{said['groups']:,}" if "groups" in said else "–"
    predicted = f"{said['predict_seconds']:.2f}" if "predict_seconds" in said else "–"
    print(
        f"| {size:,} | {model} | {by} | {groups} | {said['seconds']:.3f} | {predicted} | {usage.peak_mb:.0f} | {parameters} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
