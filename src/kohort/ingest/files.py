"""From what a person names (files, folders, patterns, archives) to the files that are read, and nothing else.

A plain path may point anywhere the person may read. What Kohort finds by itself (in a folder, by a pattern, in an
archive) must lie inside what was named: symbolic links and `..` that lead out are refused, and so is everything that is
not a regular file.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kohort.errors import BadInput, NotFound, TooLarge, UnreadableFile, UnsafePath
from kohort.ingest.limits import (
    FREE_UNPACKED_BYTES,
    MAX_ARCHIVE_MEMBERS,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_UNPACKED_BYTES,
    MAX_UNPACKED_RATIO,
)

TEXT = frozenset({".csv", ".tsv", ".txt", ".tab", ".psv"})
JSON = frozenset({".jsonl", ".ndjson", ".json"})
EXCEL = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
PARQUET = frozenset({".parquet", ".pq"})
KINDS = TEXT | JSON | EXCEL | PARQUET

_NO_DATA = (Path("/proc"), Path("/sys"), Path("/dev"), Path("/run"))
_PATTERN = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to read.

    Attributes:
        path: Where it lies; for a member of an archive, the archive.
        name: What reports call it: the file's name, or "archive.zip/member.csv". Never a path.
        suffix: Lower-case ending that says how it is read, without ".gz".
        packed: "" for a plain file, "gz", or "zip".
        member: Name inside the zip archive.
    """

    path: Path
    name: str
    suffix: str
    packed: str = ""
    member: str = ""


def expand(paths: Iterable[str | Path] | str | Path, *, within: str | Path | None = None) -> list[SourceFile]:
    """The files behind paths, folders, patterns and archives, sorted by name within each of them.

    Args:
        paths: What a person gave.
        within: A folder that nothing may leave, not even a plain path (for uploads).

    Raises:
        NotFound: A path does not exist, or a pattern or folder holds nothing readable.
        UnsafePath: Something leads out of where it must stay, or is not a regular file.
        TooLarge: Too many files, or one beyond its limit.
        BadInput: A file's kind is not known.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise BadInput(
            "No file was named.", code="no_files", hint="Name a file, a folder or a pattern such as 'daily/*.csv'."
        )
    found: list[SourceFile] = []
    for one in given:
        found += _expand_one(str(one), Path(within) if within is not None else None)
        if len(found) > MAX_FILES:
            raise TooLarge(f"That is more than {MAX_FILES:,} files.", hint="Ingest them folder by folder.")
    return list(dict.fromkeys(found))


def _expand_one(text: str, within: Path | None) -> list[SourceFile]:
    if "\0" in text or not text.strip():
        raise UnsafePath("A path holds no name or a zero byte.")
    path = Path(text).expanduser()
    try:
        if _PATTERN & set(text) and not path.exists():
            return _from_pattern(path, within)
        if not path.exists():
            raise NotFound("file", path.name, _neighbours(path))
        if path.is_dir():
            return _from_folder(path, within)
        return _one_file(path, within or path.resolve().parent)
    except (PermissionError, RuntimeError) as error:  # RuntimeError: a loop of links, an unknown home
        raise UnreadableFile("It may not be read.", place=path.name, hint="Check the permissions.") from error
    except OSError as error:
        raise UnreadableFile("It cannot be opened.", place=path.name[:100], hint=error.strerror or "") from error


def _from_pattern(pattern: Path, within: Path | None) -> list[SourceFile]:
    parts = pattern.parts
    fixed = next(i for i, part in enumerate(parts) if _PATTERN & set(part))
    if ".." in parts[fixed:]:
        raise UnsafePath("A pattern may not go up with '..' after its first wildcard.", place=pattern.name)
    root = Path(*parts[:fixed]) if fixed else Path()
    if not root.is_dir():
        raise NotFound("folder", str(root))
    matches = sorted(p for p in root.glob(str(PurePosixPath(*parts[fixed:]))) if not p.is_dir())
    return _all_inside(matches, within or root, pattern.name)


def _from_folder(folder: Path, within: Path | None) -> list[SourceFile]:
    files = (p for p in sorted(folder.rglob("*")) if not p.is_dir() or p.is_symlink())
    wanted = [p for p in files if _suffix(p) in KINDS | {".zip"} and not _hidden(p, folder)]
    return _all_inside(wanted, within or folder, folder.name)


def _all_inside(paths: list[Path], root: Path, name: str) -> list[SourceFile]:
    found = [file for path in paths for file in _one_file(path, root)]
    if not found:
        raise NotFound("file to read", name, hint="Kohort reads CSV, Excel, JSON lines and Parquet.")
    return found


def _one_file(path: Path, root: Path) -> list[SourceFile]:
    real, base = path.resolve(strict=True), root.resolve()
    if not real.is_relative_to(base):
        raise UnsafePath("It leads out of the folder it must stay in.", place=path.name)
    info = real.stat()
    if any(real.is_relative_to(p) for p in _NO_DATA) or not stat.S_ISREG(info.st_mode):
        raise UnsafePath(
            "It is not a regular file.", place=path.name, hint="Devices, pipes and system folders are not read."
        )
    if info.st_size == 0:
        raise UnreadableFile("The file is empty.", place=path.name)
    if info.st_size > MAX_FILE_BYTES:
        raise TooLarge(f"The file is larger than {MAX_FILE_BYTES // 1024**3} GiB.", place=path.name)
    suffix = _suffix(path)
    if suffix == ".zip":
        return _members(real, path.name)
    if suffix not in KINDS:
        raise BadInput(
            f"Files ending in {suffix or 'nothing'!r} are not read.",
            place=path.name,
            code="unknown_file_kind",
            hint=f"Known endings: {', '.join(sorted(KINDS))}, .gz and .zip of text files.",
        )
    packed = "gz" if path.suffix.lower() == ".gz" else ""
    if packed and suffix not in TEXT | JSON:
        raise BadInput(
            "Only text files are read from .gz.", place=path.name, code="unknown_file_kind", hint="Unpack it first."
        )
    return [SourceFile(real, path.name, suffix, packed)]


def _members(path: Path, name: str) -> list[SourceFile]:
    """Text files in a zip archive. Nothing is ever written, so a member's name cannot reach anywhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnreadableFile("The zip archive is damaged.", place=name) from error
    if len(entries) > MAX_ARCHIVE_MEMBERS:
        raise TooLarge(f"The archive holds more than {MAX_ARCHIVE_MEMBERS:,} files.", place=name)
    found = []
    for entry in sorted(entries, key=lambda e: e.filename):
        inner = PurePosixPath(entry.filename.replace("\\", "/"))
        if entry.is_dir() or inner.suffix.lower() not in TEXT | JSON or _noise(inner):
            continue
        if inner.is_absolute() or ".." in inner.parts:
            raise UnsafePath("The archive holds a file whose name leads out of it.", place=name)
        if entry.flag_bits & 0x1:
            raise UnreadableFile("The zip archive is encrypted.", place=name, hint="Unpack it first.")
        ratio_limit = max(FREE_UNPACKED_BYTES, entry.compress_size * MAX_UNPACKED_RATIO)
        if entry.file_size > min(MAX_UNPACKED_BYTES, ratio_limit):
            raise TooLarge("The archive unpacks to far more than its size.", place=name)
        if entry.file_size:
            found.append(SourceFile(path, f"{name}/{inner.name}", inner.suffix.lower(), "zip", entry.filename))
    if not found:
        raise NotFound("table", name, hint="The archive holds no CSV or JSON-lines file.")
    return found


def _suffix(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes[-2:]]
    if suffixes and suffixes[-1] == ".gz":
        return suffixes[-2] if len(suffixes) > 1 else ""
    return suffixes[-1] if suffixes else ""


def _noise(inner: PurePosixPath) -> bool:
    return inner.parts[0] == "__MACOSX" or inner.name.startswith(".")


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "~$")) for part in path.relative_to(root).parts)


def _neighbours(path: Path) -> list[str]:
    return [p.name for p in path.parent.iterdir()][:1_000] if path.parent.is_dir() else []
