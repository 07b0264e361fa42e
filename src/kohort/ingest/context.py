"""Reading series about the world and the table that leads customers' areas to theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.engines.duck import connect
from kohort.errors import BadInput
from kohort.ingest import zones
from kohort.ingest.files import expand
from kohort.ingest.normalise import Normaliser
from kohort.ingest.readers import open_reader
from kohort.ingest.zones import known_zone
from kohort.model.context import KNOWN_SINCE, ContextSeries
from kohort.model.source import SourceMapping, stored_name

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.ingest.chunk import Reader

_RIGHT = {"yes": True, "true": True, "1": True, "right": True, "no": False, "false": False, "0": False, "wrong": False}
_Z = 1.959963984540054  # 95 %


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """A series as it was read.

    Attributes:
        observations: What `kohort.engines.context.known_at` takes.
        read: Rows of the file.
        left_out: Code → rows that cannot be used: a time that cannot be read, a number that is none.
    """

    observations: pa.Table
    read: int
    left_out: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Figures for the doors: rows, areas, the times they are about, and how late they were known (median, days)."""
        import pyarrow.compute as pc

        table = self.observations
        delays = (table["known"].to_numpy() - table["ts"].to_numpy()) / 86_400e6
        edges = pc.min_max(table["ts"]).as_py() if len(table) else {"min": None, "max": None}
        return {
            "read": self.read,
            "used": len(table),
            "left_out": self.left_out,
            "areas": pc.count_distinct(table["area"]).as_py(),
            "first": edges["min"],
            "last": edges["max"],
            "delay_days": float(np.median(delays)) if len(table) else None,
        }


@dataclass(frozen=True, slots=True)
class Areas:
    """What customers say of where they are → an area of the series.

    Attributes:
        to: Without case and blanks around.
        checked, wrong: Lines that a person looked at (the column `right`), and those found wrong.
    """

    to: Mapping[str, str]
    checked: int = 0
    wrong: int = 0

    def lead(self, said: str | None) -> str | None:
        """The area that a customer's own words lead to; None where they lead nowhere."""
        return None if said is None else self.to.get(_plain(said))

    @property
    def error_rate(self) -> dict[str, float] | None:
        """The share of lines that lead to the wrong area, from those that were looked at, with its Wilson interval."""
        return wilson(self.wrong, self.checked) if self.checked else None


def wilson(hits: int, n: int) -> dict[str, float]:
    """A share with its 95 % interval, by Wilson's method.

    Source:
        Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    p = hits / n
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    return {"value": p, "low": max(0.0, middle - half), "high": min(1.0, middle + half)}


def read_series(series: ContextSeries, root: Path, *, zone: str) -> SeriesTable:
    """The observations of a series, from its file in the workspace's folder.

    Of two lines about the same area and time that became known at the same moment, the later one in the file counts.

    Raises:
        KohortError: The file cannot be read, lacks a column, or leads out of the folder.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known_zone(series.zone or zone)
    columns = sorted({f.column for f in series.features})
    properties: dict[str, Any] = dict.fromkeys(columns, "number")
    if series.area:
        properties[series.area] = "text"
    about = _mapping(series, series.time, properties)
    told = series.published or (KNOWN_SINCE if series.connection else "")
    form = "iso" if told == KNOWN_SINCE else series.time_format
    published = replace(_mapping(series, told, {}), time_format=form) if told else None
    parts: list[pa.Table] = []
    left_out: Counter[str] = Counter()
    read = 0
    if series.connection and not (root / series.place).exists():
        raise BadInput(f"{series.name!r} was not fetched yet.", code="not_fetched", hint="Run: kohort context --fetch")
    for file in expand(root / series.place, within=root):
        reader = open_reader(file)
        for typed, known in _typed(reader, about, published, series.zone or zone):
            read += len(typed)
            ts = typed["at"].to_numpy()
            late = pa.array(ts + series.delay_s * 1_000_000)
            codes = typed["code"].to_pylist()
            if known is not None and series.published:
                codes, late = _first(typed["code"], known["code"]), known["at"]
            elif known is not None:  # of a row that corrects nothing, the delay says when it became known
                late = pc.if_else(pc.is_null(known["code"]), pc.max_element_wise(known["at"], late), late)
            row = {
                "area": _texts(typed, series.area),
                "ts": pa.array(ts),
                "known": late,
                **{c: typed[f"p_{stored_name(c)}"] for c in columns},
            }
            good = np.array([code is None for code in codes], bool)
            left_out.update(code for code in codes if code is not None)
            parts.append(pa.table(row).filter(pa.array(good)))
    if not parts:
        raise BadInput("The file holds no rows.", place=series.place, code="no_rows")
    return SeriesTable(_without_doubles(pa.concat_tables(parts)), read, dict(left_out))


def no_rows() -> SeriesTable:
    """A series of which nothing is there yet."""
    import pyarrow as pa

    columns = {"area": pa.string(), "ts": pa.int64(), "known": pa.int64()}
    return SeriesTable(pa.table({name: pa.array([], kind) for name, kind in columns.items()}), 0, {})


def read_areas(series: ContextSeries, root: Path) -> Areas | None:
    """The table of a series that leads from customers' words to its areas: `said`, `area`, and `right` where checked.

    None = the series has none: customers say its areas themselves.

    Raises:
        BadInput: It lacks one of the columns `said` and `area`.
    """
    if not series.areas:
        return None
    to: dict[str, str] = {}
    checked = wrong = 0
    for file in expand(root / series.areas, within=root):
        reader = open_reader(file)
        names = {c.name for c in reader.columns}
        if not {"said", "area"} <= names:
            hint = "Call its columns said and area, and right where somebody has checked a line: yes or no."
            raise BadInput("It does not say what leads where.", place=file.name, code="mapping_does_not_fit", hint=hint)
        wanted = [n for n in ("said", "area", "right") if n in names]
        for chunk in reader.chunks(wanted):
            for row in chunk.table.to_pylist():
                if row["said"] and row["area"]:
                    to[_plain(str(row["said"]))] = str(row["area"]).strip()
                right = _RIGHT.get(str(row.get("right") or "").strip().lower())
                checked += right is not None
                wrong += right is False
    return Areas(to, checked, wrong)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _mapping(series: ContextSeries, time: str, properties: dict[str, Any]) -> SourceMapping:
    return SourceMapping(
        series.name, "events", {"time": time}, properties, time_format=series.time_format, zone=series.zone
    )


def _typed(reader: Reader, about: SourceMapping, published: SourceMapping | None, zone: str) -> Any:
    """Chunks typed by both mappings, with `at` in µs UTC."""
    normalisers = [Normaliser.of(m, reader, "") for m in (about, published) if m is not None]
    wanted = list(dict.fromkeys(n for one in normalisers for n in one.wanted))
    with connect(folders=()) as con:
        for chunk in reader.chunks(wanted):
            tables = [_with_instant(one.typed(con, chunk), zone) for one in normalisers]
            yield tables[0], tables[1] if published is not None else None


def _with_instant(typed: pa.Table, zone: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    wall = np.asarray(pc.fill_null(typed.column("wall_us"), 0))
    at = np.where(np.asarray(typed.column("zoned")), wall, zones.to_utc(wall, zone))
    return typed.append_column("at", pa.array(at, pa.int64()))


def _first(one: pa.ChunkedArray, other: pa.ChunkedArray) -> list[str | None]:
    return [a if a is not None else b for a, b in zip(one.to_pylist(), other.to_pylist(), strict=True)]


def _texts(typed: pa.Table, area: str) -> pa.Array:
    import pyarrow as pa

    if not area:
        return pa.array([""] * len(typed))
    return pa.array([" ".join((v or "").split()) for v in typed[f"p_{stored_name(area)}"].to_pylist()])


def _without_doubles(table: pa.Table) -> pa.Table:
    """Of lines with one area, time and publication, the last."""
    import pyarrow as pa

    keys = ["area", "ts", "known"]
    numbered = table.append_column("row", pa.array(np.arange(len(table))))
    last = numbered.group_by(keys).aggregate([("row", "max")])["row_max"].to_numpy()
    return table.take(pa.array(np.sort(last)))
