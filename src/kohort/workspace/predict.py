"""`ws.predict`: training sets from the log, models that were checked, scores, reasons."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from kohort import __version__
from kohort.errors import NotEnough, NotFound
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.workspace.people import company_numbers, customer_keys

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.predictions import Target
    from kohort.model.feature import FeatureTable
    from kohort.predict.dataset import Dataset
    from kohort.predict.model import Model
    from kohort.predict.train import Costs, Trained
    from kohort.workspace.workspace import Workspace

KIND = "prediction"
_FILE = "model.kohort"


class PredictDoor:
    """Predictions of one workspace. What is predicted stands under `predictions:` in `kohort.yaml`.

    A target is given by its name, or as `{"churn": "order_line", "horizon": "90 days"}`.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def targets(self) -> tuple[Target, ...]:
        """What `kohort.yaml` defines, or one sensible target for what the data contains."""
        return self._ws.config.predictions or (self._default(),)

    def target(self, target: str | Mapping[str, Any] | Target | None = None) -> Target:
        """A target by name or by definition; the first one where nothing is given.

        Raises:
            NotFound: No prediction is called so.
            RefusedDefinition: The definition cannot be read.
        """
        from kohort.definitions.predictions import Target, parse_target

        if isinstance(target, Target):
            return target
        if target is None:
            return self.targets()[0]
        if isinstance(target, str):
            known = {t.name: t for t in self.targets()}
            if target not in known:
                raise NotFound("prediction", target, known, hint="Define it under predictions: in kohort.yaml.")
            return known[target]
        kind = next((k for k in ("churn", "event", "trait") if k in target), "prediction")
        return parse_target(kind, target, self._ws.store.log.columns())

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
        asked = self._with_horizon(self.target(target), horizon)
        return self.rows_at(asked, as_of, self._ws.definitions(), progress)

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

        Returns:
            The report, and the model where there is one: too little data and no signal are answers, and then the one
            before stays.
        """
        from kohort.definitions.features_text import write_features
        from kohort.definitions.predictions import write_target

        ws = self._ws
        asked = self._with_horizon(self.target(target), horizon)
        data_version, used = ws.store.log.version(), ws.definitions()
        data = self.rows_at(asked, as_of, used, progress)
        about = {
            "name": asked.name,
            "target": {**write_target(asked), "text": asked.text},
            "as_of": [iso(m) for m in data.asked],
            "data_version": data_version,
            "kohort": __version__,
        }
        found = data.train(costs=costs, threads=ws.threads, progress=progress, about=about, **how)
        if found.model is None:
            return found
        model = replace(found.model, about={**found.model.about, "definitions": write_features(used)})
        report = {**found.report, "version": model.id}
        manifest = {**about, "trained_at": iso(time.time_ns() // 1_000), "until": int(data.known_at.max())}
        with ws.store.write_lock():
            if model.id not in ws.store.artefacts.ids(KIND):
                ws.store.artefacts.save(KIND, model.id, {_FILE: model.to_bytes()}, manifest)
            ws.store.state.set(f"predict.{asked.name}", {"version": model.id})
        return replace(found, model=model, report=report)

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
            current = (ws.store.state.get(f"predict.{manifest['name']}") or {}).get("version") == id_
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

    def current(self, name: str | None = None) -> tuple[Model, Target]:
        """The model that scores, and what it predicts.

        Raises:
            NotEnough: None was trained yet.
        """
        asked = self.target(name)
        kept = self._ws.store.state.get(f"predict.{asked.name}")
        if kept is None:
            raise NotEnough(
                f"No model of {asked.name!r} was trained yet.", hint=f"Run: kohort predict train {asked.name}"
            )
        return self.load(kept["version"])[0], asked

    def score(
        self, name: str | None = None, *, as_of: int | str | None = None, progress: Progress = silent
    ) -> pa.Table:
        """Everybody that the target is about: customer_id, probability, percentile, told, model, as_of.

        `told` says whether the probability reaches the threshold that follows from the costs. Customers that the target is
        not about (not active any more, had the event already) have no score.
        """
        import numpy as np
        import pyarrow as pa

        model, asked = self.current(name)
        progress("Scoring", 0, 1)
        table, when = self.table_now(model, asked, as_of)
        p = model.probability(table.data)
        progress("Scoring", 1, 1)
        numbers = company_numbers(self._ws.store.vault, table.ids.to_numpy())
        return pa.table(
            {
                "customer_id": pa.array(numbers, pa.string()),
                "probability": p,
                "percentile": model.percentile(p).round(1),
                "told": p >= model.about["report"]["threshold"]["value"],
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
        data = self.rows_at(asked, moments, self._definitions(model), progress, most=1)
        moment = int(data.moments[0])
        seen = any(self._ws.as_of(text) >= moment for text in model.about["report"]["as_of"])
        found = judge(model, data.table.data, data.y)
        return {"name": asked.name, "model": model.id, "as_of": iso(moment), "seen": seen, **found}

    # -- parts -----------------------------------------------------------------------------------------------------

    def rows_at(
        self,
        target: Target,
        as_of: Sequence[int | str] | None,
        definitions: Sequence[FeatureDefinition],
        progress: Progress,
        most: int | None = None,
    ) -> Dataset:
        from kohort.predict.dataset import MOMENTS, dataset, default_moments

        ws = self._ws
        until = ws.as_of()
        if as_of is None:
            first = ws.contents().first_ts
            moments = default_moments(
                target, first=until if first is None else first, until=until, most=most or MOMENTS
            )
        else:
            moments = [m if isinstance(m, int) else ws.as_of(m) for m in as_of]
        return dataset(
            ws.store.log.snapshot(),
            definitions,
            target,
            as_of=moments,
            until=until,
            features=self._features(),
            zone=ws.zone,
            currency=ws.currency,
            progress=progress,
        )

    def table_now(
        self, model: Model, target: Target, as_of: int | str | None, customers: Sequence[int] | None = None
    ) -> tuple[FeatureTable, int]:
        """Features of those the target is about, as the model knows them."""
        from kohort.predict.dataset import asked_about, tells

        ws = self._ws
        when = as_of if isinstance(as_of, int) else ws.as_of(as_of)
        engine = self._features()
        table = asked_about(
            ws.store.log.snapshot(),
            [d for d in self._definitions(model) if not tells(d, target)],
            target,
            as_of=when,
            features=engine if customers is None else partial(engine, customers=customers),
            zone=ws.zone,
            currency=ws.currency,
        )
        return table, when

    def _features(self) -> Callable[..., FeatureTable]:
        """Features of everybody who may be profiled."""
        from kohort.model.limits import LIMITS
        from kohort.trust.limits import forbidding

        engine, unasked = self._ws.engine_features(), forbidding(self._ws.store, *LIMITS)
        return lambda *args, **kwargs: engine(*args, **kwargs).without(unasked)

    def _definitions(self, model: Model) -> tuple[FeatureDefinition, ...]:
        from kohort.definitions.features import parse_features

        return parse_features(model.about["definitions"])

    def learned_until(self, version: str) -> int:
        """Up to when (microseconds UTC) a kept version knows what happened."""
        return int(self.load(version)[1]["until"])

    def load(self, id_: str) -> tuple[Model, dict[str, Any]]:
        """A kept version and its manifest."""
        from kohort.predict.model import model_from_bytes

        files, manifest = self._ws.store.artefacts.load(KIND, id_)
        return model_from_bytes(files[_FILE]), manifest

    def _with_horizon(self, target: Target, horizon: str | None) -> Target:
        from kohort.definitions.predictions import parse_target, write_target

        if horizon is None:
            return target
        return parse_target(target.name, {**write_target(target), "horizon": horizon}, self._ws.store.log.columns())

    def _default(self) -> Target:
        """No order in 90 days among those who ordered within a year; without orders the same of any activity."""
        from kohort.definitions.predictions import USUAL, parse_target
        from kohort.model.event import IDENTIFY

        contents = self._ws.contents()
        if contents.goods:
            return parse_target(USUAL, {"churn": "order_line", "where": "line_kind = 'goods' and amount > 0"})
        events = sorted(name for name in contents.events if name != IDENTIFY)
        if not events:
            raise NotEnough(
                "There are no events yet that could stop.", hint="Bring some in with: kohort ingest YOUR-FILES"
            )
        return parse_target(USUAL, {"churn": events})
