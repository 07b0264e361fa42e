"""The data map: where a workspace may hold something about a person, and what an erasure does there.

A test compares it with the tables there are: whoever adds one has to say here what it holds, and to erase from it.
"""

from __future__ import annotations

NOBODY = "holds nothing about a person"

STATE: dict[str, str] = {
    "ledger": NOBODY,
    "setting": "kept answers are deleted; names of saved models follow their new versions",
    "declared_column": NOBODY,
    "base_file": "the smallest and largest pseudonym of a file go with the file",
    "id_run": NOBODY,
    "hot_event": "moved into files, which are written anew",
    "batch": NOBODY,
    "rejected_row": "rows about the person are deleted",
    "segmentation": "example customers are left out",
    "member_head": "sizes shrink",
    "member_run": NOBODY,
    "member_part": "parts are written anew, transitions become empty places",
    "member_body": "goes with its part",
    "member_consumer": NOBODY,
    "segment_status": NOBODY,
    "segment_version": NOBODY,
    "by_hand": "the person is left out of every action, also of what she forbids",
    "live_state": "sizes shrink; who waits to be evaluated is left out",
    "api_key": NOBODY,
    "link": "links from and to every id are deleted",
    "identity_decision": "decisions about every id are deleted, and reasons of others that name the person are emptied",
    "identity_question": "questions about every id are deleted",
    "delivery": "deliveries are deleted; the receipt names their destinations",
    "privacy_case": "requests stay, about nobody",
    "privacy_request": "pseudonyms go once nothing needs them",
    "login_user": "names people who work here, no customer: kohort users remove",
    "login_identity": "names people who work here, no customer: kohort users remove",
    "login_session": "names people who work here, no customer: goes within a day",
    "feedback": "what was said about the person is deleted, and reasons of others that name her are emptied",
    "answered_request": "holds keyed digests and answers that name nobody: goes within a day",
    "audit_entry": "pseudonym and salt go; what is left of them leads to nobody, and the chain holds",
    "job": "names people who work here, no customer: goes with the 200 after it",
}
"""Table of `state.db` → what an erasure does there."""

VAULT: dict[str, str] = {
    "meta": NOBODY,
    "person": "the row with the wrapped key is deleted",
    "identity": "rows are deleted, also what she said about the use of her data",
    "erased": "gets a keyed token per id",
    "tally": "sums follow the rows",
    "ledger": NOBODY,
}
"""Table of `vault.db` → what an erasure does there; indexes go with their rows."""

FOLDERS: dict[str, str] = {
    "events": "files are written anew, replaced ones deleted at once, the Delta log written anew where it names somebody",
    "ids": "keyed digests of event ids stay, so that a replay is a duplicate",
    "index": "goes with the event file it was made of",
    "memberships": "files are written anew, replaced ones deleted at once",
    "models": "rows of persons are left out; models are listed to be made again",
    "journal": "goes once it was dealt with",
    "context": NOBODY,
    "jobs": NOBODY,
    "uploads": "files that people brought and nobody has read in yet are deleted, whoever is in them",
    "keys": NOBODY,
}
"""Folder of a workspace → what an erasure does there."""
