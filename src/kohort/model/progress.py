"""How long work tells a door how far it is. No door's library is known here."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called from time to time with a plain phase name and how much of it is done.

    `done` and `total` count the same unit; `total` None = unknown. Calls are cheap and may be frequent.
    """

    def __call__(self, phase: str, done: int, total: int | None) -> None: ...


def silent(phase: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""
