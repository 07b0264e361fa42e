"""A plain table of customers from a CSV or Parquet file, for discovery without a workspace."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import Any

from kohort.discovery.explain.columns import with_idea
from kohort.errors import BadInput, NotFound, TooLarge, UnreadableFile
from kohort.model.feature import FeatureInfo, FeatureTable

MOST_COLUMNS = 2_000
LONGEST_LABEL = 60
ROW = "row"
"""What the ids are called where rows are numbered."""

NUMBERED = (
    "The first column, “{title}”, cannot say who is who, so rows are numbered from 1. If another column can, name it "
    "with --id."
)
_DELIMITERS = (",", ";", "\t", "|")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PARQUET_MAGIC = b"PAR1"
_MISSING = ["", " ", "?", "-", "NA", "N/A", "n/a", "#N/A", "NULL", "Null", "null", "None", "NaN", "nan", "-nan"]
_DECIMALS = r"^-?\d*[.,]\d*[1-9]\d*(e[+-]?\d+)?$"  # 17850.0 is an id that went through a spreadsheet


def read_table(
    path: str | Path,
    id: str | None = None,  # noqa: A002 - the option is called --id
    *,
    numbered: bool = False,
) -> FeatureTable:
    """A feature table from one row per customer.

    Numbers, flags and texts are recognised; a date becomes the days before the latest date of its column. Ids of a CSV
    stay text, so that leading zeros survive. Names become valid identifiers, labels keep the file's own words.

    Args:
        path: CSV (comma, semicolon, tab or bar; UTF-8 or Latin-1; decimal comma with semicolons) or Parquet.
        id: Column with the customer's id. None = the first one; where that cannot be an id (most of its values repeat, or
            have decimals), rows are numbered from 1, it is a column like the others, and `notes` say so.
        numbered: Number the rows without `id` in any case: for tables with several rows per customer.

    Returns:
        One row per customer in the order of the file; `as_of` and `value` are unknown.

    Raises:
        UnreadableFile: Missing, empty, or not a table.
        BadInput: Ids that are missing or repeated, repeated headers, no column besides the id.
        NotFound: `id` names no column.
    """
    file = Path(path)
    if not file.is_file():
        raise UnreadableFile("The file does not exist.", place=file.name)
    if file.stat().st_size == 0:
        raise UnreadableFile("The file is empty.", place=file.name)
    with file.open("rb") as opened:
        parquet = opened.read(4) == _PARQUET_MAGIC
    data = _parquet(file) if parquet else _csv(file, id, first_is_id=not numbered)
    if not parquet and id is None and not numbered and not _identifies(data.column(0)):
        data = _csv(file, None, first_is_id=False)
    return _table(data, id, file.name, numbered=numbered)


def as_feature_table(data: Any, id: str | None = None) -> FeatureTable:  # noqa: A002 - as in read_table
    """A feature table from whatever holds one row per customer.

    Args:
        data: A feature table, the path of a CSV or Parquet file, or anything that hands out Arrow: a pandas or Polars data
            frame, an Arrow table, a DuckDB relation. An index of pandas that has a name holds the ids.
        id: Column with the customer's id. None = the first one, as in `read_table`.

    Raises:
        BadInput: It is none of these, or `read_table` would refuse it.
    """
    if isinstance(data, FeatureTable):
        return data
    if isinstance(data, str | Path):
        return read_table(data, id)
    if not hasattr(data, "__arrow_c_stream__"):
        raise BadInput(
            "This is not a table.",
            hint="Bring a pandas or Polars data frame, an Arrow table, or the path of a CSV file.",
        )
    import pyarrow as pa

    if isinstance(getattr(getattr(data, "index", None), "name", None), str):
        data = data.reset_index()
    brought = pa.table(data)
    brought = brought.drop_columns([n for n in brought.column_names if n.startswith("__index_level_")])
    views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}  # Polars' own layout; few functions read it
    plain = pa.schema([pa.field(f.name, views.get(f.type, f.type)) for f in brought.schema])
    return _table(brought.cast(plain), id, "the table")


def _parquet(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UnreadableFile("The file is damaged or not Parquet.", place=file.name) from error


def _csv(file: Path, key: str | None, *, first_is_id: bool = True) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    raw = file.read_bytes()
    text = _decoded(raw, file.name)
    header = text.split("\n", 1)[0].rstrip("\r")
    delimiter = max(_DELIMITERS, key=header.count)
    names = next(iter(_records(header, delimiter)), [])
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        raise _repeated(twice, file.name)
    if len(names) > MOST_COLUMNS:
        raise TooLarge(f"The file has {len(names):,} columns, more than {MOST_COLUMNS:,}.", place=file.name)
    first = key or (names[0] if names else "")
    options = csv.ConvertOptions(
        column_types={first: pa.string()} if key or first_is_id else {},
        null_values=_MISSING,
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        true_values=["true", "True", "TRUE", "yes", "Yes"],
        false_values=["false", "False", "FALSE", "no", "No"],
        decimal_point="," if delimiter == ";" and _decimal_comma(text) else ".",
    )
    try:
        return csv.read_csv(
            io.BytesIO(text.encode()),
            read_options=csv.ReadOptions(use_threads=False, block_size=1 << 24),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=options,
        )
    except (pa.ArrowException, ValueError) as error:
        raise UnreadableFile(
            "The rows do not all have the columns of the first line.",
            place=file.name,
            hint="Write one line of column names, then one line per customer.",
        ) from error


def _decoded(raw: bytes, name: str) -> str:
    if b"\0" in raw[:4096]:
        raise UnreadableFile("The file is not a text table.", place=name, hint="Use CSV or Parquet.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _records(line: str, delimiter: str) -> list[list[str]]:
    import csv

    return list(csv.reader([line], delimiter=delimiter))


def _decimal_comma(text: str) -> bool:
    head = text[:100_000]
    return len(re.findall(r"(?:^|;)\s*-?\d+,\d+\s*(?=;|$)", head, re.MULTILINE)) > len(
        re.findall(r"(?:^|;)\s*-?\d+\.\d+\s*(?=;|$)", head, re.MULTILINE)
    )


def _table(data: Any, key: str | None, name: str, *, numbered: bool = False) -> FeatureTable:
    import pyarrow as pa

    names = data.column_names
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        raise _repeated(twice, name)
    if key is not None and key not in names:
        raise NotFound("column", key, names)
    if len(names) < 2:
        raise BadInput(
            "The table has no column besides the id.", place=name, hint="Add columns that describe customers."
        )
    if not data.num_rows:
        raise UnreadableFile("The table has no rows.", place=name)
    notes: tuple[str, ...] = ()
    if key is None and (numbered or not _identifies(data.column(0))):
        ids: Any = pa.array(range(1, data.num_rows + 1))
        notes = () if numbered else (NUMBERED.format(title=names[0].strip()),)
    else:
        key = key or names[0]
        ids = _ids(data[key], name)
    features, arrays, taken = [], [], set[str]()
    for column in names:
        if column == key:
            continue
        made = _feature(column, data[column], taken)
        if made is not None:
            features.append(made[0])
            arrays.append(made[1])
    if not features:
        raise BadInput("No column can be used.", place=name, hint="Add columns with numbers, flags or short texts.")
    made_table = pa.Table.from_arrays(arrays, names=[f.name for f in features])
    return FeatureTable(ids, made_table, tuple(features), key=(key or ROW).strip() or "id", notes=notes)


def _repeated(titles: list[str], name: str) -> BadInput:
    said = "A column name appears" if len(titles) == 1 else f"{len(titles):,} column names appear"
    return BadInput(f"{said} more than once.", place=name, hint="Give every column its own name.")


def _ids(column: Any, name: str) -> Any:
    """The column as one array of ids.

    Raises:
        BadInput: It holds none, or misses or repeats some.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = column.combine_chunks()
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    if pa.types.is_floating(ids.type) or pa.types.is_nested(ids.type):
        raise BadInput("The id column holds no ids.", place=name, hint="Choose another one with --id.")
    if ids.null_count:
        raise BadInput(f"{ids.null_count:,} rows have no id.", place=name, hint="Remove them or choose another --id.")
    repeated = len(ids) - pc.count_distinct(ids).as_py()
    if repeated:
        raise BadInput(
            f"{repeated:,} rows repeat an id.", place=name, hint="Give one row per customer, or choose another --id."
        )
    return ids


def _identifies(column: Any) -> bool:
    """Whether a column can say who is who: most of its values are there once, and they are no measurements."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, known = column.type, len(column) - column.null_count
    if pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_nested(kind):
        return False
    if pc.count_distinct(column).as_py() * 2 < known:
        return False
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return True
    measured = pc.sum(pc.match_substring_regex(column, _DECIMALS, ignore_case=True)).as_py() or 0
    return bool(measured * 2 <= known)


def _feature(column: str, values: Any, taken: set[str]) -> tuple[FeatureInfo, Any] | None:
    """How to speak about a column, and its values; None for types that describe nobody (lists, bytes, empty)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    name = _identifier(column, taken)
    label = _label(column) or name
    if len(label) > LONGEST_LABEL:  # long titles often differ at their end only
        label = f"{label[: LONGEST_LABEL - 20].rstrip()} … {label[-16:].lstrip()}"
    origin = f"column {column.strip()}"
    if pa.types.is_boolean(kind):
        return FeatureInfo(name, label, "flag", "flag", definition=origin), values
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return FeatureInfo(name, label, "text", "text", "trait", definition=origin), values.cast(pa.string())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        instants = values.cast(pa.timestamp("us")).cast(pa.int64())
        latest = pc.max(instants)
        days = pc.divide(pc.subtract(latest, instants).cast(pa.float64()), 86_400_000_000.0)
        return FeatureInfo(name, f"{label}: days before the latest", "number", "days", definition=origin), days
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64(), safe=False)
        finite = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))
        return with_idea(FeatureInfo(name, label, definition=origin)), finite
    return None


def _label(column: str) -> str:
    """Words of a column's title: "NumWebPurchases" → "Number of web purchases", "annual_income" → "Annual income"."""
    title = column.strip()
    if " " not in title:
        words = _HUMP.sub(" ", title.replace("_", " ")).split()
        title = " ".join([words[0], *(w if w.isupper() else w.lower() for w in words[1:])]) if words else ""
    for short, long in (("num ", "number of "), ("nr ", "number of "), ("n ", "number of "), ("avg ", "average ")):
        if title.lower().startswith(short):
            title = long + title[len(short) :]
    return title[:1].upper() + title[1:]


def _identifier(column: str, taken: set[str]) -> str:
    """A valid, unique identifier for a column title: "Annual Income (k$)" → annual_income_k."""
    name = re.sub(r"\W+", "_", _HUMP.sub("_", column.strip()).lower(), flags=re.ASCII).strip("_") or "column"
    name = f"c_{name}" if name[0].isdigit() else name
    unique, i = name, 2
    while unique in taken:
        unique, i = f"{name}_{i}", i + 1
    taken.add(unique)
    return unique
