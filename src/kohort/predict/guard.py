"""The leakage guard: what in a table knows the outcome in a way that no model will have when it is used.

Each finding has a code, the feature it is about, a sentence, and whether the feature is left out. Nothing is left out
silently, and `keep` brings a feature back.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.model.columns import row_hashes, values
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.predict.measures import Scored, roc_auc

TOO_GOOD = 0.97
"""AUC of one feature alone from which on it is taken for the outcome in disguise. Real single features stay under .9."""

LOOK_ROWS = 50_000
PARTS = 20
SETTLED_EXPECTED = 30.0
"""A value with no positive at all (or nothing else) is odd where chance would give as many."""

_IDENTIFIER = re.compile(
    r"(^|_)(id|ids|uuid|guid|key|nr|no|num|number|code|ref|token|index|row)($|_)|(id|num|nr|uuid)$"
)
_AFTERWARDS = re.compile(
    r"(^|_)(status|outcome|result|reason|duration|cancell?ed|cancell?ation|closed?|closing|churned|ended|end_date|"
    r"resolution|refund(ed)?|attrition|predict(ion|ed)?|probability|score|forecast|classifier|"
    r"reden|uitkomst|opzegging|grund|ergebnis|kuendigung|kundigung|aarsag|resultat|opsigelse|"
    r"after|afterwards|final)($|_)"
)


@dataclass(frozen=True, slots=True)
class Warned:
    """One finding.

    Attributes:
        code: too_good, identifier, known_afterwards, settles_it, made_up_rows, repeated_rows, …
        feature: Name of the feature; empty = it is about the table.
        text: One sentence for people.
        left_out: Whether the model does without the feature.
    """

    code: str
    feature: str
    text: str
    left_out: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "feature": self.feature, "text": self.text, "left_out": self.left_out}


def look(
    table: FeatureTable,
    y: np.ndarray,
    groups: np.ndarray,
    *,
    keep: Collection[str] = (),
    as_of: Collection[str] = (),
) -> list[Warned]:
    """Everything suspicious about the features of a table.

    Args:
        table: Features; rows whose outcome is unknown are not in it.
        y: 0 or 1 per row.
        groups: Whole number per row: customers.
        keep: Names of features that stay whatever is found.
        as_of: Names of features that were computed from events up to a moment: they cannot know what came later, however
            much they tell.
    """
    found: list[Warned] = []
    for info in table.features:
        found += _feature(info, table.data[info.name], y, groups, stays=info.name in keep, past=info.name in as_of)
    return [*found, *_rows(table, y)]


def same_rows(table: FeatureTable, y: np.ndarray) -> np.ndarray:
    """A number per row, the same for rows that are copies of each other, outcome included."""
    h = row_hashes(table.data)
    with np.errstate(over="ignore"):
        h = h * np.uint64(2) + y.astype(np.uint64)
    return np.asarray(np.unique(h, return_inverse=True)[1])


def _feature(
    info: FeatureInfo, column: Any, y: np.ndarray, groups: np.ndarray, *, stays: bool, past: bool
) -> list[Warned]:
    name, label = info.name, info.label
    place, title = parts_of(info, column)
    if _identifies(info, column):
        text = f"“{label}” is another number for nearly every row: it says who it is, not how they behave."
        return [Warned("identifier", name, text, left_out=not stays)]
    if past:
        return []
    alone = _alone(place, y, groups)
    if alone >= TOO_GOOD:
        text = (
            f"“{label}” alone tells the outcome almost perfectly (AUC {alone:.3f}). That is too good to be true: it was "
            "probably written down after the outcome, or made from it."
        )
        return [Warned("too_good", name, text, left_out=not stays)]
    if settled := _settled(place, title, y):
        value, share, happens = settled
        text = (
            f"Where “{label}” is {value} ({share:.1%} of the rows), the outcome {'always' if happens else 'never'} happens. "
            "Check that it is known before the outcome, not because of it."
        )
        return [Warned("settles_it", name, text)]
    if _AFTERWARDS.search(_words(info)):
        text = f"“{label}” sounds like something known only afterwards. Leave it out if it is: --drop."
        return [Warned("known_afterwards", name, text)]
    return []


def _words(info: FeatureInfo) -> str:
    return info.name.casefold()


def _identifies(info: FeatureInfo, column: Any) -> bool:
    import pyarrow.compute as pc

    rows = len(column) - column.null_count
    if rows < 50 or info.type == "flag" or info.unit == "days":
        return False
    if pc.count_distinct(column, mode="only_valid").as_py() < 0.95 * rows:
        return False
    if info.type == "text":
        return True
    x = values(column)
    x = x[~np.isnan(x)]
    if not (x == np.round(x)).all():
        return False
    numbered = bool((np.diff(np.sort(x)) == 1).mean() > 0.9)
    return numbered or bool(_IDENTIFIER.search(_words(info)))


def parts_of(info: FeatureInfo, column: Any, parts: int = PARTS) -> tuple[np.ndarray, list[str]]:
    """The part of a feature each row is in, and what the parts are called: levels of a text, ranges of a number."""
    if info.type == "text":
        return _text_parts(column)
    x = values(column)
    seen = np.sort(x[~np.isnan(x)])
    kinds = np.unique(seen)
    if len(kinds) <= parts:
        edges = kinds
        titles = [f"{k:g}" for k in kinds]
        place = np.searchsorted(edges, np.nan_to_num(x))
    else:
        # A value that many rows share is a part by itself: zero refunds are another thing than small refunds.
        edges = np.unique(np.quantile(seen, np.linspace(0, 1, parts + 1)[1:-1], method="lower"))
        place = 2 * np.searchsorted(edges, np.nan_to_num(x), side="left")
        place += np.isin(np.nan_to_num(x), edges)
        titles = []
        for i in range(len(edges) + 1):
            low = f"above {edges[i - 1]:g}" if i else "below"
            titles += [f"{low} {'and below ' if i else ''}{edges[i]:g}" if i < len(edges) else low]
            titles += [f"{edges[i]:g}"] if i < len(edges) else []
    place = np.where(np.isnan(x), len(titles), place).astype(int)
    return place, [*titles, "missing"]


def _text_parts(column: Any) -> tuple[np.ndarray, list[str]]:
    import pyarrow as pa

    codes = column.combine_chunks().dictionary_encode()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.combine_chunks()
    titles = [f"“{v}”" for v in codes.dictionary.to_pylist()]
    place = codes.indices.fill_null(len(titles)).to_numpy(zero_copy_only=False).astype(int)
    return place, [*titles, "missing"]


def _alone(place: np.ndarray, y: np.ndarray, groups: np.ndarray) -> float:
    """AUC of the share of positives in a row's part, learned from the other half of the customers."""
    if len(y) > LOOK_ROWS:
        step = len(y) / LOOK_ROWS
        some = (np.arange(LOOK_ROWS) * step).astype(int)
        place, y, groups = place[some], y[some], groups[some]
    half = (groups * 2_654_435_761 >> 7) % 2
    score = np.empty(len(y))
    size = int(place.max()) + 1
    for this in (0, 1):
        there = half != this
        rate = y[there].mean() if there.any() else 0.5
        yes, every = np.bincount(place[there], y[there], size), np.bincount(place[there], minlength=size)
        score[half == this] = ((yes + 5 * rate) / (every + 5))[place[half == this]]
    return roc_auc(Scored(score, y).tally())


def _settled(place: np.ndarray, titles: list[str], y: np.ndarray) -> tuple[str, float, bool] | None:
    """The largest part where one outcome never happens though many were expected: (title, share, whether it happens)."""
    size = len(titles)
    every, yes = np.bincount(place, minlength=size), np.bincount(place, y, size)
    rate = y.mean()
    never = (yes == 0) & (every * rate >= SETTLED_EXPECTED)
    always = (yes == every) & (every * (1 - rate) >= SETTLED_EXPECTED)
    odd = np.flatnonzero(never | always)
    if not len(odd):
        return None
    part = int(odd[np.argmax(every[odd])])
    return titles[part], float(every[part] / len(y)), bool(always[part])


def _rows(table: FeatureTable, y: np.ndarray) -> list[Warned]:
    """What is odd about the rows: made-up ones, and copies on one side only."""
    found: list[Warned] = []
    mixed = [f.label for f in table.features if f.type == "number" and _mixed(values(table.data[f.name]), y)]
    if mixed:
        text = (
            f"“{mixed[0]}”{f' and {len(mixed) - 1} other columns' if len(mixed) > 1 else ''} hold whole numbers for one "
            "outcome and fractions for the other. Rows seem to have been made up to balance the outcomes (SMOTE) before the "
            "table was handed over: no figure measured on them means anything. Bring the table as it was before."
        )
        found.append(Warned("made_up_rows", "", text))
    codes = same_rows(table, y)
    counts = np.bincount(codes)[codes]
    copies = [float((counts[y == side] > 1).mean()) for side in (0, 1)]
    share = 1 - len(np.unique(codes)) / len(y)
    if max(copies) > 0.3 and min(copies) < max(copies) / 4 and share > 0.1:
        text = (
            f"{max(copies):.0%} of the rows of one outcome are copies of each other, {min(copies):.0%} of the other's: rows "
            "seem to have been repeated to balance the outcomes. Copies are kept together when the model is judged, but "
            "its probabilities are not those of your customers. Bring the table as it was before."
        )
        found.append(Warned("repeated_rows", "", text))
    elif share > 0.01:
        text = f"{share:.1%} of the rows are copies of another row; they are kept together when the model is judged."
        found.append(Warned("copied_rows", "", text))
    return found


def _mixed(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether one outcome has whole numbers only, and the other many fractions."""
    share = []
    for side in (0, 1):
        seen = x[(y == side) & ~np.isnan(x)]
        if len(seen) < 50:
            return False
        share.append(float((seen != np.round(seen)).mean()))
    return min(share) < 0.005 and max(share) > 0.1
