"""Another master key for a workspace: made, everything sealed with it, the old one destroyed. It may end at any point.

| step | ended after it |
|---|---|
| the new key is on disk beside the old one | the old one opens everything; the next rotation makes another |
| the vault is sealed anew, in one transaction | the new one opens it; whoever opens the workspace goes on from here |
| each file of the journal is sealed anew | the same |
| the new key takes the place of the old one | whoever opens the workspace next overwrites the old one |
| the old one is overwritten | done |
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import WrongUsage
from kohort.store.files import flush_folder, write_whole
from kohort.store.journal import only_writer
from kohort.store.journal_segment import JournalKey, seal_header
from kohort.store.keys import (
    ENV_KEY,
    ENV_KEY_NEXT,
    MasterKey,
    coming_key,
    key_path,
    master_key,
    next_path,
    past_path,
)
from kohort.store.vault_sealing import seal_anew

if TYPE_CHECKING:
    from kohort.store.store import Store


def rotate(store: Store) -> dict[str, int | str]:
    """Seals everything that the master key seals with a new one, and destroys the old one where it lies in a file.

    Other processes take up the new key by themselves, unless the environment holds it.

    Returns:
        `{"people", "files", "key"}`: keys of persons and files of the journal that were sealed anew, and where the key lies:
        "workspace", "file" or "environment".

    Raises:
        Busy: A server takes in events, or others write without a pause.
        WrongUsage: The environment holds the key, and no new one.
        Damaged: Something does not check out.
    """
    with store.write_lock(), _no_writer(store.root / "journal"):
        finish(store)
        old, path = master_key(store.root, create=False), key_path(store.root)
        if path is None:
            new = coming_key(store.root)
            if new is None or new.secret == old.secret:
                hint = f"Set {ENV_KEY_NEXT} to 64 other hexadecimal digits; afterwards {ENV_KEY} has to be that."
                raise WrongUsage("The environment holds the master key, and no new one.", hint=hint)
        else:
            write_whole(next_path(path), secrets.token_hex(32).encode() + b"\n")
            flush_folder(path.parent)
            new = coming_key(store.root)
            assert new is not None
        people = seal_anew(store.vault, new)
        files = _seal_journal(store.root / "journal", old, new)
        if path is not None:
            _replace(path)
    return {"people": people, "files": files, "key": new.origin}


def finish(store: Store) -> bool:
    """Goes on with a rotation that was interrupted after the vault was sealed anew; says whether there was one."""
    path, new = key_path(store.root), coming_key(store.root)
    if new is None and path is not None and past_path(path).exists():
        with store.write_lock():
            return _destroy(path)
    if new is None or not store.vault.opens_with(new):
        return False
    with store.write_lock():
        if path is not None and not next_path(path).exists():
            return False  # another process was faster
        _seal_journal(store.root / "journal", master_key(store.root, create=False), new)
        if path is not None:
            _replace(path)
    return True


def _replace(path: Path) -> None:
    """The new key takes the place of the old one, whose bytes are overwritten."""
    old = past_path(path)
    old.unlink(missing_ok=True)
    with suppress(OSError):  # a file system without links
        os.link(path, old)
    next_path(path).replace(path)
    flush_folder(path.parent)
    _destroy(path)


def _destroy(path: Path) -> bool:
    """Overwrites the key that was replaced; says whether there was one. While both have their place nothing was replaced yet."""
    old = past_path(path)
    if next_path(path).exists() or not old.exists():
        return False
    with old.open("r+b") as file:
        file.write(b"0" * old.stat().st_size)
        file.flush()
        os.fsync(file.fileno())
    old.unlink()
    flush_folder(path.parent)
    return True


def _seal_journal(folder: Path, old: MasterKey, new: MasterKey) -> int:
    if not folder.exists():
        return 0
    before, after = JournalKey(old), JournalKey(new)
    return sum(seal_header(path, before, after) for path in sorted(folder.glob("*.log")))


@contextmanager
def _no_writer(folder: Path) -> Iterator[None]:
    """Nobody takes in events meanwhile: what writes the journal would go on with the old key."""
    if not folder.exists():
        yield
        return
    fd = only_writer(folder)
    try:
        yield
    finally:
        os.close(fd)
