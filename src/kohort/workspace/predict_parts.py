"""Targets with several parts: a model for each, trained and scored together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.workspace.people import company_numbers
from kohort.workspace.predict_past import people_now, training_parts

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from kohort.definitions.predictions import Target
    from kohort.predict.train import Costs, Trained
    from kohort.workspace.predict import PredictDoor


def train_parts(
    door: PredictDoor,
    target: Target,
    as_of: Sequence[int | str] | None,
    *,
    costs: Costs | None,
    progress: Progress = silent,
    **how: Any,
) -> Trained:
    """A model of each part, kept as the one that scores; the report lists those of all parts under `parts`.

    A part without enough people or without signal keeps the model that it had.

    Raises:
        NotEnough: The past is too short for any.
    """
    from kohort.predict.train import Trained

    ws = door._ws
    version, used = ws.store.log.version(), door.definitions_for(target)
    sets = training_parts(ws, target, as_of, used, features=door.features_now(), progress=progress)
    parts = []
    for value, data in sets.items():
        found = door.learned(data, used, version, costs=costs, progress=progress, **how)
        parts.append({"part": value, **found.report})
    with ws.store.write_lock():
        ws.store.state.set(f"predict.{target.name}", {"parts": list(sets)})
    told = [p for p in parts if p["eligible"]]
    report: dict[str, Any] = {
        "eligible": bool(told),
        "code": "ok" if told else parts[0]["code"],
        "reason": _in_words(target, len(told), parts),
        "model": None,
        "metrics": {},
        "baseline": {},
        "warnings": [],
        "name": target.name,
        "target": target.text,
        "parts": parts,
    }
    return Trained(report)


def score_parts(door: PredictDoor, target: Target, as_of: int | str | None, *, progress: Progress = silent) -> pa.Table:
    """One row per customer and part that she can be told about: see `PredictDoor.score`.

    Raises:
        NotEnough: No part has a model.
    """
    import numpy as np
    import pyarrow as pa

    from kohort.predict.migration import NOW
    from kohort.predict.parts import Once

    ws = door._ws
    kept = door.parts_of(target)
    names = {value: f"{target.name}/{value}" for value in kept}
    models = {value: door.current(name)[0] for value, name in names.items() if door.standing_of(name)["version"]}
    if not models:
        raise NotEnough(f"No part of {target.name!r} has a model.", hint=f"Run: kohort predict train {target.name}")
    when = as_of if isinstance(as_of, int) else ws.as_of(as_of)
    once = Once(door.features_now(), door.definitions_of(next(iter(models.values()))))
    told: list[dict[str, Any]] = []
    for number, (value, model) in enumerate(models.items()):
        progress("Scoring", number, len(models))
        table = people_now(ws, target.part(value), when, door.definitions_of(model), features=once)
        p = model.probability(table.data)
        now = table.data.column(NOW.name).to_pylist() if target.kind == "migration" else None
        told.append({"part": value, "model": model, "ids": table.ids.to_numpy(), "p": p, "now": now})
    progress("Scoring", len(models), len(models))
    whole = target.kind == "migration" and len(models) == len(kept)
    share = 1 / np.maximum(sum(t["p"] for t in told), 1e-12) if whole else 1.0
    rows = [_rows(t, t["p"] * share, iso(when)) for t in told]
    found = pa.concat_tables(rows).sort_by([("_customer", "ascending"), ("part", "ascending")])
    numbers = company_numbers(ws.store.vault, found.column("_customer").to_numpy())
    return found.drop_columns(["_customer"]).add_column(0, "customer_id", pa.array(numbers, pa.string()))


def _rows(told: dict[str, Any], p: np.ndarray, when: str) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    model, count = told["model"], len(p)
    now = {} if told["now"] is None else {"part_now": pa.array(told["now"], pa.string())}
    return pa.table(
        {
            "_customer": told["ids"],
            **now,
            "part": pa.array(np.full(count, told["part"]), pa.string()),
            "probability": p,
            "percentile": model.percentile(told["p"]).round(1),
            "told": told["p"] >= model.about["report"]["threshold"]["value"],
            "model": pa.array(np.full(count, model.id), pa.string()),
            "as_of": pa.array(np.full(count, when), pa.string()),
        }
    )


def _in_words(target: Target, told: int, parts: Sequence[dict[str, Any]]) -> str:
    if told == len(parts):
        return f"{target.text}: each of the {told} parts can be told."
    silent_ones = ", ".join(str(p["part"]) for p in parts if not p["eligible"])
    return f"{target.text}: {told} of {len(parts)} parts can be told; too few people or no signal in: {silent_ones}."
