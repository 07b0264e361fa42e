"""Who changed a definition last, and what was removed and can be brought back. `kohort.yaml` says what is so, not who wrote it."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kohort.errors import NotFound
from kohort.model.clock import DAY_US
from kohort.model.edits import Edit, Removed, What

if TYPE_CHECKING:
    from kohort.store.state import State

UNDO_DAYS = 90
MOST_REMOVED = 200
_TURN = threading.Lock()
"""Two who save at once in one server are both written down."""
_EDITS, _REMOVED = "segments.edits", "segments.removed"


class Edits:
    """Changes of definitions, kept in the state of the workspace."""

    def __init__(self, state: State) -> None:
        self._state = state

    def all(self) -> dict[str, Edit]:
        """Definition → its last change."""
        return {name: Edit(**edit) for name, edit in self._state.get(_EDITS, {}).items()}

    def note(self, name: str, what: What, by: str) -> None:
        with _TURN:
            edits = self._state.get(_EDITS, {})
            self._state.set(_EDITS, {**edits, name: asdict(Edit(what, by, _now()))})

    def removed(self) -> tuple[Removed, ...]:
        """What can be brought back, the latest first."""
        since = _now() - UNDO_DAYS * DAY_US
        return tuple(one for one in self._all_removed() if one.at >= since)

    def note_removed(self, name: str, label: str, text: str, members: int, by: str) -> None:
        """The latest of a name is kept, for `UNDO_DAYS`."""
        with _TURN:
            others = [one for one in self.removed() if one.name != name][: MOST_REMOVED - 1]
            self._keep([Removed(name, label, text, members, by, _now()), *others])
            edits: dict[str, Any] = self._state.get(_EDITS, {})
            self._state.set(_EDITS, {n: edit for n, edit in edits.items() if n != name})

    def back(self, name: str) -> Removed:
        """
        Raises:
            NotFound: Nothing of that name was removed, or it is too long ago.
        """
        there = {one.name: one for one in self.removed()}
        if name not in there:
            raise NotFound("removed segment", name, there)
        return there[name]

    def is_back(self, name: str) -> None:
        """It is defined again."""
        with _TURN:
            self._keep([one for one in self._all_removed() if one.name != name])

    def _all_removed(self) -> list[Removed]:
        return [Removed(**one) for one in self._state.get(_REMOVED, [])]

    def _keep(self, removed: list[Removed]) -> None:
        self._state.set(_REMOVED, [asdict(one) for one in removed])


def _now() -> int:
    return time.time_ns() // 1_000
