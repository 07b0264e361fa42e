"""What the group `identity` does in a workspace: who is one customer, found, asked, decided and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.identity import identity
from kohort.errors import BadInput, WrongUsage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kohort.cli.screen import Screen

_REASON = click.option("--reason", default="", metavar="TEXT", help="Why; without names, numbers and addresses.")
_TOLD = {"merge": "merged", "split": "split", "reject": "said to be two", "undo": "undone"}


# -- runs --------------------------------------------------------------------------------------------------------------


@command(
    identity,
    "run",
    short_help="Find ids that are one customer, and join them.",
    epilog="Example: kohort identity run --dry-run",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--region", default="NL", show_default=True, metavar="CC", help="Country whose telephone numbers need no prefix."
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Probability from which likely pairs are joined (default: where F1 is expected to be best, at least 0.9).",
)
@click.option("--certain", is_flag=True, help="Equal addresses and telephone numbers only; nothing by likeness.")
def run(door: Door, *, dry_run: bool, region: str, threshold: float | None, certain: bool) -> Result:
    """Compare everybody of whom the vault holds something: sure pairs are joined, the uncertain middle is left to `review`.

    Identifiers are opened in memory only. Every merge is kept with its evidence and can be taken back, alone or with its run.
    """
    with door.open() as ws, door.progress() as progress:
        data = ws.identity.run(
            dry_run=dry_run,
            region=region.upper(),
            threshold=threshold,
            by_likeness=not certain,
            progress=progress,
        )

    def shown(screen: Screen) -> None:
        would = "would be " if dry_run else ""
        screen.line(f"{data['persons']:,} customers compared: {data['merged']:,} pairs {would}joined.")
        screen.facts((how, f"{n:,}") for how, n in data["how"].items())
        for kind, n in data["blocked"].items():
            screen.line(f"{n:,} values of the kind {kind} are shared by too many to say anything.")
        if data["kept_apart"]:
            screen.line(f"{data['kept_apart']:,} pairs stay apart: somebody said so.")
        if data["to_review"]:
            screen.line(f"{data['to_review']:,} pairs are too uncertain to tell.")
        if dry_run:
            return
        if data["to_review"]:
            screen.command("kohort identity review")
        if data["merged"]:
            screen.line("Segments count them as one at their next run. To take all of it back:")
            screen.command(f"kohort identity undo {data['run']}")

    return Result(data, shown)


@command(
    identity,
    "evaluate",
    short_help="How right it is who is one customer.",
    epilog="Example: kohort identity evaluate --truth checked.csv",
)
@click.option(
    "--truth",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="A table (.csv or .parquet): first the customer number, then who that really is.",
)
def evaluate(door: Door, *, file: str) -> Result:
    """Compare who is one customer now with a table in which somebody says who is who; only its customers are measured."""
    from pathlib import Path

    from kohort.cli.identity import read_texts

    table = read_texts(Path(file))
    if table.num_columns < 2:
        raise BadInput(
            "The table has one column.", place=Path(file).name, hint="Customer number first, then the person."
        )
    pairs = zip(*(table.column(n).to_pylist() for n in (0, 1)), strict=True)
    truth = {number: person for number, person in pairs if number is not None and person is not None}
    with door.open() as ws:
        data = ws.identity.evaluate(truth)

    def shown(screen: Screen) -> None:
        screen.line(f"{data['customers']:,} numbers are {data['clusters']:,} customers.")
        screen.line("Precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f}.".format(**data["pairs"]))
        if data["unknown"]:
            screen.line(f"{data['unknown']:,} numbers nobody has.")

    return Result(data, shown)


@command(identity, "undo", short_help="Take back a whole run.", epilog="Example: kohort identity undo 3")
@click.argument("number", metavar="RUN", type=int)
@_REASON
def undo(door: Door, *, number: int, reason: str) -> Result:
    """Take back every merge of a run that still stands. What people answered or merged by hand stays; a later run may find the
    same again.
    """
    with door.open() as ws:
        data = ws.identity.undo(number, reason=reason)
    return Result(data, lambda screen: screen.line(f"{data['taken_back']:,} merges of run {number} are taken back."))


@command(
    identity,
    "review",
    short_help="The uncertain middle: accept or reject by number.",
    epilog="Example: kohort identity review --accept 12 --reject 13 --reject 14",
)
@click.option("--accept", type=int, multiple=True, metavar="N", help="They are one customer.")
@click.option("--reject", type=int, multiple=True, metavar="N", help="They are two; no run joins them from now on.")
@click.option(
    "--take-back", type=int, metavar="D", help="An answer was wrong: the number of its decision, as `log` tells."
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to show.")
@_REASON
def review(
    door: Door, *, accept: Sequence[int], reject: Sequence[int], take_back: int | None, limit: int, reason: str
) -> Result:
    """Show pairs that the last run was not sure about, the most uncertain first, or answer some of them."""
    if take_back is not None and (accept or reject):
        raise WrongUsage("Answer questions, or take an answer back, not both at once.")
    with door.open() as ws:
        if take_back is not None:
            undone = ws.identity.take_back(take_back, reason=reason)
            return Result(undone, lambda screen: screen.line(f"Answer {take_back} is taken back, and asked again."))
        if accept or reject:
            answered = ws.identity.answer(accept, reject, reason=reason)
            line = "{accepted:,} accepted, {rejected:,} rejected, {open:,} still open."
            return Result(answered, lambda screen: screen.line(line.format(**answered)))
        data = ws.identity.questions(limit)

    def shown(screen: Screen) -> None:
        if not data["questions"]:
            screen.line("Nothing waits for an answer.")
            return
        lines = [
            (str(q["number"]), q["keep"], q["other"], _score(q), in_words(q["evidence"])) for q in data["questions"]
        ]
        screen.table(
            [("number", "right"), ("customer", "left"), ("and", "left"), ("likely", "right"), ("what agrees", "left")],
            lines,
        )
        if data["open"] > len(lines):
            screen.line(f"{data['open'] - len(lines):,} more wait.")

    return Result(data, shown)


@command(identity, "log", short_help="Who decided what, and why.", epilog="Example: kohort identity log 14127")
@click.argument("number", metavar="CUSTOMER", required=False)
def log(door: Door, *, number: str | None) -> Result:
    """List every decision about who is one customer, oldest first, or those about one customer."""
    with door.open() as ws:
        zone, data = ws.zone, ws.identity.log(number)
    return Result(data, lambda screen: show_decisions(screen, data["decisions"]), zone=zone)


# -- by hand -----------------------------------------------------------------------------------------------------------


@command(identity, "merge", short_help="Two ids are one customer.", epilog="Example: kohort customer merge 14127 88012")
@click.argument("keep", metavar="CUSTOMER")
@click.argument("other", metavar="OTHER")
@_REASON
def merge(door: Door, *, keep: str, other: str, reason: str) -> Result:
    """Make OTHER part of CUSTOMER, who stays. Nothing is rewritten, and `split` takes it back."""
    with door.open() as ws:
        data = ws.identity.merge(keep, other, reason=reason)

    def shown(screen: Screen) -> None:
        if data["changed"]:
            screen.line(f"They are one customer, {data['customer_id']} (merge {data['merge']}).")
        else:
            screen.line(f"They were one customer already: {data['customer_id']}.")

    return Result(data, shown)


@command(
    identity,
    "split",
    short_help="Take a merge back.",
    epilog="Example: kohort customer split 14127 88012 --reason 'mother and daughter'",
)
@click.argument("one", metavar="CUSTOMER")
@click.argument("other", metavar="OTHER")
@click.option("--merge", "number", type=int, metavar="N", help="Which merge was wrong, where several lie between them.")
@_REASON
def split(door: Door, *, one: str, other: str, number: int | None, reason: str) -> Result:
    """Take back the merge that makes the two one customer; nothing else changes, and no run joins them again."""
    with door.open() as ws:
        data = ws.identity.split(one, other, merge=number, reason=reason)
    return Result(
        data,
        lambda screen: screen.line(
            "Merge {taken_back} is taken back: {customers[0]} and {customers[1]} are two.".format(**data)
        ),
    )


# -- parts -------------------------------------------------------------------------------------------------------------


def show_decisions(screen: Screen, decisions: Sequence[Mapping[str, Any]]) -> None:
    """Lines of the log as a table."""
    if not decisions:
        screen.line("Nothing was decided.")
        return
    lines = [
        (
            str(d["number"]),
            screen.day(d["at"]),
            d["by"],
            _TOLD[d["what"]] + (", taken back" if d["what"] in ("merge", "reject") and not d["stands"] else ""),
            d["keep"],
            d["other"],
            d["how"] + (f" {_score(d)}" if d["score"] is not None else ""),
            d["reason"],
        )
        for d in decisions
    ]
    names = ("day", "by", "what", "customer", "and", "how", "why")
    screen.table([("number", "right"), *((name, "left") for name in names)], lines)


def _score(pair: Mapping[str, Any]) -> str:
    return "" if pair["score"] is None else f"{pair['score']:.0%}"


def in_words(evidence: Sequence[Mapping[str, Any]]) -> str:
    """What fields say about two customers, in one line."""
    return "; ".join(
        f"{one['field']}: {one['says']}" if one["says"] == "different" else one["says"]
        for one in evidence
        if one["says"] != "not given"
    )
