"""Two integrals of the buying models, by rules that stay exact where the usual hypergeometric functions overflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kohort.predict.buying.grouped import Histories

DROP = 38.0
"""An integrand is followed until it has fallen by this power of e: what is left out is below rounding."""

AT_ONCE = 1 << 16
"""Numbers per working array: it stays in the processor's cache."""

SMALLEST = 1e-290
"""Least probability among Gauss-Jacobi points."""

_RULES = ((12, 4.0, 1.5), (20, 15.0, 4.0), (40, np.inf, np.inf))
"""Points of a Gauss-Legendre rule, and up to which fall (power of e) and length of the interval it is exact to 1e-12."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """∫ (alpha+t)^−(r+x) (beta+t)^−(s+1) dt from recency to age, and means under that integrand. One entry per row."""

    log_integral: np.ndarray
    log_alpha: np.ndarray  # mean of log(alpha + t)
    by_alpha: np.ndarray  # mean of 1 / (alpha + t)
    log_beta: np.ndarray
    by_beta: np.ndarray


def leaving(parameters: np.ndarray, seen: Histories) -> Leaving:
    """The probability (up to a factor) of having left between recency and age, for the Pareto/NBD model.

    The papers write it as a difference of two hypergeometric functions 2F1, which cancels for late recencies, overflows for
    frequent buyers, and has no simple derivative by its parameters. Here the integral itself is taken, in the logarithm of
    the smaller of alpha + t and beta + t: in it the integrand is log-concave and analytic at least π away from the real
    line, so that at most 40 Gauss points give 12 digits everywhere. Derivatives are means under the same integrand.
    """
    r, alpha, s, beta = (float(p) for p in parameters)
    x, recency, age = seen.frequency, seen.recency, seen.age
    near, far = min(alpha, beta), max(alpha, beta)
    near_power, far_power = (r + x, np.full_like(x, s + 1)) if alpha <= beta else (np.full_like(x, s + 1), r + x)
    begin = near + recency
    gap = far - near
    shape = _Shape(near_power, far_power, begin, gap)
    length = _cut(shape, np.log1p((age - recency) / begin))
    fall = (near_power - 1) * length + far_power * np.log((gap + begin * np.exp(length)) / (gap + begin))
    out = np.empty((5, len(x)))
    done = np.zeros(len(x), bool)
    for points, most_fall, longest in _RULES:
        todo = np.flatnonzero(~done & (fall <= most_fall) & (length <= longest))
        for start in range(0, len(todo), AT_ONCE // points):
            rows = todo[start : start + AT_ONCE // points]
            out[:, rows] = _rule(points, shape[rows], length[rows])
        done[todo] = True
    log_integral, log_near, by_near, log_far, by_far = out
    if alpha <= beta:
        return Leaving(log_integral, log_near, by_near, log_far, by_far)
    return Leaving(log_integral, log_far, by_far, log_near, by_near)


@dataclass(frozen=True, slots=True)
class _Shape:
    """The integrand in z, with near + t = begin · e^z: (near + t)^−near_power (near + t + gap)^−far_power dt."""

    near_power: np.ndarray
    far_power: np.ndarray
    begin: np.ndarray
    gap: float

    def __getitem__(self, rows: np.ndarray) -> _Shape:
        return _Shape(self.near_power[rows], self.far_power[rows], self.begin[rows], self.gap)


def _cut(shape: _Shape, length: np.ndarray) -> np.ndarray:
    """Where the integrand has fallen by DROP, if that is before the end. Newton from the right never passes it: concave."""
    near_power, far_power, begin, gap = shape.near_power, shape.far_power, shape.begin, shape.gap
    at = length
    floor = -far_power * np.log(gap + begin) - DROP
    for _ in range(8):
        grown = begin * np.exp(at)
        below = (1 - near_power) * at - far_power * np.log(gap + grown) - floor
        if not np.any(below < -2):
            break
        slope = (1 - near_power) - far_power * grown / (gap + grown)
        at = np.where(below < 0, at - below / np.where(below < 0, slope, 1.0), at)
    return at


def _rule(points: int, shape: _Shape, length: np.ndarray) -> tuple[np.ndarray, ...]:
    near_power, far_power, begin, gap = shape.near_power, shape.far_power, shape.begin, shape.gap
    nodes, weights = _legendre(points)
    z = length[:, None] * nodes
    near = begin[:, None] * np.exp(z)
    far = gap + near
    log_far = np.log(far)
    height = (1 - near_power)[:, None] * z - far_power[:, None] * log_far
    top = height.max(axis=1)
    mass = np.exp(height - top[:, None]) * weights
    total = mass.sum(axis=1)
    mass /= total[:, None]
    log_begin = np.log(begin)
    with np.errstate(divide="ignore"):  # an interval without length: log 0
        log_integral = (1 - near_power) * log_begin + top + np.log(total * length)
    return (
        log_integral,
        log_begin + np.einsum("ij,ij->i", mass, z),
        np.einsum("ij,ij->i", mass, 1 / near),
        np.einsum("ij,ij->i", mass, log_far),
        np.einsum("ij,ij->i", mass, 1 / far),
    )


@lru_cache(maxsize=8)
def _legendre(points: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return (nodes + 1) / 2, weights / 2


def beta_mean(
    first: float, second: np.ndarray, of: Callable[[np.ndarray, slice], np.ndarray], points: int = 64
) -> np.ndarray:
    """The mean of a function of p where p is Beta(first, second).

    Gauss-Jacobi points from the eigenvalues of the recurrence of Jacobi polynomials: weights are probabilities, so nothing
    overflows for large parameters.

    Args:
        second: One parameter per row.
        of: Takes points (rows, points), 0 < p < 1, and which rows these are, and returns values of the same shape.

    Example:
        >>> beta_mean(2.0, np.array([3.0, 8.0]), lambda p, rows: p).round(12).tolist()
        [0.4, 0.2]
    """
    distinct, inverse = np.unique(second, return_inverse=True)
    nodes, weights = _jacobi(first, distinct, points)
    out = np.empty(len(second))
    rows = max(AT_ONCE // points, 1)
    for start in range(0, len(second), rows):
        part = slice(start, start + rows)
        which = inverse[part]
        out[part] = np.einsum("ij,ij->i", weights[which], of(nodes[which], part))
    return out


def _jacobi(first: float, second: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and probabilities per value of `second`: (values, points) each."""
    a, b = (second - 1)[:, None], first - 1  # weight (1−y)^a (1+y)^b on −1 < y < 1, with p = (1+y)/2
    k = np.arange(1, points)
    both = 2 * k + a + b
    diagonal = np.concatenate([(b - a) / (a + b + 2), (b * b - a * a) / (both * (both + 2))], axis=1)
    with np.errstate(invalid="ignore"):
        beside = 4 * k * (k + a) * (k + b) * (k + a + b) / (both**2 * (both + 1) * (both - 1))
    # k = 1 has the factor (1 + a + b) / (both − 1) = 1, which is 0 / 0 where a + b = −1
    beside[:, 0] = 4 * (1 + a[:, 0]) * (1 + b) / ((2 + a[:, 0] + b) ** 2 * (3 + a[:, 0] + b))
    matrix = np.zeros((len(second), points, points))
    at = np.arange(points)
    matrix[:, at, at] = diagonal
    matrix[:, at[1:], at[:-1]] = matrix[:, at[:-1], at[1:]] = np.sqrt(beside)
    values, vectors = np.linalg.eigh(matrix)
    nodes = np.clip((values + 1) / 2, SMALLEST, 1.0)
    return nodes, vectors[:, 0, :] ** 2
