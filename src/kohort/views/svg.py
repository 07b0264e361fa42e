"""The paper charts are drawn on: escaped SVG text, and the sentence for those who cannot see it.

Nothing here carries a style or a script, so drawings work under the strictest content policy. Colours come from
classes (`c-a` … `c-h`), so light, dark and print are the style sheet's business.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

CHAR_WIDTH = 6.6  # mean width of a character at 12 px in the fonts we ask for, on the safe side


def text(value: object) -> str:
    """Text safe inside an element or a quoted attribute."""
    return escape(str(value), quote=True)


def n(value: float) -> str:
    """A coordinate: one decimal, no trailing zero."""
    return f"{value:.1f}".removesuffix(".0")


def fit(label: str, width: float) -> str:
    """A label shortened with an ellipsis to about `width` pixels at 12 px."""
    most = max(int(width / CHAR_WIDTH), 1)
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"


def wrap(label: str, width: float, most: int = 3) -> list[str]:
    """A label broken at spaces into lines of about `width` pixels at 12 px; what is left after `most` lines is cut.

    Example:
        >>> wrap("orders every 27 days instead of 54", 120)
        ['orders every 27', 'days instead of 54']
    """
    room = max(int(width / CHAR_WIDTH), 1)
    lines: list[str] = []
    for word in label.split():
        if lines and len(lines[-1]) + 1 + len(word) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    return [fit(line, width) for line in lines]


def spread(wished: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions as near as possible to the wished ones (ascending), at least `gap` apart, within low to high.

    Where there is no room for all, the gap shrinks.

    Example:
        >>> spread([10, 11, 50], 12, 0, 100)
        [10, 22, 50]
    """
    if not wished:
        return []
    gap = min(gap, (high - low) / max(len(wished) - 1, 1))
    placed: list[float] = []
    for y in wished:
        placed.append(max(y, low) if not placed else max(y, placed[-1] + gap))
    limit = high
    for i in range(len(placed) - 1, -1, -1):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def picture(width: float, height: float, sentence: str, parts: Iterable[str], css: str = "chart") -> str:
    """An SVG image with the sentence that says what it shows."""
    return (
        f'<svg class="{css}" viewBox="0 0 {n(width)} {n(height)}" role="img" aria-label="{text(sentence)}">'
        f"{''.join(parts)}</svg>"
    )


def key(letter: str, colour: str, css: str = "key") -> str:
    """The small square with a segment's letter and colour."""
    return f'<span class="{css} {colour}" aria-hidden="true">{text(letter)}</span>'


@functools.cache
def chart_styles() -> str:
    """Style sheet of the charts alone: colours and drawing classes under `.kohort`."""
    return resources.files("kohort.views").joinpath("static/charts.css").read_text(encoding="utf-8")
