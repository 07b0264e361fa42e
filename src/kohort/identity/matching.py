"""Which ids of a workspace are one customer: first by equal identifiers, then by likeness; what is not sure is asked.

Nothing is decided here that a person decided before: ids that are one already are compared as one, and whom somebody kept apart
is not joined, by whatever way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kohort.errors import NotEnough
from kohort.identity.certain import KINDS
from kohort.identity.groups import agreeing
from kohort.identity.likely import Likely, likely
from kohort.identity.persons import Known, agree, records
from kohort.model.links import Roots
from kohort.store.merges import Field, Pair

SURE = 0.9
"""Pairs below this probability are not joined without a person, unless somebody says so."""
ASKED = 0.1
"""Nor are pairs at or below this one shown to her."""
MOST_QUESTIONS = 5_000
LIMITS = {kind.name: kind.limit for kind in KINDS}
"""Kind → the most persons that one value may be shared by; of a value that more share nothing follows."""
_SAYS = {"email": "the same e-mail address", "phone": "the same telephone number"}
_NAMES = {True: "a name that fits", False: "different", None: "not given"}

Rank = Callable[[int], tuple[int, ...]]


@dataclass(slots=True)
class Found:
    """What a comparison came to.

    Attributes:
        merges: Pairs that are one customer, the surest first; `keep` is whoever goes before.
        questions: Pairs for a person, the most uncertain first.
        persons: How many were compared: ids that are one already count once.
        blocked: Kind → values that too many share to say anything.
        kept_apart: How many joins a person had ruled out.
        threshold: The probability from which likely pairs are joined; None = likeness was not asked.
        expected: Precision and recall that the model expects of it, over likely pairs alone.
    """

    merges: list[Pair] = field(default_factory=list)
    questions: list[Pair] = field(default_factory=list)
    persons: int = 0
    blocked: dict[str, int] = field(default_factory=dict)
    kept_apart: int = 0
    threshold: float | None = None
    expected: tuple[float, float] | None = None


def match(
    people: Mapping[int, Known],
    meant: Roots,
    apart: Iterable[frozenset[int]],
    *,
    rank: Rank,
    region: str,
    by_likeness: bool = True,
    threshold: float | None = None,
) -> Found:
    """Find pairs of ids that are one customer.

    Args:
        people: What is known of each id.
        meant: Who is one already.
        apart: Pairs of ids that a person kept apart.
        rank: Of an id; of two customers the one with the smaller rank stays.
        region: Two letters of the country whose telephone numbers need no prefix.
        by_likeness: False = equal identifiers only.
        threshold: The probability from which likely pairs are joined; None = where the model expects the best F1, at least SURE.

    Raises:
        MissingExtra: The extra `identity` is not installed.
        TooLarge: They do not fit into memory.
    """
    joined = _Joined(meant, apart, rank)
    ids = list(people)
    found = Found(persons=len({joined.of(id_) for id_ in ids}))
    unsure = _by_identifier(people, joined, found)
    if by_likeness:
        unsure += _by_likeness(people, joined, found, region, threshold)
    found.questions = _asked(unsure, joined)
    found.kept_apart = joined.refused
    return found


def _by_identifier(people: Mapping[int, Known], joined: _Joined, found: Found) -> list[Pair]:
    """Joins those who share an identifier and whose names do not speak against it; answers what is not sure."""
    unsure: list[Pair] = []
    for kind in ("email", "phone"):
        who: dict[str, list[int]] = {}
        for id_, mine in people.items():
            for value in mine.all_of(kind):
                who.setdefault(value, []).append(id_)
        for value in sorted(who):
            persons = len({joined.of(id_) for id_ in who[value]})
            if persons > LIMITS[kind]:
                found.blocked[kind] = found.blocked.get(kind, 0) + 1
            elif persons > 1:
                unsure += _sharing(people, who[value], kind, joined, found)
    return unsure


def _sharing(
    people: Mapping[int, Known], ids: Sequence[int], kind: str, joined: _Joined, found: Found
) -> Iterator[Pair]:
    """Joins those of one name who share a value; whoever fits no name, or more than one, is asked about.

    A telephone is a household's: without a first name on both sides it joins nobody, and of two names nothing is asked.
    """
    heads: list[int] = []
    for id_ in sorted(ids, key=lambda i: (not people[i].names, joined.rank(i))):
        fits = {head: agree(people[head], people[id_]) for head in heads}
        alike = [head for head, said in fits.items() if said is not False]
        if not alike:
            if heads and kind == "email":
                yield _pair(heads[0], id_, kind, fits[heads[0]])
            heads.append(id_)
            continue
        pair = _pair(alike[0], id_, kind, fits[alike[0]])
        enough = kind == "email" or agree(people[alike[0]], people[id_], in_full=True)
        if len(alike) == 1 and enough:
            joined.join(pair, found.merges)
        else:
            yield pair


def _pair(one: int, other: int, kind: str, fits: bool | None) -> Pair:
    return Pair(one, other, f"same {kind}", None, (Field(kind, _SAYS[kind]), Field("name", _NAMES[fits])))


def _by_likeness(
    people: Mapping[int, Known], joined: _Joined, found: Found, region: str, threshold: float | None
) -> list[Pair]:
    """Joins those who are likely one; answers the uncertain middle."""
    table, whose, roles = records(people)
    if table.num_rows < 2 or not roles:
        return []
    try:
        scored = likely(table, region=region, roles=roles)
    except NotEnough:
        return []  # no two have enough in common to learn anything from
    cut = found.threshold = max(SURE, scored.threshold) if threshold is None else threshold
    found.expected = scored.curve.at(cut)
    best = _best(scored, np.array(whose, np.int64), joined)
    ends = sorted({group for groups in best for group in groups})
    at = {group: n for n, group in enumerate(ends)}
    probability = scored.pairs.column("probability").to_numpy()
    pairs = sorted((at[a], at[b], place) for (a, b), place in best.items())
    left, right, places = (
        np.array(column, np.int64) for column in (zip(*pairs, strict=True) if pairs else ((), (), ()))
    )
    strangers = _other_first_name(scored)
    sure = np.array([0.0 if place in strangers else probability[place] for place in places.tolist()])
    together = agreeing(len(ends), left, right, sure, cut)
    unsure: list[Pair] = []
    for n in np.argsort(-probability[places], kind="stable").tolist():
        place = int(places[n])
        if probability[place] <= ASKED:
            break
        a, b = (whose[scored.pairs.column(side)[place].as_py()] for side in ("left", "right"))
        pair = Pair(a, b, "likely", round(float(probability[place]), 6), _said(scored, place))
        if probability[place] < cut or place in strangers:
            unsure.append(pair)
        elif together[left[n]] == together[right[n]]:
            joined.join(pair, found.merges)
    return unsure


def _best(scored: Likely, whose: np.ndarray, joined: _Joined) -> dict[tuple[int, int], int]:
    """Two groups → the place of the surest pair between them; none between those who are kept apart."""
    probability = scored.pairs.column("probability").to_numpy()
    ends = (whose[scored.pairs.column(side).to_numpy()].tolist() for side in ("left", "right"))
    best: dict[tuple[int, int], int] = {}
    for place, (a, b) in enumerate(zip(*ends, strict=True)):
        one, other = sorted((joined.of(a), joined.of(b)))
        if one == other or joined.forbidden(one, other):
            continue
        had = best.get((one, other))
        if had is None or probability[place] > probability[had]:
            best[one, other] = place
    return best


def _other_first_name(scored: Likely) -> set[int]:
    """Pairs of two first names that do not resemble each other: whatever else they share, a household does too."""
    if "level_given" not in scored.pairs.column_names:
        return set()
    return set(np.flatnonzero(scored.pairs.column("level_given").to_numpy() == 0).tolist())


def _said(scored: Likely, place: int) -> tuple[Field, ...]:
    return tuple(Field(name, says, round(weight, 2)) for name, says, weight in scored.evidence(place))


def _asked(unsure: Iterable[Pair], joined: _Joined) -> list[Pair]:
    """Questions that are still open, each pair of persons once."""
    asked: dict[tuple[int, int], Pair] = {}
    for pair in unsure:
        one, other = sorted((joined.of(pair.keep), joined.of(pair.other)))
        if one != other and not joined.forbidden(one, other):
            asked.setdefault((one, other), joined.ordered(pair))
    rows = sorted(asked.values(), key=lambda p: abs((0.5 if p.score is None else p.score) - 0.5))
    return rows[:MOST_QUESTIONS]


class _Joined:
    """Who is one customer, as far as it was decided before or is found now."""

    def __init__(self, meant: Roots, apart: Iterable[frozenset[int]], rank: Rank) -> None:
        self.rank = rank
        self._root: dict[int, int] = dict(zip(meant.led.tolist(), meant.root.tolist(), strict=True))
        self._up: dict[int, int] = {}
        self._foes: dict[int, set[int]] = {}
        self.refused = 0
        for pair in apart:
            if len(pair) == 2:
                one, other = (self.of(id_) for id_ in pair)
                self._foes.setdefault(one, set()).add(other)
                self._foes.setdefault(other, set()).add(one)

    def of(self, id_: int) -> int:
        """The group of an id: the id that leads it."""
        top = self._root.get(id_, id_)
        while top in self._up:
            top = self._up[top]
        return top

    def forbidden(self, one: int, other: int) -> bool:
        """Whether a person kept somebody of one group apart from somebody of the other."""
        return one != other and any(self.of(foe) == other for foe in self._foes.get(one, ()))

    def ordered(self, pair: Pair) -> Pair:
        """The pair with whoever stays first."""
        one, other = self.of(pair.keep), self.of(pair.other)
        if (one < 0, self.rank(one)) <= (other < 0, self.rank(other)):
            return pair
        return Pair(pair.other, pair.keep, pair.how, pair.score, pair.evidence)

    def join(self, pair: Pair, into: list[Pair]) -> None:
        """Joins two groups, unless they are one or a person ruled it out, and notes the pair."""
        pair = self.ordered(pair)
        keep, other = self.of(pair.keep), self.of(pair.other)
        if keep == other:
            return
        if self.forbidden(keep, other):
            self.refused += 1
            return
        self._up[other] = keep
        self._foes.setdefault(keep, set()).update(self._foes.pop(other, ()))
        into.append(pair)


def how_many(pairs: Iterable[Pair]) -> dict[str, int]:
    """How many pairs each way found."""
    return dict(sorted(Counter(pair.how for pair in pairs).items()))
