"""Publishing who is in which segment: one store for every kind of segment, all or nothing. See docs/store.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Busy, KohortError, WrongUsage
from kohort.model.membership import Difference, Placed
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.lock import WriteLock
from kohort.store.members import snapshots
from kohort.store.members.compare import compare
from kohort.store.members.elsewhere import Registered, accepted
from kohort.store.members.heads import heads_now, known_head, put_head
from kohort.store.members.outbox import Outbox
from kohort.store.members.parts import EVERY_NAME, Parts, Written
from kohort.store.members.reading import Reading, runs
from kohort.store.members.settle import settle
from kohort.store.members.sizes import Sizes
from kohort.store.members.tables import PLACED, placed
from kohort.store.sealed import Ledger
from kohort.store.status import note_success


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What one name's part of a run will say, written but not yet true."""

    name: str
    version: int
    backfill: bool
    difference: Difference
    moves: Sequence[Written]
    restated: Sequence[Written] = ()
    dropped: bool = False
    stays: Written | None = None


class Members(Reading, Outbox):
    """Memberships of all definitions. Reading sees one moment and never waits; publishing is all or nothing."""

    def __init__(self, root: Path, database: Database, lock: WriteLock) -> None:
        self.parts = Parts(root, database)
        self.counted = Sizes(self.parts)
        self._database = database
        self._lock = lock

    def publish(
        self, found: Sequence[Placed], *, as_of: int, now: int, duration_ms: int | None = None
    ) -> dict[str, Difference]:
        """Makes what an evaluation found the members of its definitions: all in one step, or none.

        Who stays keeps `since`. What changes becomes transitions, each exactly once; the same rows again change
        nothing. The latest moment may be stated again (after late events): then `at` and `history` tell what was said
        about it last, and what the outbox may have handed out already is taken back by new transitions of that moment.

        Args:
            found: One evaluation of each definition; names differ.
            as_of: The moment that they show, not before the latest run of any of them.
            now: Wall clock, µs UTC.
            duration_ms: How long the evaluation took, for the status of each.

        Raises:
            WrongUsage: Rows are not memberships, a customer appears twice, or a later moment is stored already.
            Busy: Another process has been writing for too long.
        """
        _distinct(one.name for one in found)
        with self._lock():
            self.parts.clean()
            before = self._runs_before([one.name for one in found], as_of)
            prepared = [self._prepare(one, as_of) for one in found]
            return self._commit(prepared, before, as_of, now, duration_ms)

    def register(
        self, found: Sequence[Registered], *, as_of: int, now: int, duration_ms: int | None = None
    ) -> dict[str, Difference]:
        """Publishes moves that other processes wrote into a folder of `staging`; otherwise like `publish`.

        Raises:
            WrongUsage: A file does not hold moves of this moment, or files and counts disagree.
            Busy: The members are no longer those that the moves begin with.
        """
        _distinct(one.name for one in found)
        with self._lock():
            before = self._runs_before([one.name for one in found], as_of)
            if any(before[one.name] != one.after_run for one in found):
                raise Busy("The members changed while the difference was computed.", hint="Compute it again.")
            prepared = [self._accept(one, as_of) for one in found]
            return self._commit(prepared, before, as_of, now, duration_ms)

    def drop(self, name: str, as_of: int, *, now: int | None = None) -> Difference:
        """Ends a definition: everybody leaves, history stays, and `names` no longer tells it.

        The exits are marked as backfill: the definition ended, the customers did nothing.

        Args:
            as_of: When; not before the latest run.
            now: Wall clock; `as_of` where not given.

        Raises:
            NotFound: No members were ever published under this name.
        """
        with self._lock():
            with self._database.read() as con:
                head = known_head(heads_now(con), name)
            if head["dropped"]:
                return Difference(0, 0, 0, 0)
            before = self._runs_before([name], as_of)
            nobody = Placed(name, head["version"], PLACED.empty_table(), backfill=True)
            prepared = self._prepare(nobody, as_of, dropped=True)
            return self._commit([prepared], before, as_of, as_of if now is None else now)[name]

    def staging(self) -> Path:
        """A new folder for files to `register`. What is not registered within a day is cleaned away."""
        return self.parts.staging()

    def sweep(self) -> int:
        """Deletes what was written for `register` and never registered; says how many files.

        The caller knows that nobody is writing into a folder of `staging` right now.
        """
        with self._lock():
            return self.parts.clean(abandoned_seconds=0)

    def settle(self) -> int:
        """Joins what ticks of the live loop added into fewer parts; says how many went. Ticks may go on meanwhile."""
        return settle(self.parts, self._lock)

    def renew(self) -> None:
        """Makes the snapshots anew that reading would profit from. Ticks may go on meanwhile."""
        self._refresh(self.names())

    def stays_file(self, name: str) -> tuple[Path | None, int]:
        """A Parquet file with the last stay of each customer and segment (`tables.STAYS`), and the run it shows.

        For engines that compare on other machines: members are the rows without `until`. None where nothing is stored.
        The file lives until members of this name change.
        """
        with self._lock():
            path = self._newest_file(name)
            if path is None:
                snapshots.refresh(self.parts, name, in_file=True)
                path = self._newest_file(name)
            return path, self.latest_run(name)

    def check(self) -> None:
        """Reads everything and compares the log with what was made from it.

        Raises:
            Damaged: Something does not check out.
        """
        with self._database.read() as con:
            sizes = {name: int(head["size"]) for name, head in heads_now(con).items()}
            known = set(con.execute(sa.select(schema.member_part.c.name).distinct()).scalars())
        for name in (sizes.keys() | known) - {EVERY_NAME}:
            self.runs(name)
            self._check(name, sizes.get(name, 0))
        self.check_outbox()

    # -- parts -----------------------------------------------------------------------------------------------------

    def _check(self, name: str, size: int) -> None:
        self.parts.read(lambda con: snapshots.check(self.parts, con, name, size))

    def _newest_file(self, name: str) -> Path | None:
        """The file of a snapshot that nothing was added to since."""
        with self._database.read() as con:
            newest = self.parts.of(con, name)[-1:]
        return next((self.parts.folder / part.path for part in newest if part.kind == "stays" and part.path), None)

    def _runs_before(self, names: Sequence[str], as_of: int) -> dict[str, int]:
        """Number of the latest run of each name (0 = none), none of which may be of a later moment."""
        with self._database.read() as con:
            known = heads_now(con)
        for name in names:
            if name in known and as_of < known[name]["as_of"]:
                raise WrongUsage(
                    f"Memberships of {name!r} are stored for a later moment already.",
                    hint="Ask for a moment after the latest run.",
                )
        return {name: int(known[name]["run"]) if name in known else 0 for name in names}

    def _prepare(self, one: Placed, as_of: int, *, dropped: bool = False) -> _Prepared:
        """Compares, and writes what changes. One name at a time: memory does not grow with their number."""
        rows = placed(one.rows() if callable(one.rows) else one.rows)
        stays = self.parts.read(lambda con: snapshots.stays(self.parts, con, one.name))
        found = compare(stays, rows, as_of)
        moves, restated = ([self.parts.write(t)] if t.num_rows else [] for t in (found.moves, found.restated))
        return _Prepared(one.name, one.version, one.backfill, found.difference, moves, restated, dropped)

    def _accept(self, one: Registered, as_of: int) -> _Prepared:
        """The files of other processes, checked."""
        files = accepted(self.parts, one, as_of)
        facts = (one.name, one.version, one.backfill, one.difference)
        return _Prepared(*facts, files.moves, files.restated, stays=files.stays)

    def _commit(
        self,
        prepared: Sequence[_Prepared],
        before: dict[str, int],
        as_of: int,
        now: int,
        duration_ms: int | None = None,
    ) -> dict[str, Difference]:
        self.parts.flush()
        with self._database.write() as con:
            known = heads_now(con)
            if any(before[one.name] != (known[one.name]["run"] if one.name in known else 0) for one in prepared):
                raise Busy("The members changed while the difference was computed.", hint="Run it again.")
            moment = {"run": Ledger(con).take("member_run"), "as_of": as_of}
            for one in prepared:
                _enter(con, self.parts, one, moment, now)
                note_success(con, one.name, evaluated_us=now, duration_ms=duration_ms)
        self._refresh([one.name for one in prepared if one.moves or one.restated])
        return {one.name: one.difference for one in prepared}

    def _refresh(self, names: Sequence[str]) -> None:
        """New snapshots where they are due. What was published is true already, so a full disk is no failure here."""
        with suppress(KohortError, OSError):
            due = self.parts.read(lambda con: snapshots.due(self.parts, con, names))
            for name in due:
                snapshots.refresh(self.parts, name)


def _enter(con: Connection, parts: Parts, one: _Prepared, moment: dict[str, int], now: int) -> None:
    """Makes one name's part of a run true, inside the transaction of the whole run."""
    facts = {"name": one.name, "version": one.version, "backfill": one.backfill, **moment}
    for written in one.moves:
        parts.add(con, written, "moves", facts)
    for written in one.restated:
        parts.add(con, written, "restated", facts)
    if one.stays is not None:
        parts.remove(con, [part for part in parts.of(con, one.name) if part.kind == "stays"])
        parts.add(con, one.stays, "stays", {**facts, "backfill": False})
    d = one.difference
    counts = {"entered": d.entered, "left": d.left, "moved": d.moved, "stayed": d.stayed}
    runs.insert(con, [{**facts, **counts, "ran_us": now, "dropped": one.dropped}])
    head = {"name": one.name, "version": one.version, "dropped": one.dropped, **moment}
    put_head(con, {**head, "size": d.entered + d.moved + d.stayed})


def _distinct(names: Iterable[str]) -> None:
    listed = list(names)
    if len(set(listed)) < len(listed):
        raise WrongUsage("A definition appears twice in one run.")
