"""Decisions about which ids are one customer: a log of who decided what, when and on what evidence, and the links that follow.

The table of links stays the one place where readers look up who is meant. What stands there for a merge is worked out from
the log and from what events said (`kohort.model.merging`), anew with each decision, in the same transaction.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

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
from kohort.store.lock import WriteLock
from kohort.store.sealed import Ledger, SealedTable

if TYPE_CHECKING:
    from kohort.store.links import Links

What = Literal["merge", "split", "reject", "undo"]

decisions = SealedTable(schema.identity_decision)
questions = SealedTable(schema.identity_question)
_t, _q = schema.identity_decision.c, schema.identity_question.c
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Field:
    """What one field says about two ids, in words and without any value: `weight` is log2 evidence, None = not weighed."""

    field: str
    says: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ids that may be one customer, and why.

    Attributes:
        keep: Who would stay.
        other: Who would become part of her.
        how: What found it: "same email", "likely", "by hand", …
        score: Probability of being one customer; None = none was worked out.
        evidence: Field by field.
    """

    keep: int
    other: int
    how: str
    score: float | None = None
    evidence: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the log.

    Attributes:
        number: 1, 2, … in the order they were made.
        what: "merge"; "split" (a merge was wrong: they stay apart), "reject" (they were never one), "undo" (as if the
            merge had not been made; a run may make it again).
        pair: Whom it is about.
        ts: Since when a merge is true, microseconds UTC.
        run: Number of the run that made or undid it; 0 = somebody did by hand.
        ends: The number of the merge that it takes back; 0 = none.
        reason, by, at: Why, who, and when, microseconds UTC.
        stands: Whether it is a merge that was not taken back.
    """

    number: int
    what: What
    pair: Pair
    ts: int
    run: int
    ends: int
    reason: str
    by: str
    at: int
    stands: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A pair that a run was not sure about; `number` stays its own for ever, and goes with the answer or the next run."""

    number: int
    run: int
    pair: Pair


class Merges:
    """The log of decisions, and what was left to people. Each call is one transaction; those with a connection are part of it."""

    def __init__(self, database: Database, lock: WriteLock, links: Links) -> None:
        self._database, self._lock, self._links = database, lock, links

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
            return _read([row for row in decisions.all(con, _t.number) if row["number"] in made])

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
            open_ = [p for p in asked if meant.root_of(p.keep) != meant.root_of(p.other)]
            if open_:
                first = Ledger(con).take("identity_question", len(open_))
                questions.insert(con, [{"number": first + n, "run": run, **_stored(p)} for n, p in enumerate(open_)])
            return _read([row for row in decisions.all(con, _t.number) if row["number"] in made]), len(open_)

    def _merge(
        self, con: Connection, pairs: Sequence[Pair], *, ts: int, by: str, at: int, run: int, reason: str
    ) -> set[int]:
        meant, groups, new = roots(self._links.all(con)), Groups(), []
        for pair in pairs:
            # Not yet in the table is what this call joins: beside the roots as they are stored.
            keep, other = (groups.root(meant.root_of(id_)) for id_ in (pair.keep, pair.other))
            if groups.lead(other, keep):
                new.append(pair)
        if not new:
            return set()
        first = Ledger(con).take("identity_decision", len(new))
        rows = []
        for number, pair in enumerate(new, first):
            # Nobody can know the id before: an event of the same id would stand in its place.
            link = f"merge:{number:012}:{secrets.token_hex(8)}"
            about = {"number": number, "what": "merge", "ts": ts, "link": link, "run": run, "ends": 0}
            rows.append({**about, **_stored(pair), "reason": reason, "by": by, "decided_us": at})
        decisions.insert(con, rows)
        return {row["number"] for row in rows}

    def split(self, number: int, *, by: str, at: int, reason: str = "") -> Decision:
        """Takes a merge back, and nothing else: its link goes, and runs keep the two apart from now on.

        Raises:
            NotFound: There is no such merge, or it was taken back already.
        """
        with self._lock(), self._database.write() as con:
            wanted = next((d for d in self._all(con) if d.number == number and d.stands), None)
            if wanted is None:
                raise NotFound("merge that stands", str(number), hint="See: kohort identity log")
            return self._end(con, [wanted], "split", run=0, by=by, at=at, reason=reason)[0]

    def undo(self, run: int, *, by: str, at: int, reason: str = "") -> list[Decision]:
        """Takes back every merge of a run that still stands, and its open questions. A later run may find them again.

        Raises:
            NotFound: There was no such run.
        """
        with self._lock(), self._database.write() as con:
            if not 0 < run <= Ledger(con).get("next:identity_run")[0]:
                raise NotFound("run", str(run), hint="See: kohort identity log")
            questions.delete(con, _q.run == run)
            stood = [d for d in self._all(con) if d.run == run and d.stands]
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
                made = {self._note(con, [("reject", asked.pair, 0)], run=0, by=by, at=at, reason=reason)}
            return next(iter(_read([row for row in decisions.all(con, _t.number) if row["number"] in made])), None)

    def _end(
        self, con: Connection, ended: Sequence[Decision], what: What, *, run: int, by: str, at: int, reason: str
    ) -> list[Decision]:
        if not ended:
            return []
        first = self._note(con, [(what, d.pair, d.number) for d in ended], run=run, by=by, at=at, reason=reason)
        self.work_out(con, at)
        return [d for d in self._all(con) if d.number >= first]

    def _note(
        self, con: Connection, what: Sequence[tuple[What, Pair, int]], *, run: int, by: str, at: int, reason: str
    ) -> int:
        first = Ledger(con).take("identity_decision", len(what))
        said = {"ts": 0, "link": "", "run": run, "reason": reason, "by": by, "decided_us": at}
        decisions.insert(
            con,
            [
                {"number": first + n, "what": name, **_stored(pair), "ends": ends, **said}
                for n, (name, pair, ends) in enumerate(what)
            ],
        )
        return first

    # -- links -----------------------------------------------------------------------------------------------------

    def late(self, con: Connection, new: Sequence[Link], learned_us: int) -> None:
        """Events said something about the time before a merge: what links follow is worked out anew. Part of `Links.add`."""
        if decisions.count(con) and min(link.ts for link in new) <= (con.scalar(sa.select(sa.func.max(_t.ts))) or 0):
            self.work_out(con, learned_us)

    def work_out(self, con: Connection, learned_us: int) -> None:
        """Brings the links of merges in line with the log and with what events said, inside the caller's transaction."""
        linked = self._linked(con)
        if not linked:
            return
        table = self._links.all(con)
        mine = _mine(table, linked)
        merges = [merge for decision, merge in linked if decision.stands]
        said = _near(table.filter(pc.invert(mine)), [id_ for m in merges for id_ in (m.keep, m.other)])
        wanted = {link.event_id: link for link in links_of(_as_links(said), merges)}
        there = {link.event_id: link for link in _as_links(table.filter(mine))}
        self._links.take_back(con, sorted(id_ for id_, link in there.items() if wanted.get(id_) != link))
        self._links.put(con, [x for id_, x in wanted.items() if there.get(id_) != x], learned_us=learned_us)

    def parting(self, one: int, other: int) -> list[Decision]:
        """The merges that stand and each of which alone, taken back, parts two ids.

        Raises:
            WrongUsage: They are not one customer, or no merge alone makes them one: events say so.
        """
        with self._database.read() as con:
            table, linked = self._links.all(con), self._linked(con)
        meant = roots(table)
        if meant.root_of(one) != meant.root_of(other):
            raise WrongUsage("These two are not one customer.", hint="There is nothing to split.")
        group = set(meant.members(meant.root_of(one)))
        said = _as_links(_near(table.filter(pc.invert(_mine(table, linked))), group))
        near = [(d, merge) for d, merge in linked if d.stands and {merge.keep, merge.other} & group]
        found = []
        for left_out, _ in near:
            kept = [merge for decision, merge in near if decision is not left_out]
            without = roots([*said, *links_of(said, kept)])
            if without.root_of(one) != without.root_of(other):
                found.append(left_out)
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
            found = self._all(con)
        return found if ids is None else [d for d in found if d.pair.keep in ids or d.pair.other in ids]

    def questions(self) -> list[Question]:
        """What waits for a person, the most uncertain first."""
        with self._database.read() as con:
            found = self._asked(con)
        return sorted(found, key=lambda q: (abs((q.pair.score if q.pair.score is not None else 0.5) - 0.5), q.number))

    def apart(self) -> set[frozenset[int]]:
        """Pairs that a person said are not one customer, and that nobody merged since."""
        found: set[frozenset[int]] = set()
        for decision in self.log():
            pair = frozenset((decision.pair.keep, decision.pair.other))
            if decision.what in ("split", "reject"):
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
            self._all(con)
            self._asked(con)

    def forget(self, con: Connection, ids: Sequence[int], *, learned_us: int) -> int:
        """Deletes decisions and questions about persons who are erased, inside the caller's transaction. Says how many."""
        gone = 0
        whom = [int(id_) for id_ in ids]
        for start in range(0, len(whom), _CHUNK):
            some = whom[start : start + _CHUNK]
            gone += decisions.delete(con, sa.or_(_t.keep.in_(some), _t.other.in_(some)))
            gone += questions.delete(con, sa.or_(_q.keep.in_(some), _q.other.in_(some)))
        if gone:
            self.work_out(con, learned_us)
        return gone

    def _all(self, con: Connection) -> list[Decision]:
        return _read(decisions.all(con, _t.number))

    def _linked(self, con: Connection) -> list[tuple[Decision, Merge]]:
        """Every merge there ever was, standing or not."""
        rows = decisions.all(con, _t.number)
        return [
            (d, Merge(d.number, d.pair.keep, d.pair.other, d.ts, row["link"]))
            for d, row in zip(_read(rows), rows, strict=True)
            if d.what == "merge"
        ]

    def _asked(self, con: Connection) -> list[Question]:
        return [Question(row["number"], row["run"], _pair(row)) for row in questions.all(con, _q.number)]


def _stored(pair: Pair) -> dict[str, Any]:
    evidence = json.dumps([[f.field, f.says, f.weight] for f in pair.evidence], allow_nan=False)
    score = None if pair.score is None else float(pair.score)
    return {"keep": int(pair.keep), "other": int(pair.other), "how": pair.how, "score": score, "evidence": evidence}


def _pair(row: sa.RowMapping) -> Pair:
    evidence = tuple(Field(*line) for line in json.loads(row["evidence"]))
    return Pair(row["keep"], row["other"], row["how"], row["score"], evidence)


def _read(rows: Iterable[sa.RowMapping]) -> list[Decision]:
    """Rows in the order of their numbers; `stands` is right where they are all there are."""
    listed = list(rows)
    ended = {row["ends"] for row in listed}
    return [
        Decision(
            row["number"],
            row["what"],
            _pair(row),
            row["ts"],
            row["run"],
            row["ends"],
            row["reason"],
            row["by"],
            row["decided_us"],
            row["what"] == "merge" and row["number"] not in ended,
        )
        for row in listed
    ]


def _mine(table: pa.Table, linked: Sequence[tuple[Decision, Merge]]) -> pa.ChunkedArray:
    """Which links are those of merges."""
    return pc.is_in(table.column("event_id"), value_set=pa.array([merge.link for _, merge in linked], pa.string()))


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
