"""Next purchase, cross-selling and migration: worlds whose truth is known, one part beside the other, nobody asked who objects."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.predictions import parse_target, write_target
from kohort.errors import NotEnough, NotFound, RefusedDefinition, WrongUsage
from kohort.predict.when import ladder, timing, told

START = date(2023, 1, 1)
CUSTOMERS = 330
"""So few that with six moments only the small settings of models are tried."""

MOMENTS = ["2023-11-30", "2024-01-29", "2024-03-29", "2024-05-28", "2024-07-27", "2024-09-25"]
"""60 days apart: when the tiers are run."""

PREDICTIONS = (
    parse_target("next_order", {"next": "order_line", "horizon": "60 days"}),
    parse_target("other", {"cross_sell": "category", "values": ["coffee", "filter", "tea"], "horizon": "60 days"}),
    parse_target("tiers_next", {"migration": "tier", "horizon": "60 days"}),
)


def orders(customers: int, seed: int) -> str:
    """Everybody orders about as often as she does; filters are new, and who has bought coffee buys them, others never do."""
    rng = random.Random(seed)
    lines = ["order,customer,date,product,category,quantity,price"]
    for number in range(customers):
        every, drinks = rng.choice([9, 25, 70]), rng.random() < 0.5
        day, ends, had_coffee = rng.randint(0, 200), rng.randint(250, 720), False
        while day < ends:
            what = rng.choice(["mug", "pan"]) if not drinks else rng.choice(["mug", "coffee"])
            if had_coffee and day > 340 and rng.random() < 0.1:
                what = "filter"
            had_coffee = had_coffee or what == "coffee"
            lines.append(f"o{len(lines)},K{number},{START + timedelta(day)},{what}1,{what},1,{rng.choice([4, 9])}.50")
            day += max(1, round(rng.gauss(every, every / 6)))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kohort.Workspace]:
    folder = tmp_path_factory.mktemp("parts")
    (folder / "orders.csv").write_text(orders(CUSTOMERS, 1))
    with kohort.create(folder / "shop", currency="GBP") as made:
        made.ingest(folder / "orders.csv")
        made.change(lambda config: replace(config, predictions=PREDICTIONS))
        made.segments.add(
            "tier",
            {
                "tiers": {
                    "often": "did('order_line', at_least => 4, within => '60 days')",
                    "some": "did('order_line', within => '60 days')",
                    "rare": "did('order_line')",
                }
            },
        )
        for moment in MOMENTS:
            made.segments.run("tier", as_of=moment)
        yield made


def call(ws: kohort.Workspace, *arguments: object) -> str:
    done = CliRunner().invoke(app, ["predict", *map(str, arguments), "-w", str(ws.root)])
    assert done.exit_code == 0, done.output
    return done.stdout


# When -----------------------------------------------------------------------------------------------------------------


def test_a_median_has_an_interval_that_holds_and_ends_with_the_horizon() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        days = draw.exponential(20 / np.log(2), 150)  # half of them by day 20
        (band,) = ladder(np.full(150, 0.9), np.where(days <= 60, days, np.nan))[:1]
        assert band["low"] is not None
        assert band["high"] is not None
        held += band["low"] <= 20 <= band["high"]
    assert 180 <= held <= 199
    (rare,) = ladder(np.full(50, 0.1), np.where(np.arange(50) < 5, 3.0, np.nan))
    assert (rare["median"], rare["high"], rare["up_to"]) == (None, None, 1.0)


def test_days_follow_the_probability_and_are_judged_on_other_customers() -> None:
    draw = np.random.default_rng(1)
    p = draw.uniform(0.05, 0.95, 4_000)
    days = draw.exponential(-60 / np.log(1 - p))  # the chance of an event within 60 days is p
    days = np.where(days <= 60, days, np.nan)
    found = timing(p, days, np.arange(4_000), horizon=60)
    assert found["by_then"] == pytest.approx(0.5, abs=0.06)
    assert found["mae_days"] < found["naive_mae_days"]
    medians = told(found["bands"], np.array([0.2, 0.7, 0.94]))["median"]
    assert np.isnan(medians[0])
    assert medians[2] < medians[1] < 60


def test_the_next_order_has_a_probability_and_a_day(ws: kohort.Workspace) -> None:
    assert "median day" in call(ws, "train", "next_order")
    report = ws.predict.report("next_order")
    assert report["eligible"]
    assert report["metrics"]["roc_auc"]["low"] > 0.7
    assert report["when"]["by_then"] == pytest.approx(0.5, abs=0.15)
    scores = ws.predict.score("next_order")
    assert scores.column_names[4:7] == ["days", "days_low", "days_high"]
    for row in scores.to_pylist():
        if row["days"] is not None:
            assert 0 <= row["days_low"] <= row["days"] <= 60


# Cross-selling --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other(ws: kohort.Workspace) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(call(ws, "train", "other", "--json"))
    return said


def test_each_category_is_a_question_of_its_own(ws: kohort.Workspace, other: dict[str, Any]) -> None:
    report = other
    parts = {p["part"]: p for p in report["parts"]}
    assert list(parts) == ["coffee", "filter"] or list(parts) == ["coffee", "filter", "tea"]
    assert parts["filter"]["eligible"]
    assert parts["filter"]["metrics"]["roc_auc"]["low"] > 0.65
    assert not parts.get("tea", {"eligible": False})["eligible"]
    assert report["eligible"]
    scores = ws.predict.score("other").to_pylist()
    assert {row["part"] for row in scores} <= {"coffee", "filter"}
    had = {r["customer_id"] for r in scores if r["part"] == "filter"}
    bought = set()
    for line in orders(CUSTOMERS, 1).splitlines()[1:]:
        _, customer, _, _, category, *_ = line.split(",")
        if category == "filter":
            bought.add(customer)
    assert not had & bought, "who has it is not asked about"


def test_a_part_can_be_asked_about_alone(ws: kohort.Workspace, other: dict[str, Any]) -> None:
    assert ws.predict.report("other/filter")["version"] == other["parts"][1]["version"]
    assert ws.predict.report("other/filter")["metrics"]
    customer = ws.predict.score("other/filter").column("customer_id")[0].as_py()
    assert ws.predict.why("other/filter", customer)["target"].startswith("first order_line with category filter")
    with pytest.raises(WrongUsage, match="several parts"):
        ws.predict.report("other")
    with pytest.raises(NotFound):
        ws.predict.target("next_order/filter")


def test_without_values_the_common_ones_are_asked_about(ws: kohort.Workspace) -> None:
    from kohort.engines.purchases import common_values

    log = ws.store.log.snapshot()
    assert set(common_values(log, "category", ["order_line"], 10)) == {"mug", "pan", "coffee", "filter"}
    assert common_values(log, "category", ["order_line"], 1) == ["mug"]
    with pytest.raises(NotFound):
        common_values(log, 'x" FROM events --', ["order_line"], 1)


# Migration ------------------------------------------------------------------------------------------------------------


def test_where_members_will_be_is_learned_from_the_log_of_memberships(ws: kohort.Workspace) -> None:
    report = ws.predict.train("tiers_next").report
    parts = {p["part"]: p for p in report["parts"]}
    assert set(parts) >= {"often", "some", "rare"}
    assert parts["often"]["eligible"]
    assert parts["often"]["metrics"]["roc_auc"]["low"] > 0.7
    scores = ws.predict.score("tiers_next", as_of=MOMENTS[-1]).to_pylist()
    mine = {m["customer_id"]: m["segment"].lower() for m in ws.members("tier", MOMENTS[-1]).to_pylist()}
    assert {r["customer_id"]: r["part_now"] for r in scores} == mine
    if len({r["part"] for r in scores}) == len(parts):
        totals: dict[str, float] = {}
        for row in scores:
            totals[row["customer_id"]] = totals.get(row["customer_id"], 0.0) + row["probability"]
        assert np.allclose(list(totals.values()), 1.0)


def test_a_training_set_says_who_was_where_and_where_she_was_then(ws: kohort.Workspace) -> None:
    data = ws.predict.dataset("tiers_next/often", as_of=[MOMENTS[2]])
    before, after = (
        {m["customer_id"]: m["segment"].lower() for m in ws.members("tier", moment).to_pylist()}
        for moment in (MOMENTS[2], MOMENTS[3])
    )
    assert len(data) == len(before)
    assert data.y.sum() == sum(after.get(customer) == "often" for customer in before)
    assert data.table.data.column("part_now").to_pylist().count("often") == list(before.values()).count("often")


def test_what_the_log_of_memberships_does_not_know_is_not_answered(ws: kohort.Workspace) -> None:
    with pytest.raises(NotEnough, match="is known from"):
        ws.predict.dataset("tiers_next/often", as_of=["2023-05-01"])
    with pytest.raises(NotEnough, match="less than"):
        ws.predict.train({"migration": "tier", "horizon": "400 days"})
    with pytest.raises(NotFound):
        ws.predict.train({"migration": "teir", "horizon": "60 days"})


def test_who_objects_is_neither_learned_from_nor_scored(ws: kohort.Workspace) -> None:
    def rows(name: str) -> int:
        return len(ws.predict.dataset(name, as_of=[MOMENTS[3]]))

    names = ("tiers_next/often", "other/filter")
    before = [rows(name) for name in names]
    asked = [r["customer_id"] for r in ws.members("tier", MOMENTS[3]).to_pylist()][:30]
    ws.privacy.forbid("objection", asked, source="letter")
    assert all(rows(name) < count for name, count in zip(names, before, strict=True))
    ws.privacy.allow("objection", asked, source="letter")
    assert rows("other/filter") == before[1]


def test_the_command_line_lists_parts(ws: kohort.Workspace, other: dict[str, Any], tmp_path: Path) -> None:
    assert other.keys() >= {"eligible", "reason", "model", "metrics", "baseline", "warnings", "parts"}
    scored = json.loads(call(ws, "score", "other", "--out", tmp_path / "s.csv", "--json"))
    assert scored["parts"][0].keys() == {"part", "customers", "told", "expected"}
    assert scored["customers"] <= sum(p["customers"] for p in scored["parts"])
    assert "filter" in call(ws, "score", "other")


# Writing it down ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"next": "order_line", "horizon": "30 days", "active": "365 days"}, "next order_line within 30 days"),
        (
            {
                "cross_sell": "category",
                "on": "order_line",
                "horizon": "60 days",
                "values": ["a", "b"],
                "active": "365 days",
            },
            "first order_line with category of each kind within 60 days",
        ),
        ({"migration": "tier", "horizon": "90 days"}, "in which part of tier 90 days later"),
    ],
)
def test_a_definition_is_written_as_it_was_read(body: dict[str, object], text: str) -> None:
    target = parse_target("t", body)
    assert write_target(target) == body
    assert target.text == text
    assert not target.several or target.part("x").whole == target


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"next": []}, "names an event"),
        ({"next": "order_line", "once": True}, "not known here"),
        ({"cross_sell": ""}, "the column whose values"),
        ({"cross_sell": "category", "values": ["a", "a"]}, "different texts"),
        ({"cross_sell": "amount"}, "number|text"),
        ({"migration": ""}, "a segment with parts"),
        ({"migration": "tier", "next": "order_line"}, "exactly one"),
    ],
)
def test_what_is_wrong_with_a_definition_is_said(body: dict[str, object], says: str) -> None:
    with pytest.raises(RefusedDefinition, match=says):
        parse_target("t", body, {})
