"""What a person wrote herself: without markup, without what she answers to, without her signature. And whether it is spam."""

from __future__ import annotations

import html
import re

MOST_CHARS = 20_000
"""Of a text more than that is not looked at."""

_HIDDEN = re.compile(r"<(script|style|head)\b[^>]{0,1000}>.{0,20000}?</\1\s*>", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"<blockquote\b.*\Z", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<(?:br|/p|/div|/li|/tr|/h\d)\b[^>]{0,200}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,1000}>")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,190}\.[a-z]{2,}", re.IGNORECASE)
_BLANKS = re.compile(r"[^\S\n]+")

# Everything from here on was written by somebody else, or before.
_REPLY = re.compile(
    r"^(?:-{2,} ?(?:original message|forwarded message|oorspronkelijk bericht|oprindelig meddelelse|videresendt meddelelse"
    r"|ursprüngliche nachricht|weitergeleitete nachricht) ?-{2,}.*"
    r"|(?:on|op|den|am) .{4,120}(?:wrote|schreef|skrev|schrieb)\b.{0,80}:"
    r"|(?:from|van|fra|von): .{1,200})$",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"^(?:-- ?|_{5,}|-{5,}"
    r"|(?:kind|best|warm)(?:est)? (?:regards|wishes),?|regards,?|yours (?:sincerely|faithfully|truly),?|sincerely,?|cheers,?"
    r"|met (?:vriendelijke|hartelijke) groet(?:en)?,?|vriendelijke groet(?:en)?,?|mvg,?|groet(?:jes|en)?,?"
    r"|(?:med )?(?:venlig|mange|bedste|kærlig) hilsen(?:er)?,?|(?:de )?bedste hilsner,?|mvh\.?,?|vh,?"
    r"|mit freundlichen gr(?:ü|ue)(?:ß|ss)en,?|(?:freundliche|viele|liebe|beste) gr(?:ü|ue)(?:ß|ss)e,?|mfg,?|lg,?"
    r"|(?:sent from my|verzonden vanaf mijn|sendt fra min|von meinem) .{1,60})$",
    re.IGNORECASE,
)

_SPAM = re.compile(
    r"viagra|cialis|casino|crypto(?:currency)? invest|bitcoin profit|forex|payday loan|work from home|weight loss|seo service"
    r"|guest post|backlinks?|buy followers|million (?:dollars|usd|euro)|you have won|claim your (?:prize|reward)|click here now"
    r"|u heeft gewonnen|gratis geld|du har vundet|gratis penge|sie haben gewonnen|gewinn abholen|schnelles geld",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """What the person wrote: no tags, no quoted message, no signature, no links and addresses; lines kept.

    Example:
        >>> clean("<p>Where is it?</p>\\n\\nKind regards,\\nAda\\n> old text")
        'Where is it?'
    """
    text = text[:MOST_CHARS]
    if "<" in text:
        text = _QUOTED.sub("", _HIDDEN.sub(" ", text))
        text = _TAG.sub(" ", _BREAK.sub("\n", text))
    text = html.unescape(text)
    kept: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        bare = _BLANKS.sub(" ", line).strip()
        if bare.startswith((">", "|>")):
            continue
        # A text does not begin with its end: then the line is a greeting or a heading of its own.
        if any(kept) and (_SIGNATURE.match(bare) or _REPLY.match(bare)):
            break
        kept.append(bare)
    joined = _ADDRESS.sub(" ", _LINK.sub(" ", "\n".join(kept)))
    return re.sub(r"\n{2,}", "\n", _BLANKS.sub(" ", joined)).strip()


def is_spam(text: str) -> bool:
    """Whether a text, as it came, reads like advertising that nobody asked for: three links or more with few words about
    them, or a link beside what spam is about, or two such phrases.

    Example:
        >>> is_spam("You have won! Claim your prize: http://x.example"), is_spam("My parcel: https://track.example/1")
        (True, False)
    """
    text = text[:MOST_CHARS]
    links = len(_LINK.findall(text)) + len(re.findall(r"<a\b", text, re.IGNORECASE))
    phrases = len({match.lower() for match in _SPAM.findall(text)})
    words = len(re.findall(r"\w+", _LINK.sub(" ", _TAG.sub(" ", text))))
    return phrases >= 2 or (phrases >= 1 and links >= 1) or (links >= 3 and words < 15 * links)
