"""Any bytes at all in place of saved groups are Damaged or read back sound; any small table gets an answer."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.discovery.algorithms import Model
from kohort.discovery.assign import MAGIC, GroupAssigner, assigner_from_bytes
from kohort.discovery.prepare import Column, Preparation
from kohort.discovery.worlds import table_of
from kohort.errors import Damaged

TABLE = table_of([np.array([1.0, np.nan, np.inf]), np.array([0.0, 5.0, -5.0])])


def sound() -> GroupAssigner:
    columns = (Column("f0", "number"), Column("f1", "number", scale=1.0))
    return GroupAssigner(Preparation(columns), Model("kmeans", 2, {"centres": np.eye(2, dtype=np.float32)}))


def sealed(body: bytes) -> bytes:
    """With a right checksum, as somebody who knows the format would forge it."""
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def refuses_or_works(data: bytes) -> None:
    try:
        assigner = assigner_from_bytes(data)
    except Damaged:
        return
    labels, confidence = assigner.assign(TABLE)
    assert labels.shape == (3,)
    assert (labels < assigner.k).all()
    assert np.isfinite(confidence).all()


@given(st.binary(max_size=300))
@settings(max_examples=500, deadline=None)
def test_any_bytes(data: bytes) -> None:
    refuses_or_works(data)
    refuses_or_works(sealed(data))


@given(st.data())
@settings(max_examples=600, deadline=None)
def test_flipped_and_cut_bytes_under_a_right_checksum(data: st.DataObject) -> None:
    body = bytearray(sound().to_bytes().partition(b"\n")[2])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    refuses_or_works(sealed(bytes(body)))
    refuses_or_works(sealed(bytes(body[:cut])))


def forged(meta: object, **arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8), **arrays)
    return sealed(out.getvalue())


COLUMN = {"feature": "f0", "kind": "number", "shift": 0.0, "scale": 0.0, "centre": 0.0, "spread": 1.0, "level": ""}
GOOD = {"preparation": {"columns": [COLUMN]}, "algorithm": "kmeans", "k": 2, "micro_parent": []}
CENTRES = np.array([[0.0], [1.0]], np.float32)


def test_the_forged_file_that_is_right_is_read() -> None:
    assert assigner_from_bytes(forged(GOOD, model_centres=CENTRES)).assign(TABLE)[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("change", "arrays"),
    [
        ({"algorithm": "magic"}, {}),
        ({"k": 3}, {}),
        ({"k": -1}, {}),
        ({"k": 10**9}, {}),
        ({"micro_parent": [0]}, {}),
        ({"preparation": {"columns": [COLUMN | {"spread": 0.0}]}}, {}),
        ({"preparation": {"columns": [COLUMN | {"spread": float("nan")}]}}, {}),
        ({"preparation": {"columns": [COLUMN | {"kind": "evil"}]}}, {}),
        ({"preparation": {"columns": [COLUMN | {"__class__": "os"}]}}, {}),
        ({"preparation": {"columns": [COLUMN | {"feature": ["f0"]}]}}, {}),
        ({"preparation": {"columns": []}}, {}),
        ({}, {"model_centres": CENTRES * np.nan}),
        ({}, {"model_centres": CENTRES.astype("S4")}),
        ({}, {"model_extra": CENTRES}),
        ({}, {"model_centres": np.zeros((2, 0), np.float32)}),
        ({"algorithm": "hdbscan"}, {}),
        ({"algorithm": "mixture"}, {}),
    ],
)
def test_forged_files_that_do_not_fit_together_are_damaged(change: dict, arrays: dict) -> None:
    with pytest.raises(Damaged):
        assigner_from_bytes(forged(GOOD | change, **({"model_centres": CENTRES} | arrays)))


def test_pickles_and_bombs_are_damaged() -> None:
    out = io.BytesIO()
    np.savez(out, meta=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Damaged):
        assigner_from_bytes(sealed(out.getvalue()))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.npy", b"0" * 65_000_000)
    with pytest.raises(Damaged):
        assigner_from_bytes(sealed(bomb.getvalue()))
