"""The description of the addresses for programs, as OpenAPI 3.1: made from the routes themselves, so that it cannot lag behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from kohort import __version__
from kohort.web.tracking.inbox import DEFAULTS

PATH = "/v1/openapi.json"
ABOUT = f"""What programs read and change in a Kohort workspace.

Send a key as `Authorization: Bearer …`: one of scope `read` reads, one of scope `admin` changes things too
(`kohort keys add NAME --scope read`). A key may use {DEFAULTS.points_per_second:,} points in a second: a look-up costs one, what
computes over everybody or changes something costs 50. Lists that can be long come in pages: ask again with `cursor` = the `next`
of the page before. Every error is `{{"code", "message", "hint"}}`. Events are sent to other addresses, with a key of scope `ingest`:
docs/tracking-http.md."""
STREAM: dict[str, Any] = {
    "get": {
        "tags": ["segments"],
        "summary": "Every entry and exit as server-sent events",
        "description": "It does not end. `Last-Event-ID` or `after` says from where on; docs/live.md.",
        "operationId": "stream",
        "parameters": [
            {"name": "segment", "in": "query", "schema": {"type": "string"}, "description": "Names, with commas."},
            {"name": "after", "in": "query", "schema": {"type": "string"}, "description": "Number of an event."},
        ],
        "responses": {
            "200": {"description": "Events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            "400": {"$ref": "#/components/responses/Problem"},
            "401": {"$ref": "#/components/responses/Problem"},
            "503": {"$ref": "#/components/responses/Problem"},
        },
    }
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole description."""
    routes = [route for route in app.routes if str(getattr(route, "path", "")).startswith("/v1/")]
    document = get_openapi(
        title="Kohort",
        version=__version__,
        summary="Customer segments for programs",
        description=ABOUT,
        routes=routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/"}],
    )
    document["paths"] = {_plain(path): _without_theirs(item) for path, item in document["paths"].items()}
    document["paths"]["/v1/stream"] = STREAM
    components = document["components"]
    for theirs in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(theirs, None)
    components["responses"] = {
        "Problem": {
            "description": "An error.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key of scope read or admin."}
    }
    document["security"] = [{"key": []}]
    return document


def description_route(app: FastAPI) -> None:
    """Answers `GET /v1/openapi.json`. It is the same for every workspace, and made once."""
    made: list[bytes] = []

    @app.get(PATH, include_in_schema=False)
    def description() -> Response:
        if not made:
            made.append(orjson.dumps(describe(app)))
        return Response(made[0], media_type="application/json")


def _plain(path: str) -> str:
    """An address without the notes of the framework: {name:path} is {name} to others."""
    return path.replace(":path}", "}")


def _without_theirs(item: Mapping[str, Any]) -> dict[str, Any]:
    """An address whose 422 is ours: the framework adds a form of its own that is never sent."""
    for operation in item.values():
        unlike = operation["responses"].get("422", {})
        if "HTTPValidationError" in str(unlike):
            operation["responses"]["422"] = {"$ref": "#/components/responses/Problem"}
    return dict(item)
