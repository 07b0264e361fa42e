"""Where rows come from by themselves: an API, a table of a database, objects in a store. As values; nothing here connects."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ConnectionKind = Literal["rest", "table", "files"]
PagesBy = Literal["none", "link", "header", "cursor", "page", "offset"]
"""How an API says where the next page is: there is one page only; an address in the answer; a `Link` header; a mark in the
answer that goes into a parameter; a page's number; a row's number."""

SinceForm = Literal["iso", "epoch_s", "epoch_ms"]
"""How an instant is written into a parameter."""


@dataclass(frozen=True, slots=True)
class Auth:
    """How we say who we are. Secrets stand in environment variables, never here.

    Attributes:
        bearer_env: Variable with a token, sent as `Authorization: Bearer …`.
        user, password_env: Basic authentication.
        header, value_env: A header of one's own, and the variable with its value.
    """

    bearer_env: str = ""
    user: str = ""
    password_env: str = ""
    header: str = ""
    value_env: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables it needs."""
        return tuple(v for v in (self.bearer_env, self.password_env, self.value_env) if v)


@dataclass(frozen=True, slots=True)
class Pages:
    """How an API cuts its rows into pages.

    Attributes:
        path: Where in the answer the next address (link) or mark (cursor) stands: `meta.next`.
        param: Parameter that takes the mark, the page's or the row's number.
        size_param, size: Parameter that takes the number of rows of a page, and that number; offset needs both.
        first: Number of the first page.
    """

    by: PagesBy = "none"
    path: str = ""
    param: str = ""
    size_param: str = ""
    size: int = 100
    first: int = 1


@dataclass(frozen=True, slots=True)
class Since:
    """What tells new rows from known ones: a column that only grows, such as a time of change or a number.

    Attributes:
        column: Its name in the rows, after flattening: `updated_at`, `meta.changed`.
        param: Parameter of the API that takes it; empty for databases.
        form: How a time is written there.
        overlap_s: Seconds read again before the last one: what was written meanwhile, under an earlier time. Known rows
            count once. Without meaning where the column holds numbers.
        ascending: The API gives older ones first, so that an interrupted run goes on from where it was.
    """

    column: str
    param: str = ""
    form: SinceForm = "iso"
    overlap_s: int = 600
    ascending: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """One place that rows are fetched from.

    Attributes:
        source: Name of the mapping its rows are read with.
        rest: Address of an API, without its parameters.
        params: Parameters that are always sent.
        records: Where in an answer the rows stand: `data.items`; empty = the answer is the list of rows.
        url_env: Environment variable with the address of a database.
        table: `table` or `schema.table`.
        files: Address of objects: `s3://bucket/events/*.csv.gz`.
        per_minute: Requests a minute at most; 0 = as many as the API allows.
    """

    name: str
    source: str
    rest: str = ""
    params: tuple[tuple[str, str], ...] = ()
    records: str = ""
    auth: Auth = field(default_factory=Auth)
    pages: Pages = field(default_factory=Pages)
    url_env: str = ""
    table: str = ""
    files: str = ""
    since: Since | None = None
    per_minute: int = 0

    @property
    def kind(self) -> ConnectionKind:
        """What it is."""
        return "rest" if self.rest else "table" if self.table else "files"

    @property
    def place(self) -> str:
        """Where its rows come from, in words for reports. It holds no secret."""
        return self.rest or self.table or self.files

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables it needs."""
        return (*((self.url_env,) if self.url_env else ()), *self.auth.variables)

    @property
    def digest(self) -> str:
        """Another text whenever a position would mean something else."""
        said = [self.rest, sorted(self.params), self.records, self.url_env, self.table, self.files]
        said.append([self.since.column, self.since.param] if self.since else [])
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """What doors print: names of variables, never what is in them."""
        told: dict[str, Any] = {"name": self.name, "source": self.source, "kind": self.kind, "place": self.place}
        since = None if self.since is None else asdict(self.since)
        return told | {"since": since, "per_minute": self.per_minute or None, "variables": list(self.variables)}


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a growing column was read.

    Attributes:
        value: Microseconds UTC of a time, or the number itself.
        is_time: Which of both.
        zoned: Of a time: it was written with its offset. Else `value` counts the wall clock as if it were UTC.
    """

    value: int
    is_time: bool
    zoned: bool = True

    def back(self, seconds: int) -> Mark:
        """An earlier mark; numbers are left as they are."""
        return Mark(self.value - seconds * 1_000_000, True, self.zoned) if self.is_time else self


@dataclass(frozen=True, slots=True)
class Position:
    """How far a connection was read: what the next run begins with.

    Attributes:
        digest: Of the connection this position belongs to.
        mark: None = from the beginning.
        complete: The last run came to its end.
        ran_us: When it last stored something or came to its end.
        seen: Objects that were read whole: name → what tells a changed one (size, time, tag).
    """

    digest: str
    mark: Mark | None = None
    complete: bool = False
    ran_us: int = 0
    seen: tuple[tuple[str, str], ...] = ()
