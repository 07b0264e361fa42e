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
from kohort.store.files import Verified, flush_folder, write_whole

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_MANIFEST = "manifest.json"


class Artefacts:
    """Files under `models/<kind>/<id>/`. A version never changes once it is saved."""

    def __init__(self, root: Path) -> None:
        self.root = root / "models"
        self._verified = Verified()

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
        folder, manifest, digests = self._listed(kind, id)
        try:
            files = {name: (folder / name).read_bytes() for name in digests}
        except OSError as error:
            raise _damaged(kind, id) from error
        if any(_sha256(data) != digests[name] for name, data in files.items()):
            raise _damaged(kind, id)
        return files, manifest

    def file(self, kind: str, id: str, name: str) -> tuple[Path, dict[str, Any]]:  # noqa: A002
        """One file of a version, to be read piece by piece, and the manifest. It is compared with its digest once in this
        process, and whenever it is another one on the disk.

        Raises:
            NotFound: There is no such version.
            Damaged: Something does not check out.
        """
        folder, manifest, digests = self._listed(kind, id)
        path = folder / name
        if name not in digests or not path.exists():
            raise _damaged(kind, id)
        if not self._verified.matches(path, path.stat().st_size, digests[name]):
            raise _damaged(kind, id)
        return path, manifest

    def _listed(self, kind: str, id: str) -> tuple[Path, dict[str, Any], dict[str, str]]:  # noqa: A002
        """Folder, manifest and digests of the files of a version."""
        folder = self._folder(kind, id)
        if not folder.exists():
            raise NotFound(kind, id, self.ids(kind))
        try:
            document = json.loads((folder / _MANIFEST).read_bytes())
            body = {"manifest": document["manifest"], "files": document["files"]}
            digests = {_plain(name): str(digest) for name, digest in body["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _damaged(kind, id) from error
        if document.get("sha256") != _sha256(_canonical(body)) or set(document) != {"sha256", *body}:
            raise _damaged(kind, id)
        return folder, body["manifest"], digests

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


def _damaged(kind: str, version: str) -> Damaged:
    return Damaged(f"Version {version!r} of {kind!r} is damaged.", hint="Discover or train again, or restore a backup.")


def _plain(name: str) -> str:
    if not _NAME.fullmatch(name) or ".." in name:
        raise UnsafePath("A name may hold letters, digits, '.', '-' and '_' only.")
    return name


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
