"""What surrounds a page because of who asks for it."""

from __future__ import annotations

from typing import Any

from kohort.web import access, forms, who


def asking() -> dict[str, Any]:
    """Fields of `kohort.views.pages.Shell`: who is logged in, what may be offered, and whether there is a login at all."""
    asks = who.now()
    return {
        "person": asks.name,
        "rights": access.rights(asks.role) if asks.login else None,
        "word": forms.word(),
        "no_login": asks.note,
    }
