"""How two records are compared, field by field, from sure agreement to none: chosen from the columns there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Level(NamedTuple):
    """One degree of agreement.

    Attributes:
        says: In words, for the evidence.
        sql: The condition over `x_l` and `x_r`; of a comparison the first that holds counts.
        rare: A column whose rare values say more than its common ones ("Jensen" is weaker evidence than "Zandvoort").
    """

    says: str
    sql: str
    rare: str | None = None


class Comparison(NamedTuple):
    """A field and its degrees of agreement; without one of `needs` on either side it says nothing.

    Attributes:
        silent: Where this condition holds the field says nothing either, because another one has said it.
    """

    name: str
    needs: tuple[str, ...]
    levels: tuple[Level, ...]
    silent: str = ""


def comparisons(columns: Sequence[str]) -> list[Comparison]:
    """The comparisons that the columns allow, in a fixed order.

    Example:
        >>> [c.name for c in comparisons(["surname", "surname_key", "email", "city"])]
        ['surname', 'email', 'area']
    """
    has = set(columns)
    makers: dict[str, Callable[[set[str]], Comparison]] = {
        "given": _given,
        "surname": _surname,
        "birth": _birth,
        "email": _email,
        "phone": _phone,
        "company": _company,
        "place": _place,
    }
    found = [make(has) for column, make in makers.items() if column in has]
    if has & {"street", "number"}:
        found.append(_door(has))
    if has & {"postcode", "city"}:
        found.append(_area(has))
    return found


def settings(chosen: Sequence[Comparison]) -> list[dict[str, Any]]:
    """The comparisons as Splink takes them."""
    return [{"output_column_name": c.name, "comparison_levels": _levels(c)} for c in chosen]


def _levels(comparison: Comparison) -> list[dict[str, Any]]:
    absent = " AND ".join(f"({name}_l IS NULL OR {name}_r IS NULL)" for name in comparison.needs)
    if comparison.silent:
        absent = f"({absent}) OR ({comparison.silent})"
    found: list[dict[str, Any]] = [{"sql_condition": absent, "label_for_charts": "not given", "is_null_level": True}]
    for level in comparison.levels:
        rare = (
            {"tf_adjustment_column": level.rare, "tf_adjustment_weight": 1.0, "tf_minimum_u_value": 0.00001}
            if level.rare
            else {}
        )
        found.append({"sql_condition": level.sql, "label_for_charts": level.says, **rare})
    return [*found, {"sql_condition": "ELSE", "label_for_charts": "different"}]


def _same(*names: str) -> str:
    return " AND ".join(f"{name}_l = {name}_r" for name in names)


def _close(name: str, similarity: float) -> str:
    return f"(jaro_winkler_similarity({name}_l, {name}_r) >= {similarity} OR levenshtein({name}_l, {name}_r) <= 1)"


def _swapped(has: set[str]) -> list[Level]:
    return (
        [Level("first name and surname swapped", "given_l = surname_r AND given_r = surname_l")]
        if {"given", "surname"} <= has
        else []
    )


def _given(has: set[str]) -> Comparison:
    initial = "(length(given_l) = 1 OR length(given_r) = 1) AND given_l[1] = given_r[1]"
    levels = [
        Level("the same first name", _same("given"), "given"),
        Level("the same first name, spelled otherwise", _same("given_key"), "given_key"),
        *_swapped(has),
        Level("an initial that fits", initial),
        Level("a first name with a slip", _close("given", 0.9)),
        Level("similar first names", "jaro_winkler_similarity(given_l, given_r) >= 0.8"),
    ]
    return Comparison("given", ("given",), tuple(levels))


def _surname(has: set[str]) -> Comparison:
    levels = [
        Level("the same surname", _same("surname"), "surname"),
        Level("the same surname, spelled otherwise", _same("surname_key"), "surname_key"),
        *_swapped(has),
        Level("a surname with a slip", _close("surname", 0.92)),
        Level("similar surnames", "jaro_winkler_similarity(surname_l, surname_r) >= 0.82"),
    ]
    return Comparison("surname", ("surname",), tuple(levels))


def _birth(has: set[str]) -> Comparison:
    parts = [("1, 4", "5, 2"), ("1, 4", "7, 2"), ("5, 2", "7, 2")]
    two = " OR ".join(
        f"(substr(birth_l, {a}) = substr(birth_r, {a}) AND substr(birth_l, {b}) = substr(birth_r, {b}))"
        for a, b in parts
    )
    levels = [
        Level("the same birthday", _same("birth")),
        Level("a birthday with a slip", "levenshtein(birth_l, birth_r) <= 1"),
        Level("two of day, month and year", f"({two})"),
        Level("the same year of birth", "substr(birth_l, 1, 4) = substr(birth_r, 1, 4)"),
    ]
    return Comparison("birth", ("birth",), tuple(levels))


def _email(has: set[str]) -> Comparison:
    levels = [
        Level("the same e-mail address", _same("email"), "email"),
        Level("the same name before the @", _same("email_name"), "email_name"),
        Level(
            "an e-mail address with a slip",
            "jaro_winkler_similarity(email_l, email_r) >= 0.9 AND levenshtein(email_l, email_r) <= 2",
        ),
        Level("similar e-mail addresses", "jaro_winkler_similarity(email_l, email_r) >= 0.9"),
    ]
    # jan.jansen7@… and jan.jansen8@…: of people with one name the addresses resemble each other, and prove nothing.
    alike = "email_l <> email_r AND jaro_winkler_similarity(email_l, email_r) >= 0.85"
    named = f"{_same('given_key', 'surname_key')} AND {alike}" if {"given", "surname"} <= has else ""
    return Comparison("email", ("email",), tuple(levels), silent=named)


def _phone(has: set[str]) -> Comparison:
    levels = [
        Level("the same telephone number", _same("phone"), "phone"),
        Level("a telephone number with a slip", "levenshtein(phone_l, phone_r) <= 1"),
    ]
    return Comparison("phone", ("phone",), tuple(levels))


def _door(has: set[str]) -> Comparison:
    """Street and house number are one field: a number alone says little, and neither is evidence beside the other."""
    street = _close("street", 0.9)
    levels = []
    if {"street", "number"} <= has:
        levels.append(Level("the same street and number", _same("street", "number"), "street"))
        levels.append(Level("the same number in a street with a slip", f"number_l = number_r AND {street}"))
    if "street" in has:
        levels.append(Level("the same street", _same("street"), "street"))
        levels.append(Level("a street with a slip", street))
    if "number" in has:
        levels.append(Level("the same house number", _same("number"), "number"))
    return Comparison("door", tuple(name for name in ("street", "number") if name in has), tuple(levels))


def _area(has: set[str]) -> Comparison:
    """Postcode and town are one field: who shares the first shares the second."""
    levels = []
    if "postcode" in has:
        levels.append(Level("the same postcode", _same("postcode"), "postcode"))
        levels.append(
            Level("a postcode with a slip", "length(postcode_l) >= 5 AND levenshtein(postcode_l, postcode_r) <= 1")
        )
    if "city" in has:
        levels.append(Level("the same town", _same("city"), "city"))
        levels.append(Level("a town with a slip", _close("city", 0.9)))
    return Comparison("area", tuple(name for name in ("postcode", "city") if name in has), tuple(levels))


def _place(has: set[str]) -> Comparison:
    levels = (
        Level("the same second address line", _same("place"), "place"),
        Level("a second address line with a slip", _close("place", 0.9)),
    )
    return Comparison("place", ("place",), levels)


def _company(has: set[str]) -> Comparison:
    form = "(form_l = form_r OR form_l IS NULL OR form_r IS NULL)"
    levels = [
        Level("the same company", f"company_l = company_r AND {form}", "company"),
        Level("the same company in another form", _same("company")),
        Level("a company with a slip", f"{_close('company', 0.94)} AND {form}"),
        Level("similar companies", "jaro_winkler_similarity(company_l, company_r) >= 0.85"),
    ]
    return Comparison("company", ("company",), tuple(levels))
