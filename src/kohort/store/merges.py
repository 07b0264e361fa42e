"""Decisions about which ids are one customer, by people and by runs, and the links that follow.

The table of links stays the one place where readers look up who is meant. What stands there for a merge is worked out from
the log and from what events said (`kohort.model.merging`), anew with each decision, in the same transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import NotFound, WrongUsage
from kohort.model.arrival import Link
from kohort.model.links import roots
from kohort.model.merging import Groups, Merge, links_of
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.identity_log import (
    BY_HAND,
    Decision,
    DecisionLog,
    Field,
    Pair,
    Question,
    What,
    decisions,
    pair_of,
    stored,
)
from kohort.store.lock import WriteLock
from kohort.store.sealed import Ledger, SealedTable

if TYPE_CHECKING:
    from kohort.store.links import Links

__all__ = ["BY_HAND", "Decision", "Field", "Merges", "Pair", "Question"]

questions = SealedTable(schema.identity_question)
_t, _q = schema.identity_decision.c, schema.identity_question.c
_CHUNK = 500


class Merges:
    """The log of decisions, and what was left to people. Each call is one transaction; those with a connection are part of it."""

    def __init__(self, database: Database, lock: WriteLock, links: Links) -> None:
        self._database, self._lock, self._links = database, lock, links
        self._log = DecisionLog()

    # -- deciding --------------------------------------------------------------------------------------------------

    def begin_run(self) -> int:
        """A number for a run."""
        with self._lock(), self._database.write() as con:
            return Ledger(con).take("identity_run")

    def merge(
        self, pairs: Sequence[Pair], *, ts: int, by: str, at: int, run: int = 0, reason: str = ""
    ) -> list[Decision]:
        """Makes pairs one customer each, in their order; those that are one already are passed over.

        Args:
            ts: Since when it is true, microseconds UTC: an earlier moment sees them apart.
            by: Who decides.
            at: Wall clock, microseconds UTC.
            run: Number of the run that found them; 0 = by hand.
            reason: Why; never with anything that tells who they are.

        Returns:
            The decisions that were made.
        """
        with self._lock(), self._database.write() as con:
            made = self._merge(con, pairs, ts=ts, by=by, at=at, run=run, reason=reason)
            self.work_out(con, at)
            return made

    def publish(
        self, pairs: Sequence[Pair], asked: Sequence[Pair], *, ts: int, by: str, at: int, run: int
    ) -> tuple[list[Decision], int]:
        """What a run found, at once: its merges, and its questions in place of those that earlier runs left.

        Returns:
            The merges that were made, and how many questions there are now.
        """
        with self._lock(), self._database.write() as con:
            made = self._merge(con, pairs, ts=ts, by=by, at=at, run=run, reason="")
            self.work_out(con, at)
            questions.delete(con, sa.true())
            meant = roots(self._links.all(con))
            keep, other = (meant.of(ids) for ids in _ends(asked))
            open_ = [pair for pair, apart in zip(asked, keep != other, strict=True) if apart]
            self._ask(con, open_, run)
            return made, len(open_)

    def _merge(
        self, con: Connection, pairs: Sequence[Pair], *, ts: int, by: str, at: int, run: int, reason: str
    ) -> list[Decision]:
        meant, groups, new = roots(self._links.all(con)), Groups(), []
        keeps, others = (meant.of(ids).tolist() for ids in _ends(pairs))
        for pair, keep, other in zip(pairs, keeps, others, strict=True):
            # Not yet in the table is what this call joins: beside the roots as they are stored.
            if groups.lead(groups.root(other), keep):
                # Nobody can know the link's id before: an event of the same id would stand in its place.
                new.append(pair)
        first = Ledger(con).get("next:identity_decision")[0] + 1
        links = (f"merge:{number:012}:{secrets.token_hex(8)}" for number in range(first, first + len(new)))
        what: list[tuple[What, Pair, dict[str, str]]] = [
            ("merge", pair, {"link": link}) for pair, link in zip(new, links, strict=True)
        ]
        return self._log.add(con, what, ts=ts, run=run, reason=reason, by=by, decided_us=at)

    def split(self, number: int, *, by: str, at: int, reason: str = "") -> Decision:
        """Takes a merge back, and nothing else: its link goes, and runs keep the two apart from now on.

        Raises:
            NotFound: There is no such merge, or it was taken back already.
        """
        with self._lock(), self._database.write() as con:
            if not any(merge.number == number for merge, stands, _ in self._log.merges(con) if stands):
                raise NotFound("merge that stands", str(number), hint="See: kohort identity log")
            return self._end(con, [number], "split", run=0, by=by, at=at, reason=reason)[0]

    def undo(self, run: int, *, by: str, at: int, reason: str = "") -> list[Decision]:
        """Takes back every merge of a run that still stands, and its open questions. A later run may find them again.

        Raises:
            NotFound: There was no such run.
        """
        with self._lock(), self._database.write() as con:
            if not 0 < run <= Ledger(con).get("next:identity_run")[0]:
                raise NotFound("run", str(run), hint="See: kohort identity log")
            questions.delete(con, _q.run == run)
            stood = [merge.number for merge, stands, made_by in self._log.merges(con) if stands and made_by == run]
            return self._end(con, stood, "undo", run=run, by=by, at=at, reason=reason)

    def answer(self, number: int, one: bool, *, ts: int, by: str, at: int, reason: str = "") -> Decision | None:
        """Answers a question: one customer (a merge), or not (they stay apart). None where they had become one meanwhile.

        Raises:
            NotFound: There is no such question, or no more.
        """
        with self._lock(), self._database.write() as con:
            asked = next((q for q in self._asked(con) if q.number == number), None)
            if asked is None:
                raise NotFound("open question", str(number), hint="See: kohort identity review")
            questions.delete(con, _q.number == number)
            if one:
                made = self._merge(con, [asked.pair], ts=ts, by=by, at=at, run=0, reason=reason)
                self.work_out(con, at)
            else:
                made = self._log.add(con, [("reject", asked.pair, {})], reason=reason, by=by, decided_us=at)
            return made[0] if made else None

    def take_back(self, number: int, *, by: str, at: int, reason: str = "") -> Decision:
        """Takes an answer back, whichever it was: it is as if nobody had given it, and the question is asked again.

        Raises:
            NotFound: No person decided so, or it was taken back already.
        """
        with self._lock(), self._database.write() as con:
            given = next((d for d in self._log.all(con) if d.number == number and d.stands and not d.run), None)
            if given is None:
                raise NotFound("answer that stands", str(number), hint="See: kohort identity log")
            if given.pair.how != BY_HAND:
                self._ask(con, [given.pair], 0)
            return self._end(con, [number], "undo", run=0, by=by, at=at, reason=reason)[0]

    def _ask(self, con: Connection, pairs: Sequence[Pair], run: int) -> None:
        if pairs:
            first = Ledger(con).take("identity_question", len(pairs))
            questions.insert(con, [{"number": first + n, "run": run, **stored(p)} for n, p in enumerate(pairs)])

    def _end(
        self, con: Connection, numbers: Sequence[int], what: What, *, run: int, by: str, at: int, reason: str
    ) -> list[Decision]:
        ended = self._log.pairs(con, numbers)
        lines = [(what, pair, {"ends": number}) for number, pair in ended]
        made = self._log.add(con, lines, run=run, reason=reason, by=by, decided_us=at)
        self.work_out(con, at)
        return made

    # -- links -----------------------------------------------------------------------------------------------------

    def late(self, con: Connection, new: Sequence[Link], learned_us: int) -> None:
        """Events said something about the time before a merge: what links follow is worked out anew. Part of `Links.add`."""
        if decisions.count(con) and min(link.ts for link in new) <= (con.scalar(sa.select(sa.func.max(_t.ts))) or 0):
            self.work_out(con, learned_us)

    def work_out(self, con: Connection, learned_us: int) -> None:
        """Brings the links of merges in line with the log and with what events said, inside the caller's transaction."""
        log = self._log.merges(con)
        if not log:
            return
        table = self._links.all(con)
        mine = _mine(table, [merge for merge, _, _ in log])
        merges = [merge for merge, stands, _ in log if stands]
        said = _near(table.filter(pc.invert(mine)), [id_ for m in merges for id_ in (m.keep, m.other)])
        wanted = {link.event_id: link for link in links_of(_as_links(said), merges)}
        there = {link.event_id: link for link in _as_links(table.filter(mine))}
        self._links.take_back(con, sorted(id_ for id_, link in there.items() if wanted.get(id_) != link))
        self._links.put(con, [x for id_, x in wanted.items() if there.get(id_) != x], learned_us=learned_us)

    def parting(self, one: int, other: int) -> list[int]:
        """The merges that stand and each of which alone, taken back, parts two ids: their numbers.

        Raises:
            WrongUsage: They are not one customer, or no merge alone makes them one: events say so.
        """
        with self._database.read() as con:
            table, log = self._links.all(con), self._log.merges(con)
        meant = roots(table)
        if meant.root_of(one) != meant.root_of(other):
            raise WrongUsage("These two are not one customer.", hint="There is nothing to split.")
        group = set(meant.members(meant.root_of(one)))
        said = _as_links(_near(table.filter(pc.invert(_mine(table, [merge for merge, _, _ in log]))), group))
        near = [merge for merge, stands, _ in log if stands and {merge.keep, merge.other} & group]
        found = []
        for left_out in near:
            without = roots([*said, *links_of(said, [merge for merge in near if merge is not left_out])])
            if without.root_of(one) != without.root_of(other):
                found.append(left_out.number)
        if not found:
            raise WrongUsage(
                "No merge alone makes these two one customer.",
                hint="Events of your own systems say that they are one; a split takes back merges only.",
            )
        return found

    # -- reading ---------------------------------------------------------------------------------------------------

    def log(self, ids: Collection[int] | None = None) -> list[Decision]:
        """Every decision, oldest first; about some ids where given."""
        with self._database.read() as con:
            found = self._log.all(con)
        if ids is None:
            return found
        whom = set(ids)
        return [d for d in found if d.pair.keep in whom or d.pair.other in whom]

    def questions(self) -> list[Question]:
        """What waits for a person, the most uncertain first."""
        with self._database.read() as con:
            found = self._asked(con)
        return sorted(found, key=lambda q: (abs((q.pair.score if q.pair.score is not None else 0.5) - 0.5), q.number))

    def apart(self) -> set[frozenset[int]]:
        """Pairs that people said are not one customer, as far as nobody took it back or merged them since."""
        found: set[frozenset[int]] = set()
        for decision in self.log():
            pair = frozenset((decision.pair.keep, decision.pair.other))
            if decision.what == "split" or (decision.what == "reject" and decision.stands):
                found.add(pair)
            elif decision.what == "merge":
                found.discard(pair)
        return found

    def check(self) -> None:
        """Reads every row.

        Raises:
            Damaged: Something does not check out.
        """
        with self._database.read() as con:
            decisions.all(con)
            self._asked(con)

    def forget(self, con: Connection, ids: Sequence[int], *, learned_us: int) -> int:
        """Deletes decisions and questions about persons who are erased, with the links that follow from them, inside the
        caller's transaction. Says how many."""
        gone = 0
        whom = [int(id_) for id_ in ids]
        for start in range(0, len(whom), _CHUNK):
            some = whom[start : start + _CHUNK]
            about = sa.or_(_t.keep.in_(some), _t.other.in_(some))
            # Once its line is gone nobody can tell that a link was a merge's.
            self._links.take_back(con, con.execute(sa.select(_t.link).where(about, _t.what == "merge")).scalars().all())
            gone += decisions.delete(con, about)
            gone += questions.delete(con, sa.or_(_q.keep.in_(some), _q.other.in_(some)))
        if gone:
            self.work_out(con, learned_us)
        return gone

    def unsay(self, con: Connection, names: Callable[[str], bool]) -> int:
        """Empties reasons that name somebody who is erased, whomever they are about, inside the caller's transaction. Says
        how many."""
        numbers = [line.number for line in self._log.all(con) if line.reason and names(line.reason)]
        return sum(decisions.update(con, _t.number == number, reason="") for number in numbers)

    def _asked(self, con: Connection) -> list[Question]:
        return [Question(row["number"], row["run"], pair_of(row)) for row in questions.all(con, _q.number)]


def _ends(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p.keep for p in pairs], np.int64), np.array([p.other for p in pairs], np.int64)


def _mine(table: pa.Table, merges: Sequence[Merge]) -> pa.ChunkedArray:
    """Which links are those of merges."""
    return pc.is_in(table.column("event_id"), value_set=pa.array([merge.link for merge in merges], pa.string()))


def _near(table: pa.Table, ids: Iterable[int]) -> pa.Table:
    """The links that can say anything about some ids, however far."""
    known = pa.array(sorted(set(ids)), pa.int64())
    while True:
        near = pc.or_(*(pc.is_in(table.column(name), value_set=known) for name in ("customer", "root")))
        found = table.filter(near)
        columns = [found.column(name).combine_chunks() for name in ("customer", "root")]
        wider = pc.unique(pa.concat_arrays([known, *columns]))
        if len(wider) == len(known):
            return found
        known = wider


def _as_links(table: pa.Table) -> list[Link]:
    columns = (table.column(name).to_pylist() for name in ("event_id", "customer", "root", "ts"))
    return [Link(*row) for row in zip(*columns, strict=True)]
