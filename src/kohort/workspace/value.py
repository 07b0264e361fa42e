"""`ws.predict.value`: what customers will buy and spend within a horizon, by a model that was judged."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from kohort import __version__
from kohort.errors import NotEnough
from kohort.model.clock import iso
from kohort.model.event import VALUE_COLUMNS, VALUE_OF
from kohort.model.progress import Progress, silent
from kohort.workspace.people import company_numbers
from kohort.workspace.profiled import Profiled, may_be_told

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.model.segmentation import Estimate
    from kohort.predict.lifetime.model import LifetimeModel
    from kohort.predict.lifetime.past import Past
    from kohort.workspace.workspace import Workspace

KIND = "lifetime"
HORIZON = "90 days"
FIGURES = {
    f"{figure}{end}": f"p_kohort_{name}{end}"
    for figure, name in (("purchases", "purchases"), ("value", "worth"))
    for end in ("", "_low", "_high")
}
"""A column of the scores → its column in the log."""
_FILE = "model.kohort"
_KEPT = "lifetime.kept"


@dataclass(frozen=True, slots=True)
class Valued:
    """What is expected of everybody who bought.

    Attributes:
        table: customer_id, purchases, purchases_low, purchases_high, and where amounts are known value, value_low,
            value_high (major units); model, as_of. Ordered as the model reads them.
        customers: Pseudonyms (int64), one per row: who was erased meanwhile has no number any more.
        purchases: Of all together.
        value: Of all together; None where no amounts are known.
    """

    table: pa.Table
    customers: npt.NDArray[np.int64]
    purchases: Estimate
    value: Estimate | None


class ValueDoor:
    """What customers will be worth. Calling it is scoring: `ws.predict.value()` after `ws.predict.value.fit()`."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def fit(
        self,
        *,
        horizon: str = HORIZON,
        as_of: int | str | None = None,
        seed: int = 0,
        progress: Progress = silent,
    ) -> dict[str, Any]:
        """Fit models of repeat buying and a learned one, judge them on a later time, and keep the better.

        Args:
            horizon: How far ahead they look, a fixed length.
            as_of: The moment they are fitted at; None = the newest. Where the log knows the whole horizon after it, they are
                judged on that; else on the last horizon before it.
            seed: Of folds, fits and resamples.

        Returns:
            The report; docs/buying.md says what is in it.

        Raises:
            NotEnough: Fewer than 100 customers had bought, or fewer than 40 of them again.

        Example:
            `ws.predict.value.fit(horizon="26 weeks")["chosen"]`
        """
        from kohort.definitions.features_text import write_features
        from kohort.definitions.predictions import parse_horizon
        from kohort.predict.lifetime.fit import fit

        ws, used = self._ws, self._ws.definitions()
        about = {"data_version": ws.store.log.version(), "kohort": __version__, "definitions": write_features(used)}
        found = fit(
            self._past(used),
            as_of=as_of if isinstance(as_of, int) else ws.as_of(as_of),
            until=ws.as_of(),
            horizon=parse_horizon(horizon),
            about=about,
            seed=seed,
            threads=ws.threads,
            progress=progress,
        )
        report = found.report
        manifest = {
            "trained_at": iso(time.time_ns() // 1_000),
            "data_version": about["data_version"],
            **{k: report[k] for k in ("as_of", "horizon", "model", "chosen")},
        }
        id_ = found.model.id
        with ws.store.write_lock():
            if id_ not in ws.store.artefacts.ids(KIND):
                ws.store.artefacts.save(KIND, id_, {_FILE: found.model.to_bytes()}, manifest)
            ws.store.state.set(KIND, {"version": id_})
        return {**report, "version": id_}

    def __call__(self, *, as_of: int | str | None = None, progress: Progress = silent) -> pa.Table:
        """The table of `score`."""
        return self.score(as_of=as_of, progress=progress).table

    def score(self, *, as_of: int | str | None = None, progress: Progress = silent) -> Valued:
        """What everybody who had bought by a moment will buy and spend within the horizon of the model.

        Who objects to profiling has no score.

        Raises:
            NotEnough: No model was fitted yet, or nobody had bought by then.
        """
        import numpy as np
        import pyarrow as pa

        from kohort.definitions.features import parse_features

        model, ws = self.current(), self._ws
        when = as_of if isinstance(as_of, int) else ws.as_of(as_of)
        past = self._past(parse_features(model.about["definitions"]))
        progress("Scoring", 0, 1)
        summary = past.summary(when)
        if not len(summary):
            raise NotEnough(f"Nobody had bought anything by {iso(when)}.", hint="Choose a later moment.")
        assert summary.customer is not None
        found = model.score(summary, past.table(when, summary) if model.learned is not None else None)
        progress("Scoring", 1, 1)
        customers = summary.customer.to_numpy(zero_copy_only=False)
        numbers = company_numbers(ws.store.vault, customers)
        columns = {name: np.asarray(values) for name, values in found.columns.items()}
        table = pa.table(
            {
                "customer_id": pa.array(numbers, pa.string()),
                **columns,
                "model": pa.array(np.full(len(numbers), model.id), pa.string()),
                "as_of": pa.array(np.full(len(numbers), iso(when)), pa.string()),
            }
        )
        return Valued(table, customers, found.purchases, found.value)

    def keep(self, *, as_of: int | str | None = None, progress: Progress = silent) -> dict[str, Any]:
        """Scores everybody and stores that as events of the log, so that it is erased, merged and exported with the rest.

        Returns:
            `{"model", "as_of", "horizon", "customers", "new", "purchases", "value"}`, the last two of all together, with intervals.

        Raises:
            NotEnough: No model was fitted yet, or nobody had bought by then.
        """
        import numpy as np
        import pyarrow as pa

        from kohort.workspace.scores import append, said_of

        ws, model = self._ws, self.current()
        when = as_of if isinstance(as_of, int) else ws.as_of(as_of)
        found = self.score(as_of=when, progress=progress)
        customers = found.customers.astype(np.int64)
        figures = {
            column: found.table.column(name).to_numpy(zero_copy_only=False).astype(float)
            for name, column in FIGURES.items()
            if name in found.table.column_names
        }
        totals = {"purchases": found.purchases, "value": found.value}
        number = int((self.kept() or {}).get("number", 0)) + 1
        ws.store.log.declare(VALUE_COLUMNS)
        with ws.store.write_lock():
            there = pa.array(ws.store.vault.there(customers), pa.bool_())  # nobody who was erased meanwhile
            rows = said_of(VALUE_OF, model.id, customers, figures, when=when, number=number, zone=ws.zone).filter(there)
            new = append(ws, rows)
            said = {
                "number": number,
                "as_of": when,
                "version": model.id,
                "customers": rows.num_rows,
                "horizon": model.about["report"]["horizon"],
                **{name: None if total is None else asdict(total) for name, total in totals.items()},
            }
            ws.store.state.set(_KEPT, said)
        told = {name: said[name] for name in ("horizon", "customers", "purchases", "value")}
        return {"model": model.id, "as_of": iso(when), "new": new, **told}

    def kept(self) -> dict[str, Any] | None:
        """What was kept last: `number`, `as_of` (µs), `version`, `customers`, `horizon`, totals; None = nothing was."""
        found: dict[str, Any] | None = self._ws.store.state.get(_KEPT)
        return found

    def best(self, *, cursor: int = 0, limit: int = 50) -> dict[str, Any]:
        """Kept figures, the customers who are expected to be worth most first (without amounts: to buy most).

        Returns:
            `{"as_of", "horizon", "customers", "by", "rows": [{"customer_id", "code", "purchases", "value"}], "next"}`, figures
            `{"value", "low", "high"}` or None; `next` = the cursor of the next page, None = there is none.

        Raises:
            NotEnough: Nothing was kept yet.
        """
        import pyarrow.compute as pc

        from kohort.workspace.people import short_code

        kept, table = self._figures(None)
        by = "value" if pc.sum(pc.is_valid(table.column("value"))).as_py() else "purchases"
        order = [(by, "descending"), ("customer", "ascending")]
        some = table.sort_by(order).slice(cursor, limit)
        keys = some.column("customer").to_pylist()
        numbers = company_numbers(self._ws.store.vault, keys)
        rows = [
            {"customer_id": number, "code": short_code(key), **_told(row)}
            for key, number, row in zip(keys, numbers, some.to_pylist(), strict=True)
        ]
        more = cursor + limit < table.num_rows
        about = {"as_of": iso(kept["as_of"]), "horizon": kept["horizon"], "customers": table.num_rows, "by": by}
        return {**about, "rows": rows, "next": cursor + limit if more else None}

    def of(self, customer: int) -> dict[str, Any] | None:
        """What is kept of one customer (a pseudonym): `{"as_of", "horizon", "purchases", "value"}`; None = nothing."""
        if self.kept() is None:
            return None
        kept, table = self._figures([customer])
        if not table.num_rows:
            return None
        return {"as_of": iso(kept["as_of"]), "horizon": kept["horizon"], **_told(table.to_pylist()[0])}

    def _figures(self, customers: Sequence[int] | None) -> tuple[dict[str, Any], pa.Table]:
        from kohort.engines.told import told

        kept = self.kept()
        if kept is None:
            raise NotEnough(
                "Nobody's value is worked out yet.",
                hint="Start it on the page /value, or in Python: ws.predict.value.keep()",
            )
        shot = self._ws.store.log.snapshot()
        table = told(shot, VALUE_OF, FIGURES, as_of=kept["as_of"], number=kept["number"], customers=customers)
        return kept, may_be_told(self._ws, table)

    def report(self) -> dict[str, Any]:
        """What `fit` said of the current model."""
        model = self.current()
        return {**model.about["report"], "version": model.id}

    def current(self) -> LifetimeModel:
        """The model that scores.

        Raises:
            NotEnough: None was fitted yet.
        """
        from kohort.predict.lifetime.model import lifetime_from_bytes

        kept = self._ws.store.state.get(KIND)
        if kept is None:
            raise NotEnough("No value model was fitted yet.", hint="Run: kohort clv fit")
        files, _ = self._ws.store.artefacts.load(KIND, kept["version"])
        return lifetime_from_bytes(files[_FILE])

    def _past(self, definitions: Sequence[FeatureDefinition]) -> Past:
        from kohort.predict.lifetime.past import Past

        ws, engine = self._ws, Profiled(self._ws)
        return Past(ws.store.log.snapshot(), definitions, engine.purchases, engine.features, ws.zone, ws.currency)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Figures with their intervals, as documents hold them."""
    return {
        name: None
        if row[name] is None
        else {"value": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}
        for name in ("purchases", "value")
    }
