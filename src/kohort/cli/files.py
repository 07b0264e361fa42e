"""Writing tables: CSV or Parquet by the file's ending, all or nothing, and safe to open in a spreadsheet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import WrongUsage
from kohort.views.tables import without_formulas

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_ENDINGS = (".csv", ".parquet")


def check_ending(out: str | None, endings: tuple[str, ...] = TABLE_ENDINGS) -> None:
    """Refuse a file name before any work is done for it.

    Raises:
        WrongUsage: The ending is none of `endings`, or the folder does not exist.
    """
    if out is None:
        return
    path = Path(out)
    if path.suffix.lower() not in endings:
        raise WrongUsage(
            f"The file name after --out must end with {' or '.join(endings)}.", hint="The ending says what to write."
        )
    if path.is_dir() or not path.parent.is_dir():
        raise WrongUsage("The file after --out cannot be written: its folder does not exist, or it is a folder itself.")


def write_table(table: pa.Table, out: str) -> int:
    """Write a table as CSV or Parquet.

    In CSV, a text that a spreadsheet would take for a formula gets an apostrophe in front; Parquet keeps it as it is.

    Returns:
        How many texts got an apostrophe.
    """
    check_ending(out)
    if out.lower().endswith(".parquet"):
        import pyarrow.parquet as pq

        with replacing(out) as part:
            pq.write_table(table, part, compression="zstd")
        return 0
    import pyarrow.csv

    safe, changed = without_formulas(table)
    with replacing(out) as part:
        pyarrow.csv.write_csv(safe, part)
    return changed


def say_formulas(note: Callable[[str], None], changed: int) -> None:
    """Tell people that texts were changed; silence where none were."""
    if changed:
        note(
            f"{changed:,} texts that a spreadsheet would run as a formula got an apostrophe in front. "
            "Write Parquet to keep them as they are."
        )


@contextmanager
def replacing(out: str | Path) -> Iterator[str]:
    """A path to write to that takes the place of `out` when all went well."""
    path = Path(out)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield part
        mask = os.umask(0)
        os.umask(mask)
        Path(part).chmod(0o666 & ~mask)
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)
