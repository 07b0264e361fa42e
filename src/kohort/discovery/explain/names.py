"""Names of two or three words, proposed from what is true of a group.

A name is a template with claims ("frequent", "large orders"). It is a candidate only if every claim holds, and a claim
holds only if the typical member stands on that side of everybody by a margin (`Fact.side`), plus what the word itself
promises: nobody is "recent" who last ordered half a year ago. Among names that are true, those are chosen that differ
and together say the most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from kohort.discovery.explain.facts import Fact
from kohort.discovery.explain.sentences import capital_first, lead, plain_label, windowed
from kohort.model.feature import Idea

Claim = str

RECENT_DAYS = 120
QUIET_DAYS = 45
OFTEN = 4
ONCE_SHARE = 0.65
OVERDUE = 2.5

TEMPLATES: tuple[tuple[str, tuple[Claim, ...], float], ...] = (
    # name, claims that must all hold, head start over names that say as much
    ("Frequent big spenders", ("frequent", "big"), 1.0),
    ("Frequent large orders", ("frequent", "large"), 0.6),
    ("Frequent small orders", ("frequent", "small"), 0.8),
    ("Repeat big spenders", ("repeat", "big"), 0.8),
    ("Active regulars", ("frequent", "recent"), 0.8),
    ("Long-standing regulars", ("frequent", "longstanding"), 0.5),
    ("Quiet regulars", ("frequent", "quiet"), 0.8),
    ("New regulars", ("frequent", "new"), 1.0),
    ("Returning newcomers", ("again", "new"), 1.0),
    ("Recent first orders", ("once", "recent"), 1.2),
    ("Large first orders", ("once", "recent", "large"), 0.6),
    ("Small first orders", ("once", "recent", "small"), 0.6),
    ("One-off and quiet", ("once", "quiet"), 1.2),
    ("Large one-off orders", ("once", "large"), 0.8),
    ("Small one-off orders", ("once", "small"), 0.8),
    ("One-off buyers", ("once",), 0.6),
    ("Slipping away", ("again", "overdue", "not low"), 1.0),
    ("Quiet big spenders", ("quiet", "big"), 0.9),
    ("Quiet small spenders", ("quiet", "low"), 0.4),
    ("Quiet small orders", ("quiet", "small"), 0.3),
    ("Quiet large orders", ("quiet", "large"), 0.3),
    ("Gone quiet", ("quiet",), 0.3),
    ("Big occasional buyers", ("occasional", "large"), 0.9),
    ("Occasional big spenders", ("occasional", "big"), 0.5),
    ("Occasional small spenders", ("occasional", "low"), 0.2),
    ("Frequent small spenders", ("frequent", "low"), 0.5),
    ("Occasional small orders", ("occasional", "small"), 0.5),
    ("Recent big spenders", ("recent", "big"), 0.6),
    ("Recent large orders", ("recent", "large"), 0.4),
    ("Recent small orders", ("recent", "small"), 0.4),
    ("Recent repeat buyers", ("recent", "repeat"), 0.5),
    ("Recent newcomers", ("recent", "new"), 0.5),
    ("Recent buyers", ("recent",), 0.1),
    ("Frequent buyers", ("frequent",), 0.3),
    ("Repeat buyers", ("repeat",), 0.2),
    ("Occasional buyers", ("occasional",), 0.0),
    ("Big spenders", ("big",), 0.1),
    ("Small spenders", ("low",), 0.0),
    ("Large orders", ("large",), 0.0),
    ("Small orders", ("small",), 0.0),
    ("Large new orders", ("large", "new"), 0.2),
    ("Small new orders", ("small", "new"), 0.2),
    ("Long-standing and quiet", ("longstanding", "quiet"), 0.1),
    ("Long-standing customers", ("longstanding",), 0.0),
    ("New customers", ("new",), 0.1),
    ("Quick reorderers", ("quick",), 0.0),
    ("Slow reorderers", ("slow",), 0.0),
    ("Broad-range buyers", ("broad",), 0.0),
    ("Narrow-range buyers", ("narrow",), 0.0),
    ("Many returns", ("returning",), 0.2),
)

WITHOUT_ORDERS: Mapping[str, str] = {
    "Recent first orders": "Came once, lately",
    "One-off and quiet": "Came once, quiet since",
    "One-off buyers": "Came once",
    "Occasional buyers": "Seldom active",
    "Recent repeat buyers": "Back lately",
    "Recent buyers": "Active lately",
    "Frequent buyers": "Very active",
    "Repeat buyers": "Came back",
    "Broad-range buyers": "Wide interests",
    "Narrow-range buyers": "Narrow interests",
    "Quick reorderers": "Short pauses",
    "Slow reorderers": "Long pauses",
}
"""The same claims where nothing is known about orders or money: who reads or visits has bought nothing."""

MOST_ZEROS = 0.05
"""A count that is 0 for more customers than this does not count their first time, so 1 in it is not "once"."""

_SIDES: Mapping[Claim, tuple[Idea, int]] = {
    "frequent": ("frequency", 1),
    "repeat": ("frequency", 1),
    "occasional": ("frequency", -1),
    "recent": ("recency", -1),
    "quiet": ("recency", 1),
    "big": ("value", 1),
    "low": ("value", -1),
    "large": ("basket", 1),
    "small": ("basket", -1),
    "longstanding": ("tenure", 1),
    "new": ("tenure", -1),
    "quick": ("rhythm", -1),
    "slow": ("rhythm", 1),
    "broad": ("breadth", 1),
    "narrow": ("breadth", -1),
    "returning": ("returns", 1),
}

_PROMISES: Mapping[Claim, Callable[[float], bool]] = {
    "frequent": lambda orders: orders >= OFTEN,
    "repeat": lambda orders: 2 <= orders < OFTEN,
    "recent": lambda days: days <= RECENT_DAYS,
    "quiet": lambda days: days >= QUIET_DAYS,
    "returning": lambda returned: returned > 0,
}

_WEIGHT: Mapping[Idea, float] = {"tenure": 0.7, "rhythm": 0.6, "breadth": 0.6, "returns": 0.6}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A name that is true of a group, and how much it says."""

    name: str
    weight: float


def holds(claim: Claim, facts: Sequence[Fact]) -> float | None:
    """How strongly a claim holds for a group; None where it does not hold."""
    if claim in ("once", "again", "overdue", "not low"):
        return _plain_claim(claim, facts)
    if claim == "repeat" and not _counts_all(facts):
        return None
    idea, side = _SIDES[claim]
    fact = lead(facts, idea)
    if fact is None or fact.side != side or not isinstance(fact.value, float):
        return None
    promise = _PROMISES.get(claim)
    if promise is not None and (not promise(fact.value) or (idea == "recency" and fact.column.info.unit != "days")):
        return None
    return _WEIGHT.get(idea, 1.0) * min(abs(fact.effect), 2.0)


def _plain_claim(claim: Claim, facts: Sequence[Fact]) -> float | None:
    """Claims that are about the member alone, not about everybody else."""
    often, value = lead(facts, "frequency"), lead(facts, "value")
    if claim == "not low":
        return None if (often and often.side < 0) or (value and value.side < 0) else 0.0
    if often is None or not isinstance(often.value, float):
        return None
    if claim == "overdue":
        return _overdue(facts)
    if claim == "again":
        return 0.3 if often.value >= 2 else None
    once = often.value == 1 and often.column.whole and (often.at_typical or 0.0) >= ONCE_SHARE and _counts_all(facts)
    return 0.5 + min(abs(often.effect), 1.0) if once else None


def _counts_all(facts: Sequence[Fact]) -> bool:
    """Whether what says how often counts everything that a customer ever did."""
    often = lead(facts, "frequency")
    if often is None or windowed(often.column.info):
        return False
    return often.column.info.unit == "orders" or float((often.column.values == 0).mean()) <= MOST_ZEROS


def _buying(facts: Sequence[Fact]) -> bool:
    """Whether anything is known about orders or money."""
    return any(f.column.info.unit in ("orders", "money") for f in facts)


def _overdue(facts: Sequence[Fact]) -> float | None:
    """Silent for longer than others, or for much longer than their own rhythm."""
    quiet = holds("quiet", facts)
    if quiet is not None:
        return quiet
    last, rhythm = lead(facts, "recency"), lead(facts, "rhythm")
    if last is None or rhythm is None or last.side < 0 or {last.column.info.unit, rhythm.column.info.unit} != {"days"}:
        return None
    if not isinstance(last.value, float) or not isinstance(rhythm.value, float) or rhythm.known < 0.75:
        return None
    return 0.8 if last.value >= max(OVERDUE * rhythm.value, QUIET_DAYS) else None


def candidates(per_group: Sequence[Sequence[Fact]]) -> list[list[Candidate]]:
    """For each group every name that is true of it, the one that says most first.

    A claim counts less for a group when it holds much more strongly for another one: the group that orders most is the
    one to call frequent, though others order often too.
    """
    strengths = {claim: [holds(claim, facts) for facts in per_group] for claim in _CLAIMS}
    strongest = {claim: max((s for s in found if s), default=0.0) for claim, found in strengths.items()}
    result = []
    for g, facts in enumerate(per_group):
        told = {claim: s for claim in _CLAIMS if (s := strengths[claim][g]) is not None}
        found = []
        for name, claims, head_start in TEMPLATES:
            if all(c in told for c in claims):
                lead_over = [told[c] / strongest[c] for c in claims if strongest[c]]
                weight = head_start + sum(told[c] for c in claims)
                said = name if _buying(facts) else WITHOUT_ORDERS.get(name, name)
                found.append(Candidate(said, weight * sum(lead_over) / max(len(lead_over), 1)))
        result.append(_with_qualifiers(found, facts))
    return result


def _with_qualifiers(found: list[Candidate], facts: Sequence[Fact]) -> list[Candidate]:
    """The names from templates and those from features that have no words of their own, strongest first."""
    qualifiers = _qualifiers(facts)
    found += [Candidate(_title(q), 0.9 * s) for q, s in qualifiers]
    found += [
        Candidate(capital_first(_together((a, b))), 0.55 * (s + t))
        for i, (a, s) in enumerate(qualifiers)
        for b, t in qualifiers[i + 1 : 4]
        if not _says_the_same(a, b)
    ]
    if not found:
        found.append(Candidate("Typical customers", 0.5))
    plain = sorted(found, key=lambda c: -c.weight)
    finer = [Candidate(f"{c.name}, {q}", 0.3 * c.weight + 0.2 * s) for c in plain[:3] for q, s in qualifiers]
    return plain + [c for c in finer if not _repeats(c.name)]


_CLAIMS = sorted({claim for _, claims, _ in TEMPLATES for claim in claims})


def _says_the_same(a: str, b: str) -> bool:
    """Whether all that one phrase is about is part of what the other is about."""
    sides = {"high", "low", "mostly", "with", "without", "more", "fewer", "no"}
    one, other = set(a.lower().split()) - sides, set(b.lower().split()) - sides
    return one <= other or other <= one


def _title(phrase: str) -> str:
    return capital_first(phrase if " " in phrase else f"{phrase} customers")


def _repeats(name: str) -> bool:
    head, _, tail = name.lower().partition(", ")
    return tail in head


def _qualifiers(facts: Sequence[Fact], words: tuple[str, str] = ("high", "low")) -> list[tuple[str, float]]:
    """Short phrases for features beyond the ideas that have words: "high income", "mostly Germany"."""
    spoken = {idea for idea, _ in _SIDES.values()}
    found = []
    for fact in facts:
        info = fact.column.info
        named = info.idea in spoken and not (info.idea == "recency" and info.unit != "days")
        if not fact.side or (named and info.type == "number"):
            continue
        if info.type == "text":
            found.append((_mostly(fact), min(abs(fact.effect), 2.0)))
        elif info.type == "flag":
            found.append((f"{'with' if fact.side > 0 else 'without'} {_short(fact)}", min(abs(fact.effect), 2.0)))
        else:
            found.append((_side_words(fact, words), min(abs(fact.effect), 2.0)))
    strongest: dict[str, float] = {}
    for phrase, strength in found:
        strongest[phrase] = max(strength, strongest.get(phrase, 0.0))
    return sorted(strongest.items(), key=lambda pair: -pair[1])


def _mostly(fact: Fact) -> str:
    """ "mostly Germany"; answers speak of their question: "with newsletter", "without newsletter"."""
    level = str(fact.value).strip()
    answer = {"yes": "with", "true": "with", "y": "with", "no": "without", "false": "without", "n": "without"}
    if level.lower() in answer:
        return f"{answer[level.lower()]} {_short(fact)}"
    if level.lower().startswith("no "):
        return level.lower()
    if len(level) < 3 or level.lower() in ("none", "other", "unknown"):
        return f"{_short(fact)} {level}"
    return f"mostly {level}"


def slices(facts: Sequence[Fact]) -> list[Candidate]:
    """Names of a slice beside its whole segment: "larger orders". Facts are relative to the segment."""
    spoken = {pair: words for pair, words in _COMPARED.items() if lead(facts, pair[0]) is not None}
    found = [
        (words, min(abs(fact.effect), 2.0) * _WEIGHT.get(idea, 1.0))
        for (idea, side), words in spoken.items()
        if (fact := lead(facts, idea)) is not None and fact.side == side
    ]
    found += [(text, 0.8 * strength) for text, strength in _qualifiers(facts, ("higher", "lower"))]
    found.sort(key=lambda pair: -pair[1])
    strongest = found[:5]
    several = [
        Candidate(_together(p for p, _ in chosen), sum(s for _, s in chosen) / (len(chosen) + 0.5))
        for size in (2, 3)
        for chosen in combinations(strongest, size)
    ]
    return [Candidate(phrase, strength) for phrase, strength in found] + several or [Candidate("in the middle", 0.1)]


def _together(phrases: Iterable[str]) -> str:
    """Phrases in one order whatever their strength, so that no two names differ by order alone."""
    return ", ".join(sorted(phrases))


_COMPARED: Mapping[tuple[Idea, int], str] = {
    ("frequency", 1): "more orders",
    ("frequency", -1): "fewer orders",
    ("recency", -1): "ordered lately",
    ("recency", 1): "longer silent",
    ("value", 1): "higher spend",
    ("value", -1): "lower spend",
    ("basket", 1): "larger orders",
    ("basket", -1): "smaller orders",
    ("tenure", 1): "longer with us",
    ("tenure", -1): "newer",
    ("rhythm", -1): "shorter gaps",
    ("rhythm", 1): "longer gaps",
    ("breadth", 1): "wider range",
    ("breadth", -1): "narrower range",
    ("returns", 1): "more returns",
    ("returns", -1): "fewer returns",
}


def _side_words(fact: Fact, words: tuple[str, str]) -> str:
    """ "high income"; hours are later or earlier, people younger or older, shares of orders more or fewer orders."""
    above, info = fact.side > 0, fact.column.info
    if info.unit == "hour":
        return f"{'later' if above else 'earlier'} {_short(fact)}"
    if _short(fact) in ("age", "customer age"):
        return "older" if above else "younger"
    part = _SHARE_OF.match(info.label)
    if part and info.unit == "share":
        return f"{'more' if above else 'fewer'} {part[1]}"
    return f"{words[0] if above else words[1]} {_short(fact)}"


_SHARE_OF = re.compile(r"share of (?:the )?(\w+(?: \w+){0,3})$", re.IGNORECASE)


def _short(fact: Fact) -> str:
    """The label's last two words at most, without filler: "annual income" → "income"."""
    words = [w for w in plain_label(fact.column.info).split() if w not in _FILLER] or [fact.column.info.name]
    return " ".join(words[:3])


_FILLER = frozenset(
    {"annual", "yearly", "total", "average", "avg", "mean", "number", "of", "the", "share", "per", "in"}
)


def propose(options: Sequence[Sequence[Candidate]], sizes: Sequence[int]) -> list[str]:
    """One unique name per group, so that together they say the most.

    Args:
        options: Candidates of each group, the one that says most first; never empty.
        sizes: Customers of each group; the larger one keeps a contested name it fits equally well.

    Returns:
        Names in the order of the groups; equal input gives equal names.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    names = sorted({c.name for group in options for c in group})
    column = {name: i for i, name in enumerate(names)}
    k = len(options)
    said = np.full((k, len(names) + k), -1e6)
    for g, group in enumerate(options):
        for c in group:
            # Squared: one name that fits very well is worth more than two that fit somewhat.
            said[g, column[c.name]] = max(said[g, column[c.name]], c.weight**2 + 1e-9 * sizes[g])
        said[g, len(names) + g] = -1e3  # nothing unique is left to say: numbered below
    _, chosen = linear_sum_assignment(-said)
    taken = {names[c] for c in chosen if c < len(names)}
    result = []
    for group, c in zip(options, chosen, strict=True):
        name = names[c] if c < len(names) else _numbered(group[0].name, taken)
        taken.add(name)
        result.append(name)
    return result


def _numbered(name: str, taken: set[str]) -> str:
    return next(f"{name} {i}" for i in range(2, 10_000) if f"{name} {i}" not in taken)
