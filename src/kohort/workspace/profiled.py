"""Engines that answer about everybody who may be profiled, and about nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from kohort.model.feature import FeatureTable
    from kohort.workspace.workspace import Workspace


def may_be_told(ws: Workspace, table: pa.Table) -> pa.Table:
    """What was said of customers, without those who have objected to profiling, or whose data may not be used, since then."""
    import numpy as np
    import pyarrow as pa

    from kohort.model.limits import LIMITS
    from kohort.trust.limits import forbidding

    unasked = forbidding(ws.store, *LIMITS)
    return table.filter(pa.array(~np.isin(table.column("customer").to_numpy(), unasked)))


class Profiled:
    """The engine of a workspace without those who object to profiling or whose data may not be used.

    Who that is is looked up once, when it is made: all answers of one are about the same people.
    """

    def __init__(self, workspace: Workspace) -> None:
        from kohort.model.limits import LIMITS
        from kohort.trust.limits import forbidding

        self._engine = workspace.engine_features()
        self._unasked = forbidding(workspace.store, *LIMITS)

    def features(self, *args: Any, **kwargs: Any) -> FeatureTable:
        """As `kohort.engines.evaluate.features`."""
        return self._engine(*args, **kwargs).without(self._unasked)

    def purchases(self, *args: Any, **kwargs: Any) -> pa.Table:
        """As `kohort.engines.purchases.purchases`."""
        import numpy as np
        import pyarrow as pa

        from kohort.engines.purchases import purchases

        table = purchases(*args, **kwargs)
        return table.filter(pa.array(~np.isin(table.column("customer").to_numpy(), self._unasked)))

    def weekly(self, *args: Any, **kwargs: Any) -> tuple[np.ndarray, np.ndarray]:
        """As `kohort.engines.weeks.weekly`."""
        import numpy as np

        from kohort.engines.weeks import weekly

        ids, series = weekly(*args, **kwargs)
        asked = ~np.isin(ids, self._unasked)
        return ids[asked], series[asked]
