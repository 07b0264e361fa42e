"""`/v1/customers`, `/v1/segments` and `/v1/predictions`: what programs read. Reading only.

A key of scope read or admin is asked for. Identities stand in the address only where a program wants it so: the same
question can be asked with a body, which no proxy writes into its log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from kohort.errors import WrongUsage
from kohort.web.forms import body_of
from kohort.web.tracking.credentials import of_header
from kohort.workspace.profile import MOST_MEMBERS, ProfileDoor

if TYPE_CHECKING:
    from kohort.store.api_keys import ApiKeys


def profile_routes(app: FastAPI, profiles: ProfileDoor, keys: ApiKeys) -> None:
    """Adds them to the application."""
    refused = _guard(keys)

    @app.get("/v1/customers")
    def find(request: Request) -> Response:
        return refused(request) or _answer(profiles.find(_one_of_each(request)))

    @app.post("/v1/customers/lookup")
    async def lookup(request: Request) -> Response:
        # The body is read here, the rest is for a thread: it asks the vault.
        body = await body_of(request)

        def answer() -> Response:
            return refused(request) or _answer(profiles.find(_identity(body)))

        return await run_in_threadpool(answer)

    @app.get("/v1/customers/{number:path}")
    def customer(
        request: Request, number: str, identity: bool = False, predictions: bool = False, reasons: bool = False
    ) -> Response:
        return refused(request) or _answer(
            profiles.of(number, identity=identity, predictions=predictions or reasons, reasons=reasons)
        )

    @app.get("/v1/segments")
    def segments(request: Request) -> Response:
        return refused(request) or _answer(profiles.segments())

    @app.get("/v1/predictions")
    def predictions(request: Request) -> Response:
        return refused(request) or _answer(profiles.predictions())

    @app.get("/v1/predictions/{name:path}")
    def prediction(request: Request, name: str) -> Response:
        return refused(request) or _answer(profiles.prediction(name))

    @app.get("/v1/segments/{name:path}/members")
    def members(
        request: Request, name: str, cursor: str = "", limit: Annotated[int, Query(ge=1, le=MOST_MEMBERS)] = 100
    ) -> Response:
        return refused(request) or _answer(profiles.members(name, cursor, limit))


def _guard(keys: ApiKeys) -> Any:
    """Says why a request may not read; None where it may."""

    def refused(request: Request) -> Response | None:
        text = of_header(request.headers.get("authorization", "").encode("latin-1"))
        key = keys.known(text) if text else None
        if key is not None and key.may("read"):
            return None
        if key is not None and key.revoked_us is None:
            return _told(403, "wrong_scope", "This key is not for reading.", "Use a key of scope read.")
        hint = "Send Authorization: Bearer, with a key made by: kohort keys add NAME --scope read"
        # Without WWW-Authenticate: a browser would ask the visitor of a page for a password.
        return _told(401, "unauthorized", "This needs an API key of the scope read.", hint)

    return refused


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


def _answer(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json", headers={"Cache-Control": "no-store"})


def _told(status: int, code: str, message: str, hint: str) -> Response:
    body = orjson.dumps({"code": code, "message": message, "hint": hint})
    return Response(body, status, {"Cache-Control": "no-store"}, "application/json")
