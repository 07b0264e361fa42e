"""Definitions → one relational expression for (customers, moment), in the subset of Ibis that engines agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kohort.compile.features import Compiled, compile_features, to_sql

__all__ = ["Compiled", "compile_features", "to_sql"]


def __getattr__(name: str) -> Any:
    # ibis takes more than half a second to import: only those who compile pay for it.
    if name in __all__:
        from kohort.compile import features

        return getattr(features, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
