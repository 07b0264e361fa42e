"""A run on Spark: executors read the stored members, compare and write; this process hands over the names of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.definitions.segments import remembers
from kohort.model.membership import Difference, Placed
from kohort.segments.dependencies import refers_to
from kohort.segments.evaluate import Question, bucket_key
from kohort.store.members.elsewhere import Registered

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    from kohort.definitions.segments import SegmentDefinition
    from kohort.engines.segments import Evaluated
    from kohort.engines.spark_segments import OnSpark, Standing
    from kohort.model.snapshot import Snapshot
    from kohort.store.store import Store


@contextmanager
def spark_run(store: Store, snapshot: Snapshot, question: Question, *, master: str = "") -> Iterator[Cluster]:
    """A cluster that evaluates and publishes one run; what it wrote and nobody registered is removed at the end.

    Args:
        master: Spark's master URL; empty = this machine.

    Raises:
        MissingExtra: PySpark is not installed. (KohortError: Java is not.)
    """
    from kohort.engines.spark import session

    spark = session(master=master, threads=question.threads)
    store.members.sweep()  # an earlier run may have been killed; whoever runs has the turn, so none is going on
    with ExitStack() as stack:
        stack.callback(store.members.sweep)
        yield Cluster(store, snapshot, question, spark, stack)


@dataclass(slots=True)
class Cluster:
    """Evaluates (`kohort.segments.evaluate.Evaluator`) and publishes (`run_rules.Publish`) on Spark."""

    store: Store
    snapshot: Snapshot
    question: Question
    spark: SparkSession
    stack: ExitStack
    files: dict[str, tuple[Path | None, int]] = field(default_factory=dict)

    def evaluate(self, definitions: Sequence[SegmentDefinition], *, by_hand: pa.Table, standing: pa.Table) -> Evaluated:
        """Who is where, as data frames; nothing passes through this process. `standing` is read from files."""
        from kohort.engines import spark_segments
        from kohort.engines.segments import Evaluated

        question = self.question
        evaluated = spark_segments.evaluate(
            self.snapshot,
            definitions,
            features=question.features,
            as_of=question.as_of,
            zone=question.zone,
            currency=question.currency,
            settings=question.settings,
            key=bucket_key(self.store),
            by_hand=by_hand,
            standing=self._stored(definitions),
            spark=self.spark,
            scratch=self.store.members.staging(),
        )
        found = self.stack.enter_context(evaluated)
        accounts = frozenset(d.name for d in definitions if d.kind == "accounts")
        return Evaluated(
            _Frames(found, [d.name for d in definitions], accounts),
            found.universe,
            found.excluded_by_consent,
            found.visitors,
        )

    def publish(
        self, found: Sequence[Placed], *, as_of: int, now: int, duration_ms: int | None
    ) -> dict[str, Difference]:
        """Compares on the executors and registers what they wrote, all in one step."""
        import pyarrow as pa

        from kohort.engines.spark import frame
        from kohort.engines.spark_members import Now, compare

        known, after_run = [], []
        for one in found:
            rows: Any = one.rows() if callable(one.rows) else one.rows
            if isinstance(rows, pa.Table):
                rows = frame(self.spark, rows.select(["customer", "segment", "reason"]))
            stays, run = self._stays(one.name)
            known.append(Now(rows, one.version, stays))
            after_run.append(run)
        moved = compare(self.spark, known, as_of, self.store.members.staging())
        registered = [
            Registered(one.name, one.version, m.moves, m.difference, run, one.backfill, m.restated, m.stays)
            for one, m, run in zip(found, moved, after_run, strict=True)
        ]
        return self.store.members.register(registered, as_of=as_of, now=now, duration_ms=duration_ms)

    def _stored(self, definitions: Sequence[SegmentDefinition]) -> Standing:
        """Files of what is standing; a table only where a paused definition was run for a later moment."""
        from kohort.engines.spark_segments import Standing

        as_of, statuses = self.question.as_of, self.store.status.all()
        evaluated = {d.name for d in definitions}
        own = [d.name for d in definitions if remembers(d)]
        asked = sorted({n for d in definitions for n in refers_to(d)} - evaluated)
        files, later = {}, []
        for name in (*own, *asked):
            status = statuses.get(name)
            if status is None or status.as_of is None:
                continue
            if status.as_of > as_of:
                later.append(name)
            elif path := self._stays(name)[0]:
                files[name] = path
        return Standing(files, self.store.members.standing(later, as_of + 1))

    def _stays(self, name: str) -> tuple[Path | None, int]:
        if name not in self.files:
            self.files[name] = self.store.members.stays_file(name)
        return self.files[name]


class _Frames(Mapping[str, Any]):
    """By name: `customer`, `segment`, `reason` as a data frame; of accounts `account` and the others as a table."""

    def __init__(self, found: OnSpark, names: Sequence[str], accounts: frozenset[str]) -> None:
        self._found, self._names, self._accounts = found, names, accounts

    def __getitem__(self, name: str) -> Any:
        return self._found.accounts(name) if name in self._accounts else self._found.rows(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
