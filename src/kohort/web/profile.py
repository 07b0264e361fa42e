"""`/v1/customers` and `/v1/segments`: what programs ask all the time, from memory where a server keeps it current. Reading only.

Identities stand in the address only where a program wants it so: the same question can be asked with a body, which no proxy
writes into its log.
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import WrongUsage
from kohort.web.api import cursors, models, segment_models
from kohort.web.api.desk import Desk, answer
from kohort.web.forms import body_of
from kohort.workspace.profile import IDENTITIES, MOST_MEMBERS, ProfileDoor


def profile_routes(desk: Desk, profiles: ProfileDoor) -> None:
    """Adds them to the application."""

    @desk.add(
        "GET",
        "/v1/customers",
        "customers",
        models.Customer,
        "unknown_customer",
        "wrong_usage",
        "not_enough",
        query=IDENTITIES,
    )
    def find_customer(request: Request) -> Response:
        """A customer by one of her identities: exactly one of them is given."""
        return answer(profiles.find(_one_of_each(request)))

    @desk.add(
        "POST",
        "/v1/customers/lookup",
        "customers",
        models.Customer,
        "unknown_customer",
        "wrong_usage",
        "not_enough",
        body=models.Identity,
    )
    async def lookup_customer(request: Request) -> Response:
        """A customer by one of her identities, sent in a body: proxies log addresses."""
        # The body is read here, the rest is for a thread: it asks the vault.
        body = await body_of(request)
        return await run_in_threadpool(lambda: answer(profiles.find(_identity(body))))

    @desk.add(
        "GET",
        "/v1/customers/{number:path}",
        "customers",
        models.Customer,
        "unknown_customer",
        "not_enough",
        "bad_query",
    )
    def customer(
        number: Annotated[
            str, Path(description="The company's number, or the code that stands for her.", examples=["14127"])
        ],
        identity: Annotated[bool, Query(description="Tell too which ids are hers and why.")] = False,
        predictions: Annotated[bool, Query(description="Tell too what is predicted of her.")] = False,
        reasons: Annotated[bool, Query(description="And why; that takes about a second more.")] = False,
    ) -> Response:
        """One customer: her segments, her features, and what time alone will change."""
        return answer(profiles.of(number, identity=identity, predictions=predictions or reasons, reasons=reasons))

    @desk.add("GET", "/v1/segments", "segments", segment_models.Segments)
    def segments() -> Response:
        """Every segment with its parts and sizes, which are up to five seconds old."""
        return answer(profiles.segments())

    @desk.add(
        "GET",
        "/v1/segments/{name:path}/members",
        "segments",
        segment_models.Members,
        "not_found",
        "wrong_usage",
        "bad_query",
    )
    def segment_members(
        name: Annotated[str, Path(description="A segment, or a part of one: value/gold.", examples=["value/gold"])],
        cursor: cursors.Cursor = "",
        limit: Annotated[int, Query(ge=1, le=MOST_MEMBERS)] = 100,
    ) -> Response:
        """Members, page by page, in an order that does not change while others come and go."""
        return answer(profiles.members(name, cursor, limit))


def _identity(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise WrongUsage("The body is one object with one identity.", hint='Send {"email": "…"}.')
    return found


def _one_of_each(request: Request) -> dict[str, str]:
    fields = request.query_params.multi_items()
    if len(fields) != len(dict(fields)):
        raise WrongUsage("The address names something twice.")
    return dict(fields)
