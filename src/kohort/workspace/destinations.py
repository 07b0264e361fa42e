"""Where changes are told, and how that goes: what waits, what arrived last, and what went wrong last."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kohort.model.clock import iso
from kohort.model.delivery import OPEN

if TYPE_CHECKING:
    from kohort.definitions.triggers import Destination
    from kohort.workspace.workspace import Workspace


def listed(ws: Workspace) -> list[dict[str, Any]]:
    """Every destination of `kohort.yaml`.

    Returns:
        `{"name", "kind", "place", "identifiers", "triggers", "variable", "there", "waiting", "done", "dead", "last", "error"}` each:
        `place` the host of a webhook or the topic, `variable` the one of the environment that holds its secret (empty = none) and
        `there` whether this process has it, `last` when something last arrived, `error` the last one that was given up or is tried
        again (`{"reason", "at"}`), None where there is none. Nothing secret is in it.
    """
    counts: dict[str, dict[str, int]] = {}
    for (_, destination, state), n in ws.store.deliveries.counts().items():
        mine = counts.setdefault(destination, {})
        mine[state] = mine.get(state, 0) + n
    return [_one(ws, d, counts.get(d.name, {})) for d in ws.config.destinations]


def _one(ws: Workspace, d: Destination, counts: dict[str, int]) -> dict[str, Any]:
    done = ws.store.deliveries.some(destination=d.name, state="done", limit=1)
    return {
        "name": d.name,
        "kind": d.kind,
        "place": d.place,
        "identifiers": list(d.identifiers),
        "triggers": [t.name for t in ws.config.triggers if d.name in t.send_to],
        "variable": d.secret_env,
        "there": not d.secret_env or d.secret_env in os.environ,
        "waiting": sum(counts.get(state, 0) for state in OPEN),
        "done": counts.get("done", 0),
        "dead": counts.get("dead", 0),
        "last": iso(done[0].ended_at) if done and done[0].ended_at else None,
        "error": _error(ws, d.name),
    }


def _error(ws: Workspace, name: str) -> dict[str, Any] | None:
    """The latest attempt that did not arrive."""
    queue = ws.store.deliveries
    given_up = queue.some(destination=name, state="dead", limit=1)
    again = [d for d in queue.some(destination=name, state="pending", limit=1) if d.attempts]
    found = [(d.ended_at or d.first_at or d.created_at, d.reason) for d in (*given_up, *again)]
    at, reason = max(found, default=(0, ""))
    return {"reason": reason, "at": iso(at)} if at else None
