"""Puts customers of any later table into the groups that were found, and keeps that ability in a file without pickle.

The file: one line `KOHORT-GROUPS 1 <sha-256 of the rest>`, then an npz archive of plain arrays whose entry `meta` is
JSON text. The checksum finds accidents; everything read is checked again, since a hostile file can carry a right one.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from kohort.discovery.algorithms import Model
from kohort.discovery.grouping import Assigner
from kohort.discovery.partial import label_known, rows_alike
from kohort.discovery.prepare import Column, Kind, Preparation
from kohort.errors import Damaged
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Algorithm

MAGIC = b"KOHORT-GROUPS 1 "
CODED = b"KOHORT-CODED "
MOST_BYTES = 64_000_000
MOST_COLUMNS = 5_000
MOST_GROUPS = 1_000


@dataclass(frozen=True, slots=True)
class GroupAssigner:
    """How features are prepared, the groups, and the micro groups inside them if any.

    Attributes:
        micro: Centres of micro groups (m, d) in prepared space.
        micro_parent: Main group of each micro group.
    """

    preparation: Preparation
    model: Model
    micro: np.ndarray | None = None
    micro_parent: tuple[int, ...] = ()

    @property
    def k(self) -> int:
        return self.model.k

    def assign(self, table: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
        """Labels (int32, −1 = left out) and confidences (float32, 0 to 1), one per row, chunk by chunk.

        Customers of whom not everything is known are placed by what is.

        Raises:
            WrongUsage: A feature that the groups were found with is not in the table.
        """
        labels = np.zeros(len(table), np.int32)
        confidence = np.zeros(len(table), np.float32)
        for start, X, known in self.preparation.chunks(table.data):
            labels[start : start + len(X)], confidence[start : start + len(X)] = label_known(self.model, X, known)
        return labels, confidence

    def assign_micro(self, table: FeatureTable, labels: np.ndarray) -> np.ndarray:
        """int32 micro group of each row, always inside the row's main group; −1 where that is −1."""
        from kohort.discovery.micro import nested_labels

        out = np.full(len(table), -1, np.int32)
        if self.micro is None:
            return out
        for start, X, known in self.preparation.chunks(table.data):
            seen = np.ones(X.shape, bool) if known is None else known
            for columns, rows in rows_alike(seen):
                out[start + rows] = nested_labels(
                    X[np.ix_(rows, columns)], labels[start + rows], self.micro[:, columns], self.micro_parent
                )
        return out

    def to_bytes(self) -> bytes:
        """The whole assigner; `assigner_from_bytes` reads it back."""
        meta = {
            "preparation": self.preparation.as_dict(),
            "algorithm": self.model.algorithm,
            "k": self.model.k,
            "micro_parent": list(self.micro_parent),
        }
        arrays = {f"model_{name}": a for name, a in self.model.arrays.items()}
        if self.micro is not None:
            arrays["micro"] = self.micro
        text = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), dtype=np.uint8)
        out = io.BytesIO()
        np.savez_compressed(out, allow_pickle=False, meta=text, **arrays)
        body = out.getvalue()
        return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def assigner_from_bytes(data: bytes) -> Assigner:
    """The inverse of `to_bytes` of a `GroupAssigner`, or of one that finds groups on codes (`kohort.discovery.coded`).

    Raises:
        Damaged: The bytes are not what `to_bytes` writes, whatever they are.
    """
    if data.startswith(CODED):
        from kohort.discovery.coded import coded_from_bytes

        return coded_from_bytes(data)
    head, newline, body = data.partition(b"\n")
    if not newline or not head.startswith(MAGIC):
        raise Damaged("The file of groups does not start as it should.", hint="Find the groups again.")
    if hashlib.sha256(body).hexdigest().encode() != head[len(MAGIC) :]:
        raise Damaged("The file of groups was changed or cut: its checksum is wrong.", hint="Find the groups again.")
    try:
        assigner = _parse(body)
    except Exception as error:  # numpy and zipfile raise many kinds for hostile bytes; all of them mean one thing
        raise Damaged("The file of groups cannot be read.", hint="Find the groups again.") from error
    _check(assigner)
    return assigner


def arrays_of(body: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a file of groups, and what it says about them. Hostile bytes raise whatever numpy, zipfile or json raise.

    Raises:
        ValueError: Unpacked it would be larger than such a file can be.
    """
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_BYTES:
            raise ValueError("too large")
    with np.load(io.BytesIO(body), allow_pickle=False, max_header_size=10_000) as archive:
        arrays: dict[str, np.ndarray] = {name: archive[name] for name in archive.files}
    return arrays, json.loads(arrays.pop("meta").tobytes().decode())


def _parse(body: bytes) -> GroupAssigner:
    arrays, meta = arrays_of(body)
    columns = tuple(Column(**c) for c in meta["preparation"]["columns"])
    micro = arrays.pop("micro", None)
    parts = {name.removeprefix("model_"): a for name, a in arrays.items()}
    model = Model(meta["algorithm"], int(meta["k"]), parts)
    # Files from before customers could be partly known do not speak of it.
    partial = tuple(str(name) for name in meta["preparation"].get("partial", ()))
    return GroupAssigner(Preparation(columns, partial), model, micro, tuple(int(p) for p in meta["micro_parent"]))


def _shapes(algorithm: str, k: int, d: int, parts: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    axes = parts["axes"].shape[-1] if "axes" in parts and parts["axes"].ndim == 2 else 0
    many = len(parts["groups"]) if "groups" in parts and parts["groups"].ndim == 1 else 0
    match algorithm:
        case "kmeans" | "hierarchical":
            return {"centres": (k, d)}
        case "mixture":
            return {"means": (k, d), "whiten": (k, d, d), "offset": (k,)}
        case "hdbscan":
            return {"mean": (d,), "axes": (d, axes), "points": (many, axes), "groups": (many,), "reach": (k,)}
        case _:
            return {}


def _check(a: GroupAssigner) -> None:
    d, k = len(a.preparation.columns), a.model.k
    sound = a.model.algorithm in get_args(Algorithm) and 1 <= k <= MOST_GROUPS and d <= MOST_COLUMNS
    sound = sound and (d > 0 or a.model.algorithm == "tiers")
    sound = sound and sound_preparation(a.preparation)
    if sound:
        shapes = _shapes(a.model.algorithm, k, d, a.model.arrays)
        sound = shapes.keys() == a.model.arrays.keys() and all(
            a.model.arrays[n].shape == s and _sound_numbers(a.model.arrays[n]) for n, s in shapes.items()
        )
    if sound and a.model.algorithm == "hdbscan":
        groups = a.model.arrays["groups"]
        sound = groups.dtype.kind == "i" and np.array_equal(np.unique(groups), np.arange(k))
        sound = bool(sound and (a.model.arrays["reach"] > 0).all())
    if sound and a.micro is not None:
        sound = a.micro.shape == (len(a.micro_parent), d) and _sound_numbers(a.micro)
        sound = sound and all(0 <= p < k for p in a.micro_parent)
    elif sound:
        sound = not a.micro_parent
    if not sound:
        raise Damaged("The file of groups does not fit together.", hint="Find the groups again.")


def sound_preparation(p: Preparation) -> bool:
    """Whether every column of a file is one that can be prepared."""
    return all(_sound_column(c) for c in p.columns) and set(p.partial) <= set(p.used)


def _sound_numbers(x: np.ndarray) -> bool:
    return x.dtype.kind in "if" and bool(np.isfinite(x).all())


def _sound_column(c: Column) -> bool:
    numbers = (c.shift, c.scale, c.centre, c.spread)
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in numbers)
    texts = isinstance(c.feature, str) and isinstance(c.level, str)
    return plain and texts and c.kind in get_args(Kind) and c.spread > 0


def with_micro(a: GroupAssigner, centres: np.ndarray, parent: tuple[int, ...]) -> GroupAssigner:
    """The same groups with micro groups inside."""
    return replace(a, micro=centres, micro_parent=parent)
