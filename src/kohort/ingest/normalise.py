"""One file's rows, typed: a mapping becomes a single SQL statement, decided once per file and run chunk by chunk."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

from kohort.errors import BadInput
from kohort.ingest import sqltext as sql
from kohort.ingest.chunk import Chunk, Column, Reader
from kohort.ingest.limits import MAX_NUMBER, MAX_TEXT_CHARS, MAX_UNIT
from kohort.model.event import (
    BOT_COLUMNS,
    LINE_KINDS,
    NUMBER_SCALE,
    QUANTITY_SCALE,
    TEXT_COLUMNS,
    ColumnType,
    property_column,
    trait_column,
)
from kohort.model.money import NO_DECIMALS, THREE_DECIMALS, minor_digits
from kohort.model.source import ROLES, SourceMapping, stored_name

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_TEXT_ROLES = (
    "order_id",
    "product",
    "product_name",
    "category",
    "event",
    "event_id",
    "line_kind",
    "user_agent",
    "text",
)


class Normaliser:
    """Turns chunks of one file into typed columns.

    The result of `typed` has one row per row of the chunk, in order:
        ref (customer as the company writes it), wall_us (int64 µs on the wall, or UTC where `zoned`), zoned,
        order_id, product, product_name, category, event, event_id, line_kind, user_agent, text, quantity (thousandths),
        amount (minor units of `currency`), currency (those that the source has), the properties or traits in stored units, the identities
        as `i0`, `i1`, …, and `code` with `bad_column`: why the row cannot be used, null where it can.

    Raises:
        BadInput: The mapping names a column that the file does not have, or cannot be used.
    """

    def __init__(
        self,
        mapping: SourceMapping,
        columns: Sequence[Column],
        currency: str,
        *,
        flexible: bool = False,
        decimal: str = ".",
    ) -> None:
        check_mapping(mapping)
        self.mapping = mapping
        self._kinds = {c.name: c.kind for c in columns}
        self._flexible = flexible
        self._decimal = decimal
        self._currency = mapping.currency or currency
        self._whole_refs: bool | None = None
        needed = list(mapping.columns.values()) + list(mapping.identities)
        missing = [name for name in needed if name not in self._kinds]
        if missing and not flexible:
            raise BadInput(
                f"The file has no column {missing[0]!r}, which the mapping of {mapping.name!r} needs.",
                code="mapping_does_not_fit",
                hint=f"Its columns are: {', '.join(list(self._kinds)[:12])}.",
            )
        self.absent = tuple(name for name in mapping.properties if name not in self._kinds and not flexible)
        named = {*needed, *mapping.properties, *mapping.ignored}
        self.unnamed = () if flexible else tuple(name for name in self._kinds if name not in named)
        self.wanted = tuple(dict.fromkeys([*needed, *(n for n in mapping.properties if n not in self.absent)]))
        self._place = {name: f"c{i}" for i, name in enumerate(self.wanted)}
        self.declared = mapping.stored_columns()
        for role, found in (("user_agent", BOT_COLUMNS), ("text", TEXT_COLUMNS)):
            self.declared |= found if role in mapping.columns else {}

    @classmethod
    def of(cls, mapping: SourceMapping, reader: Reader, currency: str) -> Normaliser:
        """The normaliser of an opened file."""
        return cls(mapping, reader.columns, currency, flexible=reader.flexible, decimal=reader.decimal)

    @property
    def notes(self) -> list[str]:
        """What a person should know about how the file and the mapping fit."""
        said = [f"The file has no column {name!r}; its values stay empty." for name in self.absent]
        if self.unnamed:
            listed = ", ".join(map(repr, self.unnamed[:8])) + (" and others" if len(self.unnamed) > 8 else "")
            said.append(
                f"The file has columns that {self.mapping.name!r} does not name: {listed}. They were left out; add them to "
                "kohort.yaml under properties or ignored."
            )
        return said

    def typed(self, con: duckdb.DuckDBPyConnection, chunk: Chunk) -> pa.Table:
        import pyarrow as pa

        have = set(chunk.table.column_names)
        raw = {
            place: self._clean(n, chunk.table.column(n)) if n in have else pa.nulls(len(chunk.lines), pa.string())
            for n, place in self._place.items()
        }
        con.register("raw", pa.table(raw))
        if self._whole_refs is None:
            self._whole_refs = self._are_whole_refs(con)
        through = self._through()
        table: pa.Table = con.execute(self._statement(through)).to_arrow_table()
        con.unregister("raw")
        for name, place in through.items():
            table = table.append_column(name, raw[place])
        return self._told(table)

    def _through(self) -> dict[str, str]:
        """Columns of the result that are clean text as it is: they need not pass through the engine."""
        found = {role: self._place[self.mapping.columns[role]] for role in _TEXT_ROLES if self._has(role)}
        if self._has("customer") and self._ref() == self._role("customer")[0]:
            found["ref"] = self._role("customer")[0]
        found |= {
            self._declared(n): self._place[n]
            for n, t in self.mapping.properties.items()
            if t == "text" and n in self._place
        }
        found |= {f"i{i}": self._place[name] for i, name in enumerate(self.mapping.identities)}
        text = {self._place[n] for n in self._place if self._kinds.get(n, "text") == "text"}
        return {name: place for name, place in found.items() if place in text}

    def _clean(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        return clean(column) if self._kinds.get(name, "text") == "text" else column

    def _are_whole_refs(self, con: duckdb.DuckDBPyConnection) -> bool:
        """Whether customer numbers are whole numbers that some tool wrote as 17850.0."""
        place, kind = self._role("customer")
        if kind != "text":
            return False
        found = con.execute(
            rf"SELECT bool_and(regexp_full_match(x, '[+-]?\d+(\.0*)?')) AND bool_or(contains(x, '.')) "
            f"FROM (SELECT {sql.text(place, kind)} AS x FROM raw) WHERE x IS NOT NULL"
        ).fetchone()
        return bool(found and found[0])

    def _role(self, role: str) -> tuple[str, str]:
        """SQL name and kind of the column that plays a role; ("NULL", "none") without one."""
        name = self.mapping.columns.get(role)
        return ("NULL::VARCHAR", "none") if name is None else (self._place[name], self._kinds.get(name, "text"))

    def _has(self, role: str) -> bool:
        return role in self.mapping.columns

    def _statement(self, through: Container[str]) -> str:
        inner = {**self._base(), **self._money(), **self._extras()}
        tests = " ".join(f"WHEN {test} THEN {i}" for i, (test, _, _) in enumerate(self._checks()))
        outer = [n for n in inner if not n.startswith("_") and n not in through]
        chosen = ", ".join(f"{expression} AS {name}" for name, expression in inner.items())
        wrong = f"CASE {tests} END::INTEGER" if tests else "NULL::INTEGER"
        return f"SELECT {', '.join([*outer, wrong])} AS wrong FROM (SELECT *, {chosen} FROM raw)"

    def _told(self, table: pa.Table) -> pa.Table:
        """`code` and `bad_column` in place of the number of the check that failed."""
        import pyarrow as pa

        checks = self._checks()
        wrong = table.column("wrong")
        codes, columns = (pa.array([check[i] for check in checks], pa.string()) for i in (1, 2))
        table = table.drop_columns(["wrong"])
        return table.append_column("code", codes.take(wrong)).append_column("bad_column", columns.take(wrong))

    def _base(self) -> dict[str, str]:
        texts = {role: sql.text(*self._role(role)) for role in _TEXT_ROLES if self._has(role)}
        place, kind = self._role("time")
        columns = {"ref": self._ref(), **texts}
        if self._has("time"):
            columns["_wall"] = sql.wall(place, kind, self.mapping.time_format)
            columns["wall_us"] = "epoch_us(_wall)"
            columns["zoned"] = sql.has_zone(place, kind, self.mapping.time_format)
        else:
            columns |= {"wall_us": "0::BIGINT", "zoned": "true"}
        return columns

    def _ref(self) -> str:
        place, kind = self._role("customer")
        if kind == "none":
            return "NULL::VARCHAR"
        ref = sql.text(place, kind)
        if self.mapping.identities.get(self.mapping.columns["customer"]) == "email":
            return f"lower({ref})"
        return rf"regexp_replace({ref}, '^([+-]?\d+)\.0*$', '\1')" if self._whole_refs else ref

    def _money(self) -> dict[str, str]:
        columns = {}
        if self._has("currency"):
            columns["currency"] = f"COALESCE(upper({sql.text(*self._role('currency'))}), {_literal(self._currency)})"
        quantity = "NULL::BIGINT"
        if self._has("quantity"):
            columns["_count"] = sql.number(*self._role("quantity"), decimal=self._decimal, type_="DECIMAL(18,3)")
            quantity = f"CASE WHEN abs(_count) <= {MAX_UNIT} THEN TRY_CAST(_count * {QUANTITY_SCALE} AS BIGINT) END"
        columns["quantity"] = quantity
        if self._has("amount"):
            columns["_money"] = sql.number(*self._role("amount"), decimal=self._decimal)
        elif self._has("price"):
            columns["_price"] = sql.number(*self._role("price"), decimal=self._decimal)
            columns["_money"] = self._price_times_quantity() if self._has("quantity") else "_price"
        columns["amount"] = self._minor() if "_money" in columns else "NULL::BIGINT"
        return columns

    def _price_times_quantity(self) -> str:
        # Wide enough for every believable price and quantity; beyond, the multiplication would overflow.
        believable = f"abs(_price) <= {MAX_UNIT} AND abs(_count) <= {MAX_UNIT}"
        return f"CASE WHEN {believable} THEN _price::DECIMAL(19,6) * _count::DECIMAL(19,3) END"

    def _minor(self) -> str:
        """Minor units of the line's own currency, half away from zero; null beyond what is believable."""

        def scaled(digits: int) -> str:
            exact = f"round(_money, {digits})::DECIMAL(18,{digits})"
            return f"CASE WHEN abs(_money) <= {MAX_UNIT} THEN ({exact} * {10**digits})::BIGINT END"

        if not self._has("currency"):
            return scaled(minor_digits(self._currency))
        none, three = sorted(NO_DECIMALS), sorted(THREE_DECIMALS)
        return (
            f"CASE WHEN currency IN ({_literals(none)}) THEN {scaled(0)} "
            f"WHEN currency IN ({_literals(three)}) THEN {scaled(3)} ELSE {scaled(2)} END"
        )

    def _extras(self) -> dict[str, str]:
        columns = {}
        for name, kind in self.mapping.properties.items():
            if name in self.absent:
                continue
            place, stored = self._place[name], self._kinds.get(name, "text")
            columns[self._declared(name)] = self._property(place, stored, kind)
        for i, name in enumerate(self.mapping.identities):
            columns[f"i{i}"] = sql.text(self._place[name], self._kinds.get(name, "text"))
        return columns

    def _property(self, place: str, stored: str, kind: ColumnType) -> str:
        match kind:
            case "text":
                return sql.text(place, stored)
            case "list":
                return sql.items(place, stored)
            case "flag":
                return sql.flag(place, stored)
            case "time":
                return f"epoch_us({sql.wall(place, stored, self._property_time(stored))})"
            case "number":
                exact = sql.number(place, stored, decimal=self._decimal, type_="DECIMAL(38,6)")
                return f"CASE WHEN abs({exact}) <= {MAX_NUMBER} THEN TRY_CAST({exact} * {NUMBER_SCALE} AS BIGINT) END"

    def _property_time(self, stored: str) -> str:
        same = self.mapping.time_format
        return same if stored == "text" and same not in ("", "epoch_s", "epoch_ms", "excel") else "iso"

    def _declared(self, name: str) -> str:
        prefix = trait_column if self.mapping.kind == "customers" else property_column
        return prefix(stored_name(name))

    def _checks(self) -> list[tuple[str, str, str]]:
        """(SQL test, code, column) in the order in which they are told."""
        checks: list[tuple[str, str, str]] = []
        columns = self.mapping.columns

        def missing(role: str) -> str:
            return f"NOT {sql.present(*self._role(role))}"

        if self._has("time"):
            checks += [
                (missing("time"), "missing_time", columns["time"]),
                ("_wall IS NULL", "bad_time", columns["time"]),
            ]
        required = {"orders": ("order_id",), "events": ("event", "event_id"), "customers": ("customer",)}
        for role in required[self.mapping.kind]:
            if self._has(role):
                checks.append((missing(role), f"missing_{role}", columns[role]))
        if self._has("line_kind"):
            known = _literals(LINE_KINDS)
            checks.append((f"lower(line_kind) NOT IN ({known})", "unknown_line_kind", columns["line_kind"]))
        checks += self._money_checks()
        # Of what a person wrote only the beginning is looked at: no text is too long for that.
        stored = [name for role, name in columns.items() if role != "text"]
        texts = [self._place[name] for name in stored if self._kinds.get(name, "text") == "text"]
        texts += [
            self._place[n] for n in self.mapping.properties if n in self._place and self._kinds.get(n, "text") == "text"
        ]
        for place in dict.fromkeys(texts):
            name = next(n for n, p in self._place.items() if p == place)
            checks.append((f"strlen({place}) > {MAX_TEXT_CHARS}", "text_too_long", name))
            checks.append((f"contains({place}, chr(0))", "nul_byte", name))
        code = {"number": "bad_number", "flag": "bad_flag", "time": "bad_date"}
        for name, kind in self.mapping.properties.items():
            if kind in code and name not in self.absent:
                present = sql.present(self._place[name], self._kinds.get(name, "text"))
                checks.append((f"{self._declared(name)} IS NULL AND {present}", code[kind], name))
        return checks

    def _money_checks(self) -> list[tuple[str, str, str]]:
        checks = []
        # An event may carry no amount; an order line without one is not a line of an order.
        must = self.mapping.kind == "orders"
        roles = [("amount", "amount", "_money")] if self._has("amount") else [("price", "amount", "_price")]
        roles.append(("quantity", "quantity", "_count"))
        for role, word, value in roles:
            if not self._has(role):
                continue
            place, kind = self._role(role)
            column = self.mapping.columns[role]
            present = sql.present(place, kind)
            if must and (role != "quantity" or not self._has("amount")):
                checks.append((f"NOT {present}", f"missing_{word}", column))
            absurd = (
                f"abs({value}) > {MAX_UNIT} OR ({value} IS NULL AND {sql.too_big(place, kind, decimal=self._decimal)})"
            )
            checks.append((absurd, f"absurd_{word}", column))
            checks.append((f"{value} IS NULL AND {present}", f"bad_{word}", column))
        if self._has("amount") or self._has("price"):
            column = self.mapping.columns.get("amount") or self.mapping.columns["price"]
            checks.append((f"abs(_money) > {MAX_UNIT}", "absurd_amount", column))
        return checks


MISSING = ("", "NULL", "null", "Null", "NaN", "nan", "N/A", "n/a", "#N/A", "None", "\\N")
"""Texts that mean "nothing here" in exports. "NA" is not among them: it is Namibia."""


def clean(column: pa.ChunkedArray) -> pa.Array:
    """Text without blanks around it, null where it says that there is nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Texts repeat (a product, a country, an order number): each different one is looked at once.
    coded = column.combine_chunks().dictionary_encode()
    values = pc.utf8_trim_whitespace(coded.dictionary)
    values = pc.if_else(pc.is_in(values, pa.array(MISSING)), pa.scalar(None, pa.string()), values)
    return values.take(coded.indices)


def check_mapping(mapping: SourceMapping) -> None:
    """Refuse a mapping that cannot work for any file.

    Raises:
        BadInput: Unknown role, no time for orders or events, no amount for orders, two columns with one stored name.
    """

    def wrong(message: str, hint: str = "") -> BadInput:
        return BadInput(message, place=f"mapping of {mapping.name!r}", code="bad_mapping", hint=hint)

    if mapping.kind not in ROLES:
        raise wrong(f"{mapping.kind!r} is not a kind of source.", "Use orders, events or customers.")
    unknown = [r for r in mapping.columns if r not in ROLES[mapping.kind]]
    if unknown:
        raise wrong(f"{unknown[0]!r} is not a role of {mapping.kind}.", f"Roles are: {', '.join(ROLES[mapping.kind])}.")
    if mapping.kind != "customers" and "time" not in mapping.columns:
        raise wrong("No column tells when it happened.", "Name it under `columns: time:`.")
    if mapping.kind == "customers" and "customer" not in mapping.columns:
        raise wrong("No column holds the customer's number.", "Name it under `columns: customer:`.")
    if mapping.kind == "orders" and not {"amount", "price"} & mapping.columns.keys():
        raise wrong("No column holds the money.", "Name it under `columns: amount:` (or `price:`).")
    names = [stored_name(n) for n in mapping.properties]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice:
        raise wrong(f"Two properties would both be called {twice!r}.", "Leave one out under `ignored:`.")
    if mapping.time_format not in ("", "iso", "epoch_s", "epoch_ms", "excel"):
        sql.patterns(mapping.time_format)


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _literals(values: Sequence[str]) -> str:
    return ", ".join(_literal(v) for v in values)
