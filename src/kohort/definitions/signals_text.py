"""What a browser's signal objects to: what stands below `signals:` in `kohort.yaml`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kohort.definitions.yaml_text import Document, nearest
from kohort.model.signals import SIGNALS, Signal

_EXAMPLE = "For example {gpc: [marketing]}."


def read_signals(document: Document, data: Any, purposes: Collection[str]) -> dict[Signal, tuple[str, ...]]:
    """Signal → purposes; mistakes are noted in the document.

    Args:
        data: Below `signals`: `{gpc: [marketing, ads], dnt: marketing}`.
        purposes: Those below `consent:`.
    """
    if data is None:
        return {}
    if not isinstance(data, dict):
        document.mistake(("signals",), "signals says what a browser's signal objects to.", _EXAMPLE)
        return {}
    found: dict[Signal, tuple[str, ...]] = {}
    for key in data:
        if key not in SIGNALS:
            document.mistake(("signals", key), f"{key!r} is no signal.", nearest(str(key), SIGNALS), at_key=True)
    for signal in SIGNALS:
        if signal not in data:
            continue
        named = data[signal] if isinstance(data[signal], list) else [data[signal]]
        if unknown := [one for one in named if not isinstance(one, str) or one not in purposes]:
            hint = nearest(str(unknown[0]), purposes) if purposes else "Name it below consent: first."
            document.mistake(("signals", signal), "It objects to purposes of consent:.", hint)
        elif named:
            found[signal] = tuple(dict.fromkeys(named))
    return found


def write_signals(signals: Mapping[Signal, tuple[str, ...]]) -> dict[str, Any]:
    """The inverse of `read_signals`; empty where nothing is said.

    Example:
        >>> write_signals({"gpc": ("marketing",)})
        {'gpc': ['marketing']}
    """
    return {signal: list(purposes) for signal, purposes in signals.items()}
