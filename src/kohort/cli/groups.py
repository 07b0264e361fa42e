"""Households and accounts: `kohort identity households|accounts` for everybody, `kohort customer household|account` for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.customer import customer, show_groups
from kohort.cli.door import Door, Result, command
from kohort.cli.identity import identity
from kohort.errors import WrongUsage
from kohort.views.words import plural

if TYPE_CHECKING:
    from kohort.cli.screen import Screen
    from kohort.model.event import GroupLevel

_DRY = click.option("--dry-run", is_flag=True, help="Say what would be written down, and do nothing.")
_FORGET = click.option("--forget", is_flag=True, help="Take all of it back, what people decided too.")
_WITH = click.option("--with", "beside", metavar="OTHER", help="Where this customer is.")
_ALONE = click.option("--alone", is_flag=True, help="Of her own.")
_RESET = click.option("--reset", is_flag=True, help="Take back what was decided; the next run finds it again.")


@command(
    identity,
    "households",
    short_help="Find who lives together.",
    epilog="Example: kohort identity households --region DK --dry-run",
)
@_DRY
@click.option(
    "--region", default="NL", show_default=True, metavar="CC", help="Country whose telephone numbers need no prefix."
)
@_FORGET
def households(door: Door, *, dry_run: bool, region: str, forget: bool) -> Result:
    """Find persons who share an address, and a surname or a telephone number. They stay persons of their own.

    Each household gets a code without meaning in the trait t_in_household: `accounts: t_in_household` in kohort.yaml lets
    segments be of households. Who objects to profiling is in none.
    """
    if forget:
        return _forgotten(door, "household", dry_run=dry_run)
    with door.open() as ws, door.progress() as progress:
        data = ws.groups.households(dry_run=dry_run, region=region.upper(), progress=progress)

    def shown(screen: Screen) -> None:
        screen.line(
            f"{plural(data['persons'], 'customer')} with an address: "
            f"{data['members']:,} live in {plural(data['households'], 'household')}."
        )
        screen.facts((how, f"{n:,}") for how, n in data["how"].items())
        for kind, n in data["blocked"].items():
            screen.line(f"{n:,} values of the kind {kind} are shared by too many to say anything.")
        _changed(screen, data)

    return Result(data, shown)


@command(
    identity,
    "accounts",
    short_help="Find which spellings are one company.",
    epilog="Example: kohort identity accounts --column t_company",
)
@click.option("--column", metavar="t_NAME", help="The trait that holds the company (default: that of accounts:).")
@_DRY
@_FORGET
def accounts(door: Door, *, column: str | None, dry_run: bool, forget: bool) -> Result:
    """Bring companies to one spelling each: "Acme B.V.", "ACME BV" and "Acme" are one account, "Acme N.V." is another.

    The account stands in the trait t_in_account: `accounts: t_in_account` in kohort.yaml lets segments be of accounts.
    """
    if forget:
        return _forgotten(door, "account", dry_run=dry_run)
    with door.open() as ws, door.progress():
        data = ws.groups.accounts(column=column, dry_run=dry_run)

    def shown(screen: Screen) -> None:
        screen.line(
            f"{plural(data['customers'], 'customer')} in {plural(data['spellings'], 'spelling')} of companies, "
            f"which come to {plural(data['accounts'], 'account')}."
        )
        screen.facts((one["account"], ", ".join(one["spellings"])) for one in data["joined"])
        _changed(screen, data)

    return Result(data, shown)


@command(
    customer,
    "household",
    short_help="Whom a customer lives with.",
    epilog="Example: kohort customer household 14127 --with 88012",
)
@click.argument("number", metavar="CUSTOMER")
@_WITH
@_ALONE
@_RESET
def household(door: Door, *, number: str, beside: str | None, alone: bool, reset: bool) -> Result:
    """Show a customer's household, or decide about it; no run changes what a person decided."""
    return _one(door, number, "household", beside=beside, alone=alone, reset=reset)


@command(
    customer,
    "account",
    short_help="The company a customer belongs to.",
    epilog="Example: kohort customer account 14127 --alone",
)
@click.argument("number", metavar="CUSTOMER")
@_WITH
@_ALONE
@_RESET
def account(door: Door, *, number: str, beside: str | None, alone: bool, reset: bool) -> Result:
    """Show a customer's account, or decide about it; no run changes what a person decided."""
    return _one(door, number, "account", beside=beside, alone=alone, reset=reset)


def _one(door: Door, number: str, level: GroupLevel, *, beside: str | None, alone: bool, reset: bool) -> Result:
    if sum((beside is not None, alone, reset)) > 1:
        raise WrongUsage("Say one thing at once: --with, --alone or --reset.")
    with door.open() as ws:
        if reset:
            data = ws.groups.reset(number, level)
        elif alone or beside is not None:
            data = ws.groups.put(number, level, beside=beside)
        else:
            data = ws.groups.of(number)

    def shown(screen: Screen) -> None:
        if data[level] is None:
            screen.line(f"No {level} is known.")
        show_groups(screen, {"household": None, "account": None, level: data[level]})

    return Result(data, shown)


def _forgotten(door: Door, level: GroupLevel, *, dry_run: bool) -> Result:
    if dry_run:
        raise WrongUsage("Take it back, or see what would be found, not both at once.")
    with door.open() as ws, door.progress():
        data = ws.groups.forget(level)
    return Result(data, lambda screen: screen.line(f"Taken back: {plural(data['rows'], 'statement')}."))


def _changed(screen: Screen, data: dict[str, Any]) -> None:
    if data["by_hand"]:
        screen.line(f"Left where a person put them: {plural(data['by_hand'], 'customer')}.")
    would = "would be" if data["dry_run"] else "is"
    screen.line(f"Something new {would} said of {plural(data['changed'], 'customer')}, in the trait {data['trait']}.")
