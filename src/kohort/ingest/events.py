"""Typed rows of one file become events: instants, pseudonyms, kinds of line, money, and an id that counts once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.ingest import controls, zones
from kohort.ingest.limits import EARLIEST_US, FUTURE_US
from kohort.ingest.rates import Rates, convert
from kohort.ingest.refusal import ERASED
from kohort.ingest.sink import VaultSink
from kohort.model.channels import canonical
from kohort.model.event import ARROW_TYPE, BOT_ID, BOT_KIND, IDENTIFY, LINE_KINDS, ORDER_LINE, TEXT_COLUMNS
from kohort.model.source import SourceMapping

if TYPE_CHECKING:
    import duckdb

# Separates the parts of what is hashed; a text may not hold it (unit separator, a control character).
_PART = "chr(31)"


@dataclass(slots=True)
class Occurrences:
    """How often each line was seen earlier in the file: digests sorted, with counts. 16 bytes per different line."""

    digests: np.ndarray
    counts: np.ndarray

    @classmethod
    def none(cls) -> Occurrences:
        return cls(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64))

    def number(self, digests: np.ndarray) -> np.ndarray:
        """For each line, the how-manieth of its kind in the file it is (from 1); remembers them all."""
        if not len(digests):
            return np.empty(0, dtype=np.int64)
        unique, inverse, fresh = np.unique(digests, return_inverse=True, return_counts=True)
        order = np.argsort(inverse, kind="stable")
        starts = np.concatenate([[0], np.cumsum(fresh)[:-1]])
        nth = np.empty(len(digests), dtype=np.int64)
        nth[order] = np.arange(len(digests)) - np.repeat(starts, fresh) + 1
        place = np.searchsorted(self.digests, unique)
        inside = np.minimum(place, max(len(self.digests) - 1, 0))
        known = self.digests[inside] == unique if len(self.digests) else np.zeros(len(unique), dtype=bool)
        nth += np.where(known, self.counts[inside] if len(self.counts) else 0, 0)[inverse]
        self.counts[place[known]] += fresh[known]
        self.digests = np.insert(self.digests, place[~known], unique[~known])
        self.counts = np.insert(self.counts, place[~known], fresh[~known])
        return nth


class EventMaker:
    """Makes events of one file's typed chunks.

    Attributes:
        zone, currency: The workspace's.
        judged: (code, description) → kind of line, whether it reads like a note; shared by the files of one call.
        notes: What happened to how many rows without rejecting them: {"no_rate: XYZ": 3}.
    """

    def __init__(
        self,
        mapping: SourceMapping,
        *,
        con: duckdb.DuckDBPyConnection,
        vault: VaultSink,
        zone: str,
        currency: str,
        overrides: Mapping[str, str],
        now: int,
        rates: Rates,
        judged: dict[tuple[str | None, str | None], tuple[str, bool]],
    ) -> None:
        self.mapping = mapping
        self.zone, self.currency = zone, currency
        self.notes: Counter[str] = Counter()
        self._con, self._vault, self._rates = con, vault, rates
        self._overrides, self._now = overrides, now
        self._seen = Occurrences.none()
        self._kinds = judged
        self._agents = controls.Agents.of(overrides)
        self._texts = controls.Texts(overrides)

    def instants(self, typed: pa.Table) -> tuple[pa.Table, pa.Array]:
        """The table with `ts`, and the codes with those of unbelievable times added."""
        # Rows without a readable time are refused already; any instant will do for them.
        wall = np.asarray(pc.fill_null(typed.column("wall_us"), 0))
        zoned = np.asarray(typed.column("zoned"))
        ts = np.where(zoned, wall, zones.to_utc(wall, self.mapping.zone or self.zone))
        codes = typed.column("code").combine_chunks()
        if "time" in self.mapping.columns:
            late, early = ts > self._now + FUTURE_US, ts < EARLIEST_US
            for wrong, code in ((late, "future_time"), (early, "time_too_early")):
                if wrong.any():
                    codes = pc.if_else(pc.and_(pc.is_null(codes), pa.array(wrong)), pa.scalar(code), codes)
        # Whatever else is wrong with it, a row about an erased person is not kept.
        codes = pc.if_else(self._erased(typed), pa.scalar(ERASED), codes)
        return typed.append_column("ts", pa.array(ts, pa.int64())), codes

    def events(self, typed: pa.Table) -> pa.Table:
        """Events in the shape that `EventLog.append` takes, from rows of which none is refused."""
        ts = np.asarray(typed.column("ts"))
        day, hour = zones.local(ts, self.zone) if "time" in self.mapping.columns else (ts.astype(np.int32),) * 2
        columns: dict[str, Any] = {
            "customer": self._customers(typed),
            "event": self._names(typed),
            "ts": typed.column("ts"),
            "received_at": pa.array(np.full(len(ts), self._now, dtype=np.int64)),
            "local_day": pa.array(day, pa.int32()),
            "local_hour": pa.array(hour, pa.int32()),
            **self._things(typed),
            "quantity": typed.column("quantity"),
            **self._money(typed, day),
        }
        for name in self.mapping.stored_columns():
            if name in typed.column_names:
                columns[name] = typed.column(name)
        if "user_agent" in self.mapping.columns:
            columns |= self._set_aside(typed, columns["customer"])
        if "text" in self.mapping.columns:
            columns |= self._measured(typed)
        self._identify(typed, columns)
        self._seal(typed, columns["customer"])
        return pa.table({name: values for name, values in columns.items() if values is not None})

    def _erased(self, typed: pa.Table) -> pa.Array:
        """Which rows are about somebody who was erased."""
        coded = _column(typed, "ref").dictionary_encode()
        gone = pa.array(self._vault.erased_refs(coded.dictionary.to_pylist()), pa.bool_())
        return pc.fill_null(gone.take(coded.indices), False)

    def _customers(self, typed: pa.Table) -> pa.Array:
        """Pseudonyms; null where the source names no customer."""
        coded = _column(typed, "ref").dictionary_encode()
        if not len(coded.dictionary):
            return pa.nulls(len(coded), pa.int64())
        keys = pa.array(self._vault.customers(coded.dictionary.to_pylist()), pa.int64())
        return keys.take(coded.indices)

    def _set_aside(self, typed: pa.Table, customers: pa.Array) -> dict[str, pa.Array]:
        """Rows of machines belong to nobody: `customer` is null, and the kind and a code of whose they would be are kept."""
        coded = _column(typed, "user_agent").dictionary_encode()
        kinds = pa.array([self._agents.kind(agent) or None for agent in coded.dictionary.to_pylist()], pa.string())
        kind = kinds.take(coded.indices)
        self.notes["sent by a machine; kept, and belongs to nobody"] += len(kind) - kind.null_count
        machine = kind.is_valid()
        whose = pc.if_else(machine, customers, pa.scalar(None, pa.int64())).dictionary_encode()
        codes = pa.array(self._vault.bot_ids(whose.dictionary.to_pylist()), pa.string()).take(whose.indices)
        person = pc.if_else(machine, pa.scalar(None, pa.int64()), customers)
        return {"customer": person, BOT_KIND: kind, BOT_ID: codes}

    def _measured(self, typed: pa.Table) -> dict[str, pa.Array]:
        """What is stored of texts that people wrote; each different one is looked at once."""
        coded = _column(typed, "text").dictionary_encode()
        rows = [self._texts.measure(text).columns() for text in coded.dictionary.to_pylist()]
        return {
            name: pa.array([row[name] for row in rows], ARROW_TYPE[kind]).take(coded.indices)
            for name, kind in TEXT_COLUMNS.items()
        }

    def _seal(self, typed: pa.Table, customers: pa.Array) -> None:
        """Direct identifiers go to the vault, each different one of a customer once."""
        for i, kind in enumerate(self.mapping.identities.values()):
            pairs = pa.table({"customer": customers, "value": typed.column(f"i{i}")}).drop_null()
            pairs = pairs.group_by(["customer", "value"]).aggregate([])
            if pairs.num_rows:
                self._vault.seal(np.asarray(pairs.column("customer")), kind, pairs.column("value").to_pylist())

    def _names(self, typed: pa.Table) -> pa.Array | pa.ChunkedArray:
        if self.mapping.kind == "events" and "event" in self.mapping.columns:
            return self._canonical(_column(typed, "event"))
        fixed = {"orders": ORDER_LINE, "customers": IDENTIFY}.get(self.mapping.kind)
        return self._canonical(_constant(fixed or self.mapping.event or self.mapping.name, len(typed)))

    def _canonical(self, names: pa.Array) -> pa.Array:
        """Names of events under which every source of their channel has them."""
        if not self.mapping.channel:
            return names
        coded = names.dictionary_encode()
        written: list[str] = coded.dictionary.to_pylist()
        found = [canonical(self.mapping.channel, name) for name in written]
        strange = pa.array([name is None for name in found], pa.bool_()).take(coded.indices).true_count
        if strange:
            self.notes[f"their event has no common name in the channel {self.mapping.channel}; its own was kept"] += (
                strange
            )
        return pa.array([name or own for name, own in zip(found, written, strict=True)]).take(coded.indices)

    def _things(self, typed: pa.Table) -> dict[str, Any]:
        """Order, product and category, and for order lines what kind of line each is."""
        columns: dict[str, Any] = {n: typed.column(n) for n in ("order_id", "category") if n in typed.column_names}
        codes = _column(typed, "product").dictionary_encode()
        names = _column(typed, "product_name").dictionary_encode()
        columns["product"] = codes.dictionary.take(codes.indices)
        tidied = pa.array([controls.tidy(n) for n in names.dictionary.to_pylist()], pa.string())
        columns["product_name"] = tidied.take(names.indices)
        if self.mapping.kind == "orders":
            columns["line_kind"] = self._line_kinds(typed, codes, names.dictionary, names.indices)
        return columns

    def _line_kinds(self, typed: pa.Table, codes: pa.Array, names: pa.Array, name_at: pa.Array) -> pa.Array:
        # One number per pair of code and name (0 = null), so that each different pair is judged once.
        a, b = (np.asarray(pc.fill_null(x, -1)).astype(np.int64) + 1 for x in (codes.indices, name_at))
        pairs, at = np.unique(a * (len(names) + 1) + b, return_inverse=True)
        code_of, name_of = [None, *codes.dictionary.to_pylist()], [None, *names.to_pylist()]
        judged = [self._judge(code_of[p // (len(names) + 1)], name_of[p % (len(names) + 1)]) for p in pairs.tolist()]
        kinds = np.array([LINE_KINDS.index(kind) for kind, _ in judged], dtype=np.int8)[at]
        note = np.array([is_note for _, is_note in judged], dtype=bool)[at]
        free = np.asarray(pc.fill_null(pc.equal(typed.column("amount"), 0), False))
        nobody = np.asarray(pc.is_null(_column(typed, "ref")))
        kinds[note & free & nobody] = LINE_KINDS.index("stock_note")
        found = pa.array(LINE_KINDS).take(pa.array(kinds))
        stated = _column(typed, "line_kind")
        return found if stated.null_count == len(stated) else pc.coalesce(pc.utf8_lower(stated), found)

    def _judge(self, code: str | None, name: str | None) -> tuple[str, bool]:
        key = (code, name)
        if key not in self._kinds:
            # What the code says, or the shop says of it, holds also where the description reads like a note.
            named = "product_name" in self.mapping.columns
            told = code in self._overrides or controls.line_kind(code, None, named=named) != "goods"
            note = not told and controls.is_note(controls.tidy(name))
            self._kinds[key] = (controls.line_kind(code, name, self._overrides, named=named), note)
        return self._kinds[key]

    def _money(self, typed: pa.Table, day: np.ndarray) -> dict[str, Any]:
        """Amount in the workspace's currency beside the amount as written; null where no rate is known."""
        source = typed.column("amount").combine_chunks()
        if source.null_count == len(source):
            return {}
        if "currency" in typed.column_names:
            currency = typed.column("currency").combine_chunks()
        else:
            currency = _constant(self.mapping.currency or self.currency, len(source))
        stated = pc.if_else(pc.is_valid(source), currency, pa.scalar(None, pa.string()))
        columns = {"amount": source, "amount_source": source, "currency": stated}
        foreign = pc.and_(pc.not_equal(currency, self.currency), pc.is_valid(source))
        rows = np.flatnonzero(np.asarray(pc.fill_null(foreign, False)))
        if not len(rows):
            return columns
        written: list[int] = source.to_pylist()
        amount: list[int | None] = list(written)
        fx_day: list[int | None] = [None] * len(source)
        for row, code in zip(rows.tolist(), currency.take(pa.array(rows)).to_pylist(), strict=True):
            found = self._rates.rate(code, self.currency, int(day[row]))
            if found is None:
                self.notes[f"no exchange rate for {code}: amount left unknown"] += 1
                amount[row] = None
            else:
                amount[row], fx_day[row] = convert(written[row], found[0]), found[1]
        return columns | {"amount": pa.array(amount, pa.int64()), "fx_day": pa.array(fx_day, pa.int32())}

    def _identify(self, typed: pa.Table, columns: dict[str, Any]) -> None:
        """Adds `event_id`, and for order lines `duplicate_line` and an order number where the source has none."""
        if "event_id" in self.mapping.columns:
            columns["event_id"] = typed.column("event_id")
            return
        orders = self.mapping.kind == "orders"
        said = ["order_id", "product", "quantity", "amount_source", "ts", "customer"]
        if not orders:
            said = ["event", *said, *(n for n in self.mapping.stored_columns() if n in columns)]
        parts = {n: columns[n] for n in said if columns.get(n) is not None}
        self._con.register("said", pa.table(parts))
        words = (f"""COALESCE("{n}"::VARCHAR, '')""" if n in parts else "''" for n in said)
        # Joined once for both digests: writing numbers as text costs half as much as the slower digest.
        joined = self._con.execute(f"SELECT concat_ws({_PART}, {', '.join(words)}) AS x FROM said").to_arrow_table()
        self._con.register("said", joined)
        # A customers table tells a state: the same row twice says nothing more. Lines and events can really repeat.
        nth = np.ones(len(columns["ts"]), dtype=np.int64)
        if self.mapping.kind != "customers":
            digests = self._con.execute("SELECT hash(x)::UBIGINT AS digest FROM said").to_arrow_table()
            nth = self._seen.number(np.asarray(digests.column("digest")))
        self._con.register("said", joined.append_column("nth", pa.array(nth)))
        ids = self._con.execute(f"SELECT left(sha256(concat_ws({_PART}, x, nth)), 32) AS id FROM said").to_arrow_table()
        self._con.unregister("said")
        columns["event_id"] = ids.column("id")
        if orders:
            numbered = "order_id" in self.mapping.columns
            columns["duplicate_line"] = pa.array((nth > 1) & numbered)
            if not numbered:
                # Without order numbers every line is an order of its own.
                columns["order_id"] = pc.binary_join_element_wise("line", ids.column("id"), "-")


def _column(typed: pa.Table, name: str) -> pa.Array:
    """A text column as one array; nulls where the source has none."""
    return typed.column(name).combine_chunks() if name in typed.column_names else pa.nulls(len(typed), pa.string())


def _constant(value: str, rows: int) -> pa.Array:
    return pa.array([value]).take(pa.array(np.zeros(rows, np.int8)))
