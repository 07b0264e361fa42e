"""How a model that is there already does on rows with outcomes that it has not learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.errors import NotEnough
from kohort.predict.measures import Scored, all_figures, as_dict, bins
from kohort.predict.model import Model

if TYPE_CHECKING:
    import pyarrow as pa

LEAST = 10


def judge(model: Model, data: pa.Table, y: np.ndarray) -> dict[str, Any]:
    """Figures of a model on a table with outcomes, with the threshold it was trained with.

    Args:
        data: The features it was trained with.
        y: 0 or 1 per row, NaN = unknown.

    Raises:
        NotEnough: Fewer than ten rows of either outcome.
    """
    import pyarrow as pa

    known = ~np.isnan(y)
    positives = int(y[known].sum())
    if min(positives, int(known.sum()) - positives) < LEAST:
        raise NotEnough(
            f"There are {positives:,} rows with the outcome among {int(known.sum()):,}: too few to judge by."
        )
    scored = Scored(model.probability(data.filter(pa.array(known))), y[known])
    threshold = float(model.about["report"]["threshold"]["value"])
    metrics = as_dict(scored.estimates(all_figures(threshold)))
    before = model.about["report"]["metrics"]
    high = metrics["roc_auc"]["high"]
    return {
        "rows": int(known.sum()),
        "positives": positives,
        "metrics": metrics,
        "at_training": before,
        "worse": bool(high is not None and high < before["roc_auc"]["low"]),
        "threshold": threshold,
        "calibration": [{"said": s, "happened": h, "rows": int(w)} for s, h, w in bins(scored.tally())],
    }
