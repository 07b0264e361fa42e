"""What the vault holds about customers, as records that can be compared.

The vault knows kinds and not columns: first name and surname of a file with two columns are two values of the kind "name",
street and house number two of the kind "address". They are put together again as far as that can be told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from kohort.identity import mail, names, phone, places

_MOST = 3
"""Records of one id: whoever moved, married and has two addresses is compared with each, not with all combinations."""
_COLUMNS = ("given", "surname", "email", "phone", "street", "number")


@dataclass(slots=True)
class Known:
    """What is known of one id, in the form that is compared.

    Attributes:
        names: (first name, surname), folded; an empty text = not given.
        emails, phones: In normal form.
        doors: (street, house number), folded.
    """

    names: list[tuple[str, str]] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    doors: list[tuple[str, str]] = field(default_factory=list)

    def all_of(self, kind: str) -> Sequence[str]:
        """Its values of the kind "email" or "phone"."""
        return self.emails if kind == "email" else self.phones


def known(held: pa.Table, *, region: str) -> dict[int, Known]:
    """What is known of each id.

    Args:
        held: `customer`, `kind`, `value` (`kohort.store.vault_reading.identifiers`).
        region: Two letters of the country whose telephone numbers need no prefix.
    """
    texts: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for customer, kind, value in zip(*(held.column(name).to_pylist() for name in held.column_names), strict=True):
        texts[customer][kind].append(value)
    order = _word_order(text for mine in texts.values() for text in mine.get("name", ()))
    return {
        customer: Known(
            _names(sorted(mine.get("name", ())), order),
            _read(mine.get("email", ()), lambda text: mail.email(text).value),
            _read(mine.get("phone", ()), lambda text: phone.phone(text, region=region).value),
            _doors(sorted(mine.get("address", ()))),
        )
        for customer, mine in sorted(texts.items())
    }


def records(people: Mapping[int, Known]) -> tuple[pa.Table, list[int], dict[str, str]]:
    """A table for `kohort.identity.likely`, whose each row is, and which column is what."""
    whose: list[int] = []
    rows: list[tuple[str | None, ...]] = []
    for customer, mine in people.items():
        several: tuple[Sequence[object], ...] = (mine.names, mine.emails, mine.phones, mine.doors)
        for n in range(min(_MOST, max(len(values) for values in several))):
            name, email, number, door = (values[min(n, len(values) - 1)] if values else None for values in several)
            whose.append(customer)
            rows.append((*_two(name), _one(email), _one(number), *_two(door)))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_COLUMNS)
    there = {name: values for name, values in zip(_COLUMNS, columns, strict=True) if any(values)}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in there.items()})
    return table, whose, {name: name for name in there}


def agree(one: Known, other: Known, *, in_full: bool = False) -> bool | None:
    """Whether the names of two ids can be those of one person; None where one of them has none.

    Args:
        in_full: An initial, or no first name, is not enough.
    """
    if not one.names or not other.names:
        return None
    return any(_one_name(a, b) for a in one.names for b in other.names if not in_full or min(len(a[0]), len(b[0])) > 1)


def _one_name(one: tuple[str, str], other: tuple[str, str]) -> bool:
    if names.name_key(one[1]) != names.name_key(other[1]):
        return sorted(one) == sorted(other)
    first, second = one[0], other[0]
    if not first or not second:
        return True
    short, long = sorted((first.split()[0], second.split()[0]), key=len)
    return (len(short) == 1 and long.startswith(short)) or names.name_key(short) == names.name_key(long)


def _two(pair: object) -> tuple[str | None, str | None]:
    return (pair[0] or None, pair[1] or None) if isinstance(pair, tuple) else (None, None)


def _one(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read(texts: Iterable[str], read: Callable[[str], str | None]) -> list[str]:
    return sorted({value for text in texts if (value := read(text))})


def _word_order(texts: Iterable[str]) -> Counter[str]:
    """How much oftener a word is a surname than a first name, where a whole name says which is which."""
    found: Counter[str] = Counter()
    for text in texts:
        name, _ = names.full_name(text)
        if name and name.given and name.surname:
            found.update(name.surname.split())
            found.subtract(name.given.split())
    return found


def _names(texts: Sequence[str], order: Counter[str]) -> list[tuple[str, str]]:
    """Whole names as they are; of two single words the one that is a surname elsewhere is it, else the later in the alphabet:
    the same for everybody, so that equal names stay equal."""
    whole: set[tuple[str, str]] = set()
    single: set[str] = set()
    for text in texts:
        name, _ = names.full_name(text)
        if name is None or not name.surname:
            continue
        if name.given:
            whole.add((name.given, name.surname))
        else:
            single.add(name.surname)
    if whole:
        return sorted(whole)
    if len(single) == 2:
        given, surname = sorted(single, key=lambda word: (order[word], word))
        return [(given, surname)]
    return [("", surname) for surname in sorted(single)]


def _doors(texts: Sequence[str]) -> list[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    bare: set[str] = set()
    numbers: set[str] = set()
    for text in texts:
        if text.strip()[:1].isdigit() and not any(c.isalpha() for c in text.strip()[1:]):
            numbers.add(text.strip())
            continue
        line, _ = places.address(text)
        if line is not None and line.number:
            found.add((line.street, line.number))
        elif line is not None and line.street:
            bare.add(line.street)
    if found:
        return sorted(found)
    number = next(iter(numbers)) if len(numbers) == 1 else ""
    return [(street, number) for street in sorted(bare)]
