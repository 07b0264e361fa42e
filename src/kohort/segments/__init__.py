"""Adopted segmentations: a definition that places everybody on later data, with ids and names that last."""

from __future__ import annotations

from kohort.segments.adopt import adopt, members, rename, run
from kohort.segments.adopted import Adopted, Assigner, adopted
from kohort.segments.movement import Movement

__all__ = ["Adopted", "Assigner", "Movement", "adopt", "adopted", "members", "rename", "run"]
