"""What the rows of a form can name, for people who choose instead of writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kohort.model.event import ColumnType


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that is known of customers.

    Attributes:
        text: As a rule names it.
        label: As people read it.
        type: None where anything fits.
        unit: money, days, percent …; empty for traits.
        origin: feature, trait or score.
    """

    text: str
    label: str
    type: ColumnType | None
    unit: str
    origin: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What rows can name.

    Attributes:
        events: Event names that the data has, the most frequent first.
        values: What is known of customers.
        segments: (definition, part), the part empty for the whole of it; the one being edited is not among them.
    """

    events: tuple[str, ...]
    values: tuple[Asked, ...]
    segments: tuple[tuple[str, str], ...]
