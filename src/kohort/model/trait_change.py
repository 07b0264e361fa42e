"""Changes of traits as plain values: what was known of a customer became something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TraitValue = str | int | float | bool | list[str] | None
"""As JSON has it; moments are ISO 8601, None = not known."""


@dataclass(frozen=True, slots=True)
class TraitChange:
    """Traits of one customer that have other values than before.

    Attributes:
        customer: Pseudonym.
        at: When it took effect, microseconds UTC.
        before: Column `t_…` → value before, of those that changed.
        after: The same columns → value now.
        seq: Position among all that were noted, growing; 0 = not noted yet.
    """

    customer: int
    at: int
    before: Mapping[str, TraitValue]
    after: Mapping[str, TraitValue]
    seq: int = 0
