"""From a table to groups: the three verdicts, what was asked for, saving and reading back, micro groups."""

import numpy as np
import pyarrow as pa
import pytest

from kohort.discovery.assign import assigner_from_bytes
from kohort.discovery.group import group
from kohort.discovery.grouping import Grouping
from kohort.discovery.worlds import blobs, table_of
from kohort.errors import Damaged
from kohort.model.feature import FeatureTable

pytestmark = pytest.mark.slow


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def split(X: np.ndarray) -> list[np.ndarray]:
    return [X[:, i].copy() for i in range(X.shape[1])]


@pytest.fixture(scope="module")
def three() -> tuple[FeatureTable, np.ndarray]:
    X, truth = blobs(rng(), 900, 3, 3, 7.0, shares=[5, 3, 1])
    return table_of(split(np.column_stack([X, np.exp(X[:, 0] / 2)]))), truth


@pytest.fixture(scope="module")
def found(three: tuple[FeatureTable, np.ndarray]) -> Grouping:
    return group(three[0], micro=True)


def test_groups_with_gaps_are_found_and_called_separate(
    three: tuple[FeatureTable, np.ndarray], found: Grouping
) -> None:
    _, truth = three
    assert (found.structure.verdict, found.k) == ("separate", 3)
    sizes = np.bincount(found.labels)
    assert (np.diff(sizes) <= 0).all(), "the largest group comes first"
    assert all(len(np.unique(truth[found.labels == g])) == 1 for g in range(3))
    assert all(s is not None and s.low <= s.value <= s.high and s.value > 0.9 for s in found.stability)


def test_a_grouping_is_complete(three: tuple[FeatureTable, np.ndarray], found: Grouping) -> None:
    n = len(three[0])
    assert found.labels.shape == found.confidence.shape == (n,)
    assert (found.confidence >= 0).all()
    assert (found.confidence <= 1).all()
    assert found.prepared.shape == (len(found.sample), len(found.used))
    assert [u.feature for u in found.features] == list(three[0].data.column_names)
    assert all(u.reason for u in found.features if not u.used)
    assert all(0 <= u.relevance <= 1 for u in found.features if u.relevance is not None)
    assert {c.algorithm for c in found.candidates} == {"kmeans", "hierarchical", "mixture", "hdbscan"}
    assert {c.k for c in found.candidates if c.algorithm == "kmeans"} == set(range(2, 13))
    assert sum(c.chosen for c in found.candidates) == 1
    rechecked = [c for c in found.candidates if c.stability is not None and c.score is not None]
    assert {c.algorithm for c in rechecked} >= {"kmeans", "hierarchical", "mixture"}
    assert next(c for c in found.candidates if c.chosen) in rechecked
    assert all(c.note for c in found.candidates if c not in rechecked)  # what was not re-checked says why
    assert [t[3] for t in found.tree][-1] == n
    assert found.gate == "insufficient"
    assert "900 customers" in found.warnings[0]


def test_micro_groups_are_nested_and_say_what_they_are(found: Grouping) -> None:
    assert found.micro_labels is not None
    assert 40 <= len(found.micro_parent) <= 100
    assert len(found.micro_stability) == len(found.micro_parent)
    assert (np.array(found.micro_parent)[found.micro_labels] == found.labels).all()
    assert any("slices of a continuum" in w for w in found.warnings)


def test_saved_and_read_back_it_labels_the_same(three: tuple[FeatureTable, np.ndarray], found: Grouping) -> None:
    again = assigner_from_bytes(found.assigner.to_bytes())
    labels, confidence = again.assign(three[0])
    assert np.array_equal(labels, found.labels)
    assert np.array_equal(confidence, found.confidence)
    assert found.micro_labels is not None
    assert np.array_equal(again.assign_micro(three[0], labels), found.micro_labels)


@pytest.mark.parametrize("algorithm", ["kmeans", "hierarchical", "mixture", "hdbscan"])
def test_every_family_is_found_saved_and_read_back(three: tuple[FeatureTable, np.ndarray], algorithm: str) -> None:
    found = group(three[0], algorithm=algorithm)
    assert found.algorithm == algorithm
    assert found.k == 3
    labels, _ = assigner_from_bytes(found.assigner.to_bytes()).assign(three[0])
    assert np.array_equal(labels, found.labels)


def test_the_order_of_rows_and_the_table_do_not_matter(three: tuple[FeatureTable, np.ndarray], found: Grouping) -> None:
    table, _ = three
    order = rng().permutation(len(table))
    turned = FeatureTable(table.ids.take(pa.array(order)), table.data.take(order), table.features)
    assert np.array_equal(group(turned).labels, found.labels[order])


def test_the_same_seed_gives_the_same_answer(three: tuple[FeatureTable, np.ndarray], found: Grouping) -> None:
    again = group(three[0], micro=True)
    assert np.array_equal(again.labels, found.labels)
    assert again.structure == found.structure
    assert again.candidates == found.candidates


def test_a_continuum_is_a_spectrum() -> None:
    x = rng().standard_normal((1_500, 1))
    found = group(table_of(split(x + 0.5 * rng().standard_normal((1_500, 4)))))
    assert found.structure.verdict == "spectrum"
    assert "convenient cuts" in found.structure.text
    assert found.k >= 2


@pytest.fixture(scope="module")
def formless() -> FeatureTable:
    return table_of(split(rng().standard_normal((1_500, 8))))


def test_no_structure_is_one_group(formless: FeatureTable) -> None:
    found = group(formless)
    assert (found.structure.verdict, found.k, found.algorithm) == ("none", 1, "tiers")
    assert not found.labels.any()
    assert not any(c.chosen for c in found.candidates)
    again = assigner_from_bytes(found.assigner.to_bytes())
    assert np.array_equal(again.assign(formless)[0], found.labels)


def test_groups_asked_for_are_given_and_the_verdict_stays(formless: FeatureTable) -> None:
    found = group(formless, k=4)
    assert (found.structure.verdict, found.k) == ("none", 4)
    assert set(found.labels) == {0, 1, 2, 3}
    assert "asked for" in found.structure.text


def test_value_counts_among_the_figures() -> None:
    X, truth = blobs(rng(), 400, 2, 2, 7.0)
    plain = table_of(split(X))
    table = FeatureTable(plain.ids, plain.data, plain.features, None, np.where(truth == 0, 10.0, 1_000.0), "GBP")
    best = next(c for c in group(table).candidates if c.chosen)
    assert best.value_spread is not None
    assert best.value_spread > 0.99
    assert next(c for c in group(plain).candidates if c.chosen).value_spread is None


def test_a_later_customer_far_from_everybody_is_left_out_by_dense_groups(
    three: tuple[FeatureTable, np.ndarray],
) -> None:
    found = group(three[0], algorithm="hdbscan")
    later = table_of([np.array([1e6]), np.array([-1e6]), np.array([1e6]), np.array([1.0])])
    labels, confidence = found.assigner.assign(later)
    assert labels.tolist() == [-1]
    assert confidence.tolist() == [0.0]


def test_bytes_that_were_changed_are_damaged(found: Grouping) -> None:
    data = found.assigner.to_bytes()
    for bad in (
        b"",
        b"x",
        data[:-1],
        data[: len(data) // 2],
        data[:90] + bytes([data[90] ^ 1]) + data[91:],
        data.replace(b"1 ", b"2 ", 1),
    ):
        with pytest.raises(Damaged):
            assigner_from_bytes(bad)
