"""One grammar for one language and its labels: forms, words and the tokens of numbers, dates, texts and names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

from kohort.definitions.rules.sentences.forms import FORMS
from kohort.definitions.rules.sentences.labels import usable
from kohort.definitions.rules.sentences.languages import Language, language
from kohort.definitions.rules.sentences.syntax import Choice, Names, Phrase, Series, Syntax, Token, spaced
from kohort.definitions.sql_write import number_text
from kohort.definitions.windows import Span, TimeUnit, Window

SAME_EVERYWHERE = {
    "all": "{items}",
    "any": "{items}",
    "one": "{item}",
    "group": "({group})",
    "named": "{name}",
    "within": "{last}",
}
"""Templates without words."""

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


@lru_cache(maxsize=64)
def grammar(code: str, labels: tuple[tuple[str, str], ...] | None) -> Syntax:
    """The syntax of a whole rule.

    Args:
        code: One of LANGUAGES.
        labels: Name → plain words, of features, traits, events, columns and segments. None = every name stands in
            quotes, those too that have plain words by default.
    """
    lang = language(code)
    words = {**SAME_EVERYWHERE, **lang.templates}
    given = dict(labels or ())
    known = {} if labels is None else usable({**lang.events, **lang.columns}, given, words.values())
    events = {name: said for name, said in known.items() if name in given or name in lang.events}
    names = {name: said for name, said in known.items() if name in given or name in lang.columns}
    return _Grammar(lang, words, events, names).categories["rule"]


class _Grammar:
    """Categories by name. Each is a choice, filled last, because rules contain rules."""

    def __init__(
        self, lang: Language, words: Mapping[str, str], events: Mapping[str, str], names: Mapping[str, str]
    ) -> None:
        self.language, self.words, self.events, self.names = lang, words, events, names
        self.categories: dict[str, Choice] = {}
        tokens = self._tokens()
        for name, options in {**tokens, **self._series()}.items():
            self._category(name).options = options
        for form in FORMS:
            slots = {slot: self._category(name) for slot, name in form.slots.items()}
            phrase = Phrase(self.words[form.template], slots, form.apart, form.build)
            category = self._category(form.category)
            category.options = (*category.options, phrase)

    def _category(self, name: str) -> Choice:
        return self.categories.setdefault(name, Choice())

    def _tokens(self) -> dict[str, tuple[Syntax, ...]]:
        lang = self.language
        text = (date_token(lang), text_token(lang))
        number = number_token(lang)
        value = (*text, number, self._category("flag"))
        one = {Window(Span(1, *_unit(u))).start: words for u, words in lang.one.items()}
        return {
            "name": (Names("a name", self.names), name_token()),
            "text": text,
            "number": (number,),
            "integer": (integer_token(),),
            "value": value,
            "right": (self._category("now"), *value, self._category("operand")),
            "column_right": (*value, self._category("column")),
            "span": (span_token(lang.units),),
            "periods": (periods_token(lang.periods),),
            "last": (Names("a window", one),),
        }

    def _series(self) -> dict[str, tuple[Syntax, ...]]:
        words, category = self.words, self._category
        comma = (", ", "; ")
        found: dict[str, tuple[Syntax, ...]] = {
            "events": self._happenings(""),
            "events_past": self._happenings("_past"),
            "values": (Series(category("value"), comma, heavy=self._is_heavy),),
            "texts": (Series(category("text"), comma),),
        }
        for kind in ("rule_member", "condition_member"):
            for joined in ("and", "or"):
                found[f"{kind}_{joined}"] = (Series(category(kind), (words[joined],), least=2),)
        return found

    def _happenings(self, form: str) -> tuple[Syntax, ...]:
        """Names of events as words that complete "has …", or, where English differs, "they …"."""
        words = self.words
        nothing = Phrase(words[f"any_event{form}"], {}, lambda v: {} if v == () else None, tuple)
        named = Phrase(words[f"event{form}"], {"name": name_token()}, _named, lambda name: name)
        one = Choice((Names("what somebody did", self.events), named))
        return nothing, Series(one, (words["or_event"],))

    def _is_heavy(self, value: Any) -> bool:
        """Where a number has a comma inside, semicolons stand between numbers."""
        return self.language.decimal == "," and isinstance(value, Decimal)


def _named(value: Any) -> Mapping[str, Any] | None:
    return {"name": value} if isinstance(value, str) else None


def _unit(words: str) -> tuple[TimeUnit, bool]:
    return words.removeprefix("calendar "), words.startswith("calendar ")  # type: ignore[return-value]


def text_token(lang: Language) -> Token:
    """A text in the quotes of the language; a closing quote inside is written twice."""
    opening, closing = lang.quotes
    pattern = rf'{opening}((?:[^{closing}]|{closing}{closing})*){closing}(?!{closing})|"((?:[^"]|"")*)"(?!")'

    def value(found: re.Match[str]) -> str:
        inner: str | None = found[1]
        return found[2].replace('""', '"') if inner is None else inner.replace(closing * 2, closing)

    def words(text: Any) -> str | None:
        return f"{opening}{text.replace(closing, closing * 2)}{closing}" if isinstance(text, str) else None

    return Token(f"a text in {opening}quotes{closing}", re.compile(pattern), value, words)


def name_token() -> Token:
    """The technical name of something, in straight single quotes."""
    return Token(
        "a name in 'quotes'",
        re.compile("'((?:[^']|'')*)'(?!')"),
        lambda found: found[1].replace("''", "'"),
        lambda name: "'" + name.replace("'", "''") + "'" if isinstance(name, str) else None,
    )


def number_token(lang: Language) -> Token:
    """A number without grouping, so that 1.000 is never taken for one when it means a thousand."""
    mark = re.escape(lang.decimal)

    def words(number: Any) -> str | None:
        if not isinstance(number, Decimal):
            return None
        return number_text(number).replace("-", "−").replace(".", lang.decimal)

    return Token(
        f"a number such as 1000 or 12{lang.decimal}5",
        re.compile(rf"([-−]?)(\d+(?:{mark}\d+)?)(?![.,]\d)", re.ASCII),
        lambda found: Decimal(("-" if found[1] else "") + found[2].replace(lang.decimal, ".")),
        words,
    )


def integer_token() -> Token:
    """A whole number."""
    return Token(
        "a whole number",
        re.compile(r"([-−]?)(\d{1,12})(?!\d)", re.ASCII),
        lambda found: int(("-" if found[1] else "") + found[2]),
        lambda number: str(number).replace("-", "−") if isinstance(number, int) else None,
    )


def date_token(lang: Language) -> Token:
    """A day, in a rule the text `2011-12-09`; every other text stays in quotes."""
    months = {written.lower(): i for i, m in enumerate(lang.months, 1) for written in (m, m.lstrip("0"))}
    parts = {"day": r"(\d{1,2})", "month": f"({_any_of(months)})", "year": r"(\d{4})"}
    pattern = "".join(parts.get(re.sub("[{}:0-9]", "", p), re.escape(p)) for p in re.split(r"(\{.*?\})", lang.date))

    def value(found: re.Match[str]) -> str | None:
        return _iso_day(int(found[3]), months[found[2].lower()], int(found[1]))

    def words(text: Any) -> str | None:
        found = _DATE.fullmatch(text) if isinstance(text, str) and text.isascii() else None
        if found is None or _iso_day(*map(int, found.groups())) != text:
            return None
        year, month, day = map(int, found.groups())
        return lang.date.format(day=day, month=lang.months[month - 1], year=year)

    example = lang.date.format(day=9, month=lang.months[11], year=2011)
    return Token(f"a date such as {example}", re.compile(pattern, re.IGNORECASE | re.ASCII), value, words)


def _iso_day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat() if year >= 1000 else None
    except ValueError:
        return None


def span_token(units: Mapping[str, tuple[str, str]]) -> Token:
    """A length of time: `30 days`."""

    def words(span: Any) -> str | None:
        if not isinstance(span, Span):
            return None
        unit = units["calendar day" if span.calendar else span.unit]
        return f"{span.amount} {unit[span.amount != 1]}"

    counted = _counted(units)
    example = f"30 {units['day'][1]}"
    return Token(
        f"a length of time such as {example}",
        counted.pattern,
        lambda f: Span(int(f[1]), *_unit(counted.unit(f))),
        words,
    )


def periods_token(periods: Mapping[str, tuple[str, str]]) -> Token:
    """Complete periods: `6 full months`, as (6, "month")."""
    counted = _counted(periods)
    return Token(
        f"for example 6 {periods['month'][1]}",
        counted.pattern,
        lambda found: (int(found[1]), counted.unit(found)),
        lambda of: f"{of[0]} {periods[of[1]][of[0] != 1]}",
    )


class _counted:  # noqa: N801 - a small pair of a pattern and what it found
    def __init__(self, units: Mapping[str, tuple[str, str]]) -> None:
        self.units = {word.lower(): unit for unit, words in units.items() for word in words}
        self.pattern = re.compile(rf"(\d{{1,9}})\s+({_any_of(self.units)})", re.IGNORECASE | re.ASCII)

    def unit(self, found: re.Match[str]) -> str:
        return self.units[" ".join(found[2].lower().split())]


def _any_of(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest first."""
    return "|".join(spaced(w) for w in sorted(words, key=len, reverse=True))
