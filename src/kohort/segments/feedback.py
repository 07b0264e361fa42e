"""What the votes of people add up to: how many members were looked at, and how many of them do not belong.

People look at odd customers first, so their votes about customers of their own choice say nothing about the others. A rate
is worked out from those alone whom chance put before them: members have an order by lot, and they are judged along it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kohort.model.segmentation import Estimate
from kohort.model.share import wilson

if TYPE_CHECKING:
    from kohort.model.links import Roots
    from kohort.store.feedback import Saying

Verdict = Literal["belongs", "wrong", "disputed"]

AT_ONCE = 5
"""Members that are put before people at once: so many may be passed over for one that is answered."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What people think of one membership together.

    Attributes:
        customer: Pseudonym, as she is known now.
        verdict: What more of them say; disputed = as many say so as say otherwise.
        drawn: Whether chance put her before one of them.
        sayings: Their votes, oldest first.
    """

    customer: int
    part: str
    verdict: Verdict
    drawn: bool
    sayings: tuple[Saying, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What people say about a segment, or a part of one.

    Attributes:
        agree, disagree: People who agree with the definition itself, or do not.
        share: Of them, those who do not; None where nobody said anything.
        members: Now.
        checked: Members of now whom somebody judged; `belong`, `wrong` and `disputed` of them.
        drawn: Of those whom chance put before people, so many were judged clearly, `drawn_wrong` of them wrong;
            `unanswered` were passed over, which makes the rate less sure than its interval says.
        rate: Share of wrong ones among all members, with Wilson's 95 % interval; None where nobody was drawn.
        gone: Customers who were judged and are no members any more.
    """

    agree: int
    disagree: int
    share: Estimate | None
    members: int
    checked: int
    belong: int
    wrong: int
    disputed: int
    drawn: int
    drawn_wrong: int
    unanswered: int
    rate: Estimate | None
    gone: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judged(sayings: Iterable[Saying], roots: Roots) -> list[Judged]:
    """Votes about single customers, joined by whom they are about now; those about one that was merged count for whom she is.

    Somebody who voted on both of two merged customers counts with what she said last.
    """
    votes = [one for one in sayings if one.customer is not None and one.said != "comment"]
    whom = roots.of(np.array([one.customer for one in votes], np.int64)).tolist() if votes else []
    by_subject: dict[tuple[int, str], dict[str, Saying]] = {}
    for customer, one in zip(whom, votes, strict=True):
        by_subject.setdefault((customer, one.part), {})[one.by] = one
    return [_judged(customer, part, list(said.values())) for (customer, part), said in by_subject.items()]


def by_lot(customers: np.ndarray, secret: str, name: str) -> np.ndarray:
    """The order in which members are put before people: by chance, the same for ever, and not to be guessed.

    Args:
        customers: Pseudonyms, int64.
        secret: Of the workspace.
        name: Of the definition: each has an order of its own.

    Returns:
        Positions in `customers`.
    """
    seed = np.uint64(int.from_bytes(blake2b(f"{secret} {name}".encode(), digest_size=8).digest(), "little"))
    x = np.asarray(customers, np.int64).view(np.uint64) + seed
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(x ^ (x >> np.uint64(31)), kind="stable")


def evidence(about: Sequence[Saying], people: Sequence[Judged], members: np.ndarray, order: np.ndarray) -> Evidence:
    """What was said about a segment, put together.

    Args:
        about: Votes about the segment itself.
        people: Votes about single customers.
        members: Pseudonyms of now.
        order: Of `members`, from `by_lot`; it may be empty where chance put nobody before people.
    """
    verdicts = {one.customer: one for one in people}
    now = members[np.isin(members, list(verdicts))].tolist()
    along = members[order].tolist()
    counts = _counts(verdicts[one].verdict for one in now)
    looked_at = along[: _reach(along, verdicts)]
    drawn = _counts(verdicts[one].verdict for one in looked_at if one in verdicts)
    clear = drawn["belongs"] + drawn["wrong"]
    said = [one.said for one in about]
    return Evidence(
        agree=said.count("agree"),
        disagree=said.count("disagree"),
        share=wilson(said.count("disagree"), said.count("agree") + said.count("disagree")),
        members=len(members),
        checked=len(now),
        belong=counts["belongs"],
        wrong=counts["wrong"],
        disputed=counts["disputed"],
        drawn=clear,
        drawn_wrong=drawn["wrong"],
        unanswered=sum(one not in verdicts for one in looked_at),
        rate=wilson(drawn["wrong"], clear),
        gone=len(verdicts.keys() - set(now)),
    )


def _reach(along: Sequence[int], verdicts: Mapping[int, Judged]) -> int:
    """How far people came along the list: to the last one whom chance put before them, with few passed over on the way."""
    reach = passed_over = 0
    for place, one in enumerate(along, start=1):
        if one not in verdicts:
            passed_over += 1
            if passed_over >= AT_ONCE:
                break
        elif verdicts[one].drawn:
            reach = place
    return reach


def _judged(customer: int, part: str, said: list[Saying]) -> Judged:
    against = sum(one.said == "disagree" for one in said)
    margin = 2 * against - len(said)
    verdict: Verdict = "disputed" if not margin else "wrong" if margin > 0 else "belongs"
    return Judged(customer, part, verdict, any(one.drawn for one in said), tuple(sorted(said, key=lambda s: s.number)))


def _counts(verdicts: Iterable[Verdict]) -> Mapping[Verdict, int]:
    found: dict[Verdict, int] = {"belongs": 0, "wrong": 0, "disputed": 0}
    for one in verdicts:
        found[one] += 1
    return found
