"""E-commerce events of the tracking specification: which become order lines, and which speak of one product.

The two tables below are the whole mapping. Names are compared without case, blanks and underscores.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache, partial
from typing import Any

from kohort.ingest.controls import line_kind
from kohort.ingest.limits import MAX_UNIT
from kohort.ingest.tracking.columns import Part, decimal, scalar_text, scaled
from kohort.ingest.tracking.privacy import looks_personal
from kohort.model.event import QUANTITY_SCALE
from kohort.model.money import minor_digits


@dataclass(frozen=True, slots=True)
class Order:
    """An event that is an order: its products become order lines.

    Attributes:
        sign: 1 = sold, -1 = taken back.
        value: Properties that say what the goods are worth together, the best first.
    """

    sign: int
    value: tuple[str, ...]


ORDERS: dict[str, Order] = {
    "ordercompleted": Order(1, ("revenue", "total", "value")),
    "completedorder": Order(1, ("revenue", "total", "value")),
    "orderrefunded": Order(-1, ("total", "revenue", "value")),
}
"""Every other event of an order (updated, cancelled, paid) stays an event: counting it again would double the revenue."""

PRODUCT_EVENTS = frozenset(
    [
        "productviewed",
        "viewedproduct",
        "productclicked",
        "productadded",
        "addedproduct",
        "productremoved",
        "removedproduct",
        "productshared",
        "productreviewed",
        "productaddedtowishlist",
        "productremovedfromwishlist",
        "wishlistproductaddedtocart",
    ]
)
"""Events of one product: what they say of it is stored in the columns that order lines have, too."""

ANY_EVENT = Part("property", "p_", {"order_id": "order_id"})
ONE_PRODUCT = Part(
    "property",
    "p_",
    {
        "order_id": "order_id",
        "product_id": "product",
        "name": "product_name",
        "category": "category",
        "quantity": "quantity",
    },
)
"""Property → column that every event table has. All others become `p_…`."""

_CODE = re.compile(r"[A-Z]{3}")


@lru_cache(maxsize=4_096)
def _key(event: str) -> str:
    return re.sub(r"[\s_-]+", "", event).lower()


def order_of(event: str) -> Order | None:
    """What kind of order an event is, or None."""
    return ORDERS.get(_key(event))


def part_of(event: str) -> Part:
    """Where the properties of an event of this name are stored."""
    return ONE_PRODUCT if _key(event) in PRODUCT_EVENTS else ANY_EVENT


class Lines:
    """Makes the lines of orders.

    Args:
        currency: The workspace's.
        overrides: Product code → kind of line, as in `controls:` of kohort.yaml.
    """

    def __init__(self, currency: str, overrides: Mapping[str, str]) -> None:
        self._currency = currency
        # The same few products are sold again and again, and judging one takes as long as the rest of its line.
        self._kind = lru_cache(maxsize=50_000)(partial(line_kind, overrides=overrides))

    def of(self, properties: Mapping[str, Any], order: Order, notes: Counter[str]) -> Iterator[dict[str, Any]]:
        """Columns of each line: product, product_name, category, line_kind, duplicate_line, quantity, amount_source,
        currency. `amount_source` is in minor units of `currency` and missing where nothing says it.

        Goods without any price get a line of their own with what the order says they are worth together. Shipping and
        a discount on the whole order are lines too, of their own kind; tax is a property.
        """
        currency = self._stated(properties)
        products = properties.get("products")
        listed = [p for p in products if type(p) is dict] if type(products) is list else []
        if type(products) is list and len(listed) < len(products):
            notes["product_not_an_object"] += len(products) - len(listed)
        seen: set[tuple[Any, ...]] = set()
        priced = False
        for product in listed:
            line = self._line(product, order.sign, currency, notes)
            priced |= line["amount_source"] is not None
            said = tuple(line.values())
            line["duplicate_line"] = said in seen
            seen.add(said)
            yield line
        shipping = _money(properties.get("shipping"))
        if not priced:
            worth = _worth(properties, order, shipping)
            if worth is not None:
                yield self._extra("goods", worth * order.sign, currency, notes)
            elif not listed:
                notes["order_without_value"] += 1
        if shipping:
            yield self._extra("postage", shipping * order.sign, currency, notes)
        discount = _money(properties.get("discount"))
        if discount and priced and order.sign > 0:
            yield self._extra("discount", -abs(discount), currency, notes)

    def _line(self, product: Mapping[str, Any], sign: int, currency: str, notes: Counter[str]) -> dict[str, Any]:
        code = _text(product.get("product_id")) or _text(product.get("sku")) or _text(product.get("productId"))
        name = _text(product.get("name"))
        stated = product.get("quantity")
        quantity = Decimal(1) if stated is None else decimal(stated)
        price = _money(product.get("price"))
        if sign < 0:
            quantity = -abs(quantity) if quantity is not None else None
            price = abs(price) if price is not None else None
        if quantity is None:
            notes["bad_quantity"] += 1
        amount = price * quantity if price is not None and quantity is not None and _sane(quantity) else None
        if price is None:
            notes["line_without_price"] += 1
        return {
            "product": code,
            "product_name": name,
            "category": _text(product.get("category")),
            "line_kind": self._kind(code, name),
            "quantity": scaled(str(quantity), QUANTITY_SCALE, MAX_UNIT) if quantity is not None else None,
            "amount_source": _minor(amount, currency, notes),
            "currency": currency,
        }

    def _extra(self, kind: str, amount: Decimal, currency: str, notes: Counter[str]) -> dict[str, Any]:
        minor = _minor(amount, currency, notes)
        return {"line_kind": kind, "duplicate_line": False, "amount_source": minor, "currency": currency}

    def _stated(self, properties: Mapping[str, Any]) -> str:
        """ISO 4217; the workspace's where none is said, XXX (no currency) where what is said is none."""
        stated = properties.get("currency")
        if stated is None or stated == "":
            return self._currency
        code = stated.strip().upper() if type(stated) is str else ""
        return code if _CODE.fullmatch(code) else "XXX"


def product_ids(products: Any) -> list[str]:
    """The products that a list of objects names; empty where it is none."""
    if type(products) is not list:
        return []
    found = (_text(p.get("product_id")) or _text(p.get("sku")) for p in products if type(p) is dict)
    return [code for code in found if code]


def _worth(properties: Mapping[str, Any], order: Order, shipping: Decimal | None) -> Decimal | None:
    """What the goods of an order are worth together: revenue as it is, a total without shipping and tax."""
    for name in order.value:
        value = _money(properties.get(name))
        if value is None:
            continue
        if name == "total":
            value = abs(value) - abs(shipping or Decimal(0)) - abs(_money(properties.get("tax")) or Decimal(0))
        return abs(value)
    return None


def _money(value: Any) -> Decimal | None:
    found = decimal(value)
    return found if found is not None and _sane(found) else None


def _sane(value: Decimal) -> bool:
    return abs(value) <= MAX_UNIT


def _minor(amount: Decimal | None, currency: str, notes: Counter[str]) -> int | None:
    if amount is None:
        return None
    if not _sane(amount):
        notes["absurd_amount"] += 1
        return None
    return int((amount * 10 ** minor_digits(currency)).to_integral_value(ROUND_HALF_UP))


def _text(value: Any) -> str | None:
    text = value.strip().replace("\0", "") if type(value) is str else scalar_text(value)
    return text if text and len(text) <= 1_000 and not looks_personal(text) else None
