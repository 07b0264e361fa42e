"""Codes in place of features: an autoencoder beside principal components, taken only where it is better."""

import hashlib
import random
import zipfile
from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest

from kohort.discovery.assign import GroupAssigner, assigner_from_bytes
from kohort.discovery.coded import MAGIC, CodedAssigner
from kohort.discovery.discover import Discovery, discover
from kohort.discovery.representation import compare, fit_autoencoder, fit_pca, slope
from kohort.errors import Damaged, NotEnough, WrongUsage


def curve(rows: int, seed: int = 0) -> np.ndarray:
    """Six columns that bend along two hidden numbers, with a little noise: no plane holds them."""
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(-1, 1, (2, rows))
    bent = np.column_stack([a, b, 2 * np.abs(a) - 1, 2 * np.abs(b) - 1, np.sin(3 * a), np.cos(3 * b)])
    return bent + 0.03 * rng.normal(size=bent.shape)


def plane(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 2)) @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(rows, 6))


def test_components_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    X = plane(300)
    ours, theirs = fit_pca(X, 2), PCA(2).fit(X)
    np.testing.assert_allclose(np.abs(ours.encode(X)), np.abs(theirs.transform(X)), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.decode(ours.encode(X)), theirs.inverse_transform(theirs.transform(X)), atol=1e-10)
    assert fit_pca(X).axes.shape == (6, 2), "two numbers keep four fifths of the variance"


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(1)
    shapes = {"A": (4, 3), "a": (3,), "B": (3, 2), "C": (2, 3), "c": (3,), "D": (3, 4), "V": (4, 2)}
    w, away, step = {n: 0.5 * rng.normal(size=s) for n, s in shapes.items()}, rng.normal(size=(7, 4)), 1e-6
    gradient = slope(w, away)[1]
    for name, array in w.items():
        for at in np.ndindex(array.shape):
            sides = []
            for sign in (1, -1):
                moved = {k: v.copy() for k, v in w.items()}
                moved[name][at] += sign * step
                sides.append(slope(moved, away)[0])
            assert gradient[name][at] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=2e-5, abs=1e-9), name


def test_it_is_taken_where_customers_lie_on_a_bent_surface() -> None:
    found = compare(curve(1_500), "autoencoder")
    told = found.told
    assert (told["taken"], found.taken.kind) == ("autoencoder", "autoencoder")
    assert told["rebuilt"]["autoencoder"] > told["rebuilt"]["pca"] + 0.03
    assert told["better"]["low"] > 0
    fresh = curve(500, seed=9)
    width = told["codes"]
    assert found.taken.errors(fresh).mean() < 0.8 * fit_pca(curve(1_500), width).errors(fresh).mean()


def test_on_a_plane_it_is_not_taken_and_that_is_said() -> None:
    found = compare(plane(1_200), "autoencoder")
    assert (found.told["taken"], found.taken.kind) == ("pca", "pca")
    assert "not on the autoencoder's codes that were asked for" in found.told["text"]
    assert found.told["better"]["low"] <= 0


def test_components_that_were_asked_for_stay_though_codes_are_better() -> None:
    found = compare(curve(800), "pca")
    assert found.taken.kind == "pca"
    assert "as asked" in found.told["text"]


def test_the_same_rows_and_seed_give_the_same_codes() -> None:
    X = curve(300)
    one, other = (fit_autoencoder(X, 2, seed=3).encode(X) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def found() -> Discovery:
    return discover(people(curve(700)), representation="autoencoder", algorithm="kmeans", k=4)


def people(X: np.ndarray) -> pa.Table:
    return pa.table({"id": np.arange(len(X))} | {f"x{n}": X[:, n] for n in range(X.shape[1])})


def test_groups_of_codes_are_explained_by_features(found: Discovery) -> None:
    told = found.segmentation.representation
    assert told["taken"] == "autoencoder"
    assert told["text"] in found.segmentation.warnings
    assert {f.feature for f in found.segmentation.features} == {f"x{n}" for n in range(6)}
    assert all(d.feature.startswith("x") for s in found.segmentation.segments for d in s.different)
    assert len(found.segmentation.segments) == 4


def test_later_customers_are_placed_by_their_codes_and_the_file_says_the_same(found: Discovery) -> None:
    from kohort.discovery.discover import as_feature_table

    assigner = found.grouping.assigner
    assert isinstance(assigner, CodedAssigner)
    table = as_feature_table(people(curve(700)))
    np.testing.assert_array_equal(assigner.assign(table)[0], found.grouping.labels)
    later = as_feature_table(people(curve(200, seed=4)))
    read = assigner_from_bytes(assigner.to_bytes())
    for mine, theirs in zip(assigner.assign(later), read.assign(later), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(WrongUsage, match="lacks the feature"):
        read.assign(later.select(["x0", "x1"]))


def signed(parts: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return MAGIC + hashlib.sha256(out.getvalue()).hexdigest().encode() + b"\n" + out.getvalue()


def test_damaged_and_forged_files_are_refused_or_place_customers(found: Discovery) -> None:
    from kohort.discovery.discover import as_feature_table

    whole, rng = found.grouping.assigner.to_bytes(), random.Random(3)
    for _ in range(100):
        at = rng.randrange(len(whole))
        with pytest.raises(Damaged):
            assigner_from_bytes(whole[:at] + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :])
        with pytest.raises(Damaged):
            assigner_from_bytes(whole[:at])
    with zipfile.ZipFile(BytesIO(whole.partition(b"\n")[2])) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    later, refused = as_feature_table(people(curve(20))), 0
    for _ in range(200):
        name = rng.choice(sorted(parts))
        data = bytearray(parts[name])
        data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            labels, confidence = assigner_from_bytes(signed({**parts, name: bytes(data)})).assign(later)
            assert ((labels >= -1) & (labels < 4)).all()
            assert ((confidence >= 0) & (confidence <= 1)).all()
        except Damaged:
            refused += 1
        except WrongUsage:
            continue  # a feature of another name
    assert refused > 40
    nested = {**parts, "inner.npy": parts["inner.npy"].replace(b"KOHORT-GROUPS 1", b"KOHORT-CODED 1 ")}
    with pytest.raises(Damaged):
        assigner_from_bytes(signed(nested))


def test_features_as_they_are_stay_the_default_and_odd_calls_are_refused() -> None:
    usual = discover(people(plane(200)), algorithm="kmeans", k=2)
    assert isinstance(usual.grouping.assigner, GroupAssigner)
    assert usual.segmentation.representation == {}
    with pytest.raises(WrongUsage, match="no representation"):
        discover(people(plane(200)), representation="umap")
    with pytest.raises(NotEnough, match="too few features"):
        discover(people(plane(200)[:, :2]), representation="pca")
