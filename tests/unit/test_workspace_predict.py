"""A shop that predicts: training sets, a model that is kept, scores, reasons, and what is said where there is none."""

import random
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import kohort
from kohort.definitions.predictions import parse_target, write_target
from kohort.definitions.workspace_file import parse, write
from kohort.errors import NotEnough, NotFound, RefusedDefinition
from kohort.predict.dataset import default_moments
from kohort.predict.train import Trained


def orders(customers: int, seed: int) -> str:
    """Two kinds of customers: some order every month for ever, the others stop after some weeks."""
    rng = random.Random(seed)
    lines = ["order,customer,date,product,quantity,price"]
    start = date(2023, 1, 1)
    for number in range(customers):
        loyal, day = rng.random() < 0.6, rng.randint(0, 250)
        ends = rng.randint(600, 720) if loyal else day + rng.randint(20, 400)
        while day < ends:
            what = rng.choice(["mug", "pan", "card"])
            lines.append(
                f"o{len(lines)},K{number},{start + timedelta(day)},{what},{rng.randint(1, 4)},{rng.choice([2, 5])}.50"
            )
            day += rng.randint(10, 90)
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("predicting")
    (folder / "orders.csv").write_text(orders(400, 1))
    with kohort.create(folder / "shop", currency="GBP") as made:
        made.ingest(folder / "orders.csv")
        yield made


@pytest.fixture(scope="module")
def found(ws: kohort.Workspace) -> Trained:
    return ws.predict.train(horizon="60 days")


def test_a_training_set_has_every_customer_at_every_moment(ws: kohort.Workspace) -> None:
    data = ws.predict.dataset({"churn": "order_line"}, as_of=["2023-10-01", "2024-03-01"], horizon="60 days")
    assert data.to_arrow().column_names[:3] == ["customer_id", "as_of", "outcome"]
    assert list(data.asked) == [ws.as_of("2023-10-01"), ws.as_of("2024-03-01")]
    assert len(data) == sum(data.asked.values())
    assert set(data.y.tolist()) == {0.0, 1.0}
    assert data.y[data.moments == ws.as_of("2024-03-01")].mean() > 0.2


def test_a_horizon_beyond_the_data_is_refused(ws: kohort.Workspace) -> None:
    with pytest.raises(NotEnough, match="not known yet"):
        ws.predict.dataset({"churn": "order_line"}, as_of=["2024-12-01"], horizon="90 days")
    target = parse_target("t", {"churn": "order_line", "horizon": "90 days"})
    with pytest.raises(NotEnough, match="no past"):
        default_moments(target, first=0, until=100 * 86_400_000_000)


def test_a_model_of_the_shop_is_judged_on_later_moments_and_kept(ws: kohort.Workspace, found: Trained) -> None:
    report = found.report
    assert report["eligible"]
    assert report["metrics"]["roc_auc"]["low"] > 0.7
    assert report["baseline"]["recency"]["roc_auc"]["value"] > 0.6
    assert report["validation"]["from"] is not None
    assert len(report["as_of"]) > 3
    assert report["periods"]
    [kept] = ws.predict.models()
    assert (kept["name"], kept["version"], kept["current"]) == ("churn_90d", report["version"], True)
    assert ws.predict.report()["metrics"] == report["metrics"]


def test_scores_say_of_when_and_by_which_model(ws: kohort.Workspace, found: Trained) -> None:
    scores = ws.predict.score()
    assert scores.column_names == ["customer_id", "probability", "percentile", "told", "model", "as_of"]
    assert set(scores["model"].to_pylist()) == {found.report["version"]}
    assert all(0 <= p <= 1 for p in scores["probability"].to_pylist())
    assert scores["customer_id"].to_pylist()[0].startswith("K")
    active = len(ws.predict.dataset(as_of=[ws.as_of("2024-09-01")], horizon="60 days"))
    assert 0 < scores.num_rows <= 400
    assert active <= 400


def test_reasons_of_one_customer(ws: kohort.Workspace, found: Trained) -> None:
    scores = ws.predict.score().to_pylist()
    top = max(scores, key=lambda s: s["probability"])
    told = ws.predict.why(None, top["customer_id"])
    assert told["probability"] == pytest.approx(top["probability"])
    assert told["up"]
    assert len(told["up"]) <= 3
    missing = {f"K{n}" for n in range(400)} - {s["customer_id"] for s in scores}
    with pytest.raises(NotEnough, match="not about this customer"):
        ws.predict.why(None, sorted(missing)[0])


def test_a_model_is_judged_again_by_what_happened(ws: kohort.Workspace, found: Trained) -> None:
    again = ws.predict.evaluate(as_of="2024-08-20")
    assert again["metrics"]["roc_auc"]["value"] > 0.7
    assert again["seen"]
    assert not again["worse"]


def test_names_and_definitions(ws: kohort.Workspace) -> None:
    with pytest.raises(NotFound, match="churn_9d"):
        ws.predict.target("churn_9d")
    text = (
        write(ws.config)
        + "predictions:\n  gone: {churn: order_line, horizon: 30 days, active: 100 days, where: amount > 0}\n"
    )
    config = parse(text)
    assert parse(write(config)).predictions == config.predictions
    assert config.predictions[0].text == "no order_line where amount > 0 within 30 days"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "exactly one"),
        ({"churn": "a", "event": "b"}, "exactly one"),
        ({"churn": "a", "horizon": "3 months"}, "not always the same length"),
        ({"churn": "a", "horizon": "soon"}, "not a length"),
        ({"churn": "a", "horizont": "3 days"}, "not known here"),
        ({"event": "a", "once": True, "active": "3 days"}, "nobody was active"),
        ({"event": "a", "where": "amount >"}, "condition|number|value|end"),
        ({"event": []}, "names an event"),
        ({"trait": "plan"}, "the value to predict"),
    ],
)
def test_what_is_wrong_with_a_definition_is_said(body: dict[str, object], says: str) -> None:
    with pytest.raises(RefusedDefinition, match=says):
        parse_target("t", body)


@pytest.mark.parametrize(
    "body",
    [
        {"churn": "order_line", "horizon": "90 days", "active": "365 days"},
        {"event": ["a", "b"], "horizon": "2 weeks", "once": True, "where": "amount > 0", "label": "Buys"},
        {"trait": "t_plan", "is": "gold", "label": "Like gold"},
    ],
)
def test_a_definition_is_written_as_it_was_read(body: dict[str, object]) -> None:
    assert write_target(parse_target("t", body)) == body


def test_a_label_of_the_business_is_learned_and_never_read(tmp_path: Path) -> None:
    rng = random.Random(2)
    lines = ["customer,seats,country,tier"]
    for n in range(400):
        seats = rng.randint(1, 40)
        tier = "" if n % 4 == 0 else "gold" if seats + rng.gauss(0, 6) > 20 else "plain"
        lines.append(f"K{n},{seats},{rng.choice(['NL', 'DK', 'DE'])},{tier}")
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    with kohort.create(tmp_path / "shop") as ws:
        ws.ingest(tmp_path / "people.csv", kind="customers")
        data = ws.predict.dataset({"trait": "tier", "is": "gold"})
        assert "tier" not in [f.label.lower() for f in data.table.features]
        known = data.y[~np.isnan(data.y)]
        assert len(known) == 300
        assert len(data) == 400
        report = data.train().report
        assert report["eligible"]
        assert report["unknown"] == 100
        assert isinstance(data.table.ids, pa.Array)


def test_nobody_is_scored_or_learned_from_who_objects(ws: kohort.Workspace, found: Trained) -> None:
    def learned() -> int:
        return len(ws.predict.dataset({"churn": "order_line"}, as_of=["2024-03-01"], horizon="60 days"))

    before, scored = learned(), ws.predict.score(as_of="2024-03-01")["customer_id"].to_pylist()
    ws.privacy.forbid("objection", scored[:3], source="letter")
    assert learned() == before - 3
    assert ws.predict.score(as_of="2024-03-01")["customer_id"].to_pylist() == scored[3:]
    ws.privacy.allow("objection", scored[:3], source="letter")
    assert learned() == before
