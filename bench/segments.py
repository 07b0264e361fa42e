"""100 rule segments of many customers against evaluating the union of their features once, and the preview of a rule.

    python bench/segments.py           2 million events, 100,000 customers
    python bench/segments.py --large   also 20 million events, 1 million customers
    python bench/segments.py --dir D   keep the synthetic log in D (written once, bucketed Parquet like the store's)

Each contestant runs in a fresh process on the same files, in turn. CPU seconds count from the first query on: imports are
the same for every answer and have their own budget. Goals: ratio 3, 3 GB; a preview after the first in 1 s; the reasons
for one customer in 50 ms.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

AS_OF = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
DAY_US = 86_400_000_000
BUCKETS = 16
KEY = b"a key of the bench"
COLUMNS = {
    "p_page": "text",
    "p_seconds": "number",
    "t_country": "text",
    "t_age": "number",
    "t_member": "flag",
    "t_joined": "time",
}
GOODS = "line_kind = 'goods'"

FEATURES = f"""
recency_days: {{recency: days, event: order_line, where: "{GOODS}"}}
tenure_days: {{tenure: days, event: order_line, where: "{GOODS}"}}
orders: {{count_distinct: order_id, event: order_line, where: "{GOODS}"}}
orders_365d: {{count_distinct: order_id, event: order_line, where: "{GOODS}", within: 365 days}}
amount: {{sum: amount, event: order_line, where: "{GOODS}"}}
amount_365d: {{sum: amount, event: order_line, where: "{GOODS}", within: 365 days}}
amount_90d: {{sum: amount, event: order_line, where: "{GOODS}", within: 90 days}}
order_value: {{ratio: [amount, orders]}}
products: {{count_distinct: product, event: order_line, where: "{GOODS}"}}
favourite: {{mode: category, event: order_line}}
last_page: {{last: p_page, event: page}}
country: {{trait: country}}
age: {{trait: age}}
member: {{trait: member}}
joined: {{trait: joined}}
"""
"""What the rules name or measure in place: the union that is evaluated once. Places of rules are filled from below."""

WINDOWS = (7, 30, 60, 90, 180, 365)


def union() -> str:
    """The features above, and what the rules below measure in place, as features."""
    lines = [FEATURES]
    lines += [
        f"n_{event}_{days}: {{count: events, event: {event}, within: {days} days}}"
        for event in ("order_line", "page", "cart")
        for days in WINDOWS
    ]
    lines += [
        f"big_{d}: {{count: events, event: order_line, where: 'amount > 50', within: {d} days}}" for d in (30, 365)
    ]
    lines += [
        f"shoes_{d}: {{count: events, event: page, where: \"p_page = 'shoes'\", within: {d} days}}" for d in (30, 90)
    ]
    lines += [f"seconds_{d}: {{sum: p_seconds, event: page, within: {d} days}}" for d in (30, 365)]
    lines += [
        "seen: {recency: days, event: page}",
        "first_cart: {tenure: days, event: cart}",
        "cart_then_order: {sequence: {first: cart, then: order_line, within: 1 day}}",
    ]
    return "\n".join(lines)


def rules() -> list[str]:
    """100 rules as marketers write them: one to four conditions, over values that many of them share."""
    found = [
        f"did('{event}', at_least => {n}, within => '{days} days')"
        for event in ("order_line", "page", "cart")
        for days in WINDOWS
        for n in (1, 3)
    ]
    found += [f"recency_days <= {d} and amount_365d >= {a}" for d in (30, 90, 180) for a in (50, 200, 500)]
    found += [f"orders >= {n} and t_country in ('DE', 'AT') and not t_member" for n in (1, 2, 5)]
    found += [f"orders_365d between {n} and {2 * n} or amount_90d > {20 * n}" for n in (1, 2, 4, 8)]
    found += [f"never('order_line', within => '{d} days') and did('page', within => '{d} days')" for d in WINDOWS]
    found += [f"t_age >= {a} and t_age < {a + 10} and products > 3" for a in range(20, 70, 10)]
    found += [f"sum('page', within => '{d} days').p_seconds > {s}" for d in (30, 365) for s in (60, 600, 3_600)]
    found += [
        f"did('page', p_page = 'shoes', at_least => {n}, within => '{d} days')" for d in (30, 90) for n in (1, 2, 4)
    ]
    found += [f"did('order_line', amount > 50, at_least => {n}, within => '365 days')" for n in (1, 2, 3)]
    found += [f"favourite = '{c}' and recency_days < 365" for c in ("toys", "books", "shoes", "food")]
    found += [f"t_joined > ago('{d} days') and t_country != 'NL'" for d in (30, 90, 365)]
    found += [f"stopped('order_line', within => '365 days', recent => '{d} days')" for d in (30, 60, 90)]
    found += ["sequence(did('cart'), did('order_line'), within => '1 day')"]
    found += [f"order_value > {v} and last('page').p_page = 'shoes'" for v in (10, 40)]
    found += [f"days_since('page') <= {d} and days_since_first('cart') > {d}" for d in (7, 30)]
    found += [f"random_bucket('spring') < {n} and t_member" for n in (5, 10, 50)]
    found += [f"(orders >= {n} or amount > {100 * n}) and not (recency_days > 180)" for n in range(1, 200)]
    return found[:100]


def write_log(folder: Path, customers: int) -> None:
    """A synthetic log like the store's: one sorted Parquet file per customer bucket, 20 events per customer on average."""
    import numpy as np

    rng = np.random.default_rng(7)
    people = rng.choice(2**62, customers, replace=False)
    people = people[np.argsort(people)]
    for bucket in range(BUCKETS):
        _write_bucket(folder, bucket, people[people % BUCKETS == bucket], rng)


def _write_bucket(folder: Path, bucket: int, people, rng) -> None:  # type: ignore[no-untyped-def]
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from kohort.model.event import event_schema

    each = np.minimum(rng.geometric(1 / 20, len(people)), 400)
    customer = np.repeat(people, each)
    n = len(customer)
    # Activity of a customer gathers around a time of his own.
    centre = np.repeat(rng.integers(0, 900, len(people)), each)
    ts = AS_OF - ((centre + rng.exponential(120, n)) * DAY_US).astype(np.int64)
    order = np.lexsort((ts, customer))
    ts = ts[order]
    kind = rng.choice(4, n, p=(0.4, 0.45, 0.1, 0.05))
    kind[np.r_[True, customer[1:] != customer[:-1]]] = 3
    line, page, learned = kind == 0, kind == 1, kind == 3
    quantity = rng.integers(1, 6, n) * np.where(rng.random(n) < 0.02, -1, 1)

    def words(choices: list[str], where: np.ndarray) -> pa.Array:
        return pa.DictionaryArray.from_arrays(
            pa.array(rng.integers(0, len(choices), n), mask=~where), pa.array(choices)
        ).cast(pa.string())

    columns = {
        "customer": customer,
        "event_id": pa.array(np.arange(n)).cast(pa.string()),
        "event": pa.DictionaryArray.from_arrays(
            pa.array(kind), pa.array(["order_line", "page", "cart", "identify"])
        ).cast(pa.string()),
        "ts": ts,
        "received_at": ts,
        "local_day": (ts // DAY_US).astype(np.int32),
        "local_hour": (ts // (DAY_US // 24) % 24).astype(np.int32),
        "order_id": pa.array(np.char.add("o", (np.arange(n) // 3).astype(str)), mask=~line),
        "product": words([f"P{i}" for i in range(2000)], line),
        "category": words(["toys", "books", "shoes", "food", "garden", "tools"], line),
        "line_kind": words(["goods"] * 19 + ["postage"], line),
        "quantity": pa.array(quantity * 1000, mask=~line),
        "amount": pa.array(quantity * rng.integers(100, 6000, n), mask=~line),
        "batch": np.ones(n, np.int64),
        "p_page": words(["home", "shoes", "toys", "help", "Search"], page),
        "p_seconds": pa.array(rng.integers(1, 300, n) * 1_000_000, mask=~page),
        "t_country": words(["DE", "AT", "NL", "GB", "DK"], learned),
        "t_age": pa.array(rng.integers(18, 80, n) * 1_000_000, mask=~learned),
        "t_member": pa.array(rng.random(n) < 0.4, mask=~learned),
        "t_joined": pa.array(AS_OF - rng.integers(0, 1500, n) * DAY_US, mask=~learned),
    }
    schema = event_schema(COLUMNS)
    schema = schema.remove(schema.get_field_index("bucket"))
    table = pa.table({f.name: columns.get(f.name, pa.nulls(n, f.type)) for f in schema}).cast(schema)
    target = folder / f"bucket={bucket}"
    target.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, target / "part-0.parquet", compression="zstd", row_group_size=122_880)


def snapshot(folder: Path):  # type: ignore[no-untyped-def]
    from kohort.model.snapshot import Snapshot

    files = {b: (str(folder / f"bucket={b}" / "part-0.parquet"),) for b in range(BUCKETS)}
    return Snapshot(files, columns=dict(COLUMNS), version="1", buckets=BUCKETS)


def definitions():  # type: ignore[no-untyped-def]
    from kohort.definitions.rules import parse_rule
    from kohort.definitions.segments import Part, RuleText, SegmentDefinition

    texts = rules()
    assert len(texts) == 100
    return [
        SegmentDefinition(f"s{i}", "rule", (Part(f"s{i}", rule=RuleText(text, parse_rule(text))),))
        for i, text in enumerate(texts)
    ]


def run_union(folder: Path) -> dict[str, float]:
    from kohort.definitions.features import parse_features
    from kohort.engines.evaluate import features

    parsed = parse_features(union(), COLUMNS)
    started = time.process_time()
    table = features(snapshot(folder), parsed, as_of=AS_OF)
    return {"cpu": time.process_time() - started, "customers": len(table)}


def run_segments(folder: Path) -> dict[str, float]:
    from kohort.definitions.features import parse_features
    from kohort.engines.segments import evaluate

    parsed = definitions()
    started = time.process_time()
    found = evaluate(snapshot(folder), parsed, features=parse_features(FEATURES, COLUMNS), as_of=AS_OF, key=KEY)
    rows = sum(found.placed[d.name].num_rows for d in parsed)
    return {"cpu": time.process_time() - started, "customers": found.universe, "memberships": rows}


EDITS = (
    "recency_days <= 60 and amount_365d >= 200 and t_country in ('DE', 'AT')",
    "recency_days <= 90 and amount_365d >= 200 and t_country in ('DE', 'AT')",
    "recency_days <= 90 and amount_365d >= 100 and t_country in ('DE', 'AT', 'NL')",
    "recency_days <= 90 and amount_365d >= 100 and not t_member",
    "recency_days <= 75 and (amount_365d >= 100 or t_country = 'GB') and not t_member",
    "recency_days <= 75 and amount_365d between 100 and 900 and did('page', p_page = 'shoes', within => '30 days')",
    "recency_days <= 75 and amount_365d between 150 and 900 and did('page', p_page = 'shoes', within => '30 days')",
    "recency_days <= 50 and not did('page', p_page = 'shoes', within => '30 days')",
    "recency_days <= 50 and never('page', p_page = 'shoes', within => '30 days') and t_country != 'DE'",
)
"""How somebody works on a rule: numbers change more often than conditions; two of these look at something new."""


def run_preview(folder: Path) -> dict[str, float]:
    from kohort.definitions.features import parse_features
    from kohort.definitions.rules import parse_rule
    from kohort.definitions.segments import Part, RuleText, SegmentDefinition
    from kohort.engines.measures import Measures
    from kohort.engines.preview import preview

    log, known = snapshot(folder), parse_features(FEATURES, COLUMNS)
    measures, took = Measures(log, AS_OF), []
    for text in EDITS:
        started = time.perf_counter()
        definition = SegmentDefinition("s", "rule", (Part("s", rule=RuleText(text, parse_rule(text))),))
        found = preview(log, definition, features=known, value=known[4], as_of=AS_OF, key=KEY, measures=measures)
        took.append(time.perf_counter() - started)
    return {"first_s": took[0], "median_s": median(took[1:]), "slowest_s": max(took[1:]), "customers": found.universe}


def run_one_customer(folder: Path) -> dict[str, float]:
    """A rule of four conditions for one customer after the other, at one moment and at 500."""
    import pyarrow.parquet as pq

    from kohort.definitions.features import parse_features
    from kohort.definitions.rules import operands, parse_rule
    from kohort.engines.moments import OneCustomer

    log, known, rule = snapshot(folder), parse_features(FEATURES, COLUMNS), parse_rule(EDITS[5])
    question, values = ("", rule), [("", operand) for operand in operands(rule)]
    people = pq.read_table(log.files[3][0], columns=["customer"])["customer"].unique().to_pylist()
    found = {}
    for moments in (1, 500):
        took = []
        for customer in people[:: len(people) // 20][:20]:
            started = time.perf_counter()
            with OneCustomer(log, customer, features=known, key=KEY, questions=[question], operands=values) as she:
                she.ask([question], values, [AS_OF + n * DAY_US for n in range(moments)])
            took.append(time.perf_counter() - started)
        found[f"{moments}_moments_ms"] = 1_000 * median(took[1:])
    return found


CONTESTANTS = {"union": run_union, "segments": run_segments}
QUESTIONS = {"preview": run_preview, "one customer": run_one_customer}


def contest(name: str, folder: Path) -> dict[str, float]:
    """One contestant in a fresh process."""
    command = [sys.executable, __file__, "--run", name, "--dir", str(folder)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare(folder: Path, customers: int, rounds: int) -> None:
    if not (folder / f"bucket={BUCKETS - 1}").exists():
        print(f"writing about {20 * customers:,} events …", file=sys.stderr)
        write_log(folder, customers)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name in CONTESTANTS:
            runs[name].append(contest(name, folder))
    for name, found in runs.items():
        cpu, wall = (median(r[k] for r in found) for k in ("cpu", "wall"))
        print(
            f"{customers:>10,} customers  {name:<9} {cpu:7.2f} CPU s  {wall:7.2f} s  peak {found[0]['peak_mb']:6.0f} MB"
        )
    ratio = median(r["cpu"] for r in runs["segments"]) / median(r["cpu"] for r in runs["union"])
    print(f"{'':>10} ratio {ratio:.2f} (goal 3)")
    for name in QUESTIONS:
        told = ", ".join(f"{key} {value:,.2f}" for key, value in contest(name, folder).items() if key != "wall")
        print(f"{'':>10} {name}: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="also 20 million events")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "kohort-bench-segments")
    parser.add_argument("--run", choices=[*CONTESTANTS, *QUESTIONS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        started = time.perf_counter()
        found = (CONTESTANTS | QUESTIONS)[options.run](options.dir)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found | {"wall": time.perf_counter() - started, "peak_mb": peak}))
        return
    compare(options.dir / "2m", 100_000, options.rounds)
    if options.large:
        compare(options.dir / "20m", 1_000_000, options.rounds)


if __name__ == "__main__":
    main()
