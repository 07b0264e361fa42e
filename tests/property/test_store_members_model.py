"""Whatever runs are published, in whatever batches and with whatever limits, the members of every moment are what plain
dictionaries say, and replaying the transitions gives the members."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.model.membership import Placed
from kohort.store import create_store

NAMES = ("gold", "Böse: 'x'")
CUSTOMERS = (-5, 0, 1, 2, 2**62, 2**63 - 1)

said = st.tuples(
    st.sampled_from(["a", "b", ""]),
    st.none() | st.sampled_from([0.25, 1.0]),
    st.none() | st.sampled_from(["rule", "keep"]),
)
rows = st.dictionaries(st.sampled_from(CUSTOMERS), said)
run = st.tuples(st.integers(0, 2), st.dictionaries(st.sampled_from(NAMES), rows, min_size=1))


@dataclass
class Plain:
    """What was said last about each moment, by name, and since when each member has been in without a gap."""

    moments: dict[str, dict[int, dict]] = field(default_factory=dict)

    def say(self, name: str, at: int, found: dict) -> None:
        self.moments.setdefault(name, {})[at] = found

    def at(self, name: str, moment: int) -> dict:
        known = [m for m in self.moments[name] if m <= moment]
        return self.moments[name][max(known)] if known else {}

    def since(self, name: str, customer: int, moment: int) -> int:
        begun = moment
        for m in sorted((m for m in self.moments[name] if m <= moment), reverse=True):
            if self.moments[name][m].get(customer, (None,))[0] != self.at(name, moment)[customer][0]:
                break
            begun = m
        return begun


def table(found: dict) -> pa.Table:
    columns = list(zip(*found.values(), strict=True)) or [(), (), ()]
    types = (pa.string(), pa.float64(), pa.string())
    arrays = [pa.array(c, t) for c, t in zip(columns, types, strict=True)]
    return pa.table([pa.array(list(found), pa.int64()), *arrays], ["customer", "segment", "confidence", "reason"])


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(st.lists(run, max_size=9), st.sampled_from([0, 3, 1_000]), st.sampled_from([0, 2, 50]))
def test_members_of_every_moment_are_those_of_plain_dictionaries(runs, inline_rows, most_parts) -> None:
    with tempfile.TemporaryDirectory() as root, create_store(root, buckets=1) as store:
        parts = store.members.parts
        parts.inline_rows, parts.most_parts, parts.few_rows = inline_rows, most_parts, 8
        plain, moment = Plain(), 0
        for step, found in runs:
            moment += step
            placed = [Placed(name, 1, table(found[name])) for name in found]
            store.members.publish(placed, as_of=moment, now=moment)
            for name in found:
                plain.say(name, moment, found[name])
        for name in plain.moments:
            compare(store, plain, name, moment)
        replay(store, plain, moment)
        assert store.verify() == []


def compare(store, plain: Plain, name: str, last: int) -> None:
    now = {r["customer"]: (r["segment"], r["confidence"], r["reason"]) for r in store.members.current(name).to_pylist()}
    assert now == plain.at(name, last)
    for moment in range(-1, last + 2):
        members = store.members.at(name, moment).to_pylist()
        assert {r["customer"]: r["segment"] for r in members} == {c: s[0] for c, s in plain.at(name, moment).items()}
        assert all(r["since"] == plain.since(name, r["customer"], moment) for r in members)
        before = store.members.before(name, moment)
        assert before.select(["customer", "segment", "since"]) == store.members.at(name, moment - 1).select(
            ["customer", "segment", "since"]
        )


def replay(store, plain: Plain, last: int) -> None:
    inside: dict[tuple, str] = {}
    numbers: dict[tuple, int] = {}
    transitions = store.members.outbox("replay", limit=10_000)
    assert [t.seq for t in transitions] == list(range(1, len(transitions) + 1))
    for t in transitions:
        key = (t.name, t.customer)
        assert t.number == numbers.get((*key, t.segment), 0) + 1
        numbers[*key, t.segment] = t.number
        if t.change == "entered":
            assert key not in inside
            inside[key] = t.segment
        else:
            assert inside.pop(key) == t.segment
    said = {(name, c): s[0] for name in plain.moments for c, s in plain.at(name, last).items()}
    assert inside == said
