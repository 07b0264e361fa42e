"""The master key: where it comes from, and the sealing of single values with it and with keys of persons."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kohort.errors import Damaged, WrongUsage
from kohort.store.files import flush_folder, private_folder, write_whole

ENV_KEY = "KOHORT_MASTER_KEY"
ENV_KEY_FILE = "KOHORT_MASTER_KEY_FILE"
ENV_KEY_NEXT = "KOHORT_MASTER_KEY_NEXT"

_VERSION = b"\x01"
_NONCE = 12
_HEX_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class MasterKey:
    """32 secret bytes and where they came from: "environment", "file" or "workspace"."""

    secret: bytes
    origin: str

    def __repr__(self) -> str:
        return f"MasterKey(origin={self.origin!r})"


def master_key(root: Path, *, create: bool) -> MasterKey:
    """The master key of a workspace: KOHORT_MASTER_KEY (64 hex digits), else the file KOHORT_MASTER_KEY_FILE, else
    `keys/master.key` in the workspace, made on creation. A key beside the data protects less: the doctor says so.

    Raises:
        WrongUsage: The key given is not one, or its file can be read by other users.
        Damaged: The workspace's key file is missing or damaged.
    """
    if text := os.environ.get(ENV_KEY, ""):
        return MasterKey(_parse(text, WrongUsage(f"{ENV_KEY} must be 64 hexadecimal digits.")), "environment")
    outside = os.environ.get(ENV_KEY_FILE, "")
    path = Path(outside) if outside else root / "keys" / "master.key"
    if not path.exists() and create:
        private_folder(path.parent)
        write_whole(path, secrets.token_hex(32).encode() + b"\n")
        flush_folder(path.parent)
    wrong = Damaged(
        "The master key file is missing or damaged.",
        hint=f"Put the key back, or set {ENV_KEY}. Without it, sealed identifiers cannot be read by anybody.",
    )
    try:
        if path.stat().st_mode & 0o077:
            raise WrongUsage("The master key file can be read by other users.", hint="Run: chmod 600 on it.")
        text = path.read_bytes().decode("ascii", errors="replace")
    except OSError as error:
        raise wrong from error
    return MasterKey(_parse(text, wrong), "file" if outside else "workspace")


def key_path(root: Path) -> Path | None:
    """The file that holds the master key of a workspace; None where the environment holds it."""
    if os.environ.get(ENV_KEY, ""):
        return None
    outside = os.environ.get(ENV_KEY_FILE, "")
    return Path(outside) if outside else root / "keys" / "master.key"


def next_path(path: Path) -> Path:
    """Where a rotation keeps the new key until all is sealed with it."""
    return path.with_name(f"{path.name}.next")


def past_path(path: Path) -> Path:
    """Where a rotation keeps the old key, once the new one has its place, until it is overwritten."""
    return path.with_name(f"{path.name}.old")


def rotation_under_way(root: Path) -> bool:
    """Whether a rotation has begun and not come to its end, as far as files and the environment say."""
    path = key_path(root)
    return coming_key(root) is not None or (path is not None and past_path(path).exists())


def coming_key(root: Path) -> MasterKey | None:
    """The key that a rotation brings in: of the file beside the key's, or KOHORT_MASTER_KEY_NEXT. None = none is under way.

    Raises:
        WrongUsage: What the environment gives is no key.
    """
    path = key_path(root)
    if path is None:
        text = os.environ.get(ENV_KEY_NEXT, "")
        wrong = WrongUsage(f"{ENV_KEY_NEXT} must be 64 hexadecimal digits.")
        return MasterKey(_parse(text, wrong), "environment") if text else None
    try:
        text = next_path(path).read_bytes().decode("ascii", errors="replace")
    except OSError:
        return None
    origin = "workspace" if path.parent == root / "keys" else "file"
    return MasterKey(_parse(text, Damaged("The new master key is damaged.", hint="Rotate again.")), origin)


def keys_that_may_open(root: Path) -> list[MasterKey]:
    """The master key as it is now, and the one that a rotation brings in."""
    return [key for key in (master_key(root, create=False), coming_key(root)) if key is not None]


def _parse(text: str, wrong: Exception) -> bytes:
    if not _HEX_KEY.fullmatch(text.strip().lower()):
        raise wrong
    return bytes.fromhex(text.strip())


def seal(cipher: AESGCM, value: bytes, about: bytes) -> bytes:
    """Version byte, random 96-bit nonce, AES-256-GCM. `about` says whose value it is; it opens with the same only."""
    nonce = os.urandom(_NONCE)
    return _VERSION + nonce + cipher.encrypt(nonce, value, _VERSION + about)


def unseal(cipher: AESGCM, sealed: bytes, about: bytes) -> bytes:
    """The inverse of `seal`.

    Raises:
        Damaged: The bytes were changed, belong to somebody else, or were sealed with another key.
    """
    if sealed[:1] == _VERSION and len(sealed) > _NONCE:
        try:
            return cipher.decrypt(sealed[1 : _NONCE + 1], sealed[_NONCE + 1 :], _VERSION + about)
        except InvalidTag:
            pass
    raise Damaged("A sealed value does not open.", hint="It is damaged, or the master key is another one.")
