"""What the commands about segments show to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.cli.screen import Align, Screen
from kohort.views.formats import EN
from kohort.views.words import plural

if TYPE_CHECKING:
    from kohort.segments.dry_run import DryRun

Row = Mapping[str, Any]

KINDS = {
    "rule": "rule",
    "tiers": "tiers",
    "stages": "stages",
    "buckets": "random split",
    "by_hand": "list by hand",
    "accounts": "accounts",
    "found": "adopted",
    "unread": "not readable",
    "gone": "defined no more",
}
SAMPLED = 5


def segment_list(screen: Screen, lines: Sequence[Row], found: Sequence[Row], live: str | None = None) -> None:
    """All segments in one table; below it what needs attention, and what was found and not adopted.

    Args:
        live: The moment that a server keeps them at.
    """
    moment = screen.minute if live else screen.day
    waiting = [r for r in found if not r["adopted"]]
    if lines:
        screen.table(
            [
                ("name", "left"),
                ("kind", "left"),
                *right("parts", "customers", "of all"),
                ("as of", "left"),
                ("", "left"),
            ],
            [
                (
                    str(d["name"]),
                    KINDS[d["kind"]],
                    str(len(d["parts"])) if len(d["parts"]) > 1 else "",
                    EN.number(d["size"]) if d["version"] else "–",
                    EN.percent(d["share"]) if d["version"] else "",
                    moment(d["status"]["as_of"]),
                    _state(d),
                )
                for d in lines
            ],
        )
    if live:
        screen.line(f"A server keeps them current: as of {screen.second(live)}.")
    for d in lines:
        if d["status"]["error"]:
            screen.line(f"{d['name']}: {d['status']['error']}")
    for r in waiting:
        screen.line(f"Found and not adopted yet: {plural(r['k'], 'segment')}, as of {EN.date_of(r['as_of'])}.")
        screen.command("  kohort segments adopt NAME")
    if not lines and not waiting:
        screen.line("No segments yet. Define one with kohort segments add, or find some with kohort discover.")


def segment_shown(screen: Screen, data: Row) -> None:
    """One definition in full."""
    screen.title(data["label"])
    if data["description"]:
        screen.line(data["description"])
    screen.facts(_facts(screen, data))
    if len(data["parts"]) > 1 and data["version"]:
        screen.line()
        screen.table(
            [("part", "left"), *right("customers", "of all")],
            [(p["label"], EN.number(p["size"]), EN.percent(p["share"])) for p in data["parts"]],
        )
    screen.line()
    for rule in data["rules"]:
        head = "" if len(data["parts"]) == 1 else rule["part"]
        stays = ", may stay" if head else "May stay"
        head += stays if rule.get("keep") else ""
        screen.line(f"{head}{': ' if head else ''}{rule['sentence']}.")
    screen.title("In kohort.yaml")
    for line in data["definition"].splitlines():
        screen.command(f"  {line}")


def segment_added(screen: Screen, data: Row) -> None:
    if data["new"]:
        screen.line(f"{data['name']} is defined.", "bold")
    elif data["changes"]:
        screen.line(f"{data['name']} is changed.", "bold")
    else:
        screen.line(f"{data['name']} says the same as before.", "bold")
        return
    screen.line("Look at it, then place everybody:")
    screen.command(f"  kohort segments preview {data['name']}")
    screen.command(f"  kohort segments run {data['name']}")


def effect_shown(screen: Screen, effect: DryRun, changes: Sequence[str]) -> None:
    """What a change of a definition would do, before it is saved."""
    for line in changes:
        screen.line(line)
    if not changes:
        return
    for one in (effect.edited, *effect.dependants):
        if one.error:
            screen.line(f"{one.name}: {one.error}")
            continue
        change = one.by_edit
        told = f"{EN.number(change.entered)} would enter, {EN.number(change.left)} would leave"
        moved = f", {EN.number(change.moved)} would change their part" if len(one.parts) > 1 else ""
        stay = f", {EN.number(change.stayed)} would stay"
        screen.line(f"{one.name}: {told}{moved}{stay}.", "bold" if one is effect.edited else "")
        if one is effect.edited and (change.entered or change.left or change.moved):
            screen.table(
                [("part", "left"), *right("customers", "enter", "leave"), ("for example", "left")],
                [
                    (
                        p.part,
                        EN.number(p.size),
                        EN.number(p.entering),
                        EN.number(p.leaving),
                        _examples(p.entering_sample, p.leaving_sample),
                    )
                    for p in one.parts
                ],
            )
    screen.line(effect.text)


def files_checked(screen: Screen, data: Row) -> None:
    screen.line(f"Everything is in order: {plural(len(data['segments']), 'segment')}.", "bold")
    if not data["looked_up"]:
        screen.line("There is no data yet, so what the rules name was not looked up.")
        return
    for name, names in data["never_observed"].items():
        screen.line(unseen(names, f"{name} asks for"))


def rule_checked(screen: Screen, data: Row) -> None:
    screen.line(f"{data['sentence']}.", "bold")
    screen.command(data["text"])
    if data["never_observed"]:
        screen.line(unseen(data["never_observed"], "It asks for"))


def changes_shown(screen: Screen, data: Row) -> None:
    for line in data["changes"]:
        screen.line(line)
    if not data["changes"]:
        screen.line("Nothing changed.")


def run_shown(screen: Screen, data: Row) -> None:
    """What a run did with each definition."""
    seconds = EN.compact(data["duration_ms"] / 1000)
    screen.line(
        f"{plural(data['customers'] or 0, 'customer')} placed as of {screen.day(data['as_of'])} in {seconds} seconds.",
        "bold",
    )
    screen.table(
        [("segment", "left"), *right("customers", "entered", "left", "moved"), ("", "left")],
        [
            (
                o["name"],
                EN.number(o["size"]),
                *(EN.number(o["difference"][k]) for k in ("entered", "left", "moved")),
                _note(o),
            )
            if o["difference"]
            else (o["name"], "–", "", "", "", o["result"])
            for o in data["outcomes"]
        ],
    )
    for o in data["outcomes"]:
        if o["error"]:
            screen.line(f"{o['name']} kept its members: {o['error']}")
        if o["excluded_by_consent"]:
            screen.line(f"{o['name']}: {plural(o['excluded_by_consent'], 'customer')} left out for want of consent.")
    for s in data["scores"]:
        if s["problem"]:
            screen.line(f"{s['name']} was not scored anew: {s['problem']}")


def _facts(screen: Screen, data: Row) -> Iterator[tuple[str, str]]:
    status = data["status"]
    yield "kind", KINDS[data["kind"]]
    if data["version"]:
        share = f" ({EN.percent(data['share'])})" if data["share"] is not None else ""
        yield "customers", f"{EN.number(data['size'])}{share}"
        yield "as of", f"{screen.minute(status['as_of'])}, version {data['version']}"
        took = "" if status["duration_ms"] is None else f", in {EN.compact(status['duration_ms'] / 1000)} seconds"
        yield "last run", f"{screen.minute(status['evaluated_at'])}{took}"
    else:
        yield "customers", "not run yet"
    if status["error"]:
        yield "last error", f"{screen.minute(status['failed_at'])}: {status['error']}"
    yield "evaluated", data["evaluation"]
    if data["purpose"]:
        yield "only with consent to", data["purpose"]
    if data["depends_on"]:
        yield "uses", ", ".join(data["depends_on"])
    if data["used_by"]:
        yield "used by", ", ".join(data["used_by"])


def _state(d: Row) -> str:
    if d["status"]["error"]:
        return "failed"
    return "paused" if d["evaluation"] == "paused" else "" if d["version"] else "not run yet"


def _note(o: Row) -> str:
    return "new or changed definition" if o["backfill"] else ""


def unseen(names: Sequence[str], head: str) -> str:
    return f"{head} {', '.join(names)}, which the data has never shown. Is it spelt right?"


def _examples(entering: Sequence[object], leaving: Sequence[object]) -> str:
    some = [f"+{c}" for c in entering[:SAMPLED]] + [f"−{c}" for c in leaving[:SAMPLED]]
    return " ".join(some[:SAMPLED])


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def right(*names: str) -> list[tuple[str, Align]]:
    return [(name, "right") for name in names]
