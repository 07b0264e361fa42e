"""Scores that are kept: events of the log, with the moment and the version of the model, so that rules can count on them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import iso, moment
from kohort.model.event import NUMBER_SCALE, SCORE, SCORE_COLUMNS, SCORE_MODEL, SCORE_OF, SCORE_PARTS
from kohort.model.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from kohort.definitions.predictions import Target
    from kohort.workspace.workspace import Workspace


def keep(
    ws: Workspace, name: str | None = None, *, as_of: int | str | None = None, progress: Progress = silent
) -> dict[str, Any]:
    """Score everybody the prediction is about, and store that. The same again changes nothing.

    Args:
        as_of: The moment that the scores are of; none that the model has learned from already.

    Returns:
        `{"name", "model", "as_of", "customers", "new"}`: how many have a score of that moment, how many were written.

    Raises:
        NotEnough: No model was trained yet.
        WrongUsage: The moment lies before the end of what the model learned from, or before scores that are kept.
    """
    import pyarrow as pa

    model, asked = ws.predict.current(name)
    version = model.id
    when = as_of if isinstance(as_of, int) else ws.as_of(as_of)
    before = kept(ws, asked) or {}
    _refuse_the_past(ws, asked, version, when, before)
    now = {"as_of": when, "version": version, "data": ws.store.log.version()}
    if before.items() >= now.items():
        return {"name": asked.name, "model": version, "as_of": iso(when), "customers": before["customers"], "new": 0}
    progress("Scoring", 0, 1)
    table, _ = ws.predict.table_now(model, asked, when)
    p = model.probability(table.data)
    # A number is used once, whatever becomes of it: of two scores of one moment the one with the later id counts.
    number = _last_number(ws, asked) + 1
    ws.store.state.set(_place(asked), {**before, "number": number})
    ws.store.log.declare(SCORE_COLUMNS)
    customers = table.ids.to_numpy()
    with ws.store.write_lock():
        there = pa.array(ws.store.vault.there(customers), pa.bool_())  # nobody who was erased meanwhile
        figures = {SCORE_PARTS["probability"]: p, SCORE_PARTS["percentile"]: model.percentile(p).round(1)}
        rows = said_of(asked.name, version, customers, figures, when=when, number=number, zone=ws.zone).filter(there)
        new = append(ws, rows)
        said = {**now, "data": ws.store.log.version(), "number": number, "customers": rows.num_rows}
        ws.store.state.set(_place(asked), said)
    progress("Scoring", 1, 1)
    return {"name": asked.name, "model": version, "as_of": iso(when), "customers": rows.num_rows, "new": new}


def kept(ws: Workspace, target: Target) -> dict[str, Any] | None:
    """What was kept last: `number`, `as_of` (µs), `version`, `customers`; None = nothing was."""
    found: dict[str, Any] | None = ws.store.state.get(_place(target))
    return found if found and "as_of" in found else None


def freshness(ws: Workspace, target: Target, at: int) -> dict[str, Any] | None:
    """What was kept last, as people and programs read it, and whether it counts in rules at a moment (P2)."""
    from kohort.definitions.predictions import span_us

    found = kept(ws, target)
    if found is None:
        return None
    until = int(found["as_of"]) + span_us(target.fresh)
    return {
        "as_of": iso(int(found["as_of"])),
        "model": found["version"],
        "customers": found["customers"],
        "stale_at": iso(until),
        "stale": at >= until,
    }


def refresh(
    ws: Workspace, names: Iterable[str] | None, as_of: int, *, progress: Progress = silent
) -> tuple[dict[str, Any], ...]:
    """Scores anew what the rules of some definitions (None = all) ask for, before they are evaluated as of a moment.

    A prediction that cannot be scored keeps the scores it has, which turn stale in time, and says why.

    Returns:
        Per prediction asked for `{"name", "as_of", "customers", "new", "problem"}`.
    """
    asked = asked_by(ws, names)
    found = []
    for target in ws.predict.targets() if asked else ():
        if target.name not in asked:
            continue
        told: dict[str, Any] = {"name": target.name, "as_of": None, "customers": 0, "new": 0, "problem": ""}
        try:
            told |= keep(ws, target.name, as_of=as_of, progress=progress)
        except (NotEnough, WrongUsage) as error:
            told["problem"] = str(error)
        found.append({key: value for key, value in told.items() if key != "model"})
    return tuple(found)


def asked_by(ws: Workspace, names: Iterable[str] | None) -> set[str]:
    """The predictions whose scores the rules of some definitions (None = all), and of what these need, ask for."""
    from kohort.definitions.rules import scores
    from kohort.segments.dependencies import with_needed

    defined = ws.config.evaluated
    known = [d.name for d in defined]
    wanted = with_needed(defined, known if names is None else [n for n in names if n in known])
    rules = [r.rule for d in wanted if not d.paused for part in d.parts for r in (part.rule, part.keep) if r]
    asked = {one for rule in rules for one in scores(rule)}
    return asked | {one.rpartition(".")[0] for one in asked if one.rpartition(".")[2] in SCORE_PARTS}


def _refuse_the_past(ws: Workspace, target: Target, version: str, when: int, before: dict[str, Any]) -> None:
    """A model must not tell a past that it learned from, and a rule must not read today what was said of yesterday."""
    until = ws.predict.learned_until(version)
    if when < until:
        raise WrongUsage(
            f"The model of {target.name!r} has learned what happened until {iso(until)}.",
            hint="Keep scores of that moment or a later one. Without --keep any moment can be scored.",
        )
    if before and when < before["as_of"]:
        raise WrongUsage(f"Scores of {iso(before['as_of'])} are kept already.", hint="Keep scores of a later moment.")


def append(ws: Workspace, rows: pa.Table) -> int:
    """Stores events and says how many were new. The caller holds the write lock."""
    from kohort.model.source import BatchReport

    if not rows.num_rows:
        return 0
    batch = ws.store.state.begin_batch(SCORE, "")
    done = ws.store.log.append(rows, batch=batch)
    ws.store.state.finish_batch(
        BatchReport(SCORE, "", batch, rows.num_rows, done.stored, rows.num_rows - done.stored, 0)
    )
    return done.stored


def said_of(
    name: str,
    version: str,
    customers: np.ndarray,
    figures: Mapping[str, np.ndarray],
    *,
    when: int,
    number: int,
    zone: str,
) -> pa.Table:
    """Figures about customers as events, as `EventLog.append` takes them.

    Args:
        name: Of what is said, for `SCORE_OF`.
        version: Of the model that says it.
        figures: Declared column → a figure for each customer; NaN = none.
        when: The moment they are of.
        number: Of this writing: of two of one moment the later one counts.
    """
    import numpy as np
    import pyarrow as pa

    rows = len(customers)
    local = moment(when).astimezone(ZoneInfo(zone))
    day = (datetime(local.year, local.month, local.day, tzinfo=UTC) - moment(0)).days

    def same(value: str | int, kind: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, kind), rows)

    def scaled(values: np.ndarray) -> pa.Array:
        missing = np.isnan(values)
        return pa.array(np.rint(np.where(missing, 0.0, values) * NUMBER_SCALE).astype(np.int64), mask=missing)

    return pa.table(
        {
            "event_id": pa.array([f"{SCORE}/{name}/{number:09}/{int(c):x}" for c in customers], pa.string()),
            "customer": pa.array(customers, pa.int64()),
            "event": same(SCORE, pa.string()),
            "ts": same(when, pa.int64()),
            "received_at": same(time.time_ns() // 1_000, pa.int64()),
            "local_day": same(day, pa.int32()),
            "local_hour": same(local.hour, pa.int32()),
            SCORE_OF: same(name, pa.string()),
            SCORE_MODEL: same(version, pa.string()),
            **{column: scaled(values) for column, values in figures.items()},
        }
    )


def _last_number(ws: Workspace, target: Target) -> int:
    return int((ws.store.state.get(_place(target)) or {}).get("number", 0))


def _place(target: Target) -> str:
    return f"predict.{target.name}.scores"
