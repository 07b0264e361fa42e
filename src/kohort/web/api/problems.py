"""Errors for programs: one shape, a stable code, and the status that goes with it. No message repeats what was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse

from kohort.errors import BadInput, KeptCurrent, KohortError, NotEnough, NotFound, RefusedDefinition, WrongUsage
from kohort.web.middleware import told

_CALLED = re.compile(r" is called .*\Z", re.DOTALL)
_LONGEST_PLACE = 60


@dataclass(frozen=True, slots=True)
class Known:
    """One error that an address may answer with."""

    status: int
    message: str
    hint: str = ""


KNOWN: dict[str, Known] = {
    "bad_idempotency_key": Known(400, "An Idempotency-Key has 1 to 255 visible ASCII characters."),
    "bad_time": Known(400, "A moment is not a date or a time.", "Write 2026-11-30 or 2026-11-30T12:00:00Z."),
    "wrong_usage": Known(400, "The call itself is wrong.", "The message says how."),
    "unauthorized": Known(
        401,
        "This needs an API key of the scope read.",
        "Send Authorization: Bearer, with a key made by: kohort keys add NAME --scope read",
    ),
    "wrong_scope": Known(403, "This key is not for changing.", "Use a key of scope admin."),
    "no_such_address": Known(404, "There is nothing at this address."),
    "not_found": Known(404, "No segment has this name.", "Did you mean 'loyal'?"),
    "unknown_customer": Known(404, "No customer has this number.", "Write it as it stands in your files."),
    "kept_current": Known(409, "A server keeps these segments current; there is nothing to run."),
    "needed_by_others": Known(409, "Others refer to this segment.", "Change or remove them first."),
    "not_enough": Known(409, "There is not enough data for an answer.", "Bring some in with: kohort ingest YOUR-FILES"),
    "same_request_under_way": Known(409, "The same request is being worked on.", "Ask again in a moment."),
    "outcome_unknown": Known(
        409,
        "This request ended with an error that nobody foresaw, so it is not known whether it was carried out.",
        "Look whether it was done; if it was not, send it again with a new Idempotency-Key.",
    ),
    "body_too_large": Known(413, "The body is larger than 262,144 bytes."),
    "bad_query": Known(422, "limit: Input should be less than or equal to 1000"),
    "bad_body": Known(422, "rule: Field required"),
    "idempotency_key_reused": Known(422, "This Idempotency-Key was used for another request.", "Use a new one."),
    "refused_definition": Known(422, "There is no function 'bought'.", "Did you mean 'did'?"),
    "too_many_requests": Known(429, "This key has asked for too much in this second.", "Wait and ask again."),
    "unexpected": Known(500, "Something went wrong here."),
    "busy": Known(503, "Another process is writing to the workspace.", "Try again in a moment."),
    "cannot_write": Known(503, "The disk does not take what it is given.", "Make room; it goes on by itself."),
    "damaged": Known(503, "A stored file does not check out.", "Run: kohort doctor"),
    "too_slow": Known(503, "The body did not arrive in time.", "Send it again."),
}
"""Every code with its status and an example of what is said. A refused definition can have a narrower code: docs/rules.md lists them."""


def status_of(error: KohortError) -> int:
    """The status of an error of the engine, for programs and for pages. What is neither asked wrongly nor missing is ours: 503."""
    if isinstance(error, RefusedDefinition):
        return 422
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, KeptCurrent | NotEnough) or error.code == "needed_by_others":
        return 409
    return 400 if isinstance(error, WrongUsage | BadInput) else 503


def problem(error: KohortError) -> JSONResponse:
    """An error of the engine, for programs."""
    message = KNOWN["bad_time"].message if error.code == "bad_time" else error.message
    if isinstance(error, NotFound):
        message = _CALLED.sub(" has this name.", message)  # a wrong call may have put a person's number there
    answer = told(error.code, message, error.hint, status_of(error))
    if isinstance(error, RefusedDefinition):
        body = {"code": error.code, "message": message, "hint": error.hint, "mistakes": _mistakes(error)}
        answer = JSONResponse(body, 422)
    return answer


def wrong_field(errors: Sequence[Any]) -> JSONResponse:
    """Why a request is not what its description asks for: the first field that is wrong, and never its value."""
    first: Mapping[str, Any] = (
        errors[0] if errors else {"loc": (), "msg": "It is not what this address takes.", "type": ""}
    )
    where, *place = first["loc"] or ("query",)
    known = [str(part) for part in place if not isinstance(part, int)]
    if first["type"] == "extra_forbidden":
        known = []  # the name of the field is the caller's own
    if first["type"] == "json_invalid":
        return told("bad_body", "The body is not JSON.", "", 422)
    name, text = ".".join(known)[:_LONGEST_PLACE], str(first["msg"])
    if first["type"] == "union_tag_invalid":  # the usual text repeats what was sent
        name, text = first["ctx"]["discriminator"].strip("'"), f"Input should be {first['ctx']['expected_tags']}"
    message = f"{name}: {text}" if name else text
    return told("bad_body" if where == "body" else "bad_query", message, "See GET /v1/openapi.json.", 422)


def _mistakes(error: RefusedDefinition) -> list[dict[str, Any]]:
    """Each mistake with its place; one where the error has no list of them."""
    listed = error.mistakes or (error.as_dict(),)
    return [{key: mistake.get(key) for key in ("code", "message", "hint", "start", "end")} for mistake in listed]
