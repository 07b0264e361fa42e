"""What people see in the terminal: plain sentences, quiet tables, bars with their figure, never colour alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, Literal
from zoneinfo import ZoneInfo

from kohort.cli.door import clean
from kohort.model.progress import Progress

WIDTH_WITHOUT_TERMINAL = 110
BAR_CELLS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉"
Align = Literal["left", "right"]


class Screen:
    """Writes text and tables to one stream, with colour only on a terminal; moments as the clocks of a zone show them."""

    def __init__(self, stream: IO[str], zone: str = "UTC") -> None:
        from rich.console import Console

        self._zone = zone
        width = None if stream.isatty() else WIDTH_WITHOUT_TERMINAL
        self._console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)

    def line(self, text: str = "", style: str = "") -> None:
        """One paragraph, wrapped at the width of the terminal."""
        self._console.print(clean(text), style=style or None)

    def command(self, text: str) -> None:
        """A line that holds a command to copy: never broken, however long the path in it is."""
        self._console.print(clean(text), soft_wrap=True)

    def day(self, instant: str | None) -> str:
        """The local date of an ISO instant: 9 Dec 2011."""
        from kohort.views.formats import EN

        return EN.date_of(self._local(instant)[:10]) if instant else ""

    def span(self, start: str, end: str) -> tuple[str, str]:
        """The local dates of two ISO instants, with the time of day where the dates are the same."""
        same = self.day(start) == self.day(end)
        return (self.minute(start), self.minute(end)) if same else (self.day(start), self.day(end))

    def minute(self, instant: str | None) -> str:
        """The local date and time of an ISO instant: 2011-12-09 12:50."""
        return self._local(instant)[:16].replace("T", " ") if instant else ""

    def second(self, instant: str) -> str:
        """The same with seconds: 2011-12-09 12:50:07."""
        return self._local(instant)[:19].replace("T", " ")

    def _local(self, instant: str) -> str:
        return datetime.fromisoformat(instant).astimezone(ZoneInfo(self._zone)).isoformat()

    def title(self, text: str) -> None:
        self.line()
        self.line(text, "bold")

    def table(self, columns: Sequence[tuple[str, Align]], rows: Iterable[Sequence[str]], *, indent: int = 0) -> None:
        """A table with a head; every cell is text."""
        from rich import box
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim", show_edge=False)
        for name, align in columns:
            table.add_column(Text(name), justify=align, overflow="fold")
        for row in rows:
            table.add_row(*(Text(clean(cell)) for cell in row))
        self._console.print(Padding(table, (0, 0, 0, indent), expand=False))

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values, one pair per line."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(Text(clean(name)), Text(clean(value)))
        self._console.print(table)


def bar(share: float | None, cells: int = BAR_CELLS) -> str:
    """A share of 0 to 1 as blocks.

    Example:
        >>> bar(0.5, 4), bar(None, 4), bar(1.0, 2)
        ('██', '', '██')
    """
    if share is None:
        return ""
    eighths = round(min(max(share, 0.0), 1.0) * cells * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).strip()


@contextmanager
def bars() -> Iterator[Progress]:
    """Progress bars on stderr, one per phase; a phase ends when the next begins."""
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    shown: dict[str, TaskID] = {}
    columns: list[Any] = [
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    ]
    # Four times a second is smooth enough, and the work itself may use one core only.
    with Bars(*columns, console=Console(stderr=True), refresh_per_second=4) as live:

        def progress(phase: str, done: int, total: int | None) -> None:
            if phase not in shown:
                for name, task in shown.items():
                    live.update(task, total=1, completed=1, description=clean(name))
                    live.stop_task(task)
                shown[phase] = live.add_task(clean(phase), total=total)
            live.update(shown[phase], completed=done, total=total)

        yield progress
        for task in shown.values():
            live.update(task, total=1, completed=1)
