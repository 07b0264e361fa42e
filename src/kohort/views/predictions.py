"""The pages about predictions as HTML text: the list, one with its validation, who is likely, and the card of one customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from kohort.locale import find, gettext, mark, ngettext
from kohort.model.feature import FeatureInfo
from kohort.views import own_words as say
from kohort.views import prediction_charts, words
from kohort.views import prediction_words as about
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.working import Work
from kohort.views.worth import value_told, worth_of

LIKELY = (("most", mark("Most likely first")), ("least", mark("Least likely first")))
MOST_SHIFTS = 5


def href(name: str, below: str = "") -> str:
    """Where a prediction, or a part of one, is shown."""
    whole, _, part = name.partition("/")
    return f"/predictions/{quote(whole, safe='')}{below}" + (f"?part={quote(part, safe='')}" if part else "")


def predictions(shell: Shell, told: Mapping[str, Any], works: Sequence[Work], *, zone: str, currency: str) -> str:
    """What is predicted, how well, since when, whether it still fits, and how fresh chances are.

    Args:
        told: `ws.predict.overview()`.
        works: What runs now.
    """
    rows = []
    for line in told["predictions"]:
        rows.append(_listed(line, zone))
        rows += [{**_listed(part, zone), "below": True} for part in line["parts"]]
    return page(
        "predictions.html",
        shell,
        "predictions",
        rows=rows,
        works=works,
        value=None if told["value"] is None else value_told(told["value"], zone, currency),
    )


def _listed(line: Mapping[str, Any], zone: str) -> dict[str, Any]:
    badge, tone = about.state(line)
    auc = line["metrics"].get("roc_auc")
    return {
        "href": href(line["name"]),
        "title": about.title(line),
        "text": about.sentence(line)
        if line["state"] in ("ok", "parts")
        else find(about.WHY_NOT.get(line["state"], "")),
        "badge": badge,
        "tone": tone,
        "below": False,
        "good": None if auc is None else about.estimate("roc_auc", auc),
        "since": say.day(line["trained_at"], zone) if line["trained_at"] else "",
        "fit": find(
            about.FITS[line["fit"]["code"]][0] if line["fit"] else mark("Not checked yet") if line["version"] else ""
        ),
        "fresh": about.fresh(line["scores"], zone) if line["version"] else "",
        "stale": bool(line["scores"] and line["scores"]["stale"]),
    }


def prediction(
    shell: Shell, line: Mapping[str, Any], work: Work | None, labels: Mapping[tuple[str, str], str], *, zone: str
) -> str:
    """One prediction from all sides.

    Args:
        line: `ws.predict.show(name)`.
        work: The latest about it.
        labels: (definition, key of a part) → what people read for segments.
    """
    badge, tone = about.state(line)
    report = line["report"]
    shown: dict[str, Any] = {} if report is None else _validation(report, labels, zone)
    return page(
        "prediction.html",
        shell,
        "predictions",
        line=line,
        title=about.title(line),
        lead=about.sentence(line),
        badge=badge,
        tone=tone,
        why_not=find(about.WHY_NOT.get(line["state"], "")),
        address=href(line["name"]),
        action=href(line["name"]).partition("?")[0],
        whole=line["name"].partition("/")[0],
        people=href(line["name"], "/customers"),
        parts=[_listed(part, zone) for part in line["parts"]],
        work=work,
        fresh=about.fresh(line["scores"], zone),
        trained=say.day(line["trained_at"], zone) if line["trained_at"] else "",
        learned=say.day(line["learned_until"], zone) if line["learned_until"] else "",
        check=None if line["check"] is None else _check(line["check"], zone),
        signals=None if line["signals"] is None else _signals(line["signals"], zone),
        versions=[_version(v, zone) for v in line["versions"]],
        warnings=[] if report is None else [_warning(w) for w in report["warnings"]],
        card=line["card"],
        r=report,
        **{"figures": [], "charts_": {}, "rows": {}, "threshold": None, "headline": "", "over_fit": "", **shown},
    )


def _validation(report: Mapping[str, Any], labels: Mapping[tuple[str, str], str], zone: str) -> dict[str, Any]:
    auc = report["metrics"]["roc_auc"]
    figures = [
        {
            "title": find(title),
            "key": key,
            "called": find(called),
            "how": find(how),
            "value": value,
            "interval": interval,
        }
        for key, title, called, how in about.FIGURES
        for value, interval in [about.estimate(key, report["metrics"][key])]
    ]
    return {
        "headline": gettext(
            "It puts %(n)s of 100 pairs in the right order, likely between %(low)s and %(high)s. Chance would get 50.",
            n=formats().number(100 * auc["value"]),
            low=formats().number(100 * auc["low"]),
            high=formats().number(100 * auc["high"]),
        ),
        "figures": figures,
        "threshold": _threshold(report),
        "charts_": {
            "gains": prediction_charts.gains(report["gains"]),
            "calibration": prediction_charts.calibration(report["calibration"]),
            "learning": prediction_charts.learning(report["learning_curve"]),
        },
        "rows": {
            "baselines": _baselines(report),
            "periods": [_part(say.day(int(p["from"]), zone), p) for p in report["periods"]],
            "segments": [_part(_segment(labels, p), p) for p in report.get("segments", ())],
            "parts": [_part(f"{_feature_label(report, p)}: {p['value']}", p) for p in report["parts"]],
        },
        "over_fit": _over_fit(report["over_fit"]),
    }


def _threshold(report: Mapping[str, Any]) -> dict[str, str]:
    told, costs = report["threshold"], report["threshold"]["costs"]
    return {
        "from": formats().in_100(told["value"]),
        "told": formats().percent(told["told"]),
        "missed": formats().number(costs["missed"], 2),
        "alarm": formats().number(costs["alarm"], 2),
        "base": formats().in_100(report["base_rate"]),
    }


def _baselines(report: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """This beside what needs none: how they rank and how far off they are."""
    lines = [(gettext("This prediction"), report["metrics"])]
    named = {"everybody_the_same": gettext("The same chance for everybody")}
    for key, figures in report["baseline"].items():
        lines.append((named.get(key) or gettext("Only: %(label)s", label=figures["label"]), figures))
    found = []
    for title, figures in dict(lines).items():
        ranks = (
            about.estimate("roc_auc", figures["roc_auc"])
            if "roc_auc" in figures
            else (formats().in_100(0.5), gettext("by definition"))
        )
        loss = about.estimate("log_loss", figures["log_loss"])
        found.append((title, *ranks, f"{loss[0]} ({loss[1]})"))
    return found


def _part(title: str, told: Mapping[str, Any]) -> dict[str, str]:
    """How it does on a part of the judged rows, or that there are too few of them."""
    row = {"title": title, "rows": formats().number(told["rows"]), "positives": formats().number(told["positives"])}
    if told["metrics"] is None:
        return {**row, "ranks": "", "interval": "", "off": ""}
    ranks, interval = about.estimate("roc_auc", told["metrics"]["roc_auc"])
    off, between = about.estimate("calibration_error", told["metrics"]["calibration_error"])
    return {**row, "ranks": ranks, "interval": interval, "off": f"{off} ({between})"}


def _segment(labels: Mapping[tuple[str, str], str], told: Mapping[str, Any]) -> str:
    part = labels.get((told["segment"], told["part"]), told["part"])
    whole = words.label_of(told["segment"])
    return part if told["part"] == told["segment"] else f"{whole}: {part}"


def _feature_label(report: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    return words.label_of(str(told["feature"]))


def _over_fit(told: Mapping[str, float]) -> str:
    return gettext(
        "On the rows it learned from it puts %(learned)s of 100 pairs in the right order, on those it had not seen %(judged)s: "
        "a gap of %(gap)s. From 5 on, part of what it knows is learned by heart.",
        **{name: formats().number(100 * told[name], 1) for name in ("learned", "judged", "gap")},
    )


def _warning(told: Mapping[str, Any]) -> dict[str, str]:
    title = find(about.WARNINGS.get(told["code"], "")) or words.label_of(told["code"])
    return {
        "title": title,
        "feature": words.label_of(told["feature"]) if told["feature"] else "",
        "text": told["text"],
        "done": gettext("Left out.") if told["left_out"] else "",
    }


def _check(found: Mapping[str, Any], zone: str) -> dict[str, Any]:
    decay, drift, retrain = found["decay"], found["drift"], found["retrain"]
    text = find(about.FIT_WORDS.get(decay["code"], ""))
    if decay["code"] == "not_yet":
        text = gettext(
            "The first outcomes that it has not learned from are known on %(day)s.",
            day=say.day(retrain["possible_from"], zone),
        )
    moved = [s for s in drift["inputs"] if s["verdict"] in ("drift", "small")][:MOST_SHIFTS]
    reasons = [find(about.DUE.get(r["code"], r["text"])) for r in retrain["reasons"]]
    why = gettext("Because %(reasons)s.", reasons=gettext(" and ").join(reasons)) if reasons else ""
    if why and not retrain["due"]:
        from_then = say.day(retrain["possible_from"], zone)
        why += " " + gettext("There is nothing new to learn before %(day)s.", day=from_then)
    return {
        "on": say.day(found["noted_at"], zone),
        "fit": about.badge(about.FITS[decay["code"]]),
        "text": text,
        "drift": about.badge(about.DRIFTS[drift["verdict"]]),
        "shifts": [
            {
                "label": s["label"],
                "part": s["moved"]["part"],
                "before": formats().percent(s["moved"]["before"]),
                "now": formats().percent(s["moved"]["now"]),
                "psi": formats().number(s["psi"], 2),
            }
            for s in moved
        ],
        "due": retrain["due"],
        "why": why,
        "periods": [_period(p, zone) for p in decay["periods"]],
    }


def _period(told: Mapping[str, Any], zone: str) -> dict[str, str]:
    if told["code"] != "ok":
        return {"on": say.day(told["as_of"], zone), "said": "", "happened": "", "ranks": gettext("Not enough data")}
    value, interval = about.estimate("roc_auc", told["metrics"]["roc_auc"])
    return {
        "on": say.day(told["as_of"], zone),
        "said": formats().in_100(told["said"]),
        "happened": formats().in_100(told["happened"]),
        "ranks": f"{value} ({interval})",
    }


def _signals(found: Mapping[str, Any], zone: str) -> dict[str, Any]:
    none = {
        "none": gettext("Nothing comes before it more often than chance can."),
        "too_few": found["text"],
        "no_behaviours": gettext("Nothing else is known of customers than what is predicted itself."),
    }
    return {
        "on": say.day(found["noted_at"], zone),
        "text": none.get(found["code"], ""),
        "customers": formats().number(found["customers"]),
        "rows": [
            {
                "title": words.label_of(s["behaviour"]),
                "when": gettext("%(from)s to %(to)s days before", **s["days_before"]),
                "with": formats().in_100(s["with_outcome"]),
                "without": formats().in_100(s["without"]),
                "lead": _lead(s.get("lead")),
            }
            for s in found["signals"]
        ],
    }


def _lead(told: Mapping[str, float | None] | None) -> str:
    """How long before it a signal was seen last."""
    if not told or told.get("median") is None:
        return ""
    return gettext(
        "%(median)s days before (half: %(from)s–%(to)s)",
        **{name: formats().number(told[name]) for name in ("median", "from", "to")},
    )


def _version(told: Mapping[str, Any], zone: str) -> dict[str, Any]:
    value, interval = about.estimate("roc_auc", told["metrics"]["roc_auc"])
    return {**told, "on": say.day(told["trained_at"], zone), "ranks": value, "interval": interval}


# Single customers -----------------------------------------------------------------------------------------------------


def likely(
    shell: Shell,
    line: Mapping[str, Any],
    some: Mapping[str, Any],
    *,
    order: str,
    cursor: int,
    features: Sequence[FeatureInfo],
    zone: str,
    currency: str,
) -> str:
    """Who is likely, with the reasons.

    Args:
        line: `ws.predict.line(name)`.
        some: `ws.predict.likely(name)`, customers as they may be seen.
    """
    known = {info.name: info for info in features}
    whole, _, part = line["name"].partition("/")
    rows = [
        {**row, "chance": formats().in_100(row["probability"]), **about.reasons(row, known, currency)}
        for row in some["rows"]
    ]
    lead = gettext(
        "Worked out for %(customers)s as of %(day)s.",
        customers=words.plural(some["customers"], "customer"),
        day=say.day(some["as_of"], zone),
    )
    if some["told"] is not None:
        lead += " " + ngettext(
            "%(n)s of them reach the line of %(line)s.",
            "%(n)s of them reach the line of %(line)s.",
            some["told"],
            n=formats().number(some["told"]),
            line=formats().in_100(some["threshold"]),
        )
    return page(
        "likely.html",
        shell,
        "predictions",
        title=about.title(line),
        lead=f"{about.sentence(line)} {lead}",
        back=href(line["name"]),
        here_=href(line["name"], "/customers"),
        files_=href(whole, "/export/"),
        files_of=urlencode({"part": part}) if part else "",
        stale=some["stale"],
        rows=rows,
        order=order,
        orders=[(name, find(label)) for name, label in LIKELY],
        cursor=cursor,
        next=some["next"],
    )


def of_customer(
    told: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    features: Sequence[FeatureInfo],
    *,
    zone: str,
    currency: str,
) -> dict[str, Any]:
    """The card of one customer.

    Args:
        told: `ws.predict.of_customer(number)`.
        lines: `ws.predict.line(name)` of each prediction in it, in the same order.
    """
    known = {info.name: info for info in features}
    rows = [
        {
            "title": about.title(line),
            "href": href(one["name"]),
            "chance": formats().in_100(one["probability"]),
            "share": one["probability"],
            "higher": _higher(one["percentile"]),
            "told": one["told"],
            "on": say.day(one["as_of"], zone),
            **about.reasons(one, known, currency),
        }
        for one, line in zip(told["predictions"], lines, strict=True)
    ]
    value = told["value"]
    return {
        "rows": rows,
        "value": None if value is None else {**worth_of(value, currency), "on": say.day(value["as_of"], zone)},
    }


def _higher(percentile: float) -> str:
    """Where a chance stands among those of the customers that the prediction was tried on."""
    if percentile < 1:
        return gettext("About the lowest of all customers it was tried on")
    if percentile >= 99:
        return gettext("About the highest of all customers it was tried on")
    return gettext("Higher than that of %(n)s customers it was tried on", n=formats().in_100(percentile / 100))
