"""A store that lives in memory: to see what a file would become without touching a workspace (dry runs, tests)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.errors import WrongUsage
from kohort.model.event import ColumnType
from kohort.model.source import BatchReport, RejectedRow

if TYPE_CHECKING:
    import pyarrow as pa

_CONTENT = ("ts", "event", "customer", "amount", "quantity")


@dataclass(frozen=True, slots=True)
class MemoryAppended:
    stored: int
    duplicate: int
    conflicts: pa.Table


@dataclass(slots=True)
class MemoryLog:
    """Events by id, in the order in which they came. `tables` holds what was stored, append by append."""

    tables: list[pa.Table] = field(default_factory=list)
    columns: dict[str, ColumnType] = field(default_factory=dict)
    _content: dict[str, tuple[object, ...]] = field(default_factory=dict)

    def declare(self, columns: dict[str, ColumnType]) -> None:
        for name, kind in columns.items():
            if self.columns.setdefault(name, kind) != kind:
                raise WrongUsage(f"Column {name!r} already holds {self.columns[name]} and cannot hold {kind}.")

    def append(self, table: pa.Table, *, batch: int) -> MemoryAppended:
        columns = [table.column(n).to_pylist() if n in table.column_names else [None] * len(table) for n in _CONTENT]
        fresh, conflicts = [], []
        rows = zip(table.column("event_id").to_pylist(), zip(*columns, strict=True), strict=True)
        for row, (event_id, content) in enumerate(rows):
            known = self._content.setdefault(event_id, content)
            if known is content:
                fresh.append(row)
            elif known != content:
                conflicts.append(row)
        if fresh:
            self.tables.append(table.take(fresh))
        return MemoryAppended(
            len(fresh), len(table) - len(fresh) - len(conflicts), table.take(np.array(conflicts, int))
        )

    def events(self) -> list[dict[str, object]]:
        """Everything stored, as rows."""
        return [row for table in self.tables for row in table.to_pylist()]


@dataclass(slots=True)
class MemoryVault:
    """Pseudonyms by company number and by anonymous id, what was sealed: (pseudonym, kind, value), and erased ids."""

    keys: dict[str, int] = field(default_factory=dict)
    sealed: set[tuple[int, str, str]] = field(default_factory=set)
    anonymous: dict[str, int] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)

    def customers(self, refs: Sequence[str]) -> np.ndarray:
        return np.array([self.keys.setdefault(r, secrets.randbits(63)) for r in refs], dtype=np.int64)

    def visitors(self, anonymous_ids: Sequence[str]) -> np.ndarray:
        return np.array([self.anonymous.setdefault(a, -secrets.randbits(63)) for a in anonymous_ids], dtype=np.int64)

    def erased_refs(self, refs: Sequence[str]) -> np.ndarray:
        return np.array([ref in self.erased for ref in refs], dtype=bool)

    def erased_visitors(self, anonymous_ids: Sequence[str]) -> np.ndarray:
        return self.erased_refs(anonymous_ids)

    def seal(self, keys: np.ndarray | Sequence[int], kind: str, values: Sequence[str]) -> None:
        self.sealed |= {(int(key), kind, value) for key, value in zip(keys, values, strict=True)}

    def bot_ids(self, keys: Sequence[int]) -> list[str]:
        return [f"bot{int(key)}" for key in keys]

    def refs(self, keys: np.ndarray) -> list[str | None]:
        back = {key: ref for ref, key in self.keys.items()}
        return [back.get(int(k)) for k in keys]


@dataclass(slots=True)
class MemoryState:
    """Batches and rejected rows."""

    reports: list[BatchReport] = field(default_factory=list)
    waiting: dict[int, RejectedRow] = field(default_factory=dict)
    begun: int = 0
    added: int = 0
    bookmarks: dict[str, Any] = field(default_factory=dict)

    def begin_batch(self, source: str, file: str) -> int:
        self.begun += 1
        return self.begun

    def finish_batch(self, report: BatchReport) -> None:
        self.reports.append(report)

    def add_rejected(self, rows: Iterable[RejectedRow], batch: int) -> int:
        listed = list(rows)
        for row in listed:
            self.added += 1
            self.waiting[self.added] = replace(row, id=self.added)
        return len(listed)

    def rejected(self, source: str | None = None, *, limit: int = 100) -> list[RejectedRow]:
        return [row for row in self.waiting.values() if source in (None, row.source)][:limit]

    def mark_retried(self, ids: Sequence[int]) -> int:
        return sum(self.waiting.pop(i, None) is not None for i in ids)

    def bookmark(self, name: str) -> Any:
        return self.bookmarks.get(name)

    def set_bookmark(self, name: str, value: Any) -> None:
        self.bookmarks[name] = value


@dataclass(slots=True)
class MemoryStore:
    """All of it. Nothing here is sealed or safe from other threads; nothing outlives the process."""

    log: MemoryLog = field(default_factory=MemoryLog)
    vault: MemoryVault = field(default_factory=MemoryVault)
    state: MemoryState = field(default_factory=MemoryState)

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        yield
