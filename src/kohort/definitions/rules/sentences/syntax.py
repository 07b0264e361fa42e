"""Syntax that runs both ways: one object says a value in words and reads the same words back.

Because both directions walk the same tables, they cannot disagree about a word, its place or what may be left out. Reading
takes the first alternative that fits and remembers what it found where, so that its time grows with the text only.

`say` gives None for a value that the syntax has no words for; `read` gives None where the text holds something else, and
the `Reader` remembers how far anything came and what was expected there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

Read = tuple[Any, int]
"""What was read and where it ends."""

_CHUNK = re.compile(r"\{(\w+)\}|\[([^\]]*)\]|([^\[\]{}]+)")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W_]+|[^\w\s]+|_")


class Syntax(Protocol):
    """Anything that can be said and read."""

    def say(self, value: Any) -> str | None: ...

    def read(self, reader: Reader, at: int) -> Read | None: ...


@dataclass(slots=True)
class Reader:
    """A text being read: what was found where, and what was expected at the furthest place anything came to.

    `mark` writes into a value where it stands, (start, end).
    """

    text: str
    mark: Callable[[Any, tuple[int, int]], Any] = lambda value, _: value
    found: dict[tuple[int, int], Read | None] = field(default_factory=dict)
    furthest: int = 0
    expected: set[str] = field(default_factory=set)

    def skip(self, at: int) -> int:
        """The next place that is no white space."""
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def miss(self, at: int, what: str) -> None:
        """Note that `what` was expected at a place."""
        if at > self.furthest:
            self.furthest, self.expected = at, set()
        if at == self.furthest:
            self.expected.add(what)

    def phrase(self, at: int, words: str) -> int | None:
        """Where a phrase ends that may begin here: whole words, in small or large letters, any space between them."""
        for word in words.split():
            start = self.skip(at)
            at = start + len(word)
            if self.text[start:at].lower() != word.lower() or _splits_word(self.text, at):
                return None
        return at


def _splits_word(text: str, at: int) -> bool:
    return (
        0 < at < len(text)
        and (text[at - 1].isalnum() or text[at - 1] == "_")
        and (text[at].isalnum() or text[at] == "_")
    )


def glue(pieces: Iterable[str]) -> str:
    """Pieces in a row. A clause ends with its own comma; where another sign follows at once, that sign is enough."""
    said = ""
    for piece in pieces:
        if said.endswith(",") and piece[:1] in (",", ";", ")"):
            said = said[:-1]
        said += piece
    return said


@dataclass(frozen=True, slots=True)
class Token:
    """One unit that a pattern finds: a number, a date, text in quotes.

    `value` gives None for what the pattern finds and we refuse; `words` gives None for a value of another kind.
    """

    what: str
    pattern: re.Pattern[str]
    value: Callable[[re.Match[str]], Any]
    words: Callable[[Any], str | None]

    def say(self, value: Any) -> str | None:
        return self.words(value)

    def read(self, reader: Reader, at: int) -> Read | None:
        start = reader.skip(at)
        found = self.pattern.match(reader.text, start)
        value = None if found is None or _splits_word(reader.text, found.end()) else self.value(found)
        if found is None or value is None:
            reader.miss(start, self.what)
            return None
        return value, found.end()


class Names:
    """Values that have fixed words of their own; the longest that fit are read.

    Args:
        what: What is expected where none of them stands.
        words: Value → its words; no two values have the same.
    """

    def __init__(self, what: str, words: Mapping[Any, str]) -> None:
        self.what, self.words = what, words
        self.values = {said.lower(): value for value, said in words.items()}
        any_of = "|".join(spaced(said) for said in sorted(words.values(), key=len, reverse=True))
        self.pattern = re.compile(rf"(?:{any_of})(?!(?<=\w)\w)" if any_of else "(?!)", re.IGNORECASE)

    def say(self, value: Any) -> str | None:
        return self.words.get(value)

    def read(self, reader: Reader, at: int) -> Read | None:
        start = reader.skip(at)
        found = self.pattern.match(reader.text, start)
        said = " ".join(found[0].lower().split()) if found else ""
        if found is None or said not in self.values:
            reader.miss(start, self.what)
            return None
        return self.values[said], found.end()


def spaced(words: str) -> str:
    """A pattern for words with any space between them."""
    return r"\s+".join(re.escape(word) for word in words.split())


@dataclass(slots=True)
class Choice:
    """The first alternative that fits. Filled after it is made, so that syntax can contain itself."""

    options: Sequence[Syntax] = ()

    def say(self, value: Any) -> str | None:
        return next((said for option in self.options if (said := option.say(value)) is not None), None)

    def read(self, reader: Reader, at: int) -> Read | None:
        key = (id(self), reader.skip(at))
        if key not in reader.found:
            reader.found[key] = next((r for option in self.options if (r := option.read(reader, at)) is not None), None)
        return reader.found[key]


@dataclass(frozen=True, slots=True)
class Series:
    """Several items with a separator between them, read as a tuple of `least` or more.

    `separators` are spoken by the first one, or by the last where `heavy` holds for an item; any of them is read. A comma in
    front of a word is decoration and may be missing.
    """

    item: Syntax
    separators: tuple[str, ...]
    least: int = 1
    heavy: Callable[[Any], bool] = lambda _: False

    def say(self, value: Any) -> str | None:
        if not isinstance(value, tuple) or len(value) < self.least:
            return None
        separator = self.separators[-1 if any(self.heavy(v) for v in value) else 0]
        said: list[str] = []
        for v in value:
            words = self.item.say(v)
            if words is None:
                return None
            said += [separator, words] if said else [words]
        return glue(said)

    def read(self, reader: Reader, at: int) -> Read | None:
        first = self.item.read(reader, at)
        if first is None:
            return None
        items, end = [first[0]], first[1]
        while True:
            behind = next((e for s in self.separators if (e := self._separator(reader, end, s)) is not None), None)
            following = None if behind is None else self.item.read(reader, behind)
            if following is None:
                break
            items.append(following[0])
            end = following[1]
        return (tuple(items), end) if len(items) >= self.least else None

    def _separator(self, reader: Reader, at: int, separator: str) -> int | None:
        sign = separator.strip()
        return _read_words(reader, at, separator) if len(sign) > 1 else reader.phrase(at, sign)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A template of words and slots, for example `has {event}[ {window}]`; what stands in [ ] is left out where None.

    `apart` takes a value apart into the slots, or gives None for a value of another form; `build` is its inverse.
    """

    template: str
    slots: Mapping[str, Syntax]
    apart: Callable[[Any], Mapping[str, Any] | None]
    build: Callable[..., Any]

    def say(self, value: Any) -> str | None:
        parts = self.apart(value)
        if parts is None:
            return None
        said: list[str] = []
        for slot, optional, words in chunks(self.template):
            if slot and optional and parts.get(slot) is None:
                continue
            filled = self.slots[slot].say(parts[slot]) if slot else ""
            if filled is None:
                return None
            said += [words.replace(MARK, filled, 1)] if slot else [words]
        return glue(said)

    def read(self, reader: Reader, at: int) -> Read | None:
        parts: dict[str, Any] = {}
        start = reader.skip(at)
        for slot, optional, words in chunks(self.template):
            end = self._read_chunk(reader, at, slot, words, parts)
            if end is None and not optional:
                return None
            at = at if end is None else end
        return reader.mark(self.build(**parts), (start, at)), at

    def _read_chunk(self, reader: Reader, at: int, slot: str, words: str, parts: dict[str, Any]) -> int | None:
        before, _, after = words.partition(MARK) if slot else (words, "", "")
        start = _read_words(reader, at, before)
        if start is None or not slot:
            return start
        found = self.slots[slot].read(reader, start)
        end = None if found is None else _read_words(reader, found[1], after)
        parts[slot] = None if found is None or end is None else found[0]
        return end


MARK = "\0"
"""Where the slot stands among the words of a chunk."""


@cache
def chunks(template: str) -> tuple[tuple[str, bool, str], ...]:
    """A template as (slot or "", may be left out, words with MARK for the slot).

    Example:
        >>> chunks("has {event}[ in {window}]")
        (('', False, 'has '), ('event', False, '\\x00'), ('window', True, ' in \\x00'))
    """
    found = []
    for slot, optional, words in _CHUNK.findall(template):
        if optional:
            inner = re.search(r"\{(\w+)\}", optional)
            assert inner is not None, f"[{optional}] needs a slot"
            found.append((inner[1], True, optional.replace(inner[0], MARK)))
        else:
            found.append((slot, False, MARK if slot else words))
    return tuple(found)


@cache
def _words(words: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(words))


def _read_words(reader: Reader, at: int, words: str) -> int | None:
    """The end of fixed words and signs; a comma among them is decoration and may be missing."""
    found = _words(words)
    for word in found:
        end = reader.phrase(at, word)
        if end is None:
            if word == ",":
                continue
            reader.miss(reader.skip(at), f"“{' '.join(words.split())}”" if word == found[0] else f"“{word}”")
            return None
        at = end
    return at
