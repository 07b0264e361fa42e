"""How an address for programs is added: with its answer's form, every error it may give, and examples, so that it describes itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from fastapi import FastAPI
from fastapi.responses import Response

from kohort.web.api.models import Problem
from kohort.web.api.problems import KNOWN

ALWAYS = ("unauthorized", "wrong_scope", "too_many_requests", "unexpected", "busy", "damaged")
WITH_BODY = ("bad_body", "body_too_large", "too_slow")
CHANGES = ("bad_idempotency_key", "idempotency_key_reused", "same_request_under_way", "outcome_unknown", "cannot_write")
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        "A word of your own for this request, kept for 24 hours: sent again with it, the request is answered as before and not "
        "carried out again. The same word with another request is refused."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "2b0c6a7e-6a53-4b2e-8b0c-1f4f5a1f4a11",
}
Handler = TypeVar("Handler", bound=Callable[..., Any])


class Desk:
    """Adds addresses to an application."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def add(
        self,
        method: str,
        path: str,
        tag: str,
        answer: Any,
        *codes: str,
        example: Any = None,
        changes: bool = False,
        body: Any = None,
        query: tuple[str, ...] = (),
    ) -> Callable[[Handler], Handler]:
        """Registers a function.

        Args:
            answer: Form of the answer: a model, or a dataclass.
            codes: Errors beside those that every address gives.
            changes: It takes an Idempotency-Key.
            body, query: What the function reads itself: the form of its body, names of fields of its address.
        """
        every = {*ALWAYS, *codes, *(CHANGES if changes else ()), *(() if method == "GET" else WITH_BODY)}
        every |= {"no_such_address"} if "{" in path else set()
        extra: dict[str, Any] = {"parameters": [_field(name) for name in query]}
        if changes:
            extra["parameters"] = [IDEMPOTENCY_KEY]
        if body is not None:
            schema = body.model_json_schema()
            extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}

        def register(function: Handler) -> Handler:
            self._app.add_api_route(
                path,
                function,
                methods=[method],
                tags=[tag],
                response_model=answer,
                responses={200: _answer_shown(example), **_problems(every)},
                operation_id=function.__name__,
                summary=_summary(function),
                description=_description(function),
                openapi_extra={name: value for name, value in extra.items() if value},
            )
            return function

        return register


def answer(document: Any) -> Response:
    """A document as JSON; unknown numbers are null."""
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-store"})


def _problems(codes: set[str]) -> dict[int | str, dict[str, Any]]:
    """Status → its errors, each with an example."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in (code for code in KNOWN if code in codes):
        known = KNOWN[code]
        told = {"code": code, "message": known.message, "hint": known.hint}
        one = found.setdefault(known.status, {"model": Problem, "description": "", "content": {}})
        one["description"] = ", ".join(filter(None, (one["description"], f"`{code}`")))
        examples = one["content"].setdefault("application/json", {"examples": {}})["examples"]
        examples[code] = {"value": told}
    return found


def _answer_shown(example: Any) -> dict[str, Any]:
    headers = {
        name: {"description": text, "schema": {"type": "integer"}}
        for name, text in (
            ("X-RateLimit-Limit", "Points a key may use in a second."),
            ("X-RateLimit-Remaining", "Points left."),
            ("X-RateLimit-Reset", "Unix time in seconds at which all of them are there again."),
        )
    }
    content = {"application/json": {"example": example}} if example is not None else {}
    return {"description": "The answer.", "headers": headers, **({"content": content} if content else {})}


def _field(name: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}


def _summary(function: Callable[..., Any]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _description(function: Callable[..., Any]) -> str:
    return re.sub(r"\n +", "\n", (function.__doc__ or "").strip())
