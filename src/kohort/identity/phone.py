"""Telephone numbers in one form (E.164)."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import NamedTuple

from kohort.errors import MissingExtra, WrongUsage
from kohort.identity import junk
from kohort.identity.letters import fold
from kohort.identity.reading import IS_JUNK, NOT_READABLE, NOTHING, Read

_PLAIN = re.compile(r"[0-9 ()/.\-]+")
_DIGITS = re.compile(r"[^0-9]")


class _Region(NamedTuple):
    code: str
    trunk: str
    national: re.Pattern[str]


def phone(text: str | None, *, region: str) -> Read:
    """A telephone number as +country and digits.

    Args:
        text: As it stands in the source, with or without country, in any grouping.
        region: Two letters of the country whose numbers need none: the workspace's, or the record's own.

    Returns:
        "+31612345678", or why there is none. Extensions are left out.

    Raises:
        MissingExtra: `phonenumbers` is not installed.
        WrongUsage: The country is unknown.

    Example:
        >>> phone("06-1234 5679", region="NL").value, phone("0031 6 12345679", region="DK").value
        ('+31612345679', '+31612345679')
        >>> phone("000000", region="NL").problem
        'junk'
    """
    if text is None or not (bare := text.strip()):
        return NOTHING
    home = _region(region)
    digits = _DIGITS.sub("", bare)
    if junk.idle_digits(digits):
        return IS_JUNK if digits or junk.no_answer(fold(bare)) else NOT_READABLE
    if _PLAIN.fullmatch(bare) and digits.startswith(home.trunk) and not digits.startswith("00"):
        national = digits[len(home.trunk) :]
        if not national.startswith("0") and home.national.fullmatch(national):
            return IS_JUNK if junk.idle_digits(national) else Read(f"+{home.code}{national}")
    return _parsed(bare, region)


@lru_cache(maxsize=50_000)
def _parsed(bare: str, region: str) -> Read:
    import phonenumbers

    try:
        # Only "+" says "from abroad" to the library in every region; people write 00 as well.
        number = phonenumbers.parse("+" + bare.removeprefix("00") if bare.startswith("00") else bare, region)
    except phonenumbers.NumberParseException:
        return NOT_READABLE
    if not phonenumbers.is_valid_number(number):
        return NOT_READABLE
    if junk.idle_digits(str(number.national_number)):
        return IS_JUNK
    number.extension = None
    return Read(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _patterns(about: object) -> list[str]:
    """What a national number of any kind looks like; the general pattern alone lets numbers in that nobody can have."""
    kinds = (
        "fixed_line",
        "mobile",
        "toll_free",
        "premium_rate",
        "shared_cost",
        "personal_number",
        "voip",
        "pager",
        "uan",
        "voicemail",
    )
    described = [getattr(about, kind) for kind in kinds]
    return [d.national_number_pattern for d in described if d is not None and d.national_number_pattern]


@cache
def _region(region: str) -> _Region:
    try:
        import phonenumbers
    except ImportError as error:
        raise MissingExtra("identity", "Reading telephone numbers") from error
    about = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    if about is None:
        raise WrongUsage("This is no country of telephone numbers.", hint="Give two capital letters, like NL or DK.")
    # A prefix that needs a rule of its own (Argentina, Brazil …) is left to the library. Britain's is "0" or a relay's.
    simple = (about.national_prefix_for_parsing or "").split("|")[0] == (about.national_prefix or "")
    simple = simple and not about.leading_digits and not about.national_prefix_transform_rule
    known = "|".join(_patterns(about)) if simple else ""
    return _Region(str(about.country_code), about.national_prefix or "", re.compile(known or "(?!)"))
