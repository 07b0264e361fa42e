"""How files are read, as it stands under `sources:` in `kohort.yaml`; and the plain values that other keys share."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Literal, get_args

from kohort.definitions.yaml_text import Document, Path, nearest
from kohort.model.channels import CHANNELS, Channel
from kohort.model.event import ColumnType
from kohort.model.source import IDENTITY_KINDS, ROLES, CsvFormat, SourceKind, SourceMapping


def read_mappings(document: Document, data: Any) -> tuple[SourceMapping, ...]:
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
    kind: SourceKind = choice(document, data, (*path, "kind"), get_args(SourceKind), "orders", needed=True)
    columns = text_map(document, data.get("columns"), (*path, "columns"))
    for role in columns:
        if role not in ROLES[kind]:
            document.mistake((*path, "columns", role), f"{role!r} is not a role.", nearest(role, ROLES[kind]))
    properties = text_map(document, data.get("properties"), (*path, "properties"))
    types: dict[str, ColumnType] = {
        column: choice(document, properties, (*path, "properties", column), get_args(ColumnType), "text")
        for column in properties
    }
    identities = text_map(document, data.get("identities"), (*path, "identities"))
    for column in identities:
        choice(document, identities, (*path, "identities", column), IDENTITY_KINDS, "email")
    day_first = data.get("day_first")
    if day_first is not None and not isinstance(day_first, bool):
        document.mistake((*path, "day_first"), "day_first is true or false.")
    return SourceMapping(
        name=name,
        kind=kind,
        columns=columns,
        properties=types,
        identities=identities,
        ignored=text_map(document, data.get("ignored"), (*path, "ignored")),
        time_format=text_value(document, data, (*path, "time_format"), ""),
        day_first=day_first,
        zone=text_value(document, data, (*path, "zone"), ""),
        currency=text_value(document, data, (*path, "currency"), ""),
        event=text_value(document, data, (*path, "event"), ""),
        sheet=text_value(document, data, (*path, "sheet"), ""),
        channel=_channel(document, data, (*path, "channel"), kind),
        csv=_csv(document, data.get("csv"), (*path, "csv")),
    )


def _channel(document: Document, data: dict[str, Any], path: Path, kind: SourceKind) -> Channel | Literal[""]:
    found: Channel | Literal[""] = choice(document, data, path, ("", *CHANNELS), "")
    if found and kind != "events":
        document.mistake(path, "channel gives events their names; it belongs to sources of events.", "Take it out.")
    return found


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


def text_value(document: Document, data: dict[str, Any], path: Path, default: str, *, needed: bool = False) -> str:
    value = data.get(str(path[-1]), default)
    if isinstance(value, str) and (value or not needed) and len(value) <= 1_000:
        return value
    document.mistake(path, f"{path[-1]} is needed." if value in ("", None) else f"{path[-1]} is a text.")
    return default


def choice(
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


def text_map(document: Document, data: Any, path: Path) -> dict[str, str]:
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


def write_source(source: SourceMapping) -> dict[str, Any]:
    """Only what differs from the default, in the order of the class."""
    written: dict[str, Any] = {}
    for f in fields(SourceMapping):
        value = getattr(source, f.name)
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if f.name == "name" or value == default:
            continue
        written[f.name] = {c.name: getattr(value, c.name) for c in fields(CsvFormat)} if f.name == "csv" else value
    return written
