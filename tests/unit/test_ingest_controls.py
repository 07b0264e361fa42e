"""The table of controls, and the documentation that must say the same as the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kohort.errors import BadInput
from kohort.ingest import controls
from kohort.ingest.refusal import REASONS
from kohort.model.event import LINE_KINDS

DOCS = Path(__file__).parents[2] / "docs" / "ingest.md"


@pytest.mark.parametrize(
    ("code", "name", "kind"),
    [
        ("POST", "POSTAGE", "postage"), ("DOT", "DOTCOM POSTAGE", "postage"), ("C2", "CARRIAGE", "postage"), ("C3", None, "postage"),
        ("M", "Manual", "manual"), ("m", "Manual", "manual"), ("D", "Discount", "discount"), ("S", "SAMPLES", "sample"),
        ("BANK CHARGES", " Bank Charges", "fee"), ("AMAZONFEE", "AMAZON FEE", "fee"),
        ("CRUK", "CRUK Commission", "commission"),
        ("B", "Adjust bad debt", "bad_debt"), ("ADJUST", "Adjustment by john on 26/01/2010 16", "adjustment"),
        ("ADJUST2", "Adjustment by Peter on Jun 25 2010 ", "adjustment"),
        ("gift_0001_20", "Dotcomgiftshop Gift Voucher £20.00", "voucher"),
        ("TEST001", "This is a test product.", "test"), ("PADS", "PADS TO MATCH ALL CUSHIONS", "goods"),
        ("DCGS0076", "SUNJAR LED NIGHT NIGHT LIGHT", "goods"), ("SP1002", "KID'S CHALKBOARD/EASEL", "goods"), ("GIFT", None, "goods"),
        ("1", "Shipping costs", "postage"), ("1", "Verzendkosten", "postage"), ("1", "Fragt", "postage"), ("1", "Versandkosten", "postage"),
        ("1", "Korting 10%", "discount"), ("1", "Rabat", "discount"), ("1", "Kortgebyr", "fee"), ("1", "Betaalkosten", "fee"),
        ("1", "Gavekort 200 kr", "voucher"), ("1", "Cadeaubon", "voucher"), ("1", "Geschenkgutschein", "voucher"),
        # Goods whose names hold such words, and shops with short codes of their own.
        ("22077", "CARRIAGE CLOCK", "goods"), ("1", "DELIVERY VAN TOY", "goods"), ("1", "POSTAGE STAMP MUG", "goods"),
        ("1", "Discount card holder", "goods"), ("1", "TEST TUBE VASE", "goods"), ("M", "Mug, medium", "goods"),
        ("S", "Small tray", "goods"),
        ("C2", "Cable C2", "goods"), ("B", "Bowl", "goods"), ("D", "Dish", "goods"), ("1", "Fragtvogn i træ", "goods"),
        (None, None, "goods"),
    ],
)  # fmt: skip
def test_lines_and_what_they_are(code: str | None, name: str | None, kind: str) -> None:
    assert controls.line_kind(code, name) == kind


@pytest.mark.parametrize(("code", "kind"), [("B", "goods"), ("M", "goods"), ("C2", "goods"), ("POST", "postage")])
def test_a_short_code_is_goods_where_a_source_has_no_descriptions(code: str, kind: str) -> None:
    assert controls.line_kind(code, None, named=False) == kind


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("lost?", True), ("damaged", True), ("Damages", True), ("?", True), ("???missing", True), ("", True), (None, True),
        ("wet pallet", True),
        ("phil said so", True), ("Unsaleable, destroyed.", True), ("OWL DOORSTOP", False), ("POLYESTER FILLER PAD 45x45cm", False),
        ("FRENCH BLUE METAL DOOR SIGN No", False),
    ],
)  # fmt: skip
def test_notes_of_the_warehouse(name: str | None, note: bool) -> None:
    assert controls.is_note(name) is note


def test_the_shop_has_the_last_word() -> None:
    assert controls.line_kind("POST", "POSTAGE", {"POST": "goods"}) == "goods"
    assert controls.check_overrides({"POST": "goods"}) == {"POST": "goods"}
    with pytest.raises(BadInput, match="Kinds are"):
        controls.check_overrides({"POST": "parcel"})


def test_every_control_is_explained_and_documented() -> None:
    told = controls.explain()
    assert set(LINE_KINDS) <= set(told)
    assert all(text.endswith(".") for text in told.values())
    assert {rule.kind for rule in controls.RULES} <= set(LINE_KINDS)
    text = DOCS.read_text(encoding="utf-8")
    assert [k for k in LINE_KINDS if f"| `{k}` |" not in text] == []


def test_every_code_of_a_rejected_row_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+\.) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == REASONS
