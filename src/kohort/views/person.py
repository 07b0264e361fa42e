"""What is kept about one person, as a page that she can read and print: no script, no outside address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kohort.locale import find, mark
from kohort.views.paper import STATIC, render

_KINDS = {
    "customer_id": mark("Customer number"),
    "anonymous_id": mark("Device or browser"),
    "email": mark("E-mail address"),
    "phone": mark("Telephone"),
    "name": mark("Name"),
    "address": mark("Address"),
}
_DECIDED = {
    "merge": mark("Taken for one person"),
    "split": mark("Found to be two persons"),
    "reject": mark("Found to be two persons"),
    "undo": mark("Comparison taken back"),
}


def render_person(document: Mapping[str, Any]) -> str:
    """The document of `PrivacyDoor.export` as HTML text."""
    return render(
        "person.html",
        d=document,
        kinds={kind: find(label) for kind, label in _KINDS.items()},
        decided={what: find(label) for what, label in _DECIDED.items()},
        facts=[facts(event) for event in document["events"]],
        styles="\n".join((STATIC / name).read_text(encoding="utf-8") for name in ("style.css", "report.css")),
    )


def facts(event: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Everything that an event says beside when, what and from where."""
    apart = {"at", "event", "source", "file", "event_id", "received_at", "properties", "traits"}
    own = [(name, value) for name, value in event.items() if name not in apart]
    return own + [pair for group in ("properties", "traits") for pair in event.get(group, {}).items()]
