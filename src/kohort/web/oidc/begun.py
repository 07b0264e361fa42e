"""Logins that a browser has begun. Nothing is kept of them here: all follows from a mark in the browser and a key of ours.

So a stranger who begins a million logins fills nothing, and a login ends in the browser in which it began or not at all: what
comes back has to fit the mark. The word for PKCE never leaves the server but to the provider.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from kohort.web.oidc.refused import Refused

SECONDS = 600
"""A login that takes longer begins again."""
_MOST_USED = 20_000
_AGAIN = "This login was not begun in this browser, or more than ten minutes ago. Begin again."


@dataclass(frozen=True, slots=True)
class Begun:
    """A login on its way.

    Attributes:
        cookie: What the browser keeps.
        onward: The address of ours where she wanted to go.
        state: Comes back from the provider with the browser.
        nonce: Comes back in the token.
        verifier: Proves to the provider that whoever brings the code has begun the login.
    """

    cookie: str
    onward: str
    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier at first: S256."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())


class Beginnings:
    """Begins logins and takes them to their end, each once. One process remembers for itself which had theirs.

    Args:
        key: 32 bytes that nobody else has.
        clock: Seconds since 1970.
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key, self._clock = key, clock
        self._used: dict[str, float] = {}
        self._lock = Lock()

    def begin(self, onward: str) -> Begun:
        """A new one."""
        mark = secrets.token_urlsafe(32)
        return self._made(f"{mark}.{int(self._clock())}.{_text(onward.encode())}")

    def end(self, cookie: str, state: str) -> Begun:
        """The one that a browser has begun, where what comes back belongs to it.

        Raises:
            Refused: It was begun elsewhere or too long ago, or had its end before.
        """
        mark, _, rest = cookie.partition(".")
        at, _, _ = rest.partition(".")
        # What the browser sends is believed only once the state fits, which nobody else can work out.
        if not (mark and at.isascii() and at.isdigit() and len(cookie) <= 2_000):
            raise Refused("not begun in this browser", _AGAIN, 400)
        begun = self._made(cookie)
        if not hmac.compare_digest(begun.state.encode(), state.encode("utf-8", "replace")):
            raise Refused("state of another login", _AGAIN, 400)
        now = self._clock()
        if not -1 <= now - int(at) <= SECONDS:
            raise Refused("begun too long ago", _AGAIN, 400)
        self._use(mark, now)
        return begun

    def _use(self, mark: str, now: float) -> None:
        with self._lock:
            if len(self._used) >= _MOST_USED:
                self._used = {one: until for one, until in self._used.items() if until > now}
            if mark in self._used or len(self._used) >= _MOST_USED:
                raise Refused("came back a second time", _AGAIN, 400)
            self._used[mark] = now + SECONDS

    def _made(self, cookie: str) -> Begun:
        onward = _onward(cookie.rpartition(".")[2])
        state, nonce, verifier = (self._word(cookie, of) for of in ("state", "nonce", "verifier"))
        return Begun(cookie, onward, state, nonce, verifier)

    def _word(self, cookie: str, of: str) -> str:
        return _text(hmac.digest(self._key, f"{of}\x1f{cookie}".encode("utf-8", "replace"), "sha256"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _onward(text: str) -> str:
    """What was packed; the front page where a browser sends something else."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (ValueError, UnicodeDecodeError):
        return "/"
