"""Forms of the pages: what they send is read here, and nothing is taken that no page of ours sent.

A page of another site can make a browser send a form here, but cannot read ours. So each form carries a word that stands on
pages of the same session only, and where a browser says whose page a form stood on, it has to be one of ours.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

from kohort.errors import WrongUsage
from kohort.locale import mark
from kohort.web import who

MOST_BYTES = 16_384
"""Of what a form, or a look-up, sends."""
WORD = "word"
"""The field that every form carries."""
_SECRET = secrets.token_bytes(32)
"""Another one with each start of the server."""
_SALT_BYTES = 16


def word() -> str:
    """What proves that a form is ours: it holds for one session, or for all who did not log in.

    Another one each time: pages are sent compressed, and a word that stays the same could be guessed by their sizes.
    """
    salt = secrets.token_hex(_SALT_BYTES)
    return salt + _signed(salt)


def _signed(salt: str) -> str:
    asks = who.now()
    return hmac.digest(_SECRET, f"{salt} {asks.login} {asks.session}".encode(), "sha256").hex()


def _is_ours(given: str) -> bool:
    salt, signed = given[: 2 * _SALT_BYTES], given[2 * _SALT_BYTES :]
    return hmac.compare_digest(signed.encode(), _signed(salt).encode())


async def fields_of(request: Request, most: int = MOST_BYTES) -> dict[str, str]:
    """The fields of a form.

    Args:
        most: Bytes that it may have.

    Raises:
        WrongUsage: It is no form of ours, or a page was open while the server began anew or the session changed.
    """
    fields = dict(parse_qsl((await body_of(request, most)).decode("utf-8", "replace"), keep_blank_values=True))
    check(request, fields)
    return fields


def check(request: Request, fields: Mapping[str, str]) -> None:
    """Refuses the fields of a form that is none of ours.

    Raises:
        WrongUsage: It is not, or a page was open while the server began anew or the session changed.
    """
    same_site = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
    if not same_site or not _is_ours(fields.get(WORD, "")):
        raise WrongUsage(mark("This form is not known here."), hint=mark("Open the page again and repeat it there."))


async def body_of(request: Request, most: int = MOST_BYTES) -> bytes:
    """What a request sends; nothing where that is too long."""
    found = b""
    async for chunk in request.stream():
        found += chunk
        if len(found) > most:
            return b""
    return found
