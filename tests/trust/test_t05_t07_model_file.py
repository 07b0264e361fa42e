"""T5 and T7 for files of models: every flipped bit and every cut is refused, and so is what was made to look right."""

import hashlib
import io
import json
import random
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kohort.engines.weeks import name_of
from kohort.errors import Damaged, WrongUsage
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.predict.buying.bgnbd import BGNBD
from kohort.predict.buying.gamma_gamma import GammaGamma
from kohort.predict.buying.summary import Summary
from kohort.predict.lifetime.learned import candidates, learn
from kohort.predict.lifetime.model import MAGIC as LIFETIME
from kohort.predict.lifetime.model import LifetimeModel, lifetime_from_bytes
from kohort.predict.model import MAGIC, Model, model_from_bytes
from kohort.predict.train import train


def trained(curved: bool) -> Model:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 500))
    z = np.where(a * b > 0, 2.0, -2.0) if curved else a
    y = (rng.random(500) < 1 / (1 + np.exp(-2 * z))).astype(float)
    text = rng.choice(["x", "y", "z"], 500)
    data = pa.table({"a": a, "b": b, "c": text})
    infos = (FeatureInfo("a", "A"), FeatureInfo("b", "B"), FeatureInfo("c", "C", "text"))
    found = train(FeatureTable(pa.array(range(500)), data, infos), y).model
    assert found is not None
    assert (found.learned.family != "logistic") == curved
    return found


def recurrent() -> Model:
    """Over the same plain columns, and three weeks that tell by their order."""
    rng = np.random.default_rng(1)
    visits = np.sort(rng.poisson(1.5, (500, 3)), axis=1).astype(float)
    late = rng.random(500) < 0.5
    visits[late] = visits[late][:, ::-1]
    y = (rng.random(500) < np.where(late, 0.9, 0.1)).astype(float)
    columns = {"a": rng.normal(size=500), "b": rng.normal(size=500), "c": rng.choice(["x", "y", "z"], 500)}
    columns |= {name_of(0, week): visits[:, week] for week in range(3)}
    infos = tuple(FeatureInfo(n, n, "text" if n == "c" else "number") for n in columns)
    found = train(FeatureTable(pa.array(range(500)), pa.table(columns), infos), y, channels=("visits",)).model
    assert found is not None
    assert found.learned.family == "recurrent"
    return found


@pytest.fixture(scope="module", params=["linear", "trees", "recurrent"])
def whole(request: pytest.FixtureRequest) -> bytes:
    return (recurrent() if request.param == "recurrent" else trained(request.param == "trees")).to_bytes()


def test_a_whole_file_is_read_and_written_alike(whole: bytes) -> None:
    assert model_from_bytes(whole).to_bytes() == whole


def test_every_flipped_bit_and_every_cut_is_refused(whole: bytes) -> None:
    rng = random.Random(5)
    for _ in range(300):
        at, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        broken = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
        with pytest.raises(Damaged):
            model_from_bytes(broken)
        with pytest.raises(Damaged):
            model_from_bytes(whole[: rng.randrange(len(whole))])


def test_foreign_files_are_refused() -> None:
    pickled = b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R."
    for foreign in (
        b"",
        b"\n",
        pickled,
        b"PK\x03\x04",
        MAGIC,
        MAGIC + b"\n",
        b"KOHORT-MODEL 2 x\n",
        b"KOHORT-GROUPS 1 x\n",
    ):
        with pytest.raises(Damaged):
            model_from_bytes(foreign)


def signed(body: bytes, magic: bytes = MAGIC) -> bytes:
    return magic + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def repacked(arrays: dict[str, bytes], magic: bytes = MAGIC) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in arrays.items():
            archive.writestr(name, data)
    return signed(out.getvalue(), magic)


def unpacked(whole: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(whole.partition(b"\n")[2])) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def mutated(parts: dict[str, bytes], rng: random.Random) -> dict[str, bytes]:
    """One of the parts with some bytes that are others, or cut."""
    name = rng.choice(sorted(parts))
    data = bytearray(parts[name])
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(data))
        data[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256), data[at] ^ (1 << rng.randrange(8))))
    if rng.random() < 0.1:
        del data[rng.randrange(len(data)) :]
    return {**parts, name: bytes(data)}


def test_a_thousand_forgeries_of_each_kind_with_a_right_checksum_do_no_harm(whole: bytes) -> None:
    """A mutated file is refused, or it is a model that answers with probabilities: nothing else ever happens."""
    rng = random.Random(7)
    parts = unpacked(whole)
    rows = pa.table({"a": [0.0, None, 1e300], "b": [1.0, -1.0, None], "c": ["x", None, "?"]})
    for week in range(3):
        rows = rows.append_column(name_of(0, week), pa.array([0.0, None, 1e300]))
    refused = 0
    for _ in range(1_000):
        try:
            model = model_from_bytes(repacked(mutated(parts, rng)))
            p = model.probability(rows)
            assert ((p >= 0) & (p <= 1)).all()
        except Damaged:
            refused += 1
        except WrongUsage:
            continue  # names of features can be changed to others: then the table lacks them
    assert refused > 200


def test_a_bomb_is_refused() -> None:
    huge = io.BytesIO()
    with zipfile.ZipFile(huge, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.npy", b"\0" * 80_000_000)
    with pytest.raises(Damaged):
        model_from_bytes(signed(huge.getvalue()))


def test_arrays_of_objects_are_never_loaded() -> None:
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(Damaged):
        model_from_bytes(repacked({"meta.npy": out.getvalue()}))
    text = io.BytesIO()
    np.save(text, np.frombuffer(json.dumps({"columns": []}).encode(), np.uint8))
    with pytest.raises(Damaged):
        model_from_bytes(repacked({"meta.npy": text.getvalue()}))


# Value models ---------------------------------------------------------------------------------------------------------


def table(rows: int) -> FeatureTable:
    rng = np.random.default_rng(1)
    data = pa.table({"a": rng.normal(size=rows), "c": rng.choice(["x", "y", "z"], rows)})
    return FeatureTable(pa.array(range(rows)), data, (FeatureInfo("a", "A"), FeatureInfo("c", "C", "text")))


def lifetime(which: str) -> LifetimeModel:
    """Of the probability models alone, and with a regression or trees beside them."""
    purchases = BGNBD.with_parameters(r=0.243, alpha=4.414, a=0.793, b=2.426)
    spend = GammaGamma.with_parameters(p=6.25, q=3.74, v=15.44)
    report = {"model": "BGNBD", "chosen": "model", "horizon": "12 weeks", "currency": "EUR"}
    model = LifetimeModel(purchases, spend, None, (), 12.0, (0.0, 0.0), {"report": report})
    if which == "model":
        return model
    came = np.random.default_rng(2).gamma(1.0, 20.0, 400)
    candidate = next(c for c in candidates(400) if c.family == which)
    learned = learn(table(400), came, candidate)
    return replace(model, learned=learned, bands=((15.0, 0.0, 40.0), (float("inf"), 2.0, 90.0)), off=(-0.1, 0.2))


@pytest.mark.parametrize("which", ["model", "poisson", "boosting"])
def test_value_models_keep_to_the_same(which: str) -> None:
    """Flips and cuts are refused; a mutated file with a right checksum is refused, or it answers with amounts."""
    whole = lifetime(which).to_bytes()
    assert lifetime_from_bytes(whole).to_bytes() == whole
    with pytest.raises(Damaged):
        model_from_bytes(whole)
    rng, parts, asked = random.Random(9), unpacked(whole), table(3)
    seen = Summary(np.array([0, 1, 8]), np.array([0.0, 9.0, 9.0]), np.array([9.0, 9.0, 9.0]), np.array([np.nan, 8, 90]))
    for _ in range(100):
        at = rng.randrange(len(whole))
        with pytest.raises(Damaged):
            lifetime_from_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        with pytest.raises(Damaged):
            lifetime_from_bytes(whole[:at])
    refused = 0
    for _ in range(80):
        try:
            model = lifetime_from_bytes(repacked(mutated(parts, rng), LIFETIME))
            scores = model.score(seen, asked)
            for name in ("purchases", "value"):
                if name in scores.columns:
                    low, expected, high = (scores.columns[f"{name}{end}"] for end in ("_low", "", "_high"))
                    assert ((expected >= 0) & np.isfinite(expected) & (low <= high)).all()
        except Damaged:
            refused += 1
        except WrongUsage:
            continue
    assert refused > 15
