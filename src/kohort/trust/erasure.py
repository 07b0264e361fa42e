"""Erasing people: from everywhere, in four steps, each of which can be interrupted at any moment and done again.

| step | what is true after it |
|---|---|
| asked | it is noted whom to erase (pseudonyms only) |
| closed | keys and identifiers are destroyed, ids are tombstones: nobody can read her any more, and nothing of hers comes in |
| purged | events, memberships, links, merges, lists, deliveries, examples and rejected rows are without her; nothing tells whom it was |
| done | replaced files are deleted, databases and the Delta log written anew, requests on disk gone; the receipt is complete |
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kohort.errors import Busy, NotFound
from kohort.model.clock import iso
from kohort.model.links import roots
from kohort.model.progress import Progress, silent
from kohort.segments.run_rules import turn
from kohort.store.erasing import Purged, clear, edges_told, purge
from kohort.store.journal import ask_to_end_file
from kohort.trust.mentions import Mentions
from kohort.trust.models import forget_rows, to_make_again

if TYPE_CHECKING:
    from kohort.store.requests import Request
    from kohort.store.store import Store

KIND = "erasure"
_STEPS = 4
_JOURNAL_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Eraser:
    """Erases people from one workspace; a server may keep it current meanwhile.

    Args:
        store: The workspace's.
        id_columns: Source → its column of customer numbers, for finding rejected rows.
        clock: Microseconds UTC.
        progress: Told the step.
        threads: So many files are written at the same time.
        journal_seconds: How long to wait for a server to let go of requests that it has dealt with.
    """

    store: Store
    id_columns: Mapping[str, str]
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000
    progress: Progress = silent
    journal_seconds: float = _JOURNAL_SECONDS
    threads: int = 1

    def erase(self, customers: Sequence[int]) -> dict[str, Any]:
        """Erases persons with every id that leads to them, and answers the receipt.

        Args:
            customers: Pseudonyms, theirs or ones that lead to them.
        """
        with self.store.write_lock():
            number = self._close(self._ask(customers))
        return self._go_on(self.store.requests.one(number))

    def finish(self) -> list[dict[str, Any]]:
        """Goes on with everything that was interrupted, and answers the receipts."""
        found = []
        for request in self.store.requests.unfinished():
            if request.kind == KIND:
                if request.step == "asked":
                    with self.store.write_lock():
                        self._close(request.number)
                found.append(self._go_on(self.store.requests.one(request.number)))
        return found

    def with_journal_seconds(self, seconds: float) -> Eraser:
        """The same, waiting so long for a server."""
        return replace(self, journal_seconds=seconds)

    # -- steps -----------------------------------------------------------------------------------------------------

    def _ask(self, customers: Sequence[int]) -> int:
        """Notes whom to erase: every id of each person."""
        store = self.store
        with store._database.write() as con:
            found = roots(store.links.all(con))
            people = sorted({int(found.root_of(int(customer))) for customer in customers})
            ids = sorted({int(id_) for root in people for id_ in found.members(root)} | set(people))
            receipt = {"people": len(people), "ids": len(ids), "stores": {}}
            return store.requests.begin(con, KIND, ids, now=self.clock(), receipt=receipt)

    def _close(self, number: int) -> int:
        """Rejected rows and reasons first, for they are found by identifiers; then the identifiers and their keys. Under the
        write lock, so that nothing comes in between."""
        self.progress("Destroying keys", 0, _STEPS)
        store, request = self.store, self.store.requests.one(number)
        mentions = Mentions(self.id_columns)
        for customer in request.customers:
            try:
                mentions.add(store.vault.open_person(customer))
            except NotFound:
                continue  # destroyed before an interruption, and her rejected rows before that
        receipt, there = request.receipt, sum(store.vault.there(request.customers))
        # Counted before, since an interruption after it finds nobody any more.
        receipt["stores"]["vault"] = max(there, receipt["stores"].get("vault", 0))
        with store._database.write() as con:
            rejected = store.state.reject_no_more(con, mentions.in_row)
            receipt["stores"]["rejected_rows"] = receipt["stores"].get("rejected_rows", 0) + rejected
            reasons = store.merges.unsay(con, mentions.in_text) + store.feedback.unsay(con, mentions.in_text)
            receipt["stores"]["reasons"] = receipt["stores"].get("reasons", 0) + reasons
            store.requests.advance(con, number, "asked", receipt)
        store.vault.erase(request.customers, erased_us=request.asked_us)
        receipt["closed_at"] = iso(self.clock())
        with store._database.write() as con:
            store.requests.advance(con, number, "closed", receipt)
        return number

    def _go_on(self, request: Request) -> dict[str, Any]:
        if request.step == "closed":
            self._purge(request.number)
        return self._finish(self.store.requests.one(request.number))

    def _purge(self, number: int) -> None:
        """Everything that is stored about her, in one transaction; runs that began before are waited for, and so is whoever goes on
        with the same request."""
        self.progress("Rewriting", 1, _STEPS)
        with turn(self.store):
            request = self.store.requests.one(number)
            if request.step == "closed":
                self._purge_now(request)

    def _purge_now(self, request: Request) -> None:
        store, receipt = self.store, request.receipt
        rows = forget_rows(store, request.customers)

        def done(con: Any, found: Purged) -> None:
            receipt["stores"] |= found.stores
            receipt["stores"]["model_rows"] = receipt["stores"].get("model_rows", 0) + rows
            receipt["recipients"] = [
                {
                    "destination": r.destination,
                    "deliveries": r.deliveries,
                    "last_at": iso(r.last_us) if r.last_us else None,
                }
                for r in found.recipients
            ]
            receipt["purged_at"] = iso(self.clock())
            receipt["delta_log"] = edges_told(store, request.customers)  # after recent events moved into the base
            receipt["last_request"] = _last_request(store)
            store.requests.advance(con, request.number, "purged", receipt, forget_whom=True)

        purge(store, request.customers, done, threads=self.threads)

    def _finish(self, request: Request) -> dict[str, Any]:
        """What was replaced goes from the disk; then the receipt is complete."""
        store, receipt = self.store, dict(request.receipt)
        if request.step == "done":
            return _shown(request.number, receipt)
        self.progress("Deleting what was replaced", 2, _STEPS)
        if receipt.pop("delta_log", True):
            store.log.republish()
        clear(store)
        self.progress("Letting go of requests on disk", 3, _STEPS)
        waiting = self._let_go_of_requests(int(receipt.pop("last_request", 0)))
        receipt["remaining"] = _remaining(store, waiting)
        receipt["retrain"] = to_make_again(store)
        receipt["asked_at"] = iso(request.asked_us)
        with store.write_lock():  # each receipt names the one before it: no two may come after the same one
            if (known := store.requests.one(request.number)).step == "done":
                return _shown(request.number, known.receipt)  # whoever went on with the same one was first
            ended = [r for r in store.requests.all() if r.step == "done" and "digest" in r.receipt]
            last = max(ended, key=lambda r: (r.ended_us or 0, r.number), default=None)
            receipt["previous"] = last.receipt["digest"] if last else ""
            now = self.clock()
            receipt["done_at"] = iso(now)
            receipt["digest"] = digest(request.number, receipt)
            with store._database.write() as con:
                store.requests.advance(con, request.number, "done", receipt, ended_us=now)
        self.progress("Erased", _STEPS, _STEPS)
        return _shown(request.number, receipt)

    def _let_go_of_requests(self, last: int) -> int:
        """Sees to it that requests up to a number are deleted once their effects are stored; how many were not yet."""
        store, folder = self.store, self.store.root / "journal"
        if not folder.exists():
            return 0
        try:
            with store.journal() as journal:
                done = store.ticks.position().sources.get("journal", 0)
                journal.forget(done, roll=True)
                return max(0, min(last, journal.last) - done)
        except Busy:
            pass  # a server writes it, and does the same when asked
        ask_to_end_file(folder)
        deadline = time.monotonic() + self.journal_seconds
        while (first := store.journal_to_read().first) <= last and time.monotonic() < deadline:
            time.sleep(0.1)
        return max(0, last + 1 - first)


def digest(number: int, receipt: Mapping[str, Any]) -> str:
    """SHA-256 of a receipt with the digest of the one before it: none can be changed or left out unnoticed."""
    body = {key: value for key, value in receipt.items() if key != "digest"} | {"request": number}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _shown(number: int, receipt: Mapping[str, Any]) -> dict[str, Any]:
    return {"request": f"{KIND}-{number}", **receipt}


def _last_request(store: Store) -> int:
    return store.journal_to_read().last if (store.root / "journal").exists() else 0


def _remaining(store: Store, waiting: int) -> list[dict[str, str]]:
    """What no program of ours can do, or not yet, in plain sentences."""
    found = [
        {
            "what": "backups",
            "text": "Backups still hold her until they expire; after a restore, run kohort privacy replay with the ledger.",
        },
        {"what": "sources", "text": "The files and systems that the data came from are yours to clean."},
    ]
    if to_make_again(store):
        found.append({"what": "models", "text": "Saved models were learned with her among others: make them again."})
    if waiting:
        text = f"{waiting:,} requests on disk are sealed and not dealt with yet; the server refuses what is about her."
        found.append({"what": "journal", "text": text})
    if any(name.startswith("kafka:") for name in store.ticks.position().sources):
        text = "Kafka keeps messages for as long as the topic says; what is read again about her is refused."
        found.append({"what": "kafka", "text": text})
    return found
