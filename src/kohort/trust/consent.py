"""The ledger of consent: what somebody said about each purpose, when, to whom, and what proves it.

A statement is an event that carries the trait of the purpose, as it is when it comes from a shop or a form. So evaluation knows one
mechanism. Where somebody wrote a statement down here, its source and proof are sealed in the vault with the person's key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from kohort.errors import NotFound, WrongUsage
from kohort.model.clock import DAY_US, iso, moment
from kohort.model.consent import flags
from kohort.model.source import BatchReport
from kohort.segments.consent import Consents
from kohort.segments.why import rows_of
from kohort.store.vault import CONSENT

if TYPE_CHECKING:
    from kohort.store.store import Store

EVENT = SOURCE = "consent"
"""An event of its own: what is only known about somebody (`identify`) does not move the moment that runs ask about, and a
consent that was taken back must end memberships although nothing else happened since."""
LONGEST = 500
"""Characters of a source, and of a proof."""


def ledger(store: Store, ids: Sequence[int], as_of: int, consent: Mapping[str, str]) -> list[dict[str, Any]]:
    """Per purpose what holds and everything that was said about it, oldest first.

    Args:
        ids: Pseudonyms of a person, her own first.
        consent: Purpose → trait.

    Returns:
        `[{"purpose", "agreed", "statements": [{"at", "agreed", "source", "proof"}]}]`, statements up to the moment.
    """
    snapshot = store.log.snapshot()
    known = flags(consent, snapshot.columns)
    holds = Consents(snapshot, ids[0], as_of, known)
    sources = {report.batch: report.source for report in store.state.batches()}
    written = {note["event"]: note for id_ in ids for note in _written(store, id_)}
    columns = ["ts", "event_id", "batch", *sorted(set(known.values()))]
    rows = [row for id_ in ids for table in rows_of(snapshot, id_, columns) for row in table.to_pylist()]
    rows.sort(key=lambda row: (row["ts"], row["event_id"]))

    def statement(row: Mapping[str, Any], trait: str) -> dict[str, Any]:
        note = written.get(row["event_id"], {})
        source = note.get("source") or sources.get(row["batch"], "")
        return {"at": iso(row["ts"]), "agreed": row[trait], "source": source, "proof": note.get("proof", "")}

    def said(trait: str | None) -> list[dict[str, Any]]:
        visible = (row for row in rows if trait and row["ts"] <= as_of and row.get(trait) is not None)
        return [statement(row, str(trait)) for row in visible]

    return [
        {"purpose": purpose, "agreed": holds.agreed(purpose, as_of), "statements": said(known.get(purpose))}
        for purpose in consent
    ]


def record(
    store: Store,
    customer: int,
    trait: str,
    agreed: bool,
    *,
    source: str,
    proof: str = "",
    at: int,
    now: int,
    zone: str,
) -> bool:
    """Writes down what a customer said; says whether it is new. The same statement again changes nothing.

    Args:
        customer: Pseudonym.
        trait: Of the purpose.
        source: Where she said it: "paper form", "call centre".
        proof: Where that can be seen: "folder 12, page 3".
        at: When she said it, microseconds UTC; of today's date, no later than now.
        zone: The workspace's.

    Raises:
        WrongUsage: No source, a text that is too long, a moment to come, or a trait that is no flag.
    """
    if not source.strip():
        raise WrongUsage("Say where she said it.", hint="For example --source 'paper form'.")
    if max(len(source), len(proof)) > LONGEST:
        raise WrongUsage(f"Source and proof have at most {LONGEST} characters.", hint="Say where it can be seen.")
    if at - now >= DAY_US:
        raise WrongUsage("Nobody can agree or refuse in the future.", hint="Give the day on which it was said.")
    at = min(at, now)
    store.log.declare({trait: "flag"})
    said = {"trait": trait, "agreed": agreed, "at": at, "source": source.strip(), "proof": proof.strip()}
    event_id = f"consent-{_digest(store, customer, said)}"
    # The proof first: a proof without its statement is passed over, a statement without its proof is not provable.
    store.vault.seal([customer], CONSENT, [json.dumps({"event": event_id, **said})])
    with store.write_lock():
        batch = store.state.begin_batch(SOURCE, "")
        done = store.log.append(_row(event_id, customer, said, now=now, zone=zone), batch=batch)
        store.state.finish_batch(BatchReport(SOURCE, "", batch, 1, done.stored, 1 - done.stored, 0))
    return done.stored == 1


def trait_of(consent: Mapping[str, str], purpose: str) -> str:
    """The trait of a purpose.

    Raises:
        NotFound: It is not below `consent:`.
    """
    if purpose not in consent:
        raise NotFound(
            "purpose", purpose, consent, hint="Name its trait in kohort.yaml: consent: {marketing: t_newsletter}"
        )
    return consent[purpose]


def _written(store: Store, customer: int) -> Iterator[dict[str, Any]]:
    """What was written down here about an id, of statements that may or may not be there."""
    try:
        told = store.vault.open_person(customer)
    except NotFound:
        return
    for text in told.get(CONSENT, ()):
        yield json.loads(text)


def _digest(store: Store, customer: int, said: Mapping[str, Any]) -> str:
    """Equal for equal statements, and without the workspace's secret nothing can be told from it."""
    key = blake2b(str(store.state.get("hash_seed")).encode(), digest_size=32, person=b"consent").digest()
    text = json.dumps([customer, said], sort_keys=True)
    return blake2b(text.encode(), digest_size=16, key=key).hexdigest()


def _row(event_id: str, customer: int, said: Mapping[str, Any], *, now: int, zone: str) -> pa.Table:
    """The event of a statement, as `EventLog.append` takes it."""
    local = moment(said["at"]).astimezone(ZoneInfo(zone))
    day = (datetime(local.year, local.month, local.day, tzinfo=UTC) - moment(0)).days
    return pa.table(
        {
            "event_id": pa.array([event_id], pa.string()),
            "customer": pa.array([customer], pa.int64()),
            "event": pa.array([EVENT], pa.string()),
            "ts": pa.array([said["at"]], pa.int64()),
            "received_at": pa.array([now], pa.int64()),
            "local_day": pa.array([day], pa.int32()),
            "local_hour": pa.array([local.hour], pa.int32()),
            said["trait"]: pa.array([said["agreed"]], pa.bool_()),
        }
    )
