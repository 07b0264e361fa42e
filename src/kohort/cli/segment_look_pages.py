"""What the commands that look at segments show to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kohort.cli.screen import Screen, bar
from kohort.cli.segment_pages import right
from kohort.views.formats import EN
from kohort.views.words import plural

Row = Mapping[str, Any]
PAIRS_SHOWN = 20
RUNS_SHOWN = 24
TRUTH = {True: "✓", False: "✗", None: "?"}


def preview_shown(screen: Screen, data: Row, currency: str) -> None:
    """Sizes of a definition, part by part and condition by condition, and what looks like a mistake."""
    screen.line(data["text"], "bold")
    screen.line(data["universe_text"])
    if len(data["parts"]) > 1:
        screen.line()
        screen.table(
            [("part", "left"), *right("customers", "of all", "value", "of all")],
            [(p["label"], EN.number(p["size"]), EN.percent(p["share"]), *_worth(p, currency)) for p in data["parts"]],
        )
    for part in data["parts"]:
        if part["conditions"]:
            head = part["label"] if len(data["parts"]) > 1 else "condition"
            screen.line()
            screen.table(
                [(head, "left"), *right("alone"), ("", "left"), ("so far", "left")],
                [
                    ("  " * c["depth"] + words, EN.number(c["size"]), bar(c["share"]), _so_far(c))
                    for c, words in _worded(part["conditions"])
                ],
            )
    examples = [str(c) for p in data["parts"] for c in p["sample"][:3]]
    if examples:
        screen.line(f"For example: {', '.join(examples)}.")
    for o in data.get("overlap", ())[:PAIRS_SHOWN]:
        title = o["name"] if o["segment"] == o["name"] else f"{o['name']}: {o['label']}"
        both = f"{plural(o['both'], 'customer')} also in {title}"
        screen.line(f"{both}: {EN.percent(o['share_of_this'])} of these, {EN.percent(o['share_of_other'])} of those.")
    for warning in data["warnings"]:
        screen.line(f"Note: {warning}")


def _worded(conditions: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Each condition with its words; one that is made of the ones below it says only how."""
    for condition, below in zip(conditions, [*conditions[1:], None], strict=True):
        inner = below is not None and below["depth"] > condition["depth"]
        how = {"left": "all of these", "added": "any of these", "": "not"}[below["group"] if inner and below else ""]
        yield condition, how if inner else condition["sentence"]


def _worth(part: Row, currency: str) -> tuple[str, str]:
    if part["value"] is None:
        return "", ""
    return EN.money(part["value"], currency, 0), EN.percent(part["value_share"])


def _so_far(condition: Row) -> str:
    """What a condition leaves of those before it, or adds to them."""
    if condition["running"] is None:
        return ""
    verb = "leaves" if condition["group"] == "left" else "adds"
    return f"{verb} {EN.number(condition['running'])}"


def why_shown(screen: Screen, data: Row) -> None:
    """The answer, the conditions with what is so, what is missing, what time will do."""
    screen.line(data["text"], "bold")
    for note in data["notes"]:
        if note not in data["text"]:
            screen.line(note)
    if data["conditions"]:
        screen.line()
        screen.table(
            [("", "left"), ("condition", "left"), ("what is so", "left")],
            [
                (
                    TRUTH[c["true"]],
                    "  " * depth + c["sentence"],
                    c["actual"],
                )
                for depth, c in _nested(data["conditions"])
            ],
        )
    for needed in data["missing"]:
        far = f" ({needed['distance']})" if needed["distance"] else ""
        verb = "Would have to be so" if needed["wanted"] else "Would have to be no longer so"
        screen.line(f"{verb}: {needed['sentence']}{far}." + ("" if needed["possible"] else " That cannot happen."))
    if data["change_text"] and data["change_text"] not in data["text"]:
        screen.line(data["change_text"])


def runs_shown(screen: Screen, name: str, rows: Sequence[Row]) -> None:
    screen.line(f"{name}: {plural(len(rows), 'run')}.", "bold")
    screen.table(
        [("as of", "left"), *right("version", "entered", "left", "moved", "stayed"), ("", "left")],
        [
            (
                screen.minute(r["as_of"]),
                str(r["version"]),
                *(EN.number(r[k]) for k in ("entered", "left", "moved", "stayed")),
                "removed" if r["dropped"] else "new or changed definition" if r["backfill"] else "",
            )
            for r in rows[-RUNS_SHOWN:]
        ],
    )
    if len(rows) > RUNS_SHOWN:
        screen.line(f"The latest {RUNS_SHOWN} of {len(rows)} runs; --json has all of them.")


def stays_shown(screen: Screen, name: str, customer: str, rows: Sequence[Row]) -> None:
    if not rows:
        screen.line(f"{customer} was never in {name}.")
        return
    screen.table(
        [("part", "left"), ("from", "left"), ("until", "left"), ("version", "right"), ("reason", "left")],
        [
            (
                r["label"],
                screen.minute(r["since"]),
                screen.minute(r["until"]) or "still in",
                str(r["version"]),
                r["reason"] or "",
            )
            for r in rows
        ],
    )


def overlap_shown(screen: Screen, data: Row) -> None:
    groups, pairs = data["groups"], [p for p in data["pairs"] if p["both"]]
    if not pairs:
        screen.line(
            "No two segments share a customer."
            if len({g["name"] for g in groups}) > 1
            else "There is nothing to compare yet: it takes two segments that were run."
        )
        return
    titles = [g["name"] if g["segment"] == g["name"] else f"{g['name']}: {g['label']}" for g in groups]
    screen.table(
        [("", "left"), ("and", "left"), *right("both", "of the first", "of the second"), ("beside chance", "left")],
        [
            (
                titles[p["first"]],
                titles[p["second"]],
                EN.number(p["both"]),
                EN.percent(p["share_of_first"]),
                EN.percent(p["share_of_second"]),
                _times(p["lift"]),
            )
            for p in pairs[:PAIRS_SHOWN]
        ],
    )
    if len(pairs) > PAIRS_SHOWN:
        screen.line(f"The {PAIRS_SHOWN} most alike of {len(pairs)} pairs; --json has all of them.")


def movement_shown(screen: Screen, data: Row) -> None:
    """One movement as a matrix; several as a course."""
    movements = data["movements"]
    if len(movements) == 1:
        _matrix(screen, movements[0])
    else:
        screen.table(
            [
                ("from", "left"),
                ("to", "left"),
                *right("entered", "left", "moved", "stayed", "changed part"),
                ("", "left"),
            ],
            [
                (
                    *screen.span(m["start"], m["end"]),
                    *(EN.number(m[k]) for k in ("entered", "left", "moved", "stayed")),
                    EN.percent(m["mobility"]["value"]) if m["mobility"] else "",
                    "definition changed" if m["redefined"] else "" if m["rerun"] else "not run",
                )
                for m in movements
            ],
        )
        for part in movements[-1]["parts"]:
            screen.line(part["text"])
    if data["alarms"]:
        screen.line(data["alarms"]["text"])
        for alarm in data["alarms"]["raised"]:
            screen.line(f"  {alarm['text']}")


def staying_shown(screen: Screen, data: Row) -> None:
    """Entries, exits and moves of past months, with and without the rules that keep customers where they are."""
    screen.line(data["text"], "bold")
    screen.table(
        [("from", "left"), ("to", "left"), *right("moves", "without these rules")],
        [
            (*screen.span(p["start"], p["end"]), EN.number(p["with_staying"]), EN.number(p["without"]))
            for p in data["periods"]
        ],
    )


def cases_shown(screen: Screen, data: Row, asked: Sequence[tuple[str, str]]) -> None:
    """Every case with whether it agrees, as docs/semantics.md lists them; what differs, in full; what comes later."""
    wrong = {d["case"] for d in data["differ"]}
    screen.table(
        [("", "left"), ("case", "left"), ("what it says", "left")],
        [
            *(("✗" if code in wrong else "✓", code, says) for code, says in asked),
            *(("–", p["case"], f"{p['says']} {p['reason']}") for p in data["pending"]),
        ],
    )
    if data["differ"]:
        screen.table(
            [("case", "left"), ("about", "left"), ("expected", "left"), ("got", "left")],
            [(d["case"], d["about"], d["expected"], d["got"]) for d in data["differ"]],
        )
    screen.line(f"{data['engine']}: {EN.number(data['agree'])} of {plural(data['cases'], 'case')} agree.", "bold")
    if data["pending"]:
        screen.line(f"{plural(len(data['pending']), 'case')} (–) cannot be asked yet.")


def _matrix(screen: Screen, m: Row) -> None:
    screen.line(f"From {screen.day(m['start'])} to {screen.day(m['end'])}. {m['text']}", "bold")
    titles = {"": "in none"} | {p["segment"]: p["label"] for p in m["parts"]}
    counts = {(c["source"], c["target"]): c["customers"] for c in m["cells"]}
    columns = [*(k for k in titles if k), ""]
    screen.table(
        [("from ↓ to →", "left"), *right(*(titles[k] if k else "left" for k in columns))],
        [
            (titles[a] if a else "entered", *(EN.number(counts[a, b]) if (a, b) in counts else "" for b in columns))
            for a in columns
        ],
    )
    for part in m["parts"]:
        screen.line(part["text"])


def _nested(conditions: Sequence[Row], depth: int = 0) -> Iterator[tuple[int, Row]]:
    for condition in conditions:
        yield depth, condition
        yield from _nested(condition.get("conditions") or (), depth + 1)


def _times(lift: Row | None) -> str:
    if lift is None:
        return ""
    return f"{lift['value']:.1f} times ({lift['low']:.1f} to {lift['high']:.1f})"
