"""What the commands about the life of a model show people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kohort.cli.screen import Screen

MOST_SHOWN = 10
VERDICTS = {"drift": "has drifted", "small": "a little", "none": "", "too_few": "too few to tell"}


def checked(screen: Screen, data: Mapping[str, Any]) -> None:
    """Drift, decay, freshness of scores, and whether to train again."""
    drifted(screen, data["drift"])
    screen.title("How it did on outcomes that it has not learned from")
    screen.line(str(data["decay"]["text"]))
    rows = [p for p in data["decay"]["periods"] if p["code"] == "ok"]
    if rows:
        screen.table(
            [("moment", "left"), ("customers", "right"), ("said", "right"), ("happened", "right"), ("AUC", "right")],
            [
                (
                    screen.day(p["as_of"]),
                    f"{p['rows']:,}",
                    f"{p['said']:.1%}",
                    f"{p['happened']:.1%}",
                    _number(p["metrics"]["roc_auc"]["value"]),
                )
                for p in rows
            ],
        )
    scores = data["scores"]
    if scores is not None:
        until = "stale since" if scores["stale"] else "fresh until"
        screen.line(
            f"Scores of {screen.minute(scores['as_of'])} are kept, {until} {screen.minute(scores['stale_at'])}."
        )
    again = data["retrain"]
    if again["due"]:
        screen.line(f"Train it again: kohort predict retrain {data['name']}", "bold")
    elif again["reasons"]:
        screen.line(
            f"It cannot be trained better yet: new outcomes are known on {screen.minute(again['possible_from'])}."
        )
    for reason in again["reasons"]:
        screen.line(f"- {reason['text']}")


def drifted(screen: Screen, found: Mapping[str, Any]) -> None:
    """What a model reads and says, then and now."""
    rows = found["rows"]
    screen.line(str(found["text"]), "bold")
    screen.line(f"{rows['before']:,} customers then, {rows['now']:,} now, {rows['both']:,} of them the same.")
    shifts = [*([found["output"]] if found["output"] else []), *found["inputs"][:MOST_SHOWN]]
    if not shifts:
        return
    screen.table(
        [("", "left"), ("PSI", "right"), ("by chance", "right"), ("", "left"), ("moved most", "left")],
        [
            (
                s["label"],
                f"{s['psi']:.3f}",
                f"{s['by_chance']:.3f}",
                VERDICTS[s["verdict"]],
                f"{s['moved']['part']}: {s['moved']['before']:.0%} → {s['moved']['now']:.0%}",
            )
            for s in shifts
        ],
    )


def retrained(screen: Screen, data: Mapping[str, Any]) -> None:
    screen.line(str(data["reason"]))
    if data["difference"] is not None:
        sides = [("current until now", data["champion"]), ("challenger", data["challenger"])]
        screen.table(
            [
                ("", "left"),
                ("version", "left"),
                ("AUC", "right"),
                ("log loss", "right"),
                ("calibration error", "right"),
            ],
            [
                (
                    title,
                    side["model"],
                    *(_number(side["metrics"][k]["value"]) for k in ("roc_auc", "log_loss", "calibration_error")),
                )
                for title, side in sides
            ],
        )
    if data["decision"] == "replaced":
        screen.line(f"It scores from now on. The way back: kohort predict rollback {data['name']}")
        screen.line(f"Scores that rules ask for: kohort predict score {data['name']} --keep")


def rolled_back(screen: Screen, data: Mapping[str, Any]) -> None:
    screen.line(f"{data['name']} is scored by {data['to']} again, trained {screen.minute(data['trained_at'])}.")
    screen.line(f"Scores that rules ask for: kohort predict score {data['name']} --keep")


def carded(screen: Screen, data: Mapping[str, Any]) -> None:
    from kohort.predict.card import card_page

    for line in card_page(data).splitlines():
        screen.line(line)


def signalled(screen: Screen, data: Mapping[str, Any]) -> None:
    """Early signals, or that there are none."""
    if data["customers"]:
        screen.line(
            f"{data['target']}: {data['positives']:,} of {data['customers']:,} customers at {len(data['moments'])} moments, "
            f"{len(data['behaviours'])} kinds of behaviour."
        )
    screen.line(str(data["text"]), "bold")
    if not data["signals"]:
        return
    screen.table(
        [
            ("behaviour", "left"),
            ("days before", "left"),
            ("with the outcome", "right"),
            ("others", "right"),
            ("last one before it", "left"),
        ],
        [
            (
                s["behaviour"],
                f"{s['days_before']['to']} to {s['days_before']['from']}",
                f"{s['with_outcome']:.0%}",
                f"{s['without']:.0%}",
                _lead(s["lead"]),
            )
            for s in data["signals"][:MOST_SHOWN]
        ],
    )
    screen.line(str(data["test"]))


def _lead(lead: Mapping[str, float] | None) -> str:
    return "" if lead is None else f"{lead['median']:g} days ({lead['from']:g} to {lead['to']:g})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
