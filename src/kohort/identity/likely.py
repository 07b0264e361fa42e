"""Likely links: records that agree on so much that they must be one customer, with the evidence of each field.

Splink on DuckDB finds the candidate pairs and compares them; `mixture` learns what agreement is worth; the threshold is
where precision and recall, as the model expects them, are best together. Nothing is tuned to a data set and nothing is
written to disk: DuckDB works in memory and may not spill.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from kohort.engines.duck import connect
from kohort.errors import MissingExtra, NotEnough, TooLarge
from kohort.identity import blocking, comparisons, curve, mixture
from kohort.identity.groups import agreeing, at_most_one_each, connected
from kohort.identity.prepare import Prepared, prepare

if TYPE_CHECKING:
    import duckdb

_RANDOM_PAIRS = 500_000
_FAR = -14
"""log2: a pair below is not kept; one in sixteen thousand of them may be right."""


@dataclass(frozen=True, slots=True)
class Likely:
    """Scored pairs and the groups that follow.

    Attributes:
        pairs: `left`, `right` (int64: rows of the table that was given), `probability` (of being one customer), then for each
            comparison `level_NAME` (-1 = not given) and `weight_NAME` (log2 evidence, rarity of the value included).
        customer: For each row the first row of its group, int64.
        threshold: Pairs at or above this probability are joined.
        curve: What the model expects of thresholds.
        model: What was learned.
        compared: The comparisons, with the words for their levels.
        rules: Which pairs were looked at.
        problems: Role → how often a value was missing, junk or unreadable.
        seconds: How long each part took.
    """

    pairs: pa.Table
    customer: np.ndarray
    threshold: float
    curve: curve.Curve
    model: mixture.Mixture
    compared: tuple[comparisons.Comparison, ...]
    rules: tuple[blocking.Rule, ...]
    problems: Mapping[str, Counter[str]]
    seconds: Mapping[str, float]

    def evidence(self, place: int) -> list[tuple[str, str, float]]:
        """Why a pair (its place in `pairs`) was scored so: for each field what agrees, in words, and log2 of its weight."""
        row = self.pairs.slice(place, 1).to_pylist()[0]
        found = []
        for comparison in self.compared:
            level = row[f"level_{comparison.name}"]
            said = "not given" if level < 0 else [*(lv.says for lv in comparison.levels), "different"][-1 - level]
            found.append((comparison.name, said, float(row[f"weight_{comparison.name}"])))
        return found

    def review(self, *, low: float = 0.1, high: float = 0.9) -> pa.Table:
        """Pairs in the uncertain middle, the most uncertain first; `place` is theirs in `pairs`."""
        probability = self.pairs.column("probability").to_numpy()
        places = np.flatnonzero((probability > low) & (probability < high))
        places = places[np.argsort(np.abs(probability[places] - 0.5), kind="stable")]
        return (
            self.pairs.select(["left", "right", "probability"])
            .take(places)
            .append_column("place", pa.array(places, pa.int64()))
        )


def likely(
    table: pa.Table,
    *,
    region: str,
    roles: Mapping[str, str] | None = None,
    source: pa.Array | None = None,
    one_each: bool = False,
    threshold: float | None = None,
    seed: int = 1,
    memory_limit: str = "4GB",
) -> Likely:
    """Find the records of a table that are one customer.

    Args:
        table: One record a row.
        region: Two letters of the country whose telephone numbers and postcodes need none.
        roles: Role → column (`prepare.ROLES`); None = by the columns' names.
        source: Texts of two kinds, parallel: only records of different sources are linked.
        one_each: With `source`: no source has a customer twice, so each record is joined with at most one.
        threshold: The probability from which pairs are joined; None = where the model expects the best F1.
        seed: Of the random pairs from which the chance of agreement is learned.
        memory_limit: DuckDB stops beyond it; it never writes to disk.

    Raises:
        MissingExtra: Splink is not installed.
        TooLarge: They do not fit into `memory_limit`.
        NotEnough: No two records have enough in common to learn anything.
        WrongUsage: A role or column is unknown, or nothing there says who somebody is.
    """
    clock, seconds = time.perf_counter(), dict[str, float]()
    prepared = prepare(table, region=region, roles=roles, source=source)
    compared = comparisons.comparisons(prepared.table.column_names)
    seconds["prepare"] = time.perf_counter() - clock
    clock = time.perf_counter()
    with connect(memory_limit=memory_limit) as con, _in_memory():
        con.execute("SET temp_directory = ''")
        rules, strangers, scored = _compared(con, prepared, compared, linking=source is not None, seed=seed)
    seconds["compare"] = time.perf_counter() - clock
    clock = time.perf_counter()
    names = [comparison.name for comparison in compared]
    levels = np.column_stack([scored.column(f"gamma_{name}").to_numpy() for name in names]).astype(np.int8)
    rare = np.column_stack([scored.column(f"rare_{name}").to_numpy() for name in names])
    total = _all_pairs(prepared, linking=source is not None)
    model = mixture.learn(levels, strangers, names, pairs=total, records=table.num_rows)
    model = mixture.share_again(model, levels, rare, total)
    probability = model.probability(levels, rare)
    left, right = scored.column("uid_l").to_numpy(), scored.column("uid_r").to_numpy()
    kept = probability > 2.0**_FAR
    expected = curve.expected(probability)
    cut = threshold if threshold is not None else expected.best()
    if one_each and source is not None:
        joined = np.flatnonzero(probability >= cut)
        joined = joined[at_most_one_each(left[joined], right[joined], probability[joined])]
        customer = connected(table.num_rows, left[joined], right[joined])
    else:
        customer = agreeing(table.num_rows, left[kept], right[kept], probability[kept], cut)
    weights = model.weights(levels) + rare
    pairs = {"left": left[kept], "right": right[kept], "probability": probability[kept]}
    pairs |= {f"level_{name}": levels[kept, n] for n, name in enumerate(names)}
    pairs |= {f"weight_{name}": weights[kept, n].astype(np.float32) for n, name in enumerate(names)}
    seconds["decide"] = time.perf_counter() - clock
    return Likely(
        pa.table(pairs), customer, cut, expected, model, tuple(compared), tuple(rules), prepared.problems, seconds
    )


@contextmanager
def _in_memory() -> Iterator[None]:
    """Says plainly where the memory ends; Splink hands the engine's own error on, wrapped in its own."""
    try:
        yield
    except Exception as error:
        if "Out of Memory" not in f"{error} {error.__cause__}":
            raise
        raise TooLarge(
            "The records and their pairs do not fit into the memory allowed.", hint="Allow more, or take fewer records."
        ) from None  # the engine's message has values of the records


def _compared(
    con: duckdb.DuckDBPyConnection,
    prepared: Prepared,
    compared: list[comparisons.Comparison],
    *,
    linking: bool,
    seed: int,
) -> tuple[list[blocking.Rule], list[np.ndarray], pa.Table]:
    """The rules that found candidates, the levels' chance among random pairs, and the candidates with their levels."""
    try:
        from splink import DuckDBAPI, Linker
    except ImportError as error:
        raise MissingExtra("identity", "Finding likely doubles") from error
    con.register("given", prepared.table)
    con.execute("CREATE TABLE records AS SELECT * FROM given")
    con.unregister("given")
    columns = [name for name in prepared.table.column_names if name not in ("uid", "source")]
    rules = blocking.blocking_rules(con, "records", columns, linking=linking)
    if not rules:
        raise NotEnough(
            "No two records agree on anything that few others share.", hint="Add columns that say who somebody is."
        )
    api = DuckDBAPI(connection=con)
    linker = Linker(
        _inputs(con, api, linking=linking), _settings(rules, compared, linking=linking), log_level=logging.ERROR
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=_RANDOM_PAIRS, seed=seed)
    strangers = [_chances(comparison) for comparison in linker._settings_obj.comparisons]
    candidates = linker.inference.predict(warning_mode="never").physical_name
    shown = {column[0] for column in con.sql(f"DESCRIBE {candidates}").fetchall()}
    wanted = ["uid_l", "uid_r"]
    for comparison in compared:
        adjusted = f"mw_tf_adj_{comparison.name}"
        rare = f"CAST({adjusted} AS FLOAT)" if adjusted in shown else "CAST(0 AS FLOAT)"
        wanted += [
            f"CAST(gamma_{comparison.name} AS TINYINT) AS gamma_{comparison.name}",
            f"{rare} AS rare_{comparison.name}",
        ]
    return (
        rules,
        strangers,
        con.sql(f"SELECT {', '.join(wanted)} FROM {candidates} ORDER BY uid_l, uid_r").to_arrow_table(),
    )


def _inputs(con: duckdb.DuckDBPyConnection, api: Any, *, linking: bool) -> Any:
    if not linking:
        return api.register("records")
    sources = [name for (name,) in con.sql("SELECT DISTINCT source FROM records ORDER BY source").fetchall()]
    tables = []
    for number, name in enumerate(sources):
        con.execute(f"CREATE TABLE source_{number} AS SELECT * EXCLUDE (source) FROM records WHERE source = ?", [name])
        tables.append(api.register(f"source_{number}", dataset_display_name=f"source_{number}"))
    return tables


def _settings(rules: list[blocking.Rule], compared: list[comparisons.Comparison], *, linking: bool) -> dict[str, Any]:
    return {
        "link_type": "link_only" if linking else "dedupe_only",
        "unique_id_column_name": "uid",
        "comparisons": comparisons.settings(compared),
        "blocking_rules_to_generate_predictions": [{"blocking_rule": rule.sql()} for rule in rules],
        "retain_matching_columns": True,  # the levels come with them
        "retain_intermediate_calculation_columns": True,
    }


def _chances(comparison: Any) -> np.ndarray:
    """The chance of each level among random pairs, "different" first."""
    levels = [level for level in comparison.comparison_levels if not level.is_null_level]
    found = np.array([float(level.u_probability or 0) for level in reversed(levels)])
    # A level that no random pair reached is rare, not impossible.
    found = np.maximum(found, 0.5 / _RANDOM_PAIRS)
    return np.asarray(found / found.sum())


def _all_pairs(prepared: Prepared, *, linking: bool) -> float:
    count: int = prepared.table.num_rows
    if not linking:
        return max(1.0, count * (count - 1) / 2)
    sizes: list[int] = [value["counts"] for value in prepared.table.column("source").value_counts().to_pylist()]
    return max(1.0, (count**2 - sum(size**2 for size in sizes)) / 2)
