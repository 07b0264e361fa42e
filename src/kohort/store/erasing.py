"""Taking persons out of what is stored: files are rewritten first, then one transaction makes all of it true at once.

Nobody knows the new files until that transaction, so a process may end at any point: what it leaves behind is cleared up,
and the same call begins anew. A reader sees the persons everywhere, or nowhere.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Busy
from kohort.model.event import event_schema
from kohort.store import base, by_hand, deliveries, schema, state, trait_changes
from kohort.store.base import BaseFile
from kohort.store.database import shrink
from kohort.store.going import Going, Persons
from kohort.store.keeping import ERASED, Overtaken, base_files
from kohort.store.members.forget import Forgetting
from kohort.store.sealed import Ledger

if TYPE_CHECKING:
    from kohort.store.log import EventLog
    from kohort.store.store import Store

_TRIES = 5
_CHUNK = 500
_SHOWN = ("typical", "edge", "odd")
"""Lists of example customers in a kept segmentation."""


Rewritten = dict[str, tuple[BaseFile, list[BaseFile]]]
"""Path → a file as it is, and what comes in its place."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where news about erased persons went: a destination, how many deliveries it got, and when the last one was."""

    destination: str
    deliveries: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Purged:
    """What was taken out, by store.

    Attributes:
        stores: "events", "transitions", "memberships", "links", "merges", "by_hand", "feedback", "deliveries", "examples",
            "kept_answers", "looks" (entries of the audit log), "cases" (requests of theirs) → how many.
        recipients: Destinations that had been told about these persons.
    """

    stores: Mapping[str, int]
    recipients: tuple[Recipient, ...]


Done = Callable[[Connection, Purged], None]


def purge(store: Store, customers: Sequence[int], done: Done, *, threads: int = 1) -> Purged:
    """Takes persons out of events, memberships, links, decisions by hand, deliveries and kept answers: all, or nothing.

    Their ids are erased in the vault already, so that nothing of theirs comes in any more, and no run is going on that began
    before: it would publish them again. Replaced files are still there afterwards; `clear` deletes them.

    Args:
        customers: Pseudonyms, all ids of the persons.
        done: Called inside the transaction with the connection and what was found, to note that it is done.
        threads: So many files are written at the same time.

    Raises:
        Busy: Others merged the same files, again and again.
    """
    ids = np.unique(np.asarray(customers, np.int64))
    store.log.compact()
    rewritten: Rewritten = {}
    members = Forgetting(store.members.parts, ids)
    for _ in range(_TRIES):
        _rewrite(store.log, Persons(ids, store.log.buckets), rewritten, threads)
        store.members.parts.read(members.look)
        try:
            found = _make_true(store, ids, rewritten, members, done)
        except (Overtaken, FileNotFoundError):
            continue  # files were merged meanwhile: the new ones are looked at again, the others are done
        store.log._catch_up()
        return found
    raise Busy("The files of the event log were merged meanwhile, again and again.", hint="Run it again.")


def _rewrite(log: EventLog, going: Going, rewritten: Rewritten, threads: int) -> None:
    """Writes every file of the log that holds some of these persons anew, without them."""
    with log._database.read() as con:
        files, columns = log._live(con), log._declared(con)
    live = {file.path: file for file in files if going.may_hold(file)}
    for path in rewritten.keys() - live.keys():
        _discard(log, rewritten.pop(path)[1])
    full = event_schema(columns).remove(0)
    wanted = [live[path] for path in sorted(live.keys() - rewritten.keys())]

    def anew(file: BaseFile) -> list[BaseFile] | None:
        return base.without(log.events, file, going, full)

    with ThreadPoolExecutor(max(1, threads)) as pool:
        for file, new in zip(wanted, pool.map(anew, wanted), strict=True):
            if new is not None:
                rewritten[file.path] = file, new


def _make_true(store: Store, ids: np.ndarray, rewritten: Rewritten, members: Forgetting, done: Done) -> Purged:
    log, customers = store.log, ids.tolist()
    with store.write_lock(), store._database.write() as con:
        live = {file.path for file in log._live(con)}
        if not rewritten.keys() <= live or not all(
            (log.events / f.path).exists() for _, new in rewritten.values() for f in new
        ):
            raise Overtaken("The files were merged meanwhile.")
        _adopt(log, con, rewritten)
        events = sum(old.rows - sum(f.rows for f in new) for old, new in rewritten.values())
        moves = members.make_true(con)
        rows, recipients = _deliveries(con, customers)
        found = Purged(
            {
                "events": events,
                "transitions": moves.transitions,
                "memberships": moves.memberships,
                "links": store.links.drop(con, customers),
                "merges": store.merges.forget(con, customers, learned_us=int(time.time() * 1e6)),
                "by_hand": _by_hand(con, ids),
                "feedback": store.feedback.forget(con, customers),
                "deliveries": rows + trait_changes.erase_in(con, customers),
                "examples": leave_out_examples(con, customers),
                "kept_answers": _kept(con),
                "looks": store.audit_log.forget(con, customers),
                "cases": store.cases.forget(con, customers),
            },
            recipients,
        )
        done(con, found)
    return found


def _adopt(log: EventLog, con: Connection, rewritten: Rewritten) -> None:
    if not rewritten:
        return
    now = int(time.time() * 1e6)
    base_files.insert(con, [asdict(file) for _, new in rewritten.values() for file in new])
    for old, new in rewritten.values():
        base_files.update(con, schema.base_file.c.path == old.path, removed_us=now)
        # Ids of the events stay known as digests, so that a replay is a duplicate.
        Ledger(con).add(ERASED, old.rows - sum(file.rows for file in new), 0)
    log._changed(con, base_too=True)


def _discard(log: EventLog, files: Iterable[BaseFile]) -> None:
    for file in files:
        (log.events / file.path).unlink(missing_ok=True)


def _by_hand(con: Connection, ids: np.ndarray) -> int:
    """Leaves persons out of every action by hand; says how many mentions of them there were."""
    gone = 0
    for row in by_hand.actions.all(con, schema.by_hand.c.id):
        whom = np.frombuffer(row["customers"], "<i8")
        kept = whom[~np.isin(whom, ids)]
        gone += len(whom) - len(kept)
        if len(kept) == len(whom):
            continue
        this = schema.by_hand.c.id == row["id"]
        if len(kept):
            by_hand.actions.update(con, this, customers=kept.tobytes(), rows=len(kept))
        else:
            by_hand.actions.delete(con, this)
    return gone


def _deliveries(con: Connection, customers: Sequence[int]) -> tuple[int, tuple[Recipient, ...]]:
    """Deletes everything that was or will be delivered about persons; says how much, and who got some of it."""
    table, rows = schema.delivery, 0
    told: dict[str, list[int]] = {}
    for start in range(0, len(customers), _CHUNK):
        mine = table.c.customer.in_(customers[start : start + _CHUNK])
        sent = sa.select(table.c.destination, table.c.first_us).where(mine, table.c.attempts > 0)
        for destination, first in con.execute(sent):
            told.setdefault(destination, []).append(int(first or 0))
        rows += deliveries.deliveries.delete(con, mine)
    return rows, tuple(Recipient(name, len(when), max(when)) for name, when in sorted(told.items()))


def leave_out_examples(con: Connection, customers: Iterable[int]) -> int:
    """Leaves persons out of the example customers of kept segmentations; says how many mentions there were."""
    gone, whom = 0, frozenset(customers)
    for row in state.segmentations.all(con, schema.segmentation.c.key):
        document = json.loads(row["document"])
        found = _without(document, whom)
        if found:
            text = json.dumps(document, sort_keys=True, allow_nan=False)
            state.segmentations.update(con, schema.segmentation.c.key == row["key"], document=text)
            gone += found
    return gone


def _without(document: Any, customers: frozenset[int]) -> int:
    """Removes example customers wherever they are in a document; says how many."""
    gone = 0
    for name, value in document.items() if isinstance(document, dict) else enumerate(document):
        if name in _SHOWN and isinstance(value, list):
            kept = [one for one in value if not (isinstance(one, dict) and int(one.get("customer", 0)) in customers)]
            gone += len(value) - len(kept)
            document[name] = kept
        elif isinstance(value, dict | list):
            gone += _without(value, customers)
    return gone


def _kept(con: Connection) -> int:
    """Forgets answers about all the data: they counted the persons, and are made anew when they are asked for."""
    names = [row["name"] for row in state.settings.all(con)]
    kept = [name for name in names if name.startswith("kept.") or name == "audit"]
    return sum(state.settings.delete(con, schema.setting.c.name == name) for name in kept)


def clear(store: Store) -> int:
    """Deletes at once what `purge` replaced: event files and what the index made of them, membership files, old images in
    both databases; and files that nobody has read in yet, whoever is in them. Says how many files went. Whoever still
    reads an older snapshot has to ask again.
    """
    log = store.log
    with store.write_lock():
        gone = log.vacuum(older_than_seconds=-1) + store.members.parts.clean() + store.uploads.clear()
        with log._database.read() as con:
            live = {file.sha256[:16] for file in log._live(con)}
        for path in log.index.glob("*-*"):  # made of a file that went while the index was being made
            if path.name.split("-")[0] not in live:
                path.unlink(missing_ok=True)
                gone += 1
    _shrink(store)
    return gone


def edges_told(store: Store, customers: Sequence[int]) -> bool:
    """Whether the Delta log repeats one of these pseudonyms: as the smallest or largest one of a file."""
    wanted = [str(int(customer)).encode() for customer in customers]
    log = store.root / "events" / "_delta_log"
    for path in log.glob("*") if log.exists() else ():
        if path.suffix != ".json" and path.is_file():
            return True  # a checkpoint is not read here: writing the log anew is cheap
        data = path.read_bytes() if path.is_file() else b""
        if any(text in data for text in wanted):
            return True
    return False


def _shrink(store: Store) -> None:
    """Writes both databases anew: pages may hold old images of what was moved before it was deleted."""
    store._database.shrink()
    with store.vault._translated():
        shrink(store.vault._con, store.vault.path.name)


__all__ = ["Purged", "Recipient", "clear", "edges_told", "leave_out_examples", "purge"]
