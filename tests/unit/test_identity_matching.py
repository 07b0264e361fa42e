"""Which ids of a workspace are one customer: what is sure is joined, what is not is asked, what a person kept apart stays apart."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from kohort.identity.matching import Found, match
from kohort.identity.measure import pairwise
from kohort.identity.persons import Known, known, records
from kohort.model.links import NOBODY, Roots
from kohort.store.merges import Pair
from kohort.testing.people import people as generated

pytest.importorskip("phonenumbers", reason="the extra `identity` is not installed")


def held(**whom: dict[str, list[str]]) -> dict[int, Known]:
    """p1={"name": […], …} → what is known of id 1; v1 is a visitor."""
    rows = [
        {"customer": int(name[1:]) * (-1 if name[0] == "v" else 1), "kind": kind, "value": value}
        for name, kinds in whom.items()
        for kind, values in kinds.items()
        for value in values
    ]
    return known(pa.Table.from_pylist(rows), region="NL")


def find(people: dict[int, Known], *, meant: Roots = NOBODY, apart: tuple = (), **how) -> Found:
    return match(
        people, meant, [frozenset(pair) for pair in apart], rank=lambda i: (i,), region="NL", by_likeness=False, **how
    )


def ends(pairs: list[Pair]) -> list[tuple[int, int]]:
    return [(pair.keep, pair.other) for pair in pairs]


MAIL = {"email": ["ann@shop.nl"]}


def test_an_address_joins_where_names_do_not_speak_against_it() -> None:
    found = find(held(p1={**MAIL, "name": ["Ann Berg"]}, p2={"email": ["ANN@shop.nl "], "name": ["Berg, A."]}, p3=MAIL))
    assert ends(found.merges) == [(1, 2), (1, 3)]
    assert [field.says for field in found.merges[0].evidence] == ["the same e-mail address", "a name that fits"]
    assert found.questions == []


def test_one_address_and_two_names_is_a_question_and_who_has_no_name_is_one_too() -> None:
    found = find(held(p1={**MAIL, "name": ["Ann Berg"]}, p2={**MAIL, "name": ["Bob Visser"]}, p3=MAIL))
    assert found.merges == []
    assert sorted(ends(found.questions)) == [(1, 2), (1, 3)]


def test_a_telephone_is_a_households() -> None:
    def family(*names: str) -> Found:
        return find(held(**{f"p{n}": {"phone": ["06 12345679"], "name": [name]} for n, name in enumerate(names, 1)}))

    assert ends(family("Jan Berg", "Jan Berg").merges) == [(1, 2)]
    assert family("Jan Berg", "Truus Berg") == Found(persons=2)
    initial = family("Jan Berg", "J. Berg")
    assert (initial.merges, ends(initial.questions)) == ([], [(1, 2)])


def test_a_value_that_too_many_share_joins_nobody() -> None:
    found = find(held(**{f"p{n}": MAIL for n in range(1, 12)}))
    assert (found.merges, found.questions, found.blocked) == ([], [], {"email": 1})
    one_already = Roots(np.arange(2, 12), np.full(10, 1), np.zeros(10, np.int64))
    assert find(held(**{f"p{n}": MAIL for n in range(1, 12)}), meant=one_already).blocked == {}


def test_junk_and_placeholders_join_nobody() -> None:
    assert find(held(p1={"email": ["test@test.com"]}, p2={"email": ["test@test.com"]})).merges == []


def test_a_customer_stays_before_a_visitor_and_who_was_there_first_before_others() -> None:
    assert ends(find(held(v1=MAIL, p9=MAIL)).merges) == [(9, -1)]
    assert ends(find(held(p2=MAIL, p1=MAIL)).merges) == [(1, 2)]


def test_who_is_kept_apart_is_joined_by_no_way() -> None:
    others = {"p1": MAIL, "p2": MAIL, "p3": MAIL}
    found = find(held(**others), apart=((1, 2),))
    assert ends(found.merges) == [(1, 3)]
    assert found.kept_apart == 1
    assert found.questions == []
    led = Roots(np.array([3]), np.array([2]), np.array([0]))
    assert find(held(**others), apart=((1, 3),), meant=led).merges == [], "nor whoever leads to her"


def test_first_names_and_surnames_are_put_together_as_whole_names_elsewhere_say() -> None:
    people = held(p1={"name": ["Jan", "Aalbers"]}, p2={"name": ["Piet Aalbers"]}, p3={"name": ["Zoe", "Wolf"]})
    assert people[1].names == [("jan", "aalbers")]
    assert people[3].names == [("wolf", "zoe")], "the same for everybody, where nothing tells"


def test_streets_get_their_numbers() -> None:
    people = held(p1={"address": ["Hoofdstraat", "12"]}, p2={"address": ["Hoofdstraat 12"]}, p3={"address": ["12"]})
    assert people[1].doors == people[2].doors
    assert people[3].doors == []
    assert records(people)[0].column_names == ["street", "number"]


def test_likely_pairs_are_joined_where_sure_and_asked_where_not() -> None:
    pytest.importorskip("splink", reason="the extra `identity` is not installed")
    table = generated(200, 60, seed=3)
    kinds = {"email": "email", "phone": "phone"}
    rows = []
    for n, row in enumerate(table.to_pylist(), 1):
        rows += [{"customer": n, "kind": kind, "value": row[name]} for name, kind in kinds.items() if row[name]]
        whole = " ".join(text for text in (row["given_name"], row["surname"]) if text)
        door = " ".join(text for text in (row["street"], row["house_number"]) if text)
        rows += [{"customer": n, "kind": k, "value": v} for k, v in (("name", whole), ("address", door)) if v]
    people = known(pa.Table.from_pylist(rows), region="NL")
    found = match(people, NOBODY, [], rank=lambda i: (i,), region="NL")
    assert (found.threshold or 0) >= 0.9
    group = np.arange(table.num_rows + 1)
    for pair in found.merges:
        group[group == group[pair.other]] = group[pair.keep]
    measured = pairwise(group[1:], table.column("person").to_pylist())
    assert measured["precision"] > 0.9
    assert measured["recall"] > 0.6
    assert found.questions
    assert all(pair.score > 0.1 for pair in found.questions if pair.how == "likely")
    values = {row["value"].casefold() for row in rows if len(row["value"]) > 3}
    told = [said for pair in (*found.merges, *found.questions) for f in pair.evidence for said in (f.field, f.says)]
    assert not [text for text in told if any(value in text.casefold() for value in values)]
    # Who is one already is found no more: a second run over the result has nothing to join.
    led = np.array([n for n in people if group[n] != n])
    again = match(people, Roots(led, group[led], led * 0), [], rank=lambda i: (i,), region="NL")
    assert len(again.merges) <= 0.1 * len(found.merges)
