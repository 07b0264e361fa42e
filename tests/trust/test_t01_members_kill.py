"""T1, for memberships: a process killed while it publishes leaves the old members or the new ones of all names, never a
mix, and the outbox has neither a gap nor a transition said twice."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from kohort.store import create_store, open_store

STEPS = ["DiesBeforeTransaction", "DiesInTransaction", "DiesAfterTransaction", "DiesBeforeSnapshotCounts"]


@pytest.fixture
def members_of(evaluations) -> Callable[[int], dict[str, dict[int, str]]]:
    return lambda number: {name: evaluations.members_of(number, name) for name in evaluations.NAMES if number}


def now_in(store) -> dict[str, dict[int, str]]:
    found = store.members.current_together()
    return {name: dict(zip(*(table.column(c).to_pylist() for c in ("customer", "segment")), strict=True))
            for name, table in found.items()}  # fmt: skip


class Consumer:
    """Takes transitions as they come and keeps what they add up to."""

    def __init__(self) -> None:
        self.seq = 0
        self.state: dict[str, dict[int, str]] = {}
        self.numbers: dict[tuple[str, str, int], int] = {}

    def catch_up(self, store) -> None:
        while batch := store.members.outbox("consumer", limit=50):
            for said in batch:
                assert said.seq == self.seq + 1, "a gap, or a transition handed out twice"
                self.seq = said.seq
                key = (said.name, said.segment, said.customer)
                assert said.number == self.numbers.get(key, 0) + 1
                self.numbers[key] = said.number
                inside = self.state.setdefault(said.name, {})
                if said.change == "entered":
                    assert said.customer not in inside
                    inside[said.customer] = said.segment
                else:
                    assert inside.pop(said.customer) == said.segment
            store.members.acknowledge("consumer", self.seq)


def kill_and_retry(root: Path, lab, members_of, kills: int) -> int:
    """Publishes with kills at random moments and a client that goes on after the last confirmation; kills that hit."""
    create_store(root, buckets=2).close()
    chance, consumer, done, hits = random.Random(kills), Consumer(), 0, 0
    for _ in range(kills):
        job = {"root": str(root), "runs": list(range(done + 1, done + 6))}
        acks, well = lab.run(job, kill_after=chance.randrange(4), delay_ms=chance.uniform(0, 40))
        hits += not well
        done += len(acks)
        with open_store(root) as store:
            found = now_in(store)
            assert found in (members_of(done), members_of(done + 1)), "neither the old version nor the new one"
            consumer.catch_up(store)
            assert consumer.state == found
    assert lab.run({"root": str(root), "runs": [done + 1, done + 1]})[1]
    with open_store(root) as store:
        assert now_in(store) == members_of(done + 1)
        consumer.catch_up(store)
        assert consumer.seq == store.members.last_transition() > 0
        assert store.verify() == []
        parts = store.members.parts
        with parts.database.read() as con:
            named = {part.path for name in store.members.names() for part in parts.of(con, name) if part.path}
        assert named == {path.name for path in (root / "memberships").iterdir()}, "leftovers are cleaned away"
    return hits


@pytest.mark.slow
def test_all_names_show_one_run_after_every_kill(tmp_path: Path, lab, members_of) -> None:
    assert kill_and_retry(tmp_path, lab, members_of, 60) > 15


@pytest.mark.nightly
def test_the_same_two_hundred_times(tmp_path: Path, lab, members_of) -> None:
    assert kill_and_retry(tmp_path, lab, members_of, 200) > 50


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_exactly_between_the_steps_of_a_run(step: str, tmp_path: Path, lab, members_of) -> None:
    create_store(tmp_path, buckets=2).close()
    job = {"root": str(tmp_path), "runs": [1, 2, 3]}
    assert lab.run(job)[1]
    acks, well = lab.run({**job, "runs": [4], "members": step})
    assert (acks, well) == ([], False)
    consumer = Consumer()
    with open_store(tmp_path) as store:
        assert now_in(store) == members_of(4 if step in STEPS[2:] else 3)
        consumer.catch_up(store)
    assert lab.run({**job, "runs": [4]}) == ([4], True)
    with open_store(tmp_path) as store:
        assert now_in(store) == members_of(4)
        consumer.catch_up(store)
        assert consumer.state == members_of(4)
        assert store.verify() == []


@pytest.mark.slow
def test_twin_names_published_one_by_one_are_caught(tmp_path: Path, lab, members_of) -> None:
    create_store(tmp_path, buckets=2).close()
    job = {"root": str(tmp_path), "runs": [1]}
    assert lab.run(job)[1]
    lab.run({**job, "runs": [2], "members": "PublishesOneByOne"})
    with open_store(tmp_path) as store:
        assert now_in(store) not in (members_of(1), members_of(2))
