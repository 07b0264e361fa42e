"""`ws.activity`: what arrives, who enters and leaves, what could not be used and why, and how far behind memberships are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort import __version__
from kohort.definitions.triggers import is_hidden
from kohort.model.clock import HOUR_US, MINUTE_US, iso
from kohort.model.event import SCORE
from kohort.workspace.people import company_numbers, short_code
from kohort.workspace.rejected import reasons

if TYPE_CHECKING:
    from kohort.model.source import BatchReport
    from kohort.workspace.workspace import Workspace

MOST_MOVES = 50
_LOOKED_AT = 2_000
"""Transitions that are looked through for so many: those of parts of our own are passed over."""

MOST_KINDS = 12
MOST_REASONS = 20


class ActivityDoor:
    """What happens in a workspace right now."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def moves(self, most: int = MOST_MOVES) -> dict[str, Any]:
        """The latest entries and exits, the latest first.

        Returns:
            `{"last", "moves": [{"seq", "segment", "part", "change", "at", "customer_id", "code", "account",
            "visitor"}]}`; `last` is the number of the latest transition, shown or not. Of an account there is its name, and no customer.
        """
        members = self._ws.store.members
        last = members.last_transition()
        rows = members.transitions(after=max(0, last - _LOOKED_AT), limit=_LOOKED_AT).to_pylist()
        shown = [row for row in reversed(rows) if not is_hidden(row["name"])][:most]
        return {"last": last, "moves": self.told(shown)}

    def told(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Transitions as documents hold them, in the same order. See `moves`."""
        rows = list(rows)
        accounts = {d.name for d in self._ws.config.segments if d.kind == "accounts"}
        keys = sorted({int(row["customer"]) for row in rows if row["name"] not in accounts})
        numbers = dict(zip(keys, company_numbers(self._ws.store.vault, keys), strict=True))
        named = self._accounts([int(row["customer"]) for row in rows if row["name"] in accounts])
        return [
            {
                "seq": row["seq"],
                "segment": row["name"],
                "part": row["segment"],
                "change": row["change"],
                "at": iso(row["at"]),
                "customer_id": None if row["name"] in accounts else numbers[row["customer"]],
                "code": "" if row["name"] in accounts else short_code(row["customer"]),
                "account": named.get(row["customer"], "") if row["name"] in accounts else "",
                "visitor": row["customer"] < 0 and row["name"] not in accounts,
            }
            for row in rows
        ]

    def _accounts(self, keys: Sequence[int]) -> dict[int, str]:
        import numpy as np

        from kohort.segments.accounts import account_names

        if not keys:
            return {}
        names = account_names(self._ws.store, np.array(keys, np.int64))
        return {key: name or "" for key, name in zip(keys, names, strict=True)}

    def arrivals(self, hours: int = 1, *, now: int | None = None) -> dict[str, Any]:
        """What came in within the last hours. While a server keeps the workspace current the answer may be half a minute old,
        or a little more: it says since when.

        Args:
            now: Microseconds UTC; None = now, and then the answer is kept.

        Returns:
            `{"since", "events": [{"event", "count", "last"}], "total"}`.
        """
        if now is not None:
            return self._arrived(now - hours * HOUR_US)
        wall = time.time_ns() // 1_000
        # Where nothing comes in the hour moves on all the same.
        minute = "" if self._ws.store.kept_current() is not None else wall // MINUTE_US
        name = "arrivals" if hours == 1 else f"arrivals.{hours}"
        return dict(self._ws.kept.get(name, f"{__version__}|{minute}", lambda: self._arrived(wall - hours * HOUR_US)))

    def _arrived(self, since: int) -> dict[str, Any]:
        from kohort.engines.arrived import arrived

        found = arrived(self._ws.store.log.snapshot(), since)
        return {
            "since": iso(since),
            "events": [{**one, "last": iso(one["last"])} for one in found[:MOST_KINDS]],
            "total": sum(one["count"] for one in found),
        }

    def sources(self) -> list[dict[str, Any]]:
        """Each source with what became of its last batch: of a stream that is the day so far.

        Returns:
            `[{"source", "live", "started_at", "read", "stored", "duplicate", "rejected", "reasons"}]`, the latest first. `reasons`:
            code → rows.
        """
        store = self._ws.store
        reports: dict[str, BatchReport] = {}
        begun: dict[str, str] = {}
        for report, at in store.state.batches_begun():
            if report.source != SCORE:  # what we said of customers ourselves
                reports[report.source], begun[report.source] = report, iso(at)
        live = self.today()
        lines = [_source(r, begun.get(name), live=False) for name, r in reports.items() if name not in live]
        lines.sort(key=lambda line: str(line["started_at"]), reverse=True)
        return [*live.values(), *lines]

    def today(self) -> dict[str, dict[str, Any]]:
        """The lines of `sources` that a server keeps: what became of today's events. Cheap, so it can be asked every second."""
        if self._ws.store.kept_current() is None:
            return {}
        return {r.source: _source(r, None, live=True) for r in self._ws.store.ticks.position().batches.values()}

    def rejected(self) -> list[dict[str, Any]]:
        """Why rows could not be used, those that are kept and were not tried again. See `kohort.workspace.rejected.reasons`."""
        return reasons(self._ws, MOST_REASONS)

    def current(self) -> dict[str, Any]:
        """How current memberships are: `{"kept", "as_of", "waiting"}`.

        `kept`: a server keeps them so; else `as_of` is the latest run's. `waiting`: events that came in and have had no effect yet.
        """
        from kohort.workspace.live import events_waiting

        live = self._ws.store.kept_current()
        statuses = self._ws.store.status.all()
        runs = [s.as_of for name, s in statuses.items() if s.as_of is not None and not is_hidden(name)]
        as_of = live if live is not None else max(runs, default=None)
        return {
            "kept": live is not None,
            "as_of": None if as_of is None else iso(as_of),
            "waiting": events_waiting(self._ws.store) if live is not None else 0,
        }


def _source(report: BatchReport, begun: str | None, *, live: bool) -> dict[str, Any]:
    figures = {k: getattr(report, k) for k in ("read", "stored", "duplicate", "rejected")}
    return {"source": report.source, "live": live, "started_at": begun, **figures, "reasons": dict(report.reasons)}
