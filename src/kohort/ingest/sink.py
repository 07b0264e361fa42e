"""What ingest needs of a store. `kohort.store.Store` has it; so has the small one of the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from kohort.model.event import ColumnType
from kohort.model.source import BatchReport, RejectedRow

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


class Appended(Protocol):
    """Rows stored, rows known already, and rows whose id is stored with another content."""

    @property
    def stored(self) -> int: ...
    @property
    def duplicate(self) -> int: ...
    @property
    def conflicts(self) -> pa.Table: ...


class LogSink(Protocol):
    def declare(self, columns: dict[str, ColumnType]) -> None: ...
    def append(self, table: pa.Table, *, batch: int) -> Appended: ...


class VaultSink(Protocol):
    def customers(self, refs: Sequence[str]) -> np.ndarray: ...
    def seal(self, keys: np.ndarray, kind: str, values: Sequence[str]) -> None: ...


class StateSink(Protocol):
    def begin_batch(self, source: str, file: str) -> int: ...
    def finish_batch(self, report: BatchReport) -> None: ...
    def add_rejected(self, rows: Iterable[RejectedRow], batch: int) -> None: ...


class StoreSink(Protocol):
    @property
    def log(self) -> LogSink: ...
    @property
    def vault(self) -> VaultSink: ...
    @property
    def state(self) -> StateSink: ...
    def write_lock(self) -> AbstractContextManager[object]: ...
