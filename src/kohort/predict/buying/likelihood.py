"""Maximum likelihood of positive parameters, with what it says about their uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Likelihood = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Parameters → log-likelihood of all customers and its gradient by the parameters."""

FARTHEST = 9.0
"""How far a logarithm may go from where it started (a factor of 8,000) before the parameter counts as without an end."""

WIDEST = 3.0
"""A standard error of a logarithm from which on a parameter counts as left open: its interval would span a factor of 100,000."""

CLOSE_ENOUGH = 1e-9
"""The search ends where one more step would move no parameter by more than about 0.00005 of its standard error."""

STEP = 1e-4
"""Step in a logarithm for differences of the gradient: their error is about 1e-8 of the second derivative."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The best parameters found.

    Attributes:
        parameters: All positive.
        log_likelihood: Of all customers together.
        covariance: Of the logarithms of the parameters: the inverse of the observed information, in those directions about which
            the data say something. None where they say nothing about any.
        left_open: Positions of parameters about which the data say next to nothing.
        evaluations: How often likelihood and gradient were computed.
    """

    parameters: np.ndarray
    log_likelihood: float
    covariance: np.ndarray | None
    left_open: tuple[int, ...]
    evaluations: int


class _Counted:
    """Mean log-likelihood per customer by the logarithms, turned upside down for a minimiser."""

    def __init__(self, likelihood: Likelihood, customers: float) -> None:
        self.likelihood, self.customers, self.evaluations = likelihood, customers, 0

    def __call__(self, logs: np.ndarray) -> tuple[float, np.ndarray]:
        self.evaluations += 1
        parameters = np.exp(logs)
        value, gradient = self.likelihood(parameters)
        if not np.isfinite(value):
            return 1e10, np.zeros_like(logs)
        return -value / self.customers, -gradient * parameters / self.customers

    def curvature(self, logs: np.ndarray) -> np.ndarray:
        """Second derivatives, by central differences of the exact gradient."""
        rows = []
        for i in range(len(logs)):
            there = np.zeros(len(logs))
            there[i] = STEP
            rows.append((self(logs + there)[1] - self(logs - there)[1]) / (2 * STEP))
        second = np.array(rows)
        both: np.ndarray = (second + second.T) / 2
        return both


def maximise(likelihood: Likelihood, starts: Sequence[np.ndarray], customers: float) -> Fit:
    """The parameters under which the data are most probable.

    L-BFGS on the logarithms from each start, then Newton steps from the best end until a step would move nothing.

    Args:
        likelihood: Smooth, for positive parameters.
        starts: Positive, at least one.
        customers: How many customers the likelihood is of.
    """
    from scipy.optimize import minimize

    goal = _Counted(likelihood, customers)
    best = None
    for start in starts:
        logs = np.log(start)
        limits = [(v - FARTHEST, v + FARTHEST) for v in logs]
        options = {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8, "maxls": 50}
        end = minimize(goal, logs, jac=True, method="L-BFGS-B", bounds=limits, options=options)
        if best is None or end.fun < best[0].fun:
            best = (end, logs)
    assert best is not None
    end, begun = best
    logs, curvature = _newton(goal, end.x)
    value = -goal(logs)[0] * customers
    known, directions, all_known = _known(curvature * customers)
    covariance = (directions / known) @ directions.T if len(known) else None
    ran_away = np.abs(end.x - begun) > FARTHEST - 1e-3
    left_open = tuple(int(i) for i in np.flatnonzero(ran_away | ~all_known))
    return Fit(np.exp(logs), value, covariance, left_open, goal.evaluations)


def _known(information: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Information and direction where there is some, (parameters, directions), and which parameters are known by it.

    Where customers do not differ in something, or nobody does it, two parameters can grow together for ever and only their
    quotient matters. Along such a ridge a quadratic says nothing; across it it does.
    """
    values, vectors = np.linalg.eigh(information)
    some = values > WIDEST**-2
    spread = (vectors[:, ~some] ** 2 / np.maximum(values[~some], 1e-12)).sum(axis=1)
    spread += (vectors[:, some] ** 2 / values[some]).sum(axis=1)
    return values[some], vectors[:, some], np.sqrt(spread) <= WIDEST


def _newton(goal: _Counted, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Down to the bottom across every direction that has one, and the curvature there."""
    curvature = goal.curvature(logs)
    value, slope = goal(logs)
    for _ in range(20):
        known, directions, _ = _known(curvature * goal.customers)
        step = goal.customers * (directions / known) @ (directions.T @ slope)
        left = float(step @ slope) * goal.customers  # squared, in standard errors
        if left < CLOSE_ENOUGH:
            break
        tried = logs - step * min(1.0, 0.5 / float(np.max(np.abs(step))))
        lower, there = goal(tried)
        if not lower <= value:  # no progress beyond rounding
            break
        logs, value, slope = tried, lower, there
        if left > 1e-2:  # moved far enough for the curvature to differ
            curvature = goal.curvature(logs)
    return logs, curvature
