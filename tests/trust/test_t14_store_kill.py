"""T14: a process killed while events move from the hot log into the base leaves every event there exactly once.

Kills are real (SIGKILL), at random moments and exactly between the steps; the judge is a dump of the logical content.
"""

import random
from pathlib import Path

import pytest

from kohort.store import create_store, open_store

STEPS = ["DiesBeforeTransaction", "DiesBeforePublishing", "DiesAfterPublishing"]


def filled(root: Path, lab) -> None:
    """A log with events in the base and in the hot part."""
    create_store(root, buckets=5).close()
    appends = [(1, 0, 400), (2, 400, 120), (3, 520, 90), (4, 610, 60)]
    acks, well = lab.run({"root": str(root), "appends": appends})
    assert well
    assert acks == [1, 2, 3, 4]


def delta_rows(root: Path) -> int:
    from deltalake import DeltaTable

    return DeltaTable(str(root / "events")).to_pyarrow_table().num_rows


def check_after_crash(root: Path, lab, logical, before: str) -> None:
    _, _, dump = logical
    with open_store(root) as store:
        assert dump(store) == before
    assert lab.run({"root": str(root), "compact": True})[1]
    with open_store(root) as store:
        assert dump(store) == before
        assert store.log.snapshot().hot is None
        assert store.verify() == []
        assert delta_rows(root) == store.log.count()


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_exactly_between_the_steps_of_a_compaction(step: str, tmp_path: Path, lab, logical) -> None:
    filled(tmp_path, lab)
    with open_store(tmp_path) as store:
        before = logical[2](store)
    _, well = lab.run({"root": str(tmp_path), "log": step, "compact": True})
    assert not well
    check_after_crash(tmp_path, lab, logical, before)


@pytest.mark.slow
def test_killed_while_others_append_beside_a_compaction(tmp_path: Path, lab, logical) -> None:
    filled(tmp_path, lab)
    acks, well = lab.run({"root": str(tmp_path), "log": "DiesBesideAppends", "compact": True})
    assert (acks, well) == ([9], False)
    with open_store(tmp_path) as store:
        assert store.log.count() == 670 + 40, "what was confirmed beside it is there"
        before = logical[2](store)
    check_after_crash(tmp_path, lab, logical, before)
    with open_store(tmp_path) as store:
        assert store.log.vacuum(older_than_seconds=-1) > 0, "the files of the interrupted move were cleared up"
        assert logical[2](store) == before


@pytest.mark.slow
def test_appends_beside_a_compaction_stay_hot_and_count_once(tmp_path: Path, lab, logical) -> None:
    filled(tmp_path, lab)
    acks, well = lab.run({"root": str(tmp_path), "log": "AppendsMeanwhile", "compact": True})
    assert well
    assert acks == [9, *range(20, 50)]
    with open_store(tmp_path) as store:
        assert store.log.count() == 670 + 40 + 30
        assert store.log.snapshot().hot.num_rows == 70, "what came meanwhile stays hot, the rest moved"
        assert store.verify() == []
        assert store.log.append(logical[0](0, 670), batch=1).duplicate == 670
        assert store.log.append(logical[0](700, 70), batch=1).duplicate == 70


@pytest.mark.slow
def test_a_compaction_that_somebody_else_was_faster_with_moves_nothing_twice(tmp_path: Path, lab, logical) -> None:
    filled(tmp_path, lab)
    with open_store(tmp_path) as store:
        before = logical[2](store)
    assert lab.run({"root": str(tmp_path), "log": "Overtaken", "compact": True})[1]
    check_after_crash(tmp_path, lab, logical, before)


@pytest.mark.slow
def test_killed_between_merging_and_deleting_small_files(tmp_path: Path, lab, logical) -> None:
    filled(tmp_path, lab)
    assert lab.run({"root": str(tmp_path), "compact": True})[1]
    with open_store(tmp_path) as store:
        before = logical[2](store)
    assert not lab.run({"root": str(tmp_path), "log": "DiesBeforePublishing", "optimise": True})[1]
    check_after_crash(tmp_path, lab, logical, before)


def random_kills(tmp_path: Path, lab, logical, runs: int) -> int:
    chance, stopped = random.Random(runs), 0
    for run in range(runs):
        root = tmp_path / str(run)
        filled(root, lab)
        with open_store(root) as store:
            before = logical[2](store)
        job = {"root": str(root), "compact": True, "optimise": True}
        stopped += not lab.run(job, kill_after=0, delay_ms=chance.uniform(0, 150))[1]
        check_after_crash(root, lab, logical, before)
    return stopped


@pytest.mark.slow
def test_killed_at_random_moments_of_compaction(tmp_path: Path, lab, logical) -> None:
    assert random_kills(tmp_path, lab, logical, 20) > 2


@pytest.mark.nightly
def test_killed_at_random_moments_a_hundred_times(tmp_path: Path, lab, logical) -> None:
    assert random_kills(tmp_path, lab, logical, 100) > 10


@pytest.mark.slow
def test_twin_a_log_that_moves_in_two_steps_is_caught(tmp_path: Path, lab, logical) -> None:
    filled(tmp_path, lab)
    with open_store(tmp_path) as store:
        before = logical[2](store)
    assert not lab.run({"root": str(tmp_path), "log": "KeepsHotRows", "compact": True})[1]
    with open_store(tmp_path) as store:
        assert logical[2](store) != before
