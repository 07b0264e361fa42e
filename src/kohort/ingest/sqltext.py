"""SQL expressions that turn one column of a file into text, an exact number, a flag or a time.

Columns are called `c0`, `c1`, … and hold clean text: trimmed, null where missing. Nothing of a file's names or values
becomes SQL text; the rest comes from the constants here or from a checked pattern.
"""

from __future__ import annotations

import re

from kohort.errors import BadInput
from kohort.ingest.limits import MAX_UNIT
from kohort.model.event import LIST_MARK

_UNITS = r"(?:[€£$¥]|(?i:eur|gbp|usd|dkk|sek|nok|chf|kr\.?))"
_ZONED = r":\d\d.*?(Z|z| ?UTC| ?GMT|([+-])(\d\d):?(\d\d)?)$"
_DIGITS = r"[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+"

TRUE = ("true", "t", "yes", "y", "1", "1.0", "ja", "j", "wahr", "waar", "sand")
FALSE = ("false", "f", "no", "n", "0", "0.0", "nee", "nein", "nej", "falsch", "onwaar", "falsk")


def text(column: str, kind: str) -> str:
    """The value as text; null where missing."""
    match kind:
        case "text":
            return column
        case "float":
            # 17850.0 is the number 17850 written by a tool that has no missing whole numbers.
            whole = f"{column} = trunc({column}) AND abs({column}) < 1e18"
            plain = f"CASE WHEN {whole} THEN {column}::BIGINT::VARCHAR ELSE {column}::VARCHAR END"
            return f"CASE WHEN NOT isnan({column}) THEN {plain} END"
        case "time" | "instant":
            zone = "Z" if kind == "instant" else ""
            return f"strftime({column}, '%Y-%m-%dT%H:%M:%S{zone}')"
        case _:
            return f"{column}::VARCHAR"


def present(column: str, kind: str) -> str:
    """True where `text` would be something, false where null; writing the text only to ask is a fifth of all typing."""
    return f"({column} IS NOT NULL AND NOT isnan({column}))" if kind == "float" else f"({column} IS NOT NULL)"


def number(column: str, kind: str, *, decimal: str = ".", type_: str = "DECIMAL(18,6)") -> str:
    """An exact decimal, rounded half away from zero; null where missing or not a number."""
    match kind:
        case "text":
            cleaned = _exact(_bare(column, decimal), type_)
            if decimal == ",":
                return cleaned
            # Most numbers are plain: the costly clean-up is only tried where the direct reading fails.
            direct = f"CASE WHEN NOT regexp_matches({column}, '[_eE]') THEN TRY_CAST({column} AS {type_}) END"
            return f"COALESCE({direct}, {cleaned})"
        case "float":
            # Through the shortest text: the double nearest to 2.55 means 2.55, as it would in a CSV file. Very small and
            # very large doubles are written with an exponent, see _exact.
            text_, direct = f"TRY_CAST({column}::VARCHAR AS {type_})", f"TRY_CAST({column} AS {type_})"
            return f"CASE WHEN abs({column}) >= 1e-4 AND abs({column}) < 1e15 THEN {text_} ELSE {direct} END"
        case "int" | "decimal" | "bool":
            return f"TRY_CAST({column} AS {type_})"
        case _:
            return f"CAST(NULL AS {type_})"


def too_big(column: str, kind: str, *, decimal: str = ".") -> str:
    """True where the value is a number, infinite or beyond MAX_UNIT."""
    match kind:
        case "text":
            wide = f"TRY_CAST({_bare(column, decimal)} AS DOUBLE)"
        case "int" | "decimal" | "float":
            wide = f"{column}::DOUBLE"
        case _:
            return "false"
    return f"COALESCE(NOT isnan({wide}) AND abs({wide}) > {MAX_UNIT}, false)"


def flag(column: str, kind: str) -> str:
    """True or false; null where missing or neither."""
    if kind == "bool":
        return column
    word = f"lower({text(column, kind)})"
    return f"CASE WHEN {word} IN {TRUE!r} THEN true WHEN {word} IN {FALSE!r} THEN false END"


def items(column: str, kind: str) -> str:
    """A list of texts as the event table stores it: from a JSON array, or from one text as its only item."""
    # Without JSON's brackets a text is one item: guessing a separator would cut "Smith, Jones" in two.
    written = text(column, kind)
    mark = f"chr({ord(LIST_MARK)})"
    plain = f"replace({{}}, {mark}, ' ')"
    kept = f"list_filter(json_extract_string({written}, '$[*]'), x -> x IS NOT NULL AND trim(x) <> '')"
    joined = f"array_to_string(list_transform({kept}, x -> {plain.format('trim(x)')}), {mark})"
    return (
        f"CASE WHEN {written} IS NULL THEN NULL "
        f"WHEN left({written}, 1) = '[' AND json_valid({written}) THEN {mark} || nullif({joined}, '') || {mark} "
        f"ELSE {mark} || {plain.format(written)} || {mark} END"
    )


def wall(column: str, kind: str, time_format: str) -> str:
    """A TIMESTAMP: wall-clock time, or UTC where `has_zone` is true; null where missing or not readable."""
    if kind in ("time", "instant"):
        return _believable(str(column))
    if time_format in ("epoch_s", "epoch_ms"):
        factor = 1_000_000 if time_format == "epoch_s" else 1_000
        exact = number(column, kind, type_="DECIMAL(24,6)")
        return f"CASE WHEN abs({exact}) < 1e14 THEN make_timestamp(round({exact} * {factor})::BIGINT) END"
    if time_format == "excel":
        # Days since 1899-12-30; milliseconds is what a workbook keeps.
        days = number(column, kind, type_="DECIMAL(24,12)")
        return f"CASE WHEN abs({days}) < 1e6 THEN make_timestamp((round(({days}::DOUBLE - 25569) * 86400000) * 1000)::BIGINT) END"
    read = text(column, kind)
    if time_format in ("iso", ""):
        stamp = f"TRY_CAST({read} AS TIMESTAMP)"
        shifted = f"CASE WHEN {_zoned(read)} THEN {stamp} - to_minutes({_offset_minutes(read)}) ELSE {stamp} END"
        return _believable(stamp, shifted if time_format else stamp)
    listed = ", ".join(f"'{p}'" for p in patterns(time_format))
    return _believable(f"try_strptime({read}, [{listed}])")


def _believable(stamp: str, value: str = "") -> str:
    """Null outside the years that a calendar has: infinity, and what would overflow later."""
    years = "TIMESTAMP '0001-01-02' AND TIMESTAMP '9999-12-30'"
    return f"CASE WHEN {stamp} BETWEEN {years} THEN {value or stamp} END"


def has_zone(column: str, kind: str, time_format: str) -> str:
    """True where the written time carries its own offset, so that it is an instant already."""
    if kind == "instant" or time_format in ("epoch_s", "epoch_ms"):
        return "true"
    if kind != "text" or time_format != "iso":
        return "false"
    return f"COALESCE({_zoned(column)}, false)"


def _zoned(read: str) -> str:
    # 2024-01-02 03:04 has 16 characters: what is not longer cannot end with an offset.
    return f"(strlen({read}) > 16 AND regexp_matches({read}, '{_ZONED}'))"


def _offset_minutes(read: str) -> str:
    """Minutes east of UTC that a written time states; 0 where it states none. The cast to TIMESTAMP ignores them."""
    sign, hours, minutes = (rf"regexp_extract({read}, '{_ZONED}', {group})" for group in (2, 3, 4))
    size = f"COALESCE(TRY_CAST({hours} AS INTEGER) * 60 + COALESCE(TRY_CAST({minutes} AS INTEGER), 0), 0)"
    return f"CASE WHEN {sign} = '-' THEN -{size} ELSE {size} END"


_DIRECTIVES = frozenset("aAbBdfHIjmMpSyYeT-gn")
_PATTERN = re.compile(r"[A-Za-z0-9 %:/.,_\-]{2,60}")


def patterns(time_format: str) -> list[str]:
    """The pattern, then the same with less of the clock: exports mix "03/04/2024" and "03/04/2024 10:15".

    Raises:
        BadInput: The pattern is not a strptime pattern we accept.
    """
    used = re.findall(r"%(-?.)", time_format)
    if not _PATTERN.fullmatch(time_format) or not used or not {u[-1] for u in used} <= _DIRECTIVES:
        raise BadInput(
            f"{time_format!r} is not a time format.",
            code="bad_time_format",
            hint="Use iso, epoch_s, epoch_ms, excel, or a pattern such as %d/%m/%Y %H:%M.",
        )
    listed = [time_format]
    for less in (
        time_format.replace(":%S.%f", ":%S"),
        time_format.replace(".%f", "").replace(":%S", ""),
        re.split(r"[ T]%-?[HI]", time_format)[0],
    ):
        if less and less not in listed:
            listed.append(less)
    return listed


def _exact(value: str, type_: str) -> str:
    """A decimal from a number in the notation of SQL."""
    # DuckDB 1.5 casts the text 6e-38 to a decimal of 0.000001: numbers with an exponent go through a double.
    through = f"TRY_CAST(TRY_CAST({value} AS DOUBLE) AS {type_})"
    return f"CASE WHEN regexp_matches({value}, '[eE]') THEN {through} ELSE TRY_CAST({value} AS {type_}) END"


def _bare(column: str, decimal: str) -> str:
    """The number inside "€ 1.234,50", "(12.00)" or "12-", in the notation of SQL; null where it is none."""
    value = f"regexp_replace({column}, '^{_UNITS}\\s*|\\s*{_UNITS}$', '')"
    value = f"regexp_replace({value}, '^([+-]?){_UNITS}\\s*', '\\1')"
    value = f"regexp_replace({value}, '^\\(([^()-]+)\\)$', '-\\1')"
    value = f"regexp_replace({value}, '^([0-9][^-]*)-$', '-\\1')"
    # The decimal mark becomes a point and every spelling of a thousands mark a comma; the shape is then checked.
    if decimal == ",":
        value = f"translate({value}, '.,', ',.')"
    value = f"regexp_replace({value}, '[ ''\u00a0\u202f]([0-9]{{3}})', ',\\1', 'g')"
    shaped = rf"regexp_full_match({value}, '[+-]?(?:{_DIGITS})?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{{1,3}})?')"
    return f"CASE WHEN {shaped} THEN replace({value}, ',', '') END"
