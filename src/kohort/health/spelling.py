"""Inconsistent spellings: one thing written in several ways, and country names outside the international list."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

# What people write for a country, beside the names and codes of the list itself. Texts that name no single country
# ("European Community", "Unspecified") are left unknown on purpose.
_ALSO = {
    "GB": ("united kingdom", "great britain", "britain", "uk", "england", "scotland", "wales", "northern ireland"),
    "IE": ("eire", "republic of ireland"),
    "US": ("usa", "u s a", "united states of america"),
    "ZA": ("rsa",),
    "AE": ("united arab emirates",),
    "CZ": ("czechia",),
    "DE": ("deutschland",),
    "NL": ("the netherlands", "holland", "nederland"),
    "DK": ("danmark",),
    "AT": ("osterreich",),
    "KR": ("south korea", "republic of korea"),
    "TR": ("turkiye",),
    "RU": ("russian federation",),
    "CN": ("p r china", "prc"),
    "HK": ("hong kong sar",),
    "ES": ("espana",),
    "IT": ("italia",),
    "SE": ("sverige",),
    "NO": ("norge",),
    "BE": ("belgie", "belgique"),
    "FI": ("suomi",),
}

_STANDARD_NAME = {"GB": "United Kingdom", "AE": "United Arab Emirates", "KR": "South Korea"}
_ABBREVIATION = 3  # letters: "UK" and "USA" are codes, not names


class Variants(NamedTuple):
    """Ways to write one value, the most frequent first, with their rows."""

    spellings: tuple[tuple[str, int], ...]

    @property
    def rows(self) -> int:
        """Rows that are not written in the most frequent way."""
        return sum(n for _, n in self.spellings[1:])


def plain(text: str) -> str:
    """The text without differences that nobody means: case, accents, blanks and punctuation.

    Example:
        >>> plain("  Côte-d'Ivoire ") == plain("COTE D IVOIRE")
        True
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(c for c in decomposed if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", " ", letters).strip()


def variants(values: Mapping[str, int]) -> list[Variants]:
    """Groups of values that differ only in case, accents, blanks or punctuation.

    Args:
        values: Value → rows.

    Example:
        >>> variants({"Red": 5, "red ": 1, "Blue": 2})
        [Variants(spellings=(('Red', 5), ('red ', 1)))]
    """
    groups: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for value, rows in values.items():
        # A value of signs only has no letters to compare: "+" and "-" are not two spellings of one thing.
        groups[plain(value) or value].append((value, rows))
    several = [tuple(sorted(g, key=lambda x: (-x[1], x[0]))) for g in groups.values() if len(g) > 1]
    return sorted((Variants(g) for g in several), key=lambda v: (-v.rows, v.spellings))


def country_code(text: str) -> str | None:
    """ISO 3166 code of what somebody wrote for a country, None where it names none.

    Example:
        >>> country_code("EIRE"), country_code("nl"), country_code("Unspecified")
        ('IE', 'NL', None)
    """
    return _countries()[1].get(plain(text))


def country_name(code: str) -> str:
    """The usual English name of a country."""
    return _STANDARD_NAME.get(code) or _countries()[0][code]


def odd_countries(values: Iterable[str]) -> dict[str, str | None]:
    """Values that are no usual country name → the name that is meant, None where none is clear.

    Values that use codes throughout ("GB", "NL") are a consistent way to write and not odd.

    Example:
        >>> odd_countries(["Netherlands", "EIRE", "European Community"])
        {'EIRE': 'Ireland', 'European Community': None}
    """
    values = list(values)
    if all(len(v.strip()) <= _ABBREVIATION and country_code(v) for v in values):
        return {}
    odd: dict[str, str | None] = {}
    for value in values:
        code = country_code(value)
        if code is None:
            odd[value] = None
        elif plain(value) not in {plain(country_name(code)), plain(_countries()[0][code])}:
            odd[value] = country_name(code)
    return odd


@cache
def _countries() -> tuple[dict[str, str], dict[str, str]]:
    """Code → usual name, and every plain spelling → code. The list comes with the time-zone data."""
    from importlib.resources import files

    names: dict[str, str] = {}
    spellings: dict[str, str] = {}
    listed = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    for line in listed.splitlines():
        if not line or line.startswith("#"):
            continue
        code, name = line.split("\t")
        names[code] = name
        spellings[plain(code)] = code
        spellings[plain(name)] = code
        # "Korea (South)", "St Martin (Dutch)": the part in brackets tells two countries apart; "Britain (UK)" repeats.
    for code, others in _ALSO.items():
        spellings |= dict.fromkeys(others, code)
    return names, spellings
