"""The pages about what customers are worth as HTML text: all together, how that did before, and one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kohort.views import own_words as say
from kohort.views.formats import EN
from kohort.views.pages import Shell, page
from kohort.views.working import Work


def worth_of(told: Mapping[str, Any], currency: str) -> dict[str, str]:
    """What somebody is expected to buy and spend."""
    bought, value = told["purchases"], told["value"]
    found = {"horizon": told.get("horizon", ""), "purchases": "", "value": ""}
    if bought is not None:
        found["purchases"] = EN.compact(bought["value"])
        found["purchases_between"] = f"{EN.compact(bought['low'])}–{EN.compact(bought['high'])}"
    if value is not None:
        found["value"] = EN.money(value["value"], currency, 0)
        found["value_between"] = f"{EN.money(value['low'], currency, 0)}–{EN.money(value['high'], currency, 0)}"
    return found


def value(
    shell: Shell, told: Mapping[str, Any] | None, report: Mapping[str, Any] | None, work: Work | None, *, zone: str
) -> str:
    """What all customers together will buy and spend, and how that did before.

    Args:
        told: The `value` of `ws.predict.overview()`; None = nothing is worked out.
        report: `ws.predict.value.report()`.
        work: The latest about it.
    """
    currency = report["currency"] if report else ""
    return page(
        "value.html",
        shell,
        "predictions",
        v=None if told is None else value_told(told, zone, currency),
        r=None if report is None else _judged(report, zone),
        work=work,
    )


def value_told(told: Mapping[str, Any], zone: str, currency: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        **worth_of(told, currency),
        "customers": told["customers"],
        "on": say.day(told["as_of"], zone),
    }
    if told["value"] is not None:
        v = told["value"]
        found["value"] = EN.short_money(v["value"], currency)
        found["value_between"] = f"{EN.short_money(v['low'], currency)}–{EN.short_money(v['high'], currency)}"
    return found


_WAYS = {
    "BGNBD": "Everybody buys at an own pace and may stop after any purchase",
    "ParetoNBD": "Everybody buys at an own pace and may stop at any moment",
    "model": "Own pace of buying, times own usual amount",
    "learned": "Learned from what customers did before",
    "past_rate": "Everybody goes on as before",
}
_CAUTIONS = {
    "not_judged": "The data is too short to try this on a later time: nobody has checked it.",
    "no_better_than_past_rate": "When tried, it was not surely better than “everybody goes on as before”.",
    "no_amounts": "Too few amounts are known, so only purchases are told.",
    "amounts_not_judged": "Amounts could not be tried on a later time, so only purchases are told.",
}


def _judged(report: Mapping[str, Any], zone: str) -> dict[str, Any]:
    held = report["holdout"]
    cautions = []
    for one in report["cautions"]:
        if one["code"] == "total_off" and held:
            off = held["choice"].get(report["chosen"], {}).get("total_error", {}).get("value")
            side = "low" if off is not None and off < 0 else "high"
            cautions.append(
                f"When tried, the total was {EN.percent(abs(off or 0))} too {side}: a season, or growth. Take totals with that in mind."
            )
        elif one["code"] in _CAUTIONS:
            cautions.append(_CAUTIONS[one["code"]])
    if held is None:
        return {
            "cautions": cautions,
            "rows": [],
            "taken": _WAYS.get(report["chosen"], ""),
            "from": "",
            "to": "",
            "customers": "",
        }
    money = held["goal"] == "value"
    figures = held["choice"] if money else held["purchases"]
    write = (lambda v: EN.short_money(v, report["currency"])) if money else EN.number
    return {
        "from": say.day(held["from"], zone),
        "to": say.day(held["to"], zone),
        "customers": EN.number(held["customers"]),
        "what": "Spent" if money else "Purchases",
        "taken": _WAYS.get(report["chosen"] if money else report["model"], ""),
        "cautions": cautions,
        "covered": held["coverage"].get(report["chosen"]),
        "rows": [
            {
                "title": _WAYS.get(name, name),
                "taken": name == (report["chosen"] if money else report["model"]),
                "expected": write(f["expected"]),
                "actual": write(f["actual"]),
                "off": f"{EN.signed(100 * f['total_error']['value'])}%",
                "off_between": f"{EN.signed(100 * f['total_error']['low'])} to {EN.signed(100 * f['total_error']['high'])}%",
                "best": EN.percent(f["best_tenth"]["value"]),
                "best_between": f"{EN.percent(f['best_tenth']['low'])}–{EN.percent(f['best_tenth']['high'])}",
            }
            for name, f in figures.items()
        ],
    }


def worth(shell: Shell, some: Mapping[str, Any], *, cursor: int, zone: str, currency: str) -> str:
    """Customers by what they are expected to be worth.

    Args:
        some: `ws.predict.value.best()`, customers as they may be seen.
    """
    rows = [{**row, **worth_of({**row, "horizon": some["horizon"]}, currency)} for row in some["rows"]]
    return page(
        "worth.html",
        shell,
        "predictions",
        rows=rows,
        money=some["by"] == "value",
        horizon=some["horizon"],
        customers=some["customers"],
        on=say.day(some["as_of"], zone),
        cursor=cursor,
        next=some["next"],
    )
