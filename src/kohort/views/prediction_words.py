"""What people read about predictions: what each is about, how it stands, what its figures and warnings mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kohort.locale import find, gettext, mark, ngettext
from kohort.model.feature import FeatureInfo
from kohort.views import own_words as say
from kohort.views import words
from kohort.views.formats import formats
from kohort.views.paper import plain

EVENTS = {"order_line": mark("order"), "page": mark("visit"), "screen": mark("visit")}

STATES = {
    "untrained": (mark("Not trained yet"), "line"),
    "no_signal": (mark("No signal"), "line"),
    "too_few": (mark("Not enough data"), "line"),
    "too_short": (mark("Not enough data"), "line"),
    "no_features": (mark("Nothing to go by"), "line"),
}
WHY_NOT = {
    "untrained": mark("Nobody has asked for it yet. Training takes a minute or several, and you can leave meanwhile."),
    "no_signal": mark(
        "What we know of customers does not tell who will and who will not: no better than chance. That is an answer, "
        "and no chances are shown."
    ),
    "too_few": mark("At least 50 customers who did and 50 who did not are needed to tell anything."),
    "too_short": mark(
        "The data does not reach far enough back: it takes at least two times as long as it looks ahead."
    ),
    "no_features": mark(
        "Everything we know was left out, because it knows the answer already or is another number for everybody."
    ),
}

FITS = {
    "as_good": (mark("Still fits"), "good"),
    "worse": (mark("Fits less well"), "warn"),
    "off": (mark("Chances are off"), "warn"),
    "not_yet": (mark("Too early to say"), "line"),
    "no_time": (mark("Cannot be checked later"), "line"),
    "too_few": (mark("Too few to say"), "line"),
}
FIT_WORDS = {
    "as_good": mark("On customers since then it does as well as when it was trained."),
    "worse": mark("On customers since then it surely ranks worse than when it was trained."),
    "off": mark("On customers since then, what it said and what happened are further apart than chance can be."),
    "no_time": mark("This is about something known now, so no later outcome tells how it did."),
    "too_few": mark("Too few outcomes are known since then to judge by."),
}
DRIFTS = {
    "drift": (mark("Customers have changed"), "warn"),
    "small": (mark("Changed a little"), "line"),
    "none": (mark("Customers are as they were"), "good"),
    "too_few": (mark("Too few to see a change"), "line"),
}
DUE = {
    "worse": mark("it does worse than at training"),
    "off": mark("its chances are off"),
    "drift": mark("customers have changed"),
    "old": mark("much is known by now that it has not learned from"),
}

DECISIONS = {
    "replaced": mark("The new version is surely better and has taken over."),
    "kept": mark("The new version is not surely better, so the one before stayed."),
    "not_needed": mark("Nothing says that it fits no more, so nothing was tried."),
    "not_yet": mark(
        "It has learned from all that is known already; there is more to learn once later outcomes are known."
    ),
    "too_few": mark("Too few outcomes are known to tell which version is better, so the one before stayed."),
    "no_challenger": mark(
        "Without what is needed to compare them there is too little to learn from, so the one before stayed."
    ),
}
"""What came of trying a new version."""

WARNINGS = {
    "too_good": mark("Knows the answer"),
    "identifier": mark("Another number for everybody"),
    "settles_it": mark("Settles it alone"),
    "known_afterwards": mark("Perhaps known only afterwards"),
    "made_up_rows": mark("Rows that look made up"),
    "repeated_rows": mark("The same rows several times"),
    "copied_rows": mark("The same row with both answers"),
    "over_fit": mark("Partly learned by heart"),
    "no_better_than_one_feature": mark("One look does as well"),
    "no_better_than_before": mark("Perhaps only the way back"),
}

FIGURES = (
    (
        "roc_auc",
        mark("Puts pairs in the right order"),
        mark("AUC"),
        mark("Of 100 pairs, one who does and one who does not. Chance: 50."),
    ),
    (
        "precision",
        mark("Right when it points somebody out"),
        mark("precision"),
        mark("Of 100 customers it points out, so many do."),
    ),
    ("recall", mark("Finds those who do"), mark("recall"), mark("Of 100 customers who do, so many are pointed out.")),
    ("f1", mark("Both in one figure"), mark("F1"), mark("High only where the two above are.")),
    (
        "average_precision",
        mark("Right over all who do"),
        mark("PR-AUC"),
        mark("Mean of “right”, from the highest chance down."),
    ),
    (
        "brier",
        mark("Distance from what happened"),
        mark("Brier"),
        mark("0 is perfect; squared, so that big mistakes count more."),
    ),
    ("log_loss", mark("Surprise by what happened"), mark("log loss"), mark("Lower is better.")),
    (
        "calibration_error",
        mark("Chances off by"),
        mark("calibration error"),
        mark("Mean distance of what was said from what happened."),
    ),
)
"""Key of a figure, what it says, what data people call it, and how to read it."""
SHARES = frozenset({"roc_auc", "precision", "recall", "f1", "average_precision"})


def title(line: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one per kind
    """What a prediction is about, in a few words: the label given to it, or what its kind says."""
    if line["label"]:
        return f"{line['label']}: {line['part']}" if line["part"] else str(line["label"])
    match line["kind"]:
        case "churn":
            return _within(gettext("May go quiet"), line)
        case "next":
            return _within(gettext("Next %(what)s", what=happening(line)), line)
        case "change":
            less = mark("Less than before: %(what)s, by %(n)s in 100")
            more = mark("More than before: %(what)s, by %(n)s in 100")
            by = formats().compact(abs(line["by"]))
            return gettext(less if line["by"] < 0 else more, what=happening(line), n=by)
        case "response":
            what = happening(line)
            an, a = mark("Answers with an %(what)s"), mark("Answers with a %(what)s")
            return _within(gettext(an if _vowel(what) else a, what=what), line)
        case "cross_sell":
            if line["part"]:
                return gettext("May like %(what)s", what=line["part"])
            return gettext("May like another %(what)s", what=words.label_of(line["column"]).lower())
        case "migration":
            said = {"": mark("%(of)s: where in %(horizon)s"), "(left)": mark("%(of)s: in none in %(horizon)s")}
            text = said.get(line["part"], mark("%(of)s: %(part)s in %(horizon)s"))
            of = words.label_of(line["events"][0])
            return gettext(text, of=of, part=line["part"], horizon=length(line["horizon"]))
        case "trait":
            trait = words.label_of(line["events"][0].removeprefix("t_")).lower()
            return gettext("Like those whose %(trait)s is %(value)s", trait=trait, value=line["value"])
    what = happening(line)
    return _within(what[:1].upper() + what[1:].lower(), line)


def _within(what: str, line: Mapping[str, Any]) -> str:
    if not line["horizon"]:
        return what
    return gettext("%(what)s within %(horizon)s", what=what, horizon=length(line["horizon"]))


def length(span: str) -> str:
    """A length of time as it is written in definitions, in words: "90 days"."""
    number, _, unit = span.partition(" ")
    return words.plural(int(number), unit.removesuffix("s")) if number.isdigit() and unit else span


def sentence(line: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one per kind
    """What a chance of it is the chance of."""
    horizon, what = length(line["horizon"] or ""), happening(line)
    match line["kind"]:
        case "churn":
            return gettext("The chance that there is no %(what)s within %(horizon)s.", what=what, horizon=horizon)
        case "next":
            text = mark(
                "The chance of a %(what)s within %(horizon)s, and the day by which half of such customers had one."
            )
            if _vowel(what):
                text = mark(
                    "The chance of an %(what)s within %(horizon)s, and the day by which half of such customers had one."
                )
            return gettext(text, what=what, horizon=horizon)
        case "change":
            less = mark(
                "The chance of %(n)s in 100 less within %(horizon)s than in as long a time before. Who had much before "
                "mostly comes back to her usual: that is part of it."
            )
            more = mark(
                "The chance of %(n)s in 100 more within %(horizon)s than in as long a time before. Who had much before "
                "mostly comes back to her usual: that is part of it."
            )
            by = formats().compact(abs(line["by"]))
            return gettext(less if line["by"] < 0 else more, n=by, horizon=horizon)
        case "response":
            an = mark(
                "The chance of an %(what)s within %(horizon)s after something is sent. It says who answers, not whom it moves: "
                "some would do it anyway."
            )
            a = mark(
                "The chance of a %(what)s within %(horizon)s after something is sent. It says who answers, not whom it moves: "
                "some would do it anyway."
            )
            return gettext(an if _vowel(what) else a, what=what, horizon=horizon)
        case "cross_sell":
            of = line["part"] or gettext("each %(what)s", what=words.label_of(line["column"]).lower())
            return gettext(
                "The chance of a first %(what)s of %(of)s within %(horizon)s, of customers who never had one.",
                what=what,
                of=of,
                horizon=horizon,
            )
        case "migration":
            return gettext(
                "The chance of being there %(horizon)s later, of those who are in any part now.", horizon=horizon
            )
        case "trait":
            return gettext("The chance of being like the customers who carry that label.")
    return gettext("The chance that it happens within %(horizon)s.", horizon=horizon)


def _vowel(what: str) -> bool:
    """Whether English says "an" before it."""
    return what[:1] in "aeiou"


def happening(line: Mapping[str, Any]) -> str:
    """The events that count, in words."""
    known = [find(EVENTS[name]) if name in EVENTS else words.label_of(name).lower() for name in line["events"]]
    return gettext(" or ").join(known)


def state(line: Mapping[str, Any]) -> tuple[str, str]:
    """How a prediction stands: words and tone of a badge."""
    if line["state"] == "parts":
        told = sum(part["state"] == "ok" for part in line["parts"])
        text = gettext("%(told)s of %(all)s can be told", told=told, all=len(line["parts"]))
        return text, "good" if told else "line"
    if line["state"] != "ok":
        return badge(STATES.get(line["state"], STATES["untrained"]))
    if line["fit"] and line["fit"]["due"]:
        return gettext("Train it again"), "warn"
    if line["scores"] and line["scores"]["stale"]:
        return gettext("Chances too old"), "warn"
    return gettext("Works"), "good"


def badge(one: tuple[str, str]) -> tuple[str, str]:
    """Words and tone of a badge, the words as they are read."""
    return find(one[0]), one[1]


def trained(report: Mapping[str, Any]) -> str:
    """What came of training, in a sentence."""
    # Those of a single model tell how it does on kinds of customers.
    parts = [one for one in report.get("parts", ()) if "eligible" in one]
    if parts:
        told = sum(one["eligible"] for one in parts)
        return ngettext(
            "%(told)s of %(n)s part can be told.",
            "%(told)s of %(n)s parts can be told.",
            len(parts),
            told=told,
            n=formats().number(len(parts)),
        )
    if not report["eligible"]:
        came, _ = STATES.get(report["code"], (mark("Nothing came of it"), ""))
        return f"{find(came)}. {find(WHY_NOT.get(report['code'], ''))}"
    auc = report["metrics"]["roc_auc"]["value"]
    return gettext(
        "It puts %(n)s of 100 pairs in the right order. Now everybody's chance can be worked out.",
        n=formats().number(100 * auc),
    )


def fresh(scores: Mapping[str, Any] | None, zone: str) -> str:
    """How old the kept chances are, and what that means for rules."""
    if scores is None:
        return gettext("No chances are worked out yet.")
    of, on = words.plural(scores["customers"], "customer"), say.day(scores["as_of"], zone)
    if scores["stale"]:
        return gettext("Of %(customers)s, as of %(day)s: too old, so rules pass them over.", customers=of, day=on)
    return gettext(
        "Of %(customers)s, as of %(day)s. Rules count on them until %(until)s.",
        customers=of,
        day=on,
        until=say.day(scores["stale_at"], zone),
    )


def estimate(key: str, told: Mapping[str, float]) -> tuple[str, str]:
    """A figure and its interval as people read them: shares in 100, the others with three digits."""
    value, low, high = (told[k] for k in ("value", "low", "high"))
    if key in SHARES:
        return formats().in_100(value), f"{formats().number(100 * low)}–{formats().number(100 * high)}"
    if key == "calibration_error":
        return (
            gettext("%(n)s in 100", n=formats().number(100 * value, 1)),
            f"{formats().number(100 * low, 1)}–{formats().number(100 * high, 1)}",
        )
    return formats().number(value, 3), f"{formats().number(low, 3)}–{formats().number(high, 3)}"


def reason(one: Mapping[str, Any], chance: float, known: Mapping[str, FeatureInfo], currency: str) -> dict[str, str]:
    """One reason: what she has, what is typical, and what the chance would be with that."""
    info = known.get(one["feature"]) or FeatureInfo(one["feature"], one["label"])
    mine = info.missing or gettext("not known") if one["value"] is None else _value(one["value"], info, currency)
    typical = gettext("another value") if one["typical"] is None else _value(one["typical"], info, currency)
    return {
        "label": one["label"],
        "value": mine,
        "typical": typical,
        "by": formats().in_100(abs(chance - one["instead"])),
    }


def _value(value: Any, info: FeatureInfo, currency: str) -> str:
    if info.type == "flag" or isinstance(value, bool):
        return formats().words["yes" if value else "no"]
    return plain(value) if isinstance(value, str) else formats().value(value, info.unit, currency)


def reasons(
    row: Mapping[str, Any], known: Mapping[str, FeatureInfo], currency: str
) -> dict[str, list[dict[str, str]] | None]:
    """The strongest reasons up and down; None where nobody can tell them any more."""
    return {
        side: None if row[side] is None else [reason(one, row["probability"], known, currency) for one in row[side]]
        for side in ("up", "down")
    }
