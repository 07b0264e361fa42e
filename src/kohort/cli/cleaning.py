"""The group `cleaning`: the company's own rules for putting rows aside, and spot checks of what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.root import app

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@app.group("cleaning", short_help="Rules that put rows aside: list, check by hand.")
def cleaning() -> None:
    """Cleaning rules of kohort.yaml. What they put aside is kept, and a person checks samples of it.

    \b
    kohort cleaning list
    kohort cleaning check test_orders
    kohort cleaning check test_orders --right 12 --right 15 --wrong 31
    """


@command(cleaning, "list", short_help="What each rule did, and how often it was right.")
def listed(door: Door) -> Result:
    """List the rules: rows before and after, rows checked by hand, and whether a rule is switched on."""
    from kohort.workspace.cleaning import standings

    with door.open() as ws:
        found = standings(ws)

    def shown(screen: Screen) -> None:
        if not found:
            screen.line("There are no cleaning rules. Write one in kohort.yaml under cleaning.")
        for standing in found:
            known = standing.known
            state = "on" if standing.on else "switched off"
            screen.line(f"{standing.rule.name} (version {known.version}, {state})", "bold")
            screen.line(f"  {standing.rule.meaning}")
            screen.line(f"  {known.before:,} rows before, {known.before - known.aside:,} after. {standing.checked}")

    return Result({"rules": [s.as_dict() for s in found]}, shown)


@command(cleaning, "check", short_help="Look at some rows a rule put aside, and say whether that was right.")
@click.argument("rule")
@click.option("--right", type=int, multiple=True, metavar="ID", help="This row was put aside rightly.")
@click.option("--wrong", type=int, multiple=True, metavar="ID", help="This row should have stayed.")
@click.option("--sample", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many rows to show.")
def check(door: Door, *, rule: str, right: tuple[int, ...], wrong: tuple[int, ...], sample: int) -> Result:
    """Rows that RULE put aside and nobody has judged yet, drawn by lot; --right and --wrong say of rows what they are.

    A rule of which too few were right is switched off.
    """
    from kohort.workspace.cleaning import mark, queue, standings

    with door.open() as ws:
        standing = mark(ws, rule, right, wrong) if right or wrong else None
        waiting = queue(ws, rule, sample)
        standing = standing or next(s for s in standings(ws) if s.rule.name == rule)
    found = standing

    def shown(screen: Screen) -> None:
        screen.line(found.off or found.checked, "bold")
        for row in waiting:
            said = ", ".join(f"{name}: {value}" for name, value in row["row"].items())
            screen.line(f"{row['id']}  {row['file']} line {row['line']}  {said}")
        if not waiting:
            screen.line("No row waits to be judged.")
        if wrong:
            screen.command("Bring back what should have stayed: kohort rejected retry")

    return Result({"rule": found.as_dict(), "queue": waiting}, shown)
