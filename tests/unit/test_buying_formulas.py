"""Every formula of the buying models against something independent: the papers' closed forms, plain integration, differences."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, special, stats

from kohort.predict.buying.bgbb import BGBB
from kohort.predict.buying.bgnbd import BGNBD
from kohort.predict.buying.gamma_gamma import GammaGamma
from kohort.predict.buying.gamma_gamma import _likelihood as amounts
from kohort.predict.buying.grouped import Grouped
from kohort.predict.buying.model import BuyingModel
from kohort.predict.buying.pareto_nbd import ParetoNBD
from kohort.predict.buying.quadrature import beta_mean, leaving

WEEKS = Grouped(
    np.array([0.0, 0, 1, 2, 2, 7, 40]),
    np.array([0.0, 0, 1.71, 30.43, 2.0, 38.9, 20.0]),
    np.array([38.86, 12.0, 38.86, 38.86, 30.0, 39.0, 39.0]),
    np.array([3.0, 1, 2, 1, 5, 1, 1]),
)
YEARS = Grouped(
    np.array([0.0, 1, 1, 3, 6, 2]),
    np.array([0.0, 1, 6, 4, 6, 2]),
    np.array([6.0, 6, 6, 6, 6, 9]),
    np.array([3.0, 2, 1, 2, 1, 1]),
)


@pytest.mark.parametrize(
    ("model", "groups", "parameters"),
    [
        (BGNBD(), WEEKS, (0.243, 4.414, 0.793, 2.426)),
        (BGNBD(), WEEKS, (12.0, 90.0, 0.02, 0.3)),
        (ParetoNBD(), WEEKS, (0.553, 10.578, 0.606, 11.669)),
        (ParetoNBD(), WEEKS, (2.0, 0.3, 3.0, 60.0)),
        (ParetoNBD(), WEEKS, (0.2, 55.0, 0.1, 0.05)),
        (BGBB(), YEARS, (1.204, 0.750, 0.657, 2.783)),
        (BGBB(), YEARS, (0.1, 20.0, 6.0, 0.4)),
    ],
)
def test_gradients_are_those_of_the_likelihood(
    model: BuyingModel, groups: Grouped, parameters: tuple[float, ...]
) -> None:
    agrees_with_differences(model._likelihood(groups), np.array(parameters))


def test_the_gradient_of_amounts_is_that_of_their_likelihood() -> None:
    agrees_with_differences(
        amounts(np.array([1.0, 2, 2, 30]), np.array([5.0, 80, 3, 12])), np.array([6.25, 3.74, 15.44])
    )


def agrees_with_differences(likelihood: Callable[[np.ndarray], tuple[float, np.ndarray]], at: np.ndarray) -> None:
    gradient = likelihood(at)[1]
    for i, value in enumerate(at):
        step = np.zeros(len(at))
        step[i] = 1e-4 * value
        ahead = [likelihood(at + k * step)[0] for k in (-2, -1, 1, 2)]
        slope = (ahead[0] - 8 * ahead[1] + 8 * ahead[2] - ahead[3]) / (12 * step[i])
        assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-6)


def one(x: float, recency: float, age: float) -> Grouped:
    return Grouped(*(np.array([float(v)]) for v in (x, recency, age, 1)))


HISTORIES = [(0, 0.0, 20.0), (1, 3.0, 20.0), (4, 19.0, 20.0)]


@pytest.mark.parametrize("history", HISTORIES)
def test_bgnbd_is_the_mixture_over_customers_that_it_says_it_is(history: tuple[int, float, float]) -> None:
    """The story in the paper, integrated over λ and p by brute force."""
    x, recency, age = history
    r, alpha, a, b = 0.7, 5.0, 0.8, 2.4

    nodes, weights = np.polynomial.legendre.leggauss(160)
    u, w = (nodes + 1) / 2, weights / 2
    # u = (λ / 8)^r and u = p^a take away the poles at 0
    rate, by_rate = 8 * u ** (1 / r), 8 / r * u ** (1 / r - 1)
    p, by_p = u ** (1 / a), 1 / a * u ** (1 / a - 1)
    chances = np.outer(stats.gamma.pdf(rate, r, scale=1 / alpha) * by_rate * w, stats.beta.pdf(p, a, b) * by_p * w)
    rate, p = rate[:, None], p[None, :]
    here = float(np.sum(chances * (1 - p) ** x * rate**x * np.exp(-rate * age)))
    left = float(np.sum(chances * p * (1 - p) ** (x - 1) * rate**x * np.exp(-rate * recency))) if x else 0.0
    parameters = np.array([r, alpha, a, b])
    assert BGNBD()._likelihood(one(*history))(parameters)[0] == pytest.approx(np.log(here + left), abs=1e-3)
    model = BGNBD.with_parameters(r=r, alpha=alpha, a=a, b=b)
    found = model._alive(parameters, one(*history).histories)
    assert found[0] == pytest.approx(here / (here + left), abs=1e-3)


@pytest.mark.parametrize(("r", "alpha", "a", "b"), [(0.243, 4.414, 0.793, 2.426), (2.0, 30.0, 3.5, 0.9)])
@pytest.mark.parametrize("history", [*HISTORIES, (12, 30.0, 52.0)])
def test_expected_purchases_of_bgnbd_are_the_papers(
    r: float, alpha: float, a: float, b: float, history: tuple[int, float, float]
) -> None:
    x, recency, age = history
    t = 39.0
    hyper = special.hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + age + t))
    top = (a + b + x - 1) / (a - 1) * (1 - ((alpha + age) / (alpha + age + t)) ** (r + x) * hyper)
    bottom = 1 + (x > 0) * a / (b + x - 1) * ((alpha + age) / (alpha + recency)) ** (r + x)
    model = BGNBD.with_parameters(r=r, alpha=alpha, a=a, b=b)
    assert model.expected_purchases(row(*history), t)[0] == pytest.approx(top / bottom, rel=1e-9)


@pytest.mark.parametrize("parameters", [(0.553, 10.578, 0.606, 11.669), (1.5, 20.0, 2.5, 4.0), (0.8, 7.0, 0.5, 7.0)])
@pytest.mark.parametrize("history", [*HISTORIES, (12, 30.0, 52.0)])
def test_pareto_nbd_is_the_papers(parameters: tuple[float, ...], history: tuple[int, float, float]) -> None:
    r, alpha, s, beta = parameters
    x, recency, age = history
    near, far, second = (alpha, beta, r + x) if alpha < beta else (beta, alpha, s + 1)

    def part(t: float) -> float:
        hyper = special.hyp2f1(r + s + x, second, r + s + x + 1, (far - near) / (far + t))
        return float(hyper / (far + t) ** (r + s + x))

    here = (alpha + age) ** -(r + x) * (beta + age) ** -s
    gone = s / (r + s + x) * (part(recency) - part(age))
    scale = special.gammaln(r + x) - special.gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    likelihood = ParetoNBD()._likelihood(one(*history))(np.array(parameters))[0]
    assert likelihood == pytest.approx(scale + np.log(here + gone), rel=1e-10)

    model = ParetoNBD.with_parameters(r=r, alpha=alpha, s=s, beta=beta)
    alive = here / (here + gone)
    assert model.probability_alive(row(*history))[0] == pytest.approx(alive, rel=1e-9)
    t = 39.0
    stay = (beta + age) / (s - 1) * (1 - ((beta + age) / (beta + age + t)) ** (s - 1))
    assert model.expected_purchases(row(*history), t)[0] == pytest.approx(
        alive * (r + x) / (alpha + age) * stay, rel=1e-9
    )


@pytest.mark.parametrize("x", [0, 1, 30, 3_000])
@pytest.mark.parametrize(
    ("alpha", "beta"), [(1e-4, 9.0), (9.0, 1e-4), (0.5, 400.0), (400.0, 0.5), (3.0, 3.0), (1e4, 1e-2)]
)
@pytest.mark.parametrize(("recency", "age"), [(0.0, 50.0), (49.99, 50.0), (1.0, 5_000.0)])
def test_the_integral_holds_where_hypergeometric_functions_do_not(
    x: int, alpha: float, beta: float, recency: float, age: float
) -> None:
    r, s = 0.4, 0.7

    def height(z: np.ndarray) -> np.ndarray:
        t = (near + recency) * np.exp(z) - near
        return -(r + x) * np.log(alpha + t) - (s + 1) * np.log(beta + t) + np.log(near + recency) + z

    near = min(alpha, beta)
    ends = np.log((near + age) / (near + recency))
    grid = np.linspace(0, ends, 4_001)
    heights = height(grid)
    top = heights.max()
    last = grid[np.flatnonzero(heights > top - 45).max()]
    area = integrate.quad(
        lambda z: np.exp(height(z) - top), 0, min(last + ends / 4_000, ends), epsabs=0, epsrel=1e-12, limit=500
    )
    found = leaving(np.array([r, alpha, s, beta]), one(x, recency, age).histories)
    assert found.log_integral[0] == pytest.approx(top + np.log(area[0]), rel=1e-10, abs=1e-9)


def test_nobody_can_have_left_in_no_time() -> None:
    found = leaving(np.array([0.5, 2.0, 0.5, 3.0]), one(4, 9, 9).histories)
    assert found.log_integral[0] == -np.inf
    model = ParetoNBD.with_parameters(r=0.5, alpha=2.0, s=0.5, beta=3.0)
    assert model.probability_alive(row(4, 9.0, 9.0))[0] == 1.0


@pytest.mark.parametrize("history", [(0, 0, 6), (2, 5, 6), (6, 6, 6), (1, 1, 4)])
def test_bgbb_is_the_papers(history: tuple[int, int, int]) -> None:
    alpha, beta, gamma, delta = 1.204, 0.750, 0.657, 2.783
    x, recency, n = history

    def share(i: int, stay: float) -> float:
        buy = special.beta(alpha + x, beta + i - x) / special.beta(alpha, beta)
        return float(buy * stay / special.beta(gamma, delta))

    here = share(n, special.beta(gamma, delta + n))
    total = here + sum(share(i, special.beta(gamma + 1, delta + i)) for i in range(recency, n))
    model = BGBB.with_parameters(alpha=alpha, beta=beta, gamma=gamma, delta=delta)
    assert BGBB()._likelihood(one(*history))(model._values)[0] == pytest.approx(np.log(total), rel=1e-12)
    assert model.probability_alive(row(*history))[0] == pytest.approx(here / total, rel=1e-12)

    def ratio(k: float) -> float:
        return float(np.exp(special.gammaln(1 + delta + k) - special.gammaln(gamma + delta + k)))

    lead = special.beta(alpha + x + 1, beta + n - x) / special.beta(alpha, beta) / total
    lead *= delta / (gamma - 1) * special.gamma(gamma + delta) / special.gamma(1 + delta)
    assert model.expected_purchases(row(*history), 5)[0] == pytest.approx(lead * (ratio(n) - ratio(n + 5)), rel=1e-10)


def test_amounts_have_the_density_that_the_story_gives() -> None:
    """Mean of x amounts, each Gamma(p, ν), ν ~ Gamma(q, v): integrated over ν."""
    p, q, v, x, mean = 2.5, 3.0, 12.0, 3, 8.0
    area = integrate.quad(
        lambda nu: stats.gamma.pdf(mean, p * x, scale=1 / (nu * x)) * stats.gamma.pdf(nu, q, scale=1 / v), 0, np.inf
    )[0]
    assert amounts(np.array([float(x)]), np.array([mean]))(np.array([p, q, v]))[0] == pytest.approx(
        np.log(area), rel=1e-8
    )
    model = GammaGamma.with_parameters(p=p, q=q, v=v)
    table = row(x, 5.0, 9.0) | {"monetary": [mean]}
    top = integrate.quad(
        lambda nu: p / nu * stats.gamma.pdf(mean, p * x, scale=1 / (nu * x)) * stats.gamma.pdf(nu, q, scale=1 / v),
        0,
        np.inf,
    )[0]
    assert model.expected_value(table)[0] == pytest.approx(top / area, rel=1e-7)
    low, high = model.value_interval(table)
    inside = stats.gamma.cdf(p / low[0], q + p * x, scale=1 / (v + x * mean)) - stats.gamma.cdf(
        p / high[0], q + p * x, scale=1 / (v + x * mean)
    )
    assert inside == pytest.approx(0.95)


@pytest.mark.parametrize("first", [0.05, 1.0, 7.0])
def test_means_over_a_beta_are_exact_for_powers(first: float) -> None:
    second = np.array([0.3, 1.0, 2.426, 900.0])
    found = beta_mean(first, second, lambda p, rows: p**3)
    exact = np.exp(special.betaln(first + 3, second) - special.betaln(first, second))
    assert found == pytest.approx(exact, rel=1e-10)


def test_expected_purchases_pass_smoothly_where_closed_forms_divide_by_zero() -> None:
    table = row(3, 20.0, 30.0)
    for build in (
        lambda e: BGNBD.with_parameters(r=0.5, alpha=5.0, a=1.0 + e, b=2.0).expected_purchases(table, 20),
        lambda e: ParetoNBD.with_parameters(r=0.5, alpha=5.0, s=1.0 + e, beta=9.0).expected_purchases(table, 20),
        lambda e: BGBB.with_parameters(alpha=1.0, beta=1.0, gamma=1.0 + e, delta=3.0).expected_purchases(table, 20),
    ):
        below, at, above = (float(build(e)[0]) for e in (-1e-5, 0.0, 1e-5))
        assert at == pytest.approx((below + above) / 2, rel=1e-8)


def row(x: float, recency: float, age: float) -> dict[str, list[float]]:
    return {"frequency": [x], "recency": [recency], "age": [age]}
