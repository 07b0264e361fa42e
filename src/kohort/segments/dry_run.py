"""What an edit would do before it is saved: who enters, who leaves, what else moves, and who would be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kohort.definitions import figures
from kohort.errors import KohortError
from kohort.locale import gettext
from kohort.model.clock import iso
from kohort.model.membership import Difference
from kohort.model.progress import Progress, silent
from kohort.segments.accounts import account_names, by_hand_accounts
from kohort.segments.definitions import checked
from kohort.segments.dependencies import dependants, with_needed
from kohort.segments.evaluate import (
    Evaluator,
    Found,
    Question,
    by_hand,
    duckdb_evaluator,
    evaluate_each,
    standing,
    unfit,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.segments import SegmentDefinition, SegmentSettings
    from kohort.store.store import Store

SAMPLED = 10
"""Members shown of those who would enter or leave a part. Pseudonyms are random, so the first ones are a fair sample."""


@dataclass(frozen=True, slots=True)
class PartChange:
    """Who would enter and leave one part; samples are pseudonyms, of accounts their names."""

    part: str
    size: int
    entering: int
    leaving: int
    entering_sample: tuple[int | str, ...]
    leaving_sample: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What an edit would do to one definition.

    Attributes:
        by_edit: Old definition against new one at the same moment: what the edit alone does.
        next_run: Stored members against the new definition: what the next run would record, time included.
        parts: Of `by_edit`; parts that only the old definition has come last.
        excluded_by_consent: Customers left out because they did not agree to its purpose.
        error: Why it cannot be evaluated; then it would keep its members.
    """

    name: str
    by_edit: Difference
    next_run: Difference
    parts: tuple[PartChange, ...]
    excluded_by_consent: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What saving an edit would lead to. Nothing was written.

    Attributes:
        as_of: The moment looked at.
        customers: In all.
        edited: The new or edited definition.
        dependants: Those that refer to it, nearest first.
        transitions: Entries and exits that the next run would record.
        consumers: Who takes transitions from the outbox (actions, exports).
        text: What follows, in one sentence.
    """

    as_of: int
    customers: int | None
    edited: Effect
    dependants: tuple[Effect, ...]
    transitions: int
    consumers: tuple[str, ...]
    text: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, the moment as ISO 8601 UTC."""
        return {**asdict(self), "as_of": iso(self.as_of)}


def dry_run(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    edited: SegmentDefinition,
    *,
    as_of: int,
    zone: str,
    currency: str,
    features: Sequence[FeatureDefinition],
    settings: SegmentSettings,
    threads: int | None = None,
    progress: Progress = silent,
) -> DryRun:
    """What would follow from saving a new or edited definition. Arguments as `run`; nothing is written.

    Raises:
        RefusedDefinition: It does not fit the others (see `checked`).
        WrongUsage: An adopted segmentation has its name.
    """
    snapshot = store.log.snapshot()
    question = Question(as_of, zone, currency, tuple(features), settings, threads, snapshot.columns)
    evaluate = duckdb_evaluator(store, snapshot, question, progress)
    return dry_run_with(evaluate, store, definitions, edited, question)


def dry_run_with(
    evaluate: Evaluator,
    store: Store,
    definitions: Sequence[SegmentDefinition],
    edited: SegmentDefinition,
    question: Question,
) -> DryRun:
    """The same with an evaluator of the caller's."""
    changed = checked(store, definitions, edited)
    touched = [edited.name, *dependants(changed, edited.name)]
    before = _members(evaluate, store, definitions, [d.name for d in definitions if d.name in touched], question)
    after = _members(evaluate, store, changed, touched, question)
    by_name = {d.name: d for d in changed}
    effects = [_effect(store, by_name[n], before, after) for n in touched if not by_name[n].paused]
    own = next((e for e in effects if e.name == edited.name), _untouched(edited.name))
    others = tuple(e for e in effects if e.name != edited.name)
    transitions = sum(e.next_run.entered + e.next_run.left + 2 * e.next_run.moved for e in effects)
    consumers = tuple(store.members.consumers())
    text = told(transitions, consumers, paused=edited.paused)
    return DryRun(question.as_of, after.universe, own, others, transitions, consumers, text)


def told(transitions: int, consumers: Sequence[str], *, paused: bool) -> str:
    """What follows, in one sentence.

    Example:
        >>> told(3, [], paused=False)
        'The next run records 3 entries and exits, marked as caused by the edit. Nothing takes them yet.'
    """
    if paused:
        return gettext("It is paused: its members stay as they are and nothing is recorded.")
    if not transitions:
        return gettext("Nobody enters or leaves.")
    recorded = gettext(
        "The next run records %(n)s entries and exits, marked as caused by the edit.", n=figures.number(transitions)
    )
    if not consumers:
        return " ".join([recorded, gettext("Nothing takes them yet.")])
    listen = gettext(
        "%(consumers)s will see them and, by default, do nothing for them.", consumers=", ".join(consumers)
    )
    return " ".join([recorded, listen])


def _members(
    evaluate: Evaluator,
    store: Store,
    definitions: Sequence[SegmentDefinition],
    names: Sequence[str],
    question: Question,
) -> Found:
    active = [d for d in with_needed(definitions, names) if not d.paused]
    if not active:
        return Found()
    return evaluate_each(
        evaluate,
        active,
        by_hand=by_hand(store, active),
        standing=standing(store, active, question.as_of),
        refused=unfit(store, definitions, active, question),
    )


def _effect(store: Store, definition: SegmentDefinition, before: Found, after: Found) -> Effect:
    name = definition.name
    if name not in after.answers:
        error = after.failed.get(name)
        said = (
            str(error) if isinstance(error, KohortError) else gettext("It, or what it refers to, cannot be evaluated.")
        )
        return _untouched(name, error=said)
    stored, new = _stored(store, definition), _rows(store, definition, after.rows(name))
    old = _rows(store, definition, before.rows(name)) if name in before.answers else stored
    moves = _joined(old, new)
    gone = sorted(set(old.column("segment").unique().to_pylist()) - {p.key for p in definition.parts})
    parts = tuple(_part(key, moves) for key in [*(p.key for p in definition.parts), *gone])
    return Effect(name, _difference(moves), _difference(_joined(stored, new)), parts, after.excluded.get(name, 0))


def _untouched(name: str, *, error: str = "") -> Effect:
    nothing = Difference(0, 0, 0, 0)
    return Effect(name, nothing, nothing, (), error=error)


def _rows(store: Store, definition: SegmentDefinition, placed: pa.Table) -> pa.Table:
    if definition.kind == "accounts":
        placed = by_hand_accounts(store, definition, placed).rename_columns({"account": "customer"})
    return placed.select(["customer", "segment"])


def _stored(store: Store, definition: SegmentDefinition) -> pa.Table:
    import pyarrow as pa

    accounts = definition.kind == "accounts"
    if definition.name not in store.members.names():
        key = pa.string() if accounts else pa.int64()
        return pa.table({"customer": pa.array([], key), "segment": pa.array([], pa.string())})
    stored = store.members.current(definition.name).select(["customer", "segment"])
    if not accounts:
        return stored
    names = pa.array(account_names(store, stored.column("customer").to_numpy()), pa.string())
    return stored.set_column(0, "customer", names)


def _joined(old: pa.Table, new: pa.Table) -> pa.Table:
    """customer, segment before, segment after; null = in none. Ordered by customer."""
    renamed = old.rename_columns(["customer", "before"]).join(
        new.rename_columns(["customer", "after"]), keys="customer", join_type="full outer"
    )
    return renamed.sort_by("customer")


def _difference(moves: pa.Table) -> Difference:
    import pyarrow.compute as pc

    before, after = moves.column("before"), moves.column("after")
    same = pc.sum(pc.equal(before, after)).as_py() or 0
    entered, left = before.null_count, after.null_count
    return Difference(entered, left, moves.num_rows - entered - left - same, same)


def _part(key: str, moves: pa.Table) -> PartChange:
    import pyarrow.compute as pc

    before = pc.fill_null(pc.equal(moves.column("before"), key), False)
    after = pc.fill_null(pc.equal(moves.column("after"), key), False)
    entering = moves.filter(pc.and_not(after, before)).column("customer")
    leaving = moves.filter(pc.and_not(before, after)).column("customer")
    return PartChange(
        key,
        size=pc.sum(after).as_py() or 0,
        entering=len(entering),
        leaving=len(leaving),
        entering_sample=tuple(entering.slice(0, SAMPLED).to_pylist()),
        leaving_sample=tuple(leaving.slice(0, SAMPLED).to_pylist()),
    )
