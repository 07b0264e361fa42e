"""The text form of feature definitions, read with every mistake noted, and written back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_args

from kohort.definitions.columns import Column, vocabulary
from kohort.definitions.features import (
    COLUMN_KINDS,
    Aggregate,
    FeatureDefinition,
    Gap,
    Kind,
    Measure,
    Ratio,
    Selection,
    Sequence,
    SessionFact,
    Sessions,
    Share,
    Statistic,
    Step,
    Where,
    check_measure,
)
from kohort.definitions.windows import EVER, Span, Window, parse_between, parse_span, parse_within
from kohort.definitions.yaml_text import Document, Path, nearest
from kohort.errors import RefusedDefinition
from kohort.model.event import IDENTIFY, ColumnType, trait_column
from kohort.model.feature import Idea, Unit

T = TypeVar("T")
MOST_FEATURES = 500
_FIXED_WORD = {"count": "events", "recency": "days", "tenure": "days"}
_KINDS = {*get_args(Kind), "gap", "share", "sessions", "ratio", "sequence", "trait"}
_LIMITS = {"pause", "longest", "most"}
_LONGEST_PAUSE = Span(31, "day")
_MOST_EVENTS = 1_000_000
_SELECTING = {"event", "where", "within", "between"}
_WORDS = {"label", "unit", "idea", "missing"}


def read_features(
    document: Document, data: Any, path: Path, columns: Mapping[str, ColumnType] | None
) -> tuple[FeatureDefinition, ...]:
    """Definitions from the value at `path`; mistakes go to the document."""
    if data is None:
        return ()
    if not isinstance(data, dict):
        document.mistake(path, "Features are written as name: {…}.")
        return ()
    if len(data) > MOST_FEATURES:
        document.mistake(path, f"There can be {MOST_FEATURES} features at most.")
        return ()
    reader = _Reader(document, path, data, None if columns is None else vocabulary(columns))
    found = (reader.feature(name) for name in data)
    return tuple(f for f in found if f is not None)


def write_features(definitions: Iterable[FeatureDefinition]) -> dict[str, dict[str, Any]]:
    """The inverse of `read_features`: name → mapping, only what is not implied."""
    written = {}
    for d in definitions:
        words = {"label": d.label, "unit": d.unit, "idea": d.idea if d.idea != "other" else "", "missing": d.missing}
        written[d.name] = write_measure(d.measure) | {k: v for k, v in words.items() if v}
    return written


def write_measure(measure: Measure) -> dict[str, Any]:  # noqa: PLR0911 - one per kind
    """The text form of one measure."""
    match measure:
        case Aggregate("last", column, Selection((only,), None, window)) if only == IDENTIFY and window == EVER:
            return {"trait": column.removeprefix("t_")}
        case Aggregate(kind, column, selection):
            return {kind: column or _FIXED_WORD[kind]} | _write_selection(selection)
        case Gap(statistic, between, selection):
            return {"gap": statistic, "of": between} | _write_selection(selection)
        case Share(of, selection):
            return {"share": of.text} | _write_selection(selection)
        case Sessions(fact, selection):
            return {"sessions": fact} | _write_limits(measure) | _write_selection(selection)
        case Sequence(first, then, within, window):
            steps = {k: _write_selection(Selection(s.events, s.where)) for k, s in (("first", first), ("then", then))}
            return {"sequence": steps | {"within": str(within)}} | _write_selection(Selection(window=window))
        case Ratio(numerator, denominator, names):
            sides = zip(names, (numerator, denominator), strict=True)
            return {"ratio": [name or write_measure(side) for name, side in sides]}


def _write_limits(sessions: Sessions) -> dict[str, Any]:
    usual = Sessions(sessions.fact, sessions.selection)
    written: dict[str, Any] = {
        key: str(getattr(sessions, key))
        for key in ("pause", "longest")
        if getattr(sessions, key) != getattr(usual, key)
    }
    return written | ({"most": f"{sessions.most} events"} if sessions.most else {})


def _write_selection(selection: Selection) -> dict[str, Any]:
    events = selection.events
    written: dict[str, Any] = {"event": events[0] if len(events) == 1 else list(events)} if events else {}
    if selection.where:
        written["where"] = selection.where.text
    start, end = selection.window.start, selection.window.end
    if start is not None:
        written |= {"within": str(start)} if end is None else {"between": f"{start} and {end} ago"}
    return written


class _Reader:
    """Reads the features of one mapping; ratios may name other features of it, in any order."""

    def __init__(
        self, document: Document, path: Path, data: dict[str, Any], known: Mapping[str, Column] | None
    ) -> None:
        self.document, self.path, self.data, self.known = document, path, data, known
        self.measures: dict[str, Measure | None] = {}
        self.reading: list[str] = []

    def feature(self, name: str) -> FeatureDefinition | None:
        path, data = (*self.path, name), self.data[name]
        if not (name.isidentifier() and name.isascii()) or name.startswith("_") or len(name) > 60:
            self.mistake(path, f"{name!r} is not a usable name.", "Use letters, digits and _ (at most 60).")
        twin = next((other for other in self.data if other.lower() == name.lower()), name)
        if twin != name:
            self.mistake(path, f"{name!r} and {twin!r} differ by large and small letters only.")
        measure = self.named(name)
        if not isinstance(data, dict):
            return None
        return (
            None
            if measure is None
            else FeatureDefinition(
                name,
                measure,
                label=self.text(data, "label", path),
                unit=self.choice(data, "unit", path, get_args(Unit), None),
                idea=self.choice(data, "idea", path, get_args(Idea), "other"),
                missing=self.text(data, "missing", path),
            )
        )

    def named(self, name: str) -> Measure | None:
        """The measure of a feature of this mapping, read once."""
        if name in self.reading:
            circle = " → ".join([*self.reading[self.reading.index(name) :], name])
            self.mistake((*self.path, name), f"The definition needs itself: {circle}.")
            return None
        if name not in self.measures:
            self.reading.append(name)
            self.measures[name] = self.measure(self.data[name], (*self.path, name), extra=_WORDS)
            self.reading.pop()
        return self.measures[name]

    def measure(self, data: Any, path: Path, extra: set[str] = frozenset()) -> Measure | None:  # type: ignore[assignment]
        if not isinstance(data, dict):
            self.mistake(path, "A feature is written as {what: of what, …}.", "For example {count: events}.")
            return None
        kinds = [k for k in data if k in _KINDS]
        allowed = _KINDS | _SELECTING | _LIMITS | extra | {"of"}
        for key in data.keys() - allowed:
            self.mistake((*path, key), f"{key!r} is not known here.", nearest(key, allowed))
        if len(kinds) != 1:
            what = "nothing" if not kinds else " and ".join(kinds)
            self.mistake(
                path, f"A feature takes exactly one thing; this one takes {what}.", f"One of {_listed(_KINDS)}."
            )
            return None
        before = len(self.document.mistakes)
        measure = self._of_kind(kinds[0], data, path)
        if measure is None or len(self.document.mistakes) > before or self.known is None:
            return measure
        return self._checked(measure, kinds[0], path)

    def _of_kind(self, kind: str, data: dict[str, Any], path: Path) -> Measure | None:
        value, at = data[kind], (*path, kind)
        if kind != "gap" and "of" in data:
            self.mistake((*path, "of"), "`of` belongs to gap.")
        for key in data.keys() & _LIMITS if kind != "sessions" else ():
            self.mistake((*path, key), f"`{key}` belongs to sessions.")
        match kind:
            case "ratio" | "trait":
                for key in data.keys() & _SELECTING:
                    self.mistake((*path, key), f"{key!r} has no meaning for a {kind}.")
                return self._ratio(value, at) if kind == "ratio" else self._trait(value, at)
            case "sequence":
                for key in data.keys() & {"event", "where"}:
                    self.mistake((*path, key), f"Write {key!r} inside first and then.")
                return self._sequence(value, at, self.window(data, path))
            case "gap":
                statistic = self.choice(data, "gap", path, get_args(Statistic), "mean")
                return Gap(
                    statistic, self.choice(data, "of", path, ("days", "orders"), "days"), self.selection(data, path)
                )
            case "sessions":
                return self._sessions(data, path)
            case "share":
                of = self.where(data, "share", path)
                return None if of is None else Share(of, self.selection(data, path))
            case _:
                return self._aggregate(kind, value, at, self.selection(data, path))

    def _aggregate(self, kind: str, value: Any, at: Path, selection: Selection) -> Measure | None:
        if not isinstance(value, str):
            self.mistake(at, f"{kind} needs a word.", f"Write {kind}: {_FIXED_WORD.get(kind, 'amount')}.")
            return None
        if kind not in COLUMN_KINDS:
            if value != _FIXED_WORD[kind]:
                self.mistake(at, f"{value!r} has no meaning here.", f"Write {kind}: {_FIXED_WORD[kind]}.")
            return Aggregate(kind, "", selection)  # type: ignore[arg-type]
        return Aggregate(kind, value, selection)  # type: ignore[arg-type]

    def _trait(self, value: Any, at: Path) -> Measure | None:
        if not isinstance(value, str):
            self.mistake(at, "trait needs the name of a trait.")
            return None
        column = value if value.startswith("t_") else trait_column(value)
        return Aggregate("last", column, Selection((IDENTIFY,)))

    def _ratio(self, value: Any, at: Path) -> Measure | None:
        if not isinstance(value, list) or len(value) != 2:
            self.mistake(at, "A ratio needs two things.", "Write ratio: [revenue, orders].")
            return None
        if len(at) > 12:
            self.mistake(at, "Ratios are nested too deeply.")
            return None
        sides: list[Measure | None] = []
        for i, side in enumerate(value):
            if not isinstance(side, str):
                sides.append(self.measure(side, (*at, i)))
            elif side in self.data:
                sides.append(self.named(side))
            else:
                self.mistake((*at, i), f"No feature is called {side!r}.", nearest(side, self.data))
                sides.append(None)
        if sides[0] is None or sides[1] is None:
            return None
        names = tuple(s if isinstance(s, str) else "" for s in value)
        return Ratio(sides[0], sides[1], (names[0], names[1]))

    def _sequence(self, value: Any, at: Path, window: Window) -> Measure | None:
        if not isinstance(value, dict) or value.keys() != {"first", "then", "within"}:
            self.mistake(at, "A sequence has three parts: first, then, within.")
            return None
        steps = []
        for key in ("first", "then"):
            data = {"event": value[key]} if isinstance(value[key], str) else value[key]
            if not isinstance(data, dict) or data.keys() - {"event", "where"}:
                self.mistake((*at, key), "A step is an event name or {event: …, where: …}.")
                return None
            steps.append(Step(self.events(data, (*at, key)), self.where(data, "where", (*at, key))))
        within = self.attempt((*at, "within"), lambda: parse_span(str(value["within"])))
        if within is None:
            return None
        if within.amount == 0 or within.calendar or within.unit in ("month", "year"):
            self.mistake(
                (*at, "within"), "The steps of a sequence lie a fixed length apart.", "Write for example 30 days."
            )
            return None
        return Sequence(steps[0], steps[1], within, window)

    def _sessions(self, data: dict[str, Any], path: Path) -> Measure | None:
        fact = self.choice(data, "sessions", path, get_args(SessionFact), "count")
        lengths = {key: self.length(data, key, path) for key in ("pause", "longest") if key in data}
        most = self.number_of_events(data["most"], (*path, "most")) if "most" in data else None
        if None in lengths.values():
            return None
        found = Sessions(fact, self.selection(data, path), most=most, **lengths)  # type: ignore[arg-type]
        if found.pause.nominal_minutes > found.longest.nominal_minutes:
            self.mistake((*path, "pause"), "The pause that ends a session is longer than the longest session.")
        return found

    def length(self, data: dict[str, Any], key: str, path: Path) -> Span | None:
        """How long a pause or a session may be."""
        span = self.attempt((*path, key), lambda: parse_span(str(data[key])))
        if span is None:
            return None
        fixed = span.amount > 0 and not span.calendar and span.unit not in ("month", "year")
        if not fixed or span.nominal_minutes > _LONGEST_PAUSE.nominal_minutes:
            self.mistake(
                (*path, key), f"{key} is a fixed length up to {_LONGEST_PAUSE}.", "Write for example 30 minutes."
            )
            return None
        return span

    def number_of_events(self, value: Any, path: Path) -> int | None:
        """`500 events`, or the number alone."""
        text = str(value).removesuffix("events").strip()
        if not isinstance(value, bool) and text.isascii() and text.isdigit() and 0 < int(text) <= _MOST_EVENTS:
            return int(text)
        self.mistake(path, f"most is a number of events, from 1 to {_MOST_EVENTS}.", "Write for example 500 events.")
        return None

    def _checked(self, measure: Measure, kind: str, path: Path) -> Measure | None:
        """The measure if its columns and types fit; else the mistake at the key whose text it stands in."""
        assert self.known is not None
        try:
            check_measure(measure, self.known)
        except RefusedDefinition as error:
            place = next((p for p in self._texts(path) if self._at(p) == error.text), (*path, kind))
            self.document.refused(place, error)
            return None
        return measure

    def _texts(self, path: Path) -> list[Path]:
        """Paths of all values below `path`."""
        value = self._at(path)
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            return [below for key, _ in items for below in self._texts((*path, key))]
        return [path]

    def _at(self, path: Path) -> Any:
        value: Any = self.data
        for key in path[len(self.path) :]:
            value = value[key]
        return value

    def selection(self, data: dict[str, Any], path: Path) -> Selection:
        return Selection(self.events(data, path), self.where(data, "where", path), self.window(data, path))

    def events(self, data: dict[str, Any], path: Path) -> tuple[str, ...]:
        value = data.get("event")
        names = [] if value is None else value if isinstance(value, list) else [value]
        if not all(isinstance(n, str) and n for n in names) or (value is not None and not names):
            self.mistake((*path, "event"), "event is a name or a list of names.")
            return ()
        return tuple(dict.fromkeys(names))

    def where(self, data: dict[str, Any], key: str, path: Path) -> Where | None:
        text = data.get(key)
        if text is None and key not in data:
            return None
        if not isinstance(text, str):
            self.mistake((*path, key), f"{key} is a condition in quotes.", 'For example "amount > 0".')
            return None
        return self.attempt((*path, key), lambda: Where.parse(text))

    def window(self, data: dict[str, Any], path: Path) -> Window:
        if "within" in data and "between" in data:
            self.mistake((*path, "between"), "A feature has one window: within or between.")
        for key, parse in (("within", parse_within), ("between", parse_between)):
            if key in data:
                text = data[key]
                if not isinstance(text, str):
                    self.mistake((*path, key), f"{key} needs a length with its unit.", "Write for example 30 days.")
                    return EVER
                return self.attempt((*path, key), lambda p=parse, t=text: p(t)) or EVER  # type: ignore[misc]
        return EVER

    def text(self, data: dict[str, Any], key: str, path: Path) -> str:
        value = data.get(key, "")
        if isinstance(value, str) and len(value) <= 200:
            return value
        self.mistake((*path, key), f"{key} is a short text.")
        return ""

    def choice(self, data: dict[str, Any], key: str, path: Path, options: tuple[str, ...], default: Any) -> Any:
        value = data.get(key, default)
        if value == default or value in options:
            return value
        self.mistake((*path, key), f"{value!r} is not a {key}.", nearest(value, options))
        return default

    def attempt(self, path: Path, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except RefusedDefinition as error:
            self.document.refused(path, error)
            return None

    def mistake(self, path: Path, message: str, hint: str = "") -> None:
        self.document.mistake(path, message, hint)


def _listed(words: set[str]) -> str:
    return ", ".join(sorted(words))
