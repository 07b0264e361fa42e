"""Names of persons: titles and particles apart from the name itself, first name apart from surname. No nicknames are guessed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from kohort.identity import junk
from kohort.identity.letters import fold, sound_key
from kohort.identity.reading import IS_JUNK, NOT_READABLE, NOTHING, Read

_TITLES = """
mr mrs ms miss mister dr drs prof professor ir ing mag dipl dhr meneer mevr mw mevrouw fam familie hr herr herrn frau fru frk
froeken sir dame lord lady rev ds mme mlle
"""
_SUFFIXES = "jr sr junior senior ii iii iv bsc msc phd mba md esq"
_PARTICLES = """
van vande vander vanden de den der des ten ter te tot t op in het s von vom zu zum zur und af av du da di del della dos das la le
les l d el al bin ibn vd
"""
TITLES = frozenset(_TITLES.split())
SUFFIXES = frozenset(_SUFFIXES.split())
PARTICLES = frozenset(_PARTICLES.split())
_SHORT = re.compile(r"\bv\s*[./ ]\s*d\b\.?|\bv/d\b", re.IGNORECASE)
_GLUED = re.compile(r"(?:vanden|vander|vande|van|von)(?=[a-z]{4})")
_APOSTROPHE_T = re.compile(r"(?:^|(?<=\s))['’`](?=[ts]\s)", re.IGNORECASE)


class Name(NamedTuple):
    """A person's name in comparable parts, all folded; an empty text = not given.

    Attributes:
        given: First names or initials, with blanks between.
        particles: "van den", "von", "de la": often left out or abbreviated, so never part of what must agree.
        surname: The surname without particles.
    """

    given: str
    particles: str
    surname: str


def given_name(text: str | None) -> Read:
    """First names without titles.

    Example:
        >>> given_name("Dr. Jan-Willem").value, given_name("J.P.").value, given_name("onbekend").problem
        ('jan willem', 'j p', 'junk')
    """
    return _read(text, " ".join)


def surname(text: str | None) -> Read:
    """A surname without titles and particles.

    Example:
        >>> [surname(name).value for name in ("van den Berg", "v.d. Berg", "Berg, van den", "BERG")]
        ['berg', 'berg', 'berg', 'berg']
    """
    return _read(text, lambda words: " ".join(_split(words)[1]))


def full_name(text: str | None) -> tuple[Name | None, str]:
    """A name in one field, taken apart; with the problem where there is none.

    "Berg, Jan van den" and "Jan van den Berg" are the same. Without a comma and without particles the last word is the
    surname; a single word is one too.

    Example:
        >>> full_name("Dhr. J. van den Berg")[0]
        Name(given='j', particles='van den', surname='berg')
        >>> full_name("Berg, Jan van den")[0]
        Name(given='jan', particles='van den', surname='berg')
    """
    if text is None or not text.strip():
        return None, NOTHING.problem
    before, comma, after = text.partition(",")
    first, rest = _words(before), _words(after) if comma else []
    if junk.no_answer(" ".join(first + rest)):
        return None, (IS_JUNK if first or rest else NOT_READABLE).problem
    if rest:
        led, core = _split(first)
        given = [word for word in rest if word not in PARTICLES]
        led = led or [word for word in rest if word in PARTICLES]
        return Name(" ".join(given), " ".join(led), " ".join(core)), ""
    at = next((n for n, word in enumerate(first) if word in PARTICLES), None)
    at = len(first) - 1 if at is None or at == len(first) - 1 else at
    led, core = _split(first[at:])
    return Name(" ".join(first[:at]), " ".join(led), " ".join(core)), ""


def name_key(folded: str) -> str:
    """One coarse spelling of a folded name, for finding candidates: Vandenberghe and van den Berghe, Dijk and Dyk.

    Example:
        >>> name_key("vandenberghe"), name_key("soerensen")
        ('berghe', 'sorensen')
    """
    return sound_key(_GLUED.sub("", folded, count=1)).replace(" ", "")


def _read(text: str | None, shape: Callable[[list[str]], str]) -> Read:
    if text is None or not text.strip():
        return NOTHING
    words = _words(text)
    if junk.no_answer(" ".join(words)):
        return IS_JUNK if words or not any(c.isalpha() for c in text) else NOT_READABLE
    return Read(shape(words))


def _words(text: str) -> list[str]:
    """Folded words without titles and suffixes; "J.P." is two initials, "v.d." one particle."""
    text = _SHORT.sub(" vd ", _APOSTROPHE_T.sub("", text.strip()))
    words = fold(text.replace(".", ". ")).split()
    kept = [word for word in words if word not in TITLES]
    while len(kept) > 1 and kept[-1] in SUFFIXES:
        kept.pop()
    return kept or words


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Particles and the rest; a name that is all particles ("Du", "De") is a name. They may stand behind: "Berg van den"."""
    at = next((n for n, word in enumerate(words) if word not in PARTICLES), None)
    if at is None:
        return words[:-1], words[-1:]
    end = len(words)
    while at == 0 and end > 1 and words[end - 1] in PARTICLES:
        end -= 1
    return words[:at] + words[end:], words[at:end]
