"""Housekeeping beside the loop: everything that keeps reading fast and disks small, and changes nothing anybody reads."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kohort.model.source import BatchReport
from kohort.store.uploads import KEPT_SECONDS

if TYPE_CHECKING:
    from kohort.live.loop import Loop
    from kohort.store.store import Store

_VACUUM_SECONDS = 600.0
_RENEW_SECONDS = 30.0
_REPORT_SECONDS = 10.0


class Keeping:
    """Called once a second from a thread beside the loop's.

    Args:
        store: The store that the loop uses.
        loop: Whose index of events is brought up to date.
    """

    def __init__(self, store: Store, loop: Loop) -> None:
        self._store, self._loop = store, loop
        self._vacuumed = self._renewed = time.monotonic()
        self._reported = self._vacuumed - _REPORT_SECONDS  # what a process that was killed had not told is told at once
        self._told: Mapping[str, BatchReport] = {}

    def step(self) -> None:
        """Whatever is due."""
        self._loop.prepare()
        if self._store.log.hot_count() > self._store.log.hot_rows:
            self._store.log.compact()
            self._loop.bring()
        self._store.members.settle()
        now = time.monotonic()
        if now - self._renewed > _RENEW_SECONDS:
            self._renewed = now
            self._store.members.renew()
        if now - self._reported >= _REPORT_SECONDS:
            self._report(now)
        if now - self._vacuumed > _VACUUM_SECONDS:
            self._vacuumed = now
            self._store.log.vacuum()
            self._store.uploads.clear(older_than_seconds=KEPT_SECONDS)

    def last(self) -> None:
        """Before the process ends."""
        self._report(time.monotonic())

    def _report(self, now: float) -> None:
        """What became of each source's events, as health tells it."""
        batches = self._loop.position.batches
        if batches != self._told:
            self._store.ticks.finish_batches(batches)
            self._told = batches
        self._reported = now
