"""The ledger of consent: what somebody said about each purpose, when, to whom, and what proves it.

A statement is an event that carries the trait of the purpose, as it is when it comes from a shop or a form. So evaluation knows one
mechanism. Where somebody wrote a statement down here, its source and proof are sealed in the vault with the person's key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from kohort.errors import NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.model.consent import flags
from kohort.model.event import CONSENT, CONSENT_BY
from kohort.model.signals import SOURCE as BY_BROWSER
from kohort.model.source import BatchReport
from kohort.segments.consent import Consents
from kohort.segments.why import rows_of
from kohort.store.told import told
from kohort.trust.statements import Statement, seal, sealed

if TYPE_CHECKING:
    from kohort.store.store import Store

EVENT = SOURCE = CONSENT
"""An event of its own: what is only known about somebody (`identify`) does not move the moment that runs ask about, and a
consent that was taken back must end memberships although nothing else happened since."""


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
    written = {note.event: note for id_ in ids for note in sealed(store, id_) if note.event}
    columns = ["ts", "event_id", "batch", CONSENT_BY, *sorted(set(known.values()))]
    rows = [row for id_ in ids for table in rows_of(snapshot, id_, columns) for row in table.to_pylist()]
    rows.sort(key=lambda row: (row["ts"], row["event_id"]))

    def statement(row: Mapping[str, Any], trait: str) -> dict[str, Any]:
        note = written.get(row["event_id"])
        if note:
            source, proof = note.source, note.proof
        elif signal := row.get(CONSENT_BY):
            source, proof = BY_BROWSER, f"{signal}: 1"
        else:
            source, proof = sources.get(row["batch"], ""), ""
        return {"at": iso(row["ts"]), "agreed": row[trait], "source": source, "proof": proof}

    def said(trait: str | None) -> list[dict[str, Any]]:
        visible = (row for row in rows if trait and row["ts"] <= as_of and row.get(trait) is not None)
        return [statement(row, str(trait)) for row in visible]

    return [
        {"purpose": purpose, "agreed": holds.agreed(purpose, as_of), "statements": said(known.get(purpose))}
        for purpose in consent
    ]


def record(store: Store, customer: int, trait: str, said: Statement, *, zone: str) -> bool:
    """Writes down what a customer said; says whether it is new. The same statement again changes nothing.

    Args:
        customer: Pseudonym.
        trait: Of the purpose.
        zone: The workspace's.

    Raises:
        WrongUsage: No source, or a trait that is no flag.
    """
    if not said.source:
        raise WrongUsage("Say where she said it.", hint="For example --source 'paper form'.")
    store.log.declare({trait: "flag"})
    event_id = f"consent-{_digest(store, customer, trait, said)}"
    # The proof first: a proof without its statement is passed over, a statement without its proof is not provable.
    seal(store, [customer], trait, said, event_id)
    with store.write_lock():
        batch = store.state.begin_batch(SOURCE, "")
        agreed = {trait: pa.array([said.agreed], pa.bool_())}
        row = told(EVENT, [event_id], [customer], agreed, at=said.at, now=said.now, zone=zone)
        done = store.log.append(row, batch=batch)
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


def _digest(store: Store, customer: int, trait: str, said: Statement) -> str:
    """Equal for equal statements, and without the workspace's secret nothing can be told from it."""
    key = blake2b(str(store.state.get("hash_seed")).encode(), digest_size=32, person=b"consent").digest()
    text = json.dumps([customer, trait, said.agreed, said.at, said.source, said.proof])
    return blake2b(text.encode(), digest_size=16, key=key).hexdigest()
