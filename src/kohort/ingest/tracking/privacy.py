"""What of an event is personal: which names hold direct identifiers, which are not taken in, which texts look like one."""

from __future__ import annotations

import re
from typing import Literal

from kohort.ingest import words

Role = Literal["property", "trait", "group"]
"""Where a name stands: in an event's properties, in a person's traits, in a group's traits."""

_NEVER = frozenset(
    [
        *("useragent", "ua", "ipaddr", "ipv4", "ipv6", "mac", "macaddress", "imei", "deviceid", "devicetoken"),
        *("advertisingid", "adid", "idfa", "idfv", "gaid", "cookie", "sessiontoken"),
        *(
            "password",
            "passwd",
            "passphrase",
            "pin",
            "secret",
            "token",
            "accesstoken",
            "refreshtoken",
            "authtoken",
            "apikey",
        ),
        *("creditcardnumber", "ccnumber", "cvv", "cvc"),
        *("latitude", "longitude", "lat", "lng", "lon", "latlng", "geopoint"),
        *("search", "querystring", "query", "avatar", "photo"),
    ]
)
"""Names of secrets, of devices, of exact places, and of what a person typed: not taken in, whatever they hold."""

_THINGS = frozenset(
    [
        *("company", "organization", "organisation", "account", "group", "team", "plan", "store", "shop", "brand"),
        *("product", "products", "item", "category", "list", "campaign", "page", "screen", "event", "experiment"),
    ]
)
"""Parents whose `name` is that of a thing, not of a person."""

_NAME = frozenset(["name", "naam", "navn"])
# Every repetition is bounded: a text that somebody made for it must not take seconds.
_EMAIL = re.compile(
    r"[^@\s/:?=&]{1,64}@[^@\s/?=&]{1,190}\.[^@\s/?=&]{1,63}|%40[a-z0-9.-]{1,190}\.[a-z]{2,}", re.IGNORECASE
)
_PHONE = re.compile(
    r"(?:\+|00)\d[\d ()./-]{6,18}\d|\(\d{2,5}\)[ \d./-]{5,16}\d|\d{3}[-. ]\d{3}[-. ]\d{4}|\d{2}(?: \d{2}){3,4}|0\d{1,4}[ /-]\d{5,9}"
)
_PHONE_STARTS = frozenset("+(0123456789")


def treatment(name: str, parent: str, role: Role) -> tuple[str, str]:
    """What becomes of values under a name: ("keep", ""), ("seal", kind of identifier) or ("drop", note).

    Args:
        name: The innermost name.
        parent: The name around it, or nothing.

    Example:
        >>> treatment("firstName", "", "trait"), treatment("name", "", "property"), treatment("ip", "", "property")
        (('seal', 'name'), ('keep', ''), ('drop', 'private'))
    """
    key = words.key(name)
    if key in _NEVER or words.private_reason(name) or (words.is_postcode(name) and role != "group"):
        return "drop", "private"
    kind = words.identity_of(name)
    if not kind:
        return "keep", ""
    # A bare name is a person's only among her traits: of an event it is the product's or the page's.
    if key in _NAME and (role != "trait" or words.key(parent) in _THINGS):
        return "keep", ""
    # A group's, a friend's, a company's address is personal all the same, but not this person's: it is not kept at all.
    if role == "group" or (parent and words.identity_of(parent) != "address" and role == "trait"):
        return "drop", "private"
    return "seal", kind


def looks_personal(text: str) -> bool:
    """Whether a text holds an e-mail address, or is a telephone number as people write them.

    Bare digits are no telephone number here: they are far more often a number of an order or an article.

    Example:
        >>> looks_personal("write to ada@example.org"), looks_personal("+45 12 34 56 78"), looks_personal("5701234567890")
        (True, True, False)
    """
    if ("@" in text or "%40" in text) and _EMAIL.search(text):
        return True
    return text[:1] in _PHONE_STARTS and 8 <= len(text) <= 24 and _PHONE.fullmatch(text) is not None


def masked(text: str) -> str:
    """The text with [email] in place of each e-mail address.

    Example:
        >>> masked("Invited ada@example.org")
        'Invited [email]'
    """
    return _EMAIL.sub("[email]", text) if "@" in text or "%40" in text else text


def without_query(address: str) -> str:
    """A web address without query, fragment and credentials: "https://a.example/x?mail=…" is "https://a.example/x"."""
    bare = address.partition("?")[0].partition("#")[0]
    scheme, mark, rest = bare.partition("://")
    if not mark:
        return bare
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def host_of(address: str) -> str:
    """The host of a web address in lower case, or nothing."""
    _, mark, rest = without_query(address).partition("://")
    return rest.partition("/")[0].lower() if mark else ""
