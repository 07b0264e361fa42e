"""`kohort.yaml`: everything a workspace was told, as text that people read, edit and keep in version control."""

from __future__ import annotations

import os
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path as FilePath
from typing import Any, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from kohort.definitions.features import FeatureDefinition
from kohort.definitions.features_text import read_features, write_features
from kohort.definitions.yaml_text import LARGEST, Document, Path, nearest, read_yaml, write_yaml
from kohort.errors import NoWorkspace, RefusedDefinition, UnreadableFile
from kohort.model.event import ColumnType
from kohort.model.source import IDENTITY_KINDS, ROLES, CsvFormat, SourceKind, SourceMapping

FILE_NAME = "kohort.yaml"
BUSINESS = ("auto", "shop", "subscription", "b2b", "traits")
_MOST_BUCKETS = 4_096

BUCKETS = 16
"""Customer buckets where nothing is said: 60,000 customers of a million share one, a scan opens few files."""


@dataclass(frozen=True, slots=True)
class WorkspaceConfig:
    """What `kohort.yaml` says.

    Attributes:
        name: Name of the workspace.
        timezone: IANA zone in which days, hours and calendar months are counted.
        currency: ISO 4217 code that all money is converted to.
        business: Which default features fit; auto = decide from the data.
        buckets: Number of customer buckets of the event log; fixed once data is in.
        sources: How files are read.
        controls: Product code → kind of line, over the built-in table.
        features: Own features; empty = the default set.
    """

    name: str
    timezone: str = "UTC"
    currency: str = "EUR"
    business: str = "auto"
    buckets: int = BUCKETS
    sources: tuple[SourceMapping, ...] = ()
    controls: dict[str, str] = field(default_factory=dict)
    features: tuple[FeatureDefinition, ...] = ()

    def columns(self) -> dict[str, ColumnType]:
        """The columns that the sources declare: `p_…` for events and orders, `t_…` for customers."""
        return declared_columns(self.sources)


def declared_columns(sources: tuple[SourceMapping, ...]) -> dict[str, ColumnType]:
    """Full column name → type of every property and trait that the sources declare."""
    return {column: kind for s in sources for column, kind in s.stored_columns().items()}


def load(path: str | FilePath) -> WorkspaceConfig:
    """Read `kohort.yaml`.

    Args:
        path: The file, or the folder it is in.

    Raises:
        NoWorkspace: There is no such file.
        UnreadableFile: It cannot be read as UTF-8 text.
        RefusedDefinition: With every mistake of the file, its line and key.
    """
    file = FilePath(path)
    file = file / FILE_NAME if file.is_dir() else file
    try:
        if file.stat().st_size > 4 * LARGEST:
            raise RefusedDefinition(
                f"{FILE_NAME} is larger than {LARGEST // 1024} KB.",
                hint="It holds definitions, not data.",
                code="too_large",
            )
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise NoWorkspace(f"There is no {FILE_NAME} here.", hint="Make a workspace with: kohort init") from error
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{FILE_NAME} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise UnreadableFile(f"{FILE_NAME} cannot be read.", hint=error.strerror or "") from error
    return parse(text)


def save(config: WorkspaceConfig, path: str | FilePath) -> None:
    """Write `kohort.yaml`, all or nothing: a reader sees the old text or the new one. A folder stands for its file."""
    file = FilePath(path)
    file = file / FILE_NAME if file.is_dir() else file
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8") as out:
            out.write(write(config))
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def write(config: WorkspaceConfig) -> str:
    """The text of a configuration; `parse` reads it back to an equal value."""
    data: dict[str, Any] = {
        "name": config.name,
        "timezone": config.timezone,
        "currency": config.currency,
        "business": config.business,
        "buckets": config.buckets,
    }
    if config.controls:
        data["controls"] = dict(config.controls)
    if config.sources:
        data["sources"] = {s.name: _write_source(s) for s in config.sources}
    if config.features:
        data["features"] = write_features(config.features)
    return write_yaml(data)


def parse(text: str) -> WorkspaceConfig:
    """Read the text of a `kohort.yaml`.

    Raises:
        RefusedDefinition: With every mistake, its line and key.

    Example:
        >>> parse("name: Toys").currency
        'EUR'
    """
    document = read_yaml(text, FILE_NAME)
    data = document.data if document.data is not None else {}
    if not isinstance(data, dict):
        document.mistake((), "The file is written as key: value.")
        document.finish()
    known = [f.name for f in fields(WorkspaceConfig)]
    for key in data.keys() - set(known):
        document.mistake((key,), f"{key!r} is not known here.", nearest(key, known))
    sources = _sources(document, data.get("sources"))
    config = WorkspaceConfig(
        name=_text(document, data, ("name",), "", needed=True),
        timezone=_zone(document, data),
        currency=_currency(document, data),
        business=_choice(document, data, ("business",), BUSINESS, "auto"),
        buckets=_buckets(document, data),
        sources=sources,
        controls=_text_map(document, data.get("controls"), ("controls",)),
        features=read_features(document, data.get("features"), ("features",), declared_columns(sources)),
    )
    document.finish()
    return config


def _zone(document: Document, data: dict[str, Any]) -> str:
    zone = _text(document, data, ("timezone",), "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # Listing all zones reads the disk: only for the hint.
        near = nearest(zone, available_timezones())
        hint = near if near.startswith("Did") else "Write for example Europe/London."
        document.mistake(("timezone",), f"{zone!r} is not a time zone.", hint)
        return "UTC"
    return zone


def _currency(document: Document, data: dict[str, Any]) -> str:
    currency = _text(document, data, ("currency",), "EUR")
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        document.mistake(("currency",), f"{currency!r} is not a currency code.", "Write three capitals: GBP.")
    return currency


def _buckets(document: Document, data: dict[str, Any]) -> int:
    value = data.get("buckets", BUCKETS)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_BUCKETS:
        document.mistake(("buckets",), f"buckets is a whole number from 1 to {_MOST_BUCKETS}.")
        return BUCKETS
    return value


def _sources(document: Document, data: Any) -> tuple[SourceMapping, ...]:
    if data is None:
        return ()
    if not isinstance(data, dict):
        document.mistake(("sources",), "Sources are written as name: {kind: …, columns: …}.")
        return ()
    found = (_source(document, name, data[name], ("sources", name)) for name in data)
    return tuple(s for s in found if s is not None)


def _source(document: Document, name: str, data: Any, path: Path) -> SourceMapping | None:
    if not isinstance(data, dict):
        document.mistake(path, "A source is written as {kind: …, columns: …}.")
        return None
    known = [f.name for f in fields(SourceMapping) if f.name != "name"]
    for key in data.keys() - set(known):
        document.mistake((*path, key), f"{key!r} is not known here.", nearest(key, known))
    kind: SourceKind = _choice(document, data, (*path, "kind"), get_args(SourceKind), "orders", needed=True)
    columns = _text_map(document, data.get("columns"), (*path, "columns"))
    for role in columns:
        if role not in ROLES[kind]:
            document.mistake((*path, "columns", role), f"{role!r} is not a role.", nearest(role, ROLES[kind]))
    properties = _text_map(document, data.get("properties"), (*path, "properties"))
    types: dict[str, ColumnType] = {
        column: _choice(document, properties, (*path, "properties", column), get_args(ColumnType), "text")
        for column in properties
    }
    identities = _text_map(document, data.get("identities"), (*path, "identities"))
    for column in identities:
        _choice(document, identities, (*path, "identities", column), IDENTITY_KINDS, "email")
    day_first = data.get("day_first")
    if day_first is not None and not isinstance(day_first, bool):
        document.mistake((*path, "day_first"), "day_first is true or false.")
    return SourceMapping(
        name=name,
        kind=kind,
        columns=columns,
        properties=types,
        identities=identities,
        ignored=_text_map(document, data.get("ignored"), (*path, "ignored")),
        time_format=_text(document, data, (*path, "time_format"), ""),
        day_first=day_first,
        zone=_text(document, data, (*path, "zone"), ""),
        currency=_text(document, data, (*path, "currency"), ""),
        event=_text(document, data, (*path, "event"), ""),
        sheet=_text(document, data, (*path, "sheet"), ""),
        csv=_csv(document, data.get("csv"), (*path, "csv")),
    )


def _csv(document: Document, data: Any, path: Path) -> CsvFormat | None:
    if data is None:
        return None
    if not isinstance(data, dict):
        document.mistake(path, "csv is written as {encoding: …, delimiter: …}.")
        return None
    values: dict[str, Any] = {}
    for f in fields(CsvFormat):
        value = data.get(f.name, f.default)
        if type(value) is not type(f.default) or (f.name == "decimal" and value not in (".", ",")):
            document.mistake((*path, f.name), f"{f.name} has a value that does not fit.", f"For example {f.default!r}.")
            value = f.default
        values[f.name] = value
    for key in data.keys() - values.keys():
        document.mistake((*path, key), f"{key!r} is not known here.", nearest(key, values))
    return CsvFormat(**values)


def _text(document: Document, data: dict[str, Any], path: Path, default: str, *, needed: bool = False) -> str:
    value = data.get(str(path[-1]), default)
    if isinstance(value, str) and (value or not needed) and len(value) <= 1_000:
        return value
    document.mistake(path, f"{path[-1]} is needed." if value in ("", None) else f"{path[-1]} is a text.")
    return default


def _choice(
    document: Document,
    data: dict[str, Any],
    path: Path,
    options: tuple[str, ...],
    default: str,
    *,
    needed: bool = False,
) -> Any:
    value = data.get(str(path[-1]), "" if needed else default)
    if value in options:
        return value
    document.mistake(
        path, f"{path[-1]} cannot be {value!r}." if value else f"{path[-1]} is needed.", nearest(value, options)
    )
    return default


def _text_map(document: Document, data: Any, path: Path) -> dict[str, str]:
    """Name → text. Numbers and flags are taken as what was written, so that a column called 2011 needs no quotes."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        document.mistake(path, f"{path[-1]} is written as name: value.")
        return {}
    found: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, dict | list) or value is None:
            document.mistake((*path, key), f"{key} is a text.")
        else:
            found[key] = (
                value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
            )
    return found


def _write_source(source: SourceMapping) -> dict[str, Any]:
    """Only what differs from the default, in the order of the class."""
    written: dict[str, Any] = {}
    for f in fields(SourceMapping):
        value = getattr(source, f.name)
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if f.name == "name" or value == default:
            continue
        written[f.name] = {c.name: getattr(value, c.name) for c in fields(CsvFormat)} if f.name == "csv" else value
    return written
