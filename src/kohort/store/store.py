"""One workspace's store: event log, memberships, transactional state, vault and artefacts, behind one write lock."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from kohort.errors import Damaged, KohortError, WrongUsage
from kohort.model.arrival import Link
from kohort.model.links import root_of, roots
from kohort.store.answered import Answered
from kohort.store.api_keys import ApiKeys
from kohort.store.artefacts import Artefacts
from kohort.store.audit_log import AuditLog
from kohort.store.by_hand import ByHand
from kohort.store.cases import Cases
from kohort.store.database import Database
from kohort.store.definition_texts import DefinitionTexts
from kohort.store.deliveries import Deliveries
from kohort.store.feedback import Feedback
from kohort.store.files import private_file, private_folder
from kohort.store.jobs import JobRecords
from kohort.store.journal import Journal, being_written
from kohort.store.journal_shelf import Look
from kohort.store.keys import MasterKey, keys_that_may_open, master_key, rotation_under_way
from kohort.store.lock import WriteLock
from kohort.store.log import EventLog
from kohort.store.major import Major
from kohort.store.members.members import Members
from kohort.store.merges import Merges
from kohort.store.requests import Requests
from kohort.store.sealed import Ledger
from kohort.store.sessions import Sessions
from kohort.store.state import Quarantine, State
from kohort.store.status import Statuses
from kohort.store.ticks import Ticks
from kohort.store.trait_changes import TraitChanges
from kohort.store.uploads import Uploads
from kohort.store.users import Users
from kohort.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not check out: where, and one sentence."""

    place: str
    text: str


class Store:
    """Opened by `kohort.store.open_store`. Use it in a `with` block, or call `close`."""

    def __init__(self, root: Path, database: Database, vault: Vault, lock: WriteLock) -> None:
        self.root = root
        self.vault = vault
        self.artefacts = Artefacts(root)
        self.members = Members(root, database, lock)
        self.state = State(database, Quarantine(vault.quarantine, vault.release))
        self.definitions = DefinitionTexts(database)
        self.by_hand = ByHand(database)
        self.feedback = Feedback(database)
        self.status = Statuses(database)
        self.deliveries = Deliveries(database)
        self.trait_changes = TraitChanges(database)
        self.api_keys = ApiKeys(database)
        self.requests = Requests(database)
        self.jobs = JobRecords(database)
        self.uploads = Uploads(root)
        self.cases = Cases(database)
        self.answered = Answered(database, vault.key_for("answered requests"))
        self.audit_log = AuditLog(database, vault.key_for("audit log"))
        self.sessions = Sessions(database, self.audit_log)
        self.users = Users(database, self.sessions, self.audit_log)
        self._database = database
        self._lock = lock
        buckets, seed = self.state.get("buckets"), self.state.get("hash_seed")
        if not isinstance(buckets, int) or not isinstance(seed, str):
            raise Damaged("The state does not say how the event log is laid out.", hint="Restore state.db.")
        self.log = EventLog(root, database, lock, buckets=buckets, seed=int(seed, 16))
        self.links = self.log.links
        self.merges = Merges(database, lock, self.links)
        self.links.heard = self.merges.late
        self.ticks = Ticks(database, self.members.parts, self.state, self.links)

    def write_lock(self) -> AbstractContextManager[None]:
        """Other writers wait, and get `Busy` when it takes too long; readers never wait."""
        return self._lock()

    def major(self) -> Major:
        """A customer-major index of the events; empty until it is brought up to date."""
        return Major(self.log.index, self.log.buckets)

    def journal(self) -> Journal:
        """The journal of what comes in; one process writes it at a time.

        Raises:
            Busy: Another process does.
        """
        position = self.ticks.position().sources.get("journal", 0)
        return Journal(self.root / "journal", self._key(), at_least=position)

    def kept_current(self) -> int | None:
        """The moment that members show (microseconds UTC) where a server keeps them current now; None where none does."""
        as_of = self.ticks.position().as_of
        return as_of if as_of and being_written(self.root / "journal") else None

    def journal_to_read(self) -> Look:
        """The journal for reading only, beside the process that writes it."""
        return Journal.look(self.root / "journal", self._key())

    def _key(self) -> MasterKey:
        """The master key that the vault is sealed with: after a rotation the environment may still hold the one before, too."""
        found = keys_that_may_open(self.root)
        return next((key for key in found if len(found) > 1 and self.vault.opens_with(key)), found[0])

    def version(self) -> str:
        """Another text whenever events, batches or rejected rows have changed: does an answer made from them still hold?

        Reads a few counters and no file.
        """
        with self._database.read() as con:
            counted = [Ledger(con).get(name) for name in ("log", "batch", "rejected_row")]
        return "|".join(str(n) for pair in counted for n in pair)

    def link(self, rows: Sequence[Link], *, now: int) -> int:
        """Keeps links that came by another way than the live loop; says how many were new. See `Links.add`."""
        with self._lock(), self._database.write() as con:
            return self.links.add(con, rows, learned_us=now)

    def meant(self, customer: int, as_of: int | None = None) -> int:
        """The id that an id leads to at a moment (microseconds UTC; None = by every link there is); itself where to none."""
        with self._database.read() as con:
            links = self.links.all(con)
        return root_of(links if links.num_rows else None, customer, as_of)

    def unlink(self, event_ids: Sequence[str]) -> int:
        """Takes links back, by the event that stated each: their ids are apart again, as if it had never been said."""
        with self._lock(), self._database.write() as con:
            gone = self.links.take_back(con, event_ids)
            self.merges.work_out(con, time.time_ns() // 1_000)
            return gone

    def erase(self, customer: int, *, now: int) -> int:
        """Forgets a person: her key, her ids, her events, her links and what people decided about her by hand.

        All ids that lead to her are erased with her, and leave keyed tombstones: what still arrives for them is dropped
        at the door (`Vault.erased_refs`). Without events she leaves every segment at the next run or tick. Past
        transitions keep a pseudonym that leads to nobody. Interrupted, it is simply done again.

        Args:
            customer: Pseudonym, hers or one that leads to her.
            now: Wall clock, microseconds UTC.

        Returns:
            How many events there were.
        """
        with self._lock():
            with self._database.read() as con:
                found = roots(self.links.all(con))
            person = found.members(found.root_of(customer))
            self.vault.erase(person, erased_us=now)  # first, so that nothing of hers comes in meanwhile
            gone = self.log.erase(person)
            decided = self.by_hand.table()
            for name in sorted(
                set(decided.filter(pc.is_in(decided["customer"], pa.array(person)))["name"].to_pylist())
            ):
                self.by_hand.reset(name, person, now=now)
            self.trait_changes.erase(person)
            self.deliveries.erase(person)
            with self._database.write() as con:
                self.links.drop(con, person)  # last: they say who is meant
                self.merges.forget(con, person, learned_us=now)
                self.feedback.forget(con, person)
                self.audit_log.forget(con, person)
                self.cases.forget(con, person)
        return gone

    def verify(self) -> list[Problem]:
        """Reads everything there is and compares it with its digests; an empty list is a clean bill of health.

        Takes about as long as reading the whole workspace once.
        """
        found = [Problem("state", line) for line in _tried(self._database.check)]
        found += [Problem("state", line) for line in _tried(self.state.check)]
        for check in (
            self.members.check,
            self.definitions.check,
            self.by_hand.check,
            self.feedback.check,
            self.status.all,
            self.deliveries.check,
            self.trait_changes.check,
            self.api_keys.check,
            self.links.check,
            self.merges.check,
            self.requests.check,
            self.jobs.check,
            self.cases.check,
            self.answered.check,
            self.users.check,
            self.sessions.check,
            self.audit_log.check,
        ):
            found += [Problem("state", line) for line in _tried(check)]
        found += [Problem("vault", line) for line in _tried(self.vault.check)]
        found += [Problem("events", line) for line in _tried(self.log.check)]
        for kind in self.artefacts.kinds():
            for id_ in self.artefacts.ids(kind):
                found += [
                    Problem(f"models/{kind}/{id_}", t) for t in _tried(lambda k=kind, i=id_: self.artefacts.load(k, i))
                ]
        return found

    def close(self) -> None:
        self._database.close()
        self.vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create(root: Path, *, buckets: int) -> Store:
    """See `kohort.store.create_store`."""
    if buckets < 1:
        raise WrongUsage("A workspace needs at least one customer bucket.")
    private_folder(root)
    lock = WriteLock(root / ".lock")
    with lock():
        if (root / "state.db").exists():
            raise WrongUsage("There is a store in this folder already.", hint="Open it instead.")
        for folder in ("events", "models", "ids"):
            private_folder(root / folder)
        key, new = master_key(root, create=True), not (root / "vault.db").exists()
        vault = Vault(root / "vault.db", key, create=new, keys=partial(keys_that_may_open, root))
        private_file(root / "state.db")
        database = Database(root / "state.db")
        database.prepare()
        state = State(database, Quarantine(vault.quarantine, vault.release))
        state.set("buckets", buckets)
        state.set("hash_seed", secrets.token_hex(8))
        return Store(root, database, vault, lock)


def open_(root: Path) -> Store:
    """See `kohort.store.open_store`."""
    if not (root / "state.db").exists():
        raise Damaged("The workspace has no state.db.", hint="Restore it from a backup, or create the workspace again.")
    lock = WriteLock(root / ".lock")
    database = Database(root / "state.db")
    try:
        if database.outdated():
            with lock():
                database.prepare()
        keys = partial(keys_that_may_open, root)
        vault = Vault(root / "vault.db", master_key(root, create=False), keys=keys)
        store = Store(root, database, vault, lock)
        if rotation_under_way(root):
            from kohort.store.rotating import finish

            finish(store)
        return store
    except BaseException:
        database.close()
        raise


def _tried(check: object) -> list[str]:
    """What a check says: lines it returns, or the error it raises."""
    try:
        found = check()  # type: ignore[operator]
    except KohortError as error:
        return [error.message]
    return found if isinstance(found, list) else []


__all__ = ["MasterKey", "Problem", "Store", "create", "open_"]
