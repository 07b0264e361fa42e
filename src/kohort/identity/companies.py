"""Names of companies: the legal form apart from the name, in one spelling each."""

from __future__ import annotations

import re
from typing import NamedTuple

from kohort.identity import junk
from kohort.identity.legal_forms import ALSO_WORDS, FORMS, IN_FRONT
from kohort.identity.letters import fold
from kohort.identity.reading import IS_JUNK, MISSING, NOT_READABLE

_JOINED = re.compile(r"(?<=\w)[./](?=\w)|\.")
_AND = re.compile(r"[&+]")
_JOINERS = frozenset({"and", "und", "en", "og", "et", "och", "the"})
_BY_SPELLING = {spelling: form.code for form in FORMS for spelling in form.spellings}
_LONGEST = max(spelling.count(" ") for spelling in _BY_SPELLING) + 1


class Company(NamedTuple):
    """A company in comparable parts.

    Attributes:
        name: Folded, without the form and without "and", "&", "the".
        form: The code of its legal form (`legal_forms.FORMS`), several with blanks between, "" = not given.
            Philips BV and Philips NV are two companies.
    """

    name: str
    form: str


class _Word(NamedTuple):
    folded: str
    plain: bool
    """Without a point, a stroke or a capital inside: it may just be a word."""


def company(text: str | None) -> tuple[Company | None, str]:
    """A company's name, taken apart; with the problem where there is none.

    Example:
        >>> company("Jansen & Zonen B.V.")[0], company("JANSEN EN ZONEN B V")[0]
        (Company(name='jansen zonen', form='bv'), Company(name='jansen zonen', form='bv'))
        >>> company("Grün UG (haftungsbeschränkt)")[0]
        Company(name='gruen', form='ug')
    """
    if text is None or not text.strip():
        return None, MISSING
    words = _words(text)
    whole = " ".join(word.folded for word in words)
    if junk.no_answer(whole):
        return None, IS_JUNK.problem if words else NOT_READABLE.problem
    all_lower = text == text.lower()
    codes: list[str] = []
    while len(words) > 1 and (found := _behind(words, all_lower)):
        codes.insert(0, found[0])
        words = words[: found[1]]
    while len(words) > 1 and (found := _before(words)):
        codes.insert(0, found[0])
        words = words[found[1] :]
    kept = [word.folded for word in words if word.folded not in _JOINERS] or [word.folded for word in words]
    return Company(" ".join(kept), " ".join(dict.fromkeys(codes))), ""


def _behind(words: list[_Word], all_lower: bool) -> tuple[str, int] | None:
    """The longest form at the end, and where it starts; single letters may stand apart ("B V")."""
    for start in range(max(1, len(words) - _LONGEST), len(words)):
        some = words[start:]
        texts = [word.folded for word in some if word.folded not in ("und", "u") or len(some) == 1]
        spelled = " ".join(texts)
        if all(len(word.folded) == 1 for word in some) and len(some) > 1:
            spelled = "".join(word.folded for word in some)
        code = _BY_SPELLING.get(spelled)
        if code and not (spelled in ALSO_WORDS and some[0].plain and not all_lower):
            return code, start
    return None


def _before(words: list[_Word]) -> tuple[str, int] | None:
    for end in range(min(2, len(words) - 1), 0, -1):
        some = words[:end]
        spelled = ("" if all(len(w.folded) == 1 for w in some) else " ").join(w.folded for w in some)
        code = _BY_SPELLING.get(spelled)
        if code in IN_FRONT and not (spelled in ALSO_WORDS and some[0].plain):
            return code, end
    return None


def _words(text: str) -> list[_Word]:
    """Words of a name; points and strokes inside one ("B.V.", "A/S", "NV/SA") do not cut it."""
    found: list[_Word] = []
    for piece in _AND.sub(" ", text).split():
        for part in _halves(piece):
            joined = fold(_JOINED.sub("", part))
            bare = part.strip(",;()")
            plain = bare.isalpha() and bare[1:].islower()
            found += [_Word(word, plain) for word in joined.split()]
    return found


def _halves(piece: str) -> list[str]:
    """ "NV/SA" and "SPRL/BVBA" are two forms in two languages, "A/S" is one, "Ahold/Delhaize" two words."""
    left, stroke, right = piece.partition("/")
    return [left, right] if stroke and len(left) > 1 and len(right.strip(".,()")) > 1 else [piece]
