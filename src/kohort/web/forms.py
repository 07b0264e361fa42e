"""Forms of the pages: what they send is read here, and nothing is taken that no page of ours sent."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl

from fastapi import Request

from kohort.errors import WrongUsage

MOST_BYTES = 4_096
"""Of what a form, or a look-up, sends."""
WORD = "word"
"""The field that every form carries."""


class Forms:
    """Reads forms.

    A page of another site can make a browser send a form here, but cannot read ours. So each form carries a word that stands
    on our pages only, and where a browser says whose page a form stood on, it has to be one of ours.
    """

    def __init__(self) -> None:
        self.word = secrets.token_urlsafe(24)
        """Another one with each start of the server."""

    async def read(self, request: Request) -> dict[str, str]:
        """The fields of a form.

        Raises:
            WrongUsage: It is no form of ours, or a page was open while the server began anew.
        """
        fields = dict(parse_qsl((await body_of(request)).decode("utf-8", "replace"), keep_blank_values=True))
        same_site = request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
        if not same_site or not secrets.compare_digest(fields.get(WORD, "").encode(), self.word.encode()):
            raise WrongUsage("This form is not known here.", hint="Open the page again and repeat it there.")
        return fields


async def body_of(request: Request) -> bytes:
    """What a request sends; nothing where that is too long."""
    found = b""
    async for chunk in request.stream():
        found += chunk
        if len(found) > MOST_BYTES:
            return b""
    return found
