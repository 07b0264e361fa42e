"""`kohort predict`: the interface that programs rely on, for a plain table and for a workspace."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import csv

from kohort.cli.app import app
from kohort.predict.model import model_from_bytes


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def write(path: Path, seed: int, *, shuffled: bool = False, start: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    away, plan = rng.exponential(60, 500), rng.choice(["basic", "pro"], 500)
    y = rng.random(500) < 1 / (1 + np.exp(-(0.04 * (away - 60) - 1.5 * (plan == "pro"))))
    if shuffled:
        y = rng.permutation(y)
    days = np.datetime64("2024-01-01") + np.arange(500) // 2
    table = pa.table(
        {
            "number": [f"K{start + n}" for n in range(500)],
            "Days Away": away,
            "plan": plan,
            "seen": days,
            "household": np.arange(500) // 3,
            "Churned": np.where(y, "Yes", "No"),
        }
    )
    csv.write_csv(table, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predict")
    write(path / "train.csv", 1)
    write(path / "today.csv", 2, start=1_000)
    done = call(
        "train", path / "train.csv", "--label", "Churned", "--drop", "household", "--out", path / "m.kohort", "--json"
    )
    assert done.exit_code == 0, done.output
    (path / "train.json").write_text(done.stdout)
    return path


def test_training_on_a_plain_table_says_what_the_interface_promises(folder: Path) -> None:
    said = json.loads((folder / "train.json").read_text())
    assert said.keys() >= {"eligible", "reason", "model", "metrics", "baseline", "warnings"}
    assert said["metrics"].keys() >= {
        "roc_auc", "average_precision", "log_loss", "calibration_error", "f1", "precision", "recall",
    }  # fmt: skip
    assert said["metrics"]["roc_auc"].keys() == {"value", "low", "high"}
    assert (said["label"], said["positive"], said["rows"]) == ("Churned", "yes", 500)
    assert said["metrics"]["roc_auc"]["low"] > 0.7


def test_scores_of_another_table(folder: Path) -> None:
    out = folder / "scores.csv"
    done = call("score", folder / "today.csv", "--model", folder / "m.kohort", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    scores = csv.read_csv(out)
    assert scores.column_names == ["number", "probability", "percentile", "told"]
    assert scores.num_rows == said["customers"] == 500
    assert scores["number"][0].as_py() == "K1000"
    truth = sum(v == "Yes" for v in csv.read_csv(folder / "today.csv")["Churned"].to_pylist())
    assert said["expected"] == pytest.approx(truth, rel=0.25)
    again = call("evaluate", folder / "today.csv", "--model", folder / "m.kohort", "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["metrics"]["roc_auc"]["value"] > 0.7


def test_reasons_of_a_row_and_the_validation_of_a_file(folder: Path) -> None:
    done = call("why", "K1003", "--table", folder / "today.csv", "--model", folder / "m.kohort", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["up"] or said["down"]
    assert call("why", "nobody", "--table", folder / "today.csv", "--model", folder / "m.kohort").exit_code == 1
    shown = call("models", "--model", folder / "m.kohort")
    assert "AUC" in shown.output
    assert "taken" in shown.output


@pytest.mark.parametrize(
    "about", [{}, {"report": []}, {"report": {"threshold": {}}}, {"report": {"threshold": {"value": 0.5}}}]
)
def test_a_file_that_does_not_say_how_it_was_judged_is_refused(
    folder: Path, tmp_path: Path, about: dict[str, Any]
) -> None:
    forged, today = tmp_path / "forged.kohort", folder / "today.csv"
    model = model_from_bytes((folder / "m.kohort").read_bytes())
    forged.write_bytes(replace(model, about=about).to_bytes())
    calls = [("models", "--model", forged)]
    if len(about.get("report", ())) == 0 or not about["report"]["threshold"]:
        calls += [("score", today, "--model", forged), ("why", "K1003", "--table", today, "--model", forged)]
    for one in calls:
        done = call(*one)
        assert done.exit_code == 1, done.output
        assert "does not say how it was judged" in done.output


def test_by_time_and_by_household(folder: Path) -> None:
    done = call("train", folder / "train.csv", "--label", "Churned", "--time", "seen", "--group", "household", "--drop", "number",
                "--by", "plan", "--cost-missed", 4, "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["customers"] == 167
    assert said["validation"]["from"] is not None
    assert len(said["periods"]) > 1
    assert {p["value"] for p in said["parts"]} == {"“basic”", "“pro”"}
    assert said["threshold"]["value"] == pytest.approx(0.2)


def test_no_signal_and_too_few_are_answers_with_code_3(folder: Path, tmp_path: Path) -> None:
    none = call(
        "train",
        write(tmp_path / "noise.csv", 3, shuffled=True),
        "--label",
        "Churned",
        "--out",
        tmp_path / "m",
        "--json",
    )
    assert none.exit_code == 3, none.output
    assert (json.loads(none.stdout)["model"], json.loads(none.stdout)["code"]) == (None, "no_signal")
    assert not (tmp_path / "m").exists()
    small = tmp_path / "small.csv"
    small.write_text("id,x,y\n" + "".join(f"K{n},{n % 7},{n % 2}\n" for n in range(40)))
    few = call("train", small, "--label", "y")
    assert few.exit_code == 3
    assert "at least 50" in few.output


def test_what_is_wrong_with_the_call_is_said(folder: Path, tmp_path: Path) -> None:
    table = folder / "train.csv"
    assert call("train", table).exit_code == 2
    assert call("train", table, "--label", "churn").exit_code == 1
    assert call("train", table, "--label", "plan", "--positive", "gold").exit_code == 1
    assert call("train", table, "--label", "Churned", "--time", "plan").exit_code == 2
    assert call("train", table, "--label", "Churned", "--cost-alarm", "2").exit_code == 2
    assert call("train", tmp_path / "none.csv", "--label", "y").exit_code == 1
    assert call("score", table, "--model", table).exit_code == 1
    assert "no file of a model" in call("score", table, "--model", table).output
    assert call("score", "--model", folder / "m.kohort").exit_code == 2
    assert call("models", "-w", tmp_path).exit_code == 2
    other = tmp_path / "other.csv"
    other.write_text("number,x\nK1,1\nK2,2\n")
    lacks = call("score", other, "--model", folder / "m.kohort")
    assert lacks.exit_code == 2
    assert "lacks the feature" in lacks.output


def test_drift_of_a_plain_table_against_the_one_it_was_trained_on(folder: Path) -> None:
    model, train, today = folder / "m.kohort", folder / "train.csv", folder / "today.csv"
    same = call("check", today, "--model", model, "--against", train, "--json")
    said = json.loads(same.stdout)["drift"]
    assert (same.exit_code, said["verdict"]) == (0, "none"), same.output
    assert said["rows"] == {"before": 500, "now": 500, "both": 0}
    table = csv.read_csv(today)
    place = table.column_names.index("Days Away")
    csv.write_csv(
        table.set_column(place, "Days Away", pa.array(table["Days Away"].to_numpy() * 3)), folder / "later.csv"
    )
    later = call("check", folder / "later.csv", "--model", model, "--against", train, "--json")
    assert later.exit_code == 3, later.output
    found = json.loads(later.stdout)["drift"]
    assert found["inputs"][0]["label"].lower() == "days away"
    assert found["inputs"][0]["verdict"] == found["output"]["verdict"] == "drift"
    assert "drifted" in call("check", folder / "later.csv", "--model", model, "--against", train).output


def test_the_card_of_a_file(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "card.md"
    done = call("card", "--model", folder / "m.kohort", "--out", page, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["name"], said["predicts"], said["learned_until"]) == ("Churned", "Churned is yes", None)
    assert said["metrics"] == json.loads((folder / "train.json").read_text())["metrics"]
    assert page.read_text().startswith("# Model card: Churned\n")
