"""How the one who asks sees single customers: by the company's numbers, by short codes, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kohort.errors import NotFound
from kohort.model.segmentation import Segmentation
from kohort.views.own import Person
from kohort.views.own_members import MembersPage
from kohort.web import visitor
from kohort.workspace.people import codes_for, is_short_code, with_codes, without_people

if TYPE_CHECKING:
    from kohort.store.vault import Vault


def check_code(code: str) -> None:
    """Whoever sees codes only may ask by them only: otherwise she could find out whose number leads to which code.

    Raises:
        NotFound: She asks by something else.
    """
    if visitor.now().sight != "numbers" and not is_short_code(code):
        raise NotFound("customer", "of this address")


def segmentation(found: Segmentation, vault: Vault | None) -> Segmentation:
    """Found groups with their examples as they may be seen.

    Args:
        vault: None = there is none to ask, so nobody's number can be replaced.
    """
    sight = visitor.now().sight
    if sight == "numbers":
        return found
    return with_codes(found, vault) if sight == "codes" and vault is not None else without_people(found)


def rows(page: Mapping[str, Any], vault: Vault | None) -> Mapping[str, Any]:
    """Members of a found group, as `Workspace.members_page` returns them."""
    if visitor.now().sight == "numbers" or vault is None:
        return page
    codes = codes_for(vault, [row["customer_id"] for row in page["rows"]])
    return {**page, "rows": [{**row, "customer_id": codes[row["customer_id"]]} for row in page["rows"]]}


def members(page: MembersPage) -> MembersPage:
    """Members of a group that people defined. Accounts are companies: they keep their names."""
    if visitor.now().sight == "numbers":
        return page
    return replace(page, rows=tuple(replace(m, number=m.code or m.number) for m in page.rows))


def person(who: Person) -> Person:
    """One customer and why she is where she is."""
    return who if visitor.now().sight == "numbers" else replace(who, number=who.code)


def customer(shown: Mapping[str, Any], vault: Vault) -> Mapping[str, Any]:
    """One customer from all sides, as `ws.customers.show` tells."""
    if visitor.now().sight == "numbers":
        return shown
    pairs = [number for d in shown["decisions"] for number in (d["keep"], d["other"])]
    codes = codes_for(vault, [*pairs, *(one["customer_id"] for one in shown["ids"])])
    return {
        **shown,
        "customer_id": shown["code"],
        "ids": [{**one, "customer_id": codes[one["customer_id"]]} for one in shown["ids"]],
        "decisions": [{**d, "keep": codes[d["keep"]], "other": codes[d["other"]]} for d in shown["decisions"]],
    }
