"""The list of members of a segment that people define, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from kohort.views import own_words as say
from kohort.views.formats import formats
from kohort.views.own import Own, OwnSegment, head
from kohort.views.pages import Shell, page

ORDERS = (("customer", "Customer"), ("newest", "Newest"), ("oldest", "Longest in"))
"""How a list of members can be sorted."""


@dataclass(frozen=True, slots=True)
class Member:
    """One row of a list of members. `code` is what addresses call her by; empty where she has no page."""

    number: str
    code: str
    segment: str
    since: str
    reason: str


@dataclass(frozen=True, slots=True)
class MembersPage:
    """Some members; `next` is the code that the page ends with, empty where it is the last one."""

    rows: tuple[Member, ...]
    next: str
    size: int


def customers(
    shell: Shell, own: Own, s: OwnSegment, members: MembersPage, *, part: str, cursor: int, order: str = "customer"
) -> str:
    """One page of the members, each with a way to why she is in.

    Args:
        part: Key of one part; empty = all.
        order: One of ORDERS.
    """
    first, last = cursor + 1, cursor + len(members.rows)
    noun = f"{s.noun.capitalize()}s"
    title = (
        f"{noun} {formats().number(first)} to {formats().number(last)} of {formats().number(members.size)}"
        if members.rows
        else noun
    )
    return page(
        "own_segment.html",
        shell,
        "segments",
        tab="customers",
        **head(s, own),
        members=[
            {
                "number": m.number,
                "href": f"{s.href}/customers/{m.code}" if m.code and s.definition else "",
                "part": s.labels.get(m.segment, m.segment),
                "since": say.day(m.since, own.zone),
                "reason": say.REASONS.get(m.reason, m.reason),
            }
            for m in members.rows
        ],
        page_title=title,
        expected="",
        following=members.next,
        counted=cursor + len(members.rows),
        cursor=cursor,
        part=part,
        order=order,
        orders=ORDERS,
        picked=urlencode({k: v for k, v in (("part", part), ("order", "" if order == "customer" else order)) if v}),
    )
