"""`ws.predict`: training sets from the log, models that were checked, scores, reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.workspace.people import company_numbers, customer_keys
from kohort.workspace.predict_models import KIND, PredictModels
from kohort.workspace.predict_notes import note

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.predictions import Target
    from kohort.predict.dataset import Dataset
    from kohort.predict.train import Costs, Trained
    from kohort.workspace.value import ValueDoor


class PredictDoor(PredictModels):
    """Predictions of one workspace. What is predicted stands under `predictions:` in `kohort.yaml`.

    A target is given by its name, or as `{"churn": "order_line", "horizon": "90 days"}`; one part of a target that has
    several as `name/part`.
    """

    @cached_property
    def value(self) -> ValueDoor:
        """What customers will buy and spend: `ws.predict.value.fit()`, then `ws.predict.value()`."""
        from kohort.workspace.value import ValueDoor

        return ValueDoor(self._ws)

    def dataset(
        self,
        target: str | Mapping[str, Any] | Target | None = None,
        *,
        as_of: Sequence[int | str] | None = None,
        horizon: str | None = None,
        progress: Progress = silent,
    ) -> Dataset:
        """Every customer as they were at past moments, and what happened within the horizon after each.

        Args:
            target: What is asked; see the class.
            as_of: Moments; None = up to six, a horizon apart, the last one a horizon before the newest event.
            horizon: In place of the target's own, for example "30 days".

        Raises:
            NotEnough: A horizon ends after the newest event.

        Example:
            `ws.predict.dataset({"churn": "order_line"}, as_of=["2011-03-01", "2011-06-01"], horizon="90 days")`
        """
        asked = self.with_horizon(self.target(target), horizon)
        return self.rows_at(asked, as_of, self.definitions_for(asked), progress)

    def train(
        self,
        target: str | Mapping[str, Any] | Target | None = None,
        *,
        as_of: Sequence[int | str] | None = None,
        horizon: str | None = None,
        costs: Costs | None = None,
        progress: Progress = silent,
        **how: Any,
    ) -> Trained:
        """Train, check and keep a model of a target; the newest one of a name is the one that scores.

        Of a target with several parts (cross-sell, migration) each part gets a model of its own, and the report lists them under
        `parts`.

        Returns:
            The report, and the model where there is one: too little data and no signal are answers, and then the one
            before stays.
        """
        from kohort.workspace.predict_parts import train_parts

        asked = self.with_horizon(self.target(target), horizon)
        try:
            if asked.several:
                return train_parts(self, asked, as_of, costs=costs, progress=progress, **how)
            data_version, used = self._ws.store.log.version(), self.definitions_for(asked)
            data = self.rows_at(asked, as_of, used, progress)
        except NotEnough as error:
            note(self._ws, asked.name, "training", {"code": "too_short", "reason": error.message, "warnings": []})
            raise
        return self.learned(data, used, data_version, costs=costs, progress=progress, **how)

    def models(self) -> list[dict[str, Any]]:
        """Every kept version: name, version, current, trained_at, family, figures, target; the oldest first.

        `scores`: of the current ones what was kept last, and whether it is stale (see `kohort.workspace.scores.freshness`).
        """
        from kohort.workspace.scores import freshness

        ws, found = self._ws, []
        targets = {t.name: t for t in self.targets()} if ws.store.artefacts.ids(KIND) else {}
        for id_ in ws.store.artefacts.ids(KIND):
            model, manifest = self.load(id_)
            report = model.about["report"]
            current = self.standing_of(manifest["name"])["version"] == id_
            target = targets.get(manifest["name"]) if current else None
            found.append(
                {
                    "name": manifest["name"],
                    "version": id_,
                    "current": current,
                    "trained_at": manifest["trained_at"],
                    "target": manifest["target"],
                    "model": report["model"],
                    "metrics": report["metrics"],
                    "as_of": manifest["as_of"],
                    "scores": freshness(ws, target, ws.as_of()) if target else None,
                }
            )
        return sorted(found, key=lambda m: str(m["trained_at"]))

    def report(self, name: str | None = None) -> dict[str, Any]:
        """The validation of the current model of a target, as `train` gave it."""
        model, _ = self.current(name)
        report: dict[str, Any] = model.about["report"]
        return {**report, "version": model.id}

    def score(
        self, name: str | None = None, *, as_of: int | str | None = None, progress: Progress = silent
    ) -> pa.Table:
        """Everybody that the target is about: customer_id, probability, percentile, told, model, as_of.

        `told` says whether the probability reaches the threshold that follows from the costs. Customers that the target is
        not about (not active any more, had the event already) have no score. Of a `next` also `days`, `days_low`, `days_high`:
        the median day of such customers with its interval, null = beyond the horizon. Of a target with several parts one row
        per customer and part, with a column `part`; of a migration also `part_now`, and the parts of a customer make 1.
        """
        import numpy as np
        import pyarrow as pa

        from kohort.predict.when import told
        from kohort.workspace.predict_parts import score_parts

        if self.target(name).several:
            return score_parts(self, self.target(name), as_of, progress=progress)
        model, asked = self.current(name)
        progress("Scoring", 0, 1)
        table, when = self.table_now(model, asked, as_of)
        p = model.probability(table.data)
        progress("Scoring", 1, 1)
        numbers = company_numbers(self._ws.store.vault, table.ids.to_numpy())
        when_ = told(model.about["report"]["when"]["bands"], p) if "when" in model.about["report"] else {}
        days = {f"days_{k}".removesuffix("_median"): pa.array(v, from_pandas=True) for k, v in when_.items()}
        return pa.table(
            {
                "customer_id": pa.array(numbers, pa.string()),
                "probability": p,
                "percentile": model.percentile(p).round(1),
                "told": p >= model.about["report"]["threshold"]["value"],
                **days,
                "model": pa.array(np.full(len(p), model.id), pa.string()),
                "as_of": pa.array(np.full(len(p), iso(when)), pa.string()),
            }
        )

    def keep(
        self, name: str | None = None, *, as_of: int | str | None = None, progress: Progress = silent
    ) -> dict[str, Any]:
        """Score everybody and store that, so that rules can ask: see `kohort.workspace.scores.keep`."""
        from kohort.workspace.scores import keep

        return keep(self._ws, name, as_of=as_of, progress=progress)

    def why(self, name: str | None, customer: str, *, as_of: int | str | None = None) -> dict[str, Any]:
        """A customer's probability with the three strongest reasons up and down.

        Raises:
            UnknownCustomer: The number is nobody's.
            NotEnough: The target is not about this customer at this moment.
        """
        import pyarrow.compute as pc

        from kohort.predict.why import why

        (key,) = customer_keys(self._ws.store.vault, [customer])
        model, asked = self.current(name)
        table, when = self.table_now(model, asked, as_of, [key])
        mine = table.data.filter(pc.equal(table.ids, key))
        if not mine.num_rows:
            raise NotEnough(
                f"{asked.name} is not about this customer at this moment.",
                hint="Not active for too long, or it happened already: there is no score, and no reason for one.",
            )
        found = why(model, mine)[0]
        return {
            "customer": customer,
            "name": asked.name,
            "target": asked.text,
            "model": model.id,
            "as_of": iso(when),
            "percentile": float(model.percentile(found.probability)),
            **found.as_dict(),
        }

    def evaluate(
        self, name: str | None = None, *, as_of: int | str | None = None, progress: Progress = silent
    ) -> dict[str, Any]:
        """How the current model did at a moment whose outcome is known by now.

        Args:
            as_of: The moment; None = the last one whose outcome is known. `seen` says whether the model learned from it.
        """
        from kohort.predict.evaluate import judge

        model, asked = self.current(name)
        moments = None if as_of is None else [as_of]
        data = self.rows_at(asked, moments, self.definitions_of(model), progress, most=1)
        moment = int(data.moments[0])
        seen = any(self._ws.as_of(text) >= moment for text in model.about["report"]["as_of"])
        found = judge(model, data.table.data, data.y)
        return {"name": asked.name, "model": model.id, "as_of": iso(moment), "seen": seen, **found}

    # -- the life of a model ---------------------------------------------------------------------------------------

    def check(self, name: str | None = None, *, progress: Progress = silent) -> dict[str, Any]:
        """Whether the current model still fits: drift, decay, whether it is to be trained again. See `model_life.check`."""
        from kohort.workspace.model_life import check

        found = check(self._ws, name, progress=progress)
        note(self._ws, found["name"], "check", found)
        return found

    def retrain(
        self, name: str | None = None, *, anyway: bool = False, progress: Progress = silent, **how: Any
    ) -> dict[str, Any]:
        """A challenger against the current model on outcomes that neither has seen; the surely better one scores."""
        from kohort.workspace.model_life import retrain

        return retrain(self._ws, name, anyway=anyway, progress=progress, **how)

    def rollback(self, name: str | None = None, *, to: str | None = None) -> dict[str, Any]:
        """The version before the current one (or a given one) scores again. See `model_life.rollback`."""
        from kohort.workspace.model_life import rollback

        return rollback(self._ws, name, to=to)

    def card(self, name: str | None = None) -> dict[str, Any]:
        """The card of the current model: what it is for, what it learned from, how good it is, where it must not be used."""
        from kohort.predict.card import card

        model, asked = self.current(name)
        standing = self.standing_of(asked.name)
        return card(model, self.load(model.id)[1], before=standing["before"])

    def signals(self, name: str | None = None, *, seed: int = 0, progress: Progress = silent) -> dict[str, Any]:
        """Which behaviours come how long before the outcome, told from chance. See `kohort.workspace.signals.signals`."""
        from kohort.workspace.signals import signals

        found = signals(self._ws, name, seed=seed, progress=progress)
        note(self._ws, found["name"], "signals", found)
        return found

    def turning_points(self, customer: str | None = None, **how: Any) -> dict[str, Any]:
        """Who does surely more, or less, than before, and since when. See `kohort.workspace.turning.turning_points`."""
        from kohort.workspace.turning import turning_points

        return turning_points(self._ws, customer, **how)

    # -- what pages and programs read -------------------------------------------------------------------------------

    def overview(self) -> dict[str, Any]:
        """What is predicted and how each of it stands. See `kohort.workspace.predict_shown.overview`."""
        from kohort.workspace.predict_shown import overview

        return overview(self._ws)

    def line(self, name: str) -> dict[str, Any]:
        """How one prediction stands, as `overview` lists it."""
        from kohort.workspace.predict_shown import line

        return line(self._ws, name)

    def show(self, name: str) -> dict[str, Any]:
        """One prediction from all sides. See `kohort.workspace.predict_shown.show`."""
        from kohort.workspace.predict_shown import show

        return show(self._ws, name)

    def likely(self, name: str, **how: Any) -> dict[str, Any]:
        """Some customers by their kept probability, with reasons. See `kohort.workspace.likely.likely`."""
        from kohort.workspace.likely import likely

        return likely(self._ws, name, **how)

    def chances(self, name: str) -> pa.Table:
        """Everybody's kept probability, the most likely first. See `kohort.workspace.likely.chances`."""
        from kohort.workspace.likely import chances

        return chances(self._ws, name)

    def of_customer(self, customer: str, *, reasons: bool = True) -> dict[str, Any]:
        """What is predicted of one customer. See `kohort.workspace.likely.of_customer`."""
        from kohort.workspace.likely import of_customer

        return of_customer(self._ws, customer, reasons=reasons)
