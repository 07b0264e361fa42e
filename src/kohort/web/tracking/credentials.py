"""Where clients put their write key: Basic credentials, a bearer token, the address, or the body."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from kohort.errors import BadInput

_LONGEST = 1_000
"""Characters of credentials that are looked at; a bearer token of an identity provider can be long, and is no key."""
_MOST_FIELDS = 200
_IN_TEXT = re.compile(rb'"writeKey"\s*:\s*"([^"\\]{1,200})"')
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def of_header(value: bytes) -> str:
    """The key of an Authorization header; empty where it has none.

    Basic: the user's name is the key, the password is empty. The colon between them may be missing.

    Example:
        >>> of_header(b"Basic " + base64.b64encode(b"kh_1.x:")), of_header(b"bearer kh_1.x")
        ('kh_1.x', 'kh_1.x')
    """
    scheme, _, rest = value[:_LONGEST].partition(b" ")
    given = rest.strip()
    match scheme.lower():
        case b"bearer":
            return given.decode("latin-1")
        case b"basic":
            return _plain(given).partition(b":")[0].decode("latin-1")
    return ""


def _plain(packed: bytes) -> bytes:
    text = _NOT_BASE64.sub(b"", packed.replace(b"-", b"+").replace(b"_", b"/"))
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def query(raw: bytes) -> dict[str, str]:
    """The fields of an address, the first of each name.

    Raises:
        BadInput: There are more than 200.
    """
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BadInput(f"The address has more than {_MOST_FIELDS} fields.", code="bad_query") from error
    return dict(reversed(pairs))


def of_query(fields: Mapping[str, str]) -> str:
    """The key of an address: `?writeKey=…`."""
    return fields.get("writeKey", "")


def of_body(document: Any) -> str:
    """The key in a body: `{"writeKey": "…"}`."""
    found = document.get("writeKey") if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""


def of_text(text: bytes) -> str:
    """The key in a body that cannot be read yet: what stands after the first "writeKey"."""
    found = _IN_TEXT.search(text)
    return found[1].decode("latin-1") if found else ""
