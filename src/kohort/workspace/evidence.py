"""What makes ids one customer, for whoever looks at her: people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kohort.model.clock import iso
from kohort.model.links import roots
from kohort.workspace.people import company_numbers

if TYPE_CHECKING:
    from kohort.store.merges import Pair
    from kohort.store.store import Store


def ids_told(store: Store, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Every id of a customer with what makes it hers: `customer_id`, `visitor`, `since`, `why` ("herself", "merge" or "said by
    events"), and of a merge `how`, `score` and `evidence` by field, in words; values are nowhere in it.

    Args:
        ids: Her own first (`kohort.trust.access.ids_of`).
    """
    meant = roots(store.links.now())
    since = dict(zip(meant.led.tolist(), meant.since.tolist(), strict=True))
    merged: dict[int, Pair] = {}
    for line in store.merges.log(ids):
        if line.what == "merge" and line.stands:
            merged |= dict.fromkeys((line.pair.keep, line.pair.other), line.pair)
    return [
        _told(number, id_, since.get(id_), merged.get(id_) if id_ != ids[0] else None, herself=id_ == ids[0])
        for id_, number in zip(ids, company_numbers(store.vault, ids), strict=True)
    ]


def _told(number: str, id_: int, since: int | None, pair: Pair | None, *, herself: bool) -> dict[str, Any]:
    found = () if pair is None else pair.evidence
    return {
        "customer_id": number,
        "visitor": id_ < 0,
        "since": None if since is None else iso(since),
        "why": "herself" if herself else "said by events" if pair is None else "merge",
        "how": None if pair is None else pair.how,
        "score": None if pair is None else pair.score,
        "evidence": [{"field": one.field, "says": one.says, "weight": one.weight} for one in found],
    }
