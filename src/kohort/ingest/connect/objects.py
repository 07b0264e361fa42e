"""Files in object stores, found by dlt's file system source: each is read once, and again when it has changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohort.errors import BadInput, MissingExtra, SourceFailed, TooLarge
from kohort.ingest.files import JSON, KINDS, TEXT, SourceFile
from kohort.ingest.limits import MAX_FILE_BYTES, MAX_FILES
from kohort.model.connection import Connection

try:
    # Said before dlt is loaded: it tells nobody that it is used.
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    from dlt.common.exceptions import DltException
    from dlt.sources.filesystem import filesystem
except ImportError as missing:
    raise MissingExtra("sources", "Fetching files from a store") from missing

_WILD = frozenset("*?[")
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """One file of a store, as it is listed.

    Attributes:
        name: Its address below the folder that the connection names.
        state: Another text whenever it has changed.
        size: Bytes.
        item: dlt's handle.
    """

    name: str
    state: str
    size: int
    item: Any


def listed(connection: Connection) -> list[Stored]:
    """The files that a connection names, by name.

    Raises:
        SourceFailed: The store cannot be reached, does not let us in, or holds no such file.
        MissingExtra: The package that speaks to this kind of store is not installed.
    """
    folder, pattern = _parted(connection.files)
    with _told(connection):
        found = [
            Stored(
                str(i["relative_path"]), f"{i['size_in_bytes']} {i['modification_date']}", int(i["size_in_bytes"]), i
            )
            for i in filesystem(bucket_url=folder, file_glob=pattern)
        ]
    if not found:
        hint = "Check the address under files, and what we are allowed to list."
        raise SourceFailed(f"{connection.name!r} has no such file.", code="bad_answer", hint=hint)
    if len(found) > MAX_FILES:
        raise TooLarge(f"That is more than {MAX_FILES:,} files.", hint="Name fewer: one folder a connection.")
    return sorted(found, key=lambda one: one.name)


@contextmanager
def copied(connection: Connection, one: Stored, folder: Path) -> Iterator[SourceFile]:
    """A copy to read, without a name where the system allows it: it is gone whatever becomes of us.

    Args:
        folder: A private one, with room for the file.

    Raises:
        SourceFailed: The store broke off.
        BadInput: Its name does not say what kind of file it is.
    """
    name = one.name.rpartition("/")[2]
    suffixes = [s.lower() for s in Path(name).suffixes[-2:]]
    packed = "gz" if suffixes and suffixes[-1] == ".gz" else ""
    suffix = (suffixes[:-1] if packed else suffixes)[-1:]
    if not suffix or suffix[0] not in ((TEXT | JSON) if packed else KINDS):
        hint = f"Known endings: {', '.join(sorted(KINDS))}, and .gz of text files."
        raise BadInput("Files that end so are not read.", place=name, code="unknown_file_kind", hint=hint)
    if one.size > MAX_FILE_BYTES:
        raise TooLarge(f"The file is larger than {MAX_FILE_BYTES // 1024**3} GiB.", place=name)
    with _temporary(folder) as (path, copy):
        with _told(connection), one.item.open(mode="rb", compression="disable") as source:
            shutil.copyfileobj(source, copy, _COPY_BYTES)
        copy.flush()
        yield SourceFile(path, name, suffix[0], packed)


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, Any]]:
    nameless = Path("/proc/self/fd")
    if nameless.is_dir():
        with tempfile.TemporaryFile(dir=folder) as copy:
            yield nameless / str(copy.fileno()), copy
    else:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".fetched-") as copy:
            yield Path(copy.name), copy


def _parted(address: str) -> tuple[str, str]:
    """Folder and pattern: what comes before the first part with a wildcard, and the rest."""
    scheme, _, rest = address.partition("://")
    parts = rest.split("/")
    fixed = next((n for n, part in enumerate(parts) if _WILD & set(part)), len(parts) - 1)
    return f"{scheme}://{'/'.join(parts[:fixed])}", "/".join(parts[fixed:])


@contextmanager
def _told(connection: Connection) -> Iterator[None]:
    """What goes wrong in a store, in our words."""
    try:
        yield
    except ImportError:
        hint = "Install the one for it: s3fs, gcsfs, adlfs or sshfs."
        raise SourceFailed(f"{connection.name!r} needs a package for its kind of store.", hint=hint) from None
    except PermissionError:
        raise SourceFailed(
            f"{connection.name!r} does not let us in.",
            code="not_allowed",
            hint="Check the store's own environment variables.",
        ) from None
    except (OSError, DltException, ValueError) as error:
        raise SourceFailed(
            f"{connection.name!r} cannot be read ({type(error).__name__}).",
            code="unreachable",
            hint="What came before is stored; run it again to go on.",
            retry=True,
        ) from None
