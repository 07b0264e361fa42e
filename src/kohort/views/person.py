"""What is kept about one person, as a page that she can read and print: no script, no outside address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kohort.views.paper import STATIC, render

_KINDS = {
    "customer_id": "Customer number",
    "anonymous_id": "Device or browser",
    "email": "E-mail address",
    "phone": "Telephone",
    "name": "Name",
    "address": "Address",
}
_DECIDED = {
    "merge": "Taken for one person",
    "split": "Found to be two persons",
    "reject": "Found to be two persons",
    "undo": "Comparison taken back",
}


def render_person(document: Mapping[str, Any]) -> str:
    """The document of `PrivacyDoor.export` as HTML text."""
    return render(
        "person.html",
        d=document,
        kinds=_KINDS,
        decided=_DECIDED,
        facts=[facts(event) for event in document["events"]],
        styles="\n".join((STATIC / name).read_text(encoding="utf-8") for name in ("style.css", "report.css")),
    )


def facts(event: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Everything that an event says beside when, what and from where."""
    apart = {"at", "event", "source", "file", "event_id", "received_at", "properties", "traits"}
    own = [(name, value) for name, value in event.items() if name not in apart]
    return own + [pair for group in ("properties", "traits") for pair in event.get(group, {}).items()]
