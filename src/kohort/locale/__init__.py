"""The reader's language: whole sentences with placeholders, looked up in gettext catalogs.

English is written in the code and is what every look-up falls back to. `nl.po`, `da.po` and `de.po` beside this file hold the
other languages, in the form that translators' tools read; `docs/languages.md` says how to add one. The language of what is being
made stands in a context variable, which the door of the pages sets for each request, so nothing has to be handed through; the
command line and the API speak English.

Placeholders are named, `%(n)s`, in Python as in templates (`{% trans %}`), so both share one catalog; a percent sign is `%%`.
"""

from __future__ import annotations

import functools
import gettext as standard
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import resources
from typing import Literal

Language = Literal["en", "nl", "da", "de"]
LANGUAGES: dict[Language, str] = {"en": "English", "nl": "Nederlands", "da": "Dansk", "de": "Deutsch"}
"""Each in its own words."""
PSEUDO = "x-marked"
"""Every marked text in ⟦brackets⟧: what a test then finds outside of them was never marked."""

current: ContextVar[str] = ContextVar("kohort_language", default="en")
"""Of what is being made right now."""


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Makes what is made inside in another language.

    Example:
        >>> with speaking(PSEUDO):
        ...     print(gettext("yes"))
        ⟦yes⟧
    """
    token = current.set(language)
    try:
        yield
    finally:
        current.reset(token)


def spoken() -> Language:
    """The reader's language; English for whatever is none of them.

    Example:
        >>> with speaking("da"):
        ...     print(spoken())
        da
    """
    now = current.get()
    return next((one for one in LANGUAGES if one == now), "en")


def gettext(message: str, **values: object) -> str:
    """A sentence in the reader's language; English where the catalog lacks it.

    Example:
        >>> gettext("%(n)s of %(all)s", n=3, all=8)
        '3 of 8'
    """
    return find(message) % values


def ngettext(one: str, many: str, count: float, /, **values: object) -> str:
    """A sentence whose form follows a number, by the plural rule of the language.

    Args:
        count: Chooses the form. How it is written is a value like any other, so that a page can say 4,338.

    Example:
        >>> [ngettext("%(n)s customer", "%(n)s customers", k, n=f"{k:,}") for k in (1, 4338)]
        ['1 customer', '4,338 customers']
    """
    return nfind(one, many, count) % values


def mark(message: str) -> str:
    """Marks a text for the catalogs where it is written, to be looked up with `find` where it is shown.

    Example:
        >>> mark("Overview")
        'Overview'
    """
    return message


def nmark(one: str, many: str) -> tuple[str, str]:
    """Marks both forms of a text, to be looked up with `ngettext` where it is shown."""
    return one, many


def find(message: str) -> str:
    """A marked text in the reader's language, its placeholders not filled in."""
    language = current.get()
    if language == PSEUDO:
        return f"⟦{message}⟧"
    return message if language == "en" or not message else catalog(language).gettext(message)


def nfind(one: str, many: str, count: float) -> str:
    """The form of a text that fits a number, its placeholders not filled in."""
    language = current.get()
    # Whatever is not a whole number is many of something: 1.5 customers.
    whole = int(count) if float(count).is_integer() else 2
    if language in ("en", PSEUDO):
        said = one if whole == 1 else many
        return f"⟦{said}⟧" if language == PSEUDO else said
    return catalog(language).ngettext(one, many, whole)


@functools.cache
def catalog(language: str) -> standard.NullTranslations:
    """The catalog of one language, read once in a process; one without any where there is none."""
    file = resources.files("kohort.locale").joinpath(f"{language}.po")
    if language not in LANGUAGES or not file.is_file():
        return standard.NullTranslations()
    # Not before somebody reads another language: most processes never do.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = io.BytesIO()
    with file.open("rb") as text:
        write_mo(compiled, read_po(text, locale=language))
    compiled.seek(0)
    return standard.GNUTranslations(compiled)


def asked_for(accepted: str) -> Language:
    """The language that a browser asks for first, of those there are; English where none is.

    Args:
        accepted: What it sent as Accept-Language. Anything: what cannot be read counts as not asked for.

    Example:
        >>> asked_for("nl-BE,nl;q=0.9,en;q=0.8"), asked_for("en;q=0.4, de-AT;q=0.7"), asked_for("fr"), asked_for("")
        ('nl', 'de', 'en', 'en')
    """
    wishes: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accepted[:500].split(",")):
        tag, _, weight = part.partition(";")
        known: Language | None = next((one for one in LANGUAGES if one == tag.strip().lower().partition("-")[0]), None)
        quality = _quality(weight)
        if known is not None and quality > 0:
            wishes.append((-quality, place, known))
    return min(wishes)[2] if wishes else "en"


def _quality(weight: str) -> float:
    name, _, figure = weight.strip().partition("=")
    if not name:
        return 1.0
    try:
        return min(max(float(figure), 0.0), 1.0) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
