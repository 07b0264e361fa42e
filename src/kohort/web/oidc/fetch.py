"""What is asked of the identity provider itself: short, with checked certificates, and never where a redirect leads."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from kohort.model.oidc import is_safe_to_ask
from kohort.model.serving import LOCAL_NAMES
from kohort.web.oidc.refused import Refused

LARGEST = 512 * 1024
"""Bytes of an answer."""
SECONDS = 10.0
"""For an answer as a whole, and for each wait within it."""


class Fetch:
    """Asks for JSON. A proxy that the environment names is used, but for this machine.

    Args:
        tls: How certificates are checked; None = as the system says.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls

    def get(self, url: str) -> dict[str, Any]:
        """A document.

        Raises:
            Refused: There is none.
        """
        status, found = self._ask(url, None, {})
        if status != 200:
            raise Refused(f"answered {status}", status=502)
        return found

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and answer to a form.

        Raises:
            Refused: There is no answer, or it is no document.
        """
        return self._ask(url, urlencode(form).encode(), headers)

    def _ask(self, url: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        if not is_safe_to_ask(url):
            raise Refused("an address that is not encrypted", status=502)
        head = {"Accept": "application/json", "User-Agent": "Kohort", **headers}
        request = urllib.request.Request(url, data=body, headers=head)  # noqa: S310 - the scheme was checked above
        deadline = time.monotonic() + SECONDS
        try:
            with self._opener(url).open(request, timeout=SECONDS) as answer:
                status, text = int(answer.status), _read(answer, deadline)
        except (OSError, ValueError, HTTPException) as error:
            raise Refused("does not answer", status=502) from error
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refused(f"answered {status} and no JSON object", status=502)
        return status, found

    def _opener(self, url: str) -> urllib.request.OpenerDirector:
        """Without the parts that would follow redirects, read files or raise for a status."""
        opener = urllib.request.OpenerDirector()
        opener.add_handler(urllib.request.HTTPHandler())
        opener.add_handler(urllib.request.HTTPSHandler(context=self._tls))
        if urlsplit(url).hostname not in LOCAL_NAMES:
            opener.add_handler(urllib.request.ProxyHandler())
        return opener


def _read(answer: Any, deadline: float) -> bytes:
    found = b""
    while chunk := answer.read1(65_536):
        found += chunk
        if len(found) > LARGEST or time.monotonic() > deadline:
            raise ValueError("too much, or too slow")
    return found
