"""What is counted in the event log for the health report: a handful of passes, each a small result.

Amounts stay in minor units and quantities in thousandths here; `findings` turns them into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kohort.health import clocks, texts
from kohort.health.behaviour import ON_A_DAY, suspicious
from kohort.model.clock import DAY_US
from kohort.model.event import BOT_COLUMNS, BOT_KIND, CONTEXT_VALUE, SCORE, SCORE_COLUMNS, TEXT_COLUMNS, VALUE_COLUMNS

SAMPLE_ROWS = 5
STALE_DAYS = 365
ABSURD_QUANTITY = 500  # times the product's typical quantity
ABSURD_PRICE = 20  # times the product's typical price, or one part in so many of it
MOST_VALUES = 1_000  # of a text column that is looked into
FIRST_ROWS = 50_000
TYPICAL_NEEDS_LINES = 10  # below that a product has no "typical"

GOODS = "event = 'order_line' AND line_kind = 'goods' AND NOT coalesce(duplicate_line, false)"
"""What counts as bought or returned: lines of goods, repeated lines of one order left out."""

Row = dict[str, Any]


class Count(NamedTuple):
    """Rows and their money in minor units."""

    rows: int = 0
    amount: int = 0

    def __add__(self, other: object) -> Count:
        if not isinstance(other, Count):
            return NotImplemented
        return Count(self.rows + other.rows, self.amount + other.amount)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the report is made of, as counted up to one moment.

    Attributes:
        cells: Rows and money by batch, event, line_kind, anonymous, duplicate, sign of quantity and amount, currency,
            converted, unknown amount, from the future, kind of machine, month ("2011-12").
        filled: Per batch and event: rows, first and last instant and how many rows fill each column.
        customers: all, complete (at least one purchase with a known amount) and quiet (nothing in the last year).
        month_customers: Month → distinct customers.
        days: Days since 1970 with at least one event, ascending.
        products: Product code → lines of goods.
        names: Products with several names: product, names, rows, usual.
        texts: Column → value → rows, for text columns that repeat their values.
        absurd: Count and sample per code of lines far from what is typical for their product.
        repeats: Same customer, product and day in several orders: repeated purchases, kept.
        clocks: The times of each batch; see `clocks.looked_at`.
        written: Texts that people wrote, by language; see `texts.counted`.
        visits: Visits that look like a machine's, by rule and in all; see `behaviour.suspicious`.
        samples: Finding code → rows to check by hand.
    """

    cells: tuple[Row, ...]
    filled: tuple[Row, ...]
    customers: dict[str, int]
    month_customers: dict[str, int]
    days: tuple[int, ...]
    products: dict[str, int]
    names: tuple[Row, ...]
    texts: dict[str, dict[str, int]]
    absurd: dict[str, Count]
    repeats: Count
    visits: dict[str, int] = field(default_factory=dict)
    written: tuple[Row, ...] = ()
    clocks: tuple[Row, ...] = ()
    samples: dict[str, tuple[Row, ...]] = field(default_factory=dict)

    def count(self, **where: object) -> Count:
        """Rows and money of the cells whose named fields have the given values (a tuple = any of them)."""
        total = Count()
        for cell in self.cells:
            if all(cell[k] in v if isinstance(v, tuple) else cell[k] == v for k, v in where.items()):
                total += Count(cell["n"], cell["a"])
        return total

    def goods(self, **where: object) -> Count:
        """The same among the lines of GOODS."""
        return self.count(event="order_line", line_kind="goods", duplicate=False, **where)


# Months since year 0: a number per row is twice as fast as a text.
_MONTH = "12 * year(DATE '1970-01-01' + local_day) + month(DATE '1970-01-01' + local_day) - 1"

_CELLS = f"""
SELECT batch, event, line_kind, customer IS NULL AS anonymous, duplicate_line AS duplicate,
       coalesce(sign(quantity), 0) AS direction, coalesce(sign(amount), 0) AS money_sign, currency, converted,
       amount IS NULL AS unknown_amount, future, bot,
       {_MONTH} AS month,
       count(*) AS n, CAST(coalesce(sum(amount), 0) AS BIGINT) AS a
FROM core GROUP BY ALL
"""

# What several questions ask of a customer's day (of a day of nobody: customer NULL), so that it is grouped once.
_DAYS = f"""
CREATE TEMP TABLE customer_days AS
SELECT customer, local_day, bool_or(event <> 'identify') AS active,
       count(*) FILTER (event IN ('page', 'screen')) >= {ON_A_DAY} AS busy,
       bool_or({GOODS} AND quantity > 0 AND amount > 0) AS bought,
       min(hash(order_id)) FILTER (again) <> max(hash(order_id)) FILTER (again) AS again
FROM (SELECT *, {GOODS} AND quantity > 0 AND customer IS NOT NULL AND order_id IS NOT NULL AS again FROM core)
GROUP BY customer, local_day
"""

_CUSTOMERS = """
SELECT count(*) AS "all", count(*) FILTER (bought) AS complete, count(*) FILTER (active) AS active,
       count(*) FILTER (last_day < {day} - {stale}) AS quiet
FROM (SELECT max(local_day) AS last_day, bool_or(active) AS active, bool_or(bought) AS bought
      FROM customer_days WHERE customer IS NOT NULL GROUP BY customer)
"""

_MONTHS = f"""
SELECT {_MONTH} AS month, count(DISTINCT customer) AS customers
FROM customer_days WHERE active GROUP BY 1 ORDER BY 1
"""

_BUSY = "SELECT DISTINCT customer FROM customer_days WHERE busy AND customer IS NOT NULL"

_NAMES = """
SELECT product, count(product_name) AS names, CAST(sum(n) AS BIGINT) AS lines,
       max_by(product_name, (n, product_name)) AS usual
FROM (SELECT product, product_name, count(*) AS n FROM seen
      WHERE event = 'order_line' AND line_kind = 'goods' AND product IS NOT NULL
      GROUP BY ALL)
GROUP BY product ORDER BY lines DESC, product
"""

_REPEATS = f"""
SELECT CAST(coalesce(sum(n - 1), 0) AS BIGINT) AS n, CAST(coalesce(sum(a), 0) AS BIGINT) AS a
FROM (SELECT count(*) AS n, sum(amount) AS a
      FROM core SEMI JOIN (SELECT customer, local_day FROM customer_days WHERE again) USING (customer, local_day)
      WHERE {GOODS} AND quantity > 0
      GROUP BY customer, product, local_day HAVING min(order_id) <> max(order_id))
"""

_BOUGHT = f"{GOODS} AND quantity > 0 AND amount > 0"
_TYPICAL = f"""
CREATE TEMP TABLE typical AS
SELECT product, median(quantity) AS quantity, median(price) AS price
FROM (SELECT product, quantity, amount / quantity::DOUBLE AS price FROM core WHERE {_BOUGHT})
GROUP BY product
HAVING count(*) >= {TYPICAL_NEEDS_LINES}
   AND (max(quantity) > {ABSURD_QUANTITY} * median(quantity)
        OR max(price) > {ABSURD_PRICE} * median(price) OR min(price) * {ABSURD_PRICE} < median(price))
"""
_ABSURD = f"""
WITH lines AS (SELECT product, order_id, ts, quantity, amount, amount / quantity::DOUBLE AS price
               FROM core SEMI JOIN typical USING (product) WHERE {_BOUGHT}),
     odd AS (SELECT CASE WHEN l.quantity > {ABSURD_QUANTITY} * t.quantity THEN 'absurd_quantity'
                         WHEN l.price > {ABSURD_PRICE} * t.price OR l.price * {ABSURD_PRICE} < t.price
                         THEN 'absurd_price' END AS code, l.*
             FROM lines l JOIN typical t USING (product))
SELECT code, count(*) AS n, CAST(sum(amount) AS BIGINT) AS a,
       max_by({{'order': order_id, 'product': product, 'quantity': quantity, 'amount': amount, 'ts': ts}},
              (CASE WHEN code = 'absurd_price' THEN price ELSE amount END, order_id, ts), {SAMPLE_ROWS}) AS sample
FROM odd WHERE code IS NOT NULL GROUP BY code
"""

# The most expensive rows first: a sample is for finding mistakes that matter. No names of products: on lines that are
# not goods they are free text ("adjustment by …") that can name a person.
_SAMPLES = f"""
SELECT code, min_by(line, (-coalesce(abs(line.amount), -1), line."order", line.product, line.ts), {SAMPLE_ROWS}) AS sample
FROM (SELECT unnest([{{codes}}]) AS code,
             {{{{'order': order_id, 'product': product, 'quantity': quantity, 'amount': amount, 'ts': ts}}}} AS line
      FROM core WHERE {{any}})
WHERE code IS NOT NULL GROUP BY code
"""

SAMPLED = {
    "anonymous": f"customer IS NULL AND {GOODS}",
    "duplicate_lines": "duplicate_line",
    "free_goods": f"{GOODS} AND quantity > 0 AND amount = 0",
    "negative_price": f"{GOODS} AND quantity > 0 AND amount < 0",
    "converted": "converted",
    "currency_unknown": "event = 'order_line' AND amount IS NULL",
    "future": "future",
}
"""Finding → the rows a sample is taken from."""

IN_MEMORY = 500_000
"""Events up to which what is read again and again is kept: of more, reading it again costs less than keeping it."""

_CORE = f"""
SELECT batch, event, customer, ts, local_day, order_id, product, line_kind, quantity, amount, currency,
       coalesce(duplicate_line, false) AS duplicate_line, fx_day IS NOT NULL AS converted,
       ts > received_at + {DAY_US} AS future, {{bot}} AS bot
FROM seen
"""
_BOT = f"CASE WHEN customer IS NULL THEN {BOT_KIND} END"
_FILLABLE = ("customer", "order_id", "product", "product_name", "category", "quantity", "amount")


def look_at(con: Any, *, as_of: int) -> None:
    """Create `seen`, the events up to `as_of` without scores, and `core`, the columns of it that most questions are about.

    Up to IN_MEMORY events `core` is a table: a log of many small files is then decoded once and not for every question.
    """
    con.execute(f"CREATE TEMP VIEW seen AS SELECT * FROM events WHERE ts <= {int(as_of)} AND event <> '{SCORE}'")
    events = con.execute("SELECT count(*) FROM events").fetchone()[0]
    kind = "TABLE" if events <= IN_MEMORY else "VIEW"
    there = {row[0]: row[1] for row in con.execute("DESCRIBE seen").fetchall()}
    bot = _BOT if there.get(BOT_KIND) == "VARCHAR" else "NULL::VARCHAR"
    con.execute(f"CREATE TEMP {kind} core AS {_CORE.format(bot=bot)}")


def gather(con: Any, *, day: int, columns: Sequence[str]) -> Facts:
    """Count everything in the relations `seen` and `core`.

    Args:
        con: A connection on which `look_at` was called.
        day: The day from which a customer's silence is counted, in days since 1970.
        columns: Declared columns beyond the fixed ones (`p_…`, `t_…`).
    """
    written = texts.counted(con, columns)
    own = BOT_COLUMNS | TEXT_COLUMNS | SCORE_COLUMNS | VALUE_COLUMNS
    columns = [c for c in columns if c not in own and c != CONTEXT_VALUE]
    cells = [{**r, "month": month_text(r["month"])} for r in _rows(con, _CELLS)]
    con.execute(_TYPICAL)
    absurd = _rows(con, _ABSURD) if con.execute("SELECT count(*) FROM typical").fetchone()[0] else []
    con.execute(_DAYS)
    (customers,) = _rows(con, _CUSTOMERS.format(stale=STALE_DAYS, goods=GOODS, day=int(day)))
    (repeats,) = _rows(con, _REPEATS)
    products = _rows(con, _NAMES)
    filled = _rows(con, _filled(columns))
    repeating = ["category", *(c for c in columns if c[:2] in ("p_", "t_"))]
    return Facts(
        cells=tuple(cells),
        filled=tuple({name: n for name, n in row.items() if name not in clocks.COUNTED} for row in filled),
        customers=customers,
        month_customers={month_text(r["month"]): r["customers"] for r in _rows(con, _MONTHS)},
        days=tuple(r["local_day"] for r in _rows(con, "SELECT DISTINCT local_day FROM customer_days ORDER BY 1")),
        products={r["product"]: r["lines"] for r in products},
        names=tuple(r for r in products if r["names"] > 1),
        texts=_texts(con, [c for c in repeating if any(row[c] for row in filled)]),
        absurd={r["code"]: Count(r["n"], r["a"]) for r in absurd},
        repeats=Count(repeats["n"], repeats["a"]),
        written=written,
        clocks=clocks.looked_at(con, filled),
        visits=suspicious(con, busy=_BUSY) if any(c["event"] in ("page", "screen") for c in cells) else {},
        samples={r["code"]: tuple(r["sample"]) for r in absurd} | _samples(con, cells),
    )


def _filled(columns: Iterable[str]) -> str:
    counts = ", ".join(f'count("{c}") AS "{c}"' for c in (*_FILLABLE, *columns))
    of_time = ", ".join(f'{value} AS "{name}"' for name, value in clocks.COUNTED.items())
    return (
        f'SELECT batch, event, count(*) AS "rows", min(ts) AS "first", max(ts) AS "last", {counts}, {of_time} '
        "FROM seen GROUP BY 1, 2 ORDER BY 1, 2"
    )


def _texts(con: Any, columns: Sequence[str]) -> dict[str, dict[str, int]]:
    """Values of the text columns that repeat: a column of free text or of numbers for people is not looked into."""
    types = {r["column_name"]: r["column_type"] for r in _rows(con, "DESCRIBE seen")}
    found = {}
    for column in columns:
        if types.get(column) != "VARCHAR" or _many_values(con, column):
            continue
        rows = _rows(
            con,
            f'SELECT "{column}" AS v, count(*) AS n FROM seen WHERE "{column}" IS NOT NULL GROUP BY 1 '
            f"ORDER BY n DESC, v LIMIT {MOST_VALUES + 1}",
        )
        total = sum(r["n"] for r in rows)
        if rows and len(rows) <= MOST_VALUES and total >= 2 * len(rows):
            found[column] = {r["v"]: r["n"] for r in rows}
    return found


def _many_values(con: Any, column: str) -> bool:
    """Whether the first rows hold too many values already: millions of different ones are not counted to be left out."""
    first = f'SELECT "{column}" AS v FROM seen WHERE "{column}" IS NOT NULL LIMIT {FIRST_ROWS}'
    return bool(con.execute(f"SELECT count(DISTINCT v) FROM ({first})").fetchone()[0] > MOST_VALUES)


def _samples(con: Any, cells: Iterable[Row]) -> dict[str, tuple[Row, ...]]:
    cells = tuple(cells)
    goods = [c for c in cells if c["line_kind"] == "goods"]
    present = {
        "anonymous": any(c["anonymous"] for c in goods),
        "duplicate_lines": any(c["duplicate"] for c in cells),
        "free_goods": any(c["direction"] > 0 and c["money_sign"] == 0 for c in goods),
        "negative_price": any(c["direction"] > 0 > c["money_sign"] for c in goods),
        "converted": any(c["converted"] for c in cells),
        "currency_unknown": any(c["unknown_amount"] and c["event"] == "order_line" for c in cells),
        "future": any(c["future"] for c in cells),
    }
    wanted = [(SAMPLED[code], f"'{code}'") for code, there in present.items() if there]
    if any(c["line_kind"] not in ("goods", None) for c in cells):
        wanted.append(("line_kind <> 'goods'", "'line_' || line_kind"))
    if not wanted:
        return {}
    codes = ", ".join(f"CASE WHEN {condition} THEN {code} END" for condition, code in wanted)
    rows = _rows(con, _SAMPLES.format(codes=codes, any=" OR ".join(f"({condition})" for condition, _ in wanted)))
    return {row["code"]: tuple(row["sample"]) for row in rows}


def month_text(month: int) -> str:
    """ "2011-12" from months since year 0."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def _rows(con: Any, sql: str) -> list[Row]:
    # Numbers are written into the SQL: parameters would make DuckDB import pandas, which takes longer than all of this.
    rows: list[Row] = con.execute(sql).to_arrow_table().to_pylist()
    return rows
