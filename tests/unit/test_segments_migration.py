"""Movement between dates against counts by hand and scipy's intervals; alarms are rarely false and find what is large;
what staying rules avoided, replayed with the naive judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import Span
from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.clock import DAY_US, micros, moment
from kohort.model.event import Event
from kohort.model.membership import Placed
from kohort.model.share import wilson
from kohort.segments.alarms import FALSE_ALARMS, Period, alarms, suggested
from kohort.segments.hysteresis import hysteresis, replay
from kohort.segments.migration import Migration, Run, compare, migration, period_starts, series
from kohort.store import create_store
from kohort.store.store import Store
from kohort.testing.naive_segments import Situation, members
from kohort.testing.worlds import event_table


def day(text: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


def rows(**parts: Sequence[int]) -> pa.Table:
    pairs = sorted((customer, part) for part, customers in parts.items() for customer in customers)
    return pa.table(
        {
            "customer": pa.array([c for c, _ in pairs], pa.int64()),
            "segment": pa.array([p for _, p in pairs], pa.string()),
            "confidence": pa.nulls(len(pairs), pa.float64()),
            "reason": pa.nulls(len(pairs), pa.string()),
        }
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    history = [
        ("2024-01-15", 1, rows(gold=[1, 2, 3], silver=[4, 5])),
        ("2024-02-20", 1, rows(gold=[1, 2, 4], silver=[3, 6])),
        ("2024-03-10", 1, rows(gold=[1, 2, 4], silver=[3, 6, 7])),
        ("2024-05-10", 2, rows(gold=[1], silver=[2, 3, 4, 6, 7])),
    ]
    with create_store(tmp_path_factory.mktemp("migration")) as store:
        for at, version, table in history:
            store.members.publish([Placed("value", version, table)], as_of=day(at), now=day(at))
        yield store


LABELS = {"gold": "Gold", "silver": "Silver"}


def test_the_matrix_is_what_a_count_by_hand_gives(store: Store) -> None:
    moved = migration(store, "value", day("2024-01-31"), day("2024-02-29"), labels=LABELS)
    assert {(c.source, c.target): c.customers for c in moved.cells} == {
        ("gold", "gold"): 2,
        ("gold", "silver"): 1,
        ("silver", "gold"): 1,
        ("silver", ""): 1,
        ("", "silver"): 1,
    }
    shares = {(c.source, c.target): c.share for c in moved.cells}
    assert shares["gold", "silver"] == pytest.approx(1 / 3)
    assert shares["", "silver"] is None
    assert (moved.entered, moved.left, moved.moved, moved.stayed) == (1, 1, 2, 2)
    assert moved.mobility is not None
    assert moved.mobility.value == 0.5
    gold = moved.parts[0]
    assert (gold.label, gold.before, gold.after, gold.entered, gold.left) == ("Gold", 3, 3, 1, 1)
    assert gold.stayed is not None
    assert gold.stayed.value == pytest.approx(2 / 3)
    assert moved.rerun
    assert not moved.redefined


def test_margins_add_up(store: Store) -> None:
    for moved in series(store, "value", zone="UTC", labels=LABELS):
        for part in moved.parts:
            assert sum(c.customers for c in moved.cells if c.source == part.segment) == part.before
            assert sum(c.customers for c in moved.cells if c.target == part.segment) == part.after
        assert sum(p.before for p in moved.parts) == moved.left + moved.moved + moved.stayed
        assert sum(p.after for p in moved.parts) == moved.entered + moved.moved + moved.stayed


def test_months_without_a_run_and_with_another_definition_say_so(store: Store) -> None:
    months = series(store, "value", zone="UTC")
    assert [moment(m.start).month for m in months] == [2, 3, 4, 5]
    assert [m.rerun for m in months] == [True, True, False, True]
    assert [m.redefined for m in months] == [False, False, False, True]
    assert "No run" in months[2].text
    assert "changed in between" in months[3].text
    assert [m.start for m in series(store, "value", zone="UTC", last=2)] == [m.start for m in months[2:]]


def test_what_cannot_be_known_is_said(store: Store) -> None:
    with pytest.raises(NotEnough, match="2024-01-15"):
        migration(store, "value", day("2024-01-01"), day("2024-02-01"))
    with pytest.raises(WrongUsage):
        migration(store, "value", day("2024-02-01"), day("2024-02-01"))
    with pytest.raises(NotFound):
        migration(store, "velue", day("2024-01-01"), day("2024-02-01"))


def test_local_periods_begin_at_local_midnight() -> None:
    starts = period_starts(day("2024-01-01"), day("2024-05-01"), "Europe/London", "month")
    assert [moment(s).isoformat()[:13] for s in starts] == [
        "2024-01-01T00", "2024-02-01T00", "2024-03-01T00", "2024-03-31T23", "2024-04-30T23",
    ]  # fmt: skip
    assert [moment(s).month for s in period_starts(day("2023-12-31"), day("2024-12-31"), "UTC", "quarter")] == [
        1,
        4,
        7,
        10,
    ]
    assert len(period_starts(day("2020-06-01"), day("2024-06-01"), "UTC", "year")) == 4


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (1, 3), (50, 100), (997, 1000), (3, 100_000)])
def test_intervals_are_wilsons(hits: int, n: int) -> None:
    found, known = wilson(hits, n), stats.binomtest(hits, n).proportion_ci(0.95, "wilson")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-12)


def test_random_matrices_agree_with_a_loop() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        was, now = ({int(c): str(rng.choice(["a", "b", "c"])) for c in rng.choice(60, 40, False)} for _ in "xy")
        counted: dict[tuple[str, str], int] = {}
        for customer in was.keys() | now.keys():
            pair = (was.get(customer, ""), now.get(customer, ""))
            counted[pair] = counted.get(pair, 0) + 1
        tables = [rows(**{p: [c for c, q in m.items() if q == p] for p in "abc"}) for m in (was, now)]
        found = compare("x", *tables, dates=(0, 1), runs=(Run(0, 1), Run(1, 1)), labels={})
        assert {(c.source, c.target): c.customers for c in found.cells} == counted


# Alarms --------------------------------------------------------------------------------------------------------------


def test_a_long_history_suggests_what_the_known_distribution_does() -> None:
    rng = np.random.default_rng(1)
    a, b, n = 6.0, 54.0, 400
    past = [Period(int(k), n) for k in rng.binomial(n, rng.beta(a, b, 400))]
    low, high = suggested(past, n, 0.1, seed=2)
    known = stats.betabinom(n, a, b)
    assert abs(low - known.ppf(0.05)) <= 4
    assert abs(high - known.ppf(0.95)) <= 6


def test_a_shorter_history_suggests_more() -> None:
    periods = [Period(k, 1000) for k in (48, 52, 55, 47, 50, 51, 49, 53, 46, 54, 50, 52)]
    widths = [high - low for low, high in (suggested(periods[:t], 1000, 0.05) for t in (4, 8, 12))]
    assert widths[0] > widths[1] > widths[2]
    low, high = suggested(periods, 1000, 0.05)
    binomial = stats.binom(1000, 0.0507)
    assert low <= binomial.ppf(0.025)
    assert high >= binomial.ppf(0.975)


def test_the_same_numbers_give_the_same_answer() -> None:
    past = [Period(5, 100), Period(6, 100), Period(4, 100), Period(5, 100)]
    assert suggested(past, 100, 0.01, seed=3) == suggested(past, 100, 0.01, seed=3)


def history(rng: np.random.Generator, periods: int, *, share: float, strength: float, last: float | None = None) -> Any:
    """A made-up definition with two parts: who leaves is binomial with a share that varies by period."""
    sizes: dict[str, int] = {"a": 3000, "b": 800}
    found = []
    for t in range(periods):
        parts = []
        for key, size in sizes.items():
            p, q = rng.beta(share * strength, (1 - share) * strength, 2)
            if last is not None and t == periods - 1:
                p = last
            left, after = int(rng.binomial(size, p)), size
            entered = int(rng.binomial(after, q))
            parts.append(SimpleNamespace(segment=key, label=key, before=size, after=after, entered=entered, left=left))
        found.append(SimpleNamespace(name="x", start=t, end=t + 1, parts=tuple(parts), rerun=True, redefined=False))
    return found


def test_alarms_are_rarely_false() -> None:
    rng = np.random.default_rng(11)
    tried = [(t, strength) for t in (5, 8, 13) for strength in (40, 300, 5000) for _ in range(3)]
    raised = sum(bool(alarms(history(rng, t, share=0.08, strength=k)).raised) for t, k in tried)
    # 27 made-up histories in which nothing happens: more alarms than this come by chance in 2 of 100 such tests.
    assert raised <= stats.binom(len(tried), FALSE_ALARMS).ppf(0.98)


@pytest.mark.slow
def test_alarms_are_rarely_false_in_many_histories() -> None:
    rng = np.random.default_rng(12)
    tried = [(t, strength) for t in (5, 7, 13) for strength in (20, 100, 1000, 20_000) for _ in range(25)]
    raised = sum(bool(alarms(history(rng, t, share=0.1, strength=k)).raised) for t, k in tried)
    assert raised <= stats.binom(len(tried), FALSE_ALARMS).ppf(0.99)


def test_what_is_large_is_found_and_said() -> None:
    rng = np.random.default_rng(4)
    found = alarms(history(rng, 9, share=0.05, strength=2000, last=0.25))
    assert {(a.segment, a.watched) for a in found.raised} == {("a", "left"), ("b", "left")}
    assert found.raised[0].text.endswith("that its history suggests.")
    assert "more than the" in found.raised[0].text


def test_too_little_history_is_an_answer() -> None:
    rng = np.random.default_rng(4)
    found = alarms(history(rng, 4, share=0.05, strength=2000, last=0.9))
    assert not found.enough
    assert found.periods == 3
    assert found.raised == ()
    assert all(a.unusual is None for a in found.alarms)
    assert found.text == "Not enough history: 3 past periods, and 4 are needed."


def test_periods_without_a_run_or_with_another_definition_do_not_count() -> None:
    past = history(np.random.default_rng(4), 8, share=0.05, strength=2000, last=0.5)
    for m in past[:3]:
        m.rerun = False
    past[3].redefined = True
    assert alarms(past).periods == 3
    past[3].redefined = False
    assert alarms(past).enough
    past[-1].redefined = True
    assert not alarms(past).enough
    assert "definition changed" in alarms(past).text


def test_a_period_that_is_not_over_is_not_compared() -> None:
    past = history(np.random.default_rng(4), 9, share=0.05, strength=2000, last=0.0)
    for t, m in enumerate(past):
        m.start, m.end = t * 30 * DAY_US, (t + 1) * 30 * DAY_US
    assert alarms(past).raised
    past[-1].end -= 20 * DAY_US
    found = alarms(past)
    assert (found.start, found.periods) == (past[-2].start, 7)
    assert not found.raised


def test_a_real_series_goes_in(store: Store) -> None:
    found = alarms(series(store, "value", zone="UTC", labels=LABELS))
    assert found.periods == 2
    assert not found.enough
    assert moment(found.start).month == 4  # May ends with the latest run, on the tenth
    assert found.as_dict()["raised"] == []


# What staying rules changed ------------------------------------------------------------------------------------------


def rule_text(text: str) -> RuleText:
    return RuleText(text, parse_rule(text))


def evaluator(people: Mapping[int, Sequence[Event]]) -> Any:
    """The naive judge in place of an engine."""

    def at(as_of: int) -> Any:
        def evaluate(definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Any:
            stood = {(r["name"], r["customer"]): (r["segment"], r["since"]) for r in standing.to_pylist()}
            verdicts = members(definitions, people, Situation(as_of, standing=stood))
            placed = {
                name: pa.Table.from_pylist(
                    [{"customer": c, "segment": v.part, "reason": v.reason} for c, v in who.items() if v.part],
                    pa.schema([("customer", pa.int64()), ("segment", pa.string()), ("reason", pa.string())]),
                )
                for name, who in verdicts.items()
            }
            return SimpleNamespace(placed=placed)

        return evaluate

    return at


NONE_STANDING = pa.schema(
    [("customer", pa.int64()), ("name", pa.string()), ("segment", pa.string()), ("since", pa.int64())]
)


def replayed(definition: SegmentDefinition, people: Mapping[int, Sequence[Event]], moments: Sequence[int]) -> Any:
    return hysteresis(
        evaluator(people), [definition], moments, by_hand=pa.table({}), elsewhere=lambda at: NONE_STANDING.empty_table()
    )


def test_staying_rules_avoid_what_a_count_by_hand_says() -> None:
    # Orders on days 0, 20, 40 …: with a window of 10 days she is in and out in turn; staying 30 days, she stays in.
    people = {1: [Event(f"e{n}", 1, "order", n * 20 * DAY_US) for n in range(6)]}
    within = rule_text("did('order', within => '10 days')")
    part = Part("s", rule=within, minimum_stay=Span(30, "day"))
    moments = [d * DAY_US for d in range(5, 105, 10)]
    found = replayed(SegmentDefinition("s", "rule", (part,)), people, moments)
    assert [p.without for p in found.periods] == [1] * 9  # in on day 5, out on day 15, in on day 25 …
    # In from day 5 to 35 by staying, out on day 35 (not in the window, stay over), in again on day 45 …
    assert [p.with_staying for p in found.periods] == [0, 0, 1, 1, 0, 0, 1, 1, 0]
    assert (found.avoided, found.without) == (5, 9)
    assert found.staying == {"keep": 0, "minimum stay": 1, "not allowed yet": 0}
    assert found.text == "Over 9 periods, staying rules avoided 5 of 9 entries, exits and moves."


def test_keep_holds_and_a_definition_without_memory_is_refused() -> None:
    people = {1: [Event(f"e{n}", 1, "order", n * 20 * DAY_US) for n in range(6)]}
    within, keep = rule_text("did('order', within => '10 days')"), rule_text("did('order', within => '25 days')")
    moments = [d * DAY_US for d in range(5, 105, 10)]
    found = replayed(SegmentDefinition("s", "rule", (Part("s", rule=within, keep=keep),)), people, moments)
    assert found.avoided == found.without == 9
    with pytest.raises(WrongUsage):
        replayed(SegmentDefinition("s", "rule", (Part("s", rule=within),)), people, moments)
    with pytest.raises(NotEnough):
        replayed(SegmentDefinition("s", "rule", (Part("s", rule=within, keep=keep),)), people, moments[:1])


def test_the_engine_replays_what_the_judge_does(tmp_path: Path) -> None:
    events = [Event(f"e{n}", 7, "order", n * 20 * DAY_US, {"local_day": n * 20, "local_hour": 0}) for n in range(6)]
    part = Part("s", rule=rule_text("did('order', within => '10 days')"), minimum_stay=Span(30, "day"))
    definition = SegmentDefinition("s", "rule", (part,))
    moments = [d * DAY_US for d in range(5, 105, 10)]
    with create_store(tmp_path) as store:
        store.log.append(event_table(events, {}, 16), batch=1)
        found = replay(
            store, [], definition, moments, zone="UTC", currency="EUR", features=(), settings=SegmentSettings()
        )
    assert found == replayed(definition, {7: events}, moments)


def test_the_docs_name_every_key(store: Store) -> None:
    page = (Path(__file__).parents[2] / "docs" / "movement.md").read_text()
    found = series(store, "value", zone="UTC")
    keys = found[0].as_dict().keys() | alarms(found).as_dict().keys() | set(alarms(found).as_dict()["alarms"][0])
    assert {k for k in keys if f"`{k}`" not in page} == set()


def test_json_has_dates(store: Store) -> None:
    moved: Migration = migration(store, "value", day("2024-02-01"), day("2024-03-01"))
    told = moved.as_dict()
    assert told["start"] == "2024-02-01T00:00:00Z"
    assert told["before"] == {"as_of": "2024-01-15T00:00:00Z", "version": 1}
