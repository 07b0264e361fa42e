"""Sentences about membership and movement of adopted segmentations.

They are stored with members, for readers of every language, and so they are English.
"""

from __future__ import annotations

from kohort.model.segmentation import Estimate


def in_hundred(share: float) -> str:
    """A share as people say chances: 0.83 → "83 in 100".

    Example:
        >>> in_hundred(0.83), in_hundred(0.004), in_hundred(0.0)
        ('83 in 100', 'fewer than 1 in 100', 'none')
    """
    if share == 0:
        return "none"
    return "fewer than 1 in 100" if share < 0.01 else f"{100 * share:.0f} in 100"


def meets_rule(rule: str) -> str:
    return f"Meets the short rule: {rule}"


def alike(name: str) -> str:
    return f"Behaves most like {name}, though the short rule does not say so"


def near_border(name: str) -> str:
    return f"Near the border of {name}: check by hand"


def movement(
    mobility: Estimate | None, moved: int, stayed: int, at_border: int, redefined: int | None, *, first: bool
) -> str:
    if first:
        return "This is the first run: there is nothing to compare with yet."
    if mobility is None:
        return "Nobody was in a segment at both moments."
    if not moved:
        return f"Nobody changed segment; all {stayed:,} customers stayed."
    text = f"{in_hundred(mobility.value).capitalize()} customers changed segment ({moved:,}); {stayed:,} stayed."
    if redefined:
        text += f" {redefined:,} of them moved only because the segments were found again; they behave as before."
    if at_border:
        text += f" {at_border:,} of them are near a border and may move back by chance."
    return text


def segment(name: str, stayed: Estimate | None, target: str, onward: int) -> str:
    if stayed is None:
        return f"{name} had no customers before."
    text = f"Of those in {name} before, {in_hundred(stayed.value)} are still there"
    if not onward:
        return f"{text}."
    return f"{text}; most of the others ({onward:,}) {f'are in {target} now' if target else 'are in no segment now'}."


def gone(name: str) -> str:
    return f"Nothing continues {name}: its customers are spread over other segments now."


def new(name: str) -> str:
    return f"{name} is new: it continues none of the segments before."
