"""A gated recurrent unit (Cho et al. 2014) in NumPy: what it answers, and the gradient of its loss by every weight.

The network reads a customer's weeks from the oldest to the last one, and beside them what other models read of her:

    z, r = σ(x·W + b + h·U + c)            how much is kept, how much of the past is looked at
    n    = tanh(x·W + b + r ∘ (h·U + c))
    h'   = (1 − z) ∘ n + z ∘ h
    log-odds = h_last · out + plain · static + constant

This is the form with the reset after the product, as cuDNN and Keras have it. Arrays may be float32 or float64: training is done
in the first, the gradient is checked in the second.
"""

from __future__ import annotations

import numpy as np

from kohort.model.descent import Weights

SHAPES = ("inputs", "inner", "bias", "inner_bias", "out", "static", "constant")


def new_weights(channels: int, units: int, plain: np.ndarray, constant: float, *, seed: int) -> Weights:
    """Weights to begin with: the network says what `plain` and `constant` say, until it has learned better.

    Args:
        channels, units: Numbers per week, and width of the state.
        plain: Weight of each plain number.
        constant: The log-odds where all of these are 0.
        seed: Of the random ones.
    """
    rng = np.random.default_rng(seed)
    inner = np.concatenate([np.linalg.qr(rng.normal(size=(units, units)))[0] for _ in range(3)], axis=1)
    bias = np.zeros(3 * units)
    bias[:units] = 1.0  # in the beginning much of the past is kept, or weeks long ago would have no gradient
    made = {
        "inputs": rng.normal(size=(channels, 3 * units)) / np.sqrt(channels),
        "inner": inner,
        "bias": bias,
        "inner_bias": np.zeros(3 * units),
        "out": np.zeros(units),
        "static": np.asarray(plain, float),
        "constant": np.array([constant]),
    }
    return {k: np.ascontiguousarray(v, np.float32) for k, v in made.items()}


def log_odds(w: Weights, series: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """Log-odds of rows.

    Args:
        w: See `new_weights`.
        series: (rows, weeks, channels), the oldest week first.
        plain: (rows, numbers).
    """
    return np.asarray(_run(w, series)[0][-1] @ w["out"] + plain @ w["static"] + w["constant"][0])


def loss(w: Weights, series: np.ndarray, plain: np.ndarray, y: np.ndarray) -> float:
    """Mean log loss of rows."""
    z = log_odds(w, series, plain).astype(float)
    return float(np.mean(np.logaddexp(0.0, z) - y * z))


def slope(w: Weights, series: np.ndarray, plain: np.ndarray, y: np.ndarray) -> tuple[float, Weights]:
    """Mean log loss of rows, and its gradient by every array of weights."""
    states, gates = _run(w, series)
    steps, units = len(gates), len(w["out"])
    z = states[-1] @ w["out"] + plain @ w["static"] + w["constant"][0]
    value = float(np.mean(np.logaddexp(0.0, z.astype(float)) - y * z))
    away = ((_sigmoid(z) - y) / len(y)).astype(z.dtype)
    found = {k: np.zeros_like(v) for k, v in w.items()}
    found["out"], found["static"] = states[-1].T @ away, plain.T @ away
    found["constant"] = np.array([away.sum()], z.dtype)
    back = np.outer(away, w["out"])  # by the state of the step at hand
    d_in = np.empty((steps, len(y), 3 * units), z.dtype)
    for t in range(steps - 1, -1, -1):
        before, (keep, reset, new, looked) = states[t], gates[t]
        d_new = back * (1 - keep) * (1 - new * new)
        d_in[t, :, :units] = back * (before - new) * keep * (1 - keep)
        d_in[t, :, units : 2 * units] = d_new * looked * reset * (1 - reset)
        d_in[t, :, 2 * units :] = d_new
        d_inner = d_in[t].copy()
        d_inner[:, 2 * units :] *= reset
        found["inner"] += before.T @ d_inner
        found["inner_bias"] += d_inner.sum(axis=0)
        back = back * keep + d_inner @ w["inner"].T
    weeks = np.ascontiguousarray(series.transpose(1, 0, 2)).reshape(-1, series.shape[2])
    found["inputs"] = weeks.T @ d_in.reshape(-1, 3 * units)
    found["bias"] = d_in.sum(axis=(0, 1))
    return value, found


def _run(w: Weights, series: np.ndarray) -> tuple[list[np.ndarray], list[tuple[np.ndarray, ...]]]:
    """The state before the first step and after each, and the gates of each."""
    rows, steps, _ = series.shape
    units = len(w["out"])
    read = np.ascontiguousarray(series.transpose(1, 0, 2)) @ w["inputs"] + w["bias"]
    state = np.zeros((rows, units), read.dtype)
    states: list[np.ndarray] = [state]
    gates: list[tuple[np.ndarray, ...]] = []
    for t in range(steps):
        own = state @ w["inner"] + w["inner_bias"]
        both = _sigmoid(read[t, :, : 2 * units] + own[:, : 2 * units])
        keep, reset, looked = both[:, :units], both[:, units:], own[:, 2 * units :]
        new = np.tanh(read[t, :, 2 * units :] + reset * looked)
        state = new + keep * (state - new)
        states.append(state)
        gates.append((keep, reset, new, looked))
    return states, gates


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # By tanh: exp would leave float32 for weights of a forged file, and costs as much.
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))
