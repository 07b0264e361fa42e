"""Ingest of files: read → map → normalise → controls → store; every row is stored, known already, or rejected with its reason.

`propose` looks at files and says how it would read them, or asks. `ingest_files` reads them. `rejected_rows`,
`export_rejected` and `retry_rejected` work on the rows that could not be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kohort.ingest.proposal import Proposal, columns_of, fits, propose
    from kohort.ingest.rejected import export_rejected, rejected_rows, retry_rejected
    from kohort.ingest.run import ingest_files

__all__ = [
    "Proposal",
    "columns_of",
    "export_rejected",
    "fits",
    "ingest_files",
    "propose",
    "rejected_rows",
    "retry_rejected",
]

_HOMES = {
    "Proposal": "kohort.ingest.proposal",
    "columns_of": "kohort.ingest.proposal",
    "fits": "kohort.ingest.proposal",
    "propose": "kohort.ingest.proposal",
    "ingest_files": "kohort.ingest.run",
    "export_rejected": "kohort.ingest.rejected",
    "rejected_rows": "kohort.ingest.rejected",
    "retry_rejected": "kohort.ingest.rejected",
}


def __getattr__(name: str) -> object:
    """Load a part on first touch: reading files brings in pyarrow and DuckDB, which `import kohort` must not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
