"""The identity provider (OpenID Connect) through which people may log in, as the environment names it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from kohort.errors import MissingExtra, WrongUsage
from kohort.model.access import ROLES, Role
from kohort.model.serving import LOCAL_NAMES, PLAIN_VARIABLE

ISSUER = "KOHORT_OIDC_ISSUER"
CLIENT = "KOHORT_OIDC_CLIENT_ID"
SECRET = "KOHORT_OIDC_CLIENT_SECRET"  # noqa: S105 - the name of a variable
SECRET_FILE = "KOHORT_OIDC_CLIENT_SECRET_FILE"  # noqa: S105 - the name of a variable
REDIRECT = "KOHORT_OIDC_REDIRECT"
SCOPES = "KOHORT_OIDC_SCOPES"
LABEL = "KOHORT_OIDC_LABEL"
NAME = "KOHORT_OIDC_NAME"
ROLES_OF = "KOHORT_OIDC_ROLES"
_ALL = (ISSUER, CLIENT, SECRET, SECRET_FILE, REDIRECT, SCOPES, LABEL, NAME, ROLES_OF)

BACK = "/login/oidc/back"
"""Where the provider sends people back to."""
_LONGEST_LABEL = 40
_LONGEST_SUBJECT = 255


class NotNamed(Exception):
    """The provider knows somebody, but does not say by which name she is let in. `why` is for the log."""

    def __init__(self, why: str, text: str) -> None:
        self.why, self.text = why, text
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Provider:
    """Where people prove who they are, and what follows from it here.

    Attributes:
        issuer: Its address exactly as it stands in its tokens.
        client_id: What we are called there.
        secret: What we prove ourselves with.
        redirect: The whole address that people come back to; the provider knows it, and takes no other.
        label: What people call it: "Log in with …".
        scopes: What we ask for.
        name_claim: What a person is called here. An e-mail address counts only where the provider has verified it.
        role_claim: What her role follows from, `groups` or `realm_access.roles`; empty = nothing there.
        roles: Value of that claim and role, the first one that she has counts.
    """

    issuer: str
    client_id: str
    secret: str = field(repr=False)
    redirect: str
    label: str
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    name_claim: str = "email"
    role_claim: str = ""
    roles: tuple[tuple[str, Role], ...] = ()

    def role_of(self, claims: Mapping[str, Any]) -> Role | None:
        """The role that the provider gives somebody; None = it gives none.

        Example:
            >>> rules = {"role_claim": "realm.roles", "roles": (("boss", "administrator"), ("staff", "viewer"))}
            >>> p = Provider("https://id.example", "kohort", "…", "https://shop.example/login/oidc/back", "ID", **rules)
            >>> p.role_of({"realm": {"roles": ["staff", "boss"]}}), p.role_of({"realm": {"roles": "bos"}})
            ('administrator', None)
        """
        found = _within(claims, self.role_claim) if self.role_claim else None
        values = {found} if isinstance(found, str) else set()
        if isinstance(found, list):
            values = {value for value in found if isinstance(value, str)}
        return next((role for value, role in self.roles if value in values), None)

    def name_of(self, claims: Mapping[str, Any]) -> str:
        """What somebody is called here.

        Raises:
            NotNamed: The provider does not say, or does not vouch for it.
        """
        name = claims.get(self.name_claim)
        if not isinstance(name, str) or not name.strip():
            raise NotNamed(
                f"no claim {self.name_claim}", f"{self.label} does not say what you are called ({self.name_claim})."
            )
        if self.name_claim == "email" and not _is_yes(claims.get("email_verified")):
            # Whoever may write any address into her profile there would be anybody here.
            raise NotNamed("e-mail address not verified", f"{self.label} has not verified your e-mail address.")
        return name.strip()


def subject_of(claims: Mapping[str, Any]) -> str:
    """What a provider calls somebody for ever, whatever her name and her address become; empty = it does not say."""
    subject = claims.get("sub")
    plain = isinstance(subject, str) and subject.isprintable() and len(subject) <= _LONGEST_SUBJECT
    return str(subject) if plain else ""


def provider_from(environ: Mapping[str, str]) -> Provider | None:
    """The provider that the environment names; None = none.

    Raises:
        WrongUsage: Something is missing, or cannot be meant. The message does not repeat a secret.
    """
    said = {name: environ.get(name, "").strip() for name in _ALL}
    if not any(said.values()):
        return None
    if missing := [name for name in (ISSUER, CLIENT, REDIRECT) if not said[name]]:
        raise WrongUsage(
            f"Logging in through an identity provider needs {', '.join(missing)}.",
            hint="See docs/security.md, or unset every KOHORT_OIDC_… variable.",
        )
    issuer = _issuer(said[ISSUER])
    claim, roles = roles_from(said[ROLES_OF])
    return Provider(
        issuer=said[ISSUER],
        client_id=said[CLIENT],
        secret=_secret(environ.get(SECRET, ""), said[SECRET_FILE]),
        redirect=_redirect(said[REDIRECT], plain=environ.get(PLAIN_VARIABLE) == "yes"),
        label=(said[LABEL] or issuer.hostname or "")[:_LONGEST_LABEL],
        scopes=tuple(dict.fromkeys(["openid", *(said[SCOPES] or "email profile").split()])),
        name_claim=said[NAME] or "email",
        role_claim=claim,
        roles=roles,
    )


def here() -> Provider | None:
    """The provider that this process was told of; None = none.

    Raises:
        WrongUsage: As `provider_from`.
        MissingExtra: What checks tokens is not installed.
    """
    provider = provider_from(os.environ)
    if provider is not None and find_spec("jwt") is None:
        raise MissingExtra("oidc", "Logging in through an identity provider")
    return provider


def roles_from(text: str) -> tuple[str, tuple[tuple[str, Role], ...]]:
    """The claim and what follows from its values.

    Raises:
        WrongUsage: It cannot be read.

    Example:
        >>> roles_from("claim=groups; kohort-admins=administrator; cn=shop,ou=staff=marketer")
        ('groups', (('kohort-admins', 'administrator'), ('cn=shop,ou=staff', 'marketer')))
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not parts:
        return "", ()
    example = "Write for example: claim=groups; kohort-admins=administrator; shop=marketer"
    word, _, claim = (part.strip() for part in parts[0].partition("="))
    if word != "claim" or not claim or len(parts) == 1:
        raise WrongUsage(f"{ROLES_OF} begins with the claim that roles follow from.", hint=example)
    found: list[tuple[str, Role]] = []
    for part in parts[1:]:
        value, _, role = (piece.strip() for piece in part.rpartition("="))
        if not value:
            raise WrongUsage(f"{ROLES_OF} has a part that gives no role: {part!r}.", hint=example)
        if role not in ROLES:
            raise WrongUsage(
                f"{ROLES_OF} gives a role that there is not: {role!r}.", hint=f"There are: {', '.join(ROLES)}."
            )
        found.append((value, role))
    return claim, tuple(found)


def is_safe_to_ask(url: str) -> bool:
    """Whether what is sent to an address stays between us and it: https, or this machine.

    Example:
        >>> [is_safe_to_ask(u) for u in ("https://id.example/x", "http://id.example/x", "http://127.0.0.1:81/x", "file:///x")]
        [True, False, True, False]
    """
    parts = _parts(url)
    if parts is None or "@" in parts.netloc or "\\" in url or not url.isprintable() or " " in url:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL_NAMES)
    )


def _issuer(text: str) -> SplitResult:
    parts = _parts(text)
    if parts is None or not is_safe_to_ask(text) or parts.query or parts.fragment:
        raise WrongUsage(
            f"{ISSUER} is no address of a provider.",
            hint="Copy `issuer` from its /.well-known/openid-configuration; it begins with https://.",
        )
    return parts


def _redirect(text: str, *, plain: bool) -> str:
    parts = _parts(text)
    safe = is_safe_to_ask(text) or (plain and is_safe_to_ask(text.replace("http://", "https://", 1)))
    if parts is None or not safe or parts.path != BACK or parts.query or parts.fragment:
        raise WrongUsage(
            f"{REDIRECT} is not where people can come back to.",
            hint=f"Write the whole address of these pages and {BACK}: https://kohort.example{BACK}",
        )
    return text


def _secret(said: str, file: str) -> str:
    if bool(said.strip()) == bool(file):
        raise WrongUsage(
            f"Say the secret of the client either in {SECRET} or in a file named by {SECRET_FILE}.",
            hint="The provider shows it where the client was made.",
        )
    if not file:
        return said.strip()
    try:
        found = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"The file that {SECRET_FILE} names cannot be read.", hint="Check path and rights.") from error
    if not found:
        raise WrongUsage(f"The file that {SECRET_FILE} names is empty.", hint="Write the secret into it.")
    return found


def _parts(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.port, parts.hostname  # which look closer
    except ValueError:
        return None
    return parts


def _within(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, or by the names that lead to it; None where there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _is_yes(value: Any) -> bool:
    return value is True or value == "true"  # some providers write all claims as text
