"""What a reader needs to see the whole event log at one moment of writing, whatever is written meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kohort.model.event import ColumnType

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent version of the event log: base files and hot rows that do not overlap.

    Attributes:
        files: Bucket → absolute paths of its Parquet files. The files lie in `bucket=<n>/` folders and do not hold the
            `bucket` column; a file written before a property was declared lacks that column (read it as null).
        hot: Events not yet in the base, in the full event schema; None where there are none.
        columns: Declared columns beyond the fixed ones: `p_…`, `t_…` → type.
        version: Grows with every change of the log; equal versions hold equal rows.
        buckets: Number of customer buckets of the workspace.
        links: `event_id`, `customer`, `root`, `ts`: which ids are one customer (`kohort.model.links.roots`). Events are
            under the id they came with. None where there are no links.
    """

    files: dict[int, tuple[str, ...]]
    hot: pa.Table | None = None
    columns: dict[str, ColumnType] = field(default_factory=dict)
    version: str = ""
    buckets: int = 16
    links: pa.Table | None = None
