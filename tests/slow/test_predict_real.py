"""Public tables: figures that were published or measured for them, and the traps they are known for."""

import csv as plain_csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from kohort.discovery.discover import read_table
from kohort.predict.labels import find_column, take_labels
from kohort.predict.train import Trained, train

pytestmark = [pytest.mark.slow, pytest.mark.shared]


def on(path: Path, label: str, *, keep: tuple[str, ...] = (), positive: str | None = None) -> Trained:
    table = read_table(path)
    found, labels = take_labels(table, label, positive)
    return train(found, labels.y, keep=[find_column(found, k) for k in keep])


def test_telco_churn_is_ranked_and_calibrated_as_well_as_anybody_does(shared_data: Path) -> None:
    report = on(shared_data / "telco-churn" / "Telco-Customer-Churn.csv", "Churn").report
    figures = {name: e["value"] for name, e in report["metrics"].items()}
    assert figures["roc_auc"] >= 0.845
    assert figures["brier"] <= 0.135
    assert figures["calibration_error"] < 0.02
    assert report["over_fit"]["gap"] < 0.03
    assert [w for w in report["warnings"] if w["left_out"]] == []


def test_the_predictions_in_the_bank_table_are_left_out(shared_data: Path) -> None:
    report = on(shared_data / "bank-card-churn" / "BankChurners.csv", "Attrition_Flag").report
    left_out = [w["feature"] for w in report["warnings"] if w["left_out"]]
    assert len(left_out) == 2
    assert all(name.startswith("naive_bayes") for name in left_out)
    assert report["metrics"]["roc_auc"]["value"] > 0.985
    assert report["metrics"]["calibration_error"]["value"] < 0.02


def test_a_table_that_was_balanced_by_made_up_rows_is_told(shared_data: Path, tmp_path: Path) -> None:
    """SMOTE before the split: churners are mixed with their nearest churners, which gives AUC .99 to anybody."""
    with (shared_data / "telco-churn" / "Telco-Customer-Churn.csv").open() as file:
        rows = list(plain_csv.DictReader(file))
    y = np.array([r["Churn"] == "Yes" for r in rows])
    X = np.array([[float(r["tenure"]), float(r["MonthlyCharges"]), float(r["SeniorCitizen"])] for r in rows])
    rare, rng = X[y], np.random.default_rng(0)
    extra = int((~y).sum() - y.sum())
    first = rng.integers(0, len(rare), extra)
    second = np.array([np.argsort(((rare - rare[i]) ** 2).sum(axis=1))[rng.integers(1, 6)] for i in first])
    made = rare[first] + rng.random((extra, 1)) * (rare[second] - rare[first])
    whole = np.vstack([X, made])
    table = pa.table({"number": [f"K{i}" for i in range(len(whole))], "tenure": whole[:, 0], "charges": whole[:, 1],
                      "senior": whole[:, 2], "churn": np.concatenate([y, np.ones(extra, bool)])})  # fmt: skip
    csv.write_csv(table, tmp_path / "smote.csv")
    report = on(tmp_path / "smote.csv", "churn").report
    assert "made_up_rows" in {w["code"] for w in report["warnings"]}


def test_what_a_hotel_knows_only_afterwards_is_flagged(shared_data: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(shared_data / "hotel-bookings" / "hotel_bookings.csv.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode().splitlines()
    (tmp_path / "hotel.csv").write_text("\n".join([text[0], *text[1::8]]) + "\n")
    report = on(tmp_path / "hotel.csv", "is_canceled", positive="1").report
    by_code = {(w["code"], w["feature"]) for w in report["warnings"]}
    assert ("too_good", "reservation_status") in by_code
    assert {code for code, feature in by_code if feature == "reservation_status_date"} & {
        "known_afterwards",
        "settles_it",
    }
    assert ("settles_it", "required_car_parking_spaces") in by_code


def test_a_call_that_lasts_is_known_only_afterwards() -> None:
    from kohort.model.feature import FeatureInfo, FeatureTable
    from kohort.predict.guard import look

    rng = np.random.default_rng(0)
    table = FeatureTable(
        pa.array(range(500)), pa.table({"duration": rng.random(500)}), (FeatureInfo("duration", "Duration"),)
    )
    [found] = look(table, (rng.random(500) < 0.3).astype(float), np.arange(500))
    assert (found.code, found.left_out) == ("known_afterwards", False)
