"""The pages about what customers are worth as HTML text: all together, how that did before, and one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kohort.locale import find, gettext, mark
from kohort.views import own_words as say
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.prediction_words import length
from kohort.views.working import Work


def worth_of(told: Mapping[str, Any], currency: str) -> dict[str, str]:
    """What somebody is expected to buy and spend."""
    bought, value = told["purchases"], told["value"]
    found = {"span": told.get("horizon", ""), "horizon": length(told.get("horizon", "")), "purchases": "", "value": ""}
    if bought is not None:
        found["purchases"] = formats().compact(bought["value"])
        found["purchases_between"] = f"{formats().compact(bought['low'])}–{formats().compact(bought['high'])}"
    if value is not None:
        found["value"] = formats().money(value["value"], currency, 0)
        found["value_between"] = (
            f"{formats().money(value['low'], currency, 0)}–{formats().money(value['high'], currency, 0)}"
        )
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
        found["value"] = formats().short_money(v["value"], currency)
        found["value_between"] = (
            f"{formats().short_money(v['low'], currency)}–{formats().short_money(v['high'], currency)}"
        )
    return found


_WAYS = {
    "BGNBD": mark("Everybody buys at an own pace and may stop after any purchase"),
    "ParetoNBD": mark("Everybody buys at an own pace and may stop at any moment"),
    "model": mark("Own pace of buying, times own usual amount"),
    "learned": mark("Learned from what customers did before"),
    "past_rate": mark("Everybody goes on as before"),
}
_CAUTIONS = {
    "not_judged": mark("The data is too short to try this on a later time: nobody has checked it."),
    "no_better_than_past_rate": mark("When tried, it was not surely better than “everybody goes on as before”."),
    "no_amounts": mark("Too few amounts are known, so only purchases are told."),
    "amounts_not_judged": mark("Amounts could not be tried on a later time, so only purchases are told."),
}


def _judged(report: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """How each way did on a later time, the taken one marked; no rows where nobody could try them."""
    held = report["holdout"]
    if held is None:
        return {"cautions": _cautions(report, 0.0), "rows": []}
    money, taken = held["goal"] == "value", report["chosen"]
    ways = _WAYS if money else {**_WAYS, "model": _WAYS[report["model"]]}
    write: Callable[[float], str] = (
        partial(formats().short_money, currency=report["currency"]) if money else formats().number
    )
    return {
        "from": say.day(held["from"], zone),
        "to": say.day(held["to"], zone),
        "customers": formats().number(held["customers"]),
        "cautions": _cautions(report, held["choice"][taken]["total_error"]["value"] or 0.0),
        "covered": held["coverage"].get(taken),
        "rows": [
            {
                "title": find(ways.get(name, name)),
                "taken": name == taken,
                "expected": write(f["expected"]),
                "actual": write(f["actual"]),
                "off": formats().signed(100 * f["total_error"]["value"]) + formats().percent_sign,
                "off_between": gettext(
                    "%(low)s to %(high)s",
                    low=formats().signed(100 * f["total_error"]["low"]),
                    high=formats().signed(100 * f["total_error"]["high"]) + formats().percent_sign,
                ),
                "best": formats().percent(f["best_tenth"]["value"]),
                "best_between": f"{formats().percent(f['best_tenth']['low'])}–{formats().percent(f['best_tenth']['high'])}",
            }
            for name, f in held["choice"].items()
        ],
    }


def _cautions(report: Mapping[str, Any], off: float) -> list[str]:
    """What to know before figures are used. `off`: by which share the total of the taken way was too high when it was tried."""
    by_so_much = formats().percent(abs(off))
    too_low = gettext(
        "When tried, the total was %(n)s too low: a season, or growth. Take totals with that in mind.", n=by_so_much
    )
    too_high = gettext(
        "When tried, the total was %(n)s too high: a season, or customers who fell away. Take totals with that in mind.",
        n=by_so_much,
    )
    said = {**{code: find(text) for code, text in _CAUTIONS.items()}, "total_off": too_low if off < 0 else too_high}
    return [said[one["code"]] for one in report["cautions"] if one["code"] in said]


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
        horizon=length(some["horizon"]),
        customers=some["customers"],
        on=say.day(some["as_of"], zone),
        cursor=cursor,
        next=some["next"],
    )
