"""E-mail addresses in one form."""

from __future__ import annotations

import re

from kohort.errors import MissingExtra
from kohort.identity import junk
from kohort.identity.letters import fold
from kohort.identity.reading import IS_JUNK, NOT_READABLE, NOTHING, Read

# The plain addresses that nearly everybody has; `email-validator` reads the rest, forty times slower.
_PLAIN = re.compile(
    r"[a-z0-9_%+]+(?:[.-][a-z0-9_%+]+)*@(?:[a-z0-9]{1,40}(?:-[a-z0-9]{1,20})?\.){1,3}(?:com|net|org|eu|nl|dk|de|be|uk|fr|se|no|at|ch|io)"
)
_GOOGLE = {"gmail.com", "googlemail.com"}


def email(text: str | None, *, one_mailbox: bool = False) -> Read:
    """An e-mail address in lower case, its domain in Unicode.

    RFC 5321 lets a server tell "Ann" from "ann" before the @; no mailbox provider of note does, and people type both.

    Args:
        text: As it stands in the source; "Ann <ann@shop.nl>" and "mailto:ann@shop.nl" are read too.
        one_mailbox: Also leave out what leads to the same mailbox: all after a plus, and at Google the dots.

    Returns:
        The address, or why there is none. Whether it can be delivered is not asked: nothing leaves this machine.

    Raises:
        MissingExtra: The address is unusual and `email-validator` is not installed.

    Example:
        >>> email(" Ann.Smith+shop@GMail.com "), email("test@test.com").problem
        (Read(value='ann.smith+shop@gmail.com', problem=''), 'junk')
        >>> email("Ann.Smith+shop@GMail.com", one_mailbox=True).value
        'annsmith@gmail.com'
    """
    if text is None or not (bare := _bare(text)):
        return NOTHING
    if junk.no_answer(fold(bare)) or bare.endswith(junk.MAIL_ENDINGS):
        return IS_JUNK
    address = bare if _PLAIN.fullmatch(bare) and len(bare.partition("@")[0]) <= 64 else _validated(bare)
    if address is None:
        return IS_JUNK if bare in junk.MAIL_NAMES else NOT_READABLE
    name, _, domain = address.rpartition("@")
    if domain in junk.MAIL_DOMAINS or name in junk.MAIL_NAMES:
        return IS_JUNK
    if one_mailbox:
        name = name.partition("+")[0] or name
        if domain in _GOOGLE:
            name, domain = name.replace(".", "") or name, "gmail.com"
    return Read(f"{name}@{domain}")


def _bare(text: str) -> str:
    text = text.strip()
    if text.endswith(">") and "<" in text:
        text = text[text.rindex("<") + 1 : -1]
    text = text.strip().lower()
    return text.removeprefix("mailto:").strip()


def _validated(address: str) -> str | None:
    try:
        from email_validator import EmailNotValidError, validate_email
    except ImportError as error:
        raise MissingExtra("identity", "Reading e-mail addresses") from error
    try:
        found = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        return None
    return str(found.normalized).lower()
