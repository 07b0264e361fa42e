"""The cookies. Over an encrypted connection their names begin with `__Host-`: browsers then take them from nobody else
and send them nowhere else, and never unencrypted.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

if TYPE_CHECKING:
    from kohort.store.users import User

SESSION = "kohort"
"""The token of a session; goes when the browser is closed."""
BROWSER = "kohort-browser"
"""Says that this browser has logged in as somebody before. It lets nobody in: see `kohort.web.attempts`."""
BEGUN = "kohort-begun"
"""A login through the identity provider that is on its way: see `kohort.web.oidc.begun`."""
LANGUAGE = "kohort-language"
"""The language in which this browser shows pages, once somebody chose one."""
_SECONDS = {BROWSER: 90 * 24 * 3_600, BEGUN: 600, LANGUAGE: 365 * 24 * 3_600}
"""How long a browser keeps one; the others go when it is closed."""


def cookie(scope: Scope, name: str) -> str:
    """What a browser sent under a name; empty where it sent nothing."""
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(_name(scope, name), "")


def putting(scope: Scope, name: str, value: str) -> str:
    """The header that gives a browser a cookie, or takes it away where the value is empty.

    No script can read it, and no page of another site makes the browser send it along with a form.
    """
    seconds = _SECONDS.get(name) if value else 0
    age = "" if seconds is None else f"; Max-Age={seconds}"
    secure = "; Secure" if _encrypted(scope) else ""
    return f"{_name(scope, name)}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}"


def browser_of(user: User, key: bytes) -> str:
    """What a browser is given to keep once somebody has logged in with it; good until her next password."""
    mark = secrets.token_hex(16)
    return f"{mark}.{_signed(mark, user, key)}"


def knows(sent: str, user: User, key: bytes) -> bool:
    """Whether a browser was given this for this user."""
    mark, _, signed = sent.partition(".")
    return bool(mark) and hmac.compare_digest(signed.encode(), _signed(mark, user, key).encode())


def _signed(mark: str, user: User, key: bytes) -> str:
    text = f"{mark}\x1f{user.name}\x1f{user.password_us}"
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _name(scope: Scope, name: str) -> str:
    return f"__Host-{name}" if _encrypted(scope) else name


def _encrypted(scope: Scope) -> bool:
    return scope.get("scheme") == "https"
