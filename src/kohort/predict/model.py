"""A trained model: the columns it reads, what it learned, its curve of probabilities; and its file, without pickle.

The file: one line `KOHORT-MODEL 1 <sha-256 of the rest>`, then an npz archive of plain arrays whose entry `meta` is JSON
text. The checksum finds accidents; everything read is checked again, since a hostile file can carry a right one.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from kohort.errors import Damaged
from kohort.predict.calibrate import Calibration, Curve
from kohort.predict.encode import FAR, LEAST_SPREAD, Column, Encoder, Kind
from kohort.predict.families import Family, Learned
from kohort.predict.trees import Forest, sound

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"KOHORT-MODEL 1 "
MOST_BYTES = 64_000_000
MOST_COLUMNS = 50_000
LARGEST_WEIGHT = 1e6
"""No trained model comes near; a forged one could make sums that are no numbers any more."""

CHUNK_ROWS = 65_536
_HINT = "Train the model again."
_NODES = ("start", "feature", "threshold", "missing_left", "left", "right", "value")


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
        meta = {
            "columns": self.encoder.as_dict(),
            "family": self.learned.family,
            "calibration": asdict(self.calibration),
            "about": self.about,
            "ladder": self.ladder,
            "base": self.learned.forest.base if self.learned.forest else 0.0,
        }
        arrays: dict[str, np.ndarray] = {}
        if self.learned.weights is not None:
            arrays["weights"] = self.learned.weights
        if self.learned.forest is not None:
            arrays |= {name: getattr(self.learned.forest, name) for name in _NODES}
        text = np.frombuffer(json.dumps(meta, allow_nan=False, sort_keys=True).encode(), dtype=np.uint8)
        body = _archive({"meta": text, **arrays})
        return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _archive(arrays: dict[str, np.ndarray]) -> bytes:
    """An npz archive whose bytes depend on the arrays alone, not on the time of day."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(arrays.items()):
            one = io.BytesIO()
            np.lib.format.write_array(one, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), one.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def model_from_bytes(data: bytes) -> Model:
    """The inverse of `Model.to_bytes`.

    Raises:
        Damaged: The bytes are not what `to_bytes` writes, whatever they are.
    """
    head, newline, body = data.partition(b"\n")
    if not newline or not head.startswith(MAGIC):
        raise Damaged("This is no file of a model of this version of Kohort.", hint=_HINT)
    if hashlib.sha256(body).hexdigest().encode() != head[len(MAGIC) :]:
        raise Damaged("The file of the model was changed or cut: its checksum is wrong.", hint=_HINT)
    try:
        model = _parse(body)
        fits = _fits(model)
    except Exception as error:  # numpy and zipfile raise many kinds for hostile bytes; all of them mean one thing
        raise Damaged("The file of the model cannot be read.", hint=_HINT) from error
    if not fits:
        raise Damaged("The file of the model does not fit together.", hint=_HINT)
    return model


def _parse(body: bytes) -> Model:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise ValueError("too large")
    with np.load(io.BytesIO(body), allow_pickle=False, max_header_size=10_000) as archive:
        arrays: dict[str, np.ndarray] = {name: archive[name] for name in archive.files}
    meta: dict[str, Any] = json.loads(arrays.pop("meta").tobytes().decode())
    columns = tuple(Column(**{**c, "knots": tuple(c["knots"])}) for c in meta["columns"])
    curve = meta["calibration"]
    calibration = Calibration(**{**curve, "x": tuple(curve["x"]), "y": tuple(curve["y"])})
    weights = arrays.pop("weights", None)
    forest = Forest(**{n: arrays.pop(n) for n in _NODES}, base=float(meta["base"])) if arrays else None
    if arrays:
        raise ValueError("unknown arrays")
    return Model(
        Encoder(columns), Learned(meta["family"], weights, forest), calibration, meta["about"], tuple(meta["ladder"])
    )


def _fits(m: Model) -> bool:
    columns, learned = m.encoder.columns, m.learned
    whole = len(columns) <= MOST_COLUMNS and all(_fits_column(c) for c in columns)
    whole = whole and learned.family in get_args(Family) and isinstance(m.about, dict) and _fits_curve(m.calibration)
    whole = whole and len(m.ladder) > 1 and _rising(m.ladder) and m.ladder[0] >= 0 and m.ladder[-1] <= 1
    if not whole:
        return False
    if learned.family == "logistic":
        w = learned.weights
        return w is not None and learned.forest is None and w.shape == (m.encoder.width + 1,) and _numbers(w)
    if learned.weights is not None or learned.forest is None or not sound(learned.forest, len(columns)):
        return False
    return _numbers(learned.forest.value) and abs(learned.forest.base) <= LARGEST_WEIGHT


def _fits_column(c: Column) -> bool:
    numbers = (c.scale, c.middle, c.spread, c.typical, *c.knots)
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in numbers)
    texts = isinstance(c.feature, str) and isinstance(c.level, str) and isinstance(c.absent, bool)
    plain = plain and texts and c.kind in get_args(Kind) and c.spread >= LEAST_SPREAD and c.scale >= 0
    plain = plain and (c.scale == 0 or c.scale >= LEAST_SPREAD) and all(abs(v) <= FAR for v in numbers)
    return plain and not (c.kind == "level" and (c.absent or c.knots))


def _fits_curve(c: Calibration) -> bool:
    plain = all(isinstance(v, int | float) and abs(v) <= LARGEST_WEIGHT for v in (c.slope, c.offset, *c.x, *c.y))
    if not plain or c.kind not in get_args(Curve) or len(c.x) != len(c.y):
        return False
    if c.kind != "steps":
        return c.slope > 0
    return len(c.x) > 0 and _rising(c.x) and _rising(c.y) and c.y[0] >= 0 and c.y[-1] <= 1


def _rising(x: tuple[float, ...]) -> bool:
    return bool((np.diff(np.array(x, float)) >= 0).all()) and all(np.isfinite(v) for v in x)


def _numbers(x: np.ndarray) -> bool:
    return x.dtype.kind in "if" and bool((np.abs(x) <= LARGEST_WEIGHT).all())
