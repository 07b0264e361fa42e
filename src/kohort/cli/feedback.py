"""The group `feedback`, and `kohort digest`: what the team says, and what happened in a week."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.files import check_ending, replacing
from kohort.cli.root import app

if TYPE_CHECKING:
    from kohort.cli.screen import Screen

SAID = ("agree", "disagree", "comment")
_WORDS = {"agree": "belongs", "disagree": "does not belong", "comment": "remark"}
FORMATS = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}


@app.group("feedback", short_help="What people say about segments and single memberships.")
def feedback() -> None:
    """Votes and comments of people on segments, their parts, and whether single customers belong there.

    \b
    kohort feedback add loyal agree
    kohort feedback add loyal disagree --customer 14127 --because "Buys for a school, once a year"
    kohort feedback list loyal
    """


@command(
    feedback, "list", short_help="What was said, and what it adds up to.", epilog="Example: kohort feedback list loyal"
)
@click.argument("name", required=False)
@click.option("--part", metavar="PART", help="Only about this part (its key).")
@click.option("--customer", metavar="C", help="Only about this customer.")
def listed(door: Door, *, name: str | None, part: str | None, customer: str | None) -> Result:
    """List what people said about the segment NAME, newest first, with what it adds up to and what would refine it.

    Without NAME: about every segment. What was found last and not adopted is called found.
    """
    from dataclasses import asdict

    with door.open() as ws:
        zone = ws.zone
        data: dict[str, Any] = {"feedback": ws.feedback.list(name, part=part, customer=customer)}
        if name is not None and customer is None:
            data["evidence"] = asdict(ws.feedback.evidence(name, part))
            data["refinement"] = ws.feedback.refinement(name, part)

    def shown(screen: Screen) -> None:
        from kohort.views.own_words import likely

        if not data["feedback"]:
            screen.line("Nobody has said anything yet.")
        else:
            columns = ("number", "on", "by", "segment", "about", "says", "because")
            screen.table([(c, "left") for c in columns], [_line(screen, row) for row in data["feedback"]])
        if "evidence" in data:
            e = data["evidence"]
            screen.line(
                f"{e['checked']:,} of {e['members']:,} members checked: {e['belong']:,} belong, {e['wrong']:,} do not."
            )
            if e["rate"]:
                screen.line(f"By those drawn by lot, {likely(e['rate'])} do not belong.")
            _refinement(screen, data["refinement"])

    return Result(data, shown, zone=zone)


@command(
    feedback,
    "add",
    short_help="Say what you think.",
    epilog='Example: kohort feedback add loyal comment --because "Too wide"',
)
@click.argument("name")
@click.argument("said", type=click.Choice(SAID))
@click.option("--part", metavar="PART", default="", help="About this part (its key) alone.")
@click.option("--customer", metavar="C", help="About this member: agree = belongs here.")
@click.option("--because", "text", default="", metavar="TEXT", help="Why. It must name nobody.")
@click.option("--by", metavar="NAME", help="Who says it (default: the user of this computer).")
def add(door: Door, *, name: str, said: str, part: str, customer: str | None, text: str, by: str | None) -> Result:
    """Say about the segment NAME that you agree or disagree, or leave a comment. A later vote takes the place of yours before."""
    with door.open() as ws:
        row = ws.feedback.add(name, said, part=part, customer=customer, text=text, by=by)  # type: ignore[arg-type]
    return Result(row, lambda screen: screen.line(f"Kept as number {row['number']}, said by {row['by']}."))


@command(feedback, "withdraw", short_help="Take back what you said.", epilog="Example: kohort feedback withdraw 12")
@click.argument("number", type=click.IntRange(1, 2**62))
@click.option("--by", metavar="NAME", help="Who said it (default: the user of this computer).")
def withdraw(door: Door, *, number: int, by: str | None) -> Result:
    """Take back what you said under this NUMBER of kohort feedback list."""
    with door.open() as ws:
        row = ws.feedback.withdraw(number, by=by)
    return Result(row, lambda screen: screen.line(f"Number {number} is taken back."))


@command(
    app,
    "digest",
    short_help="What happened this week, and what needs a look.",
    epilog="Example: kohort digest --out week.md",
)
@click.option(
    "--since", default="7d", show_default=True, metavar="LENGTH", help="How far back from the newest data: 7d, 2w."
)
@click.option("--out", metavar="FILE", help="Write it to FILE.html, FILE.md or FILE.json.")
@click.option("--mail", is_flag=True, help="Mail it, as the environment says (KOHORT_SMTP_HOST, KOHORT_MAIL_TO, …).")
def digest(door: Door, *, since: str, out: str | None, mail: bool) -> Result:
    """Tell what moved, what it was worth, the biggest entries and exits, and what needs a look. No customer is in it."""
    from kohort.actions.mail import mailer
    from kohort.views.digest import digest_file, digest_text, title

    check_ending(out, tuple(FORMATS))
    sender = mailer(os.environ) if mail else None
    with door.open() as ws:
        found = ws.digest(since)
        zone = ws.zone
    if out is not None:
        make = {"html": digest_file, "md": digest_text, "json": _as_json}[FORMATS[Path(out).suffix.lower()]]
        with replacing(out) as part:
            Path(part).write_text(make(found), encoding="utf-8")
    if sender is not None:
        sender.send(title(found), digest_text(found), digest_file(found))
    data = {**found, "out": out, "mailed_to": len(sender.to) if sender else 0}

    def shown(screen: Screen) -> None:
        if out is None and sender is None:
            for line in digest_text(found).replace("\\", "").splitlines():
                screen.line(line.lstrip("# ").replace("**", ""), "bold" if line.startswith("#") else "")
        if out is not None:
            screen.line(f"Written to {out}.")
        if sender is not None:
            screen.line(f"Mailed to {len(sender.to):,} {'receiver' if len(sender.to) == 1 else 'receivers'}.")

    return Result(data, shown, zone=zone)


def _as_json(found: Mapping[str, Any]) -> str:
    import json

    return json.dumps(found, indent=2, allow_nan=False)


def _line(screen: Screen, row: dict[str, Any]) -> tuple[str, ...]:
    about = row["customer_id"] or row["part"] or "the whole"
    says = (
        _WORDS[row["said"]]
        if row["customer_id"]
        else {"agree": "agrees", "disagree": "disagrees"}.get(row["said"], "remark")
    )
    return str(row["number"]), screen.day(row["at"]), row["by"], row["segment"], about, says, row["text"]


def _refinement(screen: Screen, found: dict[str, Any]) -> None:
    if found["state"] == "not_enough":
        screen.line(
            f"Not enough answers yet for a proposal: {found['needed']} who belong and {found['needed']} who do not are needed."
        )
    elif found["state"] == "by_chance":
        screen.line(f"None of {found['tried']:,} conditions separates them better than chance.")
    else:
        screen.line(f"What would refine it: {found['condition'] or found['about']}", "bold")
