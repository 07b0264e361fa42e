"""What files of models have in common: arrays and JSON with a checksum, never pickle, and checked part by part when read.

One line `MAGIC <sha-256 of the rest>`, then an npz archive of plain arrays whose entry `meta` is JSON text. The checksum finds
accidents; everything read is checked again, since a hostile file can carry a right one.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import numpy as np

from kohort.errors import Damaged
from kohort.predict.encode import FAR, LEAST_SPREAD, Column, Encoder, Kind
from kohort.predict.families import Family, Learned
from kohort.predict.recurrent.gru import SHAPES
from kohort.predict.recurrent.network import PACE, Recurrent
from kohort.predict.trees import Forest, sound

MOST_BYTES = 64_000_000
MOST_COLUMNS = 50_000
LARGEST_WEIGHT = 1e6
"""No trained model comes near; a forged one could make sums that are no numbers any more."""

_HINT = "Train the model again."
_NODES = ("start", "feature", "threshold", "missing_left", "left", "right", "value")
_GRU = "gru_"
_LINEAR = ("logistic", "poisson")

T = TypeVar("T")
Meta = dict[str, Any]
Arrays = dict[str, np.ndarray]


def pack(magic: bytes, meta: Meta, arrays: Arrays) -> bytes:
    """The bytes of a file. They depend on what is in it alone, not on the time of day."""
    text = np.frombuffer(json.dumps(meta, allow_nan=False, sort_keys=True).encode(), dtype=np.uint8)
    body = _archive({"meta": text, **arrays})
    return magic + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unpack(magic: bytes, data: bytes, build: Callable[[Meta, Arrays], T], fits: Callable[[T], bool]) -> T:
    """The inverse of `pack`.

    Args:
        magic: What such a file begins with.
        data: The file.
        build: Makes the model; takes out of the arrays what it uses, and nothing may be left.
        fits: Whether everything in it is as a trained model has it.

    Raises:
        Damaged: The bytes are not what `pack` writes, whatever they are.
    """
    head, newline, body = data.partition(b"\n")
    if not newline or not head.startswith(magic):
        raise Damaged("This is no file of a model of this version of Kohort.", hint=_HINT)
    if hashlib.sha256(body).hexdigest().encode() != head[len(magic) :]:
        raise Damaged("The file of the model was changed or cut: its checksum is wrong.", hint=_HINT)
    try:
        meta, arrays = _opened(body)
        model = build(meta, arrays)
        whole = not arrays and fits(model)
    except Exception as error:  # numpy and zipfile raise many kinds for hostile bytes; all of them mean one thing
        raise Damaged("The file of the model cannot be read.", hint=_HINT) from error
    if not whole:
        raise Damaged("The file of the model does not fit together.", hint=_HINT)
    return model


def learned_parts(encoder: Encoder, learned: Learned) -> tuple[Meta, Arrays]:
    """What `learned_of` makes them of again."""
    meta = {
        "columns": encoder.as_dict(),
        "family": learned.family,
        "base": learned.forest.base if learned.forest else 0.0,
    }
    arrays: Arrays = {} if learned.weights is None else {"weights": learned.weights}
    if learned.recurrent is not None:
        meta["epochs"] = learned.recurrent.epochs
        arrays |= {"usual": learned.recurrent.usual} | {_GRU + n: a for n, a in learned.recurrent.weights.items()}
    if learned.forest is not None:
        arrays |= {name: getattr(learned.forest, name) for name in _NODES}
    return meta, arrays


def learned_of(meta: Meta, arrays: Arrays) -> tuple[Encoder, Learned]:
    """The columns and what was learned over them; takes its arrays out."""
    columns = tuple(Column(**{**c, "knots": tuple(c["knots"])}) for c in meta["columns"])
    weights = arrays.pop("weights", None)
    forest = Forest(**{n: arrays.pop(n) for n in _NODES}, base=float(meta["base"])) if "start" in arrays else None
    return Encoder(columns), Learned(meta["family"], weights, forest, _recurrent_of(meta, arrays))


def _recurrent_of(meta: Meta, arrays: Arrays) -> Recurrent | None:
    if "usual" not in arrays:
        return None
    weights = {name: arrays.pop(_GRU + name) for name in SHAPES}
    epochs = meta["epochs"]
    if not isinstance(epochs, int) or not 0 <= epochs <= PACE.epochs:
        raise ValueError("no number of epochs")
    return Recurrent(weights, arrays.pop("usual"), epochs)


def learned_fits(encoder: Encoder, learned: Learned) -> bool:
    """Whether columns and what was learned over them belong together and are numbers."""
    columns = encoder.columns
    whole = len(columns) <= MOST_COLUMNS and all(_fits_column(c) for c in columns)
    if not whole or learned.family not in get_args(Family) or not _fits_weeks(encoder):
        return False
    if learned.family == "recurrent":
        r = learned.recurrent
        alone = learned.weights is None and learned.forest is None
        return alone and r is not None and r.fits(encoder) and all(map(_numbers, (r.usual, *r.weights.values())))
    if learned.recurrent is not None or encoder.channels:
        return False
    if learned.family in _LINEAR:
        w = learned.weights
        return w is not None and learned.forest is None and w.shape == (encoder.width + 1,) and _numbers(w)
    if learned.weights is not None or learned.forest is None or not sound(learned.forest, len(columns)):
        return False
    return _numbers(learned.forest.value) and abs(learned.forest.base) <= LARGEST_WEIGHT


def is_number(value: object, *, most: float = LARGEST_WEIGHT) -> bool:
    """Whether a value of a file is a plain number of a believable size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= most


def rising(x: tuple[float, ...]) -> bool:
    """Whether numbers never fall."""
    return bool((np.diff(np.array(x, float)) >= 0).all()) and all(np.isfinite(v) for v in x)


def _opened(body: bytes) -> tuple[Meta, Arrays]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise ValueError("too large")
    with np.load(io.BytesIO(body), allow_pickle=False, max_header_size=10_000) as loaded:
        arrays: Arrays = {name: loaded[name] for name in loaded.files}
    meta: Meta = json.loads(arrays.pop("meta").tobytes().decode())
    return meta, arrays


def _archive(arrays: Arrays) -> bytes:
    """An npz archive whose bytes depend on the arrays alone."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(arrays.items()):
            one = io.BytesIO()
            np.lib.format.write_array(one, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), one.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _fits_column(c: Column) -> bool:
    numbers = (c.scale, c.middle, c.spread, c.typical, *c.knots)
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in numbers)
    texts = isinstance(c.feature, str) and isinstance(c.level, str) and isinstance(c.absent, bool)
    plain = plain and texts and c.kind in get_args(Kind) and c.spread >= LEAST_SPREAD and c.scale >= 0
    plain = plain and (c.scale == 0 or c.scale >= LEAST_SPREAD) and all(abs(v) <= FAR for v in numbers)
    return plain and not (c.kind == "level" and (c.absent or c.knots))


def _fits_weeks(encoder: Encoder) -> bool:
    """Whether the columns of single weeks stand last, and are those of every channel in every week."""
    mine = [c for c in encoder.columns if c.kind == "week"]
    behind = list(encoder.columns[len(encoder.columns) - len(mine) :])
    words = list(encoder.channels) * encoder.weeks
    return mine == behind and [c.level for c in mine] == words and all(c.scale > 0 and not c.absent for c in mine)


def _numbers(x: np.ndarray) -> bool:
    return x.dtype.kind in "if" and bool((np.abs(x) <= LARGEST_WEIGHT).all())
