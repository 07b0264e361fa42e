"""What a workspace predicts, with which rows, and the versions of its models."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any, get_args

from kohort import __version__
from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.workspace.predict_notes import note
from kohort.workspace.predict_past import people_now, training_set
from kohort.workspace.predict_segments import by_segment
from kohort.workspace.profiled import Profiled

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.predictions import Target
    from kohort.model.feature import FeatureTable
    from kohort.predict.dataset import Dataset
    from kohort.predict.model import Model
    from kohort.predict.train import Costs, Trained
    from kohort.workspace.workspace import Workspace

KIND = "prediction"
MOST_BEFORE = 100
"""Versions that a prediction can be rolled back through."""
MOST_LOADED = 6
"""Versions that stay in memory."""

_FILE = "model.kohort"


class PredictModels:
    """Targets, rows and versions of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._loaded: OrderedDict[str, tuple[Model, dict[str, Any]]] = OrderedDict()
        self._lock = Lock()

    def targets(self) -> tuple[Target, ...]:
        """What `kohort.yaml` defines, or one sensible target for what the data contains."""
        return self._ws.config.predictions or (self._default(),)

    def target(self, target: str | Mapping[str, Any] | Target | None = None) -> Target:
        """A target by name or by definition; the first one where nothing is given.

        Raises:
            NotFound: No prediction is called so.
            RefusedDefinition: The definition cannot be read.
        """
        from kohort.definitions.predictions import Target, TargetKind, parse_target

        if isinstance(target, Target):
            return target
        if target is None:
            return self.targets()[0]
        if isinstance(target, str):
            known = {t.name: t for t in self.targets()}
            whole, _, part = target.partition("/")
            if whole not in known or (part and not known[whole].several):
                raise NotFound("prediction", target, known, hint="Define it under predictions: in kohort.yaml.")
            return known[whole].part(part) if part else known[whole]
        kind = next((k for k in get_args(TargetKind) if k in target), "prediction")
        return parse_target(kind, target, self._ws.store.log.columns())

    def current(self, name: str | None = None) -> tuple[Model, Target]:
        """The model that scores, and what it predicts: with the horizon that it was trained for.

        Raises:
            NotEnough: None was trained yet.
            WrongUsage: The target has several parts.
        """
        asked = self.target(name)
        if asked.several:
            raise WrongUsage(
                f"{asked.name!r} has several parts, each with a model of its own.",
                hint=f"Name one, as {asked.name}/PART: kohort predict models lists them.",
            )
        version = self.standing_of(asked.name)["version"]
        if not version:
            raise NotEnough(
                f"No model of {asked.name!r} was trained yet.", hint=f"Run: kohort predict train {asked.name}"
            )
        model, manifest = self.load(version)
        horizon = manifest["target"].get("horizon")  # `train` may have been told another one
        return model, asked if horizon in (None, str(asked.horizon)) else self.with_horizon(asked, horizon)

    # -- versions --------------------------------------------------------------------------------------------------

    def fitted(
        self,
        data: Dataset,
        used: Sequence[FeatureDefinition],
        data_version: str,
        *,
        costs: Costs | None = None,
        progress: Progress = silent,
        **how: Any,
    ) -> Trained:
        """A model of some rows, kept as a version that does not score yet. See `PredictDoor.train`.

        Args:
            used: The features of the rows.
            data_version: Of the log they were made from.
        """
        from kohort.definitions.features_text import write_features
        from kohort.definitions.predictions import write_target
        from kohort.predict.recurrent.weeks import without_weeks

        ws, asked = self._ws, data.target
        part = {"part": asked.value} if asked.kind in ("cross_sell", "migration") else {}
        about = {
            "name": asked.name,
            "target": {**write_target(asked), **part, "text": asked.text},
            "as_of": [iso(m) for m in data.asked],
            "data_version": data_version,
            "kohort": __version__,
        }
        found = data.train(costs=costs, threads=ws.threads, progress=progress, about=about, **how)
        if found.model is None:
            return found
        assert found.judged is not None
        if found.model.learned.recurrent is None:
            used = without_weeks(used)
        report = {**found.report, "segments": by_segment(ws, data, found.judged)}
        model = replace(found.model, about={**found.model.about, "report": report, "definitions": write_features(used)})
        manifest = {**about, "trained_at": iso(time.time_ns() // 1_000), "until": int(data.known_at.max())}
        with ws.store.write_lock():
            if model.id not in ws.store.artefacts.ids(KIND):
                ws.store.artefacts.save(KIND, model.id, {_FILE: model.to_bytes()}, manifest)
        return replace(found, model=model, report={**report, "version": model.id})

    def learned(self, data: Dataset, used: Sequence[FeatureDefinition], data_version: str, **how: Any) -> Trained:
        """As `fitted`; where there is a model it scores from now on."""
        found = self.fitted(data, used, data_version, **how)
        if found.model is not None:
            self.make_current(data.target.name, found.model.id)
        kept = ("code", "reason", "warnings", "rows", "customers", "positives", "version")
        note(self._ws, data.target.name, "training", {k: found.report[k] for k in kept if k in found.report})
        return found

    def make_current(self, name: str, version: str) -> None:
        """This version scores from now on; the one before can be returned to."""
        with self._ws.store.write_lock():
            kept = self.standing_of(name)
            before = [v for v in (*kept["before"], kept["version"]) if v and v != version]
            self._ws.store.state.set(f"predict.{name}", {"version": version, "before": before[-MOST_BEFORE:]})

    def standing_of(self, name: str) -> dict[str, Any]:
        """`version` that scores (empty = none), and the ones `before` it, the latest last."""
        return {"version": "", "before": [], **(self._ws.store.state.get(f"predict.{name}") or {})}

    def parts_of(self, target: Target) -> list[str]:
        """The parts of a target with several that the last training asked about; empty before it."""
        return list((self._ws.store.state.get(f"predict.{target.name}") or {}).get("parts", []))

    def learned_until(self, version: str) -> int:
        """Up to when (microseconds UTC) a kept version knows what happened."""
        return int(self.load(version)[1]["until"])

    def load(self, id_: str) -> tuple[Model, dict[str, Any]]:
        """A kept version and its manifest. The last few stay in memory: a version never changes."""
        from kohort.predict.model import model_from_bytes

        with self._lock:
            kept = self._loaded.get(id_)
        if kept is None:
            files, manifest = self._ws.store.artefacts.load(KIND, id_)
            kept = model_from_bytes(files[_FILE]), manifest
        with self._lock:
            self._loaded[id_] = kept
            self._loaded.move_to_end(id_)
            while len(self._loaded) > MOST_LOADED:
                self._loaded.popitem(last=False)
        return kept

    # -- rows ------------------------------------------------------------------------------------------------------

    def rows_at(
        self,
        target: Target,
        as_of: Sequence[int | str] | None,
        definitions: Sequence[FeatureDefinition],
        progress: Progress,
        most: int | None = None,
    ) -> Dataset:
        engine = self.features_now()
        return training_set(self._ws, target, as_of, definitions, features=engine, progress=progress, most=most)

    def table_now(
        self, model: Model, target: Target, as_of: int | str | None, customers: Sequence[int] | None = None
    ) -> tuple[FeatureTable, int]:
        """Features of those the target is about, as the model knows them."""
        ws = self._ws
        when = as_of if isinstance(as_of, int) else ws.as_of(as_of)
        used, engine = self.definitions_of(model), self.features_now()
        return people_now(ws, target, when, used, features=engine, customers=customers), when

    def features_now(self) -> Callable[..., FeatureTable]:
        """Features of everybody who may be profiled; single weeks too, where they are asked for."""
        from kohort.predict.recurrent.weeks import WithWeeks

        return WithWeeks(Profiled(self._ws).features)

    def definitions_for(self, target: Target) -> tuple[FeatureDefinition, ...]:
        """The features that a target learns from: those of the workspace, and single weeks where sequences are to be tried."""
        used = tuple(self._ws.definitions())
        if not target.sequence:
            return used
        from kohort.engines.weeks import definitions, usual_channels
        from kohort.predict.recurrent.weeks import WEEKS

        contents = self._ws.contents()
        return (*used, *definitions(usual_channels(contents.events, goods=bool(contents.goods)), WEEKS))

    def definitions_of(self, model: Model) -> tuple[FeatureDefinition, ...]:
        from kohort.definitions.features import parse_features

        return parse_features(model.about["definitions"])

    def with_horizon(self, target: Target, horizon: str | None) -> Target:
        from kohort.definitions.predictions import parse_horizon

        if horizon is None:
            return target
        if target.kind == "trait":
            raise WrongUsage("Of a trait nothing lies ahead, so it has no horizon.")
        return replace(target, horizon=parse_horizon(horizon))

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
