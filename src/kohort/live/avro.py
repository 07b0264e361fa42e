"""Avro values of Kafka records, without a registry: the schema is a file, or comes with the value itself.

Understood are the framing of Confluent's serialisers (a zero byte, the number of the schema, the body), Avro's own framing
of single messages (C3 01, the fingerprint of the schema, the body), and an object container that holds one object.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from kohort.errors import BadInput, MissingExtra

CONFLUENT, SINGLE, CONTAINER = b"\x00", b"\xc3\x01", b"Obj\x01"
MAX_SCHEMA_BYTES = 256 * 1024
_MAX_NESTING = 32
_PRIMITIVE = frozenset(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
_HEADER = {
    "type": "record",
    "name": "header",
    "fields": [
        {"name": "magic", "type": {"type": "fixed", "name": "magic", "size": 4}},
        {"name": "meta", "type": {"type": "map", "values": "bytes"}},
        {"name": "sync", "type": {"type": "fixed", "name": "sync", "size": 16}},
    ],
}


class NotAvro(Exception):
    """The bytes are not an object of the schema."""


def is_avro(value: bytes) -> bool:
    """Whether a value begins like Avro; no JSON does.

    Example:
        >>> is_avro(bytes([0, 0, 0, 0, 1, 2])), is_avro(b'{"type": "track"}')
        (True, False)
    """
    return value.startswith((CONFLUENT, SINGLE, CONTAINER))


@dataclass(frozen=True, slots=True)
class Schemas:
    """The schemas that values may be written with.

    Attributes:
        every: For any number; None = only those that are listed.
        by_number: Number in the framing of Confluent → schema.
        by_fingerprint: CRC-64-AVRO, as the eight bytes of a message → schema.
    """

    every: Any = None
    by_number: Mapping[int, Any] = ()  # type: ignore[assignment]
    by_fingerprint: Mapping[bytes, Any] = ()  # type: ignore[assignment]

    @staticmethod
    def read(path: Path | None) -> Schemas:
        """From a file (`.avsc`), which then stands for every number, or a folder of files named `<number>.avsc`.

        Raises:
            BadInput: A file is no Avro schema, or one that refers to itself.
            MissingExtra: The Avro library is not installed.
        """
        if path is None:
            return Schemas(None, {}, {})
        files = sorted(path.glob("*.avsc")) if path.is_dir() else [path]
        parsed = {file: _of_file(file) for file in files}
        numbers = {int(file.stem): schema for file, schema in parsed.items() if path.is_dir() and file.stem.isdigit()}
        if not parsed:
            raise BadInput("The folder of schemas holds no .avsc file.", code="bad_schema")
        every = None if path.is_dir() else parsed[path]
        return Schemas(every, numbers, {fingerprint(schema): schema for schema in parsed.values()})

    def object_of(self, value: bytes) -> Any:
        """The object that a value holds, with moments, decimals and bytes as Python has them.

        Raises:
            NotAvro: It is none, of another schema, or of one that is not known here.
        """
        if value.startswith(CONTAINER):
            return _contained(value)
        if value.startswith(SINGLE):
            schema, body = self.by_fingerprint.get(value[2:10]), value[10:]
        else:
            schema, body = self.by_number.get(int.from_bytes(value[1:5], "big"), self.every), value[5:]
        if schema is None:
            raise NotAvro
        return _decoded(body, schema)


def encoded(value: Mapping[str, Any], schema: Any) -> bytes:
    """A value in Avro's own framing of single messages: whoever has the schema can read it, without a registry.

    Args:
        schema: As `parsed` gives it.
    """
    import fastavro

    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, dict(value))
    return SINGLE + fingerprint(schema) + body.getvalue()


def parsed(text: str | bytes) -> Any:
    """A schema from its JSON text.

    Raises:
        BadInput: It is no schema, too large or too deep, or refers to itself: a value of a few bytes could then be nested
            so deeply that reading it ends the process.
        MissingExtra: The Avro library is not installed.
    """
    try:
        import fastavro
    except ImportError as error:
        raise MissingExtra("kafka", "Reading Avro") from error
    try:
        if len(text) > MAX_SCHEMA_BYTES:
            raise ValueError("too large")
        written = json.loads(text)
        _check(written, {}, 0)
        return fastavro.parse_schema(written)
    except Exception as error:  # the library raises errors of many kinds, RecursionError among them
        raise BadInput("This is no Avro schema that can be read.", code="bad_schema") from error


def fingerprint(schema: Any) -> bytes:
    """The fingerprint of a schema as it stands in a message."""
    import fastavro.schema

    found = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return bytes.fromhex(found)


def _of_file(file: Path) -> Any:
    try:
        return parsed(file.read_bytes())
    except OSError as error:
        raise BadInput("The schema cannot be read.", place=file.name, code="bad_schema") from error


@lru_cache(maxsize=64)
def _embedded(text: bytes) -> Any:
    return parsed(text)


def _contained(value: bytes) -> Any:
    """The only object of a container. Packed ones are refused: Kafka packs for itself, and a small one could be endless."""
    import fastavro

    file = io.BytesIO(value)
    try:
        header: Any = fastavro.schemaless_reader(file, _header(), None)
        meta = header["meta"]
        if meta.get("avro.codec", b"null") != b"null":
            raise NotAvro
        count, size = _long(file), _long(file)
        body = file.read(max(0, size))
        if count != 1 or len(body) != size or file.read() != header["sync"]:
            raise NotAvro
        return _decoded(body, _embedded(meta["avro.schema"]))
    except NotAvro:
        raise
    except Exception as error:
        raise NotAvro from error


@lru_cache(maxsize=1)
def _header() -> Any:
    import fastavro

    return fastavro.parse_schema(_HEADER)


def _long(file: io.BytesIO) -> int:
    import fastavro

    found: Any = fastavro.schemaless_reader(file, "long", None)
    return int(found)


def _decoded(body: bytes, schema: Any) -> Any:
    import fastavro

    file = io.BytesIO(body)
    try:
        found: Any = fastavro.schemaless_reader(file, schema, None)
    except Exception as error:  # whatever the library meets in bytes of another schema
        raise NotAvro from error
    if file.tell() != len(body):
        raise NotAvro  # bytes are left: it was written with another schema
    return _simple(found)


def _simple(value: Any) -> Any:
    """What no JSON has and `arrival_of_value` does not know of, as text."""
    if isinstance(value, Mapping):
        return {name: _simple(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_simple(item) for item in value]
    return str(value) if isinstance(value, UUID | time) else value


def _check(schema: Any, names: dict[str, Any], depth: int, space: str = "") -> bool:
    """Whether objects of a schema take at least a byte.

    Raises:
        ValueError: It nests too deeply, refers to itself or to what it does not define, or has lists of nothing: a few bytes
            would be billions of items.
    """
    if depth > _MAX_NESTING:
        raise ValueError("too deep")
    if isinstance(schema, list):
        return bool([_check(item, names, depth + 1, space) for item in schema])
    if isinstance(schema, str):
        return _named(schema, names, space)
    kind = schema["type"]
    if kind in ("array", "map"):
        if not _check(schema["items" if kind == "array" else "values"], names, depth + 1, space) and kind == "array":
            raise ValueError("lists of nothing")
        return True
    if kind not in ("record", "error", "enum", "fixed"):
        return _check(kind, names, depth + 1, space)
    space, full = _full(schema, space)
    names[full] = None  # while it is being read
    sizes = [_check(field["type"], names, depth + 1, space) for field in schema.get("fields", ())]
    names[full] = any(sizes) if kind in ("record", "error") else kind == "enum" or schema["size"] > 0
    return bool(names[full])


def _named(name: str, names: Mapping[str, Any], space: str) -> bool:
    if name in _PRIMITIVE:
        return name != "null"
    for full in _spellings(name, space):
        if full in names:
            if names[full] is None:
                raise ValueError("refers to itself")
            return bool(names[full])
    raise ValueError("unknown name")


def _spellings(name: str, space: str) -> Iterator[str]:
    if "." not in name and space:
        yield f"{space}.{name}"
    yield name


def _full(schema: Mapping[str, Any], space: str) -> tuple[str, str]:
    """The name space that a type opens, and its full name."""
    name = schema["name"]
    if "." in name:
        return name.rpartition(".")[0], name
    space = schema.get("namespace", space)
    return space, f"{space}.{name}" if space else name
