"""Evaluating definitions together: what they need beside the events, and which ones fail without harming the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

from kohort.definitions.features import check
from kohort.definitions.scores import score_names
from kohort.definitions.segments import remembers
from kohort.errors import Busy, Damaged, KohortError, MissingExtra, RefusedDefinition
from kohort.model.limits import MARKS
from kohort.segments.definitions import adopted_parts, taken
from kohort.segments.dependencies import refers_to, with_needed

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.segments import SegmentDefinition, SegmentSettings
    from kohort.engines.segments import Evaluated
    from kohort.model.event import ColumnType
    from kohort.model.feature import FeatureInfo
    from kohort.model.progress import Progress
    from kohort.model.snapshot import Snapshot
    from kohort.store.store import Store


class Evaluator(Protocol):
    """An engine that was told everything but the definitions."""

    def __call__(self, definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Evaluated:
        """Who is where. `definitions` come in order of evaluation, each after those it refers to."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What an evaluation is asked about, whatever the definitions.

    Attributes:
        as_of: Nothing later is visible, microseconds UTC.
        zone: The workspace's time zone.
        currency: Of the log's amounts.
        features: That rules may name.
        threads: None = the setting KOHORT_THREADS.
        columns: Declared columns of the log: `p_…`, `t_…`.
    """

    as_of: int
    zone: str
    currency: str
    features: tuple[FeatureDefinition, ...]
    settings: SegmentSettings
    threads: int | None = None
    columns: Mapping[str, ColumnType] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """What came of evaluating definitions.

    Attributes:
        answers: By name, the evaluation that placed its members.
        excluded: By name, customers left out because they did not agree to its purpose.
        universe: Customers in all; None where nothing could be evaluated.
        failed: By name, why it could not be evaluated.
        waiting: By name, the failed definition that it refers to, directly or not.
    """

    answers: dict[str, Evaluated] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)
    universe: int | None = None
    failed: dict[str, Exception] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    def rows(self, name: str) -> pa.Table:
        """customer (of accounts: `account`, their name), segment, confidence, reason; made anew each time."""
        return self.answers[name].placed[name]


def duckdb_evaluator(store: Store, snapshot: Snapshot, question: Question, progress: Progress) -> Evaluator:
    """The engine in this process."""
    key = bucket_key(store)

    def evaluate(definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Evaluated:
        from kohort.engines import segments

        return segments.evaluate(
            snapshot,
            definitions,
            features=question.features,
            as_of=question.as_of,
            zone=question.zone,
            currency=question.currency,
            settings=question.settings,
            key=key,
            by_hand=by_hand,
            standing=standing,
            progress=progress,
            threads=question.threads,
        )

    return evaluate


def bucket_key(store: Store) -> bytes:
    """The workspace's key of random buckets: nobody can guess a customer's number, and it never changes."""
    return blake2b(str(store.state.get("hash_seed")).encode(), digest_size=16, person=b"random buckets").digest()


def evaluate_each(
    evaluate: Evaluator,
    definitions: Sequence[SegmentDefinition],
    *,
    by_hand: pa.Table,
    standing: pa.Table,
    refused: Mapping[str, Exception] | None = None,
) -> Found:
    """All definitions in one evaluation; where that fails, the ones that cannot be evaluated are found and left out.

    Halving finds k failing ones among n with about k · log2(n) evaluations. What refers to a failing definition is not
    evaluated either: nobody may enter or leave because something else is broken.

    Args:
        definitions: In order of evaluation, none paused, with all that they refer to (but for paused and adopted ones).
        refused: By name, what is known to fail before anything is evaluated.

    Raises:
        KohortError: The store or the machine is at fault, not a definition.
    """
    found = Found(failed=dict(refused or {}))

    def decide(group: Sequence[SegmentDefinition]) -> None:
        group = [d for d in group if d.name not in found.failed and not _waits(d, found)]
        if not group:
            return
        good = [d for d in definitions if d.name not in found.failed.keys() | found.waiting.keys()]
        try:
            answer = evaluate(with_needed(good, [d.name for d in group]), by_hand=by_hand, standing=standing)
        except (Busy, Damaged, MissingExtra):
            raise
        except Exception as error:  # a rule that breaks the engine must not stop the others
            if len(group) == 1:
                found.failed[group[0].name] = error
                return
            decide(group[: len(group) // 2])
            decide(group[len(group) // 2 :])
        else:
            found.universe = answer.universe
            found.answers.update({d.name: answer for d in group})
            found.excluded.update({d.name: answer.excluded_by_consent.get(d.name, 0) for d in group})

    decide(definitions)
    surprises = [e for e in found.failed.values() if not isinstance(e, KohortError)]
    if surprises and not found.answers:
        raise surprises[0]  # nothing works: no single definition is to blame
    return found


def _waits(definition: SegmentDefinition, found: Found) -> bool:
    """Whether it refers to a failed definition; noted where it does."""
    for name in sorted(refers_to(definition)):
        if name in found.failed or name in found.waiting:
            found.waiting[definition.name] = found.waiting.get(name, name)
    return definition.name in found.waiting


def standing(store: Store, definitions: Sequence[SegmentDefinition], as_of: int) -> pa.Table:
    """Stored members that an evaluation asks for: customer, name, segment, since.

    Where a definition remembers: its own, strictly before `as_of`, so that asking again about the same moment gives the
    same answer. Where one refers to a paused or an adopted one: that one's, as they are at `as_of`.

    Args:
        definitions: Those that are evaluated.
    """
    import pyarrow as pa

    evaluated = {d.name for d in definitions}
    asked = sorted({n for d in definitions for n in refers_to(d)} - evaluated)
    own = store.members.standing([d.name for d in definitions if remembers(d)], as_of)
    return pa.concat_tables([own, store.members.standing(asked, as_of + 1)])


def by_hand(store: Store, definitions: Sequence[SegmentDefinition], until: int | None = None) -> pa.Table:
    """What people decided about members of these definitions, up to an action, and who forbids what: customer, name, segment,
    added."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = store.by_hand.table(until).select(["customer", "name", "segment", "added"])
    names = [*(d.name for d in definitions), *MARKS.values()]
    return table.filter(pc.is_in(table.column("name"), pa.array(names, pa.string())))


def unfit(
    store: Store, definitions: Sequence[SegmentDefinition], active: Sequence[SegmentDefinition], question: Question
) -> dict[str, Exception]:
    """By name, why an active definition no longer fits: a reference that leads nowhere, a column of another type, ….

    Text is checked when it is saved; the data, the features and the adopted segmentations may have changed since.
    """
    from kohort.definitions.rules import Vocabulary, check_rule

    parts = {d.name: tuple(p.key for p in d.parts) for d in definitions}
    adopted = adopted_parts(store)
    known = Vocabulary(dict(_features(question)), question.columns, adopted | parts, score_names(question.features))
    found: dict[str, Exception] = {d.name: taken(d.name) for d in active if d.name in adopted}
    for definition in active:
        for part in definition.parts:
            for written in (part.rule, part.keep):
                mistakes = check_rule(written.rule, known, written.text) if written else []
                if mistakes and definition.name not in found:
                    found[definition.name] = mistakes[0]
    return found


def _features(question: Question) -> Iterator[tuple[str, FeatureInfo]]:
    """Those that fit the columns; a rule that names another one does not fit either."""
    for feature in question.features:
        with suppress(RefusedDefinition):
            check(feature, question.columns)
            yield feature.name, feature.info(question.columns)
