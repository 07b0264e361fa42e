"""A value model as it is kept: what scores buyers at a moment, and its file, without pickle (`kohort.predict.model_file`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.errors import WrongUsage
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Estimate
from kohort.predict.buying.bgnbd import BGNBD
from kohort.predict.buying.gamma_gamma import GammaGamma
from kohort.predict.buying.model import BuyingModel
from kohort.predict.buying.pareto_nbd import ParetoNBD
from kohort.predict.buying.summary import Summary
from kohort.predict.buying.value import CustomerValue
from kohort.predict.lifetime.learned import Amounts, Band
from kohort.predict.model_file import (
    Arrays,
    Meta,
    is_number,
    learned_fits,
    learned_of,
    learned_parts,
    pack,
    rising,
    unpack,
)

MAGIC = b"KOHORT-LIFETIME 1 "
MODELS: dict[str, type[BuyingModel]] = {"BGNBD": BGNBD, "ParetoNBD": ParetoNBD}
"""The simplest first."""

DRAWS = 400
"""Simulated futures per customer for an interval: its ends are then known to a tenth of its width."""

MOST_AMOUNT = 1e15

_SAID = ("model", "chosen", "horizon", "currency")
"""What is told with every score."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What is expected of each customer, in the order asked, and of all together.

    Attributes:
        columns: `purchases`, `purchases_low`, `purchases_high` and, where amounts are known, `value`, `value_low`,
            `value_high`: 95 % of such customers lie between low and high if the model is right.
        purchases: Of all.
        value: Of all; None where no amounts are known.
    """

    columns: Mapping[str, np.ndarray]
    purchases: Estimate
    value: Estimate | None


@dataclass(frozen=True, slots=True)
class LifetimeModel:
    """What expects purchases and revenue within one horizon.

    Attributes:
        purchases: The better of the probability models.
        spend: What one purchase is worth; None where amounts are not known.
        learned: The learned model, where that is the better one; None = the probability models are taken.
        bands: Of a learned model: what came to customers of whom as much was expected, see `learned.bands`.
        weeks: The horizon.
        off: Of a learned model: how far its total was off on the holdout, as a share, from and to.
        about: JSON object: what it was fitted on, how it was judged.
    """

    purchases: BuyingModel
    spend: GammaGamma | None
    learned: Amounts | None
    bands: tuple[Band, ...]
    weeks: float
    off: tuple[float, float]
    about: dict[str, Any]

    @property
    def goal(self) -> str:
        """What the choice was made for: value, or purchases where no amounts are known."""
        return "purchases" if self.spend is None else "value"

    def score(self, summary: Summary, table: FeatureTable | None = None) -> Scores:
        """What to expect of buyers.

        Args:
            summary: Who bought by a moment, in weeks.
            table: The features it was trained with, in the order of the summary; only a learned model needs them.

        Raises:
            WrongUsage: A learned model was given no features, or other ones.
        """
        columns = {"purchases": self.purchases.expected_purchases(summary, self.weeks)}
        low, high = self.purchases.purchases_interval(summary, self.weeks, draws=DRAWS)
        columns |= {"purchases_low": low.astype(float), "purchases_high": high.astype(float)}
        total = self.purchases.expected_total(summary, self.weeks)
        value = None
        if self.spend is not None and self.learned is None:
            worth = CustomerValue.of(self.purchases, self.spend)
            columns["value"] = worth.expected_value(summary, self.weeks)
            columns["value_low"], columns["value_high"] = worth.value_interval(summary, self.weeks, draws=DRAWS)
            value = worth.expected_total(summary, self.weeks)
        if self.learned is not None:
            if table is None:
                raise WrongUsage("This model was learned from features, and there are none.")
            expected = self.learned.expected(table.data)
            columns[self.goal] = expected
            columns[f"{self.goal}_low"], columns[f"{self.goal}_high"] = between(self.bands, expected)
            found = self._total(expected)
            total, value = (total, found) if self.goal == "value" else (found, None)
        return Scores(columns, total, value)

    @property
    def id(self) -> str:
        """Name of this version: a digest of its content."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:24]

    def to_bytes(self) -> bytes:
        """The whole model; `lifetime_from_bytes` reads it back."""
        meta: Meta = {
            "model": type(self.purchases).__name__,
            "purchases": self.purchases.state(),
            "spend": None if self.spend is None else self.spend.state(),
            "learned": None,
            "bands": [[None if np.isinf(end) else end, low, high] for end, low, high in self.bands],
            "weeks": self.weeks,
            "off": self.off,
            "about": self.about,
        }
        arrays: Arrays = {}
        if self.learned is not None:
            parts, arrays = learned_parts(self.learned.encoder, self.learned.learned)
            meta["learned"] = parts | {"scale": self.learned.scale, "most": self.learned.most}
        return pack(MAGIC, meta, arrays)

    def _total(self, expected: np.ndarray) -> Estimate:
        """The total, off by as much as the total of the holdout was found to be off."""
        value, (under, over) = float(expected.sum()), self.off
        return Estimate(value, min(value / (1 + over), value), max(value / (1 + under), value))


def between(found: Sequence[Band], expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of each expected amount by its band (see `learned.bands`); the expected amount itself lies between."""
    ends, low, high = (np.array(part) for part in zip(*found, strict=True))
    band = np.minimum(np.searchsorted(ends, expected, side="left"), len(ends) - 1)
    return np.minimum(low[band], expected), np.maximum(high[band], expected)


def lifetime_from_bytes(data: bytes) -> LifetimeModel:
    """The inverse of `LifetimeModel.to_bytes`.

    Raises:
        Damaged: The bytes are not what `to_bytes` writes, whatever they are.
    """
    return unpack(MAGIC, data, _build, _fits)


def _build(meta: Meta, arrays: Arrays) -> LifetimeModel:
    learned = None
    if (told := meta["learned"]) is not None:
        learned = Amounts(*learned_of(told, arrays), float(told["scale"]), float(told["most"]))
    return LifetimeModel(
        MODELS[meta["model"]].of_state(meta["purchases"]),
        None if meta["spend"] is None else GammaGamma.of_state(meta["spend"]),
        learned,
        tuple(
            (float("inf") if end is None else float(end), float(low), float(high)) for end, low, high in meta["bands"]
        ),
        float(meta["weeks"]),
        (float(meta["off"][0]), float(meta["off"][1])),
        meta["about"],
    )


def _fits(m: LifetimeModel) -> bool:
    ends = tuple(end for end, _, _ in m.bands)
    whole = (
        isinstance(m.about, dict)
        and _says_what_it_is(m.about)
        and 0 < m.weeks < 10_000
        and all(-1 < v < 1e6 for v in m.off)
    )
    whole = whole and all(0 <= low <= high <= MOST_AMOUNT for _, low, high in m.bands)
    whole = whole and rising(ends[:-1]) and all(is_number(end, most=MOST_AMOUNT) for end in ends[:-1])
    if m.learned is None or not whole:
        return whole and not m.bands
    amounts = m.learned
    plain = 0 < amounts.scale <= MOST_AMOUNT and 1 <= amounts.most <= MOST_AMOUNT
    known = amounts.learned.family in ("poisson", "boosting")
    whole = plain and known and bool(ends) and bool(np.isinf(ends[-1]))
    return whole and learned_fits(amounts.encoder, amounts.learned)


def _says_what_it_is(about: dict[str, Any]) -> bool:
    """Whether there is what is told with scores, and the features, where it names some, can be looked at."""
    report = about.get("report")
    told = isinstance(report, dict) and all(isinstance(report.get(name), str) for name in _SAID)
    return told and isinstance(about.get("definitions", {}), dict)
