"""Records of processing (GDPR, article 30): made from what a workspace holds and does, not from what somebody wrote about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kohort.definitions.retention import write_retention
from kohort.model.clock import iso
from kohort.store.sealed import Ledger
from kohort.store.vault_counts import identifiers, people
from kohort.trust.models import to_make_again

if TYPE_CHECKING:
    from kohort.definitions.workspace_file import WorkspaceConfig
    from kohort.store.store import Store


def register(store: Store, config: WorkspaceConfig, events: Mapping[str, int]) -> dict[str, Any]:
    """What is kept of whom, what for, who is told, for how long.

    Args:
        events: Name of an event → how many there are.

    Returns:
        `{"company", "people", "data", "purposes", "recipients", "kept_for", "hold", "models", "sources"}`: `data` with `kind`
        ("identifier", "event", "trait"), `name` and `count` (people with it, events, None), `purposes` with who uses them,
        `recipients` with `kind` ("webhook", "kafka", "program") and `identifiers` sent along, `kept_for` as in kohort.yaml.
    """
    customers, visitors = people(store.vault)
    return {
        "company": config.name,
        "people": {"customers": customers, "visitors": visitors},
        "data": [*_identifiers(store), *_events(events), *_traits(store)],
        "purposes": [*purposes(config), {"purpose": None, "trait": None, **_users(config, "")}],
        "recipients": [*_destinations(store, config), *_programs(store)],
        "kept_for": write_retention(config.retention),
        "hold": config.retention.hold,
        "models": to_make_again(store),
        "sources": _sources(store),
    }


def _identifiers(store: Store) -> list[dict[str, Any]]:
    return [{"kind": "identifier", "name": name, "count": n} for name, n in identifiers(store.vault).items()]


def _events(events: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"kind": "event", "name": name, "count": n} for name, n in sorted(events.items(), key=lambda e: -e[1])]


def _traits(store: Store) -> list[dict[str, Any]]:
    columns = store.log.columns()
    return [{"kind": "trait", "name": c[2:], "count": None} for c in sorted(columns) if c.startswith("t_")]


def purposes(config: WorkspaceConfig) -> list[dict[str, Any]]:
    """Those that need consent: `{"purpose", "trait", "segments", "triggers"}` each, with who asks for it."""
    return [
        {"purpose": purpose, "trait": trait, **_users(config, purpose)} for purpose, trait in config.consent.items()
    ]


def _users(config: WorkspaceConfig, purpose: str) -> dict[str, list[str]]:
    """What uses data for a purpose; empty = for none that needs consent."""
    return {
        "segments": [d.name for d in config.segments if d.purpose == purpose],
        "triggers": [t.name for t in config.triggers if t.purpose == purpose],
    }


def _destinations(store: Store, config: WorkspaceConfig) -> list[dict[str, Any]]:
    told: dict[str, int] = {}
    for (_, destination, state), n in store.deliveries.counts().items():
        if state == "done":
            told[destination] = told.get(destination, 0) + n
    return [
        {
            "kind": d.kind,
            "name": d.name,
            "place": d.place,
            "triggers": [t.name for t in config.triggers if d.name in t.send_to],
            "identifiers": list(d.identifiers),
            "delivered": told.get(d.name, 0),
        }
        for d in config.destinations
    ]


def _programs(store: Store) -> list[dict[str, Any]]:
    """Whoever holds a key that reads is told whatever it asks for."""
    nothing: dict[str, Any] = {"place": "", "triggers": [], "identifiers": [], "delivered": None}
    return [{"kind": "program", "name": k.name, **nothing} for k in store.api_keys.list() if k.may("read")]


def _sources(store: Store) -> list[dict[str, Any]]:
    found: dict[str, int] = {}
    for report in store.state.batches():
        found[report.source] = found.get(report.source, 0) + report.stored
    return [{"source": name, "rows": n} for name, n in sorted(found.items()) if name]


def last_expired(store: Store) -> dict[str, Any] | None:
    """The latest time that clocks deleted something, with its receipt; None where they never did."""
    from kohort.trust.retention import KIND

    done = [r for r in store.requests.all() if r.kind == KIND and r.ended_us]
    return {"request": f"{KIND}-{done[-1].number}", "at": iso(done[-1].asked_us), **done[-1].receipt} if done else None


def links_stamp(store: Store) -> str:
    """Another text whenever other ids are one person: does an answer about persons still hold?"""
    with store._database.read() as con:
        return "|".join(map(str, Ledger(con).get("link")))
