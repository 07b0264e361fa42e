"""One run: everybody placed by every definition as of one moment, published together, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from kohort.errors import KohortError, WrongUsage
from kohort.model.clock import iso
from kohort.model.membership import Difference, Placed
from kohort.model.progress import Progress, silent
from kohort.segments.accounts import account_rows
from kohort.segments.definitions import Meaning, adopted_ids, version_text
from kohort.segments.dependencies import refers_to, with_needed
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
from kohort.segments.on_spark import spark_run

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.segments import SegmentDefinition, SegmentSettings
    from kohort.store.store import Store

Result = Literal["published", "failed", "waiting", "paused"]
"""published: new members are in place. failed: it could not be evaluated. waiting: something it refers to failed.
paused: left alone. Where it was not published, its members stay as they were."""

UNREAD = "refused_definition"
"""The code of a definition whose text cannot be read."""

TURN_SECONDS = 600.0
"""How long a run waits for another one to end."""


class Publish(Protocol):
    """Makes what was found the members: see `kohort.store.members.Members.publish`."""

    def __call__(
        self, found: Sequence[Placed], *, as_of: int, now: int, duration_ms: int | None
    ) -> dict[str, Difference]: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did with one definition.

    Attributes:
        version: Of the definition that decided; 0 where it was not published.
        size: Members now.
        difference: Who entered, left, moved, stayed; None where it was not published.
        excluded_by_consent: Customers who would be in, but did not agree to its purpose.
        backfill: Its meaning is new, so who enters or leaves did nothing for it: triggers leave them alone by default.
        error: One sentence, empty where it was published.
    """

    name: str
    result: Result
    version: int = 0
    size: int = 0
    difference: Difference | None = None
    excluded_by_consent: int = 0
    backfill: bool = False
    error: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did.

    Attributes:
        as_of: The moment shown, microseconds UTC.
        customers: In all at that moment; None where nothing could be evaluated.
        duration_ms: Of the evaluation; the definitions are evaluated together.
        outcomes: In order of evaluation.
        scores: What was scored anew before, for the rules that ask for it: see `kohort.workspace.scores.refresh`.
    """

    as_of: int
    customers: int | None
    duration_ms: int
    outcomes: tuple[Outcome, ...]
    scores: tuple[dict[str, Any], ...] = ()

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those that could not be evaluated, and those that wait for them."""
        return tuple(o for o in self.outcomes if o.result in ("failed", "waiting"))

    def of(self, name: str) -> Outcome:
        """The outcome of one definition."""
        return next(o for o in self.outcomes if o.name == name)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, the moment as ISO 8601 UTC."""
        return {**asdict(self), "as_of": iso(self.as_of)}


def run(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    *,
    names: Iterable[str] | None = None,
    as_of: int,
    now: int,
    zone: str,
    currency: str,
    features: Sequence[FeatureDefinition],
    settings: SegmentSettings,
    engine: str = "duckdb",
    spark: str = "",
    threads: int | None = None,
    unread: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> RunReport:
    """Evaluates definitions as of one moment and makes the result their members, all in one step.

    What the named definitions refer to is evaluated and published with them, so that stored members always fit
    together. A definition that cannot be evaluated keeps its members, and so does whatever refers to it; the others
    go on. Doing the same again changes nothing; a run that was interrupted is simply done again.

    Where several processes may run, the caller takes its `turn` first and reads the definitions inside it: they may have
    changed while it waited.

    Args:
        definitions: All of the workspace.
        names: Which; None = all. Paused ones are left alone.
        as_of: Nothing later is visible, microseconds UTC.
        now: Wall clock, microseconds UTC.
        zone: The workspace's time zone.
        currency: Of the log's amounts.
        features: That rules may name.
        engine: duckdb or spark.
        spark: Spark's master URL; empty = local.
        threads: None = the setting KOHORT_THREADS.
        unread: Definitions whose text cannot be read → why; they fail, and keep their members.

    Raises:
        NotFound: A name is not defined.
        RefusedDefinition: Definitions refer to each other in a circle.
        WrongUsage: Members of a later moment are stored for every one of them.
    """
    snapshot = store.log.snapshot()
    question = Question(as_of, zone, currency, tuple(features), settings, threads, snapshot.columns)
    asked = None if names is None else list(names)
    failing = {n: why for n, why in (unread or {}).items() if asked is None or n in asked}
    readable = None if asked is None else [n for n in asked if n not in failing]
    if engine == "spark":
        with spark_run(store, snapshot, question, master=spark) as there:
            report = run_with(
                there.evaluate, store, definitions, question, names=readable, now=now, publish=there.publish
            )
    else:
        evaluate = duckdb_evaluator(store, snapshot, question, progress)
        report = run_with(evaluate, store, definitions, question, names=readable, now=now)
    for name, why in failing.items():
        store.status.failed(name, f"{UNREAD}: {why}", now=now)
    failed = tuple(Outcome(name, "failed", error=why, code=UNREAD) for name, why in failing.items())
    return replace(report, outcomes=report.outcomes + failed)


def run_with(
    evaluate: Evaluator,
    store: Store,
    definitions: Sequence[SegmentDefinition],
    question: Question,
    *,
    names: Iterable[str] | None = None,
    now: int,
    publish: Publish | None = None,
) -> RunReport:
    """The same with an evaluator of the caller's.

    Args:
        publish: For an engine that compares with the stored members itself; it reads them itself, too.
    """
    started = time.monotonic()
    asked = with_needed(definitions, [d.name for d in definitions] if names is None else names)
    active = [d for d in asked if not d.paused]
    found = evaluate_each(
        evaluate,
        active,
        by_hand=by_hand(store, active),
        standing=standing(store, [] if publish else active, question.as_of),
        refused=_refused(store, definitions, active, question),
    )
    duration_ms = round(1000 * (time.monotonic() - started))
    placed = _placed(store, active, found, question)
    changes = (publish or store.members.publish)(placed, as_of=question.as_of, now=now, duration_ms=duration_ms)
    published = {p.name: p for p in placed}
    outcomes = tuple(_outcome(d, found, published.get(d.name), changes.get(d.name)) for d in asked)
    for outcome in outcomes:
        if outcome.error:
            store.status.failed(outcome.name, f"{outcome.code}: {outcome.error}", now=now)
    return RunReport(question.as_of, found.universe, duration_ms, outcomes)


@contextmanager
def turn(store: Store) -> Iterator[None]:
    """Runs take turns, each on what the one before left; bringing data in goes on meanwhile.

    Raises:
        Busy: Another run has been going on for ten minutes.
    """
    from kohort.store.lock import WriteLock

    with WriteLock(store.root / ".segments.lock", timeout_seconds=TURN_SECONDS)():
        yield


def _refused(
    store: Store, definitions: Sequence[SegmentDefinition], active: Sequence[SegmentDefinition], question: Question
) -> dict[str, Exception]:
    """What is known to fail beforehand: rules that no longer fit, and moments before the latest run."""
    latest = _latest(store, [d.name for d in active])
    later: dict[str, Exception] = {
        name: WrongUsage("Members of a later moment are stored.", hint=f"Ask for {iso(as_of)} or later.")
        for name, (_, as_of) in latest.items()
        if as_of > question.as_of
    }
    if later and len(later) == len(active):
        raise next(iter(later.values()))
    return later | unfit(store, definitions, active, question)


def _placed(store: Store, active: Sequence[SegmentDefinition], found: Found, question: Question) -> list[Placed]:
    """What is to be published, each under the number of its version; a new meaning becomes a new version."""
    latest = _latest(store, [*(d.name for d in active), *(n for d in active for n in refers_to(d))])
    meant = _Versions(store, latest, question)
    placed = []
    for definition in active:
        name = definition.name
        if name in found.answers:
            text, version = meant.text(definition), meant.kept(definition)
            if version is None:
                version = store.definitions.save(name, text)
            meant.decided(name, version)
            rows = partial(_rows, store, definition, found)
            placed.append(Placed(name, version, rows, backfill=name not in latest or latest[name][0] != version))
    return placed


def outdated(store: Store, definitions: Sequence[SegmentDefinition], question: Question) -> tuple[str, ...]:
    """Definitions whose members follow another meaning than their text has now, or that were never run.

    Args:
        definitions: In order of evaluation, none paused.
    """
    latest = _latest(store, [*(d.name for d in definitions), *(n for d in definitions for n in refers_to(d))])
    meant = _Versions(store, latest, question)
    found = []
    for definition in definitions:
        version = meant.kept(definition)
        if version is None or definition.name not in latest or latest[definition.name][0] != version:
            found.append(definition.name)
        meant.decided(definition.name, version or 0)
    return tuple(found)


class _Versions:
    """Which version of each definition is meant; definitions are asked about in order of evaluation."""

    def __init__(self, store: Store, latest: Mapping[str, tuple[int, int]], question: Question) -> None:
        self._meaning = Meaning({f.name: f for f in question.features}, question.zone, question.settings)
        self._versions = {name: f"version {version}" for name, (version, _) in latest.items()}
        self._versions |= adopted_ids(store)
        self._kept = store.definitions.in_force()

    def text(self, definition: SegmentDefinition) -> str:
        return version_text(definition, self._meaning, self._versions)

    def kept(self, definition: SegmentDefinition) -> int | None:
        """The number of the version in force where it says the same."""
        version, known = self._kept.get(definition.name, (0, ""))
        return version if known == self.text(definition) else None

    def decided(self, name: str, version: int) -> None:
        self._versions[name] = f"version {version}"


def _rows(store: Store, definition: SegmentDefinition, found: Found) -> pa.Table:
    rows = found.rows(definition.name)
    return account_rows(store, definition, rows) if definition.kind == "accounts" else rows


def _latest(store: Store, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Version and moment of the latest run of each name that has one; of a removed one version 0."""
    standing = store.status.all()
    found = {}
    for name in dict.fromkeys(names):
        status = standing.get(name)
        if status is not None and status.as_of is not None:
            found[name] = status.version, status.as_of
        elif runs := store.members.runs(name):
            found[name] = 0, int(runs[-1]["as_of"])
    return found


def _outcome(
    definition: SegmentDefinition, found: Found, placed: Placed | None, difference: Difference | None
) -> Outcome:
    name = definition.name
    if placed is not None and difference is not None:
        size = difference.entered + difference.moved + difference.stayed
        excluded = found.excluded[name]
        return Outcome(name, "published", placed.version, size, difference, excluded, placed.backfill)
    if definition.paused:
        return Outcome(name, "paused")
    if name in found.waiting:
        cause = found.waiting[name]
        return Outcome(name, "waiting", error=f"It refers to {cause!r}, which failed.", code="reference_failed")
    error = found.failed[name]
    if isinstance(error, KohortError):
        return Outcome(name, "failed", error=str(error), code=error.code)
    return Outcome(name, "failed", error=f"Unexpected: {type(error).__name__}.", code="unexpected")
