"""Can this data be trusted for segments? The data-health report and the checks of an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kohort.health.data_health import report

__all__ = ["report"]


def __getattr__(name: str) -> Any:
    """The report is loaded on first touch: the doctor, and `kohort serve` with it, need only the checks."""
    if name == "report":
        from kohort.health.data_health import report

        return report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
