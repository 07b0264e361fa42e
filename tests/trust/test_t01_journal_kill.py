"""T1, for the journal: killed at any moment, it has everything that was confirmed, under the number that was said, once."""

import random
from pathlib import Path

import pytest

from kohort.store.journal import Journal
from kohort.store.keys import MasterKey

KEY = MasterKey(bytes(32), "file")


def kill_and_look(folder: Path, lab, kills: int, **sabotage) -> tuple[int, int]:
    """Takes in and forgets, with kills at random moments; (kills that hit, confirmed requests)."""
    chance, hits = random.Random(kills), 0
    confirmed: dict[int, str] = {}
    forgotten = 0
    for attempt in range(kills):
        job = {
            "journal": str(folder),
            "attempt": attempt,
            "requests": 400,
            "segment_bytes": 30_000,
            "forgets": True,
            **sabotage,
        }
        acks, well = lab.run(job, kill_after=chance.choice([0, 3, 30, 100]), delay_ms=chance.uniform(0, 40))
        hits += not well
        forgotten = max([forgotten, *(number for text, number in acks if text == "forget")])
        said = [(number, text) for text, number in acks if text != "forget"]
        assert len({number for number, _ in said} | confirmed.keys()) == len(said) + len(confirmed), "a number twice"
        confirmed.update(said)
        with Journal(folder, KEY, at_least=max(confirmed, default=0)) as journal:
            frames = journal.read(0, 1 << 40)
            assert [frame.number for frame in frames] == list(range(journal.first, journal.last + 1))
            assert journal.first <= forgotten + 1, "something was removed that nobody forgot"
            found = {frame.number: frame.body.split()[0].decode() for frame in frames}
            assert len(set(found.values())) == len(found), "a request is there twice"
            wrong = {n for n, text in confirmed.items() if n >= journal.first and found.get(n) != text}
            assert not wrong, "a confirmed request is lost"
    return hits, len(confirmed)


@pytest.mark.slow
def test_nothing_confirmed_is_lost_and_nothing_is_there_twice(tmp_path: Path, lab) -> None:
    hits, confirmed = kill_and_look(tmp_path / "journal", lab, 60)
    assert hits > 30
    assert confirmed > 1000


@pytest.mark.nightly
def test_the_same_two_hundred_times(tmp_path: Path, lab) -> None:
    assert kill_and_look(tmp_path / "journal", lab, 200)[0] > 100
