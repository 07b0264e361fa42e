"""The type of every value that a rule can compare."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from kohort.definitions.columns import vocabulary
from kohort.definitions.features import Aggregate
from kohort.definitions.rules.tree import Exactly, Item, Measured, Named, Now, Operand
from kohort.definitions.rules.vocabulary import Vocabulary
from kohort.errors import RefusedDefinition
from kohort.model.event import ColumnType


def type_of(operand: Operand, known: Vocabulary) -> ColumnType | None:
    """See `kohort.definitions.rules.operand_type`."""
    match operand:
        case Named(name):
            return _named(name, known)
        case Measured(Aggregate("first" | "last" | "mode", column)):
            found = vocabulary(known.columns).get(column)
            return found.type if found else None
        case Now():
            return "time"
        case Exactly(of):
            return type_of(of, known)
        case Item():
            return "text"
        case _:
            return "number"


def _named(name: str, known: Vocabulary) -> ColumnType | None:
    """Features first, then traits."""
    if name in known.features:
        return known.features[name].type
    if name.startswith("t_"):
        return known.columns.get(name)
    raise unknown_name(name, known)


def unknown_name(name: str, known: Vocabulary) -> RefusedDefinition:
    """The refusal of a bare name that is neither a feature nor a trait; its place is the whole name."""
    column = vocabulary(known.columns).get(name)
    if column is not None:
        word = {"number": "sum", "time": "last", "text": "last"}.get(column.type, "last")
        message, hint = f"{name!r} belongs to an event, not to a customer.", f"Write: {word}('order_line').{name}."
    elif name.startswith("p_"):
        message, hint = f"{name!r} belongs to an event, not to a customer.", f"Write: last(*).{name}."
    else:
        message = f"No feature and no trait is called {name!r}."
        hint = suggestion(name, [*known.features, *(c for c in known.columns if c.startswith("t_"))], prefix="t_")
    return RefusedDefinition(message, text=name, start=0, end=len(name), hint=hint, code="unknown_name")


def suggestion(name: str, there_are: Iterable[str], *, prefix: str = "") -> str:
    """A hint with the nearest of some names, or some of them."""
    names = list(there_are)
    folded = {n.lower(): n for n in names}
    near = [folded[n] for n in (name.lower(), prefix + name.lower()) if n in folded]
    near = near or [folded[n] for n in difflib.get_close_matches(name.lower(), folded, n=1)]
    near = near or [n for n in difflib.get_close_matches(prefix + name.lower(), names, n=1) if prefix]
    if near:
        return f"Did you mean {near[0]!r}?"
    listed = ", ".join(sorted(names)[:8]) + (", …" if len(names) > 8 else ".")
    return f"There are: {listed}" if names else "There are none yet."
