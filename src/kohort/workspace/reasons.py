"""Why somebody decided something, in words that do not tell about whom."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from kohort.errors import NotFound, WrongUsage
from kohort.ingest.tracking.privacy import looks_personal
from kohort.trust.mentions import Mentions

if TYPE_CHECKING:
    from kohort.store.vault import Vault

MOST_CHARACTERS = 500
"""Of a reason."""


def checked_reason(vault: Vault, reason: str, ids: Iterable[int]) -> str:
    """A reason that does not tell who it is about: the log is read by more people than the vault.

    Args:
        ids: Whom it is about; of others only e-mail addresses and telephone numbers are noticed.

    Raises:
        WrongUsage: It tells, or it is too long.
    """
    text = " ".join(whole(reason).split())
    if len(text) > MOST_CHARACTERS:
        raise WrongUsage(f"A reason has at most {MOST_CHARACTERS} characters.")
    if not text:
        return ""
    mentions = Mentions()
    for id_ in dict.fromkeys(ids):
        with suppress(NotFound):  # erased meanwhile
            mentions.add(vault.open_person(id_))
    if looks_personal(text) or mentions.in_text(text):
        raise WrongUsage(
            "The reason tells who it is about; the log is kept for years and names nobody.",
            hint="Say why without names, numbers and addresses: 'told us on the phone'.",
        )
    return text


def whole(text: str) -> str:
    """Without the half characters that a shell may hand over."""
    return text.encode("utf-8", "replace").decode()
