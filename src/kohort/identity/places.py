"""Addresses: postcodes in their country's form, a street apart from its house number."""

from __future__ import annotations

import re
from typing import NamedTuple

from kohort.identity import junk
from kohort.identity.letters import fold
from kohort.identity.reading import IS_JUNK, NOT_READABLE, NOTHING, Read

_FORMS = {
    "NL": r"[1-9]\d{3}[A-Z]{2}|[1-9]\d{3}",
    "DK": r"\d{4}",
    "BE": r"[1-9]\d{3}",
    "LU": r"\d{4}",
    "AT": r"[1-9]\d{3}",
    "CH": r"[1-9]\d{3}",
    "NO": r"\d{4}",
    "AU": r"\d{4}",
    "DE": r"\d{5}",
    "FR": r"\d{5}",
    "IT": r"\d{5}",
    "ES": r"\d{5}",
    "FI": r"\d{5}",
    "SE": r"\d{5}",
    "PL": r"\d{5}",
    "US": r"\d{5}(?:\d{4})?",
    "GB": r"(?:GIR0AA|[A-Z]{1,2}\d[A-Z0-9]?\d[ABD-HJLNP-UW-Z]{2})",
    "IE": r"(?:D6W|[AC-FHKNPRTV-Y]\d{2})[0-9AC-FHKNPRTV-Y]{4}",
}
_COUNTRY = re.compile(r"^(?:(NL|DK|BE|LU|AT|CH|NO|DE|FR|IT|ES|FI|SE|PL|D|B|L|A|F|N|S)[ -])\s*(?=\d)", re.IGNORECASE)
_NOT_ALNUM = re.compile(r"[^0-9A-Z]")

_TYPED = {"9999XX", "1234AB", "99999", "12345", "AA11AA"}

# Words for ways, each with what people shorten it to.
_WAYS = {
    "straat": "str",
    "strasse": "str",
    "street": "st",
    "road": "rd",
    "avenue": "ave",
    "av": "ave",
    "laan": "ln",
    "lane": "ln",
    "drive": "dr",
    "close": "cl",
    "court": "ct",
    "crescent": "cres",
    "place": "pl",
    "plads": "pl",
    "platz": "pl",
    "plein": "pl",
    "square": "sq",
    "boulevard": "blvd",
    "gade": "gd",
    "vej": "v",
    "allee": "al",
    "alle": "al",
    "saint": "st",
    "sankt": "st",
    "skt": "st",
}
_ENDINGS = ("strasse", "straat", "gade", "laan", "plein", "platz", "plads", "vej")
_NUMBER_LAST = re.compile(r"^(.*?\D)[\s,]*\b(\d{1,5})\s*[-/]?\s*((?:[a-z]|bis|hs|i{1,3}|\d{1,4})?(?:\s.*)?)$")
_NUMBER_FIRST = re.compile(r"^(\d{1,5})\s?([a-z]?)\s*,?\s+(\D.*)$")


class Address(NamedTuple):
    """A street line in comparable parts, all folded; an empty text = not given."""

    street: str
    number: str
    addition: str


def postcode(text: str | None, *, region: str) -> Read:
    """A postcode in capitals without blanks.

    Args:
        text: "1017 ab", "DK-2100", "sw1a 1aa".
        region: Two letters of the country whose form it must have; of a country we have no form for any is taken.

    Example:
        >>> postcode("1017 ab", region="NL").value, postcode("DK-2100", region="DK").value, postcode("0000", region="NL").problem
        ('1017AB', '2100', 'junk')
    """
    if text is None or not text.strip():
        return NOTHING
    bare = _NOT_ALNUM.sub("", _COUNTRY.sub("", text.strip()).upper())
    if junk.no_answer(fold(text)) or not bare.strip("0") or bare in _TYPED:
        return IS_JUNK
    form = _FORMS.get(region, r"[0-9A-Z]{3,10}")
    return Read(bare) if re.fullmatch(form, bare) else NOT_READABLE


def address(text: str | None) -> tuple[Address | None, str]:
    """A street line, taken apart; with the problem where there is none.

    Example:
        >>> address("Keizersgracht 123-II")[0], address("12a High Street")[0]
        (Address(street='keizersgracht', number='123', addition='ii'), Address(street='high st', number='12', addition='a'))
        >>> address("Hauptstr. 5")[0] == address("Hauptstraße 5")[0]
        True
    """
    if text is None or not text.strip():
        return None, NOTHING.problem
    line = fold(text)
    if junk.no_answer(line):
        return None, IS_JUNK.problem
    if found := _NUMBER_FIRST.match(line):
        return Address(street(found[3]), found[1].lstrip("0"), found[2]), ""
    if found := _NUMBER_LAST.match(line):
        return Address(street(found[1]), found[2].lstrip("0"), found[3].replace(" ", "")), ""
    return Address(street(line), "", ""), ""


def street(folded: str) -> str:
    """A folded street name with the word for its kind shortened the same way everywhere."""
    words = [_WAYS.get(word, word) for word in folded.split()]
    return " ".join(_shortened(word) for word in words)


def _shortened(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + _WAYS[ending]
    return word
