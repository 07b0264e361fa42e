"""How telling each degree of agreement is, learned without labels: pairs are of one person, of one household or of strangers.

The model of Fellegi and Sunter (1969) knows matches and strangers. Members of a household agree on surname, address and
telephone together, which that model takes for three pieces of evidence; so they are a third kind of pair here. In what
belongs to a person alone (first name, birthday) they are as strangers are; that is what tells them apart. Fitted by
expectation maximisation (Winkler, 1988), strangers' agreement being known from random pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

PERSONAL = ("given", "birth")
"""What members of a household share no more than strangers do."""
_ROUNDS = 300
_ENOUGH = 1e-6


@dataclass(frozen=True, slots=True)
class Mixture:
    """What was learned. Lists run over the comparisons, arrays over their levels (0 = different, the highest = the same).

    Attributes:
        one: For each comparison the probability of each level among pairs of one person.
        home: Among pairs of one household.
        strangers: Among random pairs.
        share_one: Share of all pairs, compared or not, that are of one person.
        share_home: Share that are of one household and not of one person; 0 = the data has no such fields.
        personal: Places of the fields that a household does not share.
        names: Places of first name and surname, where both are compared.
        namesakes: How many times more often strangers agree on both than if one said nothing of the other: Jens is a
            Dane's name and so is Jensen.
    """

    one: list[np.ndarray]
    home: list[np.ndarray]
    strangers: list[np.ndarray]
    share_one: float
    share_home: float
    personal: tuple[int, ...] = ()
    names: tuple[int, int] | None = None
    namesakes: float = 1.0

    def weights(self, levels: np.ndarray) -> np.ndarray:
        """log2 evidence of each field (pairs × comparisons) for one person against strangers; 0 where not given."""
        found = np.zeros(levels.shape)
        for n, (one, strangers) in enumerate(zip(self.one, self.strangers, strict=True)):
            found[:, n] = _pick(np.log2(one / strangers), levels[:, n])
        return found

    def probability(self, levels: np.ndarray, rare: np.ndarray | None = None) -> np.ndarray:
        """The probability that each pair is of one person.

        Args:
            levels: Pairs × comparisons, -1 = not given.
            rare: Beside it, log2 by which the value agreed on is rarer than usual; None = not known.
        """
        against = self._strangers(levels, rare)
        log_one = _total(self.one, levels)
        home = _total(self.home, levels)
        if rare is not None:
            # What a household does not share, its members agree on by chance only: chance knows common values.
            home = home - rare[:, list(self.personal)].sum(axis=1)
        if self.share_home > 0:
            rest = np.logaddexp2(against, home + np.log2(self.share_home))
        else:
            rest = against
        odds = log_one + np.log2(self.share_one) - rest
        return np.asarray(1 / (1 + np.exp2(-np.clip(odds, -200, 200))))

    def same_names(self, levels: np.ndarray) -> np.ndarray:
        """Which pairs agree on first name and surname, however spelled."""
        if self.names is None:
            return np.zeros(len(levels), dtype=bool)
        given, surname = self.names
        return np.asarray(
            (levels[:, given] >= len(self.one[given]) - 2) & (levels[:, surname] >= len(self.one[surname]) - 2)
        )

    def _strangers(self, levels: np.ndarray, rare: np.ndarray | None) -> np.ndarray:
        left = max(1e-12, 1 - self.share_one - self.share_home)
        found = _total(self.strangers, levels) + np.log2(left) + np.log2(self.namesakes) * self.same_names(levels)
        return found if rare is None else np.asarray(found - rare.sum(axis=1))


def learn(
    levels: np.ndarray, strangers: Sequence[np.ndarray], fields: Sequence[str], *, pairs: float, records: int
) -> Mixture:
    """Fit the three kinds of pairs.

    Args:
        levels: Candidate pairs × comparisons (small integers), -1 = not given.
        strangers: The probability of each level among random pairs.
        fields: The names of the comparisons.
        pairs: How many pairs there are in all; those that are no candidates count as strangers.
        records: How many records there are.

    Returns:
        Equal input gives an equal model.
    """
    patterns, counts = _patterns(levels)
    personal = tuple(n for n, name in enumerate(fields) if name in PERSONAL)
    homely = bool(personal) and len(fields) - len(personal) > 1
    names = (fields.index("given"), fields.index("surname")) if {"given", "surname"} <= set(fields) else None
    one = [_guess(len(u)) for u in strangers]
    home = [u if n in personal else _guess(len(u)) for n, u in enumerate(strangers)]
    first = 0.1 * records / pairs if homely else 0.0
    model = Mixture(one, home, list(strangers), 0.2 * records / pairs, first, personal, names)
    for _ in range(_ROUNDS):
        better = _refitted(model, patterns, counts, _shares(model, patterns), pairs)
        step = max(float(np.abs(a - b).max()) for a, b in zip(better.one, model.one, strict=True))
        model = better
        if step < _ENOUGH:
            break
    return model


def _refitted(
    model: Mixture, patterns: np.ndarray, counts: np.ndarray, shares: tuple[np.ndarray, np.ndarray], pairs: float
) -> Mixture:
    """The model that the shares of each pattern make the likeliest."""
    of_one, of_home = shares
    n_one, n_home = float(of_one @ counts), float(of_home @ counts)
    one = [_rates(patterns[:, n], of_one * counts, len(u)) for n, u in enumerate(model.strangers)]
    home = model.home
    if model.share_home:
        home = [
            u if n in model.personal else _rates(patterns[:, n], of_home * counts, len(u))
            for n, u in enumerate(model.strangers)
        ]
    namesakes = 1.0
    if model.names is not None:
        chance = np.prod([model.strangers[n][-2:].sum() for n in model.names])
        same = model.same_names(patterns)
        namesakes = max(1.0, float(((1 - of_one - of_home) * counts)[same].sum()) / max(1.0, float(chance) * pairs))
    share_home = max(n_home, 0.5) / pairs if model.share_home else 0.0
    return replace(
        model, one=one, home=home, share_one=max(n_one, 0.5) / pairs, share_home=share_home, namesakes=namesakes
    )


def share_again(model: Mixture, levels: np.ndarray, rare: np.ndarray, pairs: float) -> Mixture:
    """The share of pairs that are of one person, once it is known how rare the values agreed on are."""
    for _ in range(30):
        expected = max(float(model.probability(levels, rare).sum()), 0.5) / pairs
        done = abs(expected - model.share_one) < 1e-3 * model.share_one
        model = replace(model, share_one=expected)
        if done:
            break
    return model


def _shares(model: Mixture, patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each pattern the probability that it is of one person, and that it is of one household."""
    one = _total(model.one, patterns) + np.log2(model.share_one)
    strangers = model._strangers(patterns, None)
    if not model.share_home:
        return np.asarray(np.exp2(one - np.logaddexp2(one, strangers))), np.zeros(len(patterns))
    home = _total(model.home, patterns) + np.log2(model.share_home)
    every = np.logaddexp2(np.logaddexp2(one, home), strangers)
    return np.asarray(np.exp2(one - every)), np.asarray(np.exp2(home - every))


def _patterns(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each combination of levels once, and how many pairs have it."""
    span = levels.max(axis=0).astype(np.int64) + 2
    code = np.zeros(len(levels), dtype=np.int64)
    for n, size in enumerate(span):
        code = code * size + (levels[:, n] + 1)
    _, first, counts = np.unique(code, return_index=True, return_counts=True)
    return levels[first], counts.astype(float)


def _rates(levels: np.ndarray, weight: np.ndarray, size: int) -> np.ndarray:
    """The share of each level, with half a pair more of each, so that nothing is impossible."""
    given = levels >= 0
    found = np.bincount(levels[given], weights=weight[given], minlength=size) + 0.5 / size
    return np.asarray(found / found.sum())


def _guess(size: int) -> np.ndarray:
    """Where to start: the more alike, the likelier."""
    steps = np.array([0.15, *np.geomspace(0.05, 0.5, size - 1)]) if size > 1 else np.ones(1)
    return np.asarray(steps / steps.sum())


def _total(rates: Sequence[np.ndarray], levels: np.ndarray) -> np.ndarray:
    found = np.zeros(len(levels))
    for n, rate in enumerate(rates):
        found += _pick(np.log2(rate), levels[:, n])
    return found


def _pick(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return np.asarray(np.append(values, 0.0)[levels])  # level -1 picks the 0 at the end
