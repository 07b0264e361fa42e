"""After a back-up was restored: whoever was erased since it was made is erased again, before anybody reads it.

The ledger is a file of keyed tokens with a digest. It belongs where back-ups are not: it has to be newer than they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import BadInput
from kohort.model.clock import iso
from kohort.store.files import flush_folder, write_whole
from kohort.store.vault_ledger import still_there, tokens

if TYPE_CHECKING:
    from kohort.store.store import Store
    from kohort.trust.erasure import Eraser

FORMAT = "kohort erasure ledger 1"


def write_ledger(store: Store, path: Path, *, now: int) -> dict[str, Any]:
    """Writes the ledger for this user alone, whole or not at all: `{"ids", "last_at", "written_at", "digest"}`.

    Raises:
        BadInput: The file cannot be written.
    """
    found = tokens(store.vault)
    body = {"format": FORMAT, "written_at": iso(now), "erased": found}
    document = {**body, "digest": _digest(body)}
    try:
        write_whole(path, json.dumps(document, indent=0).encode())
        flush_folder(path.parent)
    except OSError as error:
        raise BadInput("The ledger cannot be written.", place=path.name, hint=error.strerror or "") from error
    last = max(found.values(), default=None)
    told = {"ids": len(found), "last_at": None if last is None else iso(last)}
    return {**told, "written_at": body["written_at"], "digest": document["digest"]}


def replay(store: Store, path: Path, eraser: Eraser) -> dict[str, Any]:
    """Erases whoever the ledger says is erased and this workspace still has; done again it finds nobody.

    Returns:
        `{"ids", "people", "request"}`: how many ids the ledger has, how many persons were there, and the erasure; None where nobody was.

    Raises:
        BadInput: The file is no ledger, or was changed.
        Busy: A run has been going on for ten minutes.
    """
    erased = read_ledger(path)
    eraser.finish()
    found = still_there(store.vault, erased)
    told = eraser.erase(found) if found else {"people": 0, "request": None}
    return {"ids": len(erased), "people": told["people"], "request": told["request"]}


def read_ledger(path: Path) -> dict[str, int]:
    """The tokens of a ledger, as `kohort.store.vault_ledger.tokens` gives them.

    Raises:
        BadInput: The file is no ledger, or was changed.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        document = None
    if (
        not isinstance(document, dict)
        or document.get("format") != FORMAT
        or not isinstance(document.get("erased"), dict)
    ):
        raise BadInput(
            "This is no ledger of erasures.", place=path.name, hint="Write one with: kohort privacy ledger --out FILE"
        )
    body = {key: value for key, value in document.items() if key != "digest"}
    if document.get("digest") != _digest(body):
        raise BadInput("The ledger was changed since it was written.", place=path.name, hint="Take another copy of it.")
    return {str(token): int(at) for token, at in document["erased"].items()}


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
