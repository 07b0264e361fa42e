"""Can this data be trusted for segments? The data-health report and the checks of an installation."""

from kohort.health.data_health import report

__all__ = ["report"]
