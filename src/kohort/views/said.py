"""Why something was not done, as pages say it: what the engine says is in English unless a catalog has it."""

from __future__ import annotations

import re
from functools import cache

from markupsafe import Markup

from kohort.errors import KohortError
from kohort.locale import current, find, gettext, mark
from kohort.views.formats import formats

WITH_FIGURES = (
    mark(
        "There are no clear gaps: customers form one spectrum. "
        "These %(k)s groups are convenient cuts of it, and they hold when re-checked."
    ),
    mark("The customers fall into %(k)s groups with gaps between them that a single population would not show."),
    mark("The %(k)s groups you asked for are given, but they do not hold when re-checked."),
    mark("No groups hold when re-checked: customers differ gradually. Tiers by value are the honest choice."),
    mark("Only %(n)s customers: below 1,000 groups are guesses. Use them for ideas, not for decisions."),
    mark("%(n)s customers: enough for broad groups; from 10,000 on small groups become reliable as well."),
    mark("Its first run lies within this time, so there is nothing to compare with yet."),
    mark("It was not run in this time, so nobody can have moved."),
    mark("It is not live yet: nobody is in it."),
    mark("It is paused: nobody enters or leaves."),
    mark("It was never run, so nobody is in it."),
    mark("1 customer said not to belong; %(checked)s of %(all)s were checked."),
    mark("%(n)s customers said not to belong; %(checked)s of %(all)s were checked."),
    mark("1 person would change it; %(checked)s of %(all)s were checked."),
    mark("%(n)s people would change it; %(checked)s of %(all)s were checked."),
)
"""Sentences that are stored, or made far from any reader, in English: here so that the catalogs have them."""


def said(*told: str | KohortError) -> str:
    """Sentences, or errors with what helps, that may not be in the reader's language: each as the catalog has it, else
    marked as English for programs that read aloud; empty ones are left out.

    Example:
        >>> from kohort.locale import speaking
        >>> with speaking("nl"):
        ...     print(said("Row 3 & row 4 differ.", ""))
        <span lang="en">Row 3 &amp; row 4 differ.</span>
        >>> said("Row 3 & row 4 differ.", "Correct one.")
        'Row 3 & row 4 differ. Correct one.'
    """
    texts = [text for one in told for text in ((one,) if isinstance(one, str) else (one.message, one.hint))]
    shown = [_one(text) for text in texts if text]
    return Markup(" ").join(shown) if any(isinstance(one, Markup) for one in shown) else " ".join(shown)


def _one(text: str) -> str:
    if current.get() == "en":
        return text
    found = find(text)
    if found == text:
        found = _with_figures(text)
    return found if found != text else Markup('<span lang="en">{}</span>').format(text)


def _with_figures(text: str) -> str:
    """The same sentence with its figures as the reader's language writes them; the text itself where no catalog can have it."""
    for sentence in WITH_FIGURES:
        if there := _pattern(sentence).fullmatch(text):
            figures = {
                name: formats().number(int(figure.replace(",", ""))) for name, figure in there.groupdict().items()
            }
            return gettext(sentence, **figures)
    return text


@cache
def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>[\\d,]+)", re.escape(sentence)))
