"""Segment definitions → one expression that places every customer in at most one part of each definition.

The order of decisions is that of docs/semantics.md: rules, the first part that is true, what keeps a customer where she
stands, what people decided by hand, consent. Codes are small whole numbers inside, since a hundred definitions of a
million customers would otherwise be mostly text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import ibis

from kohort.compile.clock import Edge, FixedClock, Instant, on
from kohort.compile.conditions import Scope, is_present
from kohort.compile.features import CUSTOMER, check_moment, visible_events
from kohort.compile.operands import PERSON, random_number
from kohort.compile.plan import Plan
from kohort.compile.rules import Rules
from kohort.compile.side import ByHand, Standing
from kohort.compile.tables import build
from kohort.compile.values import Value
from kohort.definitions.columns import vocabulary
from kohort.definitions.features import Aggregate, FeatureDefinition, Selection
from kohort.definitions.rules.tree import InSegment
from kohort.definitions.segments import SegmentDefinition, SegmentSettings, asked_segments, remembers
from kohort.definitions.windows import Span
from kohort.errors import RefusedDefinition
from kohort.model.event import ColumnType

REASONS = ("rule", "keep", "minimum stay", "not allowed yet", "by hand", "random")
"""Why somebody is in a part; their places are the reason codes."""

_RULE, _KEEP, _MINIMUM_STAY, _NOT_ALLOWED, _BY_HAND, _RANDOM = range(len(REASONS))
MOST_LEVELS = 20
"""Segments in segments in segments: each level is one more query inside the query."""

NOBODY = -1
"""The code of no part."""


@dataclass(frozen=True, slots=True)
class CompiledSegments:
    """What a set of definitions says of every customer with a visible event.

    Attributes:
        definitions: Those that are evaluated, in the order given; paused ones are not among them. `i` is a place here.
        codes: `_customer`, then for definition i `s{i}` (place of the part, -1 = none), `r{i}` (place in REASONS, -1),
            `x{i}` where it has a purpose (left out for want of consent). Of accounts only `u{i}`: meets the rule.
        expr: The same with `s{i}` the key of the part and `r{i}` the words of the reason, null for nobody.
        pairs: `_customer`, `account`: who belongs to which accounts; None without definitions of accounts.
        accounts: `account`, `users`, then `u{i}`: how many of them meet the rule; None likewise.
        plain: Definitions (i) whose members are there by rule or by chance alone, so that `r{i}` follows from `s{i}`.
    """

    definitions: tuple[SegmentDefinition, ...]
    codes: Any
    expr: Any
    pairs: Any | None
    accounts: Any | None
    plain: frozenset[int]


def compile_segments(
    definitions: Rows[SegmentDefinition],
    *,
    features: Rows[FeatureDefinition],
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
    columns: Mapping[str, ColumnType] | None = None,
    settings: SegmentSettings | None = None,
    key: bytes,
    customers: Rows[int] | None = None,
    by_hand: Collection[str] | None = None,
    standing: Collection[str] | None = None,
) -> CompiledSegments:
    """Compile definitions for one moment, over the relations `events`, `by_hand` and `standing`.

    Args:
        definitions: Checked. A definition that others ask for is evaluated first; one that is not here, or paused, is
            answered from `standing`.
        features: What rules may name.
        as_of: Nothing later is visible, microseconds UTC.
        zone: The workspace's; features follow it, definitions may have their own.
        currency: Says how many minor units make one major unit.
        columns: Declared columns of the log (`p_…`, `t_…`).
        settings: Consent and accounts of the workspace.
        key: The workspace's key of random buckets.
        customers: Only these; None = everybody.
        by_hand: Definitions with rows in `by_hand`; the relation is not read for others. None = any may have some.
        standing: Likewise for `standing`.

    Raises:
        RefusedDefinition: Definitions ask for each other in a circle, or for a consent nobody declared.
        BadInput: `as_of` lies outside the years 1900 to 2999.
    """
    check_moment(as_of)
    declared = dict(columns or {})
    evaluated = tuple(d for d in definitions if not d.paused)
    asked = Asked(evaluated, {f.name: f for f in features}, settings or SegmentSettings(), key)
    plan = Plan(Scope(vocabulary(declared), currency, zone), FixedClock(as_of))
    program = Program(asked, plan, ByHand(by_hand), Standing(standing))
    return program.compiled(visible_events(declared, as_of, customers, visitors=program.visitors))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a program is made from."""

    definitions: tuple[SegmentDefinition, ...]
    features: Mapping[str, FeatureDefinition]
    settings: SegmentSettings
    key: bytes


class Program:
    """Definitions, read: what they need is registered with the plan, and they can be placed over its stages."""

    def __init__(self, asked: Asked, plan: Plan, by_hand: ByHand, standing: Standing) -> None:
        self.definitions, self.key, self.settings = asked.definitions, asked.key, asked.settings
        self.visitors = any(d.include_anonymous for d in self.definitions)
        self._guarded = self.visitors
        self.plan, self.by_hand, self.standing = plan, by_hand, standing
        self.place = {d.name: i for i, d in enumerate(self.definitions)}
        self.rules = Rules(plan, asked.features, asked.key, self._in_segment)
        self.parts = {i: self._read(d) for i, d in enumerate(self.definitions)}
        self.consent = {d.purpose: self._agreed(d.purpose) for d in self.definitions if d.purpose}
        for purpose in self.consent:
            by_hand.need_consent(purpose)

    # Reading ---------------------------------------------------------------------------------------------------------

    def _read(self, definition: SegmentDefinition) -> list[tuple[Value | None, Value | None]]:
        """Rule and keep of every part; what the placement needs of the side relations is registered too."""
        if definition.kind != "accounts":
            self.by_hand.need(definition)
            if remembers(definition):
                self.standing.need(definition.name)
        for part in definition.parts:
            if part.minimum_stay is not None:
                self._since(part.minimum_stay, definition)
        return [
            tuple(self.rules.read(text.rule, definition.zone) if text else None for text in (p.rule, p.keep))  # type: ignore[misc]
            for p in definition.parts
        ]

    def _in_segment(self, asked: InSegment) -> Value:
        i = self.place.get(asked.name)
        if i is None:
            return self.standing.inside(asked.name, asked.key)
        definition = self.definitions[i]
        if definition.kind == "accounts":
            raise RefusedDefinition(
                f"The members of {asked.name!r} are accounts, so no customer is in it.", text=asked.name
            )
        if not asked.key:
            return lambda t: t[f"s{i}"] > NOBODY
        codes = [n for n, part in enumerate(definition.parts) if part.key == asked.key]
        return lambda t: t[f"s{i}"].isin(codes) if codes else ibis.literal(False)

    def _agreed(self, purpose: str) -> Value:
        trait = dict(self.settings.consent).get(purpose)
        if trait is None:
            raise RefusedDefinition(
                f"Nothing says who agreed to {purpose!r}.", text=purpose, hint="Name the trait below `consent:`."
            )
        if self.plan.scope.never_declared(trait):
            return lambda _: ibis.literal(False)
        check_type(self.plan.scope, trait, "flag", "a consent is yes or no")
        agreed = self.plan.picked("last", trait, Selection())
        return lambda t: ibis.coalesce(agreed(t), ibis.literal(False)) & ~self.by_hand.withheld(t, purpose)

    # Placing ---------------------------------------------------------------------------------------------------------

    def placed(self, joined: Any, *, person: str = "customer") -> Any:
        """The joined stages of the plan with what every definition says: for definition i `s{i}`, `r{i}`, `x{i}`.

        `person`: the column that says who somebody is, where `customer` is the number of a moment.
        """
        # Over everybody the events of visitors are left out unless a definition includes them; a pair may be anybody's.
        self._guarded = self.visitors or person != "customer"
        table = self.standing.join(self.by_hand.join(joined))
        table = self.rules.operands.stage(table.mutate(**{PERSON: table[person], CUSTOMER: table.customer}))
        table = table.mutate(**{f"w_{n}": agreed(table) for n, agreed in enumerate(self.consent.values())})
        for level in in_order(self.definitions):
            table = self._placed(table, level)
        return table

    def compiled(self, visible: Any) -> CompiledSegments:
        table = self.placed(build(self.plan, visible))
        asked = any(d.kind == "accounts" for d in self.definitions)
        users = visible.filter(visible.customer > 0) if self.visitors else visible
        pairs = account_pairs(self.plan, self.settings.accounts, users) if asked else None
        expr = table.select(CUSTOMER, *self.columns(table, words=True))
        codes = table.select(CUSTOMER, *self.columns(table, words=False))
        accounts = None if pairs is None else self._accounts(pairs, expr)
        return CompiledSegments(self.definitions, codes, expr, pairs, accounts, frozenset(self.plain()))

    def plain(self) -> dict[int, int]:
        """Definitions of customers whose members are all there by rule, or all by chance → the code of that reason."""
        own = {i: d for i, d in enumerate(self.definitions) if d.kind != "accounts"}
        return {i: self._first_reason(i) for i, d in own.items() if not self._told(d.name)}

    def _told(self, name: str) -> bool:
        """Whether a relation beside the events can say anything of a definition."""
        return self.by_hand.has(name) or self.standing.has(name)

    def columns(self, table: Any, *, words: bool) -> Iterator[Any]:
        for i, definition in enumerate(self.definitions):
            if definition.kind == "accounts":
                yield table[f"u{i}"]
                continue
            keys = [p.key for p in definition.parts]
            for name, code, shown in ((f"s{i}", table[f"s{i}"], keys), (f"r{i}", self._reason(table, i), REASONS)):
                yield (_word(code, shown) if words else code).name(name)
            if definition.purpose:
                yield table[f"x{i}"]

    def _reason(self, table: Any, i: int) -> Any:
        """Where only rules and chance can place anybody, the reason follows from the part."""
        if self._told(self.definitions[i].name):
            return table[f"r{i}"]
        return (table[f"s{i}"] > NOBODY).ifelse(_code(self._first_reason(i)), _code(NOBODY))

    def _first_reason(self, i: int) -> int:
        return _RANDOM if self.definitions[i].kind == "buckets" else _RULE

    def _placed(self, table: Any, level: Rows[int]) -> Any:
        """The table with the placement in some definitions that do not ask for each other.

        Engines repeat what is written twice, so the candidate becomes a column where more than its value is needed.
        """
        accounts = {i for i in level if self.definitions[i].kind == "accounts"}
        further = [i for i in level if i not in accounts and self._is_decided_further(i)]
        found = {f"u{i}": self._among(table, i, _true(self._rule(i, 0)(table)), False) for i in sorted(accounts)}
        for i in level:
            if i not in accounts:
                found[f"{'candidate' if i in further else 's'}{i}"] = self._candidate(table, i)
        table = table.mutate(**found)
        if not further:
            return table
        final: dict[str, Any] = {}
        for i in further:
            final |= self._final(table, i)
        return table.mutate(**final).drop(*(f"candidate{i}" for i in further))

    def _is_decided_further(self, i: int) -> bool:
        definition = self.definitions[i]
        return bool(definition.purpose) or self._told(definition.name)

    def _rule(self, i: int, j: int) -> Value:
        rule = self.parts[i][j][0]
        return (lambda _: ibis.literal(False)) if rule is None else rule

    def _candidate(self, table: Any, i: int) -> Any:
        """The part that rules or chance choose, and nobody has taken the customer out of."""
        definition = self.definitions[i]
        chosen: list[tuple[Any, Any]] = []
        for j in range(len(definition.parts)):
            removed = self.by_hand.removed(table, definition, j)
            if definition.kind == "buckets":
                here = removed.ifelse(_code(NOBODY), _code(j))
                chosen.append((self._in_share(table, definition, j), here))
            else:
                chosen.append((_true(self._rule(i, j)(table)) & ~removed, _code(j)))
        return self._among(table, i, ibis.cases(*chosen, else_=_code(NOBODY)), _code(NOBODY))

    def _among(self, table: Any, i: int, found: Any, nobody: Any) -> Any:
        """L7, M10: what is found of customers, of visitors only where the definition includes them, of nobody who forbids it."""
        definition = self.definitions[i]
        customers = self._guarded and not definition.include_anonymous
        forbidden = self.by_hand.forbidden(table, definition)
        if customers and forbidden is not None:
            return ((table[PERSON] > 0) & ~forbidden).ifelse(found, nobody)
        if customers:
            return (table[PERSON] > 0).ifelse(found, nobody)
        return found if forbidden is None else forbidden.ifelse(nobody, found)

    def _in_share(self, table: Any, definition: SegmentDefinition, j: int) -> Any:
        """Whether the random number is below the shares of this part and those before it."""
        limit = sum((p.share or 0 for p in definition.parts[: j + 1]), start=Decimal(0))
        return random_number(definition.salt or definition.name, self.key)(table) < float(limit)

    def _final(self, table: Any, i: int) -> dict[str, Any]:
        """The part and the reason, from the strongest decision to the weakest."""
        definition, candidate = self.definitions[i], table[f"candidate{i}"]
        added = [(put_in, j, _BY_HAND) for j, put_in in self.by_hand.added(table, definition)]
        decided = [*added, *self._stays(table, i), (candidate > NOBODY, None, self._first_reason(i))]
        part = ibis.cases(*((why, candidate if j is None else _code(j)) for why, j, _ in decided), else_=_code(NOBODY))
        reason = ibis.cases(*((why, _code(code)) for why, _, code in decided), else_=_code(NOBODY))
        part, reason = (self._among(table, i, found, _code(NOBODY)) for found in (part, reason))
        if not definition.purpose:
            return {f"s{i}": part, f"r{i}": reason}
        agreed = table[f"w_{list(self.consent).index(definition.purpose)}"]
        return {
            f"s{i}": agreed.ifelse(part, _code(NOBODY)),
            f"r{i}": agreed.ifelse(reason, _code(NOBODY)),
            f"x{i}": ~agreed & (part > NOBODY),
        }

    def _stays(self, table: Any, i: int) -> Iterator[tuple[Any, int, int]]:
        """What keeps a customer in the part she stands in: the condition, the part, the reason; strongest first."""
        definition, candidate = self.definitions[i], table[f"candidate{i}"]
        if not self.standing.has(definition.name):
            return
        for j, part in enumerate(definition.parts):
            stands = self.standing.stands(table, definition.name, part.key)
            here = stands & (candidate != j) & ~self.by_hand.removed(table, definition, j)
            if part.minimum_stay is not None:
                recent = self.standing.since(table, definition.name) > self._ago(part.minimum_stay, table, definition)
                yield here & recent, j, _MINIMUM_STAY
            if part.keep is not None:
                lower = (candidate == NOBODY) | (candidate > j)
                yield here & lower & _true(self._keep(i, j)(table)), j, _KEEP
            if definition.kind == "stages" and part.then:
                allowed = [n for n, p in enumerate(definition.parts) if p.key in part.then]
                yield here & (candidate > NOBODY) & ~candidate.isin(allowed), j, _NOT_ALLOWED

    def _keep(self, i: int, j: int) -> Value:
        keep = self.parts[i][j][1]
        assert keep is not None
        return keep

    def _ago(self, span: Span, table: Any, definition: SegmentDefinition) -> Any:
        return on(table, self._since(span, definition))

    def _since(self, span: Span, definition: SegmentDefinition) -> Instant:
        return self.plan.clock.at(Edge("ago", span, definition.zone or self.plan.scope.zone))

    def _accounts(self, pairs: Any, expr: Any) -> Any:
        asked = [f"u{i}" for i, d in enumerate(self.definitions) if d.kind == "accounts"]
        joined = pairs.join(expr.select(CUSTOMER, *asked), CUSTOMER)
        return joined.group_by("account").agg(
            users=joined.count(), **{name: joined.count(where=joined[name]) for name in asked}
        )


def account_pairs(plan: Plan, name: str, visible: Any) -> Any:
    """Who belongs to which accounts: the latest value of a trait, or every value of a property."""
    if not name or plan.scope.never_declared(name):
        return visible.select(**{CUSTOMER: visible.customer}, account=ibis.null("string")).filter(ibis.literal(False))
    check_type(plan.scope, name, "text", "an account is told by its name")
    if name.startswith("t_"):
        own = Plan(plan.scope, plan.clock)
        account = own.measure(Aggregate("last", name, Selection()))
        joined = build(own, visible)
        rows = joined.select(**{CUSTOMER: joined.customer}, account=account(joined))
        return rows.filter(rows.account.notnull())
    rows = visible.select(**{CUSTOMER: visible.customer}, account=visible[name])
    return rows.filter(is_present(rows.account)).distinct()


def check_type(scope: Scope, name: str, wanted: ColumnType, why: str) -> None:
    """Refuse a column below `consent:` or `accounts:` that the data has with another type.

    Raises:
        RefusedDefinition: It has.
    """
    found = scope.column(name).type
    if found != wanted:
        hint = f"Declare it as {wanted} below `sources:`."
        raise RefusedDefinition(
            f"{name!r} holds values of type {found}; {why}.", text=name, hint=hint, code="wrong_type"
        )


def in_order(definitions: Rows[SegmentDefinition]) -> list[list[int]]:
    """The definitions in levels: each asks only for those of earlier levels.

    Raises:
        RefusedDefinition: Some ask for each other in a circle, or too many in a row.
    """
    there = {d.name for d in definitions}
    asked = {d.name: {name for name, _ in asked_segments(d)} & there for d in definitions}
    done: set[str] = set()
    levels: list[list[int]] = []
    while len(done) < len(definitions):
        ready = [i for i, d in enumerate(definitions) if d.name not in done and asked[d.name] <= done]
        if not ready:
            names = ", ".join(sorted(set(asked) - done))
            raise RefusedDefinition(f"These segments ask for each other in a circle: {names}.", code="cyclic_reference")
        levels.append(ready)
        if len(levels) > MOST_LEVELS:
            name = definitions[ready[0]].name
            raise RefusedDefinition(
                f"{name!r} is more than {MOST_LEVELS} segments away from events.",
                text=name,
                hint="Let it ask about events, or about a segment nearer to them.",
                code="too_deep",
            )
        done |= {definitions[i].name for i in ready}
    return levels


def _true(answer: Any) -> Any:
    """L1: unknown is not a member."""
    return ibis.coalesce(answer, ibis.literal(False))


def _code(number: int) -> Any:
    return ibis.literal(number, "int8" if number < 128 else "int32")


def _word(code: Any, words: Rows[str]) -> Any:
    return code.cases(*enumerate(words), else_=ibis.null("string"))
