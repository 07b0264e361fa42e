"""Saved models: one folder per version, whole or absent, checked against its manifest whenever it is read."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from kohort.errors import Damaged, NotFound, UnsafePath, WrongUsage
from kohort.store.files import flush_folder, write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_MANIFEST = "manifest.json"


class Artefacts:
    """Files under `models/<kind>/<id>/`. A version never changes once it is saved."""

    def __init__(self, root: Path) -> None:
        self.root = root / "models"

    def save(self, kind: str, id: str, files: dict[str, bytes], manifest: dict[str, Any]) -> Path:  # noqa: A002
        """Writes a new version and returns its folder. Saving the same content again changes nothing.

        Args:
            kind: What it is: "segmentation".
            id: Name of the version.
            files: File name → content.
            manifest: JSON object: what is needed to repeat it (data version, definitions, seed, library versions).

        Raises:
            UnsafePath: A name is not a plain file name.
            WrongUsage: The version exists with other content.
        """
        folder = self._folder(kind, id)
        listed = {_plain(name): _sha256(data) for name, data in sorted(files.items())}
        body = {"manifest": manifest, "files": listed}
        text = json.dumps({"sha256": _sha256(_canonical(body)), **body}, sort_keys=True, indent=1).encode()
        if folder.exists():
            if (folder / _MANIFEST).read_bytes() == text:
                return folder
            raise WrongUsage(f"Version {id!r} of {kind!r} exists already with other content.")
        temporary = folder.parent / f".{id}.{secrets.token_hex(4)}.tmp"
        temporary.mkdir(parents=True)
        try:
            for name, data in files.items():
                write_whole(temporary / name, data)
            write_whole(temporary / _MANIFEST, text)
            flush_folder(temporary)
            temporary.rename(folder)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        flush_folder(folder.parent)
        return folder

    def load(self, kind: str, id: str) -> tuple[dict[str, bytes], dict[str, Any]]:  # noqa: A002
        """The files and the manifest of a version.

        Raises:
            NotFound: There is no such version.
            Damaged: Something does not check out.
        """
        folder = self._folder(kind, id)
        if not folder.exists():
            raise NotFound(kind, id, self.ids(kind))
        damaged = Damaged(
            f"Version {id!r} of {kind!r} is damaged.", hint="Discover or train again, or restore a backup."
        )
        try:
            document = json.loads((folder / _MANIFEST).read_bytes())
            body = {"manifest": document["manifest"], "files": document["files"]}
            files = {_plain(name): (folder / name).read_bytes() for name in body["files"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged from error
        whole = document.get("sha256") == _sha256(_canonical(body)) and set(document) == {"sha256", *body}
        if not whole or any(_sha256(data) != body["files"][name] for name, data in files.items()):
            raise damaged
        return files, body["manifest"]

    def ids(self, kind: str) -> list[str]:
        """Names of the saved versions of a kind, sorted."""
        folder = self.root / _plain(kind)
        return sorted(p.name for p in folder.iterdir() if p.name[0] != ".") if folder.exists() else []

    def kinds(self) -> list[str]:
        return sorted(p.name for p in self.root.iterdir() if p.is_dir()) if self.root.exists() else []

    def delete(self, kind: str, id: str) -> None:  # noqa: A002
        """Removes a version; a version that does not exist is fine."""
        shutil.rmtree(self._folder(kind, id), ignore_errors=True)

    def _folder(self, kind: str, version: str) -> Path:
        return self.root / _plain(kind) / _plain(version)


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name) or ".." in name:
        raise UnsafePath("A name may hold letters, digits, '.', '-' and '_' only.")
    return name


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
