"""Tables come and go through Arrow: pandas, Polars, Arrow itself and a file give the same answer."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import kohort
from kohort.discovery.read_table import as_feature_table
from kohort.errors import BadInput


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    chance = np.random.default_rng(5)
    middle = np.repeat([[0.0, 0.0], [8.0, 8.0]], 60, axis=0)
    values = middle + chance.normal(size=middle.shape)
    return pd.DataFrame({"id": [f"c{i}" for i in range(120)], "orders": values[:, 0], "spend": values[:, 1]})


def test_every_kind_of_table_gives_the_same_segments(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "t.csv", index=False)
    kinds = [frame, pl.from_pandas(frame), pa.Table.from_pandas(frame), tmp_path / "t.csv", str(tmp_path / "t.csv")]
    sizes = [[s.size for s in kohort.discover(kind, k=2, seed=1).segmentation.segments] for kind in kinds]
    assert sizes == [[60, 60]] * len(kinds)


def test_a_feature_table_becomes_a_data_frame_again(frame: pd.DataFrame) -> None:
    back = pl.DataFrame(as_feature_table(frame))
    assert back.columns == ["customer_id", "orders", "spend"]
    assert back["customer_id"].to_list() == frame["id"].tolist()


def test_something_that_is_no_table_is_refused_with_what_to_bring() -> None:
    with pytest.raises(BadInput) as caught:
        kohort.discover([1, 2, 3])
    assert "data frame" in caught.value.hint
