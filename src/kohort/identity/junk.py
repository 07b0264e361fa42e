"""What people type to get past a field. Such a value says nothing about who somebody is and links nobody."""

from __future__ import annotations

_TEXTS = """
unknown, unbekannt, onbekend, ukendt, inconnu, okaend, desconocido, none, null, nil, na, n a, nan, nvt, n v t, ka, k a, tbd, todo,
not available, not provided, not applicable, niet bekend, niet van toepassing, keine angabe, ikke oplyst, ingen, geen, no, no name,
undefined, missing, xx, xyz, abc, asdf, asdfg, asdfasdf, qwe, qwerty, test, tester, testing, testtest, test test, dummy, default,
sample, example, deleted, removed, anonymous, anonym, anoniem
"""
_NAMES = """
test, tester, testing, noreply, no-reply, donotreply, do-not-reply, none, nomail, no-mail, noemail, no-email, geen, geenmail,
unknown, onbekend, ukendt, unbekannt, keine, fake, dummy, asdf, qwerty, xxx, abc, aaa, null, na, nobody, anonymous, example, spam,
nomail123, test123, test1
"""
_DOMAINS = """
test.com, test.nl, test.dk, test.de, test.co.uk, example.com, example.net, example.org, none.com, nomail.com, noemail.com, no.com,
noreply.com, fake.com, mailinator.com, invalid.com, unknown.com, domain.com, email.com, asdf.com, aaa.com
"""


def _listed(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


NO_ANSWER = _listed(_TEXTS)
"""Folded texts that are no answer in any field."""

MAIL_NAMES = _listed(_NAMES)
"""Names before the @ that nobody in particular has."""

MAIL_DOMAINS = _listed(_DOMAINS)
"""Domains that stand for "none": test domains, RFC 2606, and the best-known throw-away mailbox."""

MAIL_ENDINGS = (".example", ".test", ".invalid", ".localhost", ".local")
"""RFC 2606 and RFC 6762: no such address can be delivered."""

_LADDERS = ("01234567890123456789", "09876543210987654321")


def no_answer(folded: str) -> bool:
    """Whether a folded text is none in any field: "n/a", "onbekend", "xxx", "-"."""
    return not folded or folded in NO_ANSWER or (len(folded) > 2 and len(set(folded)) == 1)


def idle_digits(digits: str) -> bool:
    """Whether digits were typed without looking: one digit over and over, or up and down the keyboard.

    Example:
        >>> idle_digits("000000"), idle_digits("0612345678"), idle_digits("0612345687")
        (True, True, False)
    """
    # It may follow a prefix that the field demanded: 06 12345678, +31 6 00000000.
    tail = digits[-7:]
    if len(set(tail)) > 1 and not any(tail in ladder for ladder in _LADDERS):
        return len(set(digits.lstrip("0"))) <= 1
    tails = [digits[cut:] for cut in range(5) if len(digits) - cut >= 7]
    return len(set(digits.lstrip("0"))) <= 1 or any(
        len(set(tail)) == 1 or tail in ladder for tail in tails for ladder in _LADDERS
    )
