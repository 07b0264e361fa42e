"""T1, for the store: a process killed while it appends loses nothing that was confirmed, and a client that repeats
what was not confirmed doubles nothing."""

import random
from collections import Counter
from pathlib import Path

import pytest

from kohort.store import create_store, open_store

SIZES = (7, 40, 350, 90, 1, 420, 25)


def plan(batches: int) -> list[tuple[int, int, int]]:
    """(batch, first event, rows); neighbours overlap, as daily exports do."""
    found, first = [], 0
    for number in range(batches):
        n = SIZES[number % len(SIZES)]
        found.append((number, max(0, first - 5), n + min(5, first)))
        first += n
    return found


def ids(store, logical) -> Counter:
    return Counter(logical[1](store).column("event_id").to_pylist())


def expected(appends: list[tuple[int, int, int]]) -> set[str]:
    return {f"event-{i}" for _, first, n in appends for i in range(first, first + n)}


def kill_and_retry(root: Path, lab, logical, kills: int) -> int:
    """Appends with kills at random moments and a client that goes on after the last confirmation; kills that hit."""
    create_store(root, buckets=5).close()
    appends, done, hits = plan(4 * kills), 0, 0
    chance = random.Random(kills)
    for _ in range(kills):
        job = {"root": str(root), "appends": appends[done:]}
        acks, well = lab.run(job, kill_after=chance.randrange(4), delay_ms=chance.uniform(0, 60))
        hits += not well
        done += len(acks)
        with open_store(root) as store:
            found = ids(store, logical)
            assert max(found.values(), default=1) == 1, "an event is stored twice"
            assert expected(appends[:done]) <= found.keys(), "a confirmed event is lost"
            assert found.keys() <= expected(appends), "an event came from nowhere"
    assert lab.run({"root": str(root), "appends": appends[done:]})[1]
    with open_store(root) as store:
        assert ids(store, logical) == Counter(expected(appends))
        assert store.verify() == []
    return hits


@pytest.mark.slow
def test_nothing_confirmed_is_lost_and_nothing_doubled(tmp_path: Path, lab, logical) -> None:
    assert kill_and_retry(tmp_path, lab, logical, 15) > 2


@pytest.mark.nightly
def test_the_same_two_hundred_times(tmp_path: Path, lab, logical) -> None:
    assert kill_and_retry(tmp_path, lab, logical, 200) > 20


@pytest.mark.slow
@pytest.mark.parametrize("step", ["DiesBeforeTransaction", "DiesBeforePublishing", "DiesAfterPublishing"])
def test_killed_exactly_between_the_steps_of_a_large_append(step: str, tmp_path: Path, lab, logical) -> None:
    create_store(tmp_path, buckets=5).close()
    job = {"root": str(tmp_path), "appends": [(1, 0, 400)]}
    acks, _ = lab.run({**job, "log": step})
    assert acks == []
    assert lab.run(job) == ([1], True)
    with open_store(tmp_path) as store:
        assert ids(store, logical) == Counter(expected([(1, 0, 400)]))
        assert store.verify() == []


@pytest.mark.slow
def test_twin_a_log_that_recognises_nothing_doubles_on_retry(tmp_path: Path, lab, logical) -> None:
    create_store(tmp_path, buckets=5).close()
    job = {"root": str(tmp_path), "appends": [(1, 0, 400)]}
    assert lab.run({**job, "log": "DiesAfterPublishing"})[0] == []
    lab.run({**job, "log": "ForgetsIds"})
    with open_store(tmp_path) as store:
        assert max(ids(store, logical).values()) == 2
