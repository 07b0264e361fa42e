"""Plain words for what the numbers say. A marketer never reads the name of a method or a statistic.

Every function turns model values into one sentence or one word; templates and charts only place them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from kohort.locale import ngettext, nmark
from kohort.model.health import HealthVerdict, Severity
from kohort.model.segmentation import Algorithm, Candidate, Difference, Estimate, Rule, Segment, Segmentation
from kohort.views.formats import formats

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
COLOURS = "abcdefgh"
PARTS = (
    (0.9, "nine tenths"),
    (0.75, "three quarters"),
    (2 / 3, "two thirds"),
    (0.5, "half"),
    (1 / 3, "a third"),
    (0.25, "a quarter"),
)
Tone = Literal["good", "warn", "bad", "info", ""]

ALGORITHMS: dict[Algorithm, tuple[str, str]] = {
    "kmeans": ("Balanced groups", "Puts each customer with the nearest typical customer. Everyone gets a group."),
    "hierarchical": ("Family tree", "Joins the most alike customers step by step. Good for groups inside groups."),
    "hdbscan": ("Dense crowds", "Finds crowds and leaves loners out. Good for spotting odd customers."),
    "mixture": ("Overlapping groups", "Lets groups overlap and says how surely each customer belongs to one."),
    "tiers": ("Levels of spend", "Ranks customers by what they spend and cuts the list at round shares."),
}

SEVERITY: dict[Severity, tuple[str, Tone]] = {
    "info": ("Handled", "good"),
    "warning": ("Worth a look", "warn"),
    "problem": ("Needs a fix", "bad"),
}

HEALTH: dict[HealthVerdict, tuple[str, Tone]] = {
    "enough": ("Good enough for segments", "good"),
    "limited": ("Usable, with limits", "warn"),
    "insufficient": ("Not enough yet", "bad"),
}

VERDICT: dict[str, tuple[str, Tone]] = {
    "separate": ("Clearly separate groups", "good"),
    "spectrum": ("One continuous range, cut in useful places", "info"),
    "none": ("No groups that hold", "warn"),
}

VERDICT_MEANING: dict[str, str] = {
    "separate": "There are real gaps between these groups: customers in one are unlike customers in the next.",
    "spectrum": (
        "There are no gaps between these groups: customers shade into one another. The borders are convenient cuts, "
        "and nearly the same cuts come out each time we check. Use them to plan, but do not read much into which "
        "side of a border a single customer falls."
    ),
    "none": (
        "We found no grouping that comes out the same when we check it again, so we do not sell you one. "
        "Ranking customers by what they spend is the honest choice here."
    ),
}


VERDICT_ADVICE: dict[str, str] = {
    "separate": "You can treat each group as its own kind of customer.",
    "spectrum": "Good for planning; do not read much into which side of a border one customer falls.",
    "none": "Use levels of spend instead.",
}


@dataclass(frozen=True, slots=True)
class Steadiness:
    """How surely a group comes out again: a word, dots of five, and whether to warn."""

    word: str
    dots: int
    warn: bool


def steadiness(stability: Estimate | None) -> Steadiness:
    """Words for a group's bootstrap Jaccard, on Hennig's usual cut-offs (.85 highly stable, .75 stable, .6 pattern).

    Example:
        >>> steadiness(Estimate(0.9, 0.8, 0.95)).word, steadiness(None).word
        ('Very steady', 'Not checked')
    """
    if stability is None or math.isnan(stability.value):
        return Steadiness("Not checked", 0, False)
    for least, word, dots in ((0.85, "Very steady", 5), (0.75, "Steady", 4), (0.6, "Fairly steady", 3)):
        if stability.value >= least:
            return Steadiness(word, dots, False)
    return Steadiness("Shaky, check by hand", 2 if stability.value >= 0.4 else 1, True)


def letter(position: int) -> str:
    """Letter of the segment at a position: A … Z, then AA, AB …; the colour is never alone."""
    return LETTERS[position] if position < 26 else letter(position // 26 - 1) + LETTERS[position % 26]


def colour(position: int) -> str:
    """CSS class of a segment's colour. From the ninth on grey, and the letter tells them apart."""
    return f"c-{COLOURS[position]}" if 0 <= position < len(COLOURS) else "c-n"


def count_word(n: int) -> str:
    """Small counts in words: "Seven", 14."""
    small = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
    return small[n] if 0 <= n < len(small) else formats().number(n)


COUNTED: dict[str, tuple[str, str]] = {
    "account": nmark("%(n)s account", "%(n)s accounts"),
    "browser": nmark("%(n)s browser", "%(n)s browsers"),
    "column": nmark("%(n)s column", "%(n)s columns"),
    "comment": nmark("%(n)s comment", "%(n)s comments"),
    "condition": nmark("%(n)s condition", "%(n)s conditions"),
    "customer": nmark("%(n)s customer", "%(n)s customers"),
    "customer id": nmark("%(n)s customer id", "%(n)s customer ids"),
    "day": nmark("%(n)s day", "%(n)s days"),
    "delivery": nmark("%(n)s delivery", "%(n)s deliveries"),
    "earlier decision": nmark("%(n)s earlier decision", "%(n)s earlier decisions"),
    "earlier event": nmark("%(n)s earlier event", "%(n)s earlier events"),
    "earlier request": nmark("%(n)s earlier request", "%(n)s earlier requests"),
    "event": nmark("%(n)s event", "%(n)s events"),
    "finding": nmark("%(n)s finding", "%(n)s findings"),
    "finer slice": nmark("%(n)s finer slice", "%(n)s finer slices"),
    "group": nmark("%(n)s group", "%(n)s groups"),
    "grouping": nmark("%(n)s grouping", "%(n)s groupings"),
    "hour": nmark("%(n)s hour", "%(n)s hours"),
    "id": nmark("%(n)s id", "%(n)s ids"),
    "later row": nmark("%(n)s later row", "%(n)s later rows"),
    "member": nmark("%(n)s member", "%(n)s members"),
    "minute": nmark("%(n)s minute", "%(n)s minutes"),
    "month": nmark("%(n)s month", "%(n)s months"),
    "pair": nmark("%(n)s pair", "%(n)s pairs"),
    "person": nmark("%(n)s person", "%(n)s people"),
    "record": nmark("%(n)s record", "%(n)s records"),
    "request": nmark("%(n)s request", "%(n)s requests"),
    "row": nmark("%(n)s row", "%(n)s rows"),
    "run": nmark("%(n)s run", "%(n)s runs"),
    "second": nmark("%(n)s second", "%(n)s seconds"),
    "segment": nmark("%(n)s segment", "%(n)s segments"),
    "slice": nmark("%(n)s slice", "%(n)s slices"),
    "smaller one": nmark("%(n)s smaller one", "%(n)s smaller ones"),
    "stage": nmark("%(n)s stage", "%(n)s stages"),
    "version": nmark("%(n)s version", "%(n)s versions"),
    "visitor": nmark("%(n)s visitor", "%(n)s visitors"),
    "vote": nmark("%(n)s vote", "%(n)s votes"),
    "way": nmark("%(n)s way", "%(n)s ways"),
    "week": nmark("%(n)s week", "%(n)s weeks"),
}
"""What pages count, by the English word for one of it."""


def plural(n: int, one: str, many: str | None = None) -> str:
    """A count with its noun: "1 customer", "4,338 customers"; in another language where the noun is one of `COUNTED`.

    For a count that stands alone or begins a sentence. Inside a sentence other languages bend the noun: mark the whole
    sentence with `ngettext`.
    """
    forms = COUNTED.get(one, (f"%(n)s {one}", f"%(n)s {many or one + 's'}"))
    return ngettext(*forms, n, n=formats().number(n))


def one_in(share: float) -> str:
    """A share of people, as said aloud: "one customer in ten", "four in ten customers".

    Example:
        >>> one_in(0.104), one_in(0.16), one_in(0.42), one_in(0.004)
        ('one customer in ten', 'one customer in six', 'four customers in ten', 'fewer than one customer in a hundred')
    """
    if share < 0.01:
        return "fewer than one customer in a hundred"
    if share < 0.28:
        n = round(1 / share)
        return f"one customer in {count_word(n).lower() if n <= 12 else formats().number(n)}"
    if share >= 0.95:
        return "nearly all customers"
    return f"{count_word(round(share * 10)).lower()} customers in ten"


def part_of(share: float) -> str:
    """A share of money, as said aloud: "more than half", "nearly three quarters", "9%".

    Example:
        >>> part_of(0.55), part_of(0.73), part_of(0.5), part_of(0.09), part_of(0.33)
        ('more than half', 'nearly three quarters', 'half', '9%', 'a third')
    """
    for mark, word in PARTS:
        gap = share - mark
        if abs(gap) < 0.012:
            return word
        if 0 < gap < 0.075 and mark == 0.5:
            return f"more than {word}"
        if -0.03 < gap < 0:
            return f"nearly {word}"
        if 0 < gap < 0.035:
            return f"just over {word}"
    return formats().percent(share)


def headline(found: Segmentation) -> str:
    """The first finding of a segmentation, in one sentence.

    Says how much of revenue the group of highest value brings in; without revenue, how many groups there are.
    """
    if not found.segments:
        return "No grouping of your customers holds when we check it again"
    top = max(found.segments, key=lambda s: s.revenue_share or 0.0)
    if top.revenue_share and top.revenue_share > top.share:
        who = one_in(top.share)
        verb = "bring" if not who.startswith(("one", "fewer")) else "brings"
        return f"{who[0].upper()}{who[1:]} {verb} in {part_of(top.revenue_share)} of revenue"
    return f"{count_word(len(found.segments))} groups describe your customers"


def rule_words(rule: Rule | None, name: str) -> str:
    """How well a short rule says who is in a segment: both ways round, in hundreds."""
    if rule is None or not rule.text:
        return "No short rule describes this group well enough."
    return (
        f"Of 100 customers who meet this, {formats().number(rule.fidelity * 100)} are in {name}. "
        f"It finds {formats().number(rule.coverage * 100)} in 100 of the group."
    )


def holds(estimate: Estimate | None) -> str:
    """How often a grouping comes out again: "90 in 100"."""
    return formats().in_100(None if estimate is None else estimate.value)


def difference_words(difference: Difference, currency: str) -> str:
    """Typical member beside the typical customer: "£4,955 vs £674"."""
    member = formats().value(difference.value, difference.unit, currency)
    return f"{member} vs {formats().value(difference.average, difference.unit, currency)}"


def clear_cut(separation: float | None) -> str:
    """How clearly groups differ, from the silhouette-like figure."""
    if separation is None:
        return "not measured"
    for least, word in ((0.5, "very clearly"), (0.35, "clearly"), (0.2, "a little"), (-1.0, "hardly")):
        if separation >= least:
            return word
    return "hardly"


def easy(explainability: float | None) -> str:
    """Whether a short rule can say who is where."""
    if explainability is None:
        return "not measured"
    return "yes" if explainability >= 0.85 else "fairly" if explainability >= 0.7 else "hard"


def tried(found: Segmentation) -> str:
    """What was compared, in plain words: "We compared 34 groupings: 4 ways, 2 to 12 groups."."""
    if len(found.candidates) == 1:
        return "One grouping was looked at: the one that was asked for."
    ways = {c.algorithm for c in found.candidates}
    counts = [c.k for c in found.candidates if c.k > 0]
    if not counts:
        return "Nothing was compared."
    few, many = min(counts), max(counts)
    span = f"{few} to {many} groups" if few != many else plural(few, "group")
    return f"We compared {plural(len(found.candidates), 'grouping')}: {plural(len(ways), 'way')}, {span}."


def best_of(found: Segmentation, algorithm: Algorithm) -> Candidate | None:
    """The chosen candidate of a way, else its best: highest figure the choice was made on."""
    mine = [c for c in found.candidates if c.algorithm == algorithm]
    return max(mine, key=lambda c: (c.chosen, c.score if c.score is not None else -1.0), default=None)


def trend_words(segment: Segment) -> tuple[int | None, str]:
    """Change in size over the last step of the trend, and since when: (11, "since 11 Nov")."""
    if len(segment.trend) < 2:
        return None, ""
    before, now = segment.trend[-2], segment.trend[-1]
    return now.size - before.size, f"since {formats().date_of(before.at, year=False)}"


UNIT_HINTS: tuple[tuple[str, frozenset[str]], ...] = (
    ("share", frozenset({"share"})),
    ("days", frozenset({"days", "day"})),
    ("money", frozenset({"revenue", "spend", "price", "value", "amount"})),
)

FIELD_LABELS = {
    "customer": "Customer",
    "customer_id": "Customer",
    "order": "Order",
    "order_id": "Order",
    "orders": "Orders",
    "spend": "Spend",
    "order_value": "Typical order",
    "recency_days": "Last order",
    "gap_days": "Gap between orders",
}


def label_of(name: str, labels: dict[str, str] | None = None) -> str:
    """Plain label of a column: the feature's own, a known one, or the name with spaces."""
    known = (labels or {}).get(name) or FIELD_LABELS.get(name)
    return known or name.replace("_", " ").capitalize()


def unit_of(name: str, units: dict[str, str] | None = None) -> str:
    """Unit of a column that carries none: from the features shown elsewhere, else from its name."""
    if units and name in units:
        return units[name]
    parts = set(name.split("_"))
    for unit, hints in UNIT_HINTS:
        if parts & hints:
            return unit
    return "number"


def slice_name(piece: Segment, parent: Segment) -> str:
    """Name of a finer slice where its segment is named beside it: without repeating that."""
    name = piece.name.removeprefix(parent.name).lstrip(" ·:-")
    return name[:1].upper() + name[1:] if name else piece.name


def sentence(note: str) -> str:
    """A note as the end of a sentence: with a full stop, once."""
    return note if not note or note.endswith((".", "!", "?")) else f"{note}."


def dated(instant: str | None) -> str | None:
    """An instant if it is a date to show: a table without dates is known "since ever", which is instant 0."""
    return None if not instant or instant.startswith("1970-01-01") else instant
