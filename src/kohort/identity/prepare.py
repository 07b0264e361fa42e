"""A table of records in comparable form: which column is what, each value normalised, what was left out counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from kohort.errors import WrongUsage
from kohort.identity import births, companies, mail, names, phone, places
from kohort.identity.letters import fold
from kohort.identity.reading import Read, column

ROLES: dict[str, tuple[str, ...]] = {
    "given": (
        "given_name",
        "first_name",
        "firstname",
        "forename",
        "given",
        "fname",
        "fname_c1",
        "voornaam",
        "fornavn",
        "vorname",
    ),
    "surname": (
        "surname",
        "last_name",
        "lastname",
        "family_name",
        "lname",
        "lname_c1",
        "achternaam",
        "efternavn",
        "nachname",
    ),
    "name": ("name", "full_name", "fullname", "customer_name", "contact_name", "naam", "navn"),
    "birth": (
        "birth_date",
        "date_of_birth",
        "dob",
        "birthday",
        "birthdate",
        "geboortedatum",
        "foedselsdato",
        "geburtsdatum",
    ),
    "birth_year": ("birth_year", "by", "geburtsjahr"),
    "birth_month": ("birth_month", "bm"),
    "birth_day": ("birth_day", "bd"),
    "email": ("email", "e_mail", "email_address", "mail", "e_mailadres"),
    "phone": ("phone", "phone_number", "telephone", "mobile", "telefoon", "telefon", "tel"),
    "street": ("street", "address", "address_1", "street_address", "address_line_1", "straat", "adresse", "strasse"),
    "place": ("address_2", "address_line_2"),
    "number": ("house_number", "street_number", "huisnummer", "hausnummer"),
    "postcode": ("postcode", "zip", "zip_code", "postal_code", "plz", "postnummer"),
    "city": ("city", "town", "suburb", "place", "plaats", "by_navn", "ort", "stadt"),
    "state": ("state", "province", "region"),
    "country": ("country", "country_code", "land"),
    "company": ("company", "company_name", "organisation", "organization", "bedrijf", "firma", "virksomhed"),
}
"""Column names by which a role is recognised, folded; a caller may name the columns herself."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Records in comparable form.

    Attributes:
        table: `uid` (int64, the row's place), `source` (text), and the comparable columns there are, null = nothing to compare.
        problems: For each role how often a value was missing, junk or unreadable.
        roles: Role → the source's column.
    """

    table: pa.Table
    problems: dict[str, Counter[str]]
    roles: dict[str, str]


def guess_roles(columns: list[str]) -> dict[str, str]:
    """Role → column, by the names of the columns; the first column that fits.

    Example:
        >>> guess_roles(["id", "First Name", "dob", "E-mail"])
        {'given': 'First Name', 'birth': 'dob', 'email': 'E-mail'}
    """
    by_name = {fold(name).replace(" ", "_"): name for name in reversed(columns)}
    found: dict[str, str] = {}
    for role, known in ROLES.items():
        name = next((by_name[k] for k in known if k in by_name), None)
        if name is not None and name not in found.values():
            found[role] = name
    return found


def prepare(
    table: pa.Table, *, region: str, roles: Mapping[str, str] | None = None, source: pa.Array | None = None
) -> Prepared:
    """Normalise the columns of a table that say who somebody is.

    Args:
        table: Records, any columns.
        region: Two letters of the country whose telephone numbers need no prefix; a record's own country goes before.
        roles: Role (`ROLES`) → column; None = guessed from the columns' names.
        source: Where each record comes from, where several sources are linked.

    Raises:
        WrongUsage: A role or column is unknown, or nothing there says who somebody is.
    """
    chosen = dict(roles) if roles is not None else guess_roles(table.column_names)
    for role, name in chosen.items():
        if role not in ROLES or name not in table.column_names:
            raise WrongUsage(f"No role {role!r} or no column {name!r} is known.", hint=f"Roles: {', '.join(ROLES)}.")
    reader = _Reader(table, chosen, region)
    columns = reader.persons() | reader.births() | reader.contacts() | reader.places() | reader.organisations()
    if not columns:
        raise WrongUsage("No column says who somebody is.", hint="Name the columns: --column surname=NAME and so on.")
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    count = table.num_rows
    base = {
        "uid": pa.array(range(count), pa.int64()),
        "source": source if source is not None else pa.array(["a"] * count),
    }
    return Prepared(pa.table(base | arrays), reader.problems, chosen)


class _Reader:
    """Reads each role once; columns of a role that is absent are absent."""

    def __init__(self, table: pa.Table, roles: Mapping[str, str], region: str) -> None:
        self._table, self._roles, self._region = table, roles, region
        self.problems: dict[str, Counter[str]] = {}

    def _texts(self, role: str) -> list[str | None]:
        return [None if v is None else str(v) for v in self._table.column(self._roles[role]).to_pylist()]

    def _has(self, role: str) -> bool:
        return role in self._roles

    def _read(self, role: str, read: Callable[[str | None], Read]) -> list[str | None]:
        found = column(self._texts(role), read)
        self.problems[role] = found.problems
        return found.values

    def _regional(self, role: str, read: Callable[[str | None, str], Read]) -> list[str | None]:
        """Like `_read`, each value as its record's own country writes it."""
        countries = self._texts("country") if self._has("country") else [None] * self._table.num_rows
        regions = [c.strip().upper() if c and len(c.strip()) == 2 else self._region for c in countries]
        regions = ["GB" if region == "UK" else region for region in regions]
        known: dict[tuple[str | None, str], Read] = {}
        values, problems = [], Counter[str]()
        for key in zip(self._texts(role), regions, strict=True):
            said = known.get(key) or known.setdefault(key, read(*key))
            values.append(said.value)
            if said.value is None:
                problems[said.problem] += 1
        self.problems[role] = problems
        return values

    def persons(self) -> dict[str, list[str | None]]:
        found: dict[str, list[str | None]] = {}
        if self._has("name") and not self._has("surname"):
            parts = {text: names.full_name(text) for text in set(self._texts("name"))}
            read = [parts[text] for text in self._texts("name")]
            self.problems["name"] = Counter(problem for name, problem in read if name is None)
            found["given"] = [name.given or None if name else None for name, _ in read]
            found["surname"] = [name.surname or None if name else None for name, _ in read]
        if self._has("given"):
            found["given"] = self._read("given", names.given_name)
        if self._has("surname"):
            found["surname"] = self._read("surname", names.surname)
        for name in list(found):
            found[f"{name}_key"] = _each(found[name], names.name_key)
        if "given" in found:
            found["given_key"] = _each(found["given"], lambda text: names.name_key(text.split()[0]))
        return found

    def births(self) -> dict[str, list[str | None]]:
        if self._has("birth"):
            texts = self._texts("birth")
        elif all(map(self._has, ("birth_year", "birth_month", "birth_day"))):
            parts = zip(*map(self._texts, ("birth_year", "birth_month", "birth_day")), strict=True)
            texts = [None if None in part else "{:0>4}-{:0>2}-{:0>2}".format(*part) for part in parts]
        else:
            return {}
        said = column(texts, births.birth_date)
        defaults = births.crowded(said.values)
        said.problems["junk"] += sum(value in defaults for value in said.values)
        self.problems["birth"] = said.problems
        digits = _each(texts, births.birth_digits)
        crowded = {day.replace("-", "") for day in defaults}
        return {"birth": [None if text in crowded else text for text in digits]}

    def contacts(self) -> dict[str, list[str | None]]:
        found: dict[str, list[str | None]] = {}
        if self._has("email"):
            found["email"] = self._read("email", mail.email)
            found["email_name"] = _each(found["email"], lambda text: text.partition("@")[0])
        if self._has("phone"):
            found["phone"] = self._regional("phone", lambda text, region: phone.phone(text, region=region))
        return found

    def places(self) -> dict[str, list[str | None]]:
        found: dict[str, list[str | None]] = {}
        if self._has("street"):
            lines = {text: places.address(text) for text in set(self._texts("street"))}
            read = [lines[text] for text in self._texts("street")]
            self.problems["street"] = Counter(problem for line, problem in read if line is None)
            found["street"] = [line.street or None if line else None for line, _ in read]
            found["number"] = [line.number or None if line else None for line, _ in read]
        if self._has("number"):
            found["number"] = self._read("number", _folded)
        if self._has("postcode"):
            found["postcode"] = self._regional("postcode", lambda text, region: places.postcode(text, region=region))
            loose = self._texts("postcode")
            if 2 * sum(v is None for v in found["postcode"]) > len(loose):  # of another country than we were told
                found["postcode"] = self._read("postcode", lambda text: places.postcode(text, region=""))
        for role in ("place", "city", "state"):
            if self._has(role):
                found[role] = self._read(role, _folded)
        return found

    def organisations(self) -> dict[str, list[str | None]]:
        found: dict[str, list[str | None]] = {}
        if self._has("company"):
            parts = {text: companies.company(text) for text in set(self._texts("company"))}
            read = [parts[text] for text in self._texts("company")]
            self.problems["company"] = Counter(problem for name, problem in read if name is None)
            found["company"] = [name.name or None if name else None for name, _ in read]
            found["form"] = [name.form or None if name else None for name, _ in read]
        return found


def _each(values: list[str | None], read: Callable[[str], str | None]) -> list[str | None]:
    known = {value: read(value) or None for value in set(values) if value is not None}
    return [None if value is None else known[value] for value in values]


def _folded(text: str | None) -> Read:
    value = fold(text or "")
    return Read(value) if value else Read(None, "missing")
