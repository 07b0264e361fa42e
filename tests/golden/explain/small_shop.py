"""The small shop behind the golden explanation: 240 customers in `small_shop.csv`, their groups in its last column.

Run this file to write `small_shop.json` again after words were changed on purpose, and read the difference.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kohort.discovery.discover import describe, read_table
from kohort.discovery.grouping import Grouping
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Structure

HERE = Path(__file__).parent


def explained() -> dict[str, Any]:
    """The words and figures of the small shop's segmentation, without its map."""
    whole = read_table(HERE / "small_shop.csv")
    labels = whole.data["kind"].to_numpy().astype(np.int32)
    names = [f.name for f in whole.features if f.name != "kind"]
    chosen = whole.select(names)
    spend = chosen.data["spend"].to_numpy()
    table = FeatureTable(chosen.ids, chosen.data, chosen.features, None, spend, "GBP")
    numbers = [n for n in names if pa.types.is_floating(chosen.data[n].type)]
    points = np.column_stack([np.nan_to_num(chosen.data[n].to_numpy()) for n in numbers])
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    grouping = Grouping(
        algorithm="kmeans",
        k=4,
        labels=labels,
        confidence=np.full(len(labels), 0.8, np.float32),
        structure=Structure("spectrum", {}, "As found."),
        candidates=(),
        stability=(None,) * 4,
        features=(),
        sample=np.arange(len(labels)),
        prepared=points.astype(np.float32),
        used=tuple(numbers),
        assigner=None,  # type: ignore[arg-type]
        gate="insufficient",
    )
    found = describe(table, grouping).segmentation.as_dict()
    rounded: dict[str, Any] = json.loads(
        json.dumps({k: found[k] for k in ("segments", "warnings", "map_axes")}),
        parse_float=lambda x: round(float(x), 3),
    )
    return rounded


if __name__ == "__main__":
    (HERE / "small_shop.json").write_text(json.dumps(explained(), indent=1, ensure_ascii=False) + "\n")
