"""Signatures of webhooks, as the Standard Webhooks specification has them: HMAC-SHA256 over `id.timestamp.body`."""

from __future__ import annotations

import base64
import binascii
import hmac

SHORTEST = 16
"""Bytes that a secret needs: shorter ones can be guessed."""

_PREFIX = "whsec_"


def keys_of(secret: str) -> list[bytes]:
    """The keys of a secret as it stands in the environment: `whsec_` and base64, or any text; several with spaces
    between while one is replaced by another. Those that are too short to be any are left out."""
    return [key for text in secret.split() if len(key := _key(text)) >= SHORTEST]


def signature(keys: list[bytes], id: str, timestamp: int, body: bytes) -> str:  # noqa: A002
    """What stands in `webhook-signature`: `v1,` and base64 for each key, spaces between."""
    signed = f"{id}.{timestamp}.".encode() + body
    return " ".join("v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys)


def _key(text: str) -> bytes:
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
