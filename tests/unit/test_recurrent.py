"""A recurrent network in NumPy: its gradient is the right one, it is taken where weeks tell more, and left where they do not."""

import numpy as np
import pyarrow as pa
import pytest

from kohort.engines.weeks import name_of
from kohort.errors import Damaged
from kohort.model.descent import Pace, descend
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.predict.encode import fit_encoder, with_weeks
from kohort.predict.model import model_from_bytes
from kohort.predict.recurrent.gru import log_odds, loss, new_weights, slope
from kohort.predict.recurrent.network import fit
from kohort.predict.train import Trained, train
from kohort.predict.why import pushes, why

WEEKS = 8


def small(seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]:
    """Weights, series, plain numbers and outcomes in float64, nothing of it zero."""
    rng = np.random.default_rng(seed)
    w = new_weights(3, 4, rng.normal(size=2), 0.3, seed=seed)
    weights = {k: v.astype(float) + 0.3 * rng.normal(size=v.shape) for k, v in w.items()}
    return weights, rng.normal(size=(6, 5, 3)), rng.normal(size=(6, 2)), (rng.random(6) < 0.5).astype(float)


def test_the_gradient_is_that_of_finite_differences() -> None:
    w, series, plain, y = small()
    value, gradient = slope(w, series, plain, y)
    assert value == pytest.approx(loss(w, series, plain, y), rel=1e-12)
    step = 1e-6
    for name, array in w.items():
        for at in np.ndindex(array.shape):
            sides = []
            for sign in (1, -1):
                moved = {k: v.copy() for k, v in w.items()}
                moved[name][at] += sign * step
                sides.append(loss(moved, series, plain, y))
            assert gradient[name][at] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=2e-5, abs=1e-9), name


def test_the_answer_is_that_of_a_plain_loop_over_numbers() -> None:
    w, series, plain, _ = small(1)
    units = len(w["out"])

    def sigmoid(x: float) -> float:
        return 1 / (1 + np.exp(-x))

    for row in range(len(series)):
        h = [0.0] * units
        for x in series[row]:
            a = [sum(x[i] * w["inputs"][i, j] for i in range(3)) + w["bias"][j] for j in range(3 * units)]
            b = [sum(h[i] * w["inner"][i, j] for i in range(units)) + w["inner_bias"][j] for j in range(3 * units)]
            keep = [sigmoid(a[j] + b[j]) for j in range(units)]
            reset = [sigmoid(a[units + j] + b[units + j]) for j in range(units)]
            new = [np.tanh(a[2 * units + j] + reset[j] * b[2 * units + j]) for j in range(units)]
            h = [(1 - keep[j]) * new[j] + keep[j] * h[j] for j in range(units)]
        z = sum(h[j] * w["out"][j] for j in range(units)) + plain[row] @ w["static"] + w["constant"][0]
        assert log_odds(w, series, plain)[row] == pytest.approx(z, rel=1e-10)


def test_the_gradient_is_that_of_jax() -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed: the gradient is checked by finite differences only")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    w, series, plain, y = small(2)
    units = len(w["out"])

    def of_jax(w):
        def step(h, x):
            a, b = x @ w["inputs"] + w["bias"], h @ w["inner"] + w["inner_bias"]
            keep, reset = jax.nn.sigmoid(a[:, :units] + b[:, :units]), jax.nn.sigmoid((a + b)[:, units : 2 * units])
            new = jnp.tanh(a[:, 2 * units :] + reset * b[:, 2 * units :])
            return (1 - keep) * new + keep * h, None

        h, _ = jax.lax.scan(step, jnp.zeros((len(y), units)), jnp.asarray(series).transpose(1, 0, 2))
        z = h @ w["out"] + plain @ w["static"] + w["constant"][0]
        return jnp.mean(jnp.logaddexp(0.0, z) - y * z)

    value, gradient = jax.value_and_grad(of_jax)({k: jnp.asarray(v) for k, v in w.items()})
    ours, mine = slope(w, series, plain, y)
    assert ours == pytest.approx(float(value), rel=1e-10)
    for name, g in gradient.items():
        np.testing.assert_allclose(mine[name], np.asarray(g), rtol=1e-8, atol=1e-12, err_msg=name)


def test_a_descent_ends_where_least_squares_are_least() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = X @ [1.0, -2.0, 0.5] + 0.1 * rng.normal(size=400)

    def squares(w: dict[str, np.ndarray], rows: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        away = X[rows] @ w["b"] - y[rows]
        return float((away**2).mean()), {"b": 2 * X[rows].T @ away / len(rows)}

    learn, check = np.arange(300), np.arange(300, 400)
    found = descend(
        {"b": np.zeros(3)}, squares, lambda w, rows: squares(w, rows)[0], learn=learn, check=check,
        pace=Pace(rate=0.02, batch=50, epochs=80, patience=20), seed=0,
    )  # fmt: skip
    closed = np.linalg.lstsq(X[learn], y[learn], rcond=None)[0]
    np.testing.assert_allclose(found.weights["b"], closed, atol=0.03)
    assert found.losses[found.epochs] == min(found.losses)


def test_where_no_round_helps_the_beginning_is_kept() -> None:
    start = {"b": np.array([1.0])}
    worse = descend(
        start, lambda w, rows: (0.0, {"b": np.array([1.0])}), lambda w, rows: float(abs(w["b"][0] - 1)),
        learn=np.arange(10), check=np.arange(10, 20), pace=Pace(epochs=9, patience=3), seed=0,
    )  # fmt: skip
    assert worse.weights["b"].tolist() == [1.0]
    assert (worse.epochs, len(worse.losses)) == (0, 4)


def shop(rows: int, seed: int, *, weeks_tell: bool) -> tuple[FeatureTable, np.ndarray]:
    """As many visits for everybody, in another order; whether they come late tells, or whether a plain number is large."""
    rng = np.random.default_rng(seed)
    plain = rng.normal(size=rows)
    late = rng.random(rows) < 0.5
    visits = np.sort(rng.poisson(1.5, (rows, WEEKS)), axis=1).astype(float)
    visits[late] = visits[late][:, ::-1]  # week 0 is the last one
    z = np.where(late, 1.6, -1.6) if weeks_tell else 1.5 * plain
    y = (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(float)
    columns = {"plain": plain} | {name_of(0, k): visits[:, k] for k in range(WEEKS)}
    infos = tuple(FeatureInfo(n, n.capitalize()) for n in columns)
    return FeatureTable(pa.array(range(rows)), pa.table(columns), infos), y


@pytest.fixture(scope="module")
def taken() -> Trained:
    table, y = shop(900, 0, weeks_tell=True)
    return train(table, y, channels=("visits",))


def test_the_network_is_taken_where_the_order_of_weeks_tells(taken: Trained) -> None:
    told = taken.report["sequence"]
    assert taken.report["model"] == "recurrent"
    assert (told["taken"], told["weeks"], told["channels"]) == (True, WEEKS, ["visits"])
    assert "taken" in told["text"]
    assert all(e > 0 for e in told["epochs"])
    assert taken.report["metrics"]["roc_auc"]["low"] > 0.75, "1.6 log-odds either way are an AUC of 0.83"
    assert taken.report["baseline"]["one_feature"]["feature"] == "plain", "single weeks are no rule of thumb"


def test_where_weeks_tell_nothing_it_is_not_taken_and_that_is_said() -> None:
    table, y = shop(900, 1, weeks_tell=False)
    apart = np.arange(900)
    report = train(table, y, groups=apart, channels=("visits",)).report
    assert report["model"] != "recurrent"
    assert not report["sequence"]["taken"]
    assert "not taken" in report["sequence"]["text"]
    [tried] = [c for c in report["candidates"] if c["family"] == "recurrent"]
    assert not tried["chosen"]
    assert tried["log_loss"] == report["sequence"]["log_loss"]
    without = train(table.select(["plain"]), y, groups=apart).report
    assert "sequence" not in without
    others = [c for c in report["candidates"] if c["family"] != "recurrent"]
    assert [c["log_loss"] for c in others] == [c["log_loss"] for c in without["candidates"]], "others read no weeks"


def test_it_is_kept_in_a_file_and_the_same_every_time(taken: Trained) -> None:
    assert taken.model is not None
    whole = taken.model.to_bytes()
    read, (table, y) = model_from_bytes(whole), shop(900, 0, weeks_tell=True)
    np.testing.assert_array_equal(read.probability(table.data), taken.model.probability(table.data))
    again = train(table, y, channels=("visits",)).model
    assert again is not None
    assert again.to_bytes() == whole


def test_reasons_speak_of_all_weeks_of_a_channel_at_once(taken: Trained) -> None:
    assert taken.model is not None
    table, _ = shop(40, 3, weeks_tell=True)
    p, push = pushes(taken.model, table.data)
    assert push.shape == (40, 2), "one plain feature, one channel"
    X = taken.model.encoder.matrix(table.data)
    assert taken.model.learned.recurrent is not None
    X[:, 1:] = taken.model.learned.recurrent.usual.ravel()
    np.testing.assert_allclose(taken.model.of_matrix(X), p[:, 2], rtol=1e-6)
    first = max((r for w in why(taken.model, table.data) for r in w.up), key=lambda r: r.push)
    assert first.feature == "visits"
    assert "visits, week by week" in first.text
    assert f"in {WEEKS} weeks" in first.text


def test_customers_stay_together_when_some_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    table, y = shop(300, 4, weeks_tell=True)
    weeks = table.select([f.name for f in table.features if f.name != "plain"])
    encoder = with_weeks(fit_encoder(table.data, table.features[:1]), weeks.data, weeks.features, ("visits",))
    X, groups, seen = encoder.matrix(table.data), np.arange(300) // 3, {}

    def watched(*args: object, learn: np.ndarray, check: np.ndarray, **how: object) -> object:
        seen["learn"], seen["check"] = learn, check
        return descend(*args, learn=learn, check=check, **how)  # type: ignore[arg-type]

    monkeypatch.setattr("kohort.predict.recurrent.network.descend", watched)
    fit(encoder, X, y, groups, 0)
    assert len(seen["check"]) > 15
    assert not set(groups[seen["learn"]]) & set(groups[seen["check"]])


@pytest.mark.parametrize("change", ["cut", "wide", "missing", "whole numbers", "infinite", "weeks before others"])
def test_a_file_whose_network_does_not_fit_is_refused(taken: Trained, change: str) -> None:
    from kohort.predict.model import MAGIC, unpack
    from kohort.predict.model_file import pack

    parts: dict[str, object] = {}

    def build(meta: dict[str, object], arrays: dict[str, np.ndarray]) -> bool:
        parts["meta"], parts["arrays"] = dict(meta), dict(arrays)
        arrays.clear()
        return True

    assert taken.model is not None
    unpack(MAGIC, taken.model.to_bytes(), build, bool)
    meta, arrays = parts["meta"], parts["arrays"]
    assert isinstance(meta, dict)
    assert isinstance(arrays, dict)
    assert model_from_bytes(pack(MAGIC, meta, arrays)).id == taken.model.id
    match change:
        case "cut":
            arrays["usual"] = arrays["usual"][1:]
        case "wide":
            arrays["gru_inner"] = np.hstack([arrays["gru_inner"]] * 2)
        case "missing":
            del arrays["gru_static"]
        case "whole numbers":
            arrays["gru_out"] = arrays["gru_out"].astype(np.int64)
        case "infinite":
            arrays["gru_bias"] = np.full_like(arrays["gru_bias"], np.inf)
        case _:
            meta["columns"] = meta["columns"][::-1]
    with pytest.raises(Damaged):
        model_from_bytes(pack(MAGIC, meta, arrays))
