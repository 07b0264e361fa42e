"""A loop that dies anywhere, or that others overtake, tells the same history: no transition is lost, and none is told twice.

One story is told by a loop that lives through it; then again by loops that end before or after some call to the store,
whichever it is, and by loops among whose ticks somebody else works on the same store.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import Span
from kohort.live.audit import audit
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import iso, parse_instant
from kohort.segments.run_rules import run, turn
from kohort.store import create_store, open_store

START = parse_instant("2026-03-01T12:00:00Z")
MINUTE = 60_000_000
CI = os.environ.get("CI") == "true"


def text(rule: str) -> RuleText:
    return RuleText(rule, parse_rule(rule))


def tier(key: str, rule: str, **more: Any) -> Part:
    return Part(key, rule=text(rule), **more)


DEFINITIONS = (
    SegmentDefinition("active", "rule", (tier("active", "did('buy', within => '10 minutes')"),)),
    SegmentDefinition(
        "value",
        "tiers",
        (
            tier("high", "did('buy', at_least => 2, within => '20 minutes')", minimum_stay=Span(30, "minute")),
            tier("low", "did('buy', within => '5 minutes')", keep=text("did('buy', within => '1 hour')")),
        ),
    ),
    SegmentDefinition("looked", "rule", (tier("looked", "did('look') and not in_segment('value', 'high')"),)),
)
GIVEN = Given("1", DEFINITIONS, {}, (), SegmentSettings(), "UTC", "EUR")


def event(number: int, minute: int, name: str, **who: str) -> Arrival:
    at = START + minute * MINUTE
    payload = {"type": "track", "event": name, "messageId": f"m{number}", "timestamp": iso(at), **who}
    return Arrival(payload, at, "shop", str(number))


IDENTIFIED = {"type": "identify", "messageId": "m5", "userId": "cleo", "anonymousId": "browser"}
STORY: tuple[tuple[int, tuple[Arrival, ...]], ...] = (
    (0, ()),
    (1, (event(1, 1, "buy", userId="ana"), event(2, 1, "look", userId="bob"))),
    (2, (event(3, 2, "buy", userId="bob"), event(4, 2, "look", anonymousId="browser"))),
    (3, (Arrival(IDENTIFIED | {"timestamp": iso(START + 3 * MINUTE)}, START + 3 * MINUTE, "shop", "5"),)),
    (15, (event(6, 14, "buy", userId="ana"), event(1, 1, "buy", userId="ana"))),
    (16, (event(7, 4, "buy", userId="bob"), event(8, 16, "buy", userId="cleo"))),
    (120, ()),
    (121, (event(9, 121, "buy", userId="bob"),)),
    (130, ()),
)
"""Minute, and what comes in: late and repeated events, a visitor who says who she is, hours in which only time passes."""


class Died(BaseException):
    """The process ends here."""


class Life:
    """Counts the calls to the store, and ends at one of them."""

    def __init__(self, ends: int | None = None) -> None:
        self.ends, self.steps = ends, list[str]()

    def step(self, what: str) -> None:
        self.steps.append(what)
        if len(self.steps) - 1 == self.ends:
            raise Died(what)


class Mortal:
    """A store, or a part of it, before and after each of whose calls a life may end."""

    PARTS = frozenset({"ticks", "log", "members", "state", "vault", "links", "by_hand"})
    MADE = frozenset({"major", "appender"})

    def __init__(self, target: Any, life: Life) -> None:
        self._target, self._life = target, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name in self.PARTS:
            return Mortal(found, self._life)
        if not callable(found):
            return found

        def call(*given: Any, **named: Any) -> Any:
            self._life.step(f"before {name}")
            result = found(*given, **named)
            self._life.step(f"after {name}")
            return Mortal(result, self._life) if name in self.MADE else result

        return call


class Shop:
    """A workspace, the loop that keeps it current, and its clock."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self.script, self.life = root, START, Script(), Life()
        self.store = create_store(root, buckets=2)

    def begin(self, life: Life | None = None) -> None:
        """A loop that lives as long as that."""
        self.life = life or Life()
        pace = Pace(watch=0, note=0, run=600)
        store: Any = Mortal(self.store, self.life)
        self.loop = Loop(store, lambda: GIVEN, [self.script], clock=lambda: self.now, pace=pace)

    def end(self) -> None:
        """The process ends without a word, and what it left is opened by the next one."""
        self.store.close()
        self.store = open_store(self.root)

    def until(self, minute: int, *arrivals: Arrival) -> None:
        """What comes in by then has its effect, however often the process ends on the way."""
        self.now = START + minute * MINUTE
        self.script.add(*arrivals)
        try:
            self.tick()
        except Died:
            self.end()
            self.begin()
            self.tick()

    def tick(self) -> None:
        while self.loop.tick().more:
            pass

    def history(self) -> list[tuple[Any, ...]]:
        """Everything that was told, by name: who entered or left what, for which time, when."""
        rows = self.store.members.transitions().to_pylist()
        refs = self.store.vault.refs([row["customer"] for row in rows])
        told = [
            (row["at"], row["name"], row["segment"], ref or "visitor", row["change"], row["number"])
            for ref, row in zip(refs, rows, strict=True)
        ]
        return sorted(told)

    def why(self) -> list[tuple[Any, ...]]:
        """Who is where now, since when, and why."""
        found = []
        for name, table in self.store.members.current_together().items():
            refs = self.store.vault.refs(table["customer"].to_numpy())
            rows = zip(refs, table.to_pylist(), strict=True)
            found += [(name, ref or "visitor", row["segment"], row["since"], row["reason"]) for ref, row in rows]
        return sorted(found)


def lived(root: Path, life: Life | None = None, *, between: Callable[[Shop], None] = lambda shop: None) -> Shop:
    """The story in a workspace of its own; `between` happens after every tick."""
    shop = Shop(root)
    shop.begin(life)
    for minute, arrivals in STORY:
        shop.until(minute, *arrivals)
        between(shop)
    assert shop.store.verify() == []
    return shop


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], list[Any], list[Any]]]:
    """The calls of a loop that lives through the story, the history and where everybody ends."""
    shop = lived(tmp_path_factory.mktemp("told") / "w")
    yield shop.life.steps, shop.history(), shop.why()
    shop.store.close()


def test_the_story_is_one(told: Any) -> None:
    """What is compared below says something: entries, exits, moves at instants of their own, other reasons."""
    _, history, why = told
    assert len(history) == 24
    assert {row[0] % MINUTE for row in history} == {0}
    assert (START + 9 * MINUTE, "active", "active", "bob", "left", 2) not in history
    assert (START + 11 * MINUTE, "active", "active", "ana", "left", 2) in history
    assert ("value", "bob", "low", START + 121 * MINUTE, "keep") in why


WRITING = ("commit", "remember", "publish", "prepare", "stored", "bring", "begin_batch", "finish_batch", "declare")


def deaths(steps: list[str], rng: Random, count: int) -> list[int]:
    """Where to die: at calls that write, and at others."""
    writing = [n for n, step in enumerate(steps) if step.split()[1] in WRITING]
    return [*rng.sample(writing, count), *rng.sample(range(len(steps)), count // 2)]


@pytest.mark.parametrize("seed", range(6 if CI else 1))
def test_whenever_the_process_ends_nothing_is_lost_and_nothing_told_twice(told: Any, seed: int, tmp_path: Path) -> None:
    steps, history, why = told
    for n in deaths(steps, Random(seed), 4):
        shop = lived(tmp_path / f"died at {n}", Life(n))
        assert (n, steps[n], shop.history()) == (n, steps[n], history)
        assert (n, steps[n], shop.why()) == (n, steps[n], why)
        shop.store.close()


def tidied(shop: Shop) -> None:
    """What the background does beside the ticks."""
    shop.store.log.compact()
    shop.loop.bring()
    shop.store.members.settle()
    shop.store.members.renew()


def without_its_index(shop: Shop) -> None:
    """The index goes between two processes."""
    shop.store.log.compact()
    folder = shop.store.log.index
    shop.end()
    shutil.rmtree(folder, ignore_errors=True)
    shop.begin()


def with_a_damaged_index(shop: Shop) -> None:
    """Every file of the index is cut, or holds other bytes, when the next process comes."""
    shop.store.log.compact()
    shop.loop.bring()
    folder = shop.store.log.index
    shop.end()
    for n, file in enumerate(sorted(f for f in folder.rglob("*") if f.is_file())):
        held = file.read_bytes()
        file.chmod(0o600)
        file.write_bytes(held[: len(held) // 2] if n % 2 else bytes(b ^ 0x5A for b in held))
    shop.begin()


def run_by_somebody_else(shop: Shop) -> None:
    """Another process runs all definitions, a second later: nothing is due then."""
    with open_store(shop.root) as other, turn(other):
        run(
            other,
            DEFINITIONS,
            as_of=shop.now + 1_000_000,
            now=shop.now + 1_000_000,
            zone="UTC",
            currency="EUR",
            features=(),
            settings=SegmentSettings(),
        )


SOME = {START + minute * MINUTE for minute in (2, 15, 120)}
"""After these ticks what costs a new process happens; the story goes on between them."""


@pytest.mark.parametrize("between", [tidied, without_its_index, with_a_damaged_index, run_by_somebody_else])
def test_whatever_happens_between_ticks_the_history_is_the_same(told: Any, between: Any, tmp_path: Path) -> None:
    _, history, why = told
    often = between is tidied
    shop = lived(tmp_path / "w", between=lambda shop: between(shop) if often or shop.now in SOME else None)
    assert shop.history() == history
    assert shop.why() == why
    assert audit(shop.store, GIVEN).sound
    shop.store.close()


def test_events_that_somebody_else_brings_in_between_ticks_are_noticed(tmp_path: Path) -> None:
    brought = iter(range(100))

    def ingest(shop: Shop) -> None:
        number = next(brought)
        hot = shop.store.log.snapshot().hot
        if hot is None or number % 3:
            return
        dora = int(shop.store.vault.customers(["dora"])[0])
        one = hot.slice(0, 1).drop_columns(["bucket", "batch"])
        for name, value in (("customer", dora), ("event_id", f"foreign {number}"), ("event", "look")):
            column = pa.array([value], one.schema.field(name).type)
            one = one.set_column(one.column_names.index(name), name, column)
        with open_store(shop.root) as other:
            other.log.append(one, batch=1)

    shop = lived(tmp_path / "w", between=ingest)
    assert next(brought) > 6
    assert [row[4:] for row in shop.history() if row[3] == "dora"] == [("entered", 1)]
    assert audit(shop.store, GIVEN).sound
    shop.store.close()
