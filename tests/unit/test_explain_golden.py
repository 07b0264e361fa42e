"""The words of one small fixed shop, whole: a change of wording is seen by a person before it is committed."""

import importlib.util
import json
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "explain"


def test_the_small_shop_is_explained_as_last_agreed() -> None:
    spec = importlib.util.spec_from_file_location("small_shop", GOLDEN / "small_shop.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found, agreed = module.explained(), json.loads((GOLDEN / "small_shop.json").read_text())
    for mine, theirs in zip(found["segments"], agreed["segments"], strict=True):
        for part, value in theirs.items():
            if isinstance(value, float):
                assert mine[part] == pytest.approx(value, abs=0.0011), part
            else:
                assert mine[part] == value, f"{part}: run tests/golden/explain/small_shop.py if this is meant"
    assert {k: v for k, v in found.items() if k != "segments"} == {k: v for k, v in agreed.items() if k != "segments"}
