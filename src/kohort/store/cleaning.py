"""What is known of cleaning rules: their versions, how many rows each looked at and put aside, what people marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kohort.store.state import State

SETTING = "cleaning"


@dataclass(frozen=True, slots=True)
class Known:
    """One version of a rule.

    Attributes:
        version: 1 for the first meaning a rule had, 2 for the second, …
        before: Rows of files it looked at.
        aside: Those of them that it put aside.
        marks: Number of a row on the list of rejected ones → whether it was right to put it aside.
    """

    version: int
    before: int = 0
    aside: int = 0
    marks: Mapping[int, bool] | None = None

    @property
    def right(self) -> int:
        return sum((self.marks or {}).values())

    @property
    def checked(self) -> int:
        return len(self.marks or {})


class CleaningRecord:
    """The record of all rules in the state of a workspace. No value of a row is in it."""

    def __init__(self, state: State) -> None:
        self._state = state

    def known(self, name: str, digest: str) -> Known:
        """What is known of a rule with one meaning; where there is nothing yet, which version it would be."""
        versions = self._all().get(name, {})
        if digest not in versions:
            return Known(len(versions) + 1)
        kept = versions[digest]
        marks = {int(number): bool(right) for number, right in kept["marks"].items()}
        return Known(kept["version"], kept["before"], kept["aside"], marks)

    def count(self, counted: Mapping[tuple[str, str], tuple[int, int]]) -> None:
        """Add to (name, digest) the rows that were looked at and those that were put aside."""
        record = self._all()
        for (name, digest), (before, aside) in counted.items():
            kept = _kept(record, name, digest)
            kept["before"] += before
            kept["aside"] += aside
        self._state.set(SETTING, record)

    def mark(self, name: str, digest: str, right: Iterable[int], wrong: Iterable[int]) -> None:
        """Note what a person says of rows; what was said of them before is forgotten."""
        record = self._all()
        marks = _kept(record, name, digest)["marks"]
        marks |= {str(number): True for number in right} | {str(number): False for number in wrong}
        self._state.set(SETTING, record)

    def wrongly(self) -> frozenset[int]:
        """Rows on the list of rejected ones that a person said should have stayed, whichever version took them."""
        said: dict[int, bool] = {}
        for versions in self._all().values():
            for kept in sorted(versions.values(), key=lambda kept: int(kept["version"])):
                said |= {int(number): bool(right) for number, right in kept["marks"].items()}
        return frozenset(number for number, right in said.items() if not right)

    def _all(self) -> dict[str, Any]:
        record: dict[str, Any] = self._state.get(SETTING, {})
        return record


def _kept(record: dict[str, Any], name: str, digest: str) -> dict[str, Any]:
    versions = record.setdefault(name, {})
    new = {"version": len(versions) + 1, "before": 0, "aside": 0, "marks": {}}
    kept: dict[str, Any] = versions.setdefault(digest, new)
    return kept
