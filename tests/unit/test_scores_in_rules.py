"""Scores in rules: who is in by a stored probability, until it is stale; in a run and in the loop; kept once, and by whom."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import kohort
from kohort.definitions.predictions import parse_target, write_target
from kohort.definitions.rules import format_rule, parse_rule
from kohort.definitions.rules.tree import Compare, Score
from kohort.definitions.scores import of_score, score_features, score_names
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.errors import NotEnough, NotFound, RefusedDefinition, WrongUsage
from kohort.live.audit import audit
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import DAY_US, iso, parse_instant
from kohort.model.event import SCORE, SCORE_COLUMNS, SCORE_MODEL, SCORE_OF, SCORE_PARTS
from kohort.segments.reach import reach
from kohort.store import create_store, open_store
from kohort.store.store import Store

CHURN = parse_target("churn", {"churn": "order_line", "fresh": "7 days"})
START = parse_instant("2026-03-01T12:00:00Z")
SECOND = 1_000_000


def segment(name: str, text: str) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText(text, parse_rule(text))),))


# What a score is to a rule ---------------------------------------------------------------------------------------------


def test_a_prediction_says_how_long_its_scores_are_fresh() -> None:
    assert str(CHURN.fresh) == "7 days"
    assert str(parse_target("churn", {"churn": "order_line"}).fresh) == "30 days"
    assert write_target(CHURN)["fresh"] == "7 days"
    with pytest.raises(RefusedDefinition, match="not always the same length"):
        parse_target("churn", {"churn": "order_line", "fresh": "1 month"})


def test_both_spellings_mean_the_same_score() -> None:
    features = {f.name: f for f in score_features([CHURN])}
    assert of_score("churn", features) is of_score("churn.probability", features) is features["churn.probability"]
    assert of_score("churn.percentile", features) is features["churn.percentile"]
    assert of_score("other", features) is None
    assert score_names(features.values()) == {"churn"}


def test_a_part_of_a_trait_stays_a_trait() -> None:
    rule = parse_rule("t_plan.probability > 1")
    assert isinstance(rule, Compare)
    assert not isinstance(rule.left, Score)
    assert format_rule(parse_rule("score('churn') > 0.5 and churn.probability > 0.5")).startswith("score('churn')")


def test_only_scores_can_change_a_rule_about_scores() -> None:
    features = {f.name: f for f in score_features([CHURN])}
    found = reach(segment("likely", "churn.probability > 0.5"), features)
    assert (found.every, found.events, found.columns) == (False, {SCORE}, frozenset())


# In the loop -----------------------------------------------------------------------------------------------------------


class Shop:
    """A workspace with a loop and a clock that is set, as in the tests of the loop."""

    def __init__(self, root: Path) -> None:
        self.root, self.now, self.n = root, START, 0
        self.store: Store = create_store(root, buckets=2)
        definitions = (segment("likely", "churn.probability > 0.5"),)
        self.given = Given("1", definitions, {}, score_features([CHURN]), SegmentSettings(), "UTC", "EUR")
        self.script = Script()
        self.loop = Loop(
            self.store, lambda: self.given, [self.script], clock=lambda: self.now, pace=Pace(watch=0, note=0)
        )

    def page(self, who: str) -> None:
        self.n += 1
        payload = {
            "type": "track",
            "event": "page",
            "userId": who,
            "messageId": f"m{self.n}",
            "timestamp": iso(self.now),
        }
        self.script.add(Arrival(payload, self.now, "shop", f"{self.n}"))

    def at(self, us: int) -> set[str]:
        """Who is likely to leave, after everything up to an instant was done."""
        self.now = us
        while self.loop.tick().more:
            pass
        found = self.store.members.current("likely")["customer"].to_numpy()
        return {str(ref) for ref in self.store.vault.refs(found)}

    def scored(self, number: int, **probabilities: float) -> None:
        """Another process stores scores of the present moment."""
        customers = self.store.vault.customers(list(probabilities))
        rows = len(customers)
        figures = pa.array(np.rint(np.array(list(probabilities.values())) * 1e6).astype(np.int64))
        table = pa.table(
            {
                "event_id": [f"{number}/{customer}" for customer in customers],
                "customer": pa.array(customers, pa.int64()),
                "event": [SCORE] * rows,
                "ts": pa.array([self.now] * rows, pa.int64()),
                "received_at": pa.array([self.now] * rows, pa.int64()),
                "local_day": pa.array([self.now // DAY_US] * rows, pa.int32()),
                "local_hour": pa.array([0] * rows, pa.int32()),
                SCORE_OF: ["churn"] * rows,
                SCORE_MODEL: ["m"] * rows,
                SCORE_PARTS["probability"]: figures,
            }
        )
        with open_store(self.root) as other:
            other.log.declare(SCORE_COLUMNS)
            other.log.append(table, batch=number)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "shop")
    yield made
    made.loop.close()
    made.store.close()


def test_a_new_score_counts_in_the_next_tick_and_leaves_at_its_instant(shop: Shop) -> None:
    shop.page("ana")
    shop.page("bob")
    assert shop.at(START + SECOND) == set(), "nobody has a score yet"
    shop.scored(1, ana=0.8, bob=0.2)
    assert shop.at(START + 2 * SECOND) == {"ana"}
    shop.scored(2, ana=0.1, bob=0.9)
    scored_at = shop.now
    assert shop.at(START + 3 * SECOND) == {"bob"}
    assert shop.at(scored_at + 7 * DAY_US - 1) == {"bob"}
    assert shop.at(scored_at + 9 * DAY_US) == set(), "P2: stale"
    last = shop.store.members.transitions().to_pylist()[-1]
    assert (last["change"], last["at"]) == ("left", scored_at + 7 * DAY_US)
    assert audit(shop.store, shop.given).sound


# Kept by a model -------------------------------------------------------------------------------------------------------


def orders(customers: int, seed: int) -> str:
    """Two kinds of customers: some order every month until the end, the others stop before."""
    rng = np.random.default_rng(seed)
    lines, start = ["order,customer,date,product,quantity,price"], np.datetime64("2023-01-01")
    for number in range(customers):
        loyal, day = rng.random() < 0.6, int(rng.integers(0, 250))
        ends = int(rng.integers(600, 720)) if loyal else day + int(rng.integers(20, 400))
        while day < ends:
            lines.append(
                f"o{len(lines)},K{number},{start + np.timedelta64(day, 'D')},mug,{rng.integers(1, 5)},{rng.integers(2, 9)}.50"
            )
            day += int(rng.integers(10, 90))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop with a prediction and a rule about it, as it is before anything is trained. No test changes it."""
    folder = tmp_path_factory.mktemp("scores")
    (folder / "orders.csv").write_text(orders(300, 1))
    with kohort.create(folder / "shop", currency="GBP") as ws:
        ws.ingest(folder / "orders.csv")
        target = parse_target("churn_60d", {"churn": "order_line", "horizon": "60 days", "fresh": "7 days"})
        ws.change(lambda config: replace(config, predictions=(target,)))
        ws.segments.add("leaving", "churn_60d.probability > 0.6")
    return folder / "shop"


@pytest.fixture(scope="module")
def trained(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a model. No test changes it."""
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("trained") / "shop"))
    with kohort.open(folder) as ws:
        assert ws.predict.train().report["eligible"]
    return folder


@pytest.fixture
def bare(made: Path, tmp_path: Path) -> Iterator[kohort.Workspace]:
    with kohort.open(shutil.copytree(made, tmp_path / "shop")) as ws:
        yield ws


@pytest.fixture
def ws(trained: Path, tmp_path: Path) -> Iterator[kohort.Workspace]:
    """A model, and no score of anybody yet."""
    with kohort.open(shutil.copytree(trained, tmp_path / "shop")) as ws:
        yield ws


@pytest.fixture
def scored(ws: kohort.Workspace) -> kohort.Workspace:
    """The rule was run, so scores are kept."""
    assert ws.segments.run("leaving").of("leaving").size
    return ws


def test_a_rule_about_a_prediction_without_scores_has_no_members(bare: kohort.Workspace) -> None:
    report = bare.segments.run("leaving")
    assert report.of("leaving").size == 0
    (told,) = report.scores
    assert (told["name"], told["new"]) == ("churn_60d", 0)
    assert "No model" in told["problem"]
    with pytest.raises(NotEnough, match="No model"):
        bare.predict.keep()


def test_a_run_scores_what_its_rules_ask_for_and_only_once(ws: kohort.Workspace) -> None:
    events = ws.summary()["events"], ws.contents().events, ws.as_of(), [f.name for f in ws.definitions()]
    report = ws.segments.run("leaving")
    (told,) = report.scores
    scores = ws.predict.score().to_pylist()
    # Stored figures are millionths, so both sides are rounded alike before they are compared.
    expected = {s["customer_id"] for s in scores if round(s["probability"], 6) > 0.6}
    assert told["problem"] == ""
    assert told["customers"] == told["new"] == len(scores)
    assert set(ws.members("leaving")["customer_id"].to_pylist()) == expected
    assert 0 < len(expected) < len(scores)
    again = ws.segments.run("leaving")
    assert again.scores[0]["new"] == 0
    difference = again.of("leaving").difference
    assert difference is not None
    assert (difference.entered, difference.left) == (0, 0)
    after = ws.summary()["events"], ws.contents().events, ws.as_of(), [f.name for f in ws.definitions()]
    assert after == events, "a score is nothing that a customer did"


def test_scores_turn_stale_and_are_shown_so(scored: kohort.Workspace) -> None:
    now = scored.as_of()
    [kept] = [m["scores"] for m in scored.predict.models() if m["current"]]
    assert (kept["as_of"], kept["stale"]) == (iso(now), False)
    at_the_edge = scored.segments.preview(rule="churn_60d.probability > 0.6", as_of=now + 7 * DAY_US)
    before = scored.segments.preview(rule="churn_60d.probability > 0.6", as_of=now + 7 * DAY_US - 1)
    assert (at_the_edge.size, before.size) == (0, scored.members("leaving").num_rows)
    from kohort.workspace.scores import freshness

    shown = freshness(scored, scored.predict.target("churn_60d"), now + 7 * DAY_US)
    assert shown is not None
    assert shown["stale"]
    assert shown["stale_at"] == iso(now + 7 * DAY_US)


def test_a_model_does_not_keep_scores_of_a_past_that_it_learned_from(scored: kohort.Workspace) -> None:
    with pytest.raises(WrongUsage, match="has learned what happened until"):
        scored.predict.keep(as_of="2024-06-01")
    later = scored.predict.keep(as_of=scored.as_of() + DAY_US)
    assert later["new"] > 0
    with pytest.raises(WrongUsage, match="are kept already"):
        scored.predict.keep(as_of=scored.as_of())


def test_a_score_of_a_prediction_that_is_not_defined_is_refused(ws: kohort.Workspace) -> None:
    with pytest.raises(RefusedDefinition, match="No score is called 'churn_30d'") as refused:
        ws.segments.preview(rule="churn_30d.probability > 0.6")
    assert refused.value.code == "unknown_score"
    with pytest.raises(NotFound):
        ws.predict.keep("churn_30d")


def test_what_is_kept_of_somebody_is_hers_to_see(scored: kohort.Workspace) -> None:
    someone = scored.predict.score().to_pylist()[0]
    (key,) = scored.store.vault.known([someone["customer_id"]])
    from kohort.trust.access import events as told

    scores = [e for e in told(scored.store, [int(key)], "GBP") if e["event"] == SCORE]
    assert scores
    said = scores[0]["properties"]
    assert said["kohort_score"] == "churn_60d"
    assert float(said["kohort_probability"]) == pytest.approx(someone["probability"], abs=1e-6)
