"""Rectification: what is wrong about somebody goes and does not come back, what is right is kept in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.errors import NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.model.source import IDENTITY_KINDS
from kohort.store.vault import normalised
from kohort.store.vault_striking import admit, correct
from kohort.trust import access
from kohort.trust.limits import told_about
from kohort.trust.statements import Statement, seal, sealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kohort.store.store import Store

KIND = "rectification"
_ABOUT = "rectified "
REMAINING = (
    {"what": "sources", "text": "The files and systems that it came from are yours to correct."},
    {
        "what": "identity",
        "text": "Who is one customer, or one household, was found with what was wrong: let it be found anew.",
    },
)
"""What follows from it and is not done by it."""
_LONGEST = 500


def rectify(store: Store, customer: int, kind: str, *, wrong: str, right: str, said: Statement) -> dict[str, Any]:
    """Puts a right identifier in the place of a wrong one, for every id of a person.

    Args:
        customer: A pseudonym of hers.
        kind: Of `kohort.model.source.IDENTITY_KINDS`.
        wrong: What goes; empty = something is missing only. It stays away, whoever brings it in again.
        right: What is kept; empty = there is none.
        said: Where it was said, when, and what proves it.

    Returns:
        The receipt: `{"request", "kind", "people", "struck", "added", "recipients", "remaining", "asked_at"}`; it names nobody.

    Raises:
        NotFound: She has no such identifier, or there is no such kind; what it is is not repeated.
        WrongUsage: Nothing is said, or the same twice.
    """
    wrong, right = wrong.strip(), right.strip()
    _check(kind, wrong, right)
    with store.write_lock():
        ids = access.ids_of(store, customer)
        has = {normalised(kind, value) for value in access.identities(store, ids).get(kind, ())}
        if wrong and normalised(kind, wrong) not in has:
            error = NotFound("identifier", "", hint="See what is kept with: kohort privacy export NUMBER")
            error.message = f"This customer has no such {kind}."  # not repeated: it is somebody's
            raise error
        if right:
            admit(store.vault, ids, kind, right)
        holders = set(store.vault.holders(kind, wrong)) if wrong else set()
        target = next((id_ for id_ in ids if id_ in holders), ids[0])
        # What is right first: interrupted, the same call finds what is wrong still there and goes on.
        added = store.vault.seal([target], kind, [right]) if right else 0
        struck = len(correct(store.vault, ids, kind, wrong)) if wrong else 0
        seal(store, ids[:1], _ABOUT + kind, said)
        receipt: dict[str, Any] = {
            "kind": kind,
            "people": 1,
            "struck": struck,
            "added": added,
            "recipients": told_about(store, ids, ()),
            "remaining": [dict(one) for one in REMAINING],
        }
        with store._database.write() as con:
            number = store.requests.begin(con, KIND, (), now=said.now, receipt=receipt)
            store.requests.advance(con, number, "done", receipt, forget_whom=True, ended_us=said.now)
    return {"request": f"{KIND}-{number}", **receipt, "asked_at": iso(said.now)}


def corrections(store: Store, ids: Sequence[int]) -> list[dict[str, Any]]:
    """What was rectified about a person, oldest first: `kind`, `at`, `source`, `proof`; values are not kept.

    Args:
        ids: Every pseudonym of hers.
    """
    told = [one for id_ in ids for one in sealed(store, id_) if one.about.startswith(_ABOUT)]
    return [
        {"kind": one.about.removeprefix(_ABOUT), "at": iso(one.at), "source": one.source, "proof": one.proof}
        for one in sorted(told, key=lambda one: (one.at, one.now))
    ]


def _check(kind: str, wrong: str, right: str) -> None:
    if kind not in IDENTITY_KINDS:
        raise NotFound("kind of identifier", kind, IDENTITY_KINDS)
    if not wrong and not right:
        raise WrongUsage("Say what is wrong, what is right, or both.")
    if wrong and right and normalised(kind, wrong) == normalised(kind, right):
        raise WrongUsage("Wrong and right are the same here: capitals and blanks do not matter.")
    if max(len(wrong), len(right)) > _LONGEST:
        raise WrongUsage(f"An identifier has at most {_LONGEST} characters.")
