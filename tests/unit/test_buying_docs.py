"""docs/buying.md says what is true: its example runs, and it names every model and column."""

import re
from pathlib import Path

import pytest

from kohort.predict.buying.summary import summarise

TEXT = (Path(__file__).parents[2] / "docs" / "buying.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_example_runs(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    exec(example, names)
    assert "Estimate(value=" in capsys.readouterr().out
    assert len(names["low"]) == len(names["high"]) > 2_000  # type: ignore[arg-type]


def test_every_model_and_column_is_explained() -> None:
    columns = summarise({"customer": [1], "ts": [0], "amount": [1]}, 0).to_arrow().column_names[1:]
    for word in (*columns, "BGNBD", "ParetoNBD", "BGBB", "GammaGamma", "CustomerValue", "NotAChurnScore"):
        assert f"`{word}`" in TEXT or f".{word}`" in TEXT, word
