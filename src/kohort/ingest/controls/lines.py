"""Telling goods from everything else that stands on an order: postage, fees, discounts, corrections, stock notes.

The table below is the whole control. A line is judged by its product code and its description alone, first rule first; only
stock notes also look at the amount and the customer. `controls:` in kohort.yaml overrides single codes, and a column
with the role `line_kind` overrides the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


@dataclass(frozen=True, slots=True)
class Rule:
    """Lines of one kind.

    Attributes:
        kind: One of LINE_KINDS.
        code: Pattern that the whole product code matches, upper case.
        name: Pattern that the whole description matches, lower case.
        both: The code alone is not enough: the description must match too. A line without one passes where its source has
            descriptions at all; where it has none, a short code is just a code of the shop's own.
    """

    kind: str
    code: str = ""
    name: str = ""
    both: bool = False

    def applies(self, code: str, name: str, *, named: bool = True) -> bool:
        by_code = bool(self.code) and _pattern(self.code).fullmatch(code) is not None
        if self.both:
            return named and by_code and (not name or _pattern(self.name).fullmatch(name) is not None)
        return by_code or (bool(self.name) and _pattern(self.name).fullmatch(name) is not None)


# A description is matched whole: a "carriage clock", a "delivery van" or a "discount card holder" is goods.
_COST = r"(?: (?:and |& )?(?:costs?|charges?|fees?|handling|packing|kosten|omkostninger|gebyr|pauschale))*"
_WHERE = r"(?: (?:uk|eu|europe|international|domestic|standard|express))?"
RULES: tuple[Rule, ...] = (
    Rule("postage", code="POST|POSTAGE|DOT|SHIP|SHIPPING|DELIVERY|FREIGHT|PORTO|VERSAND|FRAGT|VERZENDKOSTEN"),
    Rule("postage", code="C[1-9]", name="carriage|postage|delivery|shipping", both=True),
    Rule("manual", code="M", name=r"manual.*|handmatig.*|manuel.*", both=True),
    Rule("discount", code="D", name=r"discount.*|korting.*|rabat.*", both=True),
    Rule("sample", code="S", name=r"samples?.*|monsters?.*|(?:vare)?prøver?.*|muster.*", both=True),
    Rule("bad_debt", code="B", name=r".*bad debt.*|.*oninbaar.*|.*tab på debitor.*|.*forderungsausfall.*", both=True),
    Rule("fee", code="BANK ?CHARGES?|AMAZON ?FEES?|FEES?|PAYPAL ?FEES?|TRANSACTION ?FEES?"),
    Rule("commission", code="CRUK|COMMISSION"),
    Rule("adjustment", code=r"ADJUST(?:MENT)?[0-9]*"),
    Rule("voucher", code=r"GIFT_[0-9]+_[0-9]+|GIFT-?CARD[0-9]*|VOUCHER[0-9]*|GIFT-?VOUCHER[0-9]*"),
    Rule(
        "test",
        code=r"TEST[0-9]*",
        name=r"test(?:product|produkt|artikel)?|this is a test product\.?|test (?:product|order|item)",
    ),
    Rule(
        "postage",
        name=rf"(?:shipping|postage|delivery|freight|carriage|dotcom postage|post and packing|p&p){_COST}{_WHERE}"
        rf"|(?:verzending|verzendkosten|bezorging|bezorgkosten|porto|portokosten|frankering){_COST}"
        rf"|(?:fragt|levering|forsendelse|porto|leveringsomkostninger|fragtomkostninger){_COST}"
        rf"|(?:versand|versandkosten|versandkostenpauschale|lieferung|lieferkosten|fracht|frachtkosten){_COST}",
    ),
    Rule(
        "discount",
        name=r"(?:discount|coupon|coupon code|promo(?:tion)? discount|korting|kortingscode|rabat|rabatkode|rabatt|nachlass|skonto)"
        r"(?: ?-?[0-9]+(?:[.,][0-9]+)? ?%)?",
    ),
    Rule(
        "fee",
        name=r"(?:bank|payment|transaction|service|handling|amazon|paypal|administration) (?:charges?|fees?|costs?)"
        r"|(?:betaal|transactie|administratie|service)kosten|(?:betalings|kort|ekspeditions)gebyr"
        r"|(?:zahlungs|bearbeitungs|service|transaktions)gebühr(?:en)?",
    ),
    Rule(
        "voucher",
        name=r"(?:gift|e-?gift) ?(?:card|voucher).*|.*gift voucher £.*|cadeau(?:bon|kaart).*|gavekort.*|(?:geschenk)?gutschein.*",
    ),
    Rule("adjustment", name=r"adjustment(?: by .*)?|price adjustment|correctie|korrektion|korrektur|anpassung"),
    Rule("bad_debt", name=r"adjust bad debt|bad debt(?: .*)?"),
    Rule("commission", name=r"(?:\w+ )?commission|commissie|provisie|provision"),
)

# Nearly every line is goods: one pattern over all codes and one over all names say so, instead of one or two per rule.
_ANY_CODE = "|".join(rule.code for rule in RULES if rule.code)
_ANY_NAME = "|".join(rule.name for rule in RULES if rule.name and not rule.both)

_NOTE = re.compile(
    r"\b(?:damag|damges|lost|missing|found|check|adjust|thrown|throw|smash|crush|broken|wet|rust|mould|faulty|unsale|destroy"
    r"|wrong|incorrect|sold as|dotcom|amazon|ebay|given away|mailout|sample|temp|display|counted|no stock|stock|return"
    r"|mixed up|mix up|donated|mia|crack|beschadigd|kwijt|gevonden|kapot|beskadiget|mangler|fundet|beschädigt|fehlt|defekt)",
    re.IGNORECASE,
)


def is_note(name: str | None) -> bool:
    """Whether a description reads like a warehouse note instead of a product's name: empty, "?", "wet damaged", "lost".

    Example:
        >>> is_note("damages?"), is_note("OWL DOORSTOP")
        (True, False)
    """
    if not name or "?" in name or _NOTE.search(name):
        return True
    return name == name.lower() and any(c.isalpha() for c in name)


def tidy(name: str | None) -> str | None:
    """A description without doubled blanks."""
    return " ".join(name.split()) if name else None


def line_kind(
    code: str | None, name: str | None, overrides: Mapping[str, str] | None = None, *, named: bool = True
) -> str:
    """What a line with this product code and description is about, whatever its amount and customer.

    Args:
        named: Whether lines of this source have descriptions.

    Example:
        >>> line_kind("POST", "POSTAGE"), line_kind("22077", "CARRIAGE CLOCK"), line_kind("M", None)
        ('postage', 'goods', 'manual')
    """
    if overrides and code is not None and code in overrides:
        return overrides[code]
    upper, lower = (code or "").strip().upper(), (tidy(name) or "").lower()
    return next((rule.kind for rule in RULES if rule.applies(upper, lower, named=named)), "goods")


def explain() -> dict[str, str]:
    """Per control, what it does in plain words; kinds of line first, in the order of LINE_KINDS."""
    return dict(_WORDS)


def explained(kinds: Sequence[str]) -> list[str]:
    """The plain words of some controls, in the order given."""
    return [_WORDS[k] for k in kinds]


_WORDS = {
    "goods": "Lines that sell or take back a product. Only these count as purchases.",
    "postage": "Postage, carriage and delivery lines (codes such as POST, DOT, C2, or a description such as Shipping). "
    "Kept; not counted as goods.",
    "fee": "Fees of banks, marketplaces and payment services. Kept; not counted as goods.",
    "discount": "Discounts written as a line of their own. Kept; not counted as goods.",
    "sample": "Samples sent out. Kept; not counted as goods.",
    "manual": "Lines typed in by hand, with no product behind them. Kept; not counted as goods.",
    "adjustment": "Corrections of earlier bookings. Kept; not counted as goods.",
    "bad_debt": "Money written off because it was never paid. Kept; not counted as goods.",
    "voucher": "Gift vouchers and gift cards: money paid now for goods later. Kept; not counted as goods.",
    "commission": "Commission paid to somebody else. Kept; not counted as goods.",
    "test": "Lines of test products. Kept; not counted as goods.",
    "stock_note": 'Lines without price and customer whose description is a warehouse note ("damaged", "lost?") or empty. '
    "Kept; not counted as goods.",
    "duplicate_line": "The second and later of fully identical lines within one order: same product, quantity, amount, time and "
    "customer. Kept and marked.",
    "cancellation": "Orders that only take back goods keep their own number; a negative quantity is a return.",
    "anonymous": "Lines without a customer number count as revenue and belong to nobody.",
    "currency": "Amounts in another currency are converted at the European Central Bank's rate of that day, or of the last day "
    "before it that has one. A currency without a rate leaves the amount unknown; it is never counted as zero.",
}
