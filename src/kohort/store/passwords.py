"""Passwords of people: what may be one, and its slow hash (argon2id)."""

from __future__ import annotations

import threading
import unicodedata
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from kohort.errors import Busy, WrongUsage
from kohort.model.access import FEWEST_CHARACTERS

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MOST = 200
"""Characters: more take no longer to guess, and long to hash."""
_MEMORY_KIB, _PASSES = 19_456, 2
"""What OWASP asks of argon2id with one thread: 19 MB, about 60 ms."""
_AT_ONCE = 2
_PATIENCE_SECONDS = 5.0
_room = threading.BoundedSemaphore(_AT_ONCE)
"""A hundred logins at once would take two gigabytes."""

_COMMON = (
    "password",
    "passwort",
    "wachtwoord",
    "adgangskode",
    "qwerty",
    "qwertz",
    "azerty",
    "letmein",
    "welcome",
    "willkommen",
    "welkom",
    "velkommen",
    "iloveyou",
    "administrator",
    "changeme",
    "kohort",
)
"""What most of the guessed passwords of this length are made of."""
_ROWS = ("01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm")


def check_password(text: str, name: str = "") -> None:
    """Refuses what is guessed first. Nothing else is asked of a password: no signs, no capitals, no change every month.

    Args:
        name: Whose it is to be.

    Raises:
        WrongUsage: It is too short, too long, or made of what everybody tries. The message does not repeat it.
    """
    plain = normal(text)
    if not FEWEST_CHARACTERS <= len(plain) <= MOST:
        raise WrongUsage(
            f"A password has {FEWEST_CHARACTERS} to {MOST} characters.",
            hint="Four words that do not belong together are good.",
        )
    rest = plain.casefold()
    for word in (*_COMMON, *(part for part in name.casefold().split() if len(part) > 2)):
        rest = rest.replace(word, "")
    if len(rest) < FEWEST_CHARACTERS // 2 or len(set(rest)) < 5 or _runs(rest):
        raise WrongUsage(
            "This password is one of those that are tried first.",
            hint="Four words that do not belong together are good.",
        )


def _runs(text: str) -> bool:
    """Whether most of a text runs along the alphabet, the digits or a row of keys."""
    steps = {a + b for row in _ROWS for line in (row, row[::-1]) for a, b in pairwise(line)}
    easy = sum(a == b or a + b in steps for a, b in pairwise(text))
    return 2 * easy >= len(text)


def normal(text: str) -> str:
    """One form of a password, however a keyboard composes its accents."""
    return unicodedata.normalize("NFC", text)


def hashed(text: str) -> str:
    """What is kept of a password: argon2id with its settings and its salt, as one text.

    Raises:
        Busy: Too many are being worked out.
    """
    with _Turn():
        return _hasher().hash(normal(text))


def matches(kept: str | None, text: str) -> bool:
    """Whether a password is the one of which this is kept. Takes as long where nothing is: None = nobody has that name,
    empty = she has none.

    Raises:
        Busy: Too many are being worked out.
    """
    from argon2.exceptions import InvalidHashError, VerificationError

    nobody = _nobody()
    if len(text) > MOST:
        return False
    with _Turn():
        try:
            right = _hasher().verify(kept or nobody, normal(text))
        except (InvalidHashError, VerificationError):
            return False
    return right and bool(kept)


class _Turn:
    """One of the few places for working out a hash."""

    def __enter__(self) -> None:
        if not _room.acquire(timeout=_PATIENCE_SECONDS):
            raise Busy("Too many people are logging in at this moment.", hint="Try again in a moment.")

    def __exit__(self, *_: object) -> None:
        _room.release()


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)


@cache
def _nobody() -> str:
    """What is compared with where there is nothing to compare with, so that the time says nothing."""
    return _hasher().hash("nobody has this password")
