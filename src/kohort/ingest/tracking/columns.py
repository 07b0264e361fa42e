"""Names and values of an event become typed columns. What a column holds is decided by the first value that is seen."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from kohort.ingest.limits import MAX_NUMBER, MAX_TEXT_CHARS, MAX_UNIT
from kohort.ingest.tracking.clock import property_instant
from kohort.ingest.tracking.privacy import Role, looks_personal, treatment, without_query
from kohort.model.event import NUMBER_SCALE, QUANTITY_SCALE, ColumnType, list_text
from kohort.model.source import stored_name

Row = dict[str, Any]
Sealed = list[tuple[str, str]]
"""Pairs (kind of identifier, value)."""

_DECIMAL = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?")
_SLOTS = 20_000
"""Names remembered per part; beyond, they are looked at anew, so that invented names cannot fill the memory."""

_PLAIN_TEXTS, _PLAIN_CHARS = 50_000, 80
"""Texts remembered as stored just as they are: most repeat (a brand, a locale), and looking at one costs ten times more."""

_ADDRESS_LINES = (
    "street",
    "address1",
    "line1",
    "address2",
    "line2",
    "postalCode",
    "postal_code",
    "zip",
    "city",
    "country",
)
_EXACT = 1e13
_FLAGS = {"true": True, "false": False}
_COARSE = frozenset(["city", "country", "countrycode", "state", "region", "province"])


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Where names stand, and which columns they lead to.

    Attributes:
        role: Decides what is personal.
        prefix: Of the columns: "p_" or "t_".
        fixed: Names that belong into columns which every event table has: {"order_id": "order_id"}.
        under: Put before each name, as if all stood inside an object of this name.
    """

    role: Role
    prefix: str
    fixed: Mapping[str, str]
    under: str = ""


TRAITS = Part("trait", "t_", {})
GROUP_TRAITS = Part("group", "t_", {}, "group.")


@dataclass(slots=True)
class Slot:
    """What becomes of the values under one name.

    Attributes:
        column: Where they are stored; empty = nowhere.
        fixed: "text" or "quantity" for a column that every event table has; empty = typed by what is learned.
        seal: Kind of identifier that is sealed instead.
        note: Why they are not stored.
        kind: Type of the column, once it is known.
    """

    column: str = ""
    fixed: str = ""
    seal: str = ""
    note: str = ""
    kind: str = ""


class Columns:
    """The declared columns of a workspace, and those learned since.

    Attributes:
        types: Column → type: `p_…` of properties, `t_…` of traits.
        pending: Those of them that the store has not been told of yet.
        notes: What happened to how many values without losing their events.
    """

    def __init__(self, declared: Mapping[str, ColumnType], *, limit: int, zone: ZoneInfo) -> None:
        self.types: dict[str, ColumnType] = dict(declared)
        self.pending: dict[str, ColumnType] = {}
        self.notes: Counter[str] = Counter()
        self._limit, self._zone = limit, zone
        self._slots: dict[Part, dict[str, Slot]] = {}
        self._plain: set[str] = set()

    def know(self, declared: Mapping[str, ColumnType]) -> bool:
        """The store has these columns: what it says of a type holds. Says whether that changes any."""
        changed = any(self.types.get(name, kind) != kind for name, kind in declared.items())
        if changed:
            self._slots.clear()  # they remember types
        self.types |= declared
        self.pending = {name: kind for name, kind in self.pending.items() if name not in declared}
        return changed

    def fill(self, row: Row, values: Mapping[str, Any], part: Part, sealed: Sealed) -> None:
        """Stores the values of one object in a row; identifiers go to `sealed`. Objects inside it are flattened once."""
        slots = self._slots.setdefault(part, {})
        for name, value in values.items():
            if value is None:
                continue
            slot = slots.get(name) or self._slot(name, "", part, slots)
            if type(value) is str and slot.kind == "text" and value in self._plain:
                row[slot.column] = value
            elif type(value) is dict:
                self._nested(row, name, value, part, sealed)
            else:
                self._take(row, slot, value, sealed)

    def _nested(self, row: Row, name: str, values: dict[str, Any], part: Part, sealed: Sealed) -> None:
        slots = self._slots[part]
        outer = slots.get(name) or self._slot(name, "", part, slots)
        if outer.note:
            self.notes[outer.note] += 1
            return
        if outer.seal == "address":
            lines = [str(values[n]) for n in _ADDRESS_LINES if isinstance(values.get(n), str | int) and values[n] != ""]
            self._seal("address", ", ".join(lines), sealed)
            values = {n: v for n, v in values.items() if n.replace("_", "").lower() in _COARSE}
        for inner, value in values.items():
            if value is None:
                continue
            if type(value) is dict:
                self.notes["nested"] += 1
                continue
            slot = slots.get(f"{name}.{inner}") or self._slot(inner, name, part, slots)
            self._take(row, slot, value, sealed)

    def _take(self, row: Row, slot: Slot, value: Any, sealed: Sealed) -> None:
        if slot.column:
            self._put(row, slot, value)
        elif slot.seal:
            self._seal(slot.seal, value, sealed)
        else:
            self.notes[slot.note] += 1

    def seal_only(self, traits: Mapping[str, Any], sealed: Sealed) -> None:
        """The identifiers among traits that an event merely repeats; nothing else of them is taken."""
        slots = self._slots.setdefault(TRAITS, {})
        for name, value in traits.items():
            slot = slots.get(name) or self._slot(name, "", TRAITS, slots)
            if slot.seal and type(value) is not dict:
                self._seal(slot.seal, value, sealed)

    def put(self, row: Row, column: str, value: Any) -> None:
        """Stores one value in a declared or learned column."""
        if type(value) is str and value in self._plain and self.types.get(column) == "text":
            row[column] = value
        else:
            self._put(row, Slot(column), value)

    def _slot(self, name: str, parent: str, part: Part, slots: dict[str, Slot]) -> Slot:
        path = f"{parent}.{name}" if parent else name
        what, detail = treatment(name, parent, part.role)
        target = "" if parent else part.fixed.get(stored_name(name), "")
        if target:
            slot = Slot(target, "quantity" if target == "quantity" else "text")
        elif what == "keep":
            slot = Slot(part.prefix + stored_name(part.under + path))
        else:
            slot = Slot(seal=detail) if what == "seal" else Slot(note=detail)
        if len(slots) >= _SLOTS:
            slots.clear()
        slots[path] = slot
        return slot

    def _seal(self, kind: str, value: Any, sealed: Sealed) -> None:
        if type(value) is int:
            value = str(value)
        if type(value) is str and 0 < len(value.strip()) <= 1_000:
            sealed.append((kind, value))

    def _put(self, row: Row, slot: Slot, value: Any) -> None:
        kind = slot.kind or slot.fixed or self.types.get(slot.column) or self._learn(slot.column, value)
        if not kind:
            return
        slot.kind = kind
        stored = self._stored(kind, value)
        if stored is not None:
            row[slot.column] = stored

    def _learn(self, column: str, value: Any) -> ColumnType | None:
        """The type of a column seen for the first time; None where it says nothing, or there are too many columns."""
        kind = self._kind(value)
        if kind is None:
            self.notes["nested" if isinstance(value, list) and value else "empty"] += 1
            return None
        if len(self.types) >= self._limit:
            self.notes["too_many_columns"] += 1
            return None
        self.types[column] = self.pending[column] = kind
        return kind

    def _kind(self, value: Any) -> ColumnType | None:
        if type(value) is str:
            if not value.strip() or self._text(value, counted=False) is None:
                return None
            return "text" if property_instant(value, self._zone) is None else "time"
        if type(value) is bool:
            return "flag"
        if type(value) is int or type(value) is float:
            return "number"
        if type(value) is list and value and not any(isinstance(item, dict | list) for item in value):
            return "list"
        return None

    def _stored(self, kind: str, value: Any) -> Any:
        """The value as the column holds it; None where it does not fit, which is counted."""
        t = type(value)
        plain: Any
        if kind == "text":
            if t is str:
                return self._text(value)
            plain = scalar_text(value)
        elif kind == "number":
            plain = scaled(value, NUMBER_SCALE, MAX_NUMBER)
        elif kind == "flag":
            plain = value if t is bool else _FLAGS.get(value.lower()) if t is str else None
        elif kind == "time":
            plain = property_instant(value, self._zone) if t is str else None
        elif kind == "list":
            return self._list(value)
        else:
            plain = scaled(value, QUANTITY_SCALE, MAX_UNIT)
        if plain is None and value != "":
            self.notes["wrong_type"] += 1
        return plain

    def _text(self, value: str, *, counted: bool = True) -> str | None:
        """A text as it is stored: no address of a person, no query of a page, no zero bytes, not endless."""
        if value in self._plain:
            return value
        text = without_query(value) if "://" in value[:16] else value
        text = text.replace("\0", "").strip()
        if len(text) > MAX_TEXT_CHARS:
            self.notes["text_too_long"] += counted
            return None
        if looks_personal(text):
            self.notes["looks_personal"] += counted
            return None
        if text == value and len(text) <= _PLAIN_CHARS and text:
            if len(self._plain) >= _PLAIN_TEXTS:
                self._plain.clear()
            self._plain.add(text)
        return text or None

    def _list(self, value: Any) -> str | None:
        items = value if type(value) is list else [value]
        kept = []
        for item in items:
            text = self._text(item) if type(item) is str else scalar_text(item)
            if text is not None:
                kept.append(text)
            elif item is not None and type(item) is not str:
                self.notes["nested"] += 1
        return list_text(kept)


def scalar_text(value: Any) -> str | None:
    """A number or a flag as JSON writes it; whole numbers without a fraction. None for everything else.

    Example:
        >>> scalar_text(True), scalar_text(17850.0), scalar_text(0.5), scalar_text([1])
        ('true', '17850', '0.5', None)
    """
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return str(int(value)) if value.is_integer() and abs(value) < 1 << 53 else repr(value)
    return None


def decimal(value: Any) -> Decimal | None:
    """A number, or a text that is wholly one, digit for digit as it was written; None for everything else."""
    if type(value) is int:
        return Decimal(value)
    try:
        if type(value) is float:
            return Decimal(repr(value))
        if type(value) is str and _DECIMAL.fullmatch(text := value.strip()):
            return Decimal(text)
    except InvalidOperation:
        return None
    return None


def scaled(value: Any, scale: int, most: int) -> int | None:
    """A number counted in parts of `scale`, half away from zero; None where it is none, or larger than `most`."""
    if type(value) is int:
        return value * scale if -most <= value <= most else None
    if type(value) is float and -_EXACT < (product := value * scale) < _EXACT:
        # Below a thousandth of 2**53 the product is off by far less than 0.2: no need to look at the digits.
        nearest = round(product)
        if -0.2 < product - nearest < 0.2:
            return nearest
    exact = decimal(value)
    if exact is None or not -most <= exact <= most:
        return None
    return int((exact * scale).to_integral_value(ROUND_HALF_UP))
