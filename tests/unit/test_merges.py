"""Decisions about who is one customer: the log, the links that follow from it, and taking them back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import permutations
from pathlib import Path
from random import Random

import pytest

from kohort.errors import Damaged, NotFound, WrongUsage
from kohort.model.arrival import Link
from kohort.model.links import roots
from kohort.model.merging import Merge, links_of
from kohort.store import create_store, open_store
from kohort.store.merges import Field, Pair

A, B, C, D = 1, 2, 3, 4
VISITOR = -9


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=2) as store:
        yield store


def merge(store, keep: int, other: int, *, ts: int = 50, run: int = 0, score: float | None = None) -> int:
    """Number of the decision; 0 = they were one already."""
    evidence = (Field("surname", "the same surname", 9.5),)
    made = store.merges.merge([Pair(keep, other, "by hand", score, evidence)], ts=ts, by="ann", at=1_000, run=run)
    return made[0].number if made else 0


def split(store, number: int) -> None:
    store.merges.split(number, by="bob", at=2_000, reason="Two people")


def one(store, *ids: int) -> bool:
    return len({store.meant(id_) for id_ in ids}) == 1


def test_a_merge_is_a_link_since_its_moment_and_a_line_of_the_log(store) -> None:
    number = merge(store, A, B, score=0.93)
    assert store.meant(B) == A
    assert store.meant(B, 49) == B
    (line,) = store.merges.log()
    assert (line.number, line.what, line.by, line.at, line.ts, line.stands) == (number, "merge", "ann", 1_000, 50, True)
    assert line.pair == Pair(A, B, "by hand", 0.93, (Field("surname", "the same surname", 9.5),))
    assert merge(store, B, A) == 0
    assert len(store.merges.log()) == 1


def test_a_split_takes_back_its_own_merge_and_no_other(store) -> None:
    first, second = merge(store, B, C), merge(store, A, B)
    assert one(store, A, B, C)
    split(store, first)
    # What was said of A and B holds; it is not C that stays with A because B had been led to her.
    assert one(store, A, B)
    assert store.meant(C) == C
    split(store, second)
    assert not one(store, A, B)
    assert store.links.now().num_rows == 0
    with pytest.raises(NotFound):
        split(store, second)
    assert [d.what for d in store.merges.log()] == ["merge", "merge", "split", "split"]
    assert [d.stands for d in store.merges.log()] == [False] * 4


def test_what_events_said_is_never_taken_back(store) -> None:
    store.link([Link("e1", VISITOR, B, 10)], now=1)
    number = merge(store, A, B)
    assert one(store, A, B, VISITOR)
    split(store, number)
    assert store.meant(VISITOR) == B
    assert store.meant(B) == B


def test_a_customer_is_never_led_to_a_visitor(store) -> None:
    merge(store, VISITOR, A)
    assert store.meant(VISITOR) == A


def test_an_event_about_the_time_before_a_merge_changes_its_link_not_who_is_one(store) -> None:
    merge(store, A, B)
    before = store.ticks.holds()
    store.link([Link("late", B, C, 10)], now=2)  # B leads to C now: it is C who must lead to A
    assert one(store, A, B, C)
    assert store.unlink(["late"]) == 1
    assert one(store, A, B)
    assert store.meant(C) == C
    assert store.ticks.holds() != before, "a loop that knows the old links must notice"


def test_apart_is_what_a_person_said_until_somebody_merges_them(store) -> None:
    pair = frozenset((A, B))
    split(store, merge(store, A, B))
    assert store.merges.apart() == {pair}
    merge(store, B, A)
    assert store.merges.apart() == set()


def test_a_run_is_undone_as_a_whole_and_nothing_else(store) -> None:
    by_hand = merge(store, A, B)
    run = store.merges.begin_run()
    made, asked = store.merges.publish(
        [Pair(B, C, "likely", 0.9)],
        [Pair(A, C, "likely", 0.5), Pair(A, D, "likely", 0.5)],
        ts=50,
        by="run",
        at=3,
        run=run,
    )
    assert (len(made), asked) == (1, 1), "A and C had become one: nothing to ask"
    assert one(store, A, B, C)
    assert [d.ends for d in store.merges.undo(run, by="ann", at=4)] == [made[0].number]
    assert one(store, A, B)
    assert not one(store, A, C)
    assert store.merges.questions() == []
    assert store.merges.apart() == set()
    assert store.merges.undo(run, by="ann", at=5) == []
    assert [d.number for d in store.merges.log() if d.stands] == [by_hand]
    with pytest.raises(NotFound):
        store.merges.undo(run + 1, by="ann", at=6)


def test_questions_are_answered_once_and_replaced_by_the_next_run(store) -> None:
    def ask() -> list[int]:
        pairs = [Pair(A, B, "likely", 0.5), Pair(C, D, "likely", 0.8)]
        store.merges.publish([], pairs, ts=50, by="run", at=3, run=store.merges.begin_run())
        return [q.number for q in store.merges.questions()]

    first, second = ask(), ask()
    assert not set(first) & set(second), "a number never means another pair"
    with pytest.raises(NotFound):
        store.merges.answer(first[0], True, ts=50, by="ann", at=4)
    assert store.merges.answer(second[0], True, ts=50, by="ann", at=4).what == "merge"
    assert store.merges.answer(second[1], False, ts=50, by="ann", at=4).what == "reject"
    assert store.merges.questions() == []
    assert one(store, A, B)
    assert not one(store, C, D)
    assert store.merges.apart() == {frozenset((C, D))}


def test_which_merge_parts_two(store) -> None:
    first, second = merge(store, A, B), merge(store, B, C)
    assert store.merges.parting(A, C) == [first, second]
    assert store.merges.parting(B, C) == [second]
    with pytest.raises(WrongUsage, match="not one customer"):
        store.merges.parting(A, D)
    store.link([Link("e", VISITOR, A, 10)], now=1)
    with pytest.raises(WrongUsage, match="No merge alone"):
        store.merges.parting(A, VISITOR)


def test_erasing_forgets_decisions_about_her_and_leaves_others(store) -> None:
    a, b, c, d = (int(key) for key in store.vault.customers(["a", "b", "c", "d"]))
    split(store, merge(store, a, c))
    merge(store, a, b)
    merge(store, c, d)
    store.erase(b, now=5)
    assert [(line.pair.keep, line.pair.other) for line in store.merges.log()] == [(c, d)]
    assert one(store, c, d)
    assert store.links.now().num_rows == 1
    assert store.verify() == []


def test_the_log_outlives_the_process_and_notices_damage(tmp_path: Path) -> None:
    with create_store(tmp_path / "ws", buckets=2) as store:
        merge(store, A, B)
    with open_store(tmp_path / "ws") as store:
        assert store.meant(B) == A
        assert len(store.merges.log()) == 1
    with closing(sqlite3.connect(tmp_path / "ws" / "state.db")) as con:
        con.execute("UPDATE identity_decision SET other = 3")
        con.commit()
    with open_store(tmp_path / "ws") as store:
        with pytest.raises(Damaged):
            store.merges.log()
        assert store.verify()


def test_links_of_merges_do_not_depend_on_the_order_they_are_given_in() -> None:
    said = [Link("e1", VISITOR, B, 10), Link("e2", C, D, 60)]
    merges = [Merge(1, A, B, 50, "merge:1"), Merge(2, B, C, 50, "merge:2"), Merge(3, D, A, 70, "merge:3")]
    expected = links_of(said, merges)
    for order in permutations(merges):
        assert links_of(said[::-1], order) == expected
    for as_of in (50, 60, 70):
        found = roots([*said, *expected], as_of)
        assert found.root_of(VISITOR) == found.root_of(A) == found.root_of(C)


def naive(said: list[Link], pairs: list[tuple[str, int, int, int]]) -> list[set[int]]:
    """Who is one, by sets: events first come first served by who leads, merges join whatever is there."""
    groups: dict[int, set[int]] = {}
    led: set[int] = set()
    lead: dict[int, int] = {}

    def of(id_: int) -> set[int]:
        return groups.setdefault(id_, {id_})

    def join(top: int, bottom: int) -> None:
        together = of(top) | of(bottom)
        head = lead.get(id(of(top)), top)
        for member in together:
            groups[member] = together
        lead[id(together)] = head

    def head(id_: int) -> int:
        return lead.get(id(of(id_)), id_)

    steps = [(link.ts, link.event_id, "event", link.root, link.customer) for link in said]
    steps += [(ts, name, "merge", keep, other) for name, keep, other, ts in pairs]
    kept = []
    for _, _, what, keep, other in sorted(steps):
        if what == "event" and (other in led or head(keep) == other):
            continue
        if head(keep) == head(other):
            continue
        top, bottom = head(keep), head(other)
        if what == "merge" and top < 0 < bottom:
            top, bottom = bottom, top
        led.add(bottom)
        join(top, bottom)
        kept.append(groups[top])  # sets live on: their identity names the group
    return list({id(group): group for group in groups.values()}.values())


@pytest.mark.parametrize("seed", range(300))
def test_links_of_merges_join_what_plain_sets_join(seed: int) -> None:
    rng = Random(seed)
    ids = [-3, -2, -1, 1, 2, 3, 4, 5]
    said = [Link(f"e{n}", *rng.sample(ids, 2), rng.choice((10, 20, 30))) for n in range(rng.randint(0, 6))]
    merges = [
        Merge(n, *rng.sample(ids, 2), rng.choice((15, 20, 30, 40)), f"merge:{n}") for n in range(rng.randint(0, 6))
    ]
    links = links_of(said, rng.sample(merges, len(merges)))
    found = roots([*said, *links])
    together = naive(said, [(m.link, m.keep, m.other, m.ts) for m in merges])
    for group in together:
        assert len({found.root_of(id_) for id_ in group}) == 1
    tops = [found.root_of(min(group)) for group in together]
    assert len(set(tops)) == len(tops)
    for link in links:
        assert not link.root < 0 < link.customer
