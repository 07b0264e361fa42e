"""The group `users`: who may log in to the pages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import machine_user
from kohort.cli.root import app
from kohort.errors import WrongUsage
from kohort.model.access import FEWEST_CHARACTERS, ROLES

if TYPE_CHECKING:
    from kohort.cli.screen import Screen
    from kohort.store.users import User

_ROLE = click.Choice(list(ROLES))
_from_stdin = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from what is piped in."
)


@app.group("users", short_help="Who may log in to the pages.")
def users() -> None:
    """People who log in to the pages. As soon as there is one, everybody has to; the first one is an administrator.

    \b
    kohort users add Ann --role administrator
    kohort users add Bob --role marketer
    kohort users add cas@shop.example --role analyst --oidc
    kohort users role Bob analyst
    kohort users password Bob
    kohort users remove Bob
    """


@command(users, "add", short_help="Let somebody in.", epilog="Example: kohort users add Ann --role administrator")
@click.argument("name")
@click.option("--role", type=_ROLE, required=True, help="What she may see and do: docs/security.md.")
@_from_stdin
@click.option("--oidc", is_flag=True, help="She logs in through the identity provider, which calls her NAME.")
def add(door: Door, *, name: str, role: str, from_stdin: bool, oidc: bool) -> Result:
    """Let NAME log in to the pages. A password of at least 12 characters is asked for; she can change it on her own page.

    With --oidc she has none here: the first to come from the identity provider whom it calls NAME is let in, and from then on
    nobody else (docs/security.md).
    """
    if oidc and from_stdin:
        raise WrongUsage("Who logs in through the identity provider has no password here.", hint="Say one of the two.")
    with door.open() as ws:
        if oidc:
            ws.users.expect(name, role, by=machine_user())
        else:
            ws.users.add(name, role, _password(from_stdin), by=machine_user())
    how = " through the identity provider" if oidc else ""
    told = {"name": name, "role": role} | ({"login": "provider"} if oidc else {})
    return Result(told, lambda screen: screen.line(f"{name} may log in{how}, as {role}."))


@command(users, "list", short_help="Everybody who may log in.", epilog="Example: kohort users list -w shop")
def listed(door: Door) -> Result:
    """List the users: name, role, since when, and how old the password is, or that they log in through the identity provider."""
    with door.open() as ws:
        zone = ws.zone
        rows = [_row(user) for user in ws.users.list()]

    def shown(screen: Screen) -> None:
        def since(row: dict[str, Any]) -> str:
            if row["login"] == "provider":
                return "identity provider"
            return screen.day(row["password_since"])

        if not rows:
            screen.line("Nobody logs in: the pages are open to whoever works at this machine.")
            screen.command("kohort users add NAME --role administrator")
            return
        lines = [(r["name"], r["role"], screen.day(r["made"]), since(r)) for r in rows]
        screen.table([(name, "left") for name in ("name", "role", "since", "password since")], lines)

    return Result({"users": rows}, shown, zone=zone)


@command(users, "role", short_help="Give somebody another role.", epilog="Example: kohort users role Bob analyst")
@click.argument("name")
@click.argument("role", type=_ROLE)
def role_(door: Door, *, name: str, role: str) -> Result:
    """Give NAME another role. She has to log in again."""
    with door.open() as ws:
        ws.users.set_role(name, role, by=machine_user())
    return Result({"name": name, "role": role}, lambda screen: screen.line(f"{name} is {role} now."))


@command(users, "password", short_help="Set a password.", epilog="Example: kohort users password Bob")
@click.argument("name")
@_from_stdin
def password(door: Door, *, name: str, from_stdin: bool) -> Result:
    """Give NAME another password, where she forgot hers or somebody else knows it. Her sessions end at once."""
    with door.open() as ws:
        ws.users.set_password(name, _password(from_stdin), by=machine_user())
    return Result(
        {"name": name}, lambda screen: screen.line(f"{name} has another password, and is logged out everywhere.")
    )


@command(users, "remove", short_help="Let somebody in no more.", epilog="Example: kohort users remove Bob")
@click.argument("name")
def remove(door: Door, *, name: str) -> Result:
    """Let NAME in no more, at once. What she decided and saw stays in the logs, by her name."""
    with door.open() as ws:
        ws.users.remove(name, by=machine_user())
    return Result({"removed": name}, lambda screen: screen.line(f"{name} may not log in any more."))


def _row(user: User) -> dict[str, Any]:
    """One user as programs read her; `expected`: she is still to come from the provider for the first time."""
    from kohort.model.clock import iso

    told = {"name": user.name, "role": user.role, "made": iso(user.made_us)}
    if user.provider:
        return {**told, "login": "provider", "expected": user.expected, "password_since": None}
    return {**told, "login": "password", "password_since": iso(user.password_us)}


def _password(from_stdin: bool) -> str:
    """What is typed, twice and unseen, or piped in. Never an option: those stand in the list of processes."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise WrongUsage(
            "A password is asked for, and nobody is there to type it.", hint="Pipe it in: --password-stdin"
        )
    asked = f"Password ({FEWEST_CHARACTERS} characters or more)"
    return str(click.prompt(asked, hide_input=True, confirmation_prompt="The same again", err=True))
