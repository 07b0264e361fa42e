"""Segments on DuckDB: from files and hot rows, for everybody and for one customer, before and after saving."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.rules import operands, parse_rule, walk
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import parse_span
from kohort.engines.measures import Measures
from kohort.engines.moments import OneCustomer, evaluate_at
from kohort.engines.preview import NodeSize, RuleSizes, preview
from kohort.engines.segments import BY_HAND_SCHEMA, STANDING_SCHEMA, evaluate
from kohort.engines.unseen import Unseen
from kohort.errors import BadInput, RefusedDefinition
from kohort.model.clock import DAY_US, parse_instant
from kohort.model.event import ColumnType, Event, Scalar
from kohort.model.snapshot import Snapshot
from kohort.testing.naive_rules import Instant, Judge
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
from kohort.testing.worlds import event_table

AS_OF = parse_instant("2024-06-30T12:00:00Z")
COLUMNS: dict[str, ColumnType] = {
    "p_page": "text",
    "t_country": "text",
    "t_firm": "text",
    "t_agreed": "flag",
    "t_empty": "text",
}
SPENT = parse_features("spent: {sum: amount, event: order_line}", COLUMNS)
SETTINGS = SegmentSettings((("ads", "t_agreed"),), "t_firm")
numbers = count()


def event(customer: int | None, days_ago: float, name: str = "page", **values: Scalar) -> Event:
    ts = AS_OF - int(days_ago * DAY_US)
    local = {"local_day": ts // DAY_US, "local_hour": ts // (DAY_US // 24) % 24}
    return Event(f"e{next(numbers):06}", customer, name, ts, local | values)


EVENTS = (
    event(1, 5, "order_line", amount=5_000),
    event(1, 4, p_page="home"),
    event(1, 90, "identify", t_country="DE", t_firm="acme", t_agreed=True),
    event(2, 40, "order_line", amount=20_000),
    event(2, 90, "identify", t_country="AT", t_firm="acme"),
    event(3, 2, p_page="Shoes"),
    event(3, 1, "order_line", amount=1_000),
    event(3, 90, "identify", t_country="NL", t_firm="beta", t_agreed=True),
    event(4, 300, "identify", t_country="DE", t_agreed=False),
    event(5, -1, p_page="tomorrow"),
    event(None, 3, "order_line", amount=99_999),
)


def log(events: tuple[Event, ...] = EVENTS) -> Snapshot:
    return Snapshot({}, event_table(events, COLUMNS), COLUMNS, "1", 8)


def rule(text: str) -> RuleText:
    return RuleText(text, parse_rule(text))


def segment(name: str, text: str, **more: Any) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=rule(text)),), **more)


def tiers(name: str, **texts: str) -> SegmentDefinition:
    return SegmentDefinition(name, "tiers", tuple(Part(k, rule=rule(t)) for k, t in texts.items()))


def placed(*definitions: SegmentDefinition, snapshot: Snapshot | None = None, **more: Any) -> dict[str, Any]:
    """Definition → customer → part."""
    given: dict[str, Any] = {"features": SPENT, "as_of": AS_OF, "settings": SETTINGS, "key": b"key"} | more
    found = evaluate(snapshot or log(), definitions, **given)
    return {
        name: dict(zip(t.column(0).to_pylist(), t.column("segment").to_pylist(), strict=True))
        for name, t in found.placed.items()
    }


# Everybody -----------------------------------------------------------------------------------------------------------


def test_members_are_sorted_and_say_why() -> None:
    found = evaluate(log(), [segment("any", "did(*)")], as_of=AS_OF, key=b"key")
    assert found.universe == 4  # one has events in the future only, and some events belong to nobody
    assert found.placed["any"].to_pylist() == [
        {"customer": c, "segment": "any", "confidence": None, "reason": "rule"} for c in (1, 2, 3, 4)
    ]


def test_the_first_tier_wins_and_segments_ask_for_each_other_in_any_order() -> None:
    value = tiers("value", gold="spent >= 100", silver="spent >= 40", bronze="spent > 0")
    found = placed(segment("good", "in_segment('value', 'gold') or in_segment('value', 'silver')"), value)
    assert found == {"good": {1: "good", 2: "good"}, "value": {1: "silver", 2: "gold", 3: "bronze"}}


def test_pure_negation_is_over_everybody_known() -> None:
    assert placed(segment("s", "never('order_line')"))["s"] == {4: "s"}


def test_consent_leaves_out_and_counts() -> None:
    asked = segment("s", "did('order_line')", purpose="ads")
    found = evaluate(log(), [asked], as_of=AS_OF, settings=SETTINGS, key=b"key")
    assert found.placed["s"]["customer"].to_pylist() == [1, 3]
    assert found.excluded_by_consent == {"s": 1}


@pytest.mark.parametrize(("quantifier", "members"), [("any", ["acme", "beta"]), ("all", ["beta"]), ("none", [])])
def test_accounts_are_judged_by_their_users(quantifier: Any, members: list[str]) -> None:
    firms = SegmentDefinition(
        "firms", "accounts", (Part("firms", rule=rule("did('order_line', within => '30 days')")),)
    )
    assert list(placed(replace(firms, quantifier=quantifier))["firms"]) == members


def test_consents_and_accounts_of_another_type_than_they_must_have_are_refused() -> None:
    firms = SegmentDefinition("firms", "accounts", (Part("firms", rule=rule("did(*)")),))
    for definition, settings, told in (
        (
            segment("s", "did(*)", purpose="ads"),
            SegmentSettings((("ads", "t_firm"),)),
            "'t_firm' holds values of type text",
        ),
        (firms, SegmentSettings(accounts="t_agreed"), "'t_agreed' holds values of type flag"),
    ):
        with pytest.raises(RefusedDefinition, match=told):
            evaluate(log(), [definition], as_of=AS_OF, settings=settings, key=b"key")


def test_a_paused_definition_answers_from_what_is_stored() -> None:
    standing = pa.Table.from_pylist(
        [{"customer": 2, "name": "old", "segment": "old", "since": 1}], schema=STANDING_SCHEMA
    )
    paused = segment("old", "did(*)", paused=True)
    assert placed(paused, segment("s", "in_segment('old')"), standing=standing) == {"s": {2: "s"}}


def test_a_preview_of_sums_that_leave_64_bits_is_refused() -> None:
    events = tuple(event(1, 1, "order_line", amount=2**62) for _ in range(4))
    with pytest.raises(BadInput, match="too large"):
        looked_at("spent > 1", snapshot=log(events))


def test_what_people_decide_beats_rules_and_a_minimum_stay_holds() -> None:
    by_hand = pa.Table.from_pylist(
        [
            {"customer": 1, "name": "s", "segment": "", "added": False},
            {"customer": 4, "name": "s", "segment": "s", "added": True},
        ],
        schema=BY_HAND_SCHEMA,
    )
    standing = pa.Table.from_pylist(
        [
            {"customer": c, "name": "s", "segment": "s", "since": AS_OF - days * DAY_US}
            for c, days in ((1, 1), (2, 6), (3, 8))
        ],
        schema=STANDING_SCHEMA,
    )
    definition = replace(
        segment("s", "spent >= 45"), parts=(Part("s", rule=rule("spent = 50"), minimum_stay=parse_span("7 days")),)
    )
    found = evaluate(
        log(), [definition], features=SPENT, as_of=AS_OF, key=b"key", by_hand=by_hand, standing=standing
    ).placed["s"]
    assert dict(zip(found["customer"].to_pylist(), found["reason"].to_pylist(), strict=True)) == {
        2: "minimum stay",
        4: "by hand",
    }


def test_a_definition_may_have_its_own_zone() -> None:
    late = event(7, 0.5 - 1 / 48)  # half past midnight in UTC, still yesterday in New York
    today = "did('page', within => '1 calendar day')"
    definitions = segment("utc", today), segment("ny", today, zone="America/New_York")
    found = placed(*definitions, snapshot=log((late,)))
    assert found == {"utc": {7: "utc"}, "ny": {}}


def test_files_and_hot_rows_are_one_log(tmp_path: Path) -> None:
    snapshot = on_disk(tmp_path)
    definitions = segment("s", "spent > 0 and t_country != 'NL'"), segment("p", "did('page', p_page = 'SHOES')")
    assert placed(*definitions, snapshot=snapshot) == placed(*definitions)


def test_an_empty_log_has_no_members() -> None:
    found = evaluate(
        log(()),
        [segment("s", "did(*)"), segment("a", "t_agreed", purpose="ads")],
        as_of=AS_OF,
        settings=SETTINGS,
        key=b"",
    )
    assert found.universe == 0
    assert {name: t.num_rows for name, t in found.placed.items()} == {"s": 0, "a": 0}
    everything = "did(*) and t_country = 'de' and last('page').p_page != 'a' and mode(*).p_page = 'b' and t_agreed"
    assert preview(log(()), segment("s", everything), as_of=AS_OF, key=b"").size == 0


def on_disk(folder: Path) -> Snapshot:
    """The log with older events in files (one of them from before `p_page` was declared), the newest in memory."""
    table = event_table(EVENTS, COLUMNS)
    files = {}
    for bucket in sorted(set(table["bucket"].to_pylist())):
        rows = table.filter(pa.compute.equal(table["bucket"], bucket)).drop_columns(["bucket"])
        place = folder / f"bucket={bucket}"
        place.mkdir()
        paths = []
        for n, part in enumerate((rows.slice(0, 1), rows.slice(1, 1))):
            path = place / f"part-{n}.parquet"
            pq.write_table(part if part["p_page"].null_count < part.num_rows else part.drop_columns(["p_page"]), path)
            paths.append(str(path))
        files[bucket] = tuple(paths)
    kept: dict[int, int] = {}
    hot = []
    for row in table.to_pylist():
        kept[row["bucket"]] = kept.get(row["bucket"], 0) + 1
        if kept[row["bucket"]] > 2:
            hot.append(row)
    return Snapshot(files, pa.Table.from_pylist(hot, schema=table.schema), COLUMNS, "1", 8)


# Before saving -------------------------------------------------------------------------------------------------------


def looked_at(definition: SegmentDefinition | str, **more: Any) -> RuleSizes:
    given: dict[str, Any] = {"features": SPENT, "value": SPENT[0], "as_of": AS_OF, "settings": SETTINGS, "key": b"key"}
    asked = segment("s", definition) if isinstance(definition, str) else definition
    return preview(more.pop("snapshot", None) or log(), asked, **(given | more))


def test_conditions_of_and_and_or_add_up() -> None:
    found = looked_at("did('order_line') and (spent > 40 or t_country = 'NL' or t_agreed) and not t_country = 'AT'")
    [part] = found.parts
    assert (found.size, found.universe, part.sample) == (2, 4, (1, 3))
    assert [(n.depth, n.size, n.running, n.group) for n in part.nodes] == [
        (0, 2, None, ""),
        (1, 3, 3, "left"),
        (1, 3, 3, "left"),
        (2, 2, 2, "added"),
        (2, 1, 1, "added"),
        (2, 2, 0, "added"),
        (1, 3, 2, "left"),
        (2, 1, None, ""),
    ]
    assert (found.value, found.universe_value) == (60.0, 260.0)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 6))])
def test_subtotals_follow_set_algebra_and_the_evaluation(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=30)
    about: dict[str, Any] = {
        "features": FEATURES,
        "as_of": world.as_of,
        "zone": world.zone,
        "currency": world.currency,
        "key": b"key",
    }
    snapshot, measures = world.snapshot(), Measures(world.snapshot(), world.as_of)
    for n in range(4):
        tree = random_rule(rng)
        asked = SegmentDefinition("s", "rule", (Part("s", rule=RuleText("", tree)),))
        found = preview(snapshot, asked, measures=measures, **about)
        nodes = found.parts[0].nodes
        assert [node.node for node in nodes] == list(walk(tree)), n
        assert nodes[0].size == found.size == evaluate(snapshot, [asked], **about).placed["s"].num_rows
        for place, node in enumerate(nodes):
            items = children(nodes, place)
            if items and items[0].group == "left":
                assert items[-1].running == node.size
            elif items and items[0].group == "added":
                assert sum(i.running or 0 for i in items) == node.size


def children(nodes: tuple[NodeSize, ...], place: int) -> list[NodeSize]:
    found = []
    for node in nodes[place + 1 :]:
        if node.depth <= nodes[place].depth:
            break
        if node.depth == nodes[place].depth + 1:
            found.append(node)
    return found


def test_a_preview_places_as_an_evaluation_does() -> None:
    value = tiers("value", gold="spent >= 100", silver="spent >= 10")
    found = looked_at(value)
    assert [(p.key, p.size, p.value, p.sample) for p in found.parts] == [
        ("gold", 1, 200.0, (2,)),
        ("silver", 2, 60.0, (1, 3)),
    ]
    assert looked_at(segment("s", "did('order_line')", purpose="ads")).excluded_by_consent == 1
    firms = SegmentDefinition("firms", "accounts", (Part("firms", rule=rule("did('page')")),), quantifier="all")
    accounts = looked_at(firms)
    assert (accounts.size, accounts.universe, accounts.parts[0].sample) == (1, 2, ("beta",))
    rich = segment("rich", "spent > 100")
    assert looked_at("in_segment('rich')", others=[rich]).size == 1


def test_what_was_never_seen_is_named() -> None:
    found = looked_at(
        "did('pgae') or did('page', p_page = 'shose' or p_page in ('SHOES', 'boots')) or t_plan = 'gold'"
        " or t_empty = 'x' or exactly(t_country) = 'de' or t_country = 'at' or did('order_line', p_page != 'home')"
    )
    assert found.unseen == (
        Unseen("column", "t_empty"),
        Unseen("column", "t_plan"),
        Unseen("event", "pgae"),
        Unseen("value", "p_page", "boots"),
        Unseen("value", "p_page", "shose"),
        Unseen("value", "t_country", "de"),
    )


def test_editing_a_number_reads_no_event_again(tmp_path: Path) -> None:
    snapshot = on_disk(tmp_path)
    measures = Measures(snapshot, AS_OF)
    first = looked_at("spent > 10 and did('page', within => '30 days')", snapshot=snapshot, measures=measures)
    for files in snapshot.files.values():
        for file in files:
            Path(file).unlink()
    again = looked_at(
        "did('page', at_least => 1, within => '30 days') and spent > 5", snapshot=snapshot, measures=measures
    )
    assert first.size == 1
    assert again.size == 2


def test_kept_columns_of_another_moment_are_left_aside() -> None:
    measures = Measures(log(), AS_OF)
    assert looked_at("spent > 10", measures=measures).size == 2
    assert looked_at("spent > 10", measures=measures, as_of=AS_OF - 10 * DAY_US).size == 1


def test_what_was_used_last_is_kept_however_little_room_there_is() -> None:
    measures = Measures(log(), AS_OF, most_bytes=0)
    assert [looked_at(t, measures=measures).size for t in ("spent > 10", "did('page')", "spent > 10")] == [2, 2, 2]


# One customer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 10))])
def test_one_customer_at_many_moments_equals_the_judge_node_by_node(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=3)
    rules = [random_rule(rng) for _ in range(5)]
    wanted = [operand for tree in rules for operand in operands(tree)]
    moments = [world.as_of + days * DAY_US + nudge for days in (-30, -1, 0, 31) for nudge in (-1, 0, 1)]
    about: dict[str, Any] = {"features": FEATURES, "zone": world.zone, "currency": world.currency, "key": b"key"}
    for customer in world.customers():
        events = [e for e in world.events if e.customer == customer]
        found = evaluate_at(world.snapshot(), customer, rules, moments, operands=wanted, **about)
        for m, moment in enumerate(moments):
            judge = Judge(events, as_of=moment, columns=world.columns, **about)
            assert found.seen[m] == any(e.ts <= moment for e in events)
            if found.seen[m]:
                assert found.nodes[m] == [tuple(judge.rule(node) for node in walk(tree)) for tree in rules]
                assert found.values[m] == [stored(judge.value(operand)) for operand in wanted]


def stored(value: Any) -> Any:
    """An answer of the judge as an engine holds it."""
    if isinstance(value, Instant):
        return value.us
    return "\x1f" + "\x1f".join(value) + "\x1f" if isinstance(value, tuple) else value


def test_one_customer_is_read_from_files_and_memory_and_sees_the_future_when_it_comes(tmp_path: Path) -> None:
    page = parse_rule("did('page', p_page = 'shoes')")
    for snapshot in (log(), on_disk(tmp_path)):
        found = evaluate_at(snapshot, 3, [page], [AS_OF - 3 * DAY_US, AS_OF], key=b"key")
        assert found.truths == [[False], [True]]
        tomorrow = evaluate_at(snapshot, 5, [parse_rule("did('page')")], [AS_OF, AS_OF + DAY_US], key=b"key")
        assert (tomorrow.seen, tomorrow.truths) == ([False, True], [[False], [True]])


def test_questions_can_be_asked_again_in_part_and_beyond() -> None:
    one, two, three = (("", parse_rule(t)) for t in ("did('page')", "t_country = 'de'", "in_segment('vip')"))
    with OneCustomer(log(), 1, key=b"key", questions=[one, two]) as she:
        assert she.ask([one, two], [], [AS_OF]).truths == [[True, True]]
        assert she.ask([two], [], [AS_OF - 100 * DAY_US, AS_OF]).truths == [[None], [True]]
        asked = she.ask([three], [], [AS_OF - 1, AS_OF], in_segment=lambda name, part, at: (name, at) == ("vip", AS_OF))
        assert asked.truths == [[False], [True]]
        with pytest.raises(BadInput):
            she.ask([one], [], [parse_instant("3001-01-01T00:00:00Z")])


def test_many_moments_of_many_events_are_asked_about_in_turns() -> None:
    page = ("", parse_rule("did('page')"))
    with OneCustomer(log(), 1, key=b"key", most_rows=7) as she:
        found = she.ask([page], [], [AS_OF - n * DAY_US for n in range(9)])
        assert [row[0] for row in found.truths] == [True] * 5 + [False] * 4
        assert she.ask([page], [], []).truths == []


def test_a_customer_nobody_knows_was_never_seen() -> None:
    assert evaluate_at(log(), 999, [parse_rule("never('page')")], [AS_OF], key=b"key").seen == [False]


def test_conditions_that_python_takes_for_equal_are_asked_apart() -> None:
    world = random_rule_world(Random(3))
    customer = next(iter(world.customers()))
    for text in ("p_never = 1 and did(*)", "p_never = true and did(*)", "t_never = 1", "t_never = true"):
        asked = evaluate_at(world.snapshot(), customer, [parse_rule(text.replace("p_", "t_"))], [world.as_of], key=b"k")
        assert len(asked.truths) == 1
