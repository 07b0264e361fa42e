"""Who is meant: the fold of links into roots, whatever order they came in, and the store that keeps them."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from random import Random

import numpy as np
import pytest
import sqlalchemy as sa

from kohort.errors import Damaged
from kohort.model.arrival import Link
from kohort.model.links import belonging, root_of, roots, table_of
from kohort.store import create_store, open_store
from kohort.testing.naive_links import hers_since, naive_roots


def links(*lines: tuple[int, int, int]) -> list[Link]:
    """(who is led, to whom, since when)."""
    return [Link(f"e{n}", customer, root, ts) for n, (customer, root, ts) in enumerate(lines)]


def random_links(rng: Random) -> list[Link]:
    ids = [-3, -2, -1, 1, 2, 3, 4]
    return [
        Link(f"e{n:02}", rng.choice(ids), rng.choice(ids), rng.choice((10, 20, 20, 30, 40)))
        for n in range(rng.randint(0, 9))
    ]


def as_dict(found) -> dict[int, int]:
    return dict(zip(found.led.tolist(), found.root.tolist(), strict=True))


def test_a_visitor_leads_to_the_customer_she_said_she_is() -> None:
    found = roots(links((-5, 7, 10)), as_of=10)
    assert found.of(np.array([-5, 7, 8])).tolist() == [7, 7, 8]
    assert found.members(7) == [7, -5]
    assert found.members(-5) == []
    assert found.members(8) == [8]
    assert len(roots(links((-5, 7, 10)), as_of=9)) == 0


def test_the_first_link_of_an_id_counts_and_ties_go_by_event_id() -> None:
    assert as_dict(roots(links((-5, 7, 20), (-5, 8, 10)))) == {-5: 8}
    assert as_dict(roots([Link("b", -5, 7, 10), Link("a", -5, 8, 10)])) == {-5: 8}


def test_steps_are_followed_and_since_is_the_latest_of_them() -> None:
    found = roots(links((1, 2, 30), (2, 3, 10)))
    assert as_dict(found) == {1: 3, 2: 3}
    assert found.since.tolist() == [30, 10]


def test_circles_are_passed_over_and_a_later_link_may_count_instead() -> None:
    assert as_dict(roots(links((1, 2, 10), (2, 1, 20)))) == {1: 2}
    assert as_dict(roots(links((1, 1, 10)))) == {}
    assert as_dict(roots(links((1, 2, 10), (2, 1, 20), (2, 3, 30)))) == {1: 3, 2: 3}


@pytest.mark.parametrize("seed", range(300))
def test_roots_are_those_of_the_plain_loop_in_any_order(seed: int) -> None:
    rng = Random(seed)
    stated = random_links(rng)
    for as_of in (5, 10, 20, 30, 40):
        expected = naive_roots(stated, as_of)
        shuffled = rng.sample(stated, len(stated))
        found = roots(shuffled, as_of)
        assert as_dict(found) == expected
        assert dict(zip(found.led.tolist(), found.since.tolist(), strict=True)) == {
            c: hers_since(c, root, stated, as_of) for c, root in expected.items()
        }
        for customer in (-3, -1, 1, 2, 4):
            assert root_of(shuffled, customer, as_of) == expected.get(customer, customer)
            hers = {b.member for b in belonging(shuffled, customer) if b.holds(as_of)}
            assert hers == set(found.members(customer))


def test_every_permutation_of_a_tangle_is_the_same() -> None:
    tangle = links((1, 2, 10), (2, 3, 10), (3, 1, 10), (-1, 1, 20), (-1, 4, 5), (4, 3, 30))
    assert len({tuple(as_dict(roots(order)).items()) for order in permutations(tangle)}) == 1


def test_a_long_chain_is_followed() -> None:
    n = 5_000
    found = roots([Link(f"e{i:05}", i, i + 1, n - i) for i in range(1, n)])
    assert set(found.root.tolist()) == {n}


# The store ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=2) as opened:
        yield opened


def test_links_are_kept_once_and_change_the_version(store) -> None:
    before = store.version(), store.log.version()
    assert store.log.snapshot().links is None
    stated = links((-5, 7, 10), (-6, 7, 20), (7, 7, 30))
    assert store.link(stated, now=50) == 2
    assert store.version() != before[0]
    assert store.log.version() != before[1]
    unchanged = store.version()
    assert store.link(stated, now=60) == 0
    assert store.version() == unchanged
    assert store.log.snapshot().links.sort_by("event_id").equals(table_of(stated[:2]))
    assert store.verify() == []


def test_another_process_sees_what_is_added_and_taken_back(store) -> None:
    with open_store(store.root) as other:
        store.link(links((-5, 7, 10)), now=50)
        assert other.meant(-5) == 7
        store.link([Link("later", -6, 7, 20)], now=50)
        store.link([Link("clock went back", -7, 7, 20)], now=40)
        assert [other.meant(c) for c in (-5, -6, -7)] == [7, 7, 7]
        assert other.meant(-6, as_of=19) == -6
        assert store.unlink(["e0", "no such link"]) == 1
        assert [other.meant(c) for c in (-5, -6, -7)] == [-5, 7, 7]


def test_a_transaction_that_fails_adds_no_link(store) -> None:
    def fails() -> None:
        with store._database.write() as con:
            store.links.add(con, links((-5, 7, 10)), learned_us=50)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert store.meant(-5) == -5
    assert store.verify() == []


@pytest.mark.parametrize("damage", ["UPDATE link SET root = 8", "DELETE FROM link WHERE customer = -6"])
def test_a_changed_or_vanished_link_is_noticed(store, damage: str) -> None:
    store.link(links((-5, 7, 10), (-6, 7, 20)), now=50)
    store.close()
    engine = sa.create_engine(f"sqlite:///{store.root / 'state.db'}")
    with engine.begin() as con:
        con.execute(sa.text(damage))
    engine.dispose()
    with open_store(store.root) as again:
        with pytest.raises(Damaged):
            again.log.snapshot()
        assert again.verify() != []
