"""Operations on values: each name of an Ibis operation with the function over columns that it stands for.

Three-valued logic relies on one habit: a flag that is not valid is False, so that "definitely true" is `values`.
Numbers are int64 or float64 inside; whole numbers that could leave 64 bits are handed over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kohort.engines.small.columns import (
    Array,
    Column,
    HandOver,
    Text,
    Unsupported,
    as_objects,
    both,
    flag,
    map_words,
    test_words,
)

Function = Callable[..., Column]
"""Columns → column."""

_LIMIT = 2**63


# Logic ----------------------------------------------------------------------------------------------------------------


def _and(a: Column, b: Column) -> Column:
    values = a.values & b.values
    if a.valid is None and b.valid is None:
        return Column(values)
    valid = both(a.valid, b.valid) | _is_false(a) | _is_false(b)
    return Column(values, valid)


def _or(a: Column, b: Column) -> Column:
    values = a.values | b.values
    if a.valid is None and b.valid is None:
        return Column(values)
    return Column(values, both(a.valid, b.valid) | values)


def _not(a: Column) -> Column:
    return Column(~a.values) if a.valid is None else Column(~a.values & a.valid, a.valid)


def _is_false(a: Column) -> Array:
    return ~a.values if a.valid is None else ~a.values & a.valid


def _is_null(a: Column) -> Column:
    return Column(np.zeros(a.values.shape, bool)[()] if a.valid is None else ~a.valid)


def _not_null(a: Column) -> Column:
    return Column(np.ones(a.values.shape, bool)[()] if a.valid is None else a.valid)


# Comparing ------------------------------------------------------------------------------------------------------------


def _compare(ufunc: Any) -> Function:
    def compared(a: Column, b: Column) -> Column:
        if isinstance(a, Text):
            return _compare_texts(ufunc, a, b)
        return flag(ufunc(a.values, b.values), both(a.valid, b.valid))

    return compared


def _compare_texts(ufunc: Any, a: Text, b: Column) -> Column:
    assert isinstance(b, Text)
    valid = both(a.valid, b.valid)
    if b.values.ndim == 0:
        return flag(a.compared(ufunc, str(b.words[b.values]))[a.values], valid)
    return flag(np.asarray(ufunc(a.words[a.values], b.words[b.values])).astype(bool), valid)


def _identical(a: Column, b: Column) -> Column:
    same = _EQUALS(a, b)
    if same.valid is None:
        return same
    neither = _is_null(a).values & _is_null(b).values
    return Column(same.values | neither)


_EQUALS = _compare(np.equal)


def _among(value: Column, *options: Column) -> Column:
    if isinstance(value, Text):
        words = {o.words[o.values] for o in options if isinstance(o, Text)}
        return test_words(value, words.__contains__)
    found: Array = np.zeros(value.values.shape, bool)
    for option in options:
        found = found | (value.values == option.values)
    return flag(found, value.valid)


# Choosing -------------------------------------------------------------------------------------------------------------


def _if_else(condition: Column, yes: Column, no: Column) -> Column:
    if isinstance(yes, Text) != isinstance(no, Text):
        raise HandOver
    where = condition.values
    valid: Array | None = None
    if yes.valid is not None or no.valid is not None:
        valid = _chosen(where, True if yes.valid is None else yes.valid, True if no.valid is None else no.valid)
    if isinstance(yes, Text) and isinstance(no, Text):
        words = np.concatenate([yes.words, no.words])
        return Text(_chosen(where, yes.values, no.values + yes.word_count), valid, words)
    return Column(_chosen(where, yes.values, no.values), valid)


def _chosen(where: Array, yes: Array, no: Array) -> Array:
    found: Array = np.where(where, yes, no)
    return found[()] if found.ndim == 0 else found


def _coalesce(*columns: Column) -> Column:
    *others, found = columns
    for column in reversed(others):
        if column.valid is None:
            found = column
        elif column.values.dtype == np.bool_ and found.valid is None and found.values.ndim == 0 and not found.values:
            found = Column(column.values)
        else:
            found = _if_else(Column(column.valid), column, found)
    return found


def _null_if(a: Column, b: Column) -> Column:
    same = _EQUALS(a, b).values
    valid = ~same if a.valid is None else a.valid & ~same
    return a.like(a.values & valid if a.values.dtype == np.bool_ else a.values, valid)


def _cases(*columns: Column) -> Column:
    """Conditions, as many results, and the value of none of them."""
    half = len(columns) // 2
    found = columns[-1]
    for condition, result in zip(reversed(columns[:half]), reversed(columns[half:-1]), strict=True):
        found = _if_else(condition, result, found)
    return found


def _extreme(ufunc: Any) -> Function:
    """The greatest or least of the values that are there."""

    def found(*columns: Column) -> Column:
        result = columns[0]
        for column in columns[1:]:
            chosen = Column(ufunc(result.values, column.values), both(result.valid, column.valid))
            if chosen.valid is not None:
                one = _coalesce(result, column)
                chosen = _if_else(Column(chosen.valid), Column(chosen.values), one)
            result = chosen
        return result

    return found


# Numbers --------------------------------------------------------------------------------------------------------------


def largest(values: Array) -> int:
    """The greatest distance of whole numbers from zero."""
    if values.ndim == 0:
        return abs(int(values))
    return max(abs(int(values.max())), abs(int(values.min()))) if len(values) else 0


def _arithmetic(ufunc: Any, bound: Callable[[int, int], int]) -> Function:
    def computed(a: Column, b: Column) -> Column:
        whole = np.float64 not in (a.values.dtype, b.values.dtype)
        if whole and bound(largest(a.values), largest(b.values)) >= _LIMIT:
            raise HandOver
        return Column(ufunc(a.values, b.values), both(a.valid, b.valid))

    return computed


def _divide(a: Column, b: Column) -> Column:
    valid = both(a.valid, b.valid)
    return Column(np.asarray(a.values, np.float64) / np.asarray(b.values, np.float64), valid)


def _floor_divide(a: Column, b: Column) -> Column:
    """Through float64 like DuckDB and Spark, whose whole division this is."""
    found = np.floor(np.asarray(a.values, np.float64) / np.asarray(b.values, np.float64))
    return _whole(Column(found, both(a.valid, b.valid)))


def _whole(a: Column) -> Column:
    if not np.all(np.abs(a.values) < float(_LIMIT)):
        raise HandOver
    return Column(a.values.astype(np.int64), a.valid)


def _modulus(a: Column, b: Column) -> Column:
    """The sign of the first number, as in SQL."""
    return Column(np.fmod(a.values, b.values), both(a.valid, b.valid))


def _shift(a: Column, b: Column) -> Column:
    return Column(a.values >> b.values, both(a.valid, b.valid))


def _bits_and(a: Column, b: Column) -> Column:
    return Column(a.values & b.values, both(a.valid, b.valid))


def _signless(ufunc: Any) -> Function:
    def computed(a: Column) -> Column:
        if a.values.dtype != np.float64 and largest(a.values) >= _LIMIT:
            raise HandOver
        return Column(ufunc(a.values), a.valid)

    return computed


def _float_function(ufunc: Any) -> Function:
    """A function of a number; outside its domain engines differ."""

    def computed(a: Column) -> Column:
        values = ufunc(np.asarray(a.values, np.float64))
        odd = ~np.isfinite(values)
        if (odd if a.valid is None else odd & a.valid).any():
            raise HandOver
        return Column(values, a.valid)

    return computed


def _floor(a: Column) -> Column:
    return _whole(Column(np.where(True if a.valid is None else a.valid, np.floor(a.values), 0.0)[()], a.valid))


# Texts ----------------------------------------------------------------------------------------------------------------


def lower(text: str) -> str:
    """Letter by letter, as DuckDB does it: Python alone knows a final sigma, and gives the dotted I two letters."""
    if "Σ" in text or "İ" in text:
        return "".join("i" if letter == "İ" else letter.lower() for letter in text)
    return text.lower()


def _word(column: Column) -> Any:
    """A text that is the same for all rows."""
    if not isinstance(column, Text) or column.values.ndim or column.valid is not None:
        raise HandOver
    return column.words[column.values]


def _text(column: Column) -> Text:
    assert isinstance(column, Text)
    return column


def _lowercase(a: Column) -> Column:
    return map_words(_text(a), lower)


def _replace(a: Column, old: Column, new: Column) -> Column:
    before, after = _word(old), _word(new)
    return map_words(_text(a), lambda word: word.replace(before, after))


def _contains(a: Column, part: Column) -> Column:
    if part.values.ndim == 0 and part.valid is None:
        wanted = _word(part)
        return test_words(_text(a), lambda word: wanted in word)
    texts, parts, valid = _text(a), _text(part), both(a.valid, part.valid)
    pairs = np.broadcast_arrays(texts.words[texts.values], parts.words[parts.values])
    found = np.array([one in other for other, one in zip(*map(np.atleast_1d, pairs), strict=True)], bool)
    return flag(found if pairs[0].ndim else found[0], valid)


def _starts(a: Column, part: Column) -> Column:
    wanted = _word(part)
    return test_words(_text(a), lambda word: word.startswith(wanted))


def _ends(a: Column, part: Column) -> Column:
    wanted = _word(part)
    return test_words(_text(a), lambda word: word.endswith(wanted))


def _length(a: Column) -> Column:
    text = _text(a)
    lengths = np.fromiter(map(len, text.words), np.int64, text.word_count)
    return Column(lengths[text.values], text.valid)


def _join_texts(*columns: Column) -> Column:
    found = _text(columns[0])
    for column in columns[1:]:
        found = _join_two(found, _text(column))
    return found


def _join_two(a: Text, b: Text) -> Text:
    if b.values.ndim == 0 and b.valid is None:
        after = _word(b)
        return map_words(a, lambda word: word + after)
    if a.values.ndim == 0 and a.valid is None:
        before = _word(a)
        return map_words(b, lambda word: before + word)
    words = as_objects([x + y for x, y in zip(a.words[a.values], b.words[b.values], strict=True)])
    return Text(np.arange(len(words)), both(a.valid, b.valid), words)


def _split(a: Column, mark: Column) -> Column:
    between = _word(mark)
    return map_words(_text(a), lambda word: word.split(between))


def _item(a: Column, place: Column) -> Column:
    if place.values.ndim or place.valid is not None or place.values < 0:
        raise HandOver
    n = int(place.values)
    return map_words(_text(a), lambda items: items[n] if n < len(items) else None)


# The names ------------------------------------------------------------------------------------------------------------


def _cast(op: Any) -> Function:
    to, given = op.to, op.arg.dtype
    if to.is_float64() and given.is_numeric():
        return lambda a: Column(a.values.astype(np.float64), a.valid)
    if to.is_integer() and (given.is_integer() or given.is_boolean()) and to.nbytes >= getattr(given, "nbytes", 1):
        return lambda a: Column(a.values.astype(np.int64), a.valid)
    if to == given or (to.is_string() and given.is_string()):
        return lambda a: a
    raise Unsupported(f"a cast from {given} to {to}")


FUNCTIONS: dict[str, tuple[tuple[str, ...], Function]] = {
    "And": (("left", "right"), _and),
    "Or": (("left", "right"), _or),
    "Not": (("arg",), _not),
    "IsNull": (("arg",), _is_null),
    "NotNull": (("arg",), _not_null),
    "Equals": (("left", "right"), _EQUALS),
    "NotEquals": (("left", "right"), _compare(np.not_equal)),
    "Less": (("left", "right"), _compare(np.less)),
    "LessEqual": (("left", "right"), _compare(np.less_equal)),
    "Greater": (("left", "right"), _compare(np.greater)),
    "GreaterEqual": (("left", "right"), _compare(np.greater_equal)),
    "IdenticalTo": (("left", "right"), _identical),
    "InValues": (("value", "options"), _among),
    "IfElse": (("bool_expr", "true_expr", "false_null_expr"), _if_else),
    "Coalesce": (("arg",), _coalesce),
    "NullIf": (("arg", "null_if_expr"), _null_if),
    "SearchedCase": (("cases", "results", "default"), _cases),
    "Greatest": (("arg",), _extreme(np.maximum)),
    "Least": (("arg",), _extreme(np.minimum)),
    "Add": (("left", "right"), _arithmetic(np.add, lambda a, b: a + b)),
    "Subtract": (("left", "right"), _arithmetic(np.subtract, lambda a, b: a + b)),
    "Multiply": (("left", "right"), _arithmetic(np.multiply, lambda a, b: a * b)),
    "Divide": (("left", "right"), _divide),
    "FloorDivide": (("left", "right"), _floor_divide),
    "Modulus": (("left", "right"), _modulus),
    "BitwiseRightShift": (("left", "right"), _shift),
    "BitwiseAnd": (("left", "right"), _bits_and),
    "Negate": (("arg",), _signless(np.negative)),
    "Abs": (("arg",), _signless(np.abs)),
    "Floor": (("arg",), _floor),
    "Sqrt": (("arg",), _float_function(np.sqrt)),
    "Log2": (("arg",), _float_function(np.log2)),
    "Sin": (("arg",), _float_function(np.sin)),
    "Cos": (("arg",), _float_function(np.cos)),
    "Asin": (("arg",), _float_function(np.arcsin)),
    "Lowercase": (("arg",), _lowercase),
    "StringReplace": (("arg", "pattern", "replacement"), _replace),
    "StringContains": (("haystack", "needle"), _contains),
    "StartsWith": (("arg", "start"), _starts),
    "EndsWith": (("arg", "end"), _ends),
    "StringLength": (("arg",), _length),
    "StringConcat": (("arg",), _join_texts),
    "StringSplit": (("arg", "delimiter"), _split),
    "ArrayIndex": (("arg", "index"), _item),
}
"""Name of an operation → its arguments (one or several columns each) and what it does."""


def function_of(op: Any) -> tuple[list[Any], Function]:
    """The arguments of an operation, and its function over their columns.

    Raises:
        Unsupported: Nobody knows it.
    """
    name = type(op).__name__
    if name == "Cast":
        return [op.arg], _cast(op)
    if name not in FUNCTIONS:
        raise Unsupported(f"the operation {name}")
    names, function = FUNCTIONS[name]
    given: list[Any] = []
    for argument in (getattr(op, n) for n in names):
        given.extend(argument if isinstance(argument, tuple) else [argument])
    return given, function


def literal(op: Any) -> Column:
    """A constant.

    Raises:
        Unsupported: It is of a type that no column has.
    """
    kind, value = op.dtype, op.value
    absent = None if value is not None else np.bool_(False)
    if kind.is_string():
        return Text(np.int64(0), absent, as_objects([value or ""]), distinct=True)
    if kind.is_boolean():
        return Column(np.bool_(bool(value)), absent)
    if kind.is_integer():
        return Column(np.int64(value or 0), absent)
    if kind.is_floating():
        return Column(np.float64(value or 0.0), absent)
    if kind.is_null():
        return Column(np.bool_(False), np.bool_(False))
    raise Unsupported(f"a constant of type {kind}")
