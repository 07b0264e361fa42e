"""Pages of a REST API, by dlt's client: polite, bounded, and never to another server than the one that was named."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kohort.errors import MissingExtra, SourceFailed
from kohort.ingest.connect.environment import secret
from kohort.ingest.connect.marks import asked, reached
from kohort.model.connection import Connection, Mark, Pages

if TYPE_CHECKING:
    from requests import Response

try:
    # Said before dlt is loaded: it tells nobody that it is used.
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import requests
    from dlt.sources.helpers.requests import Client
    from dlt.sources.helpers.rest_client import RESTClient, paginators
    from dlt.sources.helpers.rest_client.auth import APIKeyAuth, BearerTokenAuth, HttpBasicAuth
    from requests.adapters import HTTPAdapter
except ImportError as missing:
    raise MissingExtra("sources", "Fetching rows from an API") from missing

ATTEMPTS = 5
"""Of one request, when the server is busy, fails or cannot be reached."""

LONGEST_WAIT_S = 120
"""Who asks for more patience is asked again by the next run."""

LARGEST_ANSWER = 256 * 1024**2
"""Bytes of one page, unpacked."""

_TIMEOUT_S = (10.0, 60.0)
_PART = 1 << 16
_NOTHING = object()

Sleep = Callable[[float], None]


def pages(
    connection: Connection, since: Mark | None, *, sleep: Sleep = time.sleep, spend: Callable[[], None] = lambda: None
) -> Iterator[list[Any]]:
    """The rows of an API, page by page; numbers with a fraction as exact decimals.

    Args:
        since: Rows before it need not be given.
        sleep: Waits for a number of seconds (between requests, where `per_minute` says so).
        spend: Called before each request that is sent, repeated ones too; what it raises ends the fetch.

    Raises:
        SourceFailed: `throttled` (it asks for more patience than we have), `unreachable`, `not_allowed`, `bad_answer`.
            Every page before was given.
    """
    limits = {
        "request_max_attempts": ATTEMPTS,
        "request_max_retry_delay": LONGEST_WAIT_S,
        "request_backoff_factor": 0.5,
    }
    client = Client(request_timeout=_TIMEOUT_S, raise_for_status=False, **limits)
    with closing(client.session) as session:
        polite = _Polite(connection, sleep, spend)
        session.mount("https://", polite)
        session.mount("http://", polite)
        rest = RESTClient(connection.rest, auth=_auth(connection), session=session)
        hooks = {"response": [partial(_checked, connection)]}
        found = rest.paginate(
            "",
            params=_params(connection, since),
            paginator=_paginator(connection.pages),
            data_selector=connection.records or "$",
            hooks=hooks,
        )
        yield from _told(connection, found)


def _told(connection: Connection, found: Iterator[list[Any]]) -> Iterator[list[Any]]:
    """Pages, with whatever went wrong said in our words: theirs may hold values."""
    last: list[Any] = []
    while True:
        try:
            page = list(next(found))
        except StopIteration:
            return
        except requests.HTTPError as error:
            raise _refused(connection, error.response) from None
        except (requests.RequestException, OSError) as error:
            raise SourceFailed(
                f"{connection.name!r} cannot be reached ({type(error).__name__}).",
                code="unreachable",
                hint="What came before is stored; run it again to go on.",
                retry=True,
            ) from None
        if page and page == last:
            raise _bad(connection, "gives the same page again and again", "Check what stands under pages.")
        last = page
        yield page


def _refused(connection: Connection, response: Response) -> SourceFailed:
    status = response.status_code
    if status in (401, 403):
        needed = ", ".join(connection.variables) or "auth"
        hint = f"Check {needed}, and what it is allowed to read."
        return SourceFailed(f"{connection.name!r} does not let us in (status {status}).", code="not_allowed", hint=hint)
    if status == 429:
        hint = "What came before is stored; run it again later, or say per_minute."
        return SourceFailed(f"{connection.name!r} asks us to slow down.", code="throttled", hint=hint, retry=True)
    if status >= 500:
        hint = "What came before is stored; run it again to go on."
        return SourceFailed(f"{connection.name!r} fails (status {status}).", code="unreachable", hint=hint, retry=True)
    return _bad(connection, f"refuses the question (status {status})", "Check the address, params and since.")


def _bad(connection: Connection, what: str, hint: str) -> SourceFailed:
    return SourceFailed(f"{connection.name!r} {what}.", code="bad_answer", hint=hint)


def _checked(connection: Connection, response: Response, *_: Any, **__: Any) -> None:
    """Looks at an answer before dlt does: its status, and whether its rows stand where they should."""
    response.raise_for_status()
    if response.is_redirect:
        return
    # Amounts keep every digit: a float would not.
    response.json = partial(json.loads, response.content, parse_float=Decimal)
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        raise _bad(connection, "does not answer with JSON", "Check the address.") from None
    rows = _at(answer, connection.records)
    if rows is None or isinstance(rows, list):
        return
    if rows is _NOTHING:
        raise _bad(connection, f"has nothing at {connection.records!r} in its answer", "Check what records says.")
    where = f"At {connection.records!r} its answer" if connection.records else "Its answer"
    raise _bad(
        connection, "does not give a list of rows", f"{where} is no list: name it under records, such as data.items."
    )


def _at(answer: Any, path: str) -> Any:
    """What stands at a path; `_NOTHING` where the path leads nowhere, None where it leads to null."""
    if not path:
        return answer
    above, _, last = path.rpartition(".")
    holder = reached(answer, above) if above else answer
    return holder.get(last, _NOTHING) if isinstance(holder, dict) else _NOTHING


def _params(connection: Connection, since: Mark | None) -> dict[str, str]:
    params = dict(connection.params)
    pages_, wanted = connection.pages, connection.since
    if pages_.size_param:
        params[pages_.size_param] = str(pages_.size)
    if wanted is not None and since is not None:
        params[wanted.param] = asked(since.back(wanted.overlap_s), wanted.form)
    return params


def _paginator(by: Pages) -> Any:
    match by.by:
        case "none":
            return paginators.SinglePagePaginator()
        case "link":
            return paginators.JSONLinkPaginator(next_url_path=by.path)
        case "header":
            return paginators.HeaderLinkPaginator()
        case "cursor":
            return paginators.JSONResponseCursorPaginator(cursor_path=by.path, cursor_param=by.param)
        case "page":
            return paginators.PageNumberPaginator(base_page=by.first, page_param=by.param, total_path=None)
        case "offset":
            return paginators.OffsetPaginator(
                limit=by.size, offset_param=by.param, limit_param=by.size_param, total_path=None
            )


def _auth(connection: Connection) -> Any:
    auth = connection.auth
    if auth.bearer_env:
        return BearerTokenAuth(secret(connection, auth.bearer_env))
    if auth.password_env:
        return HttpBasicAuth(auth.user, secret(connection, auth.password_env))
    if auth.value_env:
        return APIKeyAuth(name=auth.header, api_key=secret(connection, auth.value_env), location="header")
    return None


class _Polite(HTTPAdapter):  # type: ignore[misc]
    """Sends requests to one server only, not faster than was said, and reads no more than fits."""

    def __init__(self, connection: Connection, sleep: Sleep, spend: Callable[[], None]) -> None:
        super().__init__()
        self._spend = spend
        self._connection = connection
        self._home = _origin(connection.rest)
        self._gap_s = 60 / connection.per_minute if connection.per_minute else 0.0
        self._sleep = sleep
        self._next = time.monotonic()

    def send(self, request: Any, **options: Any) -> Any:
        if _origin(request.url) != self._home:
            # A link in an answer, or a redirect: our token and our network are not for others.
            raise _bad(
                self._connection, "leads to another server", "Name that server under rest, if it is to be asked."
            )
        if (wait := self._next - time.monotonic()) > 0:
            self._sleep(wait)
        self._next = time.monotonic() + self._gap_s
        self._spend()
        response = super().send(request, **{"timeout": _TIMEOUT_S, **options, "stream": True})
        self._read(response)
        self._check_patience(response)
        return response

    def _read(self, response: Response) -> None:
        parts, size = [], 0
        for part in response.iter_content(_PART):
            size += len(part)
            if size > LARGEST_ANSWER:
                response.close()
                raise _bad(self._connection, "gives more in one page than we read", "Ask for smaller pages.")
            parts.append(part)
        response._content = b"".join(parts)

    def _check_patience(self, response: Response) -> None:
        asked_for = response.headers.get("Retry-After", "")
        if response.status_code in (429, 503) and asked_for.isdigit() and int(asked_for) > LONGEST_WAIT_S:
            minutes = -(-int(asked_for) // 60)
            raise SourceFailed(
                f"{self._connection.name!r} asks us to wait {minutes:,} minutes.",
                code="throttled",
                hint="What came before is stored; run it again then.",
                retry=True,
            )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
