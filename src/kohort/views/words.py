"""Plain words for what the numbers say. A marketer never reads the name of a method or a statistic.

Every function turns model values into one sentence or one word; templates and charts only place them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from kohort.locale import current, find, gettext, mark, ngettext, nmark
from kohort.model.health import HealthVerdict, Severity
from kohort.model.segmentation import Algorithm, Candidate, Difference, Estimate, Rule, Segment, Segmentation
from kohort.views.formats import formats

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
COLOURS = "abcdefgh"
PARTS = (
    (0.9, mark("nine tenths")),
    (0.75, mark("three quarters")),
    (2 / 3, mark("two thirds")),
    (0.5, mark("half")),
    (1 / 3, mark("a third")),
    (0.25, mark("a quarter")),
)
Tone = Literal["good", "warn", "bad", "info", ""]

ALGORITHMS: dict[Algorithm, tuple[str, str]] = {
    "kmeans": (
        mark("Balanced groups"),
        mark("Puts each customer with the nearest typical customer. Everyone gets a group."),
    ),
    "hierarchical": (
        mark("Family tree"),
        mark("Joins the most alike customers step by step. Good for groups inside groups."),
    ),
    "hdbscan": (mark("Dense crowds"), mark("Finds crowds and leaves loners out. Good for spotting odd customers.")),
    "mixture": (
        mark("Overlapping groups"),
        mark("Lets groups overlap and says how surely each customer belongs to one."),
    ),
    "tiers": (mark("Levels of spend"), mark("Ranks customers by what they spend and cuts the list at round shares.")),
}

SEVERITY: dict[Severity, tuple[str, Tone]] = {
    "info": (mark("Handled"), "good"),
    "warning": (mark("Worth a look"), "warn"),
    "problem": (mark("Needs a fix"), "bad"),
}

HEALTH: dict[HealthVerdict, tuple[str, Tone]] = {
    "enough": (mark("Good enough for segments"), "good"),
    "limited": (mark("Usable, with limits"), "warn"),
    "insufficient": (mark("Not enough yet"), "bad"),
}

VERDICT: dict[str, tuple[str, Tone]] = {
    "separate": (mark("Clearly separate groups"), "good"),
    "spectrum": (mark("One continuous range, cut in useful places"), "info"),
    "none": (mark("No groups that hold"), "warn"),
}

VERDICT_MEANING: dict[str, str] = {
    "separate": mark("There are real gaps between these groups: customers in one are unlike customers in the next."),
    "spectrum": mark(
        "There are no gaps between these groups: customers shade into one another. The borders are convenient cuts, "
        "and nearly the same cuts come out each time we check. Use them to plan, but do not read much into which "
        "side of a border a single customer falls."
    ),
    "none": mark(
        "We found no grouping that comes out the same when we check it again, so we do not sell you one. "
        "Ranking customers by what they spend is the honest choice here."
    ),
}


VERDICT_ADVICE: dict[str, str] = {
    "separate": mark("You can treat each group as its own kind of customer."),
    "spectrum": mark("Good for planning; do not read much into which side of a border one customer falls."),
    "none": mark("Use levels of spend instead."),
}


STEADY = (
    (0.85, mark("Very steady"), 5),
    (0.75, mark("Steady"), 4),
    (0.6, mark("Fairly steady"), 3),
)

CLEAR_CUT = ((0.5, mark("very clearly")), (0.35, mark("clearly")), (0.2, mark("a little")))


def told(said: tuple[str, Tone]) -> tuple[str, Tone]:
    """A word with its tone, such as one of `VERDICT`, in the reader's language."""
    return find(said[0]), said[1]


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
        return Steadiness(gettext("Not checked"), 0, False)
    for least, word, dots in STEADY:
        if stability.value >= least:
            return Steadiness(find(word), dots, False)
    return Steadiness(gettext("Shaky, check by hand"), 2 if stability.value >= 0.4 else 1, True)


def letter(position: int) -> str:
    """Letter of the segment at a position: A … Z, then AA, AB …; the colour is never alone."""
    return LETTERS[position] if position < 26 else letter(position // 26 - 1) + LETTERS[position % 26]


def colour(position: int) -> str:
    """CSS class of a segment's colour. From the ninth on grey, and the letter tells them apart."""
    return f"c-{COLOURS[position]}" if 0 <= position < len(COLOURS) else "c-n"


def count_word(n: int) -> str:
    """Small counts in words: "Seven", 14."""
    # One message: "No" by itself is an answer elsewhere, and another word in other languages.
    small = gettext("No One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve").split()
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


ONE_IN = 0.28
"""Below this share people say "one customer in four", from there on "three customers in ten"."""


def one_in(share: float) -> str:
    """A share of people, as said aloud: "one customer in ten", "four in ten customers".

    Example:
        >>> one_in(0.104), one_in(0.16), one_in(0.42), one_in(0.004)
        ('one customer in ten', 'one customer in six', 'four customers in ten', 'fewer than one customer in a hundred')
    """
    if share < 0.01:
        return gettext("fewer than one customer in a hundred")
    if share < ONE_IN:
        n = round(1 / share)
        return gettext("one customer in %(n)s", n=count_word(n).lower() if n <= 12 else formats().number(n))
    if share >= 0.95:
        return gettext("nearly all customers")
    return gettext("%(n)s customers in ten", n=count_word(round(share * 10)).lower())


def part_of(share: float) -> str:
    """A share of money, as said aloud: "more than half", "nearly three quarters", "9%".

    Example:
        >>> part_of(0.55), part_of(0.73), part_of(0.5), part_of(0.09), part_of(0.33)
        ('more than half', 'nearly three quarters', 'half', '9%', 'a third')
    """
    for size, said in PARTS:
        gap, part = share - size, find(said)
        if abs(gap) < 0.012:
            return part
        if 0 < gap < 0.075 and size == 0.5:
            return gettext("more than %(part)s", part=part)
        if -0.03 < gap < 0:
            return gettext("nearly %(part)s", part=part)
        if 0 < gap < 0.035:
            return gettext("just over %(part)s", part=part)
    return formats().percent(share)


def headline(found: Segmentation) -> str:
    """The first finding of a segmentation, in one sentence.

    Says how much of revenue the group of highest value brings in; without revenue, how many groups there are.
    """
    if not found.segments:
        return gettext("No grouping of your customers holds when we check it again")
    top = max(found.segments, key=lambda s: s.revenue_share or 0.0)
    if top.revenue_share and top.revenue_share > top.share:
        who = one_in(top.share)
        values = {"who": f"{who[0].upper()}{who[1:]}", "part": part_of(top.revenue_share)}
        if top.share < ONE_IN:
            return gettext("%(who)s brings in %(part)s of revenue", **values)
        return gettext("%(who)s bring in %(part)s of revenue", **values)
    count = len(found.segments)
    return ngettext(
        "%(n)s group describes your customers", "%(n)s groups describe your customers", count, n=count_word(count)
    )


def rule_words(rule: Rule | None, name: str) -> str:
    """How well a short rule says who is in a segment: both ways round, in hundreds."""
    if rule is None or not rule.text:
        return gettext("No short rule describes this group well enough.")
    return gettext(
        "Of 100 customers who meet this, %(inside)s are in %(name)s. It finds %(found)s in 100 of the group.",
        inside=formats().number(rule.fidelity * 100),
        name=name,
        found=formats().number(rule.coverage * 100),
    )


def holds(estimate: Estimate | None) -> str:
    """How often a grouping comes out again: "90 in 100"."""
    return formats().in_100(None if estimate is None else estimate.value)


def difference_words(difference: Difference, currency: str) -> str:
    """Typical member beside the typical customer: "£4,955 vs £674"."""
    member = formats().value(difference.value, difference.unit, currency)
    average = formats().value(difference.average, difference.unit, currency)
    return gettext("%(value)s vs %(average)s", value=member, average=average)


def differs(difference: Difference, currency: str) -> str:
    """How the typical member differs, in the reader's language where its figures say the same: "7.7 times", "19 days instead of 95"."""
    told, value, usual = difference.text, difference.value, difference.average
    if current.get() == "en" or not isinstance(value, int | float) or not isinstance(usual, int | float):
        return told
    if " instead of " in told:
        here, there = (formats().value(one, difference.unit, currency) for one in (value, usual))
        return gettext("%(value)s instead of %(usual)s", value=here, usual=there)
    if times := re.fullmatch(r"(\d+(?:\.\d+)?) times", told):
        return gettext("%(n)s times as much", n=formats().compact(float(times[1])))
    return told


def clear_cut(separation: float | None) -> str:
    """How clearly groups differ, from the silhouette-like figure."""
    if separation is None:
        return gettext("not measured")
    for least, word in CLEAR_CUT:
        if separation >= least:
            return find(word)
    return gettext("hardly")


def easy(explainability: float | None) -> str:
    """Whether a short rule can say who is where."""
    if explainability is None:
        return gettext("not measured")
    if explainability >= 0.85:
        return formats().words["yes"]
    return gettext("fairly") if explainability >= 0.7 else gettext("hard")


def tried(found: Segmentation) -> str:
    """What was compared, in plain words: "We compared 34 groupings: 4 ways, 2 to 12 groups."."""
    if len(found.candidates) == 1:
        return gettext("One grouping was looked at: the one that was asked for.")
    ways = {c.algorithm for c in found.candidates}
    counts = [c.k for c in found.candidates if c.k > 0]
    if not counts:
        return gettext("Nothing was compared.")
    few, many = min(counts), max(counts)
    return gettext(
        "We compared %(groupings)s: %(ways)s, %(groups)s.",
        groupings=plural(len(found.candidates), "grouping"),
        ways=plural(len(ways), "way"),
        groups=gettext("%(few)s to %(many)s groups", few=few, many=many) if few != many else plural(few, "group"),
    )


def best_of(found: Segmentation, algorithm: Algorithm) -> Candidate | None:
    """The chosen candidate of a way, else its best: highest figure the choice was made on."""
    mine = [c for c in found.candidates if c.algorithm == algorithm]
    return max(mine, key=lambda c: (c.chosen, c.score if c.score is not None else -1.0), default=None)


def trend_words(segment: Segment) -> tuple[int | None, str]:
    """Change in size over the last step of the trend, and since when: (11, "since 11 Nov")."""
    if len(segment.trend) < 2:
        return None, ""
    before, now = segment.trend[-2], segment.trend[-1]
    return now.size - before.size, gettext("since %(day)s", day=formats().date_of(before.at, year=False))


UNIT_HINTS: tuple[tuple[str, frozenset[str]], ...] = (
    ("share", frozenset({"share"})),
    ("days", frozenset({"days", "day"})),
    ("money", frozenset({"revenue", "spend", "price", "value", "amount"})),
)

FIELD_LABELS = {
    "customer": mark("Customer"),
    "customer_id": mark("Customer"),
    "order": mark("Order"),
    "order_id": mark("Order"),
    "orders": mark("Orders"),
    "spend": mark("Spend"),
    "order_value": mark("Typical order"),
    "recency_days": mark("Last order"),
    "gap_days": mark("Gap between orders"),
}


def label_of(name: str, labels: dict[str, str] | None = None) -> str:
    """Plain label of a column: the feature's own, a known one, or the name with spaces."""
    known = (labels or {}).get(name) or find(FIELD_LABELS.get(name, ""))
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


def within(title: str) -> str:
    """What begins a sentence, to go on inside of one; German has the same capital there where the word is a noun.

    Example:
        >>> within("Customers over time")
        'customers over time'
    """
    return title if current.get() == "de" else title[:1].lower() + title[1:]


def sentence(note: str) -> str:
    """A note as the end of a sentence: with a full stop, once."""
    return note if not note or note.endswith((".", "!", "?")) else f"{note}."


def dated(instant: str | None) -> str | None:
    """An instant if it is a date to show: a table without dates is known "since ever", which is instant 0."""
    return None if not instant or instant.startswith("1970-01-01") else instant
