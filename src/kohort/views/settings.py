"""The settings as HTML text: who may come in, which programs, where data comes from and goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.locale import find, mark
from kohort.model.access import FEWEST_CHARACTERS, Role
from kohort.views import own_words as say
from kohort.views.login import ROLES
from kohort.views.pages import Shell, page
from kohort.views.privacy_words import kept_for

if TYPE_CHECKING:
    from kohort.store.api_keys import ApiKey
    from kohort.store.users import User

MAY: Mapping[Role, str] = {
    "viewer": mark("sees groups and figures, and no single customer."),
    "marketer": mark("sees groups and single customers, find them, and say who is one customer."),
    "analyst": mark("sees groups and single customers, by codes that stand for them."),
    "privacy-officer": mark(
        "sees groups and single customers, say who is one customer, answer what customers ask about their data, "
        "and read who did what."
    ),
    "administrator": mark("does everything that the pages offer."),
}
"""What somebody with a role does, after its name; `kohort.views.login.MAY` says it to her."""
SCOPES = {
    "ingest": mark("Sends events, and reads nothing: may stand in a web page"),
    "read": mark("Reads customers and segments"),
    "admin": mark("Reads, and changes settings"),
}


def settings(
    shell: Shell,
    *,
    users: Sequence[User],
    keys: Sequence[ApiKey],
    connections: Sequence[Mapping[str, Any]],
    destinations: Sequence[Mapping[str, Any]],
    sources: Sequence[Mapping[str, Any]],
    retention: Mapping[str, Any],
    zone: str,
    problem: str = "",
    done: str = "",
    new_key: tuple[str, str] | None = None,
    provider: str = "",
) -> str:
    """All of it on one page.

    Args:
        connections, destinations, sources: As `ws.connections`, `ws.triggers.destinations` and `kohort.workspace.sources` tell.
        retention: `retention:` of kohort.yaml.
        problem: Why something was not done.
        done: What was done.
        new_key: Name and text of a key that was just made: shown this once.
        provider: The identity provider through which people log in, too; empty = none.
    """
    administrators = sum(user.role == "administrator" for user in users)
    return page(
        "settings.html",
        shell,
        "settings",
        users=[
            {
                "name": user.name,
                "role": user.role,
                "title": find(ROLES[user.role]),
                "since": say.day(user.made_us, zone),
                "password": say.day(user.password_us, zone),
                "provider": user.provider,
                "expected": user.expected,
                "last": user.role == "administrator" and administrators == 1,
            }
            for user in users
        ],
        roles=[(role, find(title), find(MAY[role])) for role, title in ROLES.items()],
        keys=[
            {
                "name": key.name,
                "scope": key.scope,
                "may": find(SCOPES[key.scope]),
                "begins": f"kh_{key.lookup}",
                "made": say.day(key.created_us, zone),
                "revoked": None if key.revoked_us is None else say.day(key.revoked_us, zone),
            }
            for key in keys
        ],
        scopes={scope: find(may) for scope, may in SCOPES.items()},
        connections=[{**c, "on": _when(c["tried"] or c["last_run"], zone)} for c in connections],
        destinations=[
            {**d, "on": _when(d["last"], zone), "failed": d["error"] and _when(d["error"]["at"], zone)}
            for d in destinations
        ],
        sources=[{**s, "on": _when(s["last"], zone)} for s in sources],
        kept_for=kept_for(retention),
        hold=retention.get("hold", ""),
        fewest=FEWEST_CHARACTERS,
        problem=problem,
        done=done,
        new_key=new_key,
        provider=provider,
    )


def _when(instant: str | None, zone: str) -> str:
    """Day and time of day; empty where there is none."""
    return say.moment_of(instant, zone) if instant else ""
