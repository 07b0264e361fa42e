"""A trained model: the columns it reads, what it learned, its curve of probabilities; and its file (`model_file`)."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from kohort.predict.calibrate import Calibration, Curve
from kohort.predict.encode import Encoder
from kohort.predict.families import Learned
from kohort.predict.model_file import (
    LARGEST_WEIGHT,
    Arrays,
    Meta,
    learned_fits,
    learned_of,
    learned_parts,
    pack,
    rising,
    unpack,
)

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"KOHORT-MODEL 1 "
CHUNK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Model:
    """What gives a probability to a customer.

    Attributes:
        encoder: How features become numbers.
        learned: The fitted model.
        calibration: From its log-odds to probabilities.
        about: JSON object: what it predicts, what it was learned from, how it was judged.
        ladder: Probabilities of the rows it was judged on at 0, 1, …, 100 %: what a percentile is told by.
    """

    encoder: Encoder
    learned: Learned
    calibration: Calibration
    about: dict[str, Any]
    ladder: tuple[float, ...]

    def probability(self, data: pa.Table) -> np.ndarray:
        """The probability of each row of a table, 0 to 1.

        Raises:
            WrongUsage: A feature it was trained with is not in the table, or is of another type.
        """
        p = np.empty(data.num_rows)
        for start in range(0, data.num_rows, CHUNK_ROWS):
            X = self.encoder.matrix(data.slice(start, CHUNK_ROWS))
            p[start : start + len(X)] = self.of_matrix(X)
        return p

    def of_matrix(self, X: np.ndarray) -> np.ndarray:
        """The same of rows of the encoder's matrix."""
        return self.calibration.probability(self.learned.log_odds(self.encoder, X))

    def percentile(self, p: np.ndarray | float) -> np.ndarray:
        """Which share of the rows it was judged on had a lower probability, 0 to 100."""
        return np.asarray(np.interp(p, self.ladder, np.linspace(0, 100, len(self.ladder))))

    @property
    def id(self) -> str:
        """Name of this version: a digest of its content."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:24]

    def to_bytes(self) -> bytes:
        """The whole model; `model_from_bytes` reads it back."""
        meta, arrays = learned_parts(self.encoder, self.learned)
        own = {"calibration": asdict(self.calibration), "about": self.about, "ladder": self.ladder}
        return pack(MAGIC, meta | own, arrays)


def model_from_bytes(data: bytes) -> Model:
    """The inverse of `Model.to_bytes`.

    Raises:
        Damaged: The bytes are not what `to_bytes` writes, whatever they are.
    """
    return unpack(MAGIC, data, _build, _fits)


def _build(meta: Meta, arrays: Arrays) -> Model:
    encoder, learned = learned_of(meta, arrays)
    curve = meta["calibration"]
    calibration = Calibration(**{**curve, "x": tuple(curve["x"]), "y": tuple(curve["y"])})
    return Model(encoder, learned, calibration, meta["about"], tuple(meta["ladder"]))


def _fits(m: Model) -> bool:
    whole = isinstance(m.about, dict) and _fits_curve(m.calibration)
    whole = whole and len(m.ladder) > 1 and rising(m.ladder) and m.ladder[0] >= 0 and m.ladder[-1] <= 1
    return whole and m.learned.family != "poisson" and learned_fits(m.encoder, m.learned)


def _fits_curve(c: Calibration) -> bool:
    plain = all(isinstance(v, int | float) and abs(v) <= LARGEST_WEIGHT for v in (c.slope, c.offset, *c.x, *c.y))
    if not plain or c.kind not in get_args(Curve) or len(c.x) != len(c.y):
        return False
    if c.kind != "steps":
        return c.slope > 0
    return len(c.x) > 0 and rising(c.x) and rising(c.y) and c.y[0] >= 0 and c.y[-1] <= 1
