"""The text form of series about the world around customers: `context:` in `kohort.yaml`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Any, get_args

from kohort.definitions.destinations_text import Values
from kohort.definitions.windows import Span
from kohort.definitions.yaml_text import Document, Path, nearest
from kohort.model.connection import Connection
from kohort.model.context import ContextFeature, ContextKind, ContextSeries

MOST_SERIES = 20
_KEYS = (
    "file",
    "time",
    "area",
    "published",
    "delay",
    "time_format",
    "zone",
    "customer_area",
    "areas",
    "rules",
    "features",
)
_FETCHED = ("connection", "refresh", "requests_per_day")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_TRAIT = re.compile(r"[tp]_[a-z][a-z0-9_]{0,59}")
_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_A_FEATURE = "For example rain_30d: {mean: rain_mm, within: 30 days}."


def read_context(document: Document, data: Any, connections: Iterable[Connection] = ()) -> tuple[ContextSeries, ...]:
    """Series from `context:`; mistakes go to the document.

    Args:
        connections: Those that can be named, of which objects in a store cannot.
    """
    known = {c.name for c in connections if c.kind != "files"}
    found = (reader := _Context(document, known)).named(data, "context", MOST_SERIES, reader.series)
    names = [f.name for s in found for f in s.features]
    if twice := next((n for n in names if names.count(n) > 1), None):
        document.mistake(("context",), f"Two features are called {twice!r}.", "Each needs a name of its own.")
    return found


def write_context(series: Iterable[ContextSeries]) -> dict[str, Any]:
    """The inverse of `read_context`: only what is not implied."""
    return {s.name: _written(s) for s in series}


def _written(s: ContextSeries) -> dict[str, Any]:
    body: dict[str, Any] = {"connection" if s.connection else "file": s.connection or s.file, "time": s.time}
    body |= {k: v for k in ("area", "published", "zone", "customer_area", "areas") if (v := getattr(s, k))}
    if s.time_format != "iso":
        body["time_format"] = s.time_format
    if s.delay_s:
        body["delay"] = f"{s.delay_s // 60} minutes"
    if s.rules_s:
        body["rules"] = f"{s.rules_s // 60} minutes"
    if s.refresh_s:
        body["refresh"] = f"{s.refresh_s // 60} minutes"
    if s.requests_per_day:
        body["requests_per_day"] = s.requests_per_day
    body["features"] = {f.name: {f.kind: f.column, "within": f"{f.within_s // 60} minutes"} for f in s.features}
    return body


class _Context(Values):
    """Reads `context:`."""

    def __init__(self, document: Document, connections: Collection[str]) -> None:
        super().__init__(document)
        self._connections = connections

    def series(self, name: str, data: Any, path: Path) -> ContextSeries:
        self.known_keys(data, path, (*_KEYS, *_FETCHED))
        if not data.get("time"):
            self.mistake(path, "A series needs a time.", "For example {file: context/weather.csv, time: day, …}.")
        if bool(data.get("file")) == bool(data.get("connection")):
            message = "A series needs a file, or a connection that it is fetched by."
            self.mistake(path, message, "For example {file: context/weather.csv, time: day, …}.")
        for key in _FETCHED[1:]:
            if key in data and not data.get("connection"):
                self.mistake((*path, key), f"{key} belongs to a series with a connection.")
        if ("published" in data) == ("delay" in data):
            message = "Say when an observation became known: the column published, or a delay after its time."
            self.mistake(path, message, "For example delay: 1 day.")
        if bool(data.get("area")) != bool(data.get("customer_area")):
            message = "area (of the series) and customer_area (where a customer is) belong together."
            self.mistake(path, message, "For example area: station, customer_area: t_city.")
        if data.get("areas") and not data.get("area"):
            self.mistake((*path, "areas"), "areas belongs to a series with an area.")
        return ContextSeries(
            name,
            self._file(data, "file", path),
            self._text(data, "time", path),
            self._features(data.get("features"), (*path, "features")),
            self._text(data, "area", path),
            self._text(data, "published", path),
            _seconds(self.span(data, "delay", path, Span(0, "minute"))),
            self._text(data, "time_format", path) or "iso",
            self._text(data, "zone", path),
            self.matching(data, "customer_area", path, _TRAIT, what="a trait t_… or property p_…", example="t_city"),
            self._file(data, "areas", path),
            self._connection(data, path),
            _seconds(self.span(data, "refresh", path, Span(0, "minute"))),
            self.whole(data, "requests_per_day", path, 0, most=1_000_000, least=0),
            _seconds(self.span(data, "rules", path, Span(0, "minute"))),
        )

    def _connection(self, data: dict[str, Any], path: Path) -> str:
        name = self._text(data, "connection", path)
        if name and name not in self._connections:
            hint = nearest(name, self._connections) if self._connections else "Name it below connections: first."
            self.mistake((*path, "connection"), f"No API and no table under connections: is called {name!r}.", hint)
        return name

    def _features(self, data: Any, path: Path) -> tuple[ContextFeature, ...]:
        if not isinstance(data, dict) or not data:
            self.mistake(path if data is not None else path[:-1], "A series needs features.", _A_FEATURE)
            return ()
        return tuple(f for name, body in data.items() if (f := self._feature(name, body, (*path, name))) is not None)

    def _feature(self, name: str, data: Any, path: Path) -> ContextFeature | None:
        if not _NAME.fullmatch(name):
            self.mistake(path, f"{name!r} is not a name of a feature.", "Use small letters, digits and _.")
        kinds = get_args(ContextKind)
        found = [k for k in kinds if isinstance(data, dict) and k in data]
        if len(found) != 1 or not isinstance(data[found[0]], str):
            self.mistake(path, f"A feature of a series is one of {', '.join(kinds)} of a column.", _A_FEATURE)
            return None
        self.known_keys(data, path, (*kinds, "within"))
        if "within" not in data:
            self.mistake(path, "Say how far back it looks.", _A_FEATURE)
        within = self.span(data, "within", path, Span(1, "day"))
        return ContextFeature(name, found[0], data[found[0]], _seconds(within))

    def _file(self, data: dict[str, Any], key: str, path: Path) -> str:
        value = self._text(data, key, path)
        if value and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            self.mistake((*path, key), f"{key} lies in the workspace's folder.", "For example context/weather.csv.")
        return value

    def _text(self, data: dict[str, Any], key: str, path: Path) -> str:
        value = data.get(key, "")
        if not isinstance(value, str) or len(value) > 200:
            self.mistake((*path, key), f"{key} is a text.")
            return ""
        return value


def _seconds(span: Span) -> int:
    return span.amount * _SECONDS.get(span.unit, 60)
