"""The list of members of a segment that people define, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from kohort.locale import find, gettext, mark
from kohort.views import own_words as say
from kohort.views.formats import formats
from kohort.views.own import Own, OwnSegment, head
from kohort.views.pages import Shell, page

ORDERS = (("customer", mark("Customer")), ("newest", mark("Newest")), ("oldest", mark("Longest in")))
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


_SOME = {
    "customer": mark("Customers %(first)s to %(last)s of %(n)s"),
    "account": mark("Accounts %(first)s to %(last)s of %(n)s"),
}


def customers(
    shell: Shell, own: Own, s: OwnSegment, members: MembersPage, *, part: str, cursor: int, order: str = "customer"
) -> str:
    """One page of the members, each with a way to why she is in.

    Args:
        part: Key of one part; empty = all.
        order: One of ORDERS.
    """
    first, last, of = (formats().number(n) for n in (cursor + 1, cursor + len(members.rows), members.size))
    title = gettext(_SOME[s.noun], first=first, last=last, n=of) if members.rows else s.many
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
                "reason": find(say.REASONS.get(m.reason, m.reason)),
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
        orders=[(key, find(label)) for key, label in ORDERS],
        picked=urlencode({k: v for k, v in (("part", part), ("order", "" if order == "customer" else order)) if v}),
    )
