"""The text form of destinations, and what readers of destinations and triggers share."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

from kohort.definitions.segments_reading import folded, usable_name
from kohort.definitions.triggers import FIXED_UNITS, Destination, Format, Shape
from kohort.definitions.windows import Span, parse_span
from kohort.definitions.yaml_text import Document, Path, nearest
from kohort.errors import RefusedDefinition
from kohort.model.source import IDENTITY_KINDS

T = TypeVar("T")
MOST_DESTINATIONS = 50
LONGEST_NAME = 40
STREAM = "stream"
_KEYS = ("webhook", "kafka", "secret_env", "servers", "shape", "format", "identifiers", "at_once", "per_second")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SERVERS = re.compile(r"[A-Za-z0-9.\-\[\]:_]+:\d{1,5}(,[A-Za-z0-9.\-\[\]:_]+:\d{1,5})*")


def read_destinations(document: Document, data: Any) -> tuple[Destination, ...]:
    """Destinations from `destinations:`; mistakes go to the document."""
    return (reader := _Destinations(document)).named(data, "destinations", MOST_DESTINATIONS, reader.destination)


def write_destinations(destinations: Iterable[Destination]) -> dict[str, Any]:
    """The inverse of `read_destinations`: only what is not implied."""
    written = {}
    for d in destinations:
        body: dict[str, Any] = {"webhook": d.url, "secret_env": d.secret_env} if d.url else {"kafka": d.topic}
        more = {"servers": d.servers, "identifiers": list(d.identifiers)}
        body |= {k: v for k, v in more.items() if v}
        default = Destination("")
        body |= {
            k: v for k in ("shape", "format", "at_once", "per_second") if (v := getattr(d, k)) != getattr(default, k)
        }
        written[d.name] = body
    return written


class Values:
    """Reads the values of one section; every mistake is noted where it stands."""

    def __init__(self, document: Document) -> None:
        self.document = document

    def named(self, data: Any, what: str, most: int, read: Callable[[str, Any, Path], T]) -> tuple[T, ...]:
        if data is None:
            return ()
        if not isinstance(data, dict):
            self.mistake((what,), f"{what} are written as name: {{…}}.")
            return ()
        if len(data) > most:
            self.mistake((what,), f"There can be {most} {what} at most.")
            return ()
        found, seen = [], dict[str, str]()
        for name, body in data.items():
            path = (what, name)
            before = len(self.document.mistakes)
            if not usable_name(name) or len(name) > LONGEST_NAME:
                hint = f"Use letters, digits, spaces, - and _ ({LONGEST_NAME} at most)."
                self.mistake(path, f"{name!r} is not a usable name.", hint)
            if (twin := seen.setdefault(folded(name), name)) != name:
                self.mistake(path, f"{name!r} and {twin!r} differ by large and small letters only.")
            if not isinstance(body, dict):
                self.mistake(path, f"{name} is written as {{…}}.")
                continue
            one = read(name, body, path)
            if len(self.document.mistakes) == before:
                found.append(one)
        return tuple(found)

    # Values -----------------------------------------------------------------------------------------------------------

    def span(self, body: dict[str, Any], key: str, path: Path, default: Span, *, fixed: bool = True) -> Span:
        if key not in body:
            return default
        value, at = body[key], (*path, key)
        if not isinstance(value, str):
            self.mistake(at, f"{key} needs a length with its unit.", f"Write for example {default}.")
            return default
        span = self.attempt(at, lambda: parse_span(value))
        if span is None:
            return default
        return self.fixed(span, at) if fixed else self.positive(span, at)

    def fixed(self, span: Span, path: Path) -> Span:
        if span.unit not in FIXED_UNITS or span.calendar:
            self.mistake(path, f"{span} is not always the same length.", "Use minutes, hours, days or weeks.")
            return Span(1, "day")
        return self.positive(span, path)

    def positive(self, span: Span, path: Path) -> Span:
        if span.amount == 0 or span.calendar:
            self.mistake(path, "This length is not possible here.", "Write for example 14 days.")
        return span

    def attempt(self, path: Path, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except RefusedDefinition as error:
            # Its place is one in the length alone, which may stand in a longer text.
            self.document.mistake(path, error.message, error.hint, code=error.code)
            return None

    def matching(
        self, data: dict[str, Any], key: str, path: Path, pattern: re.Pattern[str], *, what: str, example: str
    ) -> str:
        value = data.get(key, "")
        if key in data and not (isinstance(value, str) and pattern.fullmatch(value)):
            self.mistake((*path, key), f"{key} is {what}.", f"For example {example}.")
            return ""
        return str(value)

    def choice(self, data: dict[str, Any], key: str, path: Path, options: tuple[Any, ...], default: Any) -> Any:
        value = data.get(key, default)
        if value not in options:
            self.mistake((*path, key), f"{key} cannot be {value!r}.", nearest(value, options))
            return default
        return value

    def texts(self, data: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
        value = data.get(key, [])
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(v, str) for v in listed):
            self.mistake((*path, key), f"{key} is a name, or a list of names.")
            return ()
        return tuple(listed)

    def whole(self, data: dict[str, Any], key: str, path: Path, default: int, *, most: int, least: int = 1) -> int:
        value = data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.mistake((*path, key), f"{key} is a whole number from {least} to {most:,}.")
            return default
        return value

    def flag(self, data: dict[str, Any], key: str, path: Path) -> bool:
        value = data.get(key, False)
        if not isinstance(value, bool):
            self.mistake((*path, key), f"{key} is true or false.")
        return value is True

    def known_keys(self, data: dict[str, Any], path: Path, known: Iterable[str]) -> None:
        for key in data.keys() - set(known):
            self.document.mistake((*path, key), f"{key!r} is not known here.", nearest(key, known), at_key=True)

    def mistake(self, path: Path, message: str, hint: str = "") -> None:
        self.document.mistake(path, message, hint)


class _Destinations(Values):
    """Reads `destinations:`."""

    def destination(self, name: str, data: Any, path: Path) -> Destination:
        self.known_keys(data, path, _KEYS)
        if name == STREAM:
            self.mistake(path, "The stream is there without being defined.", "Choose another name.")
        if ("webhook" in data) == ("kafka" in data):
            self.mistake(path, "A destination is a webhook or a Kafka topic.", "For example {webhook: https://…}.")
        url = self.url(data["webhook"], (*path, "webhook")) if "webhook" in data else ""
        secret = self.matching(
            data, "secret_env", path, VARIABLE, what="the name of an environment variable", example="CRM_SECRET"
        )
        if url and not secret and "secret_env" not in data:
            message = "A webhook is signed: say which environment variable holds its secret."
            self.mistake(path, message, f"For example secret_env: {re.sub('[^A-Z0-9]', '_', name.upper())}_SECRET.")
        topic = self.matching(data, "kafka", path, _TOPIC, what="the name of a topic", example="kohort.changes")
        servers = self.matching(
            data, "servers", path, _SERVERS, what="host:port, with commas between", example="kafka:9092"
        )
        if "kafka" in data and "servers" not in data:
            self.mistake(path, "Say where Kafka is.", "For example servers: kafka:9092.")
        for key, needs in (("servers", "kafka"), ("format", "kafka"), ("secret_env", "webhook")):
            if key in data and needs not in data:
                self.mistake((*path, key), f"{key} belongs to a destination with {needs}.")
        return Destination(
            name,
            url,
            secret,
            topic,
            servers,
            self.choice(data, "shape", path, get_args(Shape), "plain"),
            self.choice(data, "format", path, get_args(Format), "json"),
            self.identifiers(data, path),
            self.whole(data, "at_once", path, 4, most=64),
            self.whole(data, "per_second", path, 50, most=1_000),
        )

    def url(self, value: Any, path: Path) -> str:
        example = "For example https://crm.example.com/hooks/kohort."
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
            self.mistake(path, "A webhook is an address in plain letters.", example)
            return ""
        try:
            parts = urlsplit(value)
            host, _port = parts.hostname, parts.port
        except ValueError:
            self.mistake(path, "This is not an address.", example)
            return ""
        if parts.scheme not in ("https", "http") or not host:
            self.mistake(path, "A webhook begins with https:// or http://.", example)
        elif parts.username is not None or parts.password is not None:
            self.mistake(path, "No name and no password stand in the address.", "Deliveries are signed.")
        elif parts.fragment:
            self.mistake(path, "What follows # is never sent.", "Take it out.")
        elif parts.scheme == "http" and not is_local(host):
            self.mistake(path, "http sends customer numbers for everybody on the way to read.", "Use https.")
        return value

    def identifiers(self, data: dict[str, Any], path: Path) -> tuple[str, ...]:
        kinds = self.texts(data, "identifiers", path)
        for kind in kinds:
            if kind not in IDENTITY_KINDS:
                self.mistake((*path, "identifiers"), f"{kind!r} is no identifier.", nearest(kind, IDENTITY_KINDS))
        return kinds


def is_local(host: str) -> bool:
    """Whether an address is one of a network of one's own, where nobody else reads along."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host
