"""Runs: published together, repeatable, one failing definition harms no other; by hand, dry runs, overlap, removal.

The naive evaluator stands in for the engine, so that what is proved here is what the run makes of an evaluation.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kohort.definitions.features import Selection, parse_features
from kohort.definitions.rules.tree import Compare, Did, InSegment, Named, Not, Rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import Span, Window
from kohort.errors import BadInput, Damaged, NotFound, RefusedDefinition, WrongUsage
from kohort.model.event import ColumnType, Event
from kohort.model.membership import Difference, Placed
from kohort.model.segmentation import Segment, Segmentation, Structure
from kohort.segments.accounts import RESERVED, account_names
from kohort.segments.by_hand import put_in, reset, take_out
from kohort.segments.definitions import checked
from kohort.segments.dry_run import dry_run_with
from kohort.segments.evaluate import Question
from kohort.segments.listing import describe_all
from kohort.segments.overlap import lift, overlap, together
from kohort.segments.remove import remove
from kohort.segments.run_rules import RunReport, run_with
from kohort.store import create_store
from kohort.store.store import Store
from kohort.testing.naive_segments import Situation, members

DAY = 86_400_000_000
CONSENT = SegmentSettings(consent=(("marketing", "t_ok"),), accounts="t_company")
COLUMNS: dict[str, ColumnType] = {"t_ok": "flag", "t_company": "text"}


def did(event: str, times: int = 1, days: int | None = None) -> Rule:
    window = Window(Span(days, "day")) if days else Window()
    return Did(Selection((event,), None, window), "at_least", times)


def text(rule: Rule) -> RuleText:
    """The rule under a text that tells it apart; nothing here reads texts."""
    return RuleText(repr(rule), rule)


def rule(name: str, what: Rule, **more: Any) -> SegmentDefinition:
    keep, stay = more.pop("keep", None), more.pop("minimum_stay", None)
    part = Part(name, rule=text(what), keep=text(keep) if keep else None, minimum_stay=stay)
    return SegmentDefinition(name, "rule", (part,), **more)


def tiers(name: str, kind: str = "tiers", **rules: Rule) -> SegmentDefinition:
    return SegmentDefinition(name, kind, tuple(Part(k, rule=text(r)) for k, r in rules.items()))  # type: ignore[arg-type]


@dataclass
class Engine:
    """The naive evaluator as an engine, over people that a test can change. Names in `broken` raise."""

    people: dict[int, list[Event]]
    question: Question
    broken: dict[str, Exception] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)

    def __call__(self, definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Any:
        names = [d.name for d in definitions]
        self.calls.append(names)
        for name in names:
            if name in self.broken:
                raise self.broken[name]
        hand: dict[tuple[str, int], dict[str, bool]] = {}
        for row in by_hand.to_pylist():
            hand.setdefault((row["name"], row["customer"]), {})[row["segment"]] = row["added"]
        stood = {(r["name"], r["customer"]): (r["segment"], r["since"]) for r in standing.to_pylist()}
        situation = Situation(
            self.question.as_of,
            columns=COLUMNS,
            features=self.question.features,
            settings=self.question.settings,
            by_hand=hand,
            standing=stood,
        )
        verdicts = members(definitions, self.people, situation)
        placed, excluded = {}, {}
        for definition in definitions:
            found = verdicts[definition.name]
            inside = {c: v for c, v in found.items() if v.part is not None}
            who, key = ("account", pa.string()) if definition.kind == "accounts" else ("customer", pa.int64())
            placed[definition.name] = pa.table(
                {
                    who: pa.array(list(inside), key),
                    "segment": pa.array([v.part for v in inside.values()], pa.string()),
                    "confidence": pa.nulls(len(inside), pa.float64()),
                    "reason": pa.array([v.reason for v in inside.values()], pa.string()),
                }
            )
            excluded[definition.name] = sum(v.left_out for v in found.values())
        visible = sum(any(e.ts <= self.question.as_of for e in events) for events in self.people.values())
        return SimpleNamespace(placed=placed, universe=visible, excluded_by_consent=excluded)


@dataclass
class Shop:
    """A store with four customers: ana orders every 10 days, bo on day 5, cy only looks, dee comes on day 40."""

    store: Store
    keys: dict[str, int]
    people: dict[int, list[Event]]
    broken: dict[str, Exception] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    features: tuple[Any, ...] = ()

    def question(self, day: int) -> Question:
        return Question(day * DAY, "UTC", "EUR", self.features, CONSENT, columns=COLUMNS)

    def engine(self, day: int) -> Engine:
        return Engine(self.people, self.question(day), self.broken, self.calls)

    def run(self, definitions: Sequence[SegmentDefinition], day: int, names: Sequence[str] | None = None) -> RunReport:
        return run_with(
            self.engine(day), self.store, definitions, self.question(day), names=names, now=1_000 * DAY + day
        )

    def members(self, name: str) -> dict[str, str]:
        back = {key: who for who, key in self.keys.items()}
        table = self.store.members.current(name)
        return dict(zip((back[c] for c in table["customer"].to_pylist()), table["segment"].to_pylist(), strict=True))

    def reasons(self, name: str) -> dict[str, str]:
        back = {key: who for who, key in self.keys.items()}
        table = self.store.members.current(name)
        return {back[r["customer"]]: r["reason"] for r in table.to_pylist()}


def event(who: int, name: str, day: float, **traits: Any) -> Event:
    number = f"{who}-{name}-{day}-{sorted(traits)}"
    return Event(number, who, name, int(day * DAY), {f"t_{k}": v for k, v in traits.items()})


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with create_store(tmp_path) as store:
        names = ["ana", "bo", "cy", "dee"]
        keys = dict(zip(names, (int(k) for k in store.vault.customers(names)), strict=True))
        ana, bo, cy, dee = keys.values()
        people = {
            ana: [event(ana, "order", day) for day in range(0, 100, 10)],
            bo: [event(bo, "order", 5), event(bo, "identify", 1, ok=True, company="Acme")],
            cy: [event(cy, "page", 8), event(cy, "identify", 1, ok=False, company="Acme")],
            dee: [event(dee, "order", 40), event(dee, "identify", 40, ok=True, company="Birch")],
        }
        yield Shop(store, keys, people)


BUYERS = rule("buyers", did("order"))
RECENT = rule("recent", did("order", days=20))
FANS = rule("fans", did("order", times=3))
NOT_FANS = rule("not fans", Not(InSegment("fans")))
EVERYBODY = (NOT_FANS, BUYERS, RECENT, FANS)


# Runs -----------------------------------------------------------------------------------------------------------------


def test_a_run_places_everybody_with_one_evaluation_and_says_what_changed(shop: Shop) -> None:
    report = shop.run(EVERYBODY, 21)
    assert len(shop.calls) == 1
    assert sorted(shop.calls[0]) == ["buyers", "fans", "not fans", "recent"]
    assert shop.calls[0].index("fans") < shop.calls[0].index("not fans")
    assert shop.members("buyers") == {"ana": "buyers", "bo": "buyers"}
    assert shop.members("recent") == {"ana": "recent", "bo": "recent"}
    assert shop.members("not fans") == {"bo": "not fans", "cy": "not fans"}
    assert report.customers == 3
    assert report.of("fans").difference == Difference(1, 0, 0, 0)
    assert (report.of("fans").size, report.of("fans").version) == (1, 1)

    later = shop.run(EVERYBODY, 41)
    assert shop.members("recent") == {"ana": "recent", "dee": "recent"}
    assert later.of("recent").difference == Difference(entered=1, left=1, moved=0, stayed=1)


def test_the_same_run_again_changes_and_emits_nothing(shop: Shop) -> None:
    shop.run(EVERYBODY, 21)
    before = shop.store.members.transitions()
    again = shop.run(EVERYBODY, 21)
    assert shop.store.members.transitions().equals(before)
    assert {o.result for o in again.outcomes} == {"published"}
    assert all(o.difference and o.difference.entered == o.difference.left == 0 for o in again.outcomes)


def test_without_definitions_or_without_data_there_is_nothing_to_do(shop: Shop) -> None:
    assert shop.run([], 21).outcomes == ()
    assert shop.run([replace(BUYERS, paused=True)], 21).of("buyers").result == "paused"
    shop.people.clear()
    report = shop.run([BUYERS], 21)
    assert (report.customers, report.of("buyers").size) == (0, 0)
    assert shop.store.members.last_transition() == 0


def test_what_a_definition_refers_to_is_published_with_it_and_the_rest_is_left_alone(shop: Shop) -> None:
    report = shop.run(EVERYBODY, 21, ["not fans"])
    assert [o.name for o in report.outcomes] == ["fans", "not fans"]
    assert shop.store.members.names() == ["fans", "not fans"]
    with pytest.raises(NotFound):
        shop.run(EVERYBODY, 21, ["fan"])


def test_a_paused_definition_keeps_its_members_and_others_still_read_them(shop: Shop) -> None:
    shop.run(EVERYBODY, 21)
    paused = tuple(replace(d, paused=True) if d.name == "fans" else d for d in EVERYBODY)
    shop.people[shop.keys["bo"]] += [event(shop.keys["bo"], "order", day) for day in (22, 23)]
    report = shop.run(paused, 41)
    assert report.of("fans").result == "paused"
    assert shop.members("fans") == {"ana": "fans"}
    assert set(shop.members("not fans")) == {"bo", "cy", "dee"}
    assert "fans" not in shop.calls[-1]
    shop.run(EVERYBODY, 41)
    assert set(shop.members("fans")) == {"ana", "bo"}


def test_an_adopted_segmentation_can_be_asked_for_and_stands_in_the_same_list(shop: Shop) -> None:
    adopt(shop, 10, {"ana": "s1", "bo": "s2", "cy": "s2"})
    crowd = rule("crowd", InSegment("Main", "s2"))
    lost = rule("lost", InSegment("Main", "s7"))
    report = shop.run([crowd, lost, BUYERS], 21)
    assert shop.members("crowd") == {"bo": "crowd", "cy": "crowd"}
    assert (report.of("lost").result, report.of("lost").code) == ("failed", "unknown_segment")
    assert report.of("buyers").result == "published"
    lines = {d.name: d for d in describe_all(shop.store, [crowd, BUYERS], customers=3)}
    assert list(lines) == ["crowd", "buyers", "Main"]
    assert (lines["Main"].kind, lines["Main"].used_by) == ("found", ("crowd",))
    assert [(p.label, p.size) for p in lines["Main"].parts] == [("Big", 1), ("Small", 2)]


def adopt(shop: Shop, day: int, who: dict[str, str]) -> None:
    """An adopted segmentation with two segments, as far as the store is concerned."""
    shop.store.state.save_segmentation(segmentation(), name="Main", adopted=True)
    rows = {
        "customer": pa.array([shop.keys[w] for w in who], pa.int64()),
        "segment": list(who.values()),
        "confidence": pa.array([0.9] * len(who)),
        "reason": ["alike"] * len(who),
    }
    shop.store.members.publish([Placed("Main", 1, pa.table(rows))], as_of=day * DAY, now=day * DAY)


def segmentation() -> Segmentation:
    def segment(id_: str, name: str) -> Segment:
        nothing = {"revenue": None, "revenue_share": None, "stability": None, "confidence": None, "rule": None}
        return Segment(id=id_, name=name, description="", size=0, share=0.0, different=(), **nothing)  # type: ignore[arg-type]

    return Segmentation(
        id="found-1",
        algorithm="kmeans",
        k=2,
        customers=3,
        structure=Structure("spectrum", {}, ""),
        candidates=(),
        segments=(segment("s1", "Big"), segment("s2", "Small")),
        outliers=0,
        warnings=(),
        as_of="1970-01-11T00:00:00Z",
        name="Main",
    )


def test_a_definition_never_takes_over_the_members_of_an_adopted_segmentation(shop: Shop) -> None:
    adopt(shop, 10, {"ana": "s1"})
    report = shop.run([rule("Main", did("order")), BUYERS], 21)  # as a file edited by hand could say
    assert (report.of("Main").result, report.of("buyers").result) == ("failed", "published")
    assert shop.members("Main") == {"ana": "s1"}


def test_a_segmentation_is_not_adopted_under_the_name_of_a_segment(shop: Shop) -> None:
    from kohort.model.feature import FeatureTable
    from kohort.segments import adopt as keep

    shop.run([BUYERS], 21)
    table = FeatureTable(pa.array(list(shop.keys.values()), pa.int64()), pa.table({"x": [1.0] * 4}), (), as_of=22 * DAY)
    kept = {"groups": np.zeros(4, int), "confidence": np.ones(4), "segment_of": ("s1",), "assigner": b"", "load": None}
    with pytest.raises(WrongUsage, match="buyers"):
        keep(shop.store, "buyers", segmentation(), table, **kept)  # type: ignore[arg-type]


def test_members_of_a_later_moment_are_never_replaced_by_an_earlier_one(shop: Shop) -> None:
    shop.run(EVERYBODY, 41, ["recent"])
    report = shop.run(EVERYBODY, 21)
    assert (report.of("recent").result, report.of("recent").code) == ("failed", "wrong_usage")
    assert {o.result for o in report.outcomes if o.name != "recent"} == {"published"}
    assert set(shop.members("recent")) == {"ana", "dee"}
    with pytest.raises(WrongUsage):
        shop.run(EVERYBODY, 20)


# What fails -----------------------------------------------------------------------------------------------------------


def test_a_failing_definition_keeps_its_members_and_harms_nobody_but_those_that_refer_to_it(shop: Shop) -> None:
    shop.run(EVERYBODY, 21)
    shop.broken["fans"] = BadInput("A sum is too large to be exact.", code="too_large")
    report = shop.run(EVERYBODY, 41)
    results = {o.name: o.result for o in report.outcomes}
    assert results == {"buyers": "published", "recent": "published", "fans": "failed", "not fans": "waiting"}
    assert shop.members("fans") == {"ana": "fans"}
    assert set(shop.members("not fans")) == {"bo", "cy"}, "dee waits until fans can be evaluated again"
    assert set(shop.members("buyers")) == {"ana", "bo", "dee"}
    status = shop.store.status.all()
    assert status["fans"].error.startswith("too_large: A sum is too large")
    assert "'fans'" in status["not fans"].error
    assert status["fans"].as_of == 21 * DAY

    shop.broken.clear()
    shop.run(EVERYBODY, 41)
    assert set(shop.members("not fans")) == {"bo", "cy", "dee"}
    assert {s.error for s in shop.store.status.all().values()} == {""}


def test_few_failing_ones_among_many_are_found_by_halving(shop: Shop) -> None:
    many = [rule(f"r{i}", did("order", times=1 + i % 5)) for i in range(64)]
    shop.broken = {f"r{i}": BadInput("no") for i in (3, 40)}
    report = shop.run(many, 41)
    assert {o.name for o in report.failed} == {"r3", "r40"}
    assert len(shop.calls) <= 1 + 2 * 2 * 6
    assert set(shop.members("r0")) == {"ana", "bo", "dee"}


def test_any_failing_ones_in_any_graph_leave_exactly_those_waiting_that_refer_to_them(shop: Shop) -> None:
    chance = random.Random(9)
    for day in range(41, 51):
        n = chance.randrange(2, 12)
        graph = {i: [j for j in range(i) if chance.random() < 0.25] for i in range(n)}
        definitions = [
            SegmentDefinition(
                f"d{i}", "tiers", tuple(Part(f"p{j}", rule=text(InSegment(f"d{j}"))) for j in used) or BUYERS.parts
            )
            for i, used in graph.items()
        ]
        bad = {i for i in graph if chance.random() < 0.25}
        behind = set(bad)
        for i, used in graph.items():
            behind |= {i} if behind & set(used) else set()
        chance.shuffle(definitions)
        shop.broken.clear()
        shop.broken.update({f"d{i}": BadInput("no") for i in bad})
        report = shop.run(definitions, day)
        results = {o.name: o.result for o in report.outcomes}
        # One that is broken and refers to a broken one may be called either.
        assert {n for n, r in results.items() if r == "published"} == {f"d{i}" for i in graph if i not in behind}
        assert all(results[f"d{i}"] == "waiting" for i in behind - bad)


def test_a_surprise_in_one_definition_is_told_without_its_text_and_one_in_all_is_raised(shop: Shop) -> None:
    shop.broken["fans"] = RuntimeError("ana@example.com")
    report = shop.run(EVERYBODY, 21)
    assert (report.of("fans").code, report.of("fans").error) == ("unexpected", "Unexpected: RuntimeError.")
    assert "example" not in shop.store.status.all()["fans"].error
    with pytest.raises(RuntimeError):
        shop.run([FANS], 21)


def test_damage_is_nobodys_definition(shop: Shop) -> None:
    shop.broken["fans"] = Damaged("The log does not check out.")
    with pytest.raises(Damaged):
        shop.run(EVERYBODY, 21)
    assert shop.store.members.names() == []


def test_a_run_that_was_interrupted_before_it_published_is_simply_done_again(shop: Shop) -> None:
    shop.run(EVERYBODY, 21)
    before = shop.store.members.transitions()
    shop.broken["buyers"] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        shop.run(EVERYBODY, 41)
    assert shop.store.members.transitions().equals(before)
    shop.broken.clear()
    shop.run(EVERYBODY, 41)
    assert set(shop.members("buyers")) == {"ana", "bo", "dee"}


# Versions and backfill ------------------------------------------------------------------------------------------------


def emitted(shop: Shop, after: int) -> list[tuple[str, str, bool]]:
    back = {key: who for who, key in shop.keys.items()}
    rows = shop.store.members.transitions(after=after).to_pylist()
    return sorted((r["name"], f"{back[r['customer']]} {r['change']}", r["backfill"]) for r in rows)


def test_what_an_edit_causes_is_marked_and_what_customers_do_is_not(shop: Shop) -> None:
    shop.run([FANS, NOT_FANS], 21)
    assert all(backfill for _, _, backfill in emitted(shop, 0)), "who is in a new segment did nothing for it"
    seen = shop.store.members.last_transition()

    shop.run([FANS, NOT_FANS], 41)
    assert emitted(shop, seen) == [("not fans", "dee entered", False)]
    seen = shop.store.members.last_transition()

    easier = rule("fans", did("order", times=1))
    report = shop.run([easier, NOT_FANS], 41)
    assert (report.of("fans").version, report.of("not fans").version) == (2, 2), "what it refers to is part of it"
    assert emitted(shop, seen) == [
        ("fans", "bo entered", True),
        ("fans", "dee entered", True),
        ("not fans", "bo left", True),
        ("not fans", "dee left", True),
    ]


def test_a_feature_is_part_of_what_uses_it_and_labels_are_not(shop: Shop) -> None:
    big = rule("big", Compare(Named("orders"), ">=", Decimal(3)))
    shop.features = parse_features("orders: {count: events, event: order}")
    assert shop.run([big, BUYERS], 21).of("big").version == 1
    labelled = replace(big, label="Big ones", description="They order a lot.", paused=False)
    assert not shop.run([labelled, BUYERS], 22).of("big").backfill
    shop.features = parse_features("orders: {count: events, event: order, within: 20 days}")
    report = shop.run([labelled, BUYERS], 23)
    assert (report.of("big").version, report.of("big").backfill) == (2, True)
    assert (report.of("buyers").version, report.of("buyers").backfill) == (1, False)
    old, new = (v["text"] for v in shop.store.definitions.versions("big"))
    assert "# orders: count on order\n" in old
    assert "# orders: count on order within 20 days\n" in new


# By hand --------------------------------------------------------------------------------------------------------------


def test_people_beat_rules_until_they_leave_it_to_them_again(shop: Shop) -> None:
    ana, cy = shop.keys["ana"], shop.keys["cy"]
    shop.run(EVERYBODY, 21)
    put_in(shop.store, EVERYBODY, "fans", [cy], by="kim", note="a friend")
    take_out(shop.store, EVERYBODY, "fans", [ana], by="kim")
    for day in (21, 22):
        shop.run(EVERYBODY, day)
        assert shop.reasons("fans") == {"cy": "by hand"}
        assert set(shop.members("not fans")) == {"ana", "bo"}, "what refers to it sees the same"
    [first, second] = shop.store.by_hand.actions("fans")
    assert (first["by"], first["note"], first["change"], second["change"]) == ("kim", "a friend", "added", "removed")
    reset(shop.store, EVERYBODY, "fans", [ana, cy], by="kim")
    shop.run(EVERYBODY, 23)
    assert shop.reasons("fans") == {"ana": "rule"}


def test_a_list_by_hand_holds_whom_people_put_in(shop: Shop) -> None:
    friends = SegmentDefinition("friends", "by_hand", (Part("friends"),))
    shop.run([friends], 21)
    assert shop.members("friends") == {}
    put_in(shop.store, [friends], "friends", [shop.keys["bo"]], by="kim")
    shop.run([friends], 21)
    assert shop.members("friends") == {"bo": "friends"}


def test_what_cannot_be_decided_by_hand_is_refused(shop: Shop) -> None:
    value = tiers("value", gold=did("order", times=3), silver=did("order"))
    bo = shop.keys["bo"]
    with pytest.raises(WrongUsage) as caught:
        put_in(shop.store, [value], "value", [bo], by="kim")
    assert "gold, silver" in caught.value.hint
    with pytest.raises(NotFound):
        put_in(shop.store, [value], "value", [bo], by="kim", part="golden")
    with pytest.raises(NotFound):
        put_in(shop.store, [value], "valu", [bo], by="kim", part="gold")
    with pytest.raises(NotFound):
        put_in(shop.store, [value], "value", [12345], by="kim", part="gold")
    with pytest.raises(WrongUsage):
        take_out(shop.store, [value], "value", [bo], by=" ")
    assert shop.store.by_hand.table().num_rows == 0


# Consent, accounts, memory --------------------------------------------------------------------------------------------


def test_who_did_not_agree_is_left_out_and_counted(shop: Shop) -> None:
    mailing = rule("mailing", Not(did("never")), purpose="marketing")
    report = shop.run([mailing], 41)
    assert set(shop.members("mailing")) == {"bo", "dee"}
    assert report.of("mailing").excluded_by_consent == 2


def test_accounts_are_members_under_pseudonyms_of_their_own(shop: Shop) -> None:
    ordering = SegmentDefinition("ordering", "accounts", (Part("ordering", rule=text(did("order"))),), quantifier="all")
    shop.run([ordering], 41)
    table = shop.store.members.current("ordering")
    assert account_names(shop.store, table["customer"].to_pylist()) == ["Birch"], "cy of Acme never ordered"
    assert not set(table["customer"].to_pylist()) & set(shop.keys.values())
    again = table["customer"].to_pylist()
    shop.run([ordering], 42)
    assert shop.store.members.current("ordering")["customer"].to_pylist() == again

    [acme] = shop.store.vault.customers([RESERVED + "Acme"])
    put_in(shop.store, [ordering], "ordering", [int(acme)], by="kim")
    take_out(shop.store, [ordering], "ordering", again, by="kim")
    shop.run([ordering], 42)
    table = shop.store.members.current("ordering")
    assert account_names(shop.store, table["customer"].to_pylist()) == ["Acme"]
    assert table["reason"].to_pylist() == ["by hand"]


def test_an_account_is_never_taken_for_a_customer_of_that_name(shop: Shop) -> None:
    [account] = shop.store.vault.customers([RESERVED + "ana"])
    assert int(account) != shop.keys["ana"]
    assert account_names(shop.store, [int(account), shop.keys["ana"]]) == ["ana", None]


def test_who_stays_by_memory_is_judged_by_what_was_before_the_moment(shop: Shop) -> None:
    loyal = rule("loyal", did("order", days=10), keep=did("order", days=30))
    bo = shop.keys["bo"]
    for day, inside in ((8, True), (16, True), (34, True), (36, False)):
        shop.run([loyal], day)
        shop.run([loyal], day)
        assert (bo in shop.store.members.current("loyal")["customer"].to_pylist()) == inside, day
    assert [stay["since"] for stay in shop.store.members.history("loyal", bo)] == [8 * DAY]


# Saving, dry runs, removing -------------------------------------------------------------------------------------------


def test_a_definition_that_does_not_fit_the_others_is_refused(shop: Shop) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        checked(shop.store, EVERYBODY, rule("fans", InSegment("not fans")))
    assert "fans → not fans → fans" in caught.value.message
    with pytest.raises(RefusedDefinition) as caught:
        checked(shop.store, EVERYBODY, rule("x", InSegment("fan")))
    assert caught.value.code == "unknown_segment"
    adopt(shop, 10, {"ana": "s1"})
    with pytest.raises(WrongUsage):
        checked(shop.store, EVERYBODY, rule("Main", did("order")))
    new = rule("new", did("order"))
    assert checked(shop.store, EVERYBODY, new) == (*EVERYBODY, new)
    edited = rule("recent", did("order", days=5))
    assert [d.name for d in checked(shop.store, EVERYBODY, edited)] == [d.name for d in EVERYBODY]


def test_an_edit_may_not_take_away_a_part_that_others_ask_for(shop: Shop) -> None:
    value = tiers("value", gold=did("order", times=3), silver=did("order"))
    best = rule("best", InSegment("value", "gold"))
    with pytest.raises(RefusedDefinition):
        checked(shop.store, [value, best], tiers("value", golden=did("order"), silver=did("page")))


def test_a_dry_run_says_what_the_edit_does_what_time_does_and_writes_nothing(shop: Shop) -> None:
    shop.run(EVERYBODY, 21)
    seen, keys = shop.store.members.last_transition(), shop.keys
    easier = rule("fans", did("order"))
    found = dry_run_with(shop.engine(41), shop.store, EVERYBODY, easier, shop.question(41))
    assert found.customers == 4
    assert found.edited.by_edit == Difference(entered=2, left=0, moved=0, stayed=1)
    [part] = found.edited.parts
    assert (part.size, part.entering, part.leaving) == (3, 2, 0)
    assert set(part.entering_sample) == {keys["bo"], keys["dee"]}
    [other] = found.dependants
    assert (other.name, other.by_edit) == ("not fans", Difference(0, 2, 0, 1))
    assert other.next_run == Difference(0, 1, 0, 1), "dee was not there on day 21, so nothing is recorded of her"
    assert found.transitions == 3
    assert "Nothing takes them yet" in found.text
    assert shop.store.members.last_transition() == seen
    assert shop.store.definitions.versions("fans") == shop.store.definitions.versions("fans")[:1]

    shop.run([NOT_FANS, BUYERS, RECENT, easier], 41, ["not fans"])
    assert shop.store.members.last_transition() == seen + found.transitions, "it was true"


def test_a_dry_run_names_who_will_be_told(shop: Shop) -> None:
    shop.run(EVERYBODY, 21)
    shop.store.members.acknowledge("mails", shop.store.members.last_transition())
    found = dry_run_with(shop.engine(21), shop.store, EVERYBODY, rule("new", did("page")), shop.question(21))
    assert (found.transitions, found.consumers) == (1, ("mails",))
    assert "mails will see them and, by default, do nothing for them." in found.text


def test_a_dry_run_of_a_moved_border_tells_each_part(shop: Shop) -> None:
    value = tiers("value", gold=did("order", times=5), silver=did("order", times=2), bronze=did("order"))
    shop.run([value], 41)
    found = dry_run_with(
        shop.engine(41),
        shop.store,
        [value],
        tiers("value", gold=did("order", times=6), rest=did("order")),
        shop.question(41),
    )
    assert found.edited.by_edit == Difference(entered=0, left=0, moved=3, stayed=0)
    assert [(p.part, p.size, p.entering, p.leaving) for p in found.edited.parts] == [
        ("gold", 0, 0, 1),
        ("rest", 3, 3, 0),
        ("bronze", 0, 0, 2),
    ]
    assert found.transitions == 6


def test_a_dry_run_of_what_cannot_be_evaluated_says_why(shop: Shop) -> None:
    shop.run(EVERYBODY, 21)
    shop.broken["fans"] = BadInput("A sum is too large to be exact.", code="too_large")
    found = dry_run_with(shop.engine(21), shop.store, EVERYBODY, rule("fans", did("order")), shop.question(21))
    assert "too large" in found.edited.error
    assert found.transitions == 0


def test_what_others_need_is_not_removed_and_what_is_removed_leaves_exits(shop: Shop) -> None:
    shop.run(EVERYBODY, 21)
    with pytest.raises(WrongUsage) as caught:
        remove(shop.store, EVERYBODY, "fans", as_of=21 * DAY)
    assert (caught.value.code, "not fans" in caught.value.message) == ("needed_by_others", True)
    seen = shop.store.members.last_transition()
    put_in(shop.store, EVERYBODY, "not fans", [shop.keys["ana"]], by="kim")
    left = remove(shop.store, EVERYBODY, "not fans", as_of=22 * DAY)
    assert [d.name for d in left] == ["buyers", "recent", "fans"]
    assert emitted(shop, seen) == [("not fans", "bo left", True), ("not fans", "cy left", True)]
    assert "not fans" not in shop.store.members.names()
    assert shop.store.by_hand.table().num_rows == 0
    remove(shop.store, left, "fans", as_of=22 * DAY)
    with pytest.raises(NotFound):
        remove(shop.store, left, "nothing", as_of=22 * DAY)

    again = shop.run(EVERYBODY, 23, ["not fans"])
    assert again.of("not fans").backfill, "a new definition of an old name"
    assert set(shop.members("not fans")) == {"bo", "cy"}


def test_a_removal_that_was_interrupted_anywhere_is_done_again(shop: Shop) -> None:
    ana = shop.keys["ana"]
    shop.run(EVERYBODY, 21)
    put_in(shop.store, EVERYBODY, "not fans", [ana], by="kim")
    shop.store.members.drop("not fans", 22 * DAY)  # … and then the process ended
    left = tuple(d for d in EVERYBODY if d.name != "not fans")
    remove(shop.store, left, "not fans", as_of=22 * DAY)
    assert shop.store.by_hand.table().num_rows == 0
    with pytest.raises(NotFound):
        remove(shop.store, left, "not fans", as_of=22 * DAY)
    shop.run(EVERYBODY, 23)
    assert "ana" not in shop.members("not fans"), "what was decided about the old definition is forgotten"

    put_in(shop.store, EVERYBODY, "recent", [ana], by="kim")
    never_run = SegmentDefinition("friends", "by_hand", (Part("friends"),))
    put_in(shop.store, [never_run], "friends", [ana], by="kim")
    remove(shop.store, [], "friends", as_of=23 * DAY)  # its text was taken out first, then the process ended
    assert set(shop.store.by_hand.table().column("name").to_pylist()) == {"recent"}


# The list -------------------------------------------------------------------------------------------------------------


def test_the_list_tells_how_every_definition_is_doing(shop: Shop) -> None:
    value = tiers("value", gold=did("order", times=3), silver=did("order"))
    shop.run([*EVERYBODY, value], 21)
    shop.broken["fans"] = BadInput("no", code="too_large")
    shop.run([*EVERYBODY, value], 41)
    lines = {d.name: d for d in describe_all(shop.store, [*EVERYBODY, value], customers=4)}
    assert (lines["buyers"].size, lines["buyers"].share, lines["buyers"].version) == (3, 0.75, 1)
    assert [(p.key, p.size, p.share) for p in lines["value"].parts] == [("gold", 1, 0.25), ("silver", 2, 0.5)]
    assert (lines["fans"].used_by, lines["not fans"].depends_on) == (("not fans",), ("fans",))
    assert lines["fans"].status.error.startswith("too_large")
    assert lines["fans"].as_dict()["status"]["as_of"] == "1970-01-22T00:00:00Z"
    assert {d.name: d.kind for d in describe_all(shop.store, EVERYBODY)}["value"] == "gone"


# Overlap --------------------------------------------------------------------------------------------------------------


def test_overlap_counts_like_sets_do(shop: Shop) -> None:
    value = tiers("value", gold=did("order", times=3), silver=did("order"))
    shop.run([*EVERYBODY, value], 41)
    found = overlap(shop.store, customers=4)
    sets = {
        (g.name, g.segment): {who for who, part in shop.members(g.name).items() if part == g.segment}
        for g in found.groups
    }
    assert len(found.pairs) == 6 * 5 // 2 - 1, "two parts of one definition never overlap"
    for pair in found.pairs:
        a, b = (sets[found.groups[i].name, found.groups[i].segment] for i in (pair.first, pair.second))
        assert (pair.both, pair.jaccard) == (len(a & b), len(a & b) / len(a | b))
        assert (pair.share_of_first, pair.share_of_second) == (len(a & b) / len(a), len(a & b) / len(b))
    assert [p.jaccard for p in found.pairs] == sorted((p.jaccard for p in found.pairs), reverse=True)
    only = overlap(shop.store, with_name="fans", customers=4)
    assert all("fans" in {only.groups[p.first].name, only.groups[p.second].name} for p in only.pairs)
    with pytest.raises(NotFound):
        overlap(shop.store, ["fan"])


def test_counting_pairs_agrees_with_sets_beyond_one_block() -> None:
    chance = np.random.default_rng(2)
    members = [chance.choice(120_000, size, replace=False) for size in (0, 5, 60_000, 90_000)]
    counts = together(members)
    for i, a in enumerate(members):
        for j, b in enumerate(members):
            assert counts[i, j] == len(set(a.tolist()) & set(b.tolist()))


def test_the_interval_of_lift_holds_the_truth_nineteen_times_in_twenty() -> None:
    chance = np.random.default_rng(5)
    cells = np.array([0.06, 0.14, 0.19, 0.61])
    truth = cells[0] / (cells[:2].sum() * cells[[0, 2]].sum())
    held = 0
    for both, first, second, _ in chance.multinomial(1_500, cells, size=1_000).tolist():
        found = lift(both, both + first, both + second, 1_500)
        assert found is not None
        held += found.low <= truth <= found.high
    assert 930 <= held <= 970


def test_lift_without_shared_customers_is_none_to_a_limit() -> None:
    found = lift(0, 100, 50, 1_000)
    assert found is not None
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(3.688879 / 5)
    assert 1 - (1 - found.high * 0.1 * 0.05) ** 1_000 == pytest.approx(0.975, abs=0.001)
    assert lift(0, 0, 50, 1_000) is None
