"""The paper charts are drawn on: escaped SVG text, a sentence for those who cannot see it, a table of the figures.

Nothing here carries a style or a script, so drawings work under the strictest content policy. Colours come from
classes (`c-a` … `c-h`), so light, dark and print are the style sheet's business.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing with everything around it.

    Attributes:
        sentence: What the drawing says, in one plain sentence.
        wide: HTML or SVG of the drawing.
        narrow: The drawing for phones; empty = the wide one serves both.
        columns: Headings of the table behind "Show as table"; empty = no table.
        rows: Its rows as text, first column left, others right.
        legend: (letter, colour class, name) under the narrow drawing.
    """

    sentence: str
    wide: str
    narrow: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = field(default=())
    legend: tuple[tuple[str, str, str], ...] = ()

    def table(self) -> str:
        """The figures as an HTML table folded under "Show as table"."""
        if not self.columns:
            return ""
        head = "".join(f'<th scope="col"{_side(i)}>{text(c)}</th>' for i, c in enumerate(self.columns))
        body = "".join(
            "<tr>" + "".join(f"<td{_side(i)}>{text(c)}</td>" for i, c in enumerate(row)) + "</tr>" for row in self.rows
        )
        return (
            '<details class="data"><summary>Show as table</summary><div class="table-wrap" tabindex="0" role="region" '
            f'aria-label="{text(self.sentence)}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
            "</div></details>"
        )

    def drawing(self) -> str:
        """The drawing without its table."""
        if not self.narrow:
            return self.wide
        names = "".join(f"<span>{key(k, c, 'key s')}{text(name)}</span>" for k, c, name in self.legend)
        legend = f'<div class="legend">{names}</div>' if names else ""
        return f'<div class="only-wide">{self.wide}</div><div class="only-narrow">{self.narrow}{legend}</div>'

    def __html__(self) -> str:
        """Drawing and table; templates print a chart by naming it."""
        return self.drawing() + self.table()

    def __str__(self) -> str:
        return self.__html__()

    def _repr_html_(self) -> str:
        """The chart in a notebook, with the styles it needs and nothing else."""
        return f'<div class="kohort note"><style>{chart_styles()}</style>{self.wide}{self.table()}</div>'


def _side(column: int) -> str:
    return ' class="right"' if column else ""


@functools.cache
def chart_styles() -> str:
    """Style sheet of the charts alone: colours and drawing classes under `.kohort`."""
    return resources.files("kohort.views").joinpath("static/charts.css").read_text(encoding="utf-8")
