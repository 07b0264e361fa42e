"""Why somebody decided something, in words that do not tell about whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kohort.errors import WrongUsage
from kohort.ingest.tracking.privacy import looks_personal

if TYPE_CHECKING:
    from kohort.store.vault import Vault

_MOST_REASON = 500
_SHORT = 3
"""A text of so few characters, in a reason, tells nobody who somebody is."""


def checked_reason(vault: Vault, reason: str, ids: Sequence[int]) -> str:
    """A reason that does not tell who it is about: the log is read by more people than the vault.

    Raises:
        WrongUsage: It does, or it is too long.
    """
    text = " ".join(whole(reason).split())
    if len(text) > _MOST_REASON:
        raise WrongUsage(f"A reason has at most {_MOST_REASON} characters.")
    known = {
        part.casefold()
        for id_ in dict.fromkeys(ids)
        for kind, values in vault.open_person(id_).items()
        for value in values
        for part in (value, *(value.split() if kind == "name" else ()))
        if len(part) > _SHORT
    }
    if looks_personal(text) or any(value in text.casefold() for value in known):
        raise WrongUsage(
            "The reason tells who it is about; the log is kept for years and names nobody.",
            hint="Say why without names, numbers and addresses: 'told us on the phone'.",
        )
    return text


def whole(text: str) -> str:
    """Without the half characters that a shell may hand over."""
    return text.encode("utf-8", "replace").decode()
