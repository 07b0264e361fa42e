"""Many short texts and numbers looked for in bytes at once, in all the forms in which files may hold them.

| what | forms |
|---|---|
| a text | UTF-8, UTF-16, upper and lower case, hexadecimal, percent-encoded, escaped as in JSON, base64 at each of its three offsets |
| a number | eight bytes of either order, decimal, hexadecimal as in short codes |
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote

import numpy as np

SHORTEST = 6
"""Texts of fewer bytes stand everywhere by chance."""

_KEY_MASK = np.uint64((1 << 48) - 1)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_BITS = 22
_BLOCK = 1 << 22


class Needles:
    """Texts and pseudonyms to be found. Numbered in the order given, texts first.

    Args:
        texts: Those of fewer than SHORTEST bytes are not looked for; `short` counts them.
        numbers: int64.

    Example:
        >>> found = Needles(["ada@example.com"], [4660 << 32]).found_in(b"To: ADA@example.com")
        >>> found
        {0}
    """

    def __init__(self, texts: Sequence[str] = (), numbers: Sequence[int] = ()) -> None:
        self.texts, self.numbers = list(texts), [int(number) for number in numbers]
        usable = [(i, text) for i, text in enumerate(self.texts) if len(text.encode()) >= SHORTEST]
        self.short = len(self.texts) - len(usable)
        exact = [(i, form) for i, text in usable for form in _base64(text)]
        loose = [(i, form.lower()) for i, text in usable for form in _written(text)]
        for i, number in enumerate(self.numbers, start=len(self.texts)):
            exact += [(i, number.to_bytes(8, order, signed=True)) for order in ("little", "big")]
            loose += [
                (i, form) for form in (str(abs(number)).encode(), f"{abs(number):014x}".encode()) if len(form) >= 12
            ]
        self._exact, self._loose = _Patterns(exact), _Patterns(loose)

    def found_in(self, data: bytes | memoryview) -> set[int]:
        """Which of them are in some bytes."""
        found: set[int] = set()
        view = memoryview(data).cast("B")
        reach = max(self._exact.longest, self._loose.longest)
        for start in range(0, len(view), _BLOCK):
            block = bytes(view[start : start + _BLOCK + reach])
            found |= self._exact.found_in(block)
            if self._loose.longest:
                found |= self._loose.found_in(block.lower())
        return found


class _Patterns:
    """Byte strings of at least six bytes. Every position of the data is looked up by its first two bytes in a table that fits
    into the nearest cache; the few that remain by their first six."""

    def __init__(self, patterns: Iterable[tuple[int, bytes]]) -> None:
        self._by_key: dict[int, list[tuple[int, bytes]]] = {}
        for number, pattern in patterns:
            self._by_key.setdefault(int.from_bytes(pattern[:6], "little"), []).append((number, pattern))
        self.longest = max((len(p) for listed in self._by_key.values() for _, p in listed), default=0)
        self._keys = np.sort(np.fromiter(self._by_key, np.uint64, len(self._by_key)))
        self._pairs = np.zeros(1 << 16, dtype=bool)
        self._pairs[(self._keys & np.uint64(0xFFFF)).astype(np.int64)] = True
        self._table = np.zeros(1 << _BITS, dtype=bool)
        self._table[_hashed(self._keys)] = True

    def found_in(self, data: bytes) -> set[int]:
        found: set[int] = set()
        if not self.longest or len(data) < SHORTEST:
            return found
        padded = data + bytes(8)
        words = np.ndarray((len(data),), "<u8", buffer=padded, strides=(1,))
        for first in (0, 1):
            pairs = np.frombuffer(padded, "<u2", count=(len(data) - first + 1) // 2, offset=first)
            places = np.flatnonzero(self._pairs[pairs]) * 2 + first
            keys = words[places] & _KEY_MASK
            likely = self._table[_hashed(keys)]
            places, keys = places[likely], keys[likely]
            at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            sure = self._keys[at] == keys
            for place, key in zip(places[sure].tolist(), keys[sure].tolist(), strict=True):
                found |= {n for n, p in self._by_key[key] if data[place : place + len(p)] == p}
        return found


def _hashed(words: np.ndarray) -> np.ndarray:
    return ((words * _FACTOR) >> np.uint64(64 - _BITS)).astype(np.int64)


def _written(text: str) -> set[bytes]:
    """Forms in which case does not matter."""
    spellings = {text, text.lower(), text.upper(), text.casefold()}
    forms = {spelling.encode(errors="surrogatepass") for spelling in spellings}
    forms |= {
        spelling.encode(order, errors="surrogatepass") for spelling in spellings for order in ("utf-16-le", "utf-16-be")
    }
    forms |= {text.encode(errors="surrogatepass").hex().encode()}
    forms |= {quote(text, safe="", errors="replace").encode(), json.dumps(text)[1:-1].encode()}
    return {form for form in forms if len(form) >= SHORTEST}


def _base64(text: str) -> set[bytes]:
    """What of a text's base64 does not depend on its neighbours, for each place at which it may begin."""
    data, forms = text.encode(errors="surrogatepass"), set()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data)
        start = (before * 8 + 5) // 6
        end = (before + len(data)) * 8 // 6
        inner = whole[start:end]
        forms |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    return {form for form in forms if len(form) >= SHORTEST + 2}
