"""How the one who asks sees single customers: by the company's numbers, by short codes, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kohort.errors import NotFound
from kohort.model.segmentation import Segmentation
from kohort.views.own import Person
from kohort.views.own_members import MembersPage
from kohort.web import who
from kohort.workspace.people import codes_for, is_short_code, with_codes, without_people

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.store.vault import Vault


_NUMBERED = ("customer_id", "keep", "other")
"""What a customer's number is called in documents about customers."""


def check_code(code: str) -> None:
    """Whoever sees codes only may ask by them only: otherwise she could find out whose number leads to which code.

    Raises:
        NotFound: She asks by something else.
    """
    if who.now().sight != "numbers" and not is_short_code(code):
        raise NotFound("customer", "of this address")


def segmentation(found: Segmentation, vault: Vault | None) -> Segmentation:
    """Found groups with their examples as they may be seen.

    Args:
        vault: None = there is none to ask, so nobody's number can be replaced.
    """
    sight = who.now().sight
    if sight == "numbers":
        return found
    return with_codes(found, vault) if sight == "codes" and vault is not None else without_people(found)


def rows(page: Mapping[str, Any], vault: Vault | None) -> Mapping[str, Any]:
    """Members of a found group, as `Workspace.members_page` returns them."""
    if who.now().sight == "numbers" or vault is None:
        return page
    codes = codes_for(vault, [row["customer_id"] for row in page["rows"]])
    return {**page, "rows": [{**row, "customer_id": codes[row["customer_id"]]} for row in page["rows"]]}


def members(page: MembersPage) -> MembersPage:
    """Members of a group that people defined. Accounts are companies: they keep their names."""
    if who.now().sight == "numbers":
        return page
    return replace(page, rows=tuple(replace(m, number=m.code or m.number) for m in page.rows))


def sample(numbers: Sequence[str], vault: Vault) -> tuple[tuple[str, str], ...]:
    """Some customers by the company's numbers: what is shown of each, and the code that leads to her page."""
    codes, shown = codes_for(vault, numbers), who.now().sight == "numbers"
    return tuple((number if shown else codes[number], codes[number]) for number in numbers)


def table(members: pa.Table, vault: Vault) -> pa.Table:
    """Members as `ws.members` lists them, for a file."""
    import pyarrow as pa

    if who.now().sight == "numbers":
        return members
    numbers = members.column("customer_id").to_pylist()
    codes = codes_for(vault, numbers)
    return members.set_column(0, "customer_id", pa.array([codes[number] for number in numbers], pa.string()))


def person(one: Person) -> Person:
    """One customer and why she is where she is."""
    return one if who.now().sight == "numbers" else replace(one, number=one.code)


def customer(shown: Mapping[str, Any], vault: Vault) -> Mapping[str, Any]:
    """One customer from all sides, as `ws.customers.show` tells."""
    if who.now().sight == "numbers":
        return shown
    # What she did stays in her shop's words.
    told = {name: value for name, value in shown.items() if name != "timeline"}
    return {**document(told, vault), "timeline": shown["timeline"]}


def document(told: Mapping[str, Any], vault: Vault) -> Mapping[str, Any]:
    """Any document that names customers, with codes in place of numbers for whoever sees only those."""
    if who.now().sight == "numbers":
        return told
    coded: Mapping[str, Any] = _coded(told, codes_for(vault, sorted(set(_numbers(told)))))
    return coded


def _numbers(value: Any) -> Iterator[str]:
    """Every number of a customer in a document, hers and others'."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _NUMBERED and isinstance(inner, str):
                yield inner
            else:
                yield from _numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _numbers(inner)


def _coded(value: Any, codes: Mapping[str, str]) -> Any:
    """The same document with codes in their place."""
    if isinstance(value, dict):
        return {
            name: codes[inner] if name in _NUMBERED and isinstance(inner, str) else _coded(inner, codes)
            for name, inner in value.items()
        }
    return [_coded(inner, codes) for inner in value] if isinstance(value, list | tuple) else value
