"""The one token that counts: who has logged in, signed by the provider for us and for this very login."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kohort.model.oidc import subject_of
from kohort.web.oidc.refused import Refused, UnknownKey

LEEWAY_SECONDS = 60
"""By so much clocks may differ."""
LONGEST = 64 * 1024
SMALLEST_RSA = 2_048

KINDS: Mapping[str, tuple[str, str]] = {
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "RS512": ("RSA", ""),
    "PS256": ("RSA", ""),
    "PS384": ("RSA", ""),
    "PS512": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Algorithm → kind of key and curve. Only signatures that nobody can make who can check them: no `none`, and none with a
shared secret, with which a public key could be taken for one."""

_PUBLIC = ("kty", "kid", "use", "alg", "crv", "n", "e", "x", "y")
"""What is read of a key. Where a provider shows more, a private half for example, we do not hold it."""


def claims_of(
    token: str,
    keys: Sequence[Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    algorithms: Collection[str],
) -> dict[str, Any]:
    """What a token says, once all of it is right.

    Args:
        keys: Those of the provider, as its document of keys lists them.
        nonce: What we gave this login.
        algorithms: What the provider says that it signs with.

    Raises:
        UnknownKey: None of the keys fits.
        Refused: Something else is not right.
    """
    import jwt

    try:
        if len(token) > LONGEST:
            raise Refused("token too long")
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in KINDS or algorithm not in algorithms:
            raise Refused("token signed in a way that is not taken")
        key = _key(keys, algorithm, header.get("kid"))
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iat", "iss", "aud", "sub", "nonce"]},
        )
    except (jwt.PyJWTError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Refused(_why(error)) from error
    _check_rest(claims, client_id, nonce)
    return claims


def _key(keys: Sequence[Any], algorithm: str, kid: Any) -> Any:
    """The one key that a signature of this kind and name can be of."""
    import jwt

    kind, curve = KINDS[algorithm]
    fits = [
        key
        for key in keys
        if isinstance(key, dict)
        and key.get("kty") == kind
        and (not curve or key.get("crv") == curve)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    ]
    if len(fits) != 1:
        raise UnknownKey("token signed with a key that the provider does not show")
    key = jwt.PyJWK({name: fits[0][name] for name in _PUBLIC if name in fits[0]}, algorithm)
    if kind == "RSA" and key.key.key_size < SMALLEST_RSA:
        raise Refused("token signed with a key that is too short")
    return key


def _check_rest(claims: Mapping[str, Any], client_id: str, nonce: str) -> None:
    said = claims["nonce"]
    if not isinstance(said, str) or not hmac.compare_digest(said.encode("utf-8", "replace"), nonce.encode()):
        raise Refused("token made for another login")
    party, audience = claims.get("azp"), claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if party != client_id and (party is not None or several):
        raise Refused("token made for another program")
    if not subject_of(claims):
        raise Refused("token that does not say whose it is")


def _why(error: Exception) -> str:
    """Words of ours for what the library found."""
    known = {
        "ExpiredSignatureError": "token that is over",
        "ImmatureSignatureError": "token from the future",
        "InvalidAudienceError": "token made for another program",
        "InvalidIssuerError": "token of another provider",
        "InvalidSignatureError": "token with a wrong signature",
        "MissingRequiredClaimError": "token that leaves something out",
    }
    return known.get(type(error).__name__, "token that cannot be read")
