"""Speaks with the identity provider: where its doors are, which keys it signs with, and who has come with a code."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from kohort.model.log import say
from kohort.model.oidc import Provider, is_safe_to_ask
from kohort.web.oidc.begun import Begun
from kohort.web.oidc.fetch import Fetch
from kohort.web.oidc.refused import Refused, UnknownKey
from kohort.web.oidc.token import KINDS, claims_of

KEPT_SECONDS = 3_600.0
"""How long what the provider says of itself is believed."""
PAUSE_SECONDS = 5.0
"""After it did not answer; and between two looks for new keys."""
_MOST_KEYS = 100

log = logging.getLogger("kohort.web")


@dataclass(frozen=True, slots=True)
class Described:
    """What the provider says of itself.

    Attributes:
        authorization: Where people log in.
        token: Where we bring the code.
        keys: Where its public keys are.
        leave: Where people log out of it; empty = nowhere.
        algorithms: What it signs with, as far as we take that.
        by_header: Whether we prove ourselves in the header, and not in the form.
        names_itself: Whether it says who it is when it sends people back.
    """

    authorization: str
    token: str
    keys: str
    leave: str
    algorithms: frozenset[str]
    by_header: bool
    names_itself: bool


class Client:
    """One program of one provider. Safe to use from many threads.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(
        self, provider: Provider, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.provider = provider
        self._fetch, self._clock, self._lock = fetch or Fetch(), clock, Lock()
        self._described: tuple[float, Described] | None = None
        self._keys: tuple[float, list[Any]] | None = None
        self._silent_until = 0.0

    def address(self, begun: Begun) -> str:
        """Where a browser is sent to log in.

        Raises:
            Refused: The provider does not say where.
        """
        described = self.described()
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self.provider.redirect,
            "scope": " ".join(self.provider.scopes),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": begun.challenge,
            "code_challenge_method": "S256",
        }
        return f"{described.authorization}{_joint(described.authorization)}{urlencode(asked)}"

    def claims(self, code: str, begun: Begun) -> dict[str, Any]:
        """Who has come back with a code. The tokens are forgotten here.

        Raises:
            Refused: The provider does not know the code, or what it says is not right.
        """
        described = self.described()
        token = self._brought(described, code, begun)
        try:
            return self._checked(token, described, self._keys_of(described), begun)
        except UnknownKey:  # the provider may have changed it since we looked
            return self._checked(token, described, self._keys_of(described, anew=True), begun)

    def check_sender(self, issuer: str) -> None:
        """Refuses somebody who is sent back by another provider than the one she was sent to.

        Raises:
            Refused: She is.
        """
        if issuer != self.provider.issuer and (issuer or self.described().names_itself):
            raise Refused("sent back by another provider")

    def leave(self) -> str:
        """Where somebody logs out of the provider, as far as that is known without asking it; empty = not known."""
        known = self._described
        if known is None or not known[1].leave:
            return ""
        return f"{known[1].leave}{_joint(known[1].leave)}{urlencode({'client_id': self.provider.client_id})}"

    def described(self) -> Described:
        """What the provider says of itself, now or within the last hour.

        Raises:
            Refused: It does not answer, or is not the one that was meant.
        """
        with self._lock:
            now = self._clock()
            if self._described is not None and now - self._described[0] < KEPT_SECONDS:
                return self._described[1]
            if now < self._silent_until:
                raise Refused("does not answer", status=502)
            try:
                found = self._found()
            except Refused as refusal:
                self._silent_until = self._clock() + PAUSE_SECONDS
                say(log, logging.WARNING, "identity provider does not answer as it should", code=refusal.code)
                raise
            self._described = (now, found)
            return found

    def _found(self) -> Described:
        said = self._fetch.get(self.provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if said.get("issuer") != self.provider.issuer:
            raise Refused("calls itself otherwise than KOHORT_OIDC_ISSUER does", status=502)
        places = [said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        # A provider out there has no door on this machine.
        far = self.provider.issuer.startswith("https:")
        if not all(isinstance(place, str) and _is_door(place, far=far) for place in places):
            raise Refused("does not say where its doors are", status=502)
        signs = _texts(said.get("id_token_signing_alg_values_supported")) or set(KINDS)
        algorithms = frozenset(signs & KINDS.keys())
        if not algorithms:
            raise Refused("signs in no way that is taken", status=502)
        leave = said.get("end_session_endpoint")
        ways = _texts(said.get("token_endpoint_auth_methods_supported")) or {"client_secret_basic"}
        authorization, token, keys = (str(place) for place in places)
        return Described(
            authorization=authorization,
            token=token,
            keys=keys,
            leave=leave if isinstance(leave, str) and is_safe_to_ask(leave) else "",
            algorithms=algorithms,
            by_header="client_secret_basic" in ways or "client_secret_post" not in ways,
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        )

    def _brought(self, described: Described, code: str, begun: Begun) -> str:
        """The token for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.provider.redirect,
            "code_verifier": begun.verifier,
        }
        headers = {}
        name, secret = self.provider.client_id, self.provider.secret
        if described.by_header:
            both = f"{quote_plus(name)}:{quote_plus(secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(both).decode()}"
        else:
            form |= {"client_id": name, "client_secret": secret}
        status, said = self._fetch.post(described.token, form, headers)
        token = said.get("id_token")
        if status != 200:
            raise Refused(f"took the code for no token: {known_error(said.get('error'))}")
        if not isinstance(token, str):
            raise Refused("gave no token of who it is")
        return token

    def _checked(self, token: str, described: Described, keys: list[Any], begun: Begun) -> dict[str, Any]:
        return claims_of(
            token,
            keys,
            issuer=self.provider.issuer,
            client_id=self.provider.client_id,
            nonce=begun.nonce,
            algorithms=described.algorithms,
        )

    def _keys_of(self, described: Described, *, anew: bool = False) -> list[Any]:
        with self._lock:
            now, age = self._clock(), PAUSE_SECONDS if anew else KEPT_SECONDS
            if self._keys is not None and now - self._keys[0] < age:
                return self._keys[1]
            found = self._fetch.get(described.keys).get("keys")
            if not isinstance(found, list) or len(found) > _MOST_KEYS:
                raise Refused("shows no keys", status=502)
            self._keys = (now, found)
            return found


_ERRORS = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "login_required",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_response_type",
    }
)


def known_error(said: Any) -> str:
    """The standard's word for what went wrong; whatever else somebody sends stays out of the log."""
    return said if isinstance(said, str) and said in _ERRORS else "an error of its own"


def _is_door(address: str, *, far: bool) -> bool:
    return is_safe_to_ask(address) and "#" not in address and (address.startswith("https:") or not far)


def _texts(said: Any) -> set[str]:
    return {one for one in said if isinstance(one, str)} if isinstance(said, list) else set()


def _joint(address: str) -> str:
    return "&" if urlsplit(address).query else "?"
