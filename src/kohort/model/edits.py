"""Who changed a definition last, and what was removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

What = Literal["saved", "paused", "resumed", "restored"]


@dataclass(frozen=True, slots=True)
class Edit:
    """The last change of a definition that came through `ws.segments`.

    Attributes:
        at: Microseconds UTC.
    """

    what: What
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A definition that was taken out, as it was.

    Attributes:
        text: Its YAML.
        members: How many left it.
    """

    name: str
    label: str
    text: str
    members: int
    by: str
    at: int
