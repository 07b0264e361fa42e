"""Which addresses there are, as Segment's and RudderStack's clients ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["single", "batch", "pixel", "ignored", "version"]


@dataclass(frozen=True, slots=True)
class Route:
    """What an address takes, and what the loop is told it was."""

    kind: Kind
    name: str = ""

    @property
    def method(self) -> str:
        return "GET" if self.kind in {"pixel", "version"} else "POST"


CALLS = ("identify", "track", "page", "screen", "group", "alias")

ROUTES: dict[str, Route] = {
    **{f"/v1/{call}": Route("single", call) for call in (*CALLS, "merge")},
    # Segment's browser client says the first letter only.
    **{f"/v1/{call[0]}": Route("single", call) for call in CALLS},
    **{path: Route("batch", "batch") for path in ("/v1/batch", "/v1/b", "/beacon/v1/batch")},
    "/v1/import": Route("batch", "import"),
    "/v1/audiencelist": Route("single", "audiencelist"),
    "/v1/m": Route("ignored"),
    **{f"/pixel/v1/{call}": Route("pixel", call) for call in ("track", "page")},
    "/version": Route("version"),
}

OURS = ("/pixel/", "/beacon/")
"""Where nobody else answers."""


def route(path: str) -> Route | None:
    """The route of an address; one slash at its end does not matter, because nobody is ever redirected."""
    return ROUTES.get(path) or (ROUTES.get(path[:-1]) if path.endswith("/") else None)
