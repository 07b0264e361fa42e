"""What the environment says of an identity provider: read strictly, and never repeated where it is secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kohort.errors import MissingExtra, WrongUsage
from kohort.model import oidc
from kohort.model.oidc import NotNamed, Provider, provider_from, roles_from

GOOD = {
    "KOHORT_OIDC_ISSUER": "https://id.example/realms/shop",
    "KOHORT_OIDC_CLIENT_ID": "kohort",
    "KOHORT_OIDC_CLIENT_SECRET": "very secret",
    "KOHORT_OIDC_REDIRECT": "https://shop.example/login/oidc/back",
}


def made(**said: str) -> Provider:
    found = provider_from({**GOOD, **{f"KOHORT_OIDC_{name}": value for name, value in said.items()}})
    assert found is not None
    return found


def test_nothing_said_means_none() -> None:
    assert provider_from({}) is None
    assert provider_from({"KOHORT_OIDC_ISSUER": " "}) is None


def test_the_least_that_has_to_be_said() -> None:
    found = made()
    assert (found.label, found.name_claim, found.roles) == ("id.example", "email", ())
    assert found.scopes == ("openid", "email", "profile")
    assert made(SCOPES="groups openid", LABEL="Keys").scopes == ("openid", "groups")
    assert "very secret" not in repr(found)


def test_the_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "empty").write_text("\n")
    only = {"CLIENT_SECRET": "", "CLIENT_SECRET_FILE": str(tmp_path / "secret")}
    assert made(**only).secret == "from a file"
    for wrong in ({}, {"CLIENT_SECRET_FILE": str(tmp_path / "empty")}, {"CLIENT_SECRET_FILE": str(tmp_path / "none")}):
        with pytest.raises(WrongUsage, match="CLIENT_SECRET"):
            made(**{"CLIENT_SECRET": "", **wrong})
    with pytest.raises(WrongUsage, match="either"):
        made(CLIENT_SECRET_FILE=str(tmp_path / "secret"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ISSUER", ""),
        ("ISSUER", "http://id.example"),
        ("ISSUER", "https://id.example/?realm=shop"),
        ("ISSUER", "https://me@id.example"),
        ("ISSUER", "id.example"),
        ("ISSUER", "https://[::1"),
        ("CLIENT_ID", ""),
        ("REDIRECT", ""),
        ("REDIRECT", "https://shop.example/login/oidc/back/"),
        ("REDIRECT", "https://shop.example/"),
        ("REDIRECT", "https://shop.example/login/oidc/back?x=1"),
        ("REDIRECT", "http://shop.example/login/oidc/back"),
        ("REDIRECT", "/login/oidc/back"),
        ("ROLES", "groups; a=viewer"),
        ("ROLES", "claim=groups"),
        ("ROLES", "claim=; a=viewer"),
        ("ROLES", "claim=groups; a=boss"),
        ("ROLES", "claim=groups; viewer"),
        ("ROLES", "claim=groups; =viewer"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, value: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        made(**{name: value})
    assert "KOHORT_OIDC_" in refused.value.message
    assert "very secret" not in str(refused.value)


def test_on_this_machine_and_where_it_was_allowed_nothing_has_to_be_encrypted() -> None:
    assert made(ISSUER="http://127.0.0.1:8080", REDIRECT="http://localhost:8765/login/oidc/back")
    plain = {**GOOD, "KOHORT_OIDC_REDIRECT": "http://10.0.0.5/login/oidc/back", "KOHORT_PLAIN_HTTP": "yes"}
    assert provider_from(plain)


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["staff", "bosses"]}, "administrator"),
        ({"groups": ["staff"]}, "marketer"),
        ({"groups": "staff"}, "marketer"),
        ({"groups": "staff bosses"}, None),
        ({"groups": ["Staff", "staffs", 1, None, ["staff"]]}, None),
        ({"groups": {"staff": True}}, None),
        ({"groups": None}, None),
        ({}, None),
    ],
)
def test_the_first_value_that_somebody_has_gives_the_role(claims: dict[str, Any], role: str | None) -> None:
    assert made(ROLES="claim=groups; bosses=administrator; staff=marketer").role_of(claims) == role


def test_a_claim_may_lie_within_others_or_have_dots_in_its_name() -> None:
    deep = made(ROLES="claim=resource_access.kohort.roles; boss=administrator")
    assert deep.role_of({"resource_access": {"kohort": {"roles": ["boss"]}}}) == "administrator"
    assert deep.role_of({"resource_access": {"other": {"roles": ["boss"]}}}) is None
    assert deep.role_of({"resource_access": "kohort"}) is None
    named = made(ROLES="claim=https://shop.example/roles; boss=administrator")
    assert named.role_of({"https://shop.example/roles": ["boss"]}) == "administrator"
    assert roles_from(" ; ") == ("", ())


def test_a_name_counts_only_where_the_provider_vouches_for_it() -> None:
    mail = made()
    assert mail.name_of({"email": " ann@shop.example ", "email_verified": "true"}) == "ann@shop.example"
    for claims in ({"email": "ann@shop.example"}, {"email": "", "email_verified": True}, {"email": 7}, {}):
        with pytest.raises(NotNamed):
            mail.name_of(claims)
    assert made(NAME="preferred_username").name_of({"preferred_username": "ann"}) == "ann"


def test_without_the_library_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert oidc.here() is not None
    monkeypatch.setattr(oidc, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="oidc"):
        oidc.here()
