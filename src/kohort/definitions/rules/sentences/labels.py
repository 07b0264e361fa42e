"""Which plain words can stand for a name without being taken for anything else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping

from kohort.definitions.rules.sentences.syntax import chunks

_PLAIN = re.compile(
    r"[^\W\d_][^\s“”„»«‘’‚'\"`(){}\[\]<>,;:.!?\x00-\x1f]*(?: [^\s“”„»«‘’‚'\"`(){}\[\]<>,;:.!?\x00-\x1f]+)*"
)


def usable(defaults: Mapping[str, str], labels: Mapping[str, str], templates: Iterable[str]) -> dict[str, str]:
    """The labels that can be read back; the other names are written in quotes.

    Left out is a label with signs of the grammar, one that means two names, one that begins with a word that opens a
    phrase of the grammar, and one that continues another label as the grammar could.
    """
    templates = tuple(templates)
    openings = {_first_word(words) for template in templates for _, _, words in chunks(template)} - {""}
    given = {n: w for n, w in labels.items() if _PLAIN.fullmatch(w) and w.split()[0].lower() not in openings}
    taken = {words.lower() for words in given.values()}
    kept = {n: w for n, w in defaults.items() if n not in labels and w.lower() not in taken} | given
    times = Counter(words.lower() for words in kept.values())
    return {n: w for n, w in kept.items() if times[w.lower()] == 1 and not _continues(w.lower(), times, openings)}


def _continues(label: str, labels: Container[str], openings: Container[str]) -> bool:
    """Whether another label and then a word of the grammar begin this one: "orders" and "orders is late"."""
    spaces = [at for at, letter in enumerate(label) if letter == " "]
    return any(label[:at] in labels and _first_word(label[at:]) in openings for at in spaces)


def _first_word(words: str) -> str:
    found = re.search(r"[^\W_]+", words)
    return found[0].lower() if found else ""
