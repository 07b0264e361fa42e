"""The queue of deliveries against an obvious model: whatever is planned, tried, failed, replayed and retried in whatever
order, each transition makes one delivery, caps hold in every stretch of time, and a customer's deliveries end in order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.model.delivery import OPEN, Outcome, Wanted
from kohort.store import create_store

HOUR = 3_600_000_000
CAP, SPAN = 2, 5 * HOUR


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, list[int]]]:
    """Steps: plan for these customers; try the first of what is due, with these results; let hours pass."""
    steps = st.one_of(
        st.tuples(st.just("plan"), st.lists(st.integers(1, 3), min_size=1, max_size=4)),
        st.tuples(st.just("try"), st.lists(st.integers(0, 2), min_size=1, max_size=3)),
        st.tuples(st.just("wait"), st.lists(st.integers(1, 3), min_size=1, max_size=1)),
    )
    return draw(st.lists(steps, min_size=1, max_size=14))


def wanted(seq: int, customer: int, capped: bool) -> Wanted:
    name = "capped" if capped else "plain"
    limits = {"most": CAP, "most_us": SPAN} if capped else {}
    return Wanted(f"{name}-{seq}", name, "crm", seq, "vip", "vip", "", customer, "entered", 1, 0, 1, None, "", **limits)


@settings(max_examples=25)
@given(stories())
def test_nothing_is_lost_nothing_overtakes_and_caps_hold(story: list[tuple[str, list[int]]]) -> None:
    with tempfile.TemporaryDirectory() as folder, create_store(Path(folder) / "ws", buckets=1) as store:
        queue, now, seq = store.deliveries, 100 * HOUR, 0
        at = queue.begin()
        ended: dict[int, list[int]] = {}
        for what, numbers in story:
            if what == "plan":
                asked = []
                for customer in numbers:
                    seq += 1
                    asked += [wanted(seq, customer, capped) for capped in (True, False)]
                queue.plan(at, at, asked, now=now)
            elif what == "wait":
                now += numbers[0] * HOUR
            else:
                due = queue.due("crm", now, len(numbers))
                assert len({d.customer for d in due}) == len(due), "two of one customer at once"
                outcomes = []
                for delivery, result in zip(due, numbers, strict=False):
                    if result == 0:
                        outcomes.append(Outcome(delivery.number, "pending", "status 500", 500, now + HOUR))
                    else:
                        outcomes.append(Outcome(delivery.number, "done" if result == 1 else "dead", "", 200))
                        ended.setdefault(delivery.customer, []).append(delivery.number)
                queue.settle(outcomes, now=now)
        everything = queue.some(limit=10_000)
        assert len({d.id for d in everything}) == len(everything) == 2 * seq
        for customer, numbers in ended.items():
            assert numbers == sorted(numbers), f"{customer} was overtaken"
        for customer in (1, 2, 3):
            mine = [d for d in everything if d.customer == customer]
            front = [d for d in mine if d.state in ("pending", "held")]
            waiting = [d for d in mine if d.state == "waiting"]
            assert len(front) == (1 if any(d.state in OPEN for d in mine) else 0)
            assert all(d.number > front[0].number for d in waiting)
            dues = sorted(d.due_at for d in mine if d.trigger == "capped" and d.state != "suppressed")
            assert all(sum(t - SPAN < other <= t for other in dues) <= CAP for t in dues)
            assert not [d for d in mine if d.trigger == "plain" and d.state == "suppressed"]
        assert store.verify() == []
