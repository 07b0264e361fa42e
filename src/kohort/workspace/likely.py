"""Who is likely: kept probabilities read back, with the reasons of those that somebody looks at.

Probabilities are the ones that rules count on. Reasons are made when they are asked for, by the version of the model that said
the probability and of the same moment; where data of that time came in later they can say a little else, and that is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from kohort.errors import NotEnough
from kohort.model.clock import iso
from kohort.workspace.people import company_numbers, customer_keys, short_code
from kohort.workspace.scores import freshness, kept

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.predictions import Target
    from kohort.predict.model import Model
    from kohort.workspace.workspace import Workspace

MOST = 100
"""Customers on a page, each with reasons."""

Order = Literal["most", "least"]


def likely(ws: Workspace, name: str, *, cursor: int = 0, limit: int = 25, order: Order = "most") -> dict[str, Any]:
    """Some customers by their kept probability.

    Args:
        name: A prediction, or `name/part`.
        cursor: How many to pass over: the `next` of the page before.
        limit: At most 100.
        order: The most likely first, or the least.

    Returns:
        `{"name", "target", "as_of", "model", "stale", "stale_at", "customers", "told", "threshold", "rows", "next"}`. A row is
        `{"customer_id", "code", "probability", "percentile", "told", "up", "down"}`, reasons as `PredictDoor.why` gives them,
        None where the model that said it is not there any more. `told`: how many reach the threshold.

    Raises:
        NotEnough: Nobody was scored yet.
    """
    import pyarrow.compute as pc

    asked = ws.predict.target(name)
    said, table = _said(ws, asked, None)
    fresh = freshness(ws, asked, ws.as_of()) or {}
    model = _model(ws, said["version"])
    least = None if model is None else float(model.about["report"]["threshold"]["value"])
    direction = "descending" if order == "most" else "ascending"
    rows = table.sort_by([("probability", direction), ("customer", "ascending")]).slice(cursor, min(limit, MOST))
    reaching = None if least is None else pc.sum(pc.greater_equal(table.column("probability"), least)).as_py() or 0
    return {
        "name": asked.name,
        "target": asked.text,
        "as_of": iso(int(said["as_of"])),
        "model": said["version"],
        "stale": fresh.get("stale"),
        "stale_at": fresh.get("stale_at"),
        "customers": table.num_rows,
        "told": reaching,
        "threshold": least,
        "rows": _rows(ws, asked, model, rows, int(said["as_of"])),
        "next": cursor + rows.num_rows if cursor + rows.num_rows < table.num_rows else None,
    }


def of_customer(ws: Workspace, customer: str, *, reasons: bool = True) -> dict[str, Any]:
    """What is predicted of one customer: kept probabilities that are not stale, and what she is expected to be worth.

    Args:
        customer: The company's number, or the short code.
        reasons: Tell them too.

    Returns:
        `{"customer_id", "code", "predictions": [{"name", "target", "as_of", "stale_at", "model", "probability", "percentile", "told",
        "up", "down"}], "value"}`; `up` and `down` are None without reasons. Stale ones are left out, as rules leave them out.

    Raises:
        UnknownCustomer: The number is nobody's.
    """
    (key,) = customer_keys(ws.store.vault, [customer])
    key = ws.store.meant(key)
    found = []
    for asked in _kept_ones(ws):
        fresh = freshness(ws, asked, ws.as_of())
        if fresh is None or fresh["stale"]:
            continue
        said, table = _said(ws, asked, [key])
        if not table.num_rows:
            continue
        model = _model(ws, said["version"])
        (row,) = _rows(ws, asked, model, table, int(said["as_of"]), reasons=reasons)
        about = {"name": asked.name, "target": asked.text, "as_of": fresh["as_of"], "stale_at": fresh["stale_at"]}
        found.append({**about, "model": said["version"], **{k: row[k] for k in _PARTS}})
    number = company_numbers(ws.store.vault, [key])[0]
    return {
        "customer_id": number,
        "code": short_code(key),
        "predictions": found,
        "value": ws.predict.value.of(key),
    }


_PARTS = ("probability", "percentile", "told", "up", "down")


def _kept_ones(ws: Workspace) -> list[Target]:
    """Every question whose answers are kept: targets, and parts of those that have several."""
    from kohort.definitions.predictions import USUAL

    # What is predicted where nothing is defined follows from the data, and looking at that costs more than this.
    if not ws.config.predictions and ws.store.state.get(f"predict.{USUAL}.scores") is None:
        return []
    found: list[Target] = []
    for asked in ws.predict.targets():
        found += [asked.part(value) for value in ws.predict.parts_of(asked)] if asked.several else [asked]
    return [asked for asked in found if kept(ws, asked) is not None]


def _said(ws: Workspace, asked: Target, customers: Sequence[int] | None) -> tuple[dict[str, Any], pa.Table]:
    from kohort.engines.told import told
    from kohort.model.event import SCORE_PARTS
    from kohort.workspace.profiled import may_be_told

    said = kept(ws, asked)
    if said is None:
        raise NotEnough(
            f"Nobody's chance is worked out yet for {asked.name!r}.",
            hint=f"Start it on its page, or: kohort predict score {asked.name} --keep",
        )
    where = {"as_of": int(said["as_of"]), "number": int(said["number"])}
    table = told(ws.store.log.snapshot(), asked.name, SCORE_PARTS, customers=customers, **where)
    return said, may_be_told(ws, table)


def _model(ws: Workspace, version: str) -> Model | None:
    from kohort.workspace.predict_models import KIND

    return ws.predict.load(version)[0] if version in ws.store.artefacts.ids(KIND) else None


def _rows(
    ws: Workspace, asked: Target, model: Model | None, rows: pa.Table, when: int, *, reasons: bool = True
) -> list[dict[str, Any]]:
    """Customers with their probability and, where they are asked for and the model is there, why."""
    keys = rows.column("customer").to_pylist()
    numbers = company_numbers(ws.store.vault, keys)
    why = _why(ws, asked, model, keys, when) if model is not None and reasons and keys else {}
    least = 2.0 if model is None else model.about["report"]["threshold"]["value"]
    return [
        {
            "customer_id": number,
            "code": short_code(key),
            "probability": row["probability"],
            "percentile": row["percentile"],
            "told": row["probability"] >= least,
            **(why.get(key) or {"up": None, "down": None}),
        }
        for key, number, row in zip(keys, numbers, rows.to_pylist(), strict=True)
    ]


def _why(ws: Workspace, asked: Target, model: Model, keys: Sequence[int], when: int) -> dict[int, dict[str, Any]]:
    from kohort.predict.why import why

    table, _ = ws.predict.table_now(model, asked, when, keys)
    found = why(model, table.data) if len(table) else []
    told = {}
    for key, one in zip(table.ids.to_pylist(), found, strict=True):
        said = one.as_dict()
        told[int(key)] = {"up": said["up"], "down": said["down"]}
    return told
