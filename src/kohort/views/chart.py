"""What a chart is: one value that a page, the report, a notebook and a file print, each in its way.

A chart is what it says (a title, and a sentence for those who cannot see it), its axes with their units, the drawing as
SVG text, and the same figures as rows of a table. Whoever draws makes one (`kohort.views.charts`); nobody else draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from kohort.errors import WrongUsage
from kohort.locale import gettext
from kohort.views.formats import UNKNOWN, formats
from kohort.views.svg import chart_styles, key, text

if TYPE_CHECKING:
    import pyarrow as pa

Theme = Literal["auto", "light", "dark"]
Unit = Literal["text", "day", "month", "count", "money", "share", "chance", "decimal"]
Cell = str | int | float | None

FILES = ("svg", "png", "csv")
"""What a chart can be saved as."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a drawing: what it measures and in what."""

    label: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.label}, {self.unit}" if self.unit else self.label


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table behind a chart.

    Attributes:
        unit: How its figures are written for people; in files they stay plain numbers. "share" and "chance" are 0 to 1.
        currency: Of money, ISO 4217.
    """

    label: str
    unit: Unit = "text"
    currency: str = ""

    def say(self, value: Cell) -> str:
        """A figure as people read it; what is not known is "–"."""
        if isinstance(value, str):
            written = {"day": formats().date_of, "month": formats().month_of}.get(self.unit, str)
            return written(value) if value else UNKNOWN
        match self.unit:
            case "money":
                return formats().short_money(value, self.currency)
            case "share":
                return formats().percent(value)
            case "chance":
                return formats().in_100(value)
            case "decimal":
                return formats().number(value, 3)
            case _:
                return formats().number(value)

    @property
    def head(self) -> str:
        """Its heading in a file, with the unit that people see in the figures."""
        unit = self.currency if self.unit == "money" else gettext("0 to 1") if self.unit in ("share", "chance") else ""
        return f"{self.label} ({unit})" if unit else self.label


@dataclass(frozen=True, slots=True)
class Glyph:
    """A small drawing beside words or a figure that say the same, so it has no title, table or file of its own."""

    sentence: str
    drawing: str

    def __html__(self) -> str:
        return self.drawing

    def __str__(self) -> str:
        return self.drawing


@dataclass(slots=True)
class Page:
    """The page that is being written: its charts by name, and what was asked of it besides a chart.

    A page that is served sets `writing`; then every chart that is printed offers itself as a file at the same address.
    """

    query: tuple[tuple[str, str], ...] = ()
    charts: dict[str, Chart] = field(default_factory=dict)

    def href(self, file: str) -> str:
        """The address of a file of a chart, from the page itself."""
        return f"?{urlencode([*self.query, (ASKED, file)])}"


ASKED = "chart"
"""What the address of a page says in front of the name of a file."""

writing: ContextVar[Page | None] = ContextVar("writing", default=None)


@dataclass(frozen=True, slots=True)
class Chart:
    """One drawing with everything around it.

    Attributes:
        name: What its files are called, and its place on a page.
        title: The finding, or what is shown where there is none.
        sentence: What the drawing says, in one plain sentence.
        wide: SVG of the drawing; empty = there is nothing to draw.
        narrow: The drawing for phones; empty = the wide one serves both.
        across: What the horizontal axis measures; None = the drawing has none.
        up: What the vertical axis measures.
        columns: Of the table of the same figures; empty = no table.
        rows: Its rows, one cell per column.
        legend: (letter, colour class, name) under a drawing that names its parts by letter or colour alone.
        keyed: The wide drawing, too, needs the legend.
        snug: It stands in a narrow place on a wide page, so pages print the narrow drawing; files stay wide.
    """

    name: str
    title: str
    sentence: str
    wide: str
    narrow: str = ""
    across: Axis | None = None
    up: Axis | None = None
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    legend: tuple[tuple[str, str, str], ...] = ()
    keyed: bool = False
    snug: bool = False

    def __bool__(self) -> bool:
        return bool(self.wide)

    def called(self, title: str) -> Chart:
        """The same chart under another title."""
        return replace(self, title=title)

    def small(self) -> Chart:
        """The same chart for a narrow place on a wide page."""
        return replace(self, snug=True)

    # --- on pages ------------------------------------------------------------------------------------------------

    def drawing(self) -> str:
        """The drawing with its legend, without its table and files."""
        names = "".join(f"<span>{key(k, c, 'key s')}{text(name)}</span>" for k, c, name in self.legend)
        legend = f'<div class="legend">{names}</div>' if names else ""
        wide = f"{self.wide}{legend if self.keyed else ''}"
        if not self.narrow:
            return wide
        if self.snug:
            return f"{self.narrow}{legend}"
        return f'<div class="only-wide">{wide}</div><div class="only-narrow">{self.narrow}{legend}</div>'

    def table(self) -> str:
        """The figures as an HTML table folded under "Show as table"; opens without script."""
        if not self.rows:
            return ""
        fold = text(gettext("Show as table"))
        return f'<details class="data"><summary>{fold}</summary>{self.figures()}</details>'

    def figures(self) -> str:
        """The figures as an HTML table."""
        head = "".join(f'<th scope="col"{_side(i)}>{text(c.label)}</th>' for i, c in enumerate(self.columns))
        body = "".join(
            "<tr>" + "".join(f"<td{_side(i)}>{text(cell)}</td>" for i, cell in enumerate(row)) + "</tr>"
            for row in self.said()
        )
        return (
            f'<div class="table-wrap" tabindex="0" role="region" aria-label="{text(self.sentence)}"><table>'
            f'<caption class="vh">{text(self.title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    def said(self) -> list[tuple[str, ...]]:
        """The rows as people read them."""
        return [tuple(c.say(cell) for c, cell in zip(self.columns, row, strict=True)) for row in self.rows]

    def __html__(self) -> str:
        """Drawing, table, and on a page that is served the way to its files; templates print a chart by naming it."""
        page = writing.get()
        if page is None or not self.wide:
            return self.drawing() + self.table()
        page.charts[self.name] = self
        return f'{self.drawing()}<div class="chart-foot">{self.table()}{self._ways(page)}</div>'

    def _ways(self, page: Page) -> str:
        """Links to the files. A PNG is drawn by the browser from the SVG, so a script shows that one."""
        whose = text(gettext("of %(title)s", title=self.title))
        about = f'<span class="vh"> {whose}</span>'
        svg, csv = text(page.href(f"{self.name}.svg")), text(page.href(f"{self.name}.csv"))
        links = [f'<a href="{svg}" download>SVG{about}</a>']
        links.append(f'<a href="{svg}" download data-png="{text(self.name)}.png" hidden>PNG{about}</a>')
        links += [f'<a href="{csv}" download>CSV{about}</a>'] if self.rows else []
        verb = text(gettext("Download"))
        return f'<p class="files">{verb} {"".join(links)}</p>'

    def __str__(self) -> str:
        return self.__html__()

    # --- in notebooks and files ----------------------------------------------------------------------------------

    def svg(self, theme: Theme = "auto") -> str:
        """The chart as the text of an SVG file: title, sentence, drawing and legend on their own ground, no outside address.

        Args:
            theme: "light" or "dark"; "auto" = light, and dark where the one who looks prefers that.
        """
        from kohort.views.pictures import standing_alone

        return standing_alone(self, theme)

    def png(self, theme: Literal["light", "dark"] = "light", *, scale: float = 2.0) -> bytes:
        """The chart as a PNG file.

        Args:
            scale: Pixels per unit of the drawing, which is about 700 wide.

        Raises:
            MissingExtra: What draws pixels is not installed (extra "image").
        """
        from kohort.views.pictures import pixels

        return pixels(self.svg(theme), scale)

    def csv(self) -> bytes:
        """The figures as a CSV file: plain numbers, safe to open in a spreadsheet."""
        import pyarrow as pa

        from kohort.views.tables import as_file

        names = [c.head for c in self.columns]
        columns = [_column([row[i] for row in self.rows]) for i in range(len(names))]
        return as_file(pa.Table.from_arrays(columns, names=names), "csv")

    def save(self, path: str | Path, theme: Theme = "auto") -> Path:
        """Writes the chart to a file; its ending says as what: `.svg`, `.png` or `.csv`.

        Raises:
            WrongUsage: Another ending.
            MissingExtra: A PNG without the extra "image".

        Example:
            `chart.save("map.svg")`
        """
        place = Path(path)
        match place.suffix.lower():
            case ".svg":
                place.write_text(self.svg(theme), encoding="utf-8")
            case ".png":
                place.write_bytes(self.png("dark" if theme == "dark" else "light"))
            case ".csv":
                place.write_bytes(self.csv())
            case other:
                raise WrongUsage(
                    f"A chart cannot be saved as {other or 'a file without an ending'}.", hint="Use .svg, .png or .csv."
                )
        return place

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        """The chart in a notebook, with the styles it needs and nothing else."""
        note = f"<h3>{text(self.title)}</h3>{self.drawing()}{self.table()}"
        return f'<div class="kohort note"><style>{chart_styles()}</style>{note}</div>'


def _side(column: int) -> str:
    return ' class="right"' if column else ""


def _column(cells: Sequence[Cell]) -> pa.Array:
    """Numbers where all are, text otherwise."""
    import pyarrow as pa

    known = [cell for cell in cells if cell is not None]
    if any(isinstance(cell, str) for cell in known):
        return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    whole = all(isinstance(cell, int) for cell in known)
    return pa.array(cells, pa.int64() if whole else pa.float64())
