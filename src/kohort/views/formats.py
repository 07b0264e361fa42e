"""Numbers, money and dates as people read them. One helper for every page, report and chart.

Unknown is always "–", never 0. The minus sign is a true minus. Money shortens to what a person says aloud: £4.87m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from kohort.locale import current

UNKNOWN = "–"
MINUS = "−"

SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "CHF": "CHF ", "DKK": "kr. ", "SEK": "kr ", "NOK": "kr "}


@dataclass(frozen=True, slots=True)
class Formats:
    """How one language writes figures.

    `short` holds (threshold, divisor, ending) from large to small; German writes rounded
    thousands in full. Texts of `months` and `days` are abbreviations, Monday first.
    """

    language: str
    thousands: str
    decimal: str
    percent_sign: str  # what follows the figure: "%" or " %"
    money_pattern: str  # where the symbol stands: "{symbol}{amount}"
    short: tuple[tuple[float, float, str], ...]
    months: tuple[str, ...]
    days: tuple[str, ...]
    date_pattern: str  # with {day}, {month}, {month_number}, {year}
    day_pattern: str  # the same without the year
    words: dict[str, str] = field(default_factory=dict)

    # --- plain numbers -------------------------------------------------------------------------------------------

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with grouping: 4,338.

        Example:
            >>> EN.number(4338), EN.number(-3.25, 1), EN.number(None)
            ('4,338', '−3.3', '–')
        """
        if _unknown(value):
            return UNKNOWN
        assert value is not None
        rounded = _half_up(abs(value), digits)
        sign = MINUS if value < 0 and rounded > 0 else ""
        text = f"{rounded:,.{digits}f}".replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)
        return sign + text

    def signed(self, value: float | None, digits: int = 0) -> str:
        """A change: +11, −14, 0."""
        text = self.number(value, digits)
        return "+" + text if not _unknown(value) and value is not None and _half_up(value, digits) > 0 else text

    def compact(self, value: float | None) -> str:
        """As many digits as a reader needs: 13, 2.4, 0.06.

        Example:
            >>> EN.compact(12.6), EN.compact(2.44), EN.compact(0.061), EN.compact(2.0)
            ('13', '2.4', '0.06', '2')
        """
        if _unknown(value):
            return UNKNOWN
        assert value is not None
        size = abs(value)
        digits = 0 if size >= 10 else 1 if size >= 1 else 2
        text = self.number(value, digits)
        return text.rstrip("0").rstrip(self.decimal) if self.decimal in text else text

    # --- shares --------------------------------------------------------------------------------------------------

    def percent(self, share: float | None) -> str:
        """A share of 0 to 1 as a percentage without decimals; tiny ones are "under 1%".

        Example:
            >>> EN.percent(0.55), EN.percent(0.004), EN.percent(0.997), EN.percent(0.0)
            ('55%', 'under 1%', 'over 99%', '0%')
        """
        if _unknown(share):
            return UNKNOWN
        assert share is not None
        if 0 < share < 0.005:
            return f"{self.words['under']} 1{self.percent_sign}"
        if 0.995 <= share < 1:
            return f"{self.words['over']} 99{self.percent_sign}"
        return f"{self.number(share * 100)}{self.percent_sign}"

    def in_100(self, share: float | None) -> str:
        """A chance as people say it: "8 in 100".

        Example:
            >>> EN.in_100(0.08), EN.in_100(0.001), EN.in_100(None)
            ('8 in 100', 'under 1 in 100', '–')
        """
        if _unknown(share):
            return UNKNOWN
        assert share is not None
        if 0 < share < 0.005:
            return f"{self.words['under']} {self.words['in_100'].format(n=1)}"
        return self.words["in_100"].format(n=self.number(share * 100))

    def change(self, now: float | None, before: float | None) -> str:
        """Relative change: "+27%"; unknown without a base."""
        if _unknown(now) or _unknown(before) or not before or before < 0:
            return UNKNOWN
        assert now is not None
        return f"{self.signed((now / before - 1) * 100)}{self.percent_sign}"

    # --- money ---------------------------------------------------------------------------------------------------

    def money(self, amount: float | None, currency: str, digits: int | None = None) -> str:
        """Money in full: £674, £12.40. Pennies show below 100 unless `digits` says otherwise.

        Example:
            >>> EN.money(4954.84, "GBP", 2), EN.money(674.3, "GBP"), EN.money(-3, "GBP")
            ('£4,954.84', '£674', '−£3.00')
        """
        if _unknown(amount):
            return UNKNOWN
        assert amount is not None
        figure = self.number(abs(amount), (2 if 0 < abs(amount) < 100 else 0) if digits is None else digits)
        sign = MINUS if amount < 0 and any(c in "123456789" for c in figure) else ""
        return sign + self._with_symbol(figure, currency)

    def short_money(self, amount: float | None, currency: str) -> str:
        """Money as said aloud: £4.87m, £478k; below ten thousand in full.

        Example:
            >>> [EN.short_money(x, "GBP") for x in (4_873_000, 477_631, 26_400, 9_996, 674.4, 999_600)]
            ['£4.87m', '£478k', '£26k', '£9,996', '£674', '£1.00m']
        """
        if _unknown(amount):
            return UNKNOWN
        assert amount is not None
        size = abs(amount)
        for threshold, divisor, ending in self.short:
            # 999,600 rounds to a thousand thousands, and nobody says that.
            if size >= (threshold * 0.9995 if threshold >= 1e6 else threshold):
                scaled = size / divisor
                digits = 0 if threshold < 1e6 else 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
                figure = self.number(scaled, digits) + ending
                break
        else:
            figure = self.number(size)
        sign = MINUS if amount < 0 and size >= 0.5 else ""
        return sign + self._with_symbol(figure, currency)

    def _with_symbol(self, figure: str, currency: str) -> str:
        sign = symbol(currency)
        if self.money_pattern != "{symbol}{amount}":  # the pattern has the space
            sign = sign.strip()
        return self.money_pattern.format(symbol=sign, amount=figure) if sign else figure

    # --- dates ---------------------------------------------------------------------------------------------------

    def date_of(self, value: str | date | None, *, year: bool = True, weekday: bool = False) -> str:
        """A date from ISO text or a date: 9 Dec 2011, Fri 9 Dec.

        Example:
            >>> EN.date_of("2011-12-09T12:50:00Z"), EN.date_of("2011-12-09", year=False, weekday=True), EN.date_of(None)
            ('9 Dec 2011', 'Fri 9 Dec', '–')
        """
        parsed = _parse(value)
        if parsed is None:
            return UNKNOWN
        text = (self.date_pattern if year else self.day_pattern).format(
            day=parsed.day, month=self.months[parsed.month - 1], month_number=parsed.month, year=parsed.year
        )
        return f"{self.days[parsed.weekday()]} {text}" if weekday else text

    def month_of(self, value: str | None) -> str:
        """A month from "2011-12": Dec 2011."""
        parsed = _parse(f"{value[:7]}-01" if value else None)
        return UNKNOWN if parsed is None else f"{self.months[parsed.month - 1]} {parsed.year}"

    # --- values with a unit --------------------------------------------------------------------------------------

    def value(self, value: object, unit: str, currency: str = "") -> str:  # noqa: PLR0911
        """A feature's value in its unit: £400, 27 days, 13, 6%, Germany.

        Example:
            >>> EN.value(27.2, "days"), EN.value(400, "money", "GBP"), EN.value(0.06, "share"), EN.value("Oslo", "text")
            ('27 days', '£400', '6%', 'Oslo')
        """
        if isinstance(value, bool):
            return self.words["yes"] if value else self.words["no"]
        if isinstance(value, str):
            return value or UNKNOWN
        if not isinstance(value, int | float) or _unknown(value):
            return UNKNOWN
        match unit:
            case "money":
                return self.money(value, currency, 0 if abs(value) >= 10 else None)
            case "days":
                return self.words["day" if _half_up(value, 0) == 1 else "days"].format(n=self.number(value))
            case "minutes":
                return self.words["minute" if _half_up(value, 0) == 1 else "minutes"].format(n=self.number(value))
            case "share":
                return self.percent(value)
            case "hour":
                return f"{int(value) % 24:02d}:00"
            case "flag":
                return self.percent(value) if 0 < value < 1 else self.words["yes" if value else "no"]
            case _:
                return self.compact(value)

    def between(self, low: float | None, high: float | None, unit: str = "number", currency: str = "") -> str:
        """A range: £14k–£26k, 82%–94%. One value where both ends read the same."""
        if unit == "money":
            first, last = self.short_money(low, currency), self.short_money(high, currency)
        else:
            first, last = self.value(low, unit), self.value(high, unit)
        return first if first == last else f"{first}–{last}"


def symbol(currency: str) -> str:
    """Sign of a currency, or its code with a space where it has none of its own."""
    return SYMBOLS.get(currency, f"{currency} " if currency else "")


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value) or math.isinf(value)


def _half_up(value: float, digits: int) -> float:
    """School rounding: 3.25 → 3.3. People check figures by hand, and they do not round to even."""
    scale = 10**digits
    return math.copysign(math.floor(abs(value) * scale + 0.5 + 1e-9) / scale, value)


def _parse(value: str | date | None) -> date | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).date() if value.tzinfo else value.date()
    if isinstance(value, date):
        return value
    try:
        return datetime.fromisoformat(value).date()
    except ValueError:
        return None


EN = Formats(
    language="en-GB",
    thousands=",",
    decimal=".",
    percent_sign="%",
    money_pattern="{symbol}{amount}",
    short=((1e9, 1e9, "bn"), (1e6, 1e6, "m"), (1e4, 1e3, "k")),
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    date_pattern="{day} {month} {year}",
    day_pattern="{day} {month}",
    words={
        "under": "under",
        "over": "over",
        "in_100": "{n} in 100",
        "day": "{n} day",
        "days": "{n} days",
        "minute": "{n} minute",
        "minutes": "{n} minutes",
        "yes": "yes",
        "no": "no",
    },
)
"""British English."""

NL = Formats(
    language="nl",
    thousands=".",
    decimal=",",
    percent_sign="%",
    money_pattern="{symbol}\u00a0{amount}",
    short=((1e9, 1e9, "\u00a0mld."), (1e6, 1e6, "\u00a0mln."), (1e4, 1e3, "K")),
    months=("jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec"),
    days=("ma", "di", "wo", "do", "vr", "za", "zo"),
    date_pattern="{day} {month} {year}",
    day_pattern="{day} {month}",
    words={
        "under": "minder dan",
        "over": "meer dan",
        "in_100": "{n} van de 100",
        "day": "{n} dag",
        "days": "{n} dagen",
        "minute": "{n} minuut",
        "minutes": "{n} minuten",
        "yes": "ja",
        "no": "nee",
    },
)
"""Dutch."""

DA = Formats(
    language="da",
    thousands=".",
    decimal=",",
    percent_sign="\u00a0%",
    money_pattern="{amount}\u00a0{symbol}",
    short=((1e9, 1e9, "\u00a0mia."), (1e6, 1e6, "\u00a0mio."), (1e4, 1e3, "\u00a0t")),
    months=("jan.", "feb.", "mar.", "apr.", "maj", "jun.", "jul.", "aug.", "sep.", "okt.", "nov.", "dec."),
    days=("man.", "tirs.", "ons.", "tors.", "fre.", "lør.", "søn."),
    date_pattern="{day}. {month} {year}",
    day_pattern="{day}. {month}",
    words={
        "under": "under",
        "over": "over",
        "in_100": "{n} ud af 100",
        "day": "{n} dag",
        "days": "{n} dage",
        "minute": "{n} minut",
        "minutes": "{n} minutter",
        "yes": "ja",
        "no": "nej",
    },
)
"""Danish."""

DE = Formats(
    language="de",
    thousands=".",
    decimal=",",
    percent_sign="\u00a0%",
    money_pattern="{amount}\u00a0{symbol}",
    short=((1e9, 1e9, "\u00a0Mrd."), (1e6, 1e6, "\u00a0Mio."), (1e4, 1e3, ".000")),
    months=("Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."),
    days=("Mo.", "Di.", "Mi.", "Do.", "Fr.", "Sa.", "So."),
    date_pattern="{day:02d}.{month_number:02d}.{year}",
    day_pattern="{day}. {month}",
    words={
        "under": "unter",
        "over": "über",
        "in_100": "{n} von 100",
        "day": "{n} Tag",
        "days": "{n} Tage",
        "minute": "{n} Minute",
        "minutes": "{n} Minuten",
        "yes": "ja",
        "no": "nein",
    },
)
"""German."""

FORMATS = {"en": EN, "nl": NL, "da": DA, "de": DE}


def formats() -> Formats:
    """How figures are written in the language of what is being made."""
    return FORMATS.get(current.get(), EN)
