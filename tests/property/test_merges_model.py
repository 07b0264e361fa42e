"""Any sequence of merges, splits, undone runs, answers, late events and repetitions leaves what a computation from scratch finds."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from kohort.model.arrival import Link
from kohort.model.links import roots
from kohort.model.merging import Merge, links_of
from kohort.store import create_store, open_store
from kohort.store.merges import Pair
from kohort.store.store import Store
from kohort.testing.naive_links import naive_roots

IDS = [-3, -2, -1, 1, 2, 3, 4, 5, 6]


class Model:
    """What must stand: kept beside the store, from the calls alone."""

    def __init__(self, store: Store, rng: Random) -> None:
        self.store, self.rng = store, rng
        self.said: dict[str, Link] = {}
        self.stands: dict[int, tuple[int, int, int, int]] = {}
        self.at = 0

    def step(self) -> None:
        self.at += 1
        what = self.rng.choice(
            ["merge", "merge", "merge", "repeat", "split", "event", "taken back", "run", "undo", "answer again"]
        )
        getattr(self, what.replace(" ", "_"))()

    def merge(self) -> None:
        self._merge(*self.rng.sample(IDS, 2))

    def repeat(self) -> None:
        for _, keep, other, _ in list(self.stands.values())[-1:]:
            assert self._merge(other, keep) == []

    def _merge(self, keep: int, other: int) -> list[int]:
        ts = self.rng.choice((20, 30, 40))
        apart = self.store.meant(keep) != self.store.meant(other)
        made = self.store.merges.merge([Pair(keep, other, "by hand")], ts=ts, by="ann", at=self.at)
        assert len(made) == apart
        self.stands |= {d.number: (0, keep, other, ts) for d in made}
        return [d.number for d in made]

    def split(self) -> None:
        if self.stands:
            number = self.rng.choice(sorted(self.stands))
            self.store.merges.split(number, by="ann", at=self.at)
            del self.stands[number]

    def answer_again(self) -> None:
        answers = sorted(number for number, (run, *_) in self.stands.items() if not run)
        if answers:
            taken_back = self.rng.choice(answers)
            self.store.merges.take_back(taken_back, by="ann", at=self.at)
            del self.stands[taken_back]

    def event(self) -> None:
        link = Link(f"e{self.rng.randint(0, 30)}", *self.rng.sample(IDS, 2), self.rng.choice((10, 25, 35, 45)))
        if self.store.link([link], now=self.at):
            self.said[link.event_id] = link

    def taken_back(self) -> None:
        if self.said:
            gone = self.rng.choice(sorted(self.said))
            self.store.unlink([gone])
            del self.said[gone]

    def run(self) -> None:
        run = self.store.merges.begin_run()
        pairs = [Pair(*self.rng.sample(IDS, 2), "likely", 0.9) for _ in range(3)]
        made, _ = self.store.merges.publish(pairs[:2], pairs[2:], ts=30, by="run", at=self.at, run=run)
        self.stands |= {d.number: (run, d.pair.keep, d.pair.other, 30) for d in made}
        for question in self.store.merges.questions():
            answered = self.store.merges.answer(question.number, self.rng.random() < 0.5, ts=40, by="ann", at=self.at)
            if answered is not None and answered.what == "merge":
                self.stands[answered.number] = (0, answered.pair.keep, answered.pair.other, 40)

    def undo(self) -> None:
        runs = sorted({run for run, *_ in self.stands.values() if run})
        if runs:
            undone = self.rng.choice(runs)
            self.store.merges.undo(undone, by="ann", at=self.at)
            self.stands = {n: line for n, line in self.stands.items() if line[0] != undone}

    def check(self, store: Store) -> None:
        log = store.merges.log()
        assert {d.number for d in log if d.what == "merge" and d.stands} == self.stands.keys()
        links = {link.event_id: link for link in _links(store)}
        assert {id_: link for id_, link in links.items() if id_ in self.said} == self.said
        ours = {id_: link for id_, link in links.items() if id_ not in self.said}
        names = {number: f"merge:{number:012}:" for number in self.stands}
        from_scratch = links_of(
            self.said.values(),
            [Merge(number, keep, other, ts, names[number]) for number, (_, keep, other, ts) in self.stands.items()],
        )
        assert {(id_[:19], x.customer, x.root, x.ts) for id_, x in ours.items()} == {
            (x.event_id, x.customer, x.root, x.ts) for x in from_scratch
        }
        found = roots(links.values())
        assert dict(zip(found.led.tolist(), found.root.tolist(), strict=True)) == naive_roots(links.values(), 100)
        for _, keep, other, _ in self.stands.values():
            assert found.root_of(keep) == found.root_of(other), "a merge that stands holds"


def _links(store: Store) -> list[Link]:
    return [Link(**row) for row in store.links.now().to_pylist()]


@pytest.mark.parametrize("seed", range(8))
def test_a_store_is_what_a_computation_from_scratch_finds(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    with create_store(tmp_path, buckets=2) as store:
        model = Model(store, rng)
        for _ in range(25):
            model.step()
            model.check(store)
    with open_store(tmp_path) as again:
        model.check(again)
        assert again.verify() == []
