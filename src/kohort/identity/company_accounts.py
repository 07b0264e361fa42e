"""Which spellings are one company: the legal form and the way of writing do not make two accounts of one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from kohort.identity.companies import company

AS_WRITTEN, SPELLED, NO_FORM = "as written", "another spelling", "the legal form left out"


@dataclass(frozen=True, slots=True)
class Account:
    """The account of a spelling.

    Attributes:
        name: What the account is called: the spelling with its legal form that most customers have.
        how: What this spelling is to it, in words.
    """

    name: str
    how: str


def accounts(spellings: Mapping[str, int], known: Collection[str] = ()) -> dict[str, Account]:
    """The account of every spelling; texts that name no company ("onbekend") have none.

    Two legal forms of one name are two companies. A name without its form belongs to the one company of this name; where there
    are several, it is an account of its own, since nobody can tell which is meant.

    Args:
        spellings: Company as written → how many customers have it.
        known: Names of accounts that there are already: an account keeps its name while somebody spells it so.

    Example:
        >>> found = accounts({"Acme B.V.": 3, "ACME BV": 1, "Acme": 1, "n/a": 9})
        >>> [(text, one.name, one.how) for text, one in found.items()][1:]
        [('ACME BV', 'Acme B.V.', 'another spelling'), ('Acme', 'Acme B.V.', 'the legal form left out')]
    """
    forms: dict[str, set[str]] = defaultdict(set)
    parts: dict[str, tuple[str, str]] = {}
    for text in spellings:
        read, _ = company(text)
        if read is not None:
            parts[text] = read.name.replace(" ", ""), read.form
            forms[parts[text][0]].add(read.form)
    groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for text, (name, form) in parts.items():
        groups[name, _meant(form, forms[name])][text] += spellings[text]
    names = set(known)
    label = {
        key: min(texts, key=lambda text: (text not in names, not parts[text][1], -texts[text], text.isupper(), text))
        for key, texts in groups.items()
    }
    found: dict[str, Account] = {}
    for text, (name, form) in parts.items():
        own = _meant(form, forms[name])
        called = label[name, own]
        how = AS_WRITTEN if text == called else NO_FORM if form != own else SPELLED
        found[text] = Account(called, how)
    return found


def _meant(form: str, there: Collection[str]) -> str:
    """The form that is meant where none is given: the only one there is."""
    given = [one for one in there if one]
    return given[0] if not form and len(given) == 1 else form
