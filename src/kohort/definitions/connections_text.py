"""The text form of connections: `connections:` in `kohort.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, get_args
from urllib.parse import urlsplit

from kohort.definitions.destinations_text import VARIABLE, Values, is_local
from kohort.definitions.sources_text import text_map
from kohort.definitions.windows import Span
from kohort.definitions.yaml_text import Document, Path, nearest
from kohort.model.connection import Auth, Connection, Pages, PagesBy, Since, SinceForm

MOST_CONNECTIONS = 100
FILE_SCHEMES = ("file", "s3", "gs", "az", "abfs", "abfss", "sftp")
_KEYS = ("source", "rest", "params", "records", "auth", "pages", "url_env", "table", "files", "since", "per_minute")
_BELONGS = {"rest": ("params", "records", "auth", "pages", "per_minute"), "table": ("url_env",), "files": ()}
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}(\.[A-Za-z_][A-Za-z0-9_$]{0,127})?")
_PATH = re.compile(r"[A-Za-z_@$][\w@$-]{0,99}(\.[A-Za-z_@$][\w@$-]{0,99}){0,9}")
_PARAM = re.compile(r"[\w.\[\]$-]{1,100}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_USUAL = Span(10, "minute")
_AN_AUTH = "For example {bearer_env: SHOP_TOKEN}."
_SOME_PAGES = "For example {by: cursor, path: meta.next, param: cursor}, or none."
_NEEDED: dict[PagesBy, tuple[str, ...]] = {
    "none": (),
    "header": (),
    "link": ("path",),
    "cursor": ("path", "param"),
    "page": ("param",),
    "offset": ("param", "size_param"),
}


def read_connections(document: Document, data: Any) -> tuple[Connection, ...]:
    """Connections from `connections:`; mistakes go to the document."""
    return (reader := _Connections(document)).named(data, "connections", MOST_CONNECTIONS, reader.connection)


def write_connections(connections: Iterable[Connection]) -> dict[str, Any]:
    """The inverse of `read_connections`: only what is not implied."""
    return {c.name: _written(c) for c in connections}


def _written(c: Connection) -> dict[str, Any]:
    body: dict[str, Any] = {k: v for k in ("rest", "url_env", "table", "files", "records") if (v := getattr(c, k))}
    if c.source != c.name:
        body["source"] = c.source
    if c.params:
        body["params"] = dict(c.params)
    if c.auth != Auth():
        body["auth"] = {f.name: v for f in fields(Auth) if (v := getattr(c.auth, f.name))}
    if c.rest:
        body["pages"] = "none" if c.pages == Pages() else _differing(c.pages, Pages())
    if c.since is not None:
        body["since"] = _differing(c.since, Since(""))
        if "overlap_s" in body["since"]:
            body["since"]["overlap"] = f"{body['since'].pop('overlap_s') // 60} minutes"
    if c.per_minute:
        body["per_minute"] = c.per_minute
    return body


def _differing(value: Any, default: Any) -> dict[str, Any]:
    return {f.name: v for f in fields(value) if (v := getattr(value, f.name)) != getattr(default, f.name)}


class _Connections(Values):
    """Reads `connections:`."""

    def connection(self, name: str, data: Any, path: Path) -> Connection:
        self.known_keys(data, path, _KEYS)
        kinds = [kind for kind in _BELONGS if kind in data]
        if len(kinds) != 1:
            self.mistake(
                path, "A connection has exactly one of rest, table and files.", "For example {rest: https://…}."
            )
        for key, kind in ((key, kind) for kind, keys in _BELONGS.items() for key in keys):
            if key in data and kinds and kind not in kinds:
                self.mistake((*path, key), f"{key} belongs to a connection with {kind}.")
        if "files" in data and "since" in data:
            self.mistake((*path, "since"), "since belongs to a connection with rest or table.")
        if "table" in data and "url_env" not in data:
            message = "Say which environment variable holds the address of the database."
            self.mistake(path, message, "For example url_env: CRM_DATABASE_URL.")
        rest = self._address(data["rest"], (*path, "rest")) if "rest" in data else ""
        return Connection(
            name,
            self._text(data, "source", path) or name,
            rest,
            tuple(text_map(self.document, data.get("params"), (*path, "params")).items()),
            self._dotted(data, "records", path),
            self._auth(data.get("auth"), (*path, "auth")) if "auth" in data else Auth(),
            self._pages(data.get("pages"), (*path, "pages")) if rest else Pages(),
            self._variable(data, "url_env", path),
            self.matching(data, "table", path, _TABLE, what="table or schema.table", example="public.customers"),
            self._objects(data["files"], (*path, "files")) if "files" in data else "",
            self._since(data["since"], (*path, "since"), rest=bool(rest)) if "since" in data else None,
            self.whole(data, "per_minute", path, 0, most=100_000, least=0),
        )

    def _auth(self, data: Any, path: Path) -> Auth:
        known = tuple(f.name for f in fields(Auth))
        if not isinstance(data, dict):
            self.mistake(path, "auth is written as {…}.", _AN_AUTH)
            return Auth()
        self.known_keys(data, path, known)
        ways = [w for w in (("bearer_env",), ("user", "password_env"), ("header", "value_env")) if set(w) & data.keys()]
        if len(ways) != 1 or not set(ways[0]) <= data.keys():
            message = "auth has a bearer_env, or a user with a password_env, or a header with a value_env."
            self.mistake(path, message, _AN_AUTH)
        return Auth(
            self._variable(data, "bearer_env", path),
            self._text(data, "user", path),
            self._variable(data, "password_env", path),
            self.matching(data, "header", path, _HEADER, what="the name of a header", example="X-Api-Key"),
            self._variable(data, "value_env", path),
        )

    def _pages(self, data: Any, path: Path) -> Pages:
        if data is None:
            # Guessing would lose everything behind the first page without a word.
            self.mistake(path[:-1], "Say how the API cuts its rows into pages.", f"pages: {_SOME_PAGES}")
            return Pages()
        if isinstance(data, str):
            data = {"by": data}
        if not isinstance(data, dict):
            self.mistake(path, "pages is written as {by: …}.", _SOME_PAGES)
            return Pages()
        self.known_keys(data, path, [f.name for f in fields(Pages)])
        by: PagesBy = self.choice(data, "by", path, get_args(PagesBy), "none")
        for key in _NEEDED[by]:
            if not data.get(key):
                self.mistake(path, f"Pages by {by} need a {key}.", _SOME_PAGES)
        names = {"what": "the name of a parameter", "example": "page"}
        return Pages(
            by,
            self._dotted(data, "path", path),
            self.matching(data, "param", path, _PARAM, **names),
            self.matching(data, "size_param", path, _PARAM, **names),
            self.whole(data, "size", path, 100, most=100_000),
            self.whole(data, "first", path, 1, most=1, least=0),
        )

    def _since(self, data: Any, path: Path, *, rest: bool) -> Since | None:
        if isinstance(data, str):
            data = {"column": data}
        if not isinstance(data, dict):
            self.mistake(path, "since is written as {column: …}.", "For example {column: updated_at}.")
            return None
        self.known_keys(data, path, ("column", "param", "form", "overlap", "ascending"))
        column = self._text(data, "column", path)
        if not column:
            self.mistake(path, "since needs a column.", "For example column: updated_at.")
        if rest and not data.get("param"):
            self.mistake(
                path, "since needs the parameter of the API that takes it.", "For example param: updated_after."
            )
        for key in ("param", "form", "ascending"):
            if key in data and not rest:
                self.mistake((*path, key), f"{key} belongs to a connection with rest.")
        overlap = self.span(data, "overlap", path, _USUAL) if data.get("overlap") != "0 minutes" else Span(0, "minute")
        return Since(
            column,
            self.matching(data, "param", path, _PARAM, what="the name of a parameter", example="updated_after"),
            self.choice(data, "form", path, get_args(SinceForm), "iso"),
            overlap.amount * _SECONDS.get(overlap.unit, 60),
            self.flag(data, "ascending", path),
        )

    def _address(self, value: Any, path: Path) -> str:
        example = "For example https://api.example.com/v1/orders."
        try:
            parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
            host, _port = parts.hostname, parts.port
        except ValueError:
            self.mistake(path, "This is not an address.", example)
            return ""
        if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value or not host:
            self.mistake(path, "rest is an address in plain letters.", example)
        elif parts.scheme not in ("https", "http"):
            self.mistake(path, "rest begins with https:// or http://.", example)
        elif parts.username is not None or parts.password is not None:
            self.mistake(path, "No name and no password stand in the address.", _AN_AUTH)
        elif parts.query or parts.fragment:
            self.mistake(path, "What follows ? belongs under params.", "For example params: {status: paid}.")
        elif parts.scheme == "http" and not is_local(host):
            self.mistake(path, "http sends customers' data for everybody on the way to read.", "Use https.")
        return str(value)

    def _objects(self, value: Any, path: Path) -> str:
        parts = urlsplit(value) if isinstance(value, str) and value.isprintable() else None
        if parts is None or parts.scheme not in FILE_SCHEMES:
            hint = nearest(parts.scheme if parts else "", FILE_SCHEMES)
            self.mistake(path, "files is an address of objects.", hint or "For example s3://bucket/events/*.csv.gz.")
            return ""
        if parts.password is not None:
            self.mistake(path, "No password stands in the address.", "The store's own environment variables hold it.")
        return str(value)

    def _variable(self, data: dict[str, Any], key: str, path: Path) -> str:
        return self.matching(
            data, key, path, VARIABLE, what="the name of an environment variable", example="SHOP_TOKEN"
        )

    def _dotted(self, data: dict[str, Any], key: str, path: Path) -> str:
        return self.matching(data, key, path, _PATH, what="a path of names with dots", example="data.items")

    def _text(self, data: dict[str, Any], key: str, path: Path) -> str:
        value = data.get(key, "")
        if not isinstance(value, str) or len(value) > 200:
            self.mistake((*path, key), f"{key} is a text.")
            return ""
        return value
