"""A rule as a tree of frozen values: what a segment asks of one customer at one moment.

Text, the JSON of the rule builder and sentences in four languages are three spellings of this tree; `kohort.compile`
turns it into a relational expression and `kohort.testing` answers it one customer at a time. docs/rules.md lists every
form. Two trees are equal where they mean the same letter by letter; places in the text do not count.

**Operands** are values of a customer (a feature, a trait, an aggregate of events …); **rules** are true, false or
unknown for a customer. Event filters inside are `kohort.definitions.conditions`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from kohort.definitions.conditions import Operator, Value
from kohort.definitions.features import Aggregate, Selection, Step
from kohort.definitions.windows import Span, TimeUnit

Place = tuple[int, int]
"""Character offsets `(start, end)` of a node in the text it was read from; (0, 0) where it was not read from text."""

DatePartName = Literal["year", "month", "day", "weekday", "hour"]
Counted = Literal["at_least", "at_most", "exactly"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What every node has: its place in the text."""

    place: Place = field(default=(0, 0), compare=False, repr=False)


# Operands ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Named(Node):
    """A feature by its name, or a trait by its column `t_…` (the latest value that is not missing)."""

    name: str


@dataclass(frozen=True, slots=True)
class Measured(Node):
    """A value made from the customer's events.

    Written `count('page', …)`, `days_since('order_line', …)` (kind recency), `days_since_first(…)` (tenure), or
    `sum('order_line', …).amount` with sum, mean, min, max, distinct (kind count_distinct), first, last, mode and a
    property.
    """

    measure: Aggregate


@dataclass(frozen=True, slots=True)
class DaysUnchanged(Node):
    """Days since a trait last took another value: `days_unchanged(t_plan)`; told the same again changes nothing."""

    trait: str


@dataclass(frozen=True, slots=True)
class RandomBucket(Node):
    """A number from 0 up to but not including 100, the same for ever for one customer and one salt."""

    salt: str


@dataclass(frozen=True, slots=True)
class Score(Node):
    """A stored prediction: `churn.probability`, `churn.percentile`; `score('churn')` means its probability."""

    name: str


@dataclass(frozen=True, slots=True)
class Distance(Node):
    """Kilometres over the earth between a customer and a point, to the metre: `distance_km(t_lat, t_lon, 55.7, 12.6)`."""

    latitude: Operand
    longitude: Operand
    to_latitude: Decimal
    to_longitude: Decimal


@dataclass(frozen=True, slots=True)
class DatePart(Node):
    """A part of an instant's local date or time: `month(t_birthday)`; weekday is 1 = Monday to 7 = Sunday."""

    part: DatePartName
    of: Operand


@dataclass(frozen=True, slots=True)
class Now(Node):
    """The moment asked about, or one a length before (`ago('30 days')`) or after it (`ahead('30 days')`).

    Stays relative after saving. `length` None = `now()`.
    """

    direction: Literal["now", "ago", "ahead"] = "now"
    length: Span | None = None


@dataclass(frozen=True, slots=True)
class Exactly(Node):
    """Text whose large and small letters differ in comparisons: `exactly(t_code) = 'aB'`."""

    of: Operand


@dataclass(frozen=True, slots=True)
class Item(Node):
    """One item of a list, counted from 1: `t_tags[1]`; missing where the list is shorter."""

    of: Operand
    index: int


@dataclass(frozen=True, slots=True)
class ItemCount(Node):
    """How many items a list has: `item_count(t_tags)`; 0 for a missing list."""

    of: Operand


Operand = (
    Named | Measured | DaysUnchanged | RandomBucket | Score | Distance | DatePart | Now | Exactly | Item | ItemCount
)

# Rules ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """`left op right`. A bare flag is `= true`. A list equals a text where any of its items does; `!=`: none does."""

    left: Operand
    op: Operator
    right: Operand | Value


@dataclass(frozen=True, slots=True)
class Among(Node):
    """`operand [not] in (values)`."""

    of: Operand
    values: tuple[Value, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Missing(Node):
    """`operand is [not] null`; empty text and an empty list are missing."""

    of: Operand
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Like(Node):
    """`operand [not] like pattern`: starts with, ends with or contains `text`; of a list, any item does."""

    of: Operand
    where: Literal["start", "end", "anywhere"]
    text: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class HasItems(Node):
    """`has_any(list, …)`, `has_all(list, …)`, `has_none(list, …)`; has_none is true for a missing list."""

    of: Operand
    how: Literal["any", "all", "none"]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Did(Node):
    """How often something happened: `did(event[, filter][, at_least|at_most|exactly => n][, within|between => …])`.

    `did(e)` is at_least 1, `never(e)` is exactly 0. `more_than => n` is read as at_least n + 1 and `fewer_than => n`
    as at_most n − 1. A customer without any such event counts as 0.
    """

    selection: Selection
    counted: Counted = "at_least"
    times: int = 1


@dataclass(frozen=True, slots=True)
class FirstTime(Node):
    """The first one ever lies in the window: `first_time(event[, filter], within|between => …)`."""

    selection: Selection


@dataclass(frozen=True, slots=True)
class Stopped(Node):
    """Did in the outer window, not in the recent one: `stopped(e[, filter], within => '1 year', recent => '90 days')`."""

    step: Step
    within: Span
    recent: Span


@dataclass(frozen=True, slots=True)
class Restarted(Node):
    """Did recently, was silent in the rest of the outer window, was active before it. Arguments as `stopped`."""

    step: Step
    within: Span
    recent: Span


@dataclass(frozen=True, slots=True)
class InPeriods(Node):
    """Did in at least k of the last n complete periods: `in_periods(e[, filter], at_least => 3, of => 6, period => 'month')`.

    Periods are local days, ISO weeks, months or years; the one that contains the moment asked about is not complete.
    """

    step: Step
    at_least: int
    of: int
    period: TimeUnit  # day, week, month or year


@dataclass(frozen=True, slots=True)
class Follows(Node):
    """`sequence(did(a, …), did(b, …), within => T)`: some b strictly after some a and at most T later.

    Negated, `sequence(did(a, …), never(b, …), within => T)`: for some a, T has passed and no b came in it. A window
    is written in the first step. Both events of the positive form lie in it; the negated form looks for b after a
    wherever a's window ends.
    """

    first: Selection
    then: Step
    within: Span
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InSegment(Node):
    """Member of another segment at the same moment: `in_segment('vip')`, `in_segment('value', 'gold')`."""

    name: str
    key: str = ""  # which part of a definition with several; empty = any of them


@dataclass(frozen=True, slots=True)
class Not(Node):
    item: Rule


@dataclass(frozen=True, slots=True)
class AllOf(Node):
    """Every item is true. Two items at least."""

    items: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class AnyOf(Node):
    """At least one item is true. Two items at least."""

    items: tuple[Rule, ...]


Leaf = (
    Compare
    | Among
    | Missing
    | Like
    | HasItems
    | Did
    | FirstTime
    | Stopped
    | Restarted
    | InPeriods
    | Follows
    | InSegment
)
Rule = Leaf | Not | AllOf | AnyOf
