"""A shop whose prediction asks for sequences: the network is taken where features say little, scores from its file, and gives reasons."""

import random
from datetime import date, timedelta

import pytest

import kohort
from kohort.definitions.features import parse_features
from kohort.definitions.predictions import parse_target, write_target
from kohort.engines.weeks import PREFIX
from kohort.errors import RefusedDefinition
from kohort.predict.train import Trained
from kohort.workspace.predict import PredictDoor

MOMENTS = ["2023-09-01", "2023-12-20"]
TARGET = {"churn": "order_line", "horizon": "60 days", "active": "200 days"}


def orders(customers: int) -> str:
    """Everybody orders every other week or so and stops one day: when the last order was says nearly everything."""
    rng = random.Random(3)
    lines = ["order,customer,date,product,quantity,price"]
    for number in range(customers):
        day = rng.randint(0, 200)
        ends = day + rng.randint(60, 500)
        while day < min(ends, 420):
            lines.append(f"o{len(lines)},K{number},{date(2023, 1, 1) + timedelta(day)},mug,1,{rng.choice([2, 5])}.50")
            day += rng.randint(5, 25)
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("sequences")
    (folder / "orders.csv").write_text(orders(300))
    with kohort.create(folder / "shop", currency="GBP") as made:
        made.ingest(folder / "orders.csv")
        made.pin_definitions(parse_features("often: {count: events, event: order_line}"))
        yield made


@pytest.fixture(scope="module")
def found(ws: kohort.Workspace) -> Trained:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kohort.predict.recurrent.weeks.WEEKS", 12)
        return ws.predict.train(parse_target("churn_90d", {**TARGET, "sequence": True}), as_of=MOMENTS)


def test_the_network_is_taken_where_one_feature_says_little(found: Trained) -> None:
    assert found.report["model"] == "recurrent"
    assert found.report["sequence"]["taken"]
    assert found.report["sequence"]["channels"] == ["goods bought", "value bought", "goods returned"]
    assert found.report["metrics"]["roc_auc"]["low"] > 0.75


def test_it_scores_from_its_file_and_its_card_passes_single_weeks_over(ws: kohort.Workspace, found: Trained) -> None:
    scores = PredictDoor(ws).score("churn_90d")
    assert scores.num_rows > 50
    assert set(scores["model"].to_pylist()) == {found.report["version"]}
    assert all(0 <= p <= 1 for p in scores["probability"].to_pylist())
    card = ws.predict.card("churn_90d")
    assert card["model"]["title"] == "a recurrent network on weeks"
    assert [f["name"] for f in card["features"]] == ["often"]
    assert ws.predict.evaluate("churn_90d")["metrics"]["roc_auc"]["value"] > 0.7


def test_reasons_name_what_was_done_week_by_week(ws: kohort.Workspace, found: Trained) -> None:
    top = max(ws.predict.score("churn_90d").to_pylist(), key=lambda s: s["probability"])
    told = ws.predict.why("churn_90d", top["customer_id"])
    assert told["probability"] == pytest.approx(top["probability"], abs=1e-5)
    assert any("week by week" in r["text"] for r in (*told["up"], *told["down"]))


def test_nothing_of_weeks_is_kept_where_nobody_asked(ws: kohort.Workspace, found: Trained) -> None:
    plain = ws.predict.train(parse_target("plain", TARGET), as_of=MOMENTS)
    assert "sequence" not in plain.report
    assert found.model is not None
    asked = [name for name in found.model.about["definitions"] if name.startswith(PREFIX)]
    assert len(asked) == 12 * 3
    if plain.model is not None:
        assert not [name for name in plain.model.about["definitions"] if name.startswith(PREFIX)]


def test_sequence_is_a_yes_or_no_of_predictions_with_a_time() -> None:
    for body in (TARGET, {"next": "page"}, {"cross_sell": "category"}, {"migration": "tier"}, {"event": "page"}):
        target = parse_target("t", {**body, "sequence": True})
        assert target.sequence
        assert write_target(target)["sequence"] is True
        assert parse_target("t", write_target(target)) == target
    assert "sequence" not in write_target(parse_target("t", TARGET))
    with pytest.raises(RefusedDefinition, match="not known here"):
        parse_target("t", {"trait": "plan", "is": "gold", "sequence": True})
    with pytest.raises(RefusedDefinition):
        parse_target("t", {**TARGET, "sequence": "perhaps"})
