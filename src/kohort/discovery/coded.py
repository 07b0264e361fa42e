"""Groups found on codes in place of features, and the assigner that gives later customers theirs."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kohort.discovery.assign import MOST_COLUMNS, GroupAssigner, arrays_of, assigner_from_bytes
from kohort.discovery.evidence import with_relevance
from kohort.discovery.group import group
from kohort.discovery.grouping import Grouping
from kohort.discovery.prepare import LOOK_ROWS, Column, Preparation, fit_preparation
from kohort.discovery.representation import BENT, Kind, Representation, compare
from kohort.errors import Damaged, NotEnough
from kohort.model.columns import row_sample
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.progress import Progress, silent

MAGIC = b"KOHORT-CODED 1 "
MOST_CODES = 100
LARGEST = 1e6
_HINT = "Find the groups again."


@dataclass(frozen=True, slots=True)
class CodedAssigner:
    """Prepared features, their codes, and the groups of these."""

    preparation: Preparation
    representation: Representation
    inner: GroupAssigner

    @property
    def k(self) -> int:
        return self.inner.k

    def codes(self, table: FeatureTable) -> FeatureTable:
        """The same customers with codes for features; what is unknown of somebody counts as what is usual.

        Raises:
            WrongUsage: A feature that the groups were found with is not in the table.
        """
        import pyarrow as pa

        parts = [self.representation.encode(X) for _, X, _ in self.preparation.chunks(table.data)]
        width = self.representation.axes.shape[1]
        found = np.vstack(parts) if parts else np.zeros((0, width))
        names = [f"code_{n + 1}" for n in range(width)]
        data = pa.table({name: np.ascontiguousarray(found[:, n]) for n, name in enumerate(names)})
        infos = tuple(FeatureInfo(name, f"Code {n + 1}") for n, name in enumerate(names))
        return replace(table, data=data, features=infos)

    def assign(self, table: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
        """As `GroupAssigner.assign`."""
        return self.inner.assign(self.codes(table))

    def assign_micro(self, table: FeatureTable, labels: np.ndarray) -> np.ndarray:
        """As `GroupAssigner.assign_micro`."""
        return self.inner.assign_micro(self.codes(table), labels)

    def to_bytes(self) -> bytes:
        """The whole assigner; `kohort.discovery.assign.assigner_from_bytes` reads it back."""
        r = self.representation
        meta = {"preparation": self.preparation.as_dict(), "epochs": r.epochs}
        text = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), np.uint8)
        arrays = {"mean": r.mean, "axes": r.axes, **{f"bent_{n}": a for n, a in (r.bent or {}).items()}}
        out = io.BytesIO()
        inner = np.frombuffer(self.inner.to_bytes(), np.uint8)
        np.savez_compressed(out, allow_pickle=False, meta=text, inner=inner, **arrays)
        body = out.getvalue()
        return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def group_codes(
    table: FeatureTable,
    kind: Kind,
    *,
    algorithm: str = "auto",
    k: int | None = None,
    micro: bool = False,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = silent,
) -> tuple[Grouping, dict[str, Any]]:
    """As `group`, on codes of the prepared features; and what `compare` told.

    Everything that is said of features afterwards is said of the features themselves.

    Raises:
        NotEnough: Fewer than three prepared columns, or what `group` raises.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    preparation, uses = fit_preparation(table, seed=seed)
    if len(preparation.columns) < 3:
        raise NotEnough(
            "There are too few features for fewer codes to stand for them.", hint="Leave --representation out."
        )
    rows = row_sample(table.data, LOOK_ROWS, seed=seed)
    with threadpool_limits(limits=threads):
        compared = compare(preparation.matrix(table.data.take(rows)), kind, seed=seed)
    coder = CodedAssigner(preparation, compared.taken, _NOBODY)
    found = group(
        coder.codes(table), algorithm=algorithm, k=k, micro=micro, seed=seed, threads=threads, progress=progress
    )
    assert isinstance(found.assigner, GroupAssigner)
    X = preparation.matrix(table.data.take(found.sample))
    labels = found.labels[found.sample]
    grouping = replace(
        found,
        prepared=X,
        used=preparation.used,
        features=with_relevance(uses, preparation, X, labels) if found.k > 1 else uses,
        assigner=replace(coder, inner=found.assigner),
        warnings=(*found.warnings, str(compared.told["text"])),
    )
    return grouping, compared.told


def coded_from_bytes(data: bytes) -> CodedAssigner:
    """The inverse of `CodedAssigner.to_bytes`.

    Raises:
        Damaged: The bytes are not what `to_bytes` writes, whatever they are.
    """
    head, newline, body = data.partition(b"\n")
    if not newline or not head.startswith(MAGIC):
        raise Damaged("The file of groups does not start as it should.", hint=_HINT)
    if hashlib.sha256(body).hexdigest().encode() != head[len(MAGIC) :]:
        raise Damaged("The file of groups was changed or cut: its checksum is wrong.", hint=_HINT)
    try:
        found = _parse(body)
        whole = _fits(found)
    except Exception as error:  # numpy and zipfile raise many kinds for hostile bytes; all of them mean one thing
        raise Damaged("The file of groups cannot be read.", hint=_HINT) from error
    if not whole:
        raise Damaged("The file of groups does not fit together.", hint=_HINT)
    return found


def _parse(body: bytes) -> CodedAssigner:
    arrays, meta = arrays_of(body)
    columns = tuple(Column(**c) for c in meta["preparation"]["columns"])
    preparation = Preparation(columns, tuple(str(n) for n in meta["preparation"]["partial"]))
    inner = arrays.pop("inner").tobytes()
    if inner.startswith(MAGIC):
        raise ValueError("codes of codes")
    mean, axes = arrays.pop("mean"), arrays.pop("axes")
    bent = {n: arrays.pop(f"bent_{n}") for n in BENT} if arrays else None
    if arrays:
        raise ValueError("more than there should be")
    groups = assigner_from_bytes(inner)
    assert isinstance(groups, GroupAssigner)
    return CodedAssigner(preparation, Representation(mean, axes, bent, int(meta["epochs"])), groups)


def _fits(a: CodedAssigner) -> bool:
    from kohort.discovery.assign import sound_preparation

    r, d = a.representation, len(a.preparation.columns)
    if not sound_preparation(a.preparation) or not 0 < d <= MOST_COLUMNS or r.mean.shape != (d,) or r.axes.ndim != 2:
        return False
    codes = r.axes.shape[1]
    if r.axes.shape[0] != d or not 0 < codes <= MOST_CODES or not 0 <= r.epochs <= 10_000:
        return False
    if not set(a.inner.preparation.used) <= {f"code_{n + 1}" for n in range(codes)}:
        return False
    arrays = [r.mean, r.axes]
    if r.bent is not None:
        units = r.bent["a"].shape[0] if r.bent["a"].ndim == 1 else 0
        shapes = {
            "A": (d, units),
            "a": (units,),
            "B": (units, codes),
            "C": (codes, units),
            "c": (units,),
            "D": (units, d),
        }
        if not 0 < units <= 1_000 or any(r.bent[n].shape != shape for n, shape in shapes.items()):
            return False
        arrays += list(r.bent.values())
    return all(x.dtype.kind == "f" and bool((np.abs(x) <= LARGEST).all()) for x in arrays)


_NOBODY: Any = None
"""In place of the groups, until they are found."""
