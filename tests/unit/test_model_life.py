"""The life of a model in a shop: drift when its customers change, decay when labels arrive, a challenger, and the way back."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import kohort
from kohort.cli.app import app
from kohort.definitions.predictions import parse_target
from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.predict.card import card_page
from kohort.predict.measures import Scored, roc_auc

DAY = 86_400_000_000
FIRST, LATER = 600, 840
"""Days of the first delivery of data, and of the second one."""


def orders(customers: int, seed: int, *, days: int, turned: bool = False) -> list[tuple[int, str, int, int]]:
    """(day, customer, quantity, price): loyal customers order all the time, the others stop after a while.

    `turned`: from the day of the first delivery on everybody orders at random, whatever she did before.
    """
    rng = np.random.default_rng(seed)
    found = []
    for number in range(customers):
        loyal, day = rng.random() < 0.6, int(rng.integers(0, 200))
        ends = days if loyal else day + int(rng.integers(20, 400))
        its_days = []
        while day < min(ends, FIRST if turned else days):
            its_days.append(day)
            day += int(rng.integers(10, 60))
        day = FIRST + int(rng.exponential(60))
        while turned and day < days:
            its_days.append(day)
            day += 1 + int(rng.exponential(60))
        found += [(d, f"K{number}", int(rng.integers(1, 5)), int(rng.integers(2, 9))) for d in its_days]
    return sorted(found)


def write(path: Path, rows: list[tuple[int, str, int, int]], since: int, until: int) -> Path:
    start = np.datetime64("2022-01-01")
    lines = ["order,customer,date,product,quantity,price"]
    lines += [
        f"o{since}-{n},{who},{start + np.timedelta64(day, 'D')},mug,{quantity},{price}.50"
        for n, (day, who, quantity, price) in enumerate(rows)
        if since <= day < until
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def shop(folder: Path, rows: list[tuple[int, str, int, int]]) -> kohort.Workspace:
    """A shop with its first delivery and a model of it."""
    made = kohort.create(folder / "shop", currency="GBP")
    made.ingest(write(folder / "first.csv", rows, 0, FIRST))
    target = parse_target("churn_60d", {"churn": "order_line", "horizon": "60 days", "active": "365 days"})
    made.change(lambda config: replace(config, predictions=(target,)))
    assert made.predict.train().report["eligible"]
    return made


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kohort.Workspace]:
    folder = tmp_path_factory.mktemp("steady")
    rows = orders(300, 1, days=LATER)
    with shop(folder, rows) as made:
        fresh = made.predict.check()
        assert fresh["decay"]["code"] == "not_yet"
        assert not fresh["retrain"]["due"], "whatever has drifted: nothing new can be learned"
        assert made.as_of(fresh["retrain"]["possible_from"]) > made.as_of()
        assert made.predict.retrain()["decision"] == "not_yet"
        made.ingest(write(folder / "later.csv", rows, FIRST, LATER))
        yield made


def test_what_a_model_did_since_is_what_a_plain_count_says(steady: kohort.Workspace) -> None:
    found = steady.predict.check()
    assert found["learned_until"] < found["as_of"]
    periods = [p for p in found["decay"]["periods"] if p["code"] == "ok"]
    assert len(periods) >= 2
    last = periods[-1]
    scores = steady.predict.score(as_of=last["as_of"]).to_pylist()
    at, until = steady.as_of(last["as_of"]), steady.as_of(last["as_of"]) + 60 * DAY
    events = steady.store.log.snapshot()
    from kohort.engines.duck import connect, register_events

    with connect() as con:
        register_events(con, events)
        ordered = con.execute(f"SELECT DISTINCT customer FROM events WHERE ts > {at} AND ts <= {until}").fetchall()
    refs = set(steady.store.vault.refs([row[0] for row in ordered]))
    happened = np.array([s["customer_id"] not in refs for s in scores], float)
    said = np.array([s["probability"] for s in scores])
    assert last["rows"] == len(scores)
    assert last["happened"] == pytest.approx(happened.mean())
    assert last["said"] == pytest.approx(said.mean())
    assert last["metrics"]["roc_auc"]["value"] == pytest.approx(roc_auc(Scored(said, happened).tally()), abs=1e-6)


def test_outcomes_of_two_horizons_are_a_reason_to_train_again(steady: kohort.Workspace) -> None:
    due = steady.predict.check()["retrain"]
    assert due["due"]
    assert "old" in {reason["code"] for reason in due["reasons"]}


def test_a_challenger_is_judged_on_what_neither_has_seen(steady: kohort.Workspace) -> None:
    before = steady.predict.current()[0].id
    found = steady.predict.retrain(seed=1)
    assert found["decision"] in ("kept", "replaced")
    assert found["champion"]["model"] == before
    assert found["holdout"] == iso(steady.as_of() - 60 * DAY)
    challenger = found["challenger"]["model"]
    assert steady.predict.learned_until(challenger) <= steady.as_of(found["holdout"])
    assert steady.predict.learned_until(before) <= steady.as_of(found["holdout"])
    low, high = found["difference"]["low"], found["difference"]["high"]
    assert low < found["difference"]["value"] < high
    assert (found["decision"] == "replaced") == (low > 0)
    assert steady.predict.current()[0].id == found["current"]
    log_losses = [found[side]["metrics"]["log_loss"]["value"] for side in ("champion", "challenger")]
    assert found["difference"]["value"] == pytest.approx(log_losses[0] - log_losses[1], abs=2e-6)


def test_the_way_back_leads_through_every_version_that_scored(steady: kohort.Workspace) -> None:
    first = steady.predict.current()[0].id
    steady.predict.train(seed=7)
    second = steady.predict.current()[0].id
    steady.predict.train(seed=8, horizon="30 days")
    newest, asked = steady.predict.current()
    third = newest.id
    assert len({first, second, third}) == 3
    assert (str(asked.horizon), asked.text) == ("30 days", "no order_line within 30 days")
    judged = steady.predict.evaluate()["as_of"]
    assert steady.as_of(judged) == steady.as_of() - 30 * DAY, "by the horizon that it was trained for"
    back = steady.predict.rollback()
    assert (back["from"], back["to"]) == (third, second)
    assert steady.predict.current()[0].id == second
    assert set(steady.predict.score()["model"].to_pylist()) == {second}
    assert steady.predict.rollback()["to"] == first
    assert steady.predict.rollback(to=third)["to"] == third
    with pytest.raises(NotFound):
        steady.predict.rollback(to="0" * 24)


def test_after_the_way_back_the_kept_scores_are_those_of_the_version_that_scores(steady: kohort.Workspace) -> None:
    versions = [m["version"] for m in steady.predict.models()]
    steady.predict.rollback(to=versions[0])
    kept = steady.predict.keep()
    steady.predict.rollback(to=versions[1])
    newer = steady.predict.keep()
    assert newer["model"] != kept["model"]
    assert newer["new"] == newer["customers"]
    assert steady.predict.rollback()["to"] == kept["model"]
    again = steady.predict.keep()
    assert (again["model"], again["new"]) == (kept["model"], again["customers"])
    steady.segments.add("likely", "churn_60d.probability > 0.5")
    steady.segments.run("likely")
    expected = {s["customer_id"] for s in steady.predict.score().to_pylist() if round(s["probability"], 6) > 0.5}
    assert set(steady.members("likely")["customer_id"].to_pylist()) == expected


@pytest.mark.nightly
def test_a_shop_whose_customers_turned_around_is_noticed(tmp_path: Path) -> None:
    rows = orders(300, 2, days=LATER, turned=True)
    with shop(tmp_path, rows) as ws:
        ws.ingest(write(tmp_path / "later.csv", rows, FIRST, LATER))
        found = ws.predict.check()
        assert found["decay"]["code"] == "worse"
        assert found["decay"]["periods"][-1]["metrics"]["roc_auc"]["value"] == pytest.approx(0.5, abs=0.1)
        assert found["retrain"]["due"]
        assert found["drift"]["verdict"] == "drift"
        with pytest.raises(NotEnough, match="no version"):
            ws.predict.rollback()


# Cards and commands ----------------------------------------------------------------------------------------------------


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def test_the_page_says_what_the_card_says(steady: kohort.Workspace) -> None:
    card = steady.predict.card()
    page = card_page(card)
    report = steady.predict.report()
    assert card["version"] == steady.predict.current()[0].id
    assert card["metrics"] == report["metrics"]
    assert f"AUC (0.5 = chance) | {report['metrics']['roc_auc']['value']:.3f}" in page
    assert f"{report['rows']:,} rows of {report['customers']:,} customers" in page
    assert [f["name"] for f in card["features"]] == list(steady.predict.current()[0].encoder.features)
    assert "must not be used" in page
    assert all(limit in page for limit in card["limits"])
    assert not re.search(r"\bK\d+\b", page), "no customer is on it"
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") - line.count("\\|") for line in tables} <= {3, 4, 5}


def test_names_on_a_card_cannot_end_a_cell_or_begin_a_tag() -> None:
    from kohort.predict.card import _cell

    assert _cell("a|b <script>\n`x`") == "a\\|b &lt;script> 'x'"


def test_the_commands_answer_as_the_interface_says(steady: kohort.Workspace, tmp_path: Path) -> None:
    steady.predict.rollback(to=steady.predict.models()[-1]["version"])  # it has seen every known outcome
    w = ("-w", steady.root, "--json")
    checked = call("check", "churn_60d", *w)
    said: dict[str, Any] = json.loads(checked.stdout)
    assert checked.exit_code == (3 if said["retrain"]["due"] else 0), checked.output
    assert said.keys() == {"name", "model", "as_of", "learned_until", "scores", "drift", "decay", "retrain"}
    assert said["drift"].keys() == {"verdict", "text", "rows", "inputs", "output", "test"}
    retrained = call("retrain", "churn_60d", *w)
    assert (retrained.exit_code, json.loads(retrained.stdout)["decision"]) == (3, "not_yet")
    back = call("rollback", "churn_60d", *w)
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout).keys() == {"name", "from", "to", "trained_at", "before"}
    page = tmp_path / "card.md"
    card = call("card", "churn_60d", "--out", page, *w)
    assert card.exit_code == 0, card.output
    assert page.read_text().startswith("# Model card: churn_60d\n")
    kept = call("score", "churn_60d", "--keep", *w)
    assert json.loads(kept.stdout)["kept"] == json.loads(kept.stdout)["customers"]
    models = json.loads(call("models", *w).stdout)["models"]
    [current] = [m for m in models if m["current"]]
    assert current["scores"].keys() == {"as_of", "model", "customers", "stale_at", "stale"}
    for words in (["check"], ["models"], ["card"]):
        shown = call(*words, *(["churn_60d"] if words != ["models"] else []), "-w", steady.root)
        assert shown.exit_code in (0, 3), shown.output
        assert "unexpected" not in shown.output


def test_what_is_wrong_with_the_call_is_said(steady: kohort.Workspace, tmp_path: Path) -> None:
    assert call("check", "--against", "a.csv", "-w", steady.root).exit_code == 2
    assert call("check", "a.csv", "--model", "m.kohort").exit_code == 2
    assert call("card", "churn_60d", "--out", tmp_path / "card.pdf", "-w", steady.root).exit_code == 2
    assert call("rollback", "churn_60d", "--to", "nothing", "-w", steady.root).exit_code == 1
    assert call("score", "t.csv", "--model", tmp_path / "m", "--keep").exit_code == 2
    with pytest.raises(WrongUsage):
        steady.predict.keep(as_of="2022-06-01")
