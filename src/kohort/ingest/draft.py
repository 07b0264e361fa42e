"""A mapping in the making: what a row is, which column plays which role, what becomes of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from kohort.errors import BadInput, WrongUsage
from kohort.ingest import values, words
from kohort.ingest.chunk import Reader
from kohort.ingest.look import Look, look, looks_like_codes, samples_of
from kohort.ingest.notation import Notation
from kohort.model.event import ColumnType
from kohort.model.source import ROLES, CsvFormat, SourceKind, SourceMapping, stored_name

_LONG_TEXT = 100
_AGREE = 0.95
_MOSTLY = 0.5
"""A column called "price" is one although half of it is rubbish: the rubbish is rejected and shown."""

_ROLE_QUESTIONS = {
    "customer": "Which column holds the customer's number",
    "time": "Which column tells when it happened",
    "order_id": "Which column holds the order number",
    "price": "Which column holds the price of one unit",
    "amount": "Which column holds the line's total",
    "product": "Which column holds the product's code",
    "product_name": "Which column holds the product's name",
    "event": "Which column names the event",
}


class Draft:
    """A mapping in the making: what is decided, what must be asked."""

    def __init__(self, readers: Sequence[Reader], told: Mapping[str, Any], *, zone: str, currency: str) -> None:
        self.readers, self.told = readers, told
        self.zone, self.currency = zone, currency
        self.looks = look(readers[0])
        for reader in readers[1:]:
            if not self.looks:
                self.looks = look(reader)
        self.by_name = {c.name: c for c in self.looks}
        self.questions: list[str] = []
        self.notes: list[str] = []
        self.format: CsvFormat | None = getattr(getattr(readers[0], "layout", None), "format", None)
        if not self.looks:
            raise BadInput("The file has a header but no rows.", place=readers[0].name, code="no_rows")
        self._notation = Notation(readers, self.looks, told, self.format, self.questions)
        self.roles = self._told_roles()
        self.kind: SourceKind = self._kind()

    # -- what a row is ---------------------------------------------------------------------------------------------

    def _told_roles(self) -> dict[str, str]:
        told = dict(self.told.get("columns", {}))
        for role, name in told.items():
            if name not in self.by_name:
                raise BadInput(
                    f"The file has no column {name!r}.",
                    place=f"columns: {role}",
                    code="mapping_does_not_fit",
                    hint=f"Its columns are: {', '.join(list(self.by_name)[:12])}.",
                )
        return told

    def _kind(self) -> SourceKind:  # noqa: PLR0911 - one answer per kind of evidence
        told = self.told.get("kind")
        if told is not None:
            if told not in ROLES:
                raise WrongUsage(f"{told!r} is not a kind of source.", hint="Use orders, events or customers.")
            return cast("SourceKind", told)
        if self.format is not None and not self.format.has_header and "columns" not in self.told:
            self._ask_header()
            return "orders"
        has = {role: bool(self._candidates(role)) for role in (*ROLES["orders"], "event")}
        money, time = has["price"] or has["amount"], has["time"]
        line = has["order_id"] or has["product"] or has["quantity"]
        customers = self._candidates("customer")
        single = any(c.one_per_row for c in customers)
        if has["event"] and time:
            return "events"
        if line and money and time:
            return "orders"
        if money and time and customers and not single:
            return "orders"
        if line and money:
            # An order without a time: asked for when the roles are chosen.
            return "orders"
        if single and not time:
            return "customers"
        if customers and time and not single:
            return "events"
        self._ask_kind(single=single, time=time, repeated=bool(customers) and not single)
        return "customers"

    def _ask_header(self) -> None:
        shown = "; ".join(f"{c.name}: {', '.join(c.some[:2])}" for c in self.looks[:8])
        self.questions.append(
            f"The file has no header line. What are its columns ({shown})? "
            "Set `columns:` with a role for each, for example `customer: column_1`, and `kind:`."
        )

    def _ask_kind(self, *, single: bool = False, time: bool = False, repeated: bool = False) -> None:
        if single and time:
            self.questions.append(
                "Every customer number occurs once, and there is a time. Is a row a customer, or something that happened? "
                "Set `kind: customers`, `kind: events` or `kind: orders`."
            )
        elif repeated:
            self.questions.append(
                "Customer numbers occur several times and no column has dates. Is a row a customer all the same, or something "
                "that happened? Set `kind: customers`, or `columns: time:` to the column that tells when."
            )
        else:
            names = ", ".join(c.name for c in self.looks[:12])
            self.questions.append(
                f"Which column holds the customer's number ({names})? Set `columns: customer:` to its name. "
                "Without one, Kohort cannot tell customers apart; a table with one row per customer can be grouped as "
                "it is with: kohort discover --table"
            )

    # -- roles -----------------------------------------------------------------------------------------------------

    def _candidates(self, role: str) -> list[Look]:
        """Columns that may play a role: those whose names say it clearly, else those whose names may mean it."""
        if role in self.roles:
            return [self.by_name[self.roles[role]]]
        used = set(self.roles.values())
        free = [c for c in self.looks if c.name not in used and not c.is_empty and self._can_play(c, role)]
        named = [c for c in free if c.role == role]
        return [c for c in named if c.clearly] or named

    @staticmethod
    def _can_play(column: Look, role: str) -> bool:
        match role:
            case "time":
                return column.is_time or (column.role == role and column.times.share >= _MOSTLY)
            case "quantity" | "price" | "amount":
                return column.is_number or (column.role == role and column.numbers.share >= _MOSTLY)
            case "customer":
                return column.kind not in ("bool", "time", "instant") and column.identity in ("", "email")
            case _:
                return column.kind not in ("bool", "time", "instant") and not column.identity

    def _choose_roles(self) -> dict[str, str]:
        chosen = dict(self.roles)
        for role in ROLES[self.kind]:
            if role in chosen:
                continue
            found = [c for c in self._candidates(role) if c.name not in chosen.values()]
            if self.kind == "customers" and role == "time":
                # A date on a customers table says when a customer joined, not when the row was true.
                continue
            if len(found) > 1:
                self._ask_which(role, found)
            elif found:
                chosen[role] = found[0].name
        self._fill_time(chosen)
        self._fill_customer(chosen)
        return chosen

    def _ask_which(self, role: str, found: Sequence[Look]) -> None:
        what = _ROLE_QUESTIONS.get(role, f"Which column holds the {role.replace('_', ' ')}")
        shown = " or ".join(f"{c.name!r} (such as {samples_of(c, 2)})" for c in found[:4])
        self.questions.append(f"{what}: {shown}? Set `columns: {role}:` to its name.")

    def _fill_time(self, chosen: dict[str, str]) -> None:
        if "time" in chosen or self.kind == "customers" or any("columns: time:" in q for q in self.questions):
            return
        dated = [
            c for c in self.looks if c.is_time and c.name not in chosen.values() and not words.private_reason(c.name)
        ]
        if len(dated) == 1:
            chosen["time"] = dated[0].name
            self.notes.append(f"{dated[0].name!r} is the only column with dates, so it tells when it happened.")
        elif dated:
            self._ask_which("time", dated)
        else:
            self.questions.append(
                "No column with dates was found. When did it happen? Set `columns: time:` to the column's name, "
                "or `kind: customers` if a row is a customer."
            )

    def _fill_customer(self, chosen: dict[str, str]) -> None:
        if "customer" in chosen or any("columns: customer:" in q for q in self.questions):
            return
        emails = [c for c in self.looks if c.identity == "email"]
        if len(emails) == 1:
            chosen["customer"] = emails[0].name
            self.notes.append(
                f"There is no customer number, so the e-mail address in {emails[0].name!r} tells customers apart."
            )
        elif self.kind == "customers" or not emails:
            self._ask_kind()

    # -- money -----------------------------------------------------------------------------------------------------

    def _settle_money(self, chosen: dict[str, str]) -> None:
        if self.kind != "orders":
            return
        if "price" not in chosen and "amount" not in chosen:
            if not any("columns: amount:" in q or "columns: price:" in q for q in self.questions):
                self.questions.append(
                    "No column with money was found. What did a line cost? Set `columns: price:` (per unit) or `columns: amount:` "
                    "(the line's total) to the column's name."
                )
            return
        if {"price", "amount", "quantity"} <= chosen.keys() and "amount" not in self.roles:
            self._compare_amount(chosen)
        elif "price" in chosen and "quantity" not in chosen and "amount" not in chosen:
            self.notes.append(f"There is no quantity, so {chosen['price']!r} is taken as the line's total.")

    def _compare_amount(self, chosen: dict[str, str]) -> None:
        """Price, quantity and amount must agree; an amount that does not may be the whole order's."""
        share = self._notation.agreement(chosen)
        if share is None or share >= _AGREE:
            del chosen["price"]
            self.notes.append(f"{chosen['amount']!r} is the line's total (quantity times price).")
            return
        self.questions.append(
            f"{chosen['amount']!r} is not quantity times {chosen['price']!r} in {1 - share:.0%} of the rows. "
            f"Which is the line's money? Set `columns: amount:` to {chosen['amount']!r} if it is the line's total, "
            f"or `columns: price:` to {chosen['price']!r} if quantity times price is (and `amount` belongs to the whole order)."
        )

    # -- everything else -------------------------------------------------------------------------------------------

    def mapping(self, name: str) -> SourceMapping:
        """The mapping as far as it is decided; what is not is in `questions`."""
        empty = SourceMapping(name, self.kind, {})
        if self.questions and not self.roles and self.format is not None and not self.format.has_header:
            return empty
        chosen = self._choose_roles()
        self._settle_money(chosen)
        time_format, day_first = self._notation.time_format(chosen["time"]) if "time" in chosen else ("", None)
        identities, properties, ignored = self._others(chosen)
        decimal = self._notation.decimal(chosen)
        return replace(
            empty,
            columns=chosen,
            properties=properties,
            identities=identities,
            ignored=ignored,
            time_format=time_format,
            day_first=day_first,
            zone=str(self.told.get("zone", "")),
            currency=str(self.told.get("currency") or ("" if "currency" in chosen else self.currency)),
            event=str(self.told.get("event", "")) if "event" not in chosen else "",
            csv=self._csv(decimal),
            sheet=str(self.told.get("sheet", "")),
        )

    def _csv(self, decimal: str) -> CsvFormat | None:
        """None = detect for each file; told only where a file cannot tell it by itself."""
        if self.format is None or (decimal == "." and self.format.has_header):
            return None
        return replace(self.format, decimal=cast("Any", decimal))

    def _others(self, chosen: Mapping[str, str]) -> tuple[dict[str, str], dict[str, ColumnType], dict[str, str]]:
        """(identities, properties, ignored with reasons) of the columns without a role."""
        told = dict(self.told.get("identities", {}))
        identities: dict[str, str] = {}
        properties: dict[str, ColumnType] = {}
        ignored: dict[str, str] = {}
        stored: set[str] = set()
        for column in self.looks:
            kind = told.get(column.name, column.identity)
            if column.name in chosen.values():
                if kind and column.name == chosen.get("customer"):
                    identities[column.name] = kind
            elif reason := self._reason_to_ignore(column):
                ignored[column.name] = reason
            elif kind and "customer" in chosen:
                identities[column.name] = kind
            elif kind:
                ignored[column.name] = "A direct identifier of nobody: the table has no customer column."
            elif stored_name(column.name) in stored:
                ignored[column.name] = "Its name differs from another column's only in spelling."
            else:
                stored.add(stored_name(column.name))
                properties[column.name] = self._type(column)
        for skipped in getattr(self.readers[0], "skipped", ()):
            ignored[skipped] = "Nested or binary values are not read."
        return identities, properties, ignored

    def _reason_to_ignore(self, column: Look) -> str:  # noqa: PLR0911 - one reason per return
        if reason := words.private_reason(column.name):
            return reason
        if column.is_empty:
            return "It is empty."
        if column.kind != "text" or column.identity or column.is_number or column.is_time:
            return ""
        if column.is_list:
            items = values.list_items_of(column.some)
            inside = max(values.email_share(items), values.phone_share(items)) > 0
            return "Its lists hold direct identifiers." if inside else ""
        long = sum(map(len, column.some)) / max(len(column.some), 1) > _LONG_TEXT
        if long:
            return "Long texts; segments cannot use them."
        if column.one_per_row and column.rows > 100:
            return "A different text in every row; segments cannot use it."
        return ""

    def _type(self, column: Look) -> ColumnType:
        if column.kind == "bool" or (column.kind == "text" and values.is_flag(column.some)):
            return "flag"
        if column.is_list:
            return "list"
        if column.kind in ("time", "instant"):
            return "time"
        if column.kind == "text" and column.times.format == "iso" and column.times.share == 1.0:
            return "time"
        if column.kind in ("float", "decimal"):
            return "number"
        exact = column.numbers.share == 1.0 and not looks_like_codes(column)
        named_id = words.key(column.name).endswith(("id", "code", "nr", "number")) and column.numbers.whole
        return "number" if exact and not named_id else "text"
