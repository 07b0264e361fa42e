"""How the numbers and times of a file are written, decided from its values or asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohort.ingest import values
from kohort.ingest.chunk import Reader
from kohort.ingest.look import Look, different_values, samples_of
from kohort.model.source import CsvFormat

_DATE_ROWS = 2_000_000


class Notation:
    """Decimal marks and time formats of some files. What cannot be decided is added to `questions`."""

    def __init__(
        self,
        readers: Sequence[Reader],
        looks: Sequence[Look],
        told: Mapping[str, Any],
        format_: CsvFormat | None,
        questions: list[str],
    ) -> None:
        self._readers, self._looks, self._told = readers, looks, told
        self._format, self._questions = format_, questions
        self._by_name = {c.name: c for c in looks}

    def decimal(self, chosen: Mapping[str, str], *, ask: bool = True) -> str:
        """The decimal mark of the file, from every column of numbers in it."""
        told = self._told.get("decimal")
        if told in (".", ","):
            return str(told)
        if self._format is None:
            return "."
        columns = [c for c in self._looks if c.kind == "text" and c.is_number and c.numbers.decimal]
        marks = {c.numbers.decimal for c in columns}
        if "," in marks and "." in marks:
            if ask:
                self._questions.append(
                    "Some columns write 1.5 and others 1,5. Which is the decimal mark? Set `decimal: '.'` or `decimal: ','`."
                )
            return "."
        if "," in marks or "." in marks:
            return "," if "," in marks else "."
        money = {chosen.get(r) for r in ("price", "amount", "quantity")}
        doubtful = [c for c in columns if c.name in money] or columns
        if doubtful and ask:
            self._questions.append(
                f"In {doubtful[0].name!r}, is {doubtful[0].some[0]} more than a thousand, or a number with three decimals? "
                "Set `decimal: '.'` or `decimal: ','` to the mark before decimals."
            )
        return "."

    def agreement(self, chosen: Mapping[str, str]) -> float | None:
        from kohort.engines.duck import connect
        from kohort.ingest import sqltext as sql

        places = {role: f"c{i}" for i, role in enumerate(("price", "quantity", "amount"))}
        kinds = {role: self._by_name[chosen[role]].kind for role in places}
        import pyarrow as pa

        from kohort.ingest.normalise import clean

        chunk = next(self._readers[0].chunks([chosen[r] for r in places], 5_000), None)
        if chunk is None or not len(chunk.lines):
            return None
        columns = [chunk.table.column(chosen[r]) for r in places]
        cleaned = [clean(c) if kinds[r] == "text" else c for r, c in zip(places, columns, strict=True)]
        decimal = self.decimal(chosen, ask=False)
        p, q, a = (sql.number(places[r], kinds[r], decimal=decimal, type_="DOUBLE") for r in places)
        with connect(folders=()) as con:
            con.register("raw", pa.table(cleaned, names=list(places.values())))
            found = con.execute(
                f"SELECT avg((abs({p} * {q} - {a}) <= 0.011 * greatest(1, abs({q})))::INT) FROM raw"
            ).fetchone()
        return float(found[0]) if found and found[0] is not None else None

    def time_format(self, name: str) -> tuple[str, bool | None]:
        """(time_format, day_first) of a column of times."""
        column = self._by_name[name]
        if told := self._told.get("time_format"):
            return str(told), self._told.get("day_first")
        if column.kind in ("time", "instant"):
            return "", None
        found = column.times if column.times.format else values.times(column.some, named=True)
        if not found.format:
            self._questions.append(
                f"How are times in {name!r} written (such as {samples_of(column, 2)})? Set `time_format:` to a pattern "
                "such as '%d/%m/%Y %H:%M', or to iso, epoch_s, epoch_ms or excel."
            )
            return "iso", None
        if not found.order:
            return found.format, None
        return self._day_or_month_first(column, found)

    def _day_or_month_first(self, column: Look, found: values.Times) -> tuple[str, bool | None]:
        told = self._told.get("day_first")
        order = found.order if told is None else ("day" if told else "month")
        if order == "undecided":
            order = self._look_further(column.name)
        if order == "mixed":
            self._questions.append(
                f"Dates in {column.name!r} are day first in some rows and month first in others. Which is right? "
                "Set `day_first: true` or `day_first: false`; the other rows will be rejected and listed."
            )
        elif order == "undecided":
            self._questions.append(
                f"Is {column.some[0]} in {column.name!r} day first or month first? No day is above 12, so the data cannot say. "
                "Set `day_first: true` for 3 April in 03/04, `day_first: false` for 4 March."
            )
        return values.with_order(found.format, day_first=order != "month"), order != "month"

    def _look_further(self, name: str) -> str:
        for some in different_values(self._readers, name, _DATE_ROWS):
            order = values.times(some, named=True).order
            if order != "undecided":
                return order
        return "undecided"
