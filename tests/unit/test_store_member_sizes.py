"""Sizes of parts: counted from what changed, and always what counting all members gives."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from kohort.model.membership import Placed
from kohort.store import create_store, open_store
from kohort.store.members import sizes
from kohort.store.members.forget import Forgetting

PARTS = ("gold", "silver", "bronze")


def placed(name: str, rows: dict[int, str]) -> Placed:
    nothing = pa.nulls(len(rows), pa.float64()), pa.array(["rule"] * len(rows), pa.string())
    columns = pa.array(list(rows), pa.int64()), pa.array(list(rows.values()), pa.string())
    return Placed(name, 1, pa.table([*columns, *nothing], ["customer", "segment", "confidence", "reason"]))


def counted(store, name: str) -> dict[str, int]:
    return dict(Counter(store.members.current(name).column("segment").to_pylist()))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_sizes_are_those_of_the_members(tmp_path: Path, seed: int, monkeypatch) -> None:
    rng, at = random.Random(seed), 0
    monkeypatch.setattr(sizes, "MOST_NEW", 40)
    with create_store(tmp_path / "ws", buckets=2) as store, open_store(tmp_path / "ws") as other:
        store.members.parts.most_parts = other.members.parts.most_parts = 5
        store.members.parts.few_rows = other.members.parts.few_rows = 1
        for _ in range(40):
            at += 1
            writer = rng.choice([store, other])
            if rng.random() < 0.1 and "b" in writer.members.names():
                writer.members.drop("b", at)
            else:
                people = {c: rng.choice(PARTS) for c in range(1, 30) if rng.random() < 0.7}
                writer.members.publish([placed(rng.choice("ab"), people)], as_of=at, now=at)
            if rng.random() < 0.6:
                asked = ["a", "b", "nobody"]
                there = [name for name in asked if name in store.members.heads()]
                assert store.members.sizes(asked) == {name: counted(store, name) for name in there}


def test_members_are_read_once_and_then_only_what_changed(tmp_path: Path, monkeypatch) -> None:
    with create_store(tmp_path / "ws", buckets=2) as store:
        store.members.publish([placed("a", dict.fromkeys(range(1, 100), "gold"))], as_of=1, now=1)
        assert store.members.sizes(["a"]) == {"a": {"gold": 99}}
        monkeypatch.setattr(sizes, "stays_of", lambda *_: pytest.fail("everybody was read again"))
        store.members.publish([placed("a", {1: "silver", **dict.fromkeys(range(3, 100), "gold")})], as_of=2, now=2)
        assert store.members.sizes(["a"]) == {"a": {"gold": 97, "silver": 1}}


def test_who_was_forgotten_does_not_count(tmp_path: Path) -> None:
    import numpy as np

    with create_store(tmp_path / "ws", buckets=2) as store:
        store.members.publish([placed("a", {1: "gold", 2: "gold", 3: "silver"})], as_of=1, now=1)
        assert store.members.sizes(["a"]) == {"a": {"gold": 2, "silver": 1}}
        forgetting = Forgetting(store.members.parts, np.array([2], np.int64))
        with store.write_lock(), store._database.write() as con:
            forgetting.make_true(con)
        assert store.members.sizes(["a"]) == {"a": {"gold": 1, "silver": 1}}
