"""An Ibis expression, read once into a list of steps; a call takes the steps one after the other.

What is read is asked for from the end: a column of the result asks for the columns that it is made from. So columns that
nobody asks for cost nothing, equal operations are one step, and of filters and joins only the places of rows are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from operator import itemgetter
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import pyarrow as pa

from kohort.engines.small import rows as on_rows
from kohort.engines.small.columns import Column, Unsupported, array_of, from_arrow, rows_of, take
from kohort.engines.small.values import function_of, literal

Relation: TypeAlias = "pa.Table | Mapping[str, np.ndarray]"
"""A table, or whole numbers by column name."""

T = TypeVar("T")

Slot = int
"""The place of a result among those of all steps."""

_Source = tuple[Slot, Slot | None, bool]
"""A column: where it was made, which rows of it (None = all), and whether some of them may be nothing."""

_Places = tuple[Slot | None, bool]
"""Which rows of one side are in a join (None = all), and whether some of them may be nothing."""

_Joined = tuple[dict[Any, _Places], Slot]
"""The places of every side of a join, and how many rows it has."""


class Small:
    """A program that is ready to run.

    Args:
        expr: From the compiler.

    Raises:
        Unsupported: It has an operation that this engine does not know.
    """

    def __init__(self, expr: Any) -> None:
        try:
            reader = _Reader()
            result = expr.op()
            self._columns = {name: reader.column(result, name) for name in result.schema.names}
            self._rows = reader.rows(result)
        except RecursionError:
            raise Unsupported("an expression as deep as this") from None
        self._every = _needed(reader.steps, {*self._columns.values(), self._rows})
        self._start = reader.results
        self._inputs = reader.inputs
        self._ready: dict[tuple[str, ...], list[_Taken]] = {}

    def run(
        self, relations: Mapping[str, Relation], wanted: Collection[str] | None = None
    ) -> tuple[dict[str, Column], int]:
        """The columns of the result and how many rows they have.

        Args:
            relations: By name, with at least the columns that are read: whole numbers, flags, text.
            wanted: Columns of the result; what only others need is not worked out. None = all.

        Raises:
            HandOver: Only DuckDB can answer for these rows.
        """
        names = tuple(self._columns) if wanted is None else tuple(wanted)
        results = list(self._start)
        results[0] = relations
        with np.errstate(all="ignore"):
            for function, given, place in self._steps(names):
                results[place] = function(*given(results))
        rows = results[self._rows]
        return {name: rows_of(results[self._columns[name]], rows) for name in names}, rows

    def reads(self, table: str, wanted: Collection[str]) -> frozenset[str]:
        """The columns of a relation that some columns of the result are made from."""
        read = {self._inputs[place] for _, _, place in self._to(wanted) if place in self._inputs}
        return frozenset(name for of, name in read if of == table)

    def _steps(self, names: tuple[str, ...]) -> list[_Taken]:
        """The steps to some columns; most calls want what one of the last few wanted."""
        if names not in self._ready:
            if len(self._ready) >= _MOST_READY:
                self._ready.clear()
            self._ready[names] = [(function, _getter(given), place) for function, given, place in self._to(names)]
        return self._ready[names]

    def _to(self, names: Collection[str]) -> list[_Step]:
        return _needed(self._every, {*(self._columns[name] for name in names), self._rows})


_Step = tuple[Callable[..., Any], tuple[Slot, ...], Slot]
"""A function, the slots of what it is given, the slot of its result."""

_Taken = tuple[Callable[..., Any], Callable[[list[Any]], Any], Slot]
"""The same with what takes the given out of all results."""

_MOST_READY = 256


def _getter(slots: tuple[Slot, ...]) -> Callable[[list[Any]], Any]:
    """Takes some results out of all; a call takes hundreds of steps, so this one counts."""
    return itemgetter(*slots) if len(slots) > 1 else itemgetter(slice(slots[0], slots[0] + 1))


def _needed(steps: list[_Step], wanted: set[Slot]) -> list[_Step]:
    """The steps whose results somebody uses."""
    used, found = set(wanted), []
    for step in reversed(steps):
        if step[2] in used:
            used.update(step[1])
            found.append(step)
    return found[::-1]


class _Reader:
    """Makes steps. Slot 0 holds the relations of a call."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self.results: list[Any] = [None]
        self._constant = [False]
        self._known: dict[Any, Any] = {}
        self.inputs: dict[Slot, tuple[str, str]] = {}  # slot of an input → table and column

    # Steps ------------------------------------------------------------------------------------------------------------

    def _step(self, function: Callable[..., Any], *given: Slot) -> Slot:
        """A step, or its result where everything it needs is known already."""
        if given and all(self._constant[n] for n in given):
            with np.errstate(all="ignore"):
                return self._kept(function(*[self.results[n] for n in given]))
        self.results.append(None)
        self._constant.append(False)
        self.steps.append((function, given, len(self.results) - 1))
        return len(self.results) - 1

    def _kept(self, result: Any) -> Slot:
        self.results.append(result)
        self._constant.append(True)
        return len(self.results) - 1

    def _once(self, key: Any, make: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = make()
        return cast(T, self._known[key])

    # Columns ----------------------------------------------------------------------------------------------------------

    def column(self, relation: Any, name: str) -> Slot:
        """A column of a relation."""
        return self._taken(self._source(relation, name))

    def _taken(self, source: _Source) -> Slot:
        slot, index, nullable = source
        if index is None:
            return slot
        return self._once(
            ("take", slot, index), lambda: self._step(lambda c, i: take(c, i, nullable=nullable), slot, index)
        )

    def _source(self, relation: Any, name: str) -> _Source:
        return self._once(("source", relation, name), lambda: self._find(relation, name))

    def _find(self, relation: Any, name: str) -> _Source:  # noqa: PLR0911 - one per kind
        match type(relation).__name__:
            case "UnboundTable":
                return self._input(relation.name, name), None, False
            case "Project":
                value = relation.values[name]
                if type(value).__name__ == "Field":
                    return self._source(value.rel, value.name)
                return self.value(value), None, False
            case "DropColumns" | "JoinReference":
                return self._source(relation.parent, name)
            case "Filter" | "Distinct":
                return self._among(self._source(relation.parent, name), self._chosen(relation), nullable=False)
            case "JoinChain":
                field = relation.values[name]
                index, nullable = self._joined(relation)[0][field.rel]
                return self._among(self._source(field.rel.parent, field.name), index, nullable=nullable)
            case "Aggregate":
                if name in relation.groups:
                    key = self.value(relation.groups[name])
                    groups = self._groups(relation)
                    first = self._once(("first", groups), lambda: self._step(lambda g: g.first, groups))
                    return self._among((key, None, False), first, nullable=False)
                return self._aggregate(relation, relation.metrics[name]), None, False
        raise Unsupported(f"the relation {type(relation).__name__}")

    def _input(self, table: str, name: str) -> Slot:
        slot = self._step(lambda tables: from_arrow(tables[table][name]), 0)
        self.inputs[slot] = (table, name)
        return slot

    def _among(self, source: _Source, index: Slot | None, *, nullable: bool) -> _Source:
        slot, inner, before = source
        return slot, inner if index is None else self._composed(inner, index), nullable or before

    def _composed(self, inner: Slot | None, outer: Slot) -> Slot:
        if inner is None:
            return outer
        return self._once(("composed", inner, outer), lambda: self._step(on_rows.composed, inner, outer))

    # Relations --------------------------------------------------------------------------------------------------------

    def rows(self, relation: Any) -> Slot:
        """How many rows a relation has."""
        return self._once(("rows", relation), lambda: self._count(relation))

    def _count(self, relation: Any) -> Slot:
        match type(relation).__name__:
            case "UnboundTable":
                table = relation.name
                return self._step(lambda tables: _length(tables[table]), 0)
            case "Project" | "DropColumns" | "JoinReference":
                return self.rows(relation.parent)
            case "Filter" | "Distinct":
                return self._step(len, self._chosen(relation))
            case "JoinChain":
                return self._joined(relation)[1]
            case "Aggregate":
                return self._step(lambda g: g.count, self._groups(relation))
        raise Unsupported(f"the relation {type(relation).__name__}")

    def _chosen(self, relation: Any) -> Slot:
        """The places of the rows of a filter, or of the first of each kind."""
        return self._once(("chosen", relation), lambda: self._choose(relation))

    def _choose(self, relation: Any) -> Slot:
        rows = self.rows(relation.parent)
        if type(relation).__name__ == "Distinct":
            keys = [self.column(relation.parent, name) for name in relation.schema.names]
            return self._step(lambda n, *columns: on_rows.grouped(n, *columns).first, rows, *keys)
        conditions = [self.value(p) for p in relation.predicates]

        def chosen(n: int, *columns: Column) -> np.ndarray:
            found = rows_of(columns[0], n).values
            for column in columns[1:]:
                found = found & column.values
            places: np.ndarray = found.nonzero()[0]
            return places

        return self._step(chosen, rows, *conditions)

    def _joined(self, relation: Any) -> _Joined:
        return self._once(("joined", relation), lambda: self._join(relation))

    def _join(self, relation: Any) -> _Joined:
        """One partner after the other: rows that are there already keep their places among what a join leaves."""
        rows = self.rows(relation.first)
        places: dict[Any, _Places] = {relation.first: (None, False)}
        for link in relation.rest:
            mine, theirs = self._link(link, places, rows)
            if mine is not None:
                places = {one: (self._composed(index, mine), nullable) for one, (index, nullable) in places.items()}
                rows = self._step(lambda i, n: n if i is None else len(i), mine, rows)
            places[link.table] = (theirs, link.how == "left")
        return places, rows

    def _link(self, link: Any, places: Mapping[Any, _Places], rows: Slot) -> tuple[Slot | None, Slot]:
        """The places of what is joined already (None = all of them, as they are), and of the new partner."""
        if link.how not in ("inner", "left") or [type(p).__name__ for p in link.predicates] != ["Equals"]:
            raise Unsupported(f"a join of the kind {link.how}, or on anything but one equality")
        (predicate,) = link.predicates
        left, right = predicate.left, predicate.right
        if left.rel == link.table:
            left, right = right, left
        if right.rel != link.table or left.rel not in places:
            raise Unsupported("a join on anything but a column of each side")
        keep = link.how == "left"
        index, nullable = places[left.rel]
        found = self._step(
            lambda a, b, n, m: on_rows.matches(a, b, n, m, keep=keep),
            self._taken(self._among(self._source(left.rel.parent, left.name), index, nullable=nullable)),
            self.column(right.rel.parent, right.name),
            rows,
            self.rows(link.table),
        )
        theirs = self._step(lambda pair: pair[1], found)
        if keep and self._adds_no_rows(link):
            return None, theirs  # so that nobody who wants no column of the partner has to look for it
        return self._step(lambda pair: pair[0], found), theirs

    def _unique(self, relation: Any, name: str) -> bool:
        """Whether no two rows can have the same value in a column, as far as that shows."""
        match type(relation).__name__:
            case "Aggregate":
                return list(relation.groups) == [name]
            case "Project":
                value = relation.values[name]
                return type(value).__name__ == "Field" and self._unique(value.rel, value.name)
            case "DropColumns" | "JoinReference" | "Filter":
                return self._unique(relation.parent, name)
            case "JoinChain":
                field = relation.values[name]
                keeps = all(link.how == "left" and self._adds_no_rows(link) for link in relation.rest)
                return keeps and field.rel == relation.first and self._unique(field.rel.parent, field.name)
        return False

    def _adds_no_rows(self, link: Any) -> bool:
        """Whether each row has one partner at most."""
        sides = [side for p in link.predicates for side in (p.left, p.right) if side.rel == link.table]
        return len(sides) == 1 and self._unique(sides[0].rel.parent, sides[0].name)

    # Groups -----------------------------------------------------------------------------------------------------------

    def _groups(self, relation: Any) -> Slot:
        if not relation.groups:
            raise Unsupported("an aggregate without groups")
        keys = tuple(self.value(key) for key in relation.groups.values())
        return self._grouped(relation.parent, keys)

    def _grouped(self, parent: Any, keys: tuple[Slot, ...]) -> Slot:
        rows = self.rows(parent)
        return self._once(("groups", rows, keys), lambda: self._step(on_rows.grouped, rows, *keys))

    def _aggregate(self, relation: Any, metric: Any) -> Slot:
        """A value per group: an aggregate, or something made from aggregates."""
        return self._once(("metric", relation, metric), lambda: self._metric(relation, metric))

    def _metric(self, relation: Any, metric: Any) -> Slot:
        name = type(metric).__name__
        if name == "Literal":
            return self.value(metric)
        if name not in _AGGREGATES and name not in ("CountStar", "ArgMin", "ArgMax"):
            arguments, function = function_of(metric)
            return self._step(function, *(self._aggregate(relation, a) for a in arguments))
        groups = self._groups(relation)
        kept = self._kept_rows(groups, metric.where)
        if name == "CountStar":
            return self._step(on_rows.count_rows, groups, kept)
        column = self.value(metric.arg)
        if name in _AGGREGATES:
            return self._step(_AGGREGATES[name], groups, kept, column)
        if metric.arg.dtype.is_struct():
            raise Unsupported("an aggregate of pairs")
        order, last = self._ordered(groups, metric.key), name == "ArgMax"
        return self._step(lambda g, k, c, o: on_rows.picked(g, k, c, o, last=last), groups, kept, column, order)

    def _kept_rows(self, groups: Slot, where: Any) -> Slot:
        if where is None:
            return self._once(("kept", groups), lambda: self._step(on_rows.everything, groups))
        condition = self.value(where)
        return self._once(("kept", groups, condition), lambda: self._step(on_rows.kept, groups, condition))

    def _ordered(self, groups: Slot, key: Any) -> Slot:
        first, *others = key.values if type(key).__name__ == "StructColumn" else (key,)
        keys = tuple(self._deciding(k) for k in others)
        slot = self.value(first)
        return self._once(
            ("ordered", groups, slot, keys),
            lambda: self._step(lambda g, k, *more: on_rows.in_order(g, k, more), groups, slot, *keys),
        )

    def _deciding(self, key: Any) -> Slot:
        """A key that is looked at only where those before it are tied."""
        if type(key).__name__ == "Field" and key.dtype.is_string():
            origin, name = key.rel, key.name
            slot, index, _ = self._source(origin, name)
            table = self.inputs.get(slot)
            if table is not None:
                texts = self._once(("raw", slot), lambda: self._step(lambda t: array_of(t[table[0]][table[1]]), 0))
                self.inputs[texts] = table
                given = (texts,) if index is None else (texts, index)
                return self._step(lambda t, i=None: on_rows.Later(t, i), *given)
        return self.value(key)

    # Values -----------------------------------------------------------------------------------------------------------

    def value(self, op: Any) -> Slot:
        """An operation on values; a column is a value as well."""
        return self._once(("value", op), lambda: self._value(op))

    def _value(self, op: Any) -> Slot:
        match type(op).__name__:
            case "Field":
                return self.column(op.rel, op.name)
            case "Literal":
                return self._kept(literal(op))
            case "WindowFunction":
                return self._window(op)
        arguments, function = function_of(op)
        given = [self.value(a) for a in arguments]
        if type(op).__name__ == "And":
            for slot, other in (given, given[::-1]):
                if self._is_true(slot):
                    return other
        return self._step(function, *given)

    def _is_true(self, slot: Slot) -> bool:
        known: Column = self.results[slot]
        return self._constant[slot] and known.valid is None and bool(known.values)

    def _window(self, op: Any) -> Slot:
        relation = _relation_of(op)
        rows = self.rows(relation)
        groups = self._grouped(relation, tuple(self.value(key) for key in op.group_by))
        keys = tuple(self._sort_key(key, rows) for key in op.order_by)
        frame = self._once(("frames", groups, keys), lambda: self._step(on_rows.frames, groups, *keys))
        function, edges = op.func, (_edge(op.start), _edge(op.end))
        match type(function).__name__:
            case "RowNumber":
                return self._step(on_rows.row_number, frame)
            case "Lag" if function.offset is None and function.default is None:
                return self._step(on_rows.lag, frame, self.value(function.arg))
            case "Min" if function.where is None and op.how == "rows" and edges == (1, None):
                return self._step(on_rows.lowest_after, frame, self.value(function.arg))
            case "Max" if function.where is None and op.how == "rows" and edges == (None, 0):
                return self._step(on_rows.highest_so_far, frame, self.value(function.arg))
            case "Sum" if function.where is None and op.how == "rows" and edges == (None, 0):
                return self._step(on_rows.total_so_far, frame, self.value(function.arg))
        raise Unsupported(f"the window function {type(function).__name__}")

    def _sort_key(self, key: Any, rows: Slot) -> Slot:
        slot = self.value(key.arg)
        if key.ascending:
            return slot
        return self._once(
            ("backwards", slot, rows),
            lambda: self._step(lambda c, n: on_rows.backwards(rows_of(c, n)), slot, rows),
        )


_AGGREGATES: dict[str, Callable[..., Column]] = {
    "Count": on_rows.count_values,
    "Sum": on_rows.total,
    "Min": on_rows.lowest,
    "Max": on_rows.highest,
    "Any": on_rows.any_true,
}


def _length(relation: Relation) -> int:
    return relation.num_rows if isinstance(relation, pa.Table) else len(next(iter(relation.values())))


def _relation_of(op: Any) -> Any:
    """The relation that a window goes over."""
    for key in (*op.group_by, *(k.arg for k in op.order_by)):
        if type(key).__name__ == "Field":
            return key.rel
    raise Unsupported("a window over no column")


def _edge(boundary: Any) -> int | None:
    """How many rows ahead a window begins or ends."""
    if boundary is None:
        return None
    value = boundary.value
    while type(value).__name__ == "Cast":
        value = value.arg
    if type(value).__name__ != "Literal":
        raise Unsupported("a window that moves")
    return -int(value.value) if boundary.preceding else int(value.value)
