"""How friendly a text sounds, by a list of words: each word has a value, "not" turns it round, "very" makes it stronger.

Such a list is right about two times in three. So a value says nothing about one text or one person; the mean over many does,
with its interval. docs/texts.md has the accuracy per language, measured.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache

from kohort.ingest.controls.text.words import rows, tokens

LISTS = {"en": ("en",), "nl": ("nl-afinn", "nl", "nl-own"), "da": ("da", "da-own"), "de": ("de-afinn", "de-own")}
"""Lists by language; the later ones go before the earlier."""

# Small words that are on a list in a sense they seldom have ("als" is not "like", "naar" is "to" and not "nasty").
_EMPTY = {
    "en": "",
    "nl": "als naar eens waar willen wilde krijgen nodig zeker vragen heel hele enige wees vroeg los licht geen "
    "god moeder kinderen vroeger zoals haar groot grote oude oud jong nieuw nieuwe rest lang lange zwart eigen open recht",
    "da": "når ha rig rige vild vildt tro præcis",
    "de": "bitte würde wollen einfach art gerade halt rein rücken halten ach himmel natürlich kinder gott fest recht "
    "kein war zeit",
}
_NOT = {
    "en": "not no never none nobody nothing neither nor without cannot can't don't doesn't didn't won't wouldn't isn't aren't "
    "wasn't weren't couldn't shouldn't hardly haven't hasn't ain't",
    "nl": "niet geen nooit niemand niets niks zonder nergens noch",
    "da": "ikke aldrig ingen intet ingenting uden hverken",
    "de": "nicht kein keine keinen keiner keines keinem nie niemals niemand nichts ohne weder nix",
}
_MORE = {
    "en": "very really so extremely absolutely totally completely incredibly too most much highly such truly",
    "nl": "zeer heel erg echt ontzettend enorm super vreselijk absoluut zo te ongelooflijk bijzonder helemaal",
    "da": "meget virkelig rigtig utrolig ekstremt helt så super vildt særdeles absolut totalt",
    "de": "sehr wirklich extrem absolut total besonders so zu äußerst unglaublich echt richtig völlig überaus",
}
_LESS = {
    "en": "slightly somewhat barely little bit fairly quite rather kinda partly",
    "nl": "beetje enigszins redelijk vrij nogal tamelijk deels iets",
    "da": "lidt nogenlunde ret temmelig delvist smule",
    "de": "etwas bisschen ziemlich einigermaßen teilweise halbwegs kaum",
}
_BUT = {"en": {"but", "however"}, "nl": {"maar", "echter"}, "da": {"men", "dog"}, "de": {"aber", "jedoch"}}
# Endings that lead back to the word of the list: of adjectives mostly. Longest first.
_ENDINGS = {
    "en": (),
    "nl": ("ste", "er", "st", "en", "e", "s"),
    "da": ("ste", "est", "ere", "et", "er", "en", "e", "t"),
    "de": ("sten", "ste", "eren", "ere", "em", "en", "er", "es", "e"),
}
_SHORTEST = 3
_TURNED = -0.74
"""What is left of a word's value behind "not": "not good" is less bad than "bad" (after VADER)."""

_STRONGER, _WEAKER = 1.3, 0.7
_REACH = 3
"""How many words before it can turn a word round or make it stronger."""

_BEFORE_BUT, _AFTER_BUT = 0.5, 1.5
_HALF = 2.0
"""The sum at which the score is about 0.6; the score nears 1 the more is said (after VADER)."""

_SMILES = {
    "positive": re.compile(r"(?<!\w)[:;=]-?[)D\]]|[😀-😄😊😍😁👍❤🙂🥰🎉]"),
    "negative": re.compile(r"(?<!\w)[:=]'?-?[(\[/]|[😞-😣😠-😤😭👎🙁😒]"),
}


@dataclass(frozen=True, slots=True)
class _Language:
    values: dict[str, float]
    longest: int
    negations: frozenset[str]
    more: frozenset[str]
    less: frozenset[str]
    but: set[str]
    endings: tuple[str, ...]

    def value(self, word: str) -> float:
        """Of a word, or of the word without its ending."""
        found = self.values.get(word)
        if found is not None:
            return found
        for ending in self.endings:
            if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
                found = self.values.get(word[: -len(ending)])
                if found is not None:
                    return found
        return 0.0


@cache
def _language(code: str) -> _Language:
    values = {word: float(value) for name in LISTS[code] for word, value in rows(name)}
    said = (frozenset(table[code].split()) for table in (_NOT, _MORE, _LESS))
    negations, more, less = said
    # A word that only makes others stronger is not counted itself.
    passed_over = negations | less | set(_EMPTY[code].split())
    values = {word: value for word, value in values.items() if word not in passed_over}
    longest = max(word.count(" ") for word in values) + 1
    return _Language(values, longest, negations, more, less, _BUT[code], _ENDINGS[code])


def sentiment(text: str, language: str) -> float | None:
    """From −1 (unfriendly) to 1 (friendly); None where no word says anything, or the language has no list.

    Example:
        >>> round(sentiment("Very friendly people, and quick.", "en"), 2) > 0 > sentiment("Not good at all", "en")
        True
    """
    if language not in LISTS:
        return None
    known = _language(language)
    words = tokens(text)
    found = _values(words, known)
    total, hits = _weighed(words, found, known), sum(map(bool, found))
    for sign, pattern in ((1.0, _SMILES["positive"]), (-1.0, _SMILES["negative"])):
        smiles = len(pattern.findall(text))
        total, hits = total + sign * 0.5 * min(smiles, 3), hits + smiles
    if not hits:
        return None
    if total and any(token.startswith("!") for token in words):
        total += math.copysign(0.1, total)
    return total / math.sqrt(total * total + _HALF)


def _values(words: list[str], known: _Language) -> list[float]:
    """The value at each place; of a phrase at its first word."""
    found = [0.0] * len(words)
    n = 0
    while n < len(words):
        for size in range(min(known.longest, len(words) - n), 1, -1):
            phrase = known.values.get(" ".join(words[n : n + size]))
            if phrase is not None:
                found[n] = phrase
                n += size
                break
        else:
            found[n] = known.value(words[n])
            n += 1
    return found


def _weighed(words: list[str], found: list[float], known: _Language) -> float:
    last_but = max((n for n, word in enumerate(words) if word in known.but), default=-1)
    total = 0.0
    for n, value in enumerate(found):
        if not value:
            continue
        before = words[max(0, n - _REACH) : n]
        for sign in ".,;:!?":  # what another clause says has nothing to do with this one
            if sign in before:
                before = before[before.index(sign) + 1 :]
        weight = 1.0
        if any(word in known.negations for word in before):
            weight *= _TURNED
        if any(word in known.more for word in before[-2:]):
            weight *= _STRONGER
        elif any(word in known.less for word in before[-2:]):
            weight *= _WEAKER
        if last_but >= 0:
            weight *= _AFTER_BUT if n > last_but else _BEFORE_BUT
        total += value * weight
    return total
