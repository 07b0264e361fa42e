"""What people read about predictions: what each is about, how it stands, what its figures and warnings mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kohort.model.feature import FeatureInfo
from kohort.views import own_words as say
from kohort.views import words
from kohort.views.formats import EN
from kohort.views.paper import plain

EVENTS = {"order_line": "order", "page": "visit", "screen": "visit"}

STATES = {
    "untrained": ("Not trained yet", "line"),
    "no_signal": ("No signal", "line"),
    "too_few": ("Not enough data", "line"),
    "too_short": ("Not enough data", "line"),
    "no_features": ("Nothing to go by", "line"),
}
WHY_NOT = {
    "untrained": "Nobody has asked for it yet. Training takes a minute or several, and you can leave meanwhile.",
    "no_signal": "What we know of customers does not tell who will and who will not: no better than chance. That is an answer, "
    "and no chances are shown.",
    "too_few": "At least 50 customers who did and 50 who did not are needed to tell anything.",
    "too_short": "The data does not reach far enough back: it takes at least two times as long as it looks ahead.",
    "no_features": "Everything we know was left out, because it knows the answer already or is another number for everybody.",
}

FITS = {
    "as_good": ("Still fits", "good"),
    "worse": ("Fits less well", "warn"),
    "off": ("Chances are off", "warn"),
    "not_yet": ("Too early to say", "line"),
    "no_time": ("Cannot be checked later", "line"),
    "too_few": ("Too few to say", "line"),
}
FIT_WORDS = {
    "as_good": "On customers since then it does as well as when it was trained.",
    "worse": "On customers since then it surely ranks worse than when it was trained.",
    "off": "On customers since then, what it said and what happened are further apart than chance can be.",
    "no_time": "This is about something known now, so no later outcome tells how it did.",
    "too_few": "Too few outcomes are known since then to judge by.",
}
DRIFTS = {
    "drift": ("Customers have changed", "warn"),
    "small": ("Changed a little", "line"),
    "none": ("Customers are as they were", "good"),
    "too_few": ("Too few to see a change", "line"),
}
DUE = {
    "worse": "it does worse than at training",
    "off": "its chances are off",
    "drift": "customers have changed",
    "old": "much is known by now that it has not learned from",
}

DECISIONS = {
    "replaced": "The new version is surely better and has taken over.",
    "kept": "The new version is not surely better, so the one before stayed.",
    "not_needed": "Nothing says that it fits no more, so nothing was tried.",
    "not_yet": "It has learned from all that is known already; there is more to learn once later outcomes are known.",
    "too_few": "Too few outcomes are known to tell which version is better, so the one before stayed.",
    "no_challenger": "Without what is needed to compare them there is too little to learn from, so the one before stayed.",
}
"""What came of trying a new version."""

WARNINGS = {
    "too_good": "Knows the answer",
    "identifier": "Another number for everybody",
    "settles_it": "Settles it alone",
    "known_afterwards": "Perhaps known only afterwards",
    "made_up_rows": "Rows that look made up",
    "repeated_rows": "The same rows several times",
    "copied_rows": "The same row with both answers",
    "over_fit": "Partly learned by heart",
    "no_better_than_one_feature": "One look does as well",
    "no_better_than_before": "Perhaps only the way back",
}

FIGURES = (
    ("roc_auc", "Puts pairs in the right order", "AUC", "Of 100 pairs, one who does and one who does not. Chance: 50."),
    ("precision", "Right when it points somebody out", "precision", "Of 100 customers it points out, so many do."),
    ("recall", "Finds those who do", "recall", "Of 100 customers who do, so many are pointed out."),
    ("f1", "Both in one figure", "F1", "High only where the two above are."),
    ("average_precision", "Right over all who do", "PR-AUC", "Mean of “right”, from the highest chance down."),
    ("brier", "Distance from what happened", "Brier", "0 is perfect; squared, so that big mistakes count more."),
    ("log_loss", "Surprise by what happened", "log loss", "Lower is better."),
    ("calibration_error", "Chances off by", "calibration error", "Mean distance of what was said from what happened."),
)
"""Key of a figure, what it says, what data people call it, and how to read it."""
SHARES = frozenset({"roc_auc", "precision", "recall", "f1", "average_precision"})


def title(line: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one per kind
    """What a prediction is about, in a few words: the label given to it, or what its kind says."""
    horizon = f" within {line['horizon']}" if line["horizon"] else ""
    part = f" {line['part']}" if line["part"] else ""
    if line["label"]:
        return f"{line['label']}:{part}" if part else str(line["label"])
    match line["kind"]:
        case "churn":
            return f"May go quiet{horizon}"
        case "next":
            return f"Next {happening(line)}{horizon}"
        case "change":
            return (
                f"{'Less' if line['by'] < 0 else 'More'} than before: {happening(line)}, by {abs(line['by']):g} in 100"
            )
        case "response":
            return f"Answers with {_one(happening(line))}{horizon}"
        case "cross_sell":
            return f"May like{part}" if part else f"May like another {words.label_of(line['column']).lower()}"
        case "migration":
            of = words.label_of(line["events"][0])
            where = {"": "where", "(left)": "in none"}.get(line["part"], line["part"])
            return f"{of}: {where} in {line['horizon']}"
        case "trait":
            return f"Like those whose {words.label_of(line['events'][0].removeprefix('t_')).lower()} is {line['value']}"
    return f"{happening(line).capitalize()}{horizon}"


def sentence(line: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one per kind
    """What a chance of it is the chance of."""
    horizon = f"within {line['horizon']}" if line["horizon"] else ""
    match line["kind"]:
        case "churn":
            return f"The chance that there is no {happening(line)} {horizon}."
        case "next":
            return (
                f"The chance of {_one(happening(line))} {horizon}, and the day by which half of such customers had one."
            )
        case "change":
            way = "less" if line["by"] < 0 else "more"
            return (
                f"The chance of {abs(line['by']):g} in 100 {way} {horizon} than in as long a time before. Who had much before "
                "mostly comes back to her usual: that is part of it."
            )
        case "response":
            return (
                f"The chance of {_one(happening(line))} {horizon} after something is sent. It says who answers, not whom it moves: "
                "some would do it anyway."
            )
        case "cross_sell":
            what = line["part"] or f"each {words.label_of(line['column']).lower()}"
            return f"The chance of a first {happening(line)} of {what} {horizon}, of customers who never had one."
        case "migration":
            return f"The chance of being there {line['horizon']} later, of those who are in any part now."
        case "trait":
            return "The chance of being like the customers who carry that label."
    return f"The chance that it happens {horizon}."


def _one(noun: str) -> str:
    """With its article: "an order", "a visit"."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def happening(line: Mapping[str, Any]) -> str:
    """The events that count, in words."""
    return " or ".join(EVENTS.get(name, words.label_of(name).lower()) for name in line["events"])


def state(line: Mapping[str, Any]) -> tuple[str, str]:
    """How a prediction stands: words and tone of a badge."""
    if line["state"] == "parts":
        told = sum(part["state"] == "ok" for part in line["parts"])
        return f"{told} of {len(line['parts'])} can be told", "good" if told else "line"
    if line["state"] != "ok":
        return STATES.get(line["state"], ("Not trained yet", "line"))
    if line["fit"] and line["fit"]["due"]:
        return "Train it again", "warn"
    if line["scores"] and line["scores"]["stale"]:
        return "Chances too old", "warn"
    return "Works", "good"


def trained(report: Mapping[str, Any]) -> str:
    """What came of training, in a sentence."""
    # Those of a single model tell how it does on kinds of customers.
    parts = [one for one in report.get("parts", ()) if "eligible" in one]
    if parts:
        told = sum(one["eligible"] for one in parts)
        return f"{told} of {words.plural(len(parts), 'part')} can be told."
    if not report["eligible"]:
        return f"{STATES.get(report['code'], ('Nothing came of it', ''))[0]}. {WHY_NOT.get(report['code'], '')}"
    auc = report["metrics"]["roc_auc"]["value"]
    return f"It puts {EN.number(100 * auc)} of 100 pairs in the right order. Now everybody's chance can be worked out."


def fresh(scores: Mapping[str, Any] | None, zone: str) -> str:
    """How old the kept chances are, and what that means for rules."""
    if scores is None:
        return "No chances are worked out yet."
    of = words.plural(scores["customers"], "customer")
    if scores["stale"]:
        return f"Of {of}, as of {say.day(scores['as_of'], zone)}: too old, so rules pass them over."
    return f"Of {of}, as of {say.day(scores['as_of'], zone)}. Rules count on them until {say.day(scores['stale_at'], zone)}."


def estimate(key: str, told: Mapping[str, float]) -> tuple[str, str]:
    """A figure and its interval as people read them: shares in 100, the others with three digits."""
    value, low, high = (told[k] for k in ("value", "low", "high"))
    if key in SHARES:
        return EN.in_100(value), f"{EN.number(100 * low)}–{EN.number(100 * high)}"
    if key == "calibration_error":
        return f"{EN.number(100 * value, 1)} in 100", f"{EN.number(100 * low, 1)}–{EN.number(100 * high, 1)}"
    return EN.number(value, 3), f"{EN.number(low, 3)}–{EN.number(high, 3)}"


def reason(one: Mapping[str, Any], chance: float, known: Mapping[str, FeatureInfo], currency: str) -> dict[str, str]:
    """One reason: what she has, what is typical, and what the chance would be with that."""
    info = known.get(one["feature"]) or FeatureInfo(one["feature"], one["label"])
    mine = info.missing or "not known" if one["value"] is None else _value(one["value"], info, currency)
    typical = "another value" if one["typical"] is None else _value(one["typical"], info, currency)
    return {
        "label": one["label"],
        "value": mine,
        "typical": typical,
        "by": EN.in_100(abs(chance - one["instead"])),
    }


def _value(value: Any, info: FeatureInfo, currency: str) -> str:
    if info.type == "flag" or isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value) if isinstance(value, str) else EN.value(value, info.unit, currency)


def reasons(
    row: Mapping[str, Any], known: Mapping[str, FeatureInfo], currency: str
) -> dict[str, list[dict[str, str]] | None]:
    """The strongest reasons up and down; None where nobody can tell them any more."""
    return {
        side: None if row[side] is None else [reason(one, row["probability"], known, currency) for one in row[side]]
        for side in ("up", "down")
    }
