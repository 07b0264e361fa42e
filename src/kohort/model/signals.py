"""What a browser objects to by itself, before anybody asks: Global Privacy Control, and what came before it."""

from __future__ import annotations

from typing import Literal, get_args

Signal = Literal["gpc", "dnt"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)

HEADERS: dict[Signal, str] = {"gpc": "Sec-GPC", "dnt": "DNT"}
"""The header of a request that says so with the value 1."""

CONTEXT: dict[Signal, tuple[str, ...]] = {"gpc": ("globalPrivacyControl", "gpc"), "dnt": ("doNotTrack", "dnt")}
"""What says the same in the context of an event, for servers and apps that hand it on."""

SOURCE = "browser signal"
"""Where a statement came from that a signal made."""
