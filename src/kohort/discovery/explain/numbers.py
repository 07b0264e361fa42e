"""Figures as a person writes them: money, days, shares, counts. English; unknown is "–", never 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from kohort.model.feature import FeatureInfo

UNKNOWN = "–"
_SYMBOL = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥"}
_FRACTIONS = {
    2: "half",
    3: "a third",
    4: "a quarter",
    5: "a fifth",
    6: "a sixth",
    7: "a seventh",
    8: "an eighth",
    9: "a ninth",
    10: "a tenth",
}


def number(value: float | None) -> str:
    """A plain number: whole from 20 on, else at most three digits.

    Example:
        >>> number(1234.5), number(12.34), number(0.05), number(3.0), number(-2.5)
        ('1,234', '12.3', '0.05', '3', '−2.5')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value < 0:
        return "−" + number(-value)
    if value >= 20:
        return f"{value:,.0f}"
    digits = 1 if value >= 10 else 2
    text = f"{value:.{digits}f}" if value >= 0.01 or value == 0 else f"{value:.1g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def money(value: float | None, currency: str) -> str:
    """An amount with its currency: no pence from 100 on, millions shortened.

    Example:
        >>> money(4954.84, "GBP"), money(4.5, "EUR"), money(4_870_000, "GBP"), money(-20, "DKK")
        ('£4,955', '€4.50', '£4.87m', '−20 DKK')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value < 0:
        return "−" + money(-value, currency)
    if value >= 1_000_000:
        text = f"{value / 1_000_000:.2f}m"
    else:
        text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}"
    symbol = _SYMBOL.get(currency)
    if symbol:
        return f"{symbol}{text}"
    return f"{text} {currency}".strip()


def share(value: float | None) -> str:
    """A share of 1 in percent; tiny ones in words.

    Example:
        >>> share(0.553), share(0.004), share(0.0), share(1.0), share(0.999)
        ('55%', 'under 1%', '0%', '100%', 'over 99%')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if 0 < value < 0.01:
        return "under 1%"
    if 0.99 < value < 1:
        return "over 99%"
    return f"{100 * value:.0f}%".replace("-", "−")


def days(value: float | None) -> str:
    """A number of days.

    Example:
        >>> days(1), days(23.4), days(0.4), days(None)
        ('1 day', '23 days', 'under 1 day', '–')
    """
    return _so_many(value, "day")


def minutes(value: float | None) -> str:
    """A number of minutes.

    Example:
        >>> minutes(1.2), minutes(7.5), minutes(0.2)
        ('1 minute', '8 minutes', 'under 1 minute')
    """
    return _so_many(value, "minute")


def _so_many(value: float | None, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if 0 < value < 0.5:
        return f"under 1 {unit}"
    whole = round(value)
    return f"{number(whole)} {unit}{'' if whole == 1 else 's'}"


def amount(info: FeatureInfo, value: float | str | bool | None, currency: str) -> str:
    """One value of a feature, with its unit.

    Example:
        >>> amount(FeatureInfo("spend", "Spend", unit="money"), 674.2, "GBP")
        '£674'
        >>> amount(FeatureInfo("hour", "Hour", unit="hour"), 19.6, "")
        '19:36'
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if info.unit == "money":
        return money(value, currency)
    return _UNITS.get(info.unit, number)(value)


def about(info: FeatureInfo, value: float | str | bool | None, currency: str) -> str:
    """A typical value: like `amount`, amounts of money from 20 on without pence."""
    if info.unit == "money" and isinstance(value, float) and abs(value) >= 20:
        value = float(round(value))
    return amount(info, value, currency)


def exact(info: FeatureInfo, bound: float, currency: str) -> str:
    """A threshold: every digit it has, so that the words of a rule mean what its SQL means.

    Example:
        >>> exact(FeatureInfo("x", "X"), 37.15, ""), exact(FeatureInfo("s", "S", unit="money"), 1234.5, "GBP")
        ('37.15', '£1,234.50')
    """
    if info.unit == "share":
        return f"{_digits(100 * bound)}%"
    if info.unit in ("days", "minutes"):
        return f"{_digits(bound)} {info.unit.removesuffix('s')}{'' if bound == 1 else 's'}"
    if info.unit == "money":
        text = _digits(abs(bound)) if bound == int(bound) or round(bound, 2) != bound else f"{abs(bound):,.2f}"
        symbol = _SYMBOL.get(currency)
        return ("−" if bound < 0 else "") + (f"{symbol}{text}" if symbol else f"{text} {currency}".strip())
    if info.unit == "hour":
        return clock(bound)
    return _digits(bound)


def _digits(value: float) -> str:
    return f"{value:,.12g}".replace("-", "−")


def clock(value: float) -> str:
    """An hour of the day: 19.6 → 19:36."""
    minutes = round(value * 60)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


_UNITS: dict[str, Callable[[float], str]] = {
    "days": days,
    "minutes": minutes,
    "share": share,
    "flag": share,
    "hour": clock,
}


def times(value: float, average: float) -> str:
    """A ratio in words; empty where the two are too close for a ratio.

    Example:
        >>> times(4955, 674), times(27, 54), times(7, 50), times(110, 100), times(150, 100), times(1, 30)
        ('7.4 times', 'half', 'a seventh', '', '1.5 times', 'a fraction')
    """
    if value <= 0 or average <= 0:
        return ""
    ratio = value / average
    if ratio >= 1.45:
        return f"{ratio:,.0f} times" if ratio >= 9.95 else f"{ratio:.1f}".removesuffix(".0") + " times"
    if ratio > 0.6:
        return ""
    part = round(1 / ratio) if ratio > 0.01 else 0
    return _FRACTIONS.get(part, "a fraction")
