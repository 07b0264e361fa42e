"""A real shop's year with segments: eight monthly runs agree with plain pandas, and history never changes afterwards."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import kohort
from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.definitions.segments_text import read_segments
from kohort.definitions.yaml_text import read_yaml
from kohort.model.clock import parse_instant
from kohort.model.event import Event
from kohort.model.membership import Difference
from kohort.segments.accounts import account_names
from kohort.segments.by_hand import put_in, reset, take_out
from kohort.segments.dry_run import dry_run
from kohort.segments.evaluate import bucket_key
from kohort.segments.listing import describe_all
from kohort.segments.overlap import overlap
from kohort.segments.remove import remove
from kohort.segments.run_rules import RunReport, run
from kohort.testing.naive_segments import Situation, members

pytestmark = pytest.mark.slow

DAY = 86_400_000_000
ZONE = "Europe/London"
DATES = [f"2010-{month:02}-28" for month in range(3, 11)]
YAML = """
big:
  rule: sum('order_line', line_kind = 'goods', within => '180 days').amount >= 1000
  keep: sum('order_line', line_kind = 'goods', within => '180 days').amount >= 800
value:
  tiers:
    gold: sum('order_line', line_kind = 'goods').amount >= 5000
    silver: sum('order_line', line_kind = 'goods').amount >= 1000
    bronze: sum('order_line', line_kind = 'goods').amount > 0
life:
  stages:
    new: {rule: "days_since_first('order_line') <= 60", then: [active, lost]}
    active: {rule: "did('order_line', within => '60 days')", minimum_stay: 90 days}
    sleeping: did('order_line', within => '120 days')
    lost: did('order_line')
slipping: in_segment('value', 'gold') and never('order_line', within => '60 days')
split: {buckets: {test: 20, control: 20}, salt: spring}
friends: {by_hand: true}
markets:
  accounts:
    any: in_segment('value', 'gold')
"""
SETTINGS = SegmentSettings(accounts="p_country")


def definitions(text: str = YAML) -> tuple[SegmentDefinition, ...]:
    document = read_yaml(text, "segments")
    found = read_segments(document, document.data, ())
    document.finish()
    return found


def moment(date: str) -> int:
    return parse_instant(date, zone=ZONE)


def run_at(ws: kohort.Workspace, date: str, **more: Any) -> RunReport:
    given = {"zone": ws.zone, "currency": ws.currency, "features": ws.definitions(), "settings": SETTINGS}
    wanted = more.pop("definitions", None) or definitions()
    return run(ws.store, wanted, as_of=moment(date), now=moment(date) + 5, **given, **more)


@dataclass
class Story:
    """The shop after eight runs: its folder, what each run left, and every line it ever sold."""

    root: Path
    left: dict[str, dict[str, dict[Any, str]]]
    lines: pd.DataFrame

    def seen(self, date: str) -> pd.DataFrame:
        return self.lines[self.lines.ts <= moment(date)]

    def goods(self, date: str, days: int | None = None) -> pd.Series:
        """Amount of goods per customer of the universe, in the window."""
        seen = self.seen(date)
        recent = seen if days is None else seen[seen.ts > moment(date) - days * DAY]
        sums = recent[recent.line_kind == "goods"].groupby("customer").amount.sum()
        return sums.reindex(seen.customer.unique(), fill_value=0) / 100

    def since(self, date: str, how: str) -> pd.Series:
        """Days from each customer's first ("min") or last ("max") line."""
        return (moment(date) - self.seen(date).groupby("customer").ts.agg(how)) / DAY


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    root = tmp_path_factory.mktemp("segments") / "shop"
    data = Path(kohort.__file__).parent / "data" / "online_retail_ii"
    left = {}
    with kohort.create(root, timezone=ZONE, currency="GBP") as ws:
        ws.ingest(data / "year_2009_2010.parquet")
        for date in DATES:
            report = run_at(ws, date)
            assert not report.failed
            left[date] = {d.name: now(ws, d.name) for d in definitions()}
        snapshot = ws.store.log.snapshot()
        files = [f for some in snapshot.files.values() for f in some]
        columns = ["customer", "ts", "event_id", "event", "line_kind", "amount", "p_country"]
        tables = [pq.read_table(f, columns=columns, partitioning=None) for f in files]
        if snapshot.hot is not None:
            tables.append(snapshot.hot.select(columns))
        whole = pa.concat_tables(tables, promote_options="permissive")
        # Without nulls, so that pandas keeps whole numbers.
        lines = whole.filter(
            pc.and_(pc.is_valid(whole["customer"]), pc.equal(whole["event"], "order_line"))
        ).to_pandas()
    return Story(root, left, lines)


@pytest.fixture
def copy(story: Story, tmp_path: Path) -> Iterator[kohort.Workspace]:
    """The same shop, to change."""
    shutil.copytree(story.root, tmp_path / "shop")
    with kohort.open(tmp_path / "shop") as ws:
        yield ws


def now(ws: kohort.Workspace, name: str) -> dict[int, str]:
    return who(ws.store.members.current(name))


def who(table: pa.Table) -> dict[int, str]:
    return dict(zip(table["customer"].to_pylist(), table["segment"].to_pylist(), strict=True))


# Members ------------------------------------------------------------------------------------------------------------


def test_a_rule_that_keeps_agrees_with_pandas_month_by_month(story: Story) -> None:
    inside: set[int] = set()
    for date in DATES:
        goods = story.goods(date, 180)
        inside = set(goods[goods >= 1000].index) | {c for c in inside if goods[c] >= 800}
        assert set(story.left[date]["big"]) == inside
    assert len(inside) > 500


def test_tiers_agree_with_pandas_and_every_customer_is_in_one_at_most(story: Story) -> None:
    for date in DATES:
        goods = story.goods(date)
        goods = goods[goods > 0]
        tier = np.select([goods >= 5000, goods >= 1000], ["gold", "silver"], "bronze")
        assert story.left[date]["value"] == dict(zip(goods.index.tolist(), tier.tolist(), strict=True))


def test_stages_agree_with_a_loop_that_remembers(story: Story) -> None:
    then = {"new": {"active", "lost"}}
    standing: dict[int, tuple[str, int]] = {}
    for date in DATES:
        as_of, first, last = moment(date), story.since(date, "min"), story.since(date, "max")
        moves = 0
        for customer in first.index:
            found = (
                "new"
                if first[customer] <= 60
                else "active"
                if last[customer] < 60
                else "sleeping"
                if last[customer] < 120
                else "lost"
            )
            stage, since = standing.get(customer, ("", 0))
            stays = (stage == "active" and since > as_of - 90 * DAY) or (stage in then and found not in then[stage])
            if found != stage and not (stage and stays):
                moves += bool(stage)
                standing[customer] = (found, as_of)
        assert story.left[date]["life"] == {c: stage for c, (stage, _) in standing.items()}, date
    assert moves > 100


def test_stages_agree_with_the_naive_judge_for_a_sample(story: Story) -> None:
    date, chance = DATES[4], random.Random(3)
    sample = chance.sample(sorted(story.left[date]["life"]), 60)
    people = {
        c: [
            Event(r.event_id, c, "order_line", r.ts, {"line_kind": r.line_kind, "amount": r.amount})
            for r in rows.itertuples()
        ]
        for c, rows in story.lines[story.lines.customer.isin(sample)].groupby("customer")
    }
    with kohort.open(story.root) as ws:
        wanted = [d for d in definitions() if d.name in ("big", "value", "life", "slipping", "split")]
        stood = {
            (d.name, row["customer"]): (row["segment"], row["since"])
            for d in wanted
            for row in ws.store.members.before(d.name, moment(date)).to_pylist()
        }
        situation = Situation(
            moment(date), zone=ZONE, currency="GBP", settings=SETTINGS, key=bucket_key(ws.store), standing=stood
        )
    found = members(wanted, people, situation)
    for definition in wanted:
        verdicts = {c: found[definition.name][c].part for c in sample}
        assert verdicts == {c: story.left[date][definition.name].get(c) for c in sample}, definition.name


def test_a_reference_sees_the_same_moment(story: Story) -> None:
    for date in DATES:
        goods, last = story.goods(date), story.since(date, "max")
        assert set(story.left[date]["slipping"]) == set(goods[(goods >= 5000) & (last >= 60)].index)
    assert any(story.left[date]["slipping"] for date in DATES)


def test_accounts_are_the_countries_with_a_gold_customer(story: Story) -> None:
    with kohort.open(story.root) as ws:
        for date in DATES:
            seen, goods = story.seen(date), story.goods(date)
            gold = set(goods[goods >= 5000].index)
            countries = set(seen[seen.customer.isin(gold)].p_country.dropna())
            assert set(account_names(ws.store, list(story.left[date]["markets"]))) == countries


def test_random_buckets_are_fair_and_nobody_ever_changes_sides(story: Story) -> None:
    last = story.left[DATES[-1]]["split"]
    everybody = story.seen(DATES[-1]).customer.nunique()
    for side in ("test", "control"):
        share = sum(s == side for s in last.values()) / everybody
        assert abs(share - 0.2) < 4 * (0.2 * 0.8 / everybody) ** 0.5
    for date in DATES:
        assert story.left[date]["split"].items() <= last.items()


# History --------------------------------------------------------------------------------------------------------------


def test_any_past_moment_can_be_asked(story: Story) -> None:
    with kohort.open(story.root) as ws:
        for date in DATES:
            for name, left in story.left[date].items():
                assert who(ws.store.members.at(name, moment(date) + 3 * DAY)) == left
        assert who(ws.store.members.at("value", moment(DATES[0]) - 1)) == {}


def test_every_change_stands_once_in_the_log_and_adds_up(story: Story) -> None:
    with kohort.open(story.root) as ws:
        rows = ws.store.members.transitions(limit=10**6).to_pandas()
        runs = {d.name: ws.store.members.runs(d.name) for d in definitions()}
        sizes = {d.name: d.size for d in describe_all(ws.store, definitions())}
    assert rows.seq.tolist() == list(range(1, len(rows) + 1))
    keys = rows.groupby(["name", "segment", "customer"])
    assert (keys.cumcount() + 1 == rows.number).all(), "entries and exits take turns, 1, 2, 3 …"
    assert ((rows.number % 2 == 1) == (rows.change == "entered")).all()
    signs = rows.change.map({"entered": 1, "left": -1})
    assert {n: int(s) for n, s in signs.groupby(rows.name).sum().items()} == {n: s for n, s in sizes.items() if s}
    first = rows["at"] == moment(DATES[0])
    assert (rows.backfill == first).all(), "only what the new definitions found on their first day is backfill"
    for name, told in runs.items():
        assert len(told) == len(DATES)
        assert sum(r["entered"] - r["left"] for r in told) == sizes[name]


def test_the_same_runs_again_and_a_saved_label_change_nothing(copy: kohort.Workspace) -> None:
    before = copy.store.members.last_transition()
    run_at(copy, DATES[-1])
    labelled = tuple(replace(d, label=f"{d.name} again", description="…") for d in definitions())
    report = run_at(copy, DATES[-1], definitions=labelled)
    assert copy.store.members.last_transition() == before
    assert not any(o.backfill for o in report.outcomes)


RUNNER = """
    import sys, kohort
    sys.path.insert(0, sys.argv[1])
    from test_segments_story import run_at
    with kohort.open(sys.argv[2]) as ws:
        ws.definitions()
        print("ready", flush=True)
        run_at(ws, sys.argv[3])
        print("done", flush=True)
"""


def test_a_run_killed_at_any_point_can_be_run_again_and_nothing_is_said_twice(story: Story, tmp_path: Path) -> None:
    root = tmp_path / "killed"
    data = Path(kohort.__file__).parent / "data" / "online_retail_ii"
    chance, interrupted = random.Random(6), 0
    with kohort.create(root, timezone=ZONE, currency="GBP") as ws:
        ws.ingest(data / "year_2009_2010.parquet")
    for date in DATES:
        arguments = [str(Path(__file__).parent), str(root), date]
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(RUNNER), *arguments], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(chance.uniform(0.02, 0.4))  # somewhere in the run, wherever that is
        child.send_signal(signal.SIGKILL)
        interrupted += child.stdout.read() == ""
        child.wait()
        with kohort.open(root) as ws:
            assert not run_at(ws, date).failed
    with kohort.open(root) as ws, kohort.open(story.root) as calm:
        numbers, others = (w.store.vault for w in (ws, calm))
        assert told(ws, numbers.refs) == told(calm, others.refs)
        assert ws.store.verify() == []
    assert interrupted >= 1, "some were killed before they were done"


def told(ws: kohort.Workspace, refs: Callable[[list[int]], list[str | None]]) -> list[tuple[Any, ...]]:
    """Every transition but those of random buckets (each workspace has its own key), under the company's numbers."""
    rows = [r for r in ws.store.members.transitions(limit=10**6).to_pylist() if r["name"] != "split"]
    names = refs([r["customer"] for r in rows])
    return sorted(
        (r["name"], r["segment"], str(n), r["number"], r["change"], r["at"], r["version"])
        for n, r in zip(names, rows, strict=True)
    )


# People and edits -----------------------------------------------------------------------------------------------------


def test_what_people_decide_survives_runs_and_reaches_what_refers_to_it(story: Story, copy: kohort.Workspace) -> None:
    date = DATES[-1]
    gold = next(c for c, part in story.left[date]["value"].items() if part == "gold")
    poor = next(c for c, part in story.left[date]["value"].items() if part == "bronze")
    put_in(copy.store, definitions(), "value", [poor], part="gold", by="kim", note="a friend of the house")
    take_out(copy.store, definitions(), "value", [gold], part="gold", by="kim")
    put_in(copy.store, definitions(), "friends", [poor, gold], by="kim")
    put_in(copy.store, definitions(), "big", [poor], by="kim")
    for later in ("2010-11-28", "2010-11-29"):
        run_at(copy, later)
        value = now(copy, "value")
        assert (value[poor], value[gold]) == ("gold", "silver"), "out of gold, the next tier is hers"
        assert now(copy, "friends") == {poor: "friends", gold: "friends"}
        told = {r["name"]: r["reason"] for r in copy.store.members.of_customer(poor).to_pylist()}
        assert (told["value"], told["big"]) == ("by hand", "by hand")
    reset(copy.store, definitions(), "value", [poor, gold], by="kim")
    run_at(copy, "2010-11-30")
    assert (now(copy, "value")[poor], now(copy, "value")[gold]) == ("bronze", "gold")


def test_a_dry_run_foretells_the_run(story: Story, copy: kohort.Workspace) -> None:
    date = DATES[-1]
    easier = definitions(YAML.replace("5000", "4000"))
    [value] = [d for d in easier if d.name == "value"]
    given = {"zone": copy.zone, "currency": copy.currency, "features": copy.definitions(), "settings": SETTINGS}
    before = copy.store.members.last_transition()
    foretold = dry_run(copy.store, definitions(), value, as_of=moment(date), **given)
    goods = story.goods(date)
    risen = goods[(goods >= 4000) & (goods < 5000)]
    assert foretold.edited.by_edit == foretold.edited.next_run
    assert foretold.edited.by_edit == Difference(0, 0, len(risen), len(story.left[date]["value"]) - len(risen))
    [gold] = [p for p in foretold.edited.parts if p.part == "gold"]
    assert (gold.entering, gold.leaving, set(gold.entering_sample) <= set(risen.index)) == (len(risen), 0, True)
    assert {e.name for e in foretold.dependants} == {"slipping", "markets"}
    assert copy.store.members.last_transition() == before, "nothing was written"

    report = run_at(copy, date, definitions=easier)
    assert {o.name for o in report.outcomes if o.backfill} == {"value", "slipping", "markets"}
    assert report.of("value").difference == foretold.edited.next_run
    assert copy.store.members.last_transition() == before + foretold.transitions


def test_what_no_longer_fits_the_data_keeps_its_members_and_harms_nobody_else(
    story: Story, copy: kohort.Workspace
) -> None:
    date, later = DATES[-1], "2010-11-28"
    odd = definitions(YAML.replace("line_kind = 'goods').amount >= 5000", "line_kind = 'goods').p_country >= 5000"))
    report = run_at(copy, later, definitions=odd)
    results = {o.name: o.result for o in report.outcomes}
    assert {n for n, r in results.items() if r == "failed"} == {"value"}
    assert {n for n, r in results.items() if r == "waiting"} == {"slipping", "markets"}
    assert {n for n, r in results.items() if r == "published"} == {"big", "life", "split", "friends"}
    for name in ("value", "slipping", "markets"):
        assert now(copy, name) == story.left[date][name]
    lines = {d.name: d.status for d in describe_all(copy.store, odd)}
    assert "p_country" in lines["value"].error
    assert "'value'" in lines["slipping"].error
    assert (lines["value"].as_of, lines["life"].as_of) == (moment(date), moment(later))


def test_overlap_counts_what_pandas_counts(story: Story) -> None:
    date = DATES[-1]
    with kohort.open(story.root) as ws:
        found = overlap(ws.store, accounts=["markets"], customers=story.seen(date).customer.nunique())
    place = {(g.name, g.segment): i for i, g in enumerate(found.groups)}
    [pair] = [p for p in found.pairs if {p.first, p.second} == {place["big", "big"], place["value", "gold"]}]
    goods, half_year = story.goods(date), set(story.left[date]["big"])
    gold = set(goods[goods >= 5000].index)
    assert pair.both == len(gold & half_year)
    assert pair.jaccard == pytest.approx(len(gold & half_year) / len(gold | half_year))
    assert pair.lift is not None
    assert pair.lift.value == pytest.approx(len(gold & half_year) * len(goods) / (len(gold) * len(half_year)))
    assert pair.lift.low < pair.lift.value < pair.lift.high
    assert not any(found.groups[p.first].name == found.groups[p.second].name for p in found.pairs)
    assert "markets" not in {g.name for g in found.groups}


def test_what_is_removed_leaves_exits_and_its_past(story: Story, copy: kohort.Workspace) -> None:
    with pytest.raises(kohort.KohortError, match="slipping"):
        remove(copy.store, definitions(), "value", as_of=moment("2010-12-01"))
    rest = remove(copy.store, definitions(), "slipping", as_of=moment("2010-12-01"))
    rest = remove(copy.store, rest, "markets", as_of=moment("2010-12-01"))
    rest = remove(copy.store, rest, "value", as_of=moment("2010-12-01"))
    assert [d.name for d in rest] == ["big", "life", "split", "friends"]
    assert who(copy.store.members.at("value", moment(DATES[2]))) == story.left[DATES[2]]["value"]
    gone = copy.store.members.transitions("value", limit=10**6).to_pandas()
    assert (gone.change.map({"entered": 1, "left": -1}).sum(), gone.iloc[-1].change) == (0, "left")
