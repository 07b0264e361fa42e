"""What a reader needs to see the whole event log at one moment of writing, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kohort.model.event import ColumnType
from kohort.model.links import Roots, roots

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
        led: The same for one moment: whose events belong to whom. None = not looked up yet (`resolved` does), or nobody.
    """

    files: dict[int, tuple[str, ...]]
    hot: pa.Table | None = None
    columns: dict[str, ColumnType] = field(default_factory=dict)
    version: str = ""
    buckets: int = 16
    links: pa.Table | None = None
    led: Roots | None = None

    def resolved(self, as_of: int | None, customers: Iterable[int] | None = None) -> Snapshot:
        """The same with `led` for a moment: what is read from it shows events under the ids that are meant.

        Args:
            as_of: Links after it are not visible, microseconds UTC; None = all are.
            customers: Only these will be asked about; None = everybody.
        """
        if self.links is None or self.led is not None:
            return self
        found = roots(self.links, as_of)
        return replace(self, led=found if customers is None else found.only(customers))
