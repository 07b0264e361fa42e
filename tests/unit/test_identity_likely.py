"""Likely links: what is compared, what is learned from it without labels, which groups follow, and what stays unsaid."""

import itertools
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kohort.errors import NotEnough, TooLarge, WrongUsage
from kohort.identity import curve, mixture
from kohort.identity.blocking import blocking_rules
from kohort.identity.comparisons import comparisons
from kohort.identity.groups import agreeing, at_most_one_each, connected
from kohort.identity.prepare import guess_roles, prepare
from kohort.testing.people import people

CHANCE = [
    np.array([0.98, 0.01, 0.01]),
    np.array([0.98, 0.019, 0.001]),
    np.array([0.95, 0.04, 0.01]),
    np.array([0.9, 0.09, 0.01]),
]
ONE = [np.array([0.1, 0.2, 0.7]), np.array([0.05, 0.15, 0.8]), np.array([0.1, 0.1, 0.8]), np.array([0.2, 0.1, 0.7])]


def drawn(rates: list[np.ndarray], count: int, chance: np.random.Generator) -> np.ndarray:
    return np.column_stack([chance.choice(len(r), size=count, p=r) for r in rates]).astype(np.int8)


# -- the model ---------------------------------------------------------------------------------------------------------


def test_without_a_label_the_model_learns_what_pairs_of_one_person_were_drawn_from() -> None:
    chance = np.random.default_rng(1)
    levels = np.vstack([drawn(ONE, 3_000, chance), drawn(CHANCE, 300_000, chance)])
    fields = ["company", "email", "phone", "area"]
    model = mixture.learn(levels, CHANCE, fields, pairs=len(levels), records=3_000)
    for found, truth in zip(model.one, ONE, strict=True):
        assert np.abs(found - truth).max() < 0.03
    assert model.share_one * len(levels) == pytest.approx(3_000, rel=0.05)


def test_its_probabilities_are_as_often_right_as_they_say() -> None:
    chance = np.random.default_rng(2)
    levels = np.vstack([drawn(ONE, 3_000, chance), drawn(CHANCE, 300_000, chance)])
    right = np.arange(len(levels)) < 3_000
    model = mixture.learn(levels, CHANCE, ["company", "email", "phone", "area"], pairs=len(levels), records=3_000)
    probability = model.probability(levels)
    for low, high in itertools.pairwise([0.02, 0.2, 0.5, 0.8, 0.98, 1.01]):
        some = (probability >= low) & (probability < high)
        if some.sum() > 200:
            assert right[some].mean() == pytest.approx(probability[some].mean(), abs=0.08)


def test_members_of_a_household_are_not_taken_for_one_person() -> None:
    chance = np.random.default_rng(3)
    fields = ["given", "birth", "surname", "area"]
    home = [CHANCE[0], CHANCE[1], np.array([0.1, 0.1, 0.8]), np.array([0.02, 0.08, 0.9])]
    levels = np.vstack([drawn(ONE, 2_000, chance), drawn(home, 6_000, chance), drawn(CHANCE, 300_000, chance)])
    model = mixture.learn(levels, CHANCE, fields, pairs=len(levels), records=3_000)
    assert model.share_one * len(levels) == pytest.approx(2_000, rel=0.1)
    assert model.share_home * len(levels) == pytest.approx(6_000, rel=0.1)
    shared = np.array([[0, 0, 2, 2], [2, 2, 2, 2]], dtype=np.int8)
    assert model.probability(shared).round(2).tolist() == [0.0, 1.0]


def test_a_field_that_is_not_given_says_nothing() -> None:
    model = mixture.Mixture(ONE, CHANCE, CHANCE, 1e-3, 0.0)
    absent = np.full((1, 4), -1, dtype=np.int8)
    assert model.probability(absent)[0] == pytest.approx(1e-3, rel=0.01)
    assert model.weights(absent).tolist() == [[0, 0, 0, 0]]


def test_a_rare_value_says_more_than_a_common_one() -> None:
    model = mixture.Mixture(ONE, CHANCE, CHANCE, 1e-3, 0.0)
    levels = np.array([[2, -1, -1, -1]] * 2, dtype=np.int8)
    common, rare = model.probability(levels, np.array([[-3.0, 0, 0, 0], [3.0, 0, 0, 0]]))
    assert rare > common


# -- the curve ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_the_expected_curve_is_the_mean_over_what_could_be_true(values: list[float]) -> None:
    found = curve.expected(np.array(values))
    for place, threshold in enumerate(sorted(values, reverse=True)):
        above = sorted(values, reverse=True)[: place + 1]
        assert found.precision[place] == pytest.approx(sum(above) / len(above))
        assert found.recall[place] == pytest.approx(sum(above) / max(sum(values), 1e-12))
        assert found.threshold[place] == threshold


def test_the_best_threshold_leaves_out_what_costs_more_than_it_brings() -> None:
    assert curve.expected(np.array([0.99] * 50 + [0.9] * 10 + [0.05] * 500)).best() == 0.9
    assert curve.expected(np.array([])).best() == 1.0


# -- groups ------------------------------------------------------------------------------------------------------------

PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda p: p[0] < p[1]), max_size=25, unique=True
)


@given(PAIRS)
def test_connected_records_are_those_that_can_be_reached(pairs: list[tuple[int, int]]) -> None:
    left, right = (np.array([p[n] for p in pairs], dtype=np.int64) for n in (0, 1))
    near = {n: {n} for n in range(10)}
    for a, b in pairs:
        joined = near[a] | near[b]
        for n in joined:
            near[n] = joined
    assert connected(10, left, right).tolist() == [min(near[n]) for n in range(10)]


@given(PAIRS, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_the_pairs(pairs: list[tuple[int, int]], chance: random.Random) -> None:
    scored = [(*pair, chance.choice([0.2, 0.6, 0.8, 0.99])) for pair in pairs]
    mixed = scored.copy()
    chance.shuffle(mixed)
    found = []
    for rows in (scored, mixed):
        left, right = (np.array([row[n] for row in rows], dtype=np.int64) for n in (0, 1))
        found.append(agreeing(10, left, right, np.array([row[2] for row in rows]), 0.5).tolist())
    assert found[0] == found[1]
    whole = connected(10, *(np.array([row[n] for row in scored if row[2] >= 0.5], dtype=np.int64) for n in (0, 1)))
    assert all(whole[n] == whole[group] for n, group in enumerate(found[0]))


def test_one_wrong_link_does_not_make_one_customer_of_two() -> None:
    pairs = {(0, 1): 0.99, (0, 2): 0.99, (1, 2): 0.99, (3, 4): 0.99, (3, 5): 0.99, (4, 5): 0.99, (2, 3): 0.6}
    left, right = (np.array([pair[n] for pair in pairs]) for n in (0, 1))
    assert agreeing(6, left, right, np.array(list(pairs.values())), 0.5).tolist() == [0, 0, 0, 3, 3, 3]
    assert connected(6, left, right).tolist() == [0] * 6


@given(PAIRS, st.randoms(use_true_random=False))
def test_where_sources_have_nobody_twice_each_record_is_joined_once(
    pairs: list[tuple[int, int]], chance: random.Random
) -> None:
    left, right = (np.array([p[n] for p in pairs], dtype=np.int64) for n in (0, 1))
    kept = at_most_one_each(left, right, np.array([chance.random() for _ in pairs]))
    ends = [*left[kept].tolist(), *right[kept].tolist()]
    assert len(ends) == len(set(ends))


# -- what is compared --------------------------------------------------------------------------------------------------


def test_columns_are_recognised_by_their_names() -> None:
    table = people(5, 0, seed=1)
    found = guess_roles(table.column_names)
    assert found["given"] == "given_name"
    assert found["birth"] == "birth_date"
    assert "id" not in found.values()
    assert "person" not in found.values()


def test_what_cannot_be_compared_is_counted() -> None:
    pytest.importorskip("phonenumbers", reason="the extra `identity` is not installed")
    table = pa.table(
        {
            "surname": ["Jansen", "n/a", None],
            "phone": ["06-12345679", "0000000000", "12"],
            "dob": ["1900-01-01", "", "x"],
        }
    )
    found = prepare(table, region="NL")
    assert found.problems["surname"] == {"junk": 1, "missing": 1}
    assert found.problems["phone"] == {"junk": 1, "unreadable": 1}
    assert found.problems["birth"] == {"junk": 1, "missing": 1, "unreadable": 1}
    assert found.table.column("phone").to_pylist() == ["+31612345679", None, None]


def test_a_table_without_anything_to_compare_is_refused() -> None:
    with pytest.raises(WrongUsage):
        prepare(pa.table({"colour": ["red"]}), region="NL")
    with pytest.raises(WrongUsage):
        prepare(pa.table({"colour": ["red"]}), region="NL", roles={"shoe": "colour"})


def test_every_comparison_needs_only_columns_that_are_there() -> None:
    for columns in (["surname", "surname_key"], ["city"], ["street"], ["email", "email_name"], ["company", "form"]):
        for comparison in comparisons(columns):
            for level in comparison.levels:
                words = set(level.sql.replace("(", " ").replace(")", " ").replace(",", " ").replace("[", " ").split())
                used = {word[:-2] for word in words if word.endswith(("_l", "_r"))}
                assert used <= set(columns), (comparison.name, level)


# -- the whole ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known() -> pa.Table:
    return people(1_000, 300, seed=11)


def shares(customer: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Pairwise precision and recall of groups."""
    of = lambda values: int(sum(n * (n - 1) // 2 for n in np.unique(values, return_counts=True)[1].tolist()))  # noqa: E731
    both = of(customer * (int(truth.max()) + 1) + truth)
    return both / max(1, of(customer)), both / of(truth)


def test_records_of_one_person_are_found_without_a_label_and_nothing_is_written_or_logged(
    known: pa.Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("splink", reason="the extra `identity` is not installed")
    from kohort.identity.likely import likely

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = likely(known.drop_columns(["person"]), region="NL")
    precision, recall = shares(found.customer, known.column("person").to_numpy())
    assert precision > 0.9
    assert recall > 0.9
    assert list(tmp_path.rglob("*")) == []
    said = caplog.text + "".join(capfd.readouterr())
    assert said == ""
    assert 0 < found.threshold < 1

    place = int(np.argmax(found.pairs.column("probability").to_numpy()))
    evidence = found.evidence(place)
    assert [name for name, _, _ in evidence] == [comparison.name for comparison in found.compared]
    assert sum(weight for _, _, weight in evidence) > 10
    row = known.take([found.pairs.column(side)[place].as_py() for side in ("left", "right")]).to_pydict()
    for field, says in (("birth_date", "the same birthday"), ("email", "the same e-mail address")):
        assert (says in {said for _, said, _ in evidence}) == (row[field][0] is not None and len(set(row[field])) == 1)
    middle = found.review().column("probability").to_numpy()
    assert len(middle)
    assert ((middle > 0.1) & (middle < 0.9)).all()
    assert (np.diff(np.abs(middle - 0.5)) >= 0).all()


def test_only_records_of_different_sources_are_linked_and_each_once(known: pa.Table) -> None:
    pytest.importorskip("splink", reason="the extra `identity` is not installed")
    from kohort.identity.likely import likely

    table = known.slice(0, 500)
    source = pa.array(["shop" if n % 2 else "till" for n in range(table.num_rows)])
    found = likely(table.drop_columns(["person"]), region="NL", source=source, one_each=True)
    left, right = (found.pairs.column(name).to_numpy() for name in ("left", "right"))
    assert ((left + right) % 2 == 1).all()
    assert np.unique(found.customer, return_counts=True)[1].max() == 2


@pytest.mark.nightly
def test_equal_tables_give_equal_groups(known: pa.Table) -> None:
    pytest.importorskip("splink", reason="the extra `identity` is not installed")
    from kohort.identity.likely import likely

    first, second = (likely(known.drop_columns(["person"]), region="NL") for _ in range(2))
    assert np.array_equal(first.customer, second.customer)
    assert first.pairs.equals(second.pairs)


def test_beyond_the_memory_it_stops_and_says_so_without_a_value(
    known: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("splink", reason="the extra `identity` is not installed")
    from kohort.identity.likely import likely

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(TooLarge, match="do not fit") as told:
        likely(known.drop_columns(["person"]), region="NL", memory_limit="10MB")
    assert told.value.__cause__ is None
    assert list(tmp_path.rglob("*")) == []


def test_too_little_in_common_is_an_answer() -> None:
    pytest.importorskip("splink", reason="the extra `identity` is not installed")
    from kohort.identity.likely import likely

    names = ["".join(letters) for letters in itertools.product("abcdefghijk", repeat=4)][:2_000]
    with pytest.raises(NotEnough):
        likely(pa.table({"company": names}), region="NL")


def test_rules_stay_affordable_and_of_a_small_table_every_pair_is_compared() -> None:
    from kohort.engines.duck import connect

    with connect() as con:
        con.register("small", pa.table({"uid": range(100), "source": ["a"] * 100, "email": ["x"] * 100}))
        assert [rule.pairs for rule in blocking_rules(con, "small", ["email"])] == [4950]
        con.register(
            "large",
            pa.table(
                {"uid": range(3000), "source": ["a"] * 3000, "email": ["x"] * 3000, "phone": ["1", "2", "3"] * 1000}
            ),
        )
        assert blocking_rules(con, "large", ["email", "phone"]) == []


def test_generated_people_are_the_same_for_the_same_seed() -> None:
    first, second = people(50, 30, seed=5), people(50, 30, seed=5)
    assert first.equals(second)
    assert not first.equals(people(50, 30, seed=6))
    assert first.num_rows == 80
    assert len(first.column("person").unique()) == 50
