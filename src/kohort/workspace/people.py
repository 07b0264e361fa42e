"""From pseudonyms to the company's own customer numbers, at the moment something is shown or handed out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kohort.errors import UnknownCustomer, WrongUsage
from kohort.model.segmentation import Segment, Segmentation

if TYPE_CHECKING:
    import numpy as np

    from kohort.store.vault import Vault

_SHORT_CODE = re.compile(r"(c|visitor)-([0-9a-f]{14,16})")
_NOBODY = 1 << 63


def short_code(key: int) -> str:
    """What stands for a customer whose only number is itself an identifier, who was forgotten, or who is a visitor.

    Example:
        >>> short_code(4660)
        'c-00000000001234'
        >>> short_code(-4660)
        'visitor-00000000001234'
    """
    return f"{'c' if key > 0 else 'visitor'}-{abs(key):014x}"


def key_of(code: str) -> int | None:
    """The pseudonym that a short code stands for; None = the text is none.

    Example:
        >>> key_of("visitor-00000000001234"), key_of("K1")
        (-4660, None)
    """
    found = _SHORT_CODE.fullmatch(code)
    number = int(found[2], 16) if found else _NOBODY
    return None if found is None or number >= _NOBODY else number * (1 if found[1] == "c" else -1)


def company_numbers(vault: Vault, keys: Sequence[int] | np.ndarray) -> list[str]:
    """The company's own customer number of each pseudonym, in order; a short code where there is none to show."""
    return [
        ref if ref is not None else short_code(int(key)) for key, ref in zip(keys, vault.numbers(keys), strict=True)
    ]


def check_numbers(numbers: Sequence[str]) -> None:
    """Refuse what is not a list of texts: 0042 and 42 are two customers, and one text is not a list of its letters.

    Raises:
        WrongUsage: See above.
    """
    if isinstance(numbers, str):
        raise WrongUsage("One text is given where a list is asked for.", hint="Write ['14127'].")
    if not all(isinstance(number, str) for number in numbers):
        raise WrongUsage("Customer numbers are texts.", hint="Write '14127', in quotes.")


def customer_keys(vault: Vault, numbers: Sequence[str]) -> list[int]:
    """Pseudonyms of customers by the company's numbers, or by the short codes shown for them, in order.

    Raises:
        WrongUsage: They are not a list of texts.
        UnknownCustomer: Some are not known; which ones is said by their position, not their number.
    """
    check_numbers(numbers)
    known = [int(key) for key in vault.known(numbers)]
    for i, number in enumerate(numbers):
        if not known[i] and (key := key_of(number)) is not None:
            known[i] = key if vault.there([key])[0] else 0
    missing = [i + 1 for i, key in enumerate(known) if not key]
    if missing:
        raise UnknownCustomer(missing, len(numbers))
    return known


def with_company_numbers(found: Segmentation, vault: Vault) -> Segmentation:
    """The same segmentation with company numbers in place of the pseudonyms of its example customers."""
    keys = sorted({int(row["customer"]) for s in (*found.segments, *found.micro) for row in _examples(s)})
    names = dict(zip(keys, company_numbers(vault, keys), strict=True))
    return _renamed(found, lambda shown: names[int(shown)])


def with_codes(found: Segmentation, vault: Vault) -> Segmentation:
    """The same with short codes in place of the company numbers of its example customers."""
    codes = codes_for(vault, [str(row["customer"]) for s in (*found.segments, *found.micro) for row in _examples(s)])
    return _renamed(found, lambda shown: codes[str(shown)])


def without_people(found: Segmentation) -> Segmentation:
    """The same without its example customers."""

    def segment(s: Segment) -> Segment:
        return replace(s, typical=(), edge=(), odd=())

    return replace(found, segments=tuple(map(segment, found.segments)), micro=tuple(map(segment, found.micro)))


def is_short_code(text: str) -> bool:
    """Whether a text is a code that stands for somebody, and nothing that a company calls her."""
    return _SHORT_CODE.fullmatch(text) is not None


def codes_for(vault: Vault, numbers: Sequence[str]) -> dict[str, str]:
    """Company number → the short code that stands for the customer; a code stays, and of nobody's number nothing is left."""
    known = vault.known(list(numbers))
    found = {number: short_code(int(key)) for number, key in zip(numbers, known, strict=True) if key}
    return {n: found.get(n) or (n if is_short_code(n) else "unknown") for n in numbers}


def this_user() -> str:
    """Who works on this machine, for the record of decisions where nobody logs in."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _renamed(found: Segmentation, name: Callable[[Any], str]) -> Segmentation:
    """The same with other names for its example customers."""

    def named(rows: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        return tuple({**row, "customer": name(row["customer"])} for row in rows)

    def segment(s: Segment) -> Segment:
        return replace(s, typical=named(s.typical), edge=named(s.edge), odd=named(s.odd))

    return replace(found, segments=tuple(map(segment, found.segments)), micro=tuple(map(segment, found.micro)))


def _examples(segment: Segment) -> tuple[dict[str, Any], ...]:
    return (*segment.typical, *segment.edge, *segment.odd)
