"""What people say about segments: who said it, what it adds up to, what it proposes, and that it goes with the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kohort
from kohort.errors import NotFound, UnknownCustomer, WrongUsage
from kohort.model.links import NOBODY
from kohort.model.share import wilson
from kohort.segments.feedback import Evidence, by_lot, evidence, judged
from kohort.segments.refine import FEWEST, Split, separate, splits_of
from kohort.store.feedback import Saying
from kohort.views.feedback import checked
from kohort.workspace.people import short_code

GOOD, BAD = [f"G{i}" for i in range(14)], [f"B{i}" for i in range(12)]
"""Good ones come from Aarhus and order often; bad ones order once."""


def orders() -> str:
    lines = ["order_id,customer_id,order_date,product,quantity,price"]
    lines += [f"{c}-{i},{c},2026-01-{1 + i:02},tea,1,{5 + i}" for c in GOOD for i in range(3 + int(c[1:]) % 3)]
    return "\n".join([*lines, *(f"{c}-0,{c},2026-01-{2 + int(c[1:]):02},tea,1,6" for c in BAD)])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feedback")
    (folder / "orders.csv").write_text(orders())
    with kohort.create(folder / "shop", name="Tea shop") as ws:
        ws.ingest(folder / "orders.csv", kind="orders")
        ws.segments.add("buyers", "did('order_line')")
        ws.segments.add("value", {"tiers": {"gold": "did('order_line', at_least => 4)", "rest": "did('order_line')"}})
        ws.segments.run()
    return folder / "shop"


@pytest.fixture
def ws(shop: Path, tmp_path: Path):
    import shutil

    shutil.copytree(shop, tmp_path / "shop")
    with kohort.open(tmp_path / "shop") as workspace:
        yield workspace


def test_a_person_has_one_vote_about_each_thing_and_comments_stay(ws) -> None:
    first = ws.feedback.add("buyers", "disagree", text="Too  wide.", by="Ann")
    ws.feedback.add("buyers", "agree", by="Ann")
    ws.feedback.add("buyers", "agree", by="Bob")
    ws.feedback.add("buyers", "comment", text="We call them monthly.", by="Bob")
    ws.feedback.add("buyers", "disagree", customer="B1", text="A test order.", by="Ann")
    said = [(r["said"], r["by"], r["text"], r["customer_id"]) for r in ws.feedback.list("buyers")]
    assert said == [
        ("disagree", "Ann", "A test order.", "B1"),
        ("comment", "Bob", "We call them monthly.", None),
        ("agree", "Bob", "", None),
        ("agree", "Ann", "", None),
    ]
    assert first["text"] == "Too wide."
    found = ws.feedback.evidence("buyers")
    assert (found.agree, found.disagree, found.members, found.checked, found.wrong) == (2, 0, 26, 1, 1)
    with pytest.raises(NotFound):
        ws.feedback.withdraw(first["number"], by="Ann")


def test_only_who_said_it_takes_it_back(ws) -> None:
    said = ws.feedback.add("value", "disagree", part="gold", by="Ann")
    with pytest.raises(WrongUsage, match="Somebody else"):
        ws.feedback.withdraw(said["number"], by="Bob")
    assert ws.feedback.withdraw(said["number"], by="Ann")["said"] == "disagree"
    assert ws.feedback.list() == []
    assert ws.store.verify() == []


def test_without_a_login_the_user_of_the_computer_says_it(ws) -> None:
    from kohort.workspace.people import this_user

    assert ws.feedback.add("buyers", "agree")["by"] == this_user()


@pytest.mark.parametrize(
    ("said", "options", "error"),
    [
        ("agree", {"part": "silver"}, NotFound),
        ("agree", {"customer": "nobody"}, UnknownCustomer),
        ("comment", {"text": " "}, WrongUsage),
        ("maybe", {}, WrongUsage),
        ("disagree", {"customer": "B1", "text": "B11 is her sister, ask ada@example.org"}, WrongUsage),
        ("disagree", {"text": "x" * 501}, WrongUsage),
        ("agree", {"by": " "}, WrongUsage),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(ws, said, options, error) -> None:
    with pytest.raises(error):
        ws.feedback.add("value", said, **options)
    assert ws.feedback.list() == []


def test_a_reason_does_not_tell_about_whom(ws) -> None:
    with pytest.raises(WrongUsage, match="names nobody"):
        ws.feedback.add("buyers", "disagree", customer="B11", text="B11 is one of us")


def test_about_whom_is_no_member_there_is_nothing_to_say(ws) -> None:
    ws.segments.add("many", "did('order_line', at_least => 5)")
    ws.segments.run("many")
    with pytest.raises(WrongUsage, match="not in the segment"):
        ws.feedback.add("many", "disagree", customer="B1")


def test_votes_say_the_part_of_the_customer(ws) -> None:
    assert ws.feedback.add("value", "agree", customer="G1")["part"] == "gold"
    assert ws.feedback.add("value", "disagree", customer="B1")["part"] == "rest"
    assert ws.feedback.evidence("value", "gold").checked == 1
    assert ws.feedback.evidence("value").checked == 2


def test_who_is_checked_by_lot_gives_a_rate_and_who_was_chosen_gives_none(ws) -> None:
    order = [r["customer_id"] for r in ws.feedback.to_check("buyers", limit=26)]
    assert sorted(order) == sorted(GOOD + BAD)
    ws.feedback.add("buyers", "disagree", customer=order[20], by="Ann")
    assert ws.feedback.evidence("buyers").rate is None, "she was looked for"
    for one in order[:4]:
        ws.feedback.add("buyers", "disagree" if one in BAD else "agree", customer=one, by="Ann")
    found = ws.feedback.evidence("buyers")
    assert (found.checked, found.drawn, found.drawn_wrong) == (5, 4, sum(one in BAD for one in order[:4]))
    assert found.rate is not None
    assert found.rate.low < found.rate.value < found.rate.high or found.drawn_wrong in (0, 4)
    assert [r["customer_id"] for r in ws.feedback.to_check("buyers")] == order[4:9]
    ws.feedback.add("buyers", "agree", customer=order[8], by="Ann")
    assert ws.feedback.evidence("buyers").unanswered == 4, "she passed four over"


def test_members_of_one_part_are_drawn_from_its_own_list(ws) -> None:
    order = [r["customer_id"] for r in ws.feedback.to_check("value", "rest", limit=26)]
    for one in order[:3]:
        ws.feedback.add("value", "agree", customer=one, by="Ann")
    assert ws.feedback.evidence("value", "rest").drawn == 3
    whole = ws.feedback.evidence("value")
    assert whole.checked == 3
    assert whole.unanswered < 5, "of the whole list only as far as people came"


def test_where_people_disagree_with_each_other_it_is_disputed(ws) -> None:
    ws.feedback.add("buyers", "disagree", customer="G1", by="Ann")
    ws.feedback.add("buyers", "agree", customer="G1", by="Bob")
    found = ws.feedback.evidence("buyers")
    assert (found.checked, found.wrong, found.disputed) == (1, 0, 1)
    ws.feedback.add("buyers", "disagree", customer="G1", by="Cleo")
    assert ws.feedback.evidence("buyers").wrong == 1


def test_votes_about_merged_customers_are_about_one() -> None:
    def vote(number: int, customer: int, said: str, by: str = "Ann") -> Saying:
        return Saying(number, "a", "a", customer, said, "", False, 1, by, number)  # type: ignore[arg-type]

    from kohort.model.arrival import Link
    from kohort.model.links import roots

    votes = [vote(1, 7, "agree"), vote(2, 9, "disagree"), vote(3, 7, "disagree", "Bob")]
    (one,) = judged(votes, roots([Link("e", 9, 7, 1)], None))
    assert (one.customer, one.verdict, [s.number for s in one.sayings]) == (7, "wrong", [2, 3])
    assert len(judged(votes, NOBODY)) == 2


def test_the_order_by_lot_stays_and_is_another_for_each_segment() -> None:
    keys = np.arange(1, 2001)
    mine = by_lot(keys, "secret", "a")
    assert np.array_equal(mine, by_lot(keys, "secret", "a"))
    assert not np.array_equal(mine, by_lot(keys, "secret", "b"))
    few = keys[keys % 3 > 0]
    kept = [k for k in keys[mine].tolist() if k % 3 > 0]
    assert few[by_lot(few, "secret", "a")].tolist() == kept, "who leaves does not change the order of the others"
    assert abs(np.corrcoef(mine, keys)[0, 1]) < 0.1
    nobody = evidence([], [], keys, mine)
    assert (nobody.checked, nobody.rate, nobody.share) == (0, None, None)


def test_what_separates_them_is_proposed_and_chance_alone_is_not(ws) -> None:
    assert ws.feedback.refinement("buyers") == {"state": "not_enough", "wrong": 0, "belong": 0, "needed": FEWEST}
    for one in GOOD[:10]:
        ws.feedback.add("buyers", "agree", customer=one)
    for one in BAD[:9]:
        ws.feedback.add("buyers", "disagree", customer=one)
    found = ws.feedback.refinement("buyers")
    assert found["state"] == "found"
    assert found["by_chance"] < 0.01
    assert found["wrong_out"]["value"] == found["right_kept"]["value"] == 1.0
    assert found["rule"].startswith("(did('order_line')) and ")
    ws.segments.add("buyers", found["rule"])
    ws.segments.run("buyers")
    assert not set(ws.members("buyers").column("customer_id").to_pylist()) & set(BAD)
    for i, one in enumerate(GOOD + BAD):
        ws.feedback.add("value", "disagree" if i % 2 else "agree", customer=one)
    assert ws.feedback.refinement("value")["state"] == "by_chance"


def test_a_condition_of_the_rule_itself_may_be_what_separates_them(ws) -> None:
    ws.segments.add("either", "did('order_line', at_least => 3) or did('order_line', quantity > 0)")
    ws.segments.run("either")
    for one in GOOD:
        ws.feedback.add("either", "agree", customer=one)
    for one in BAD:
        ws.feedback.add("either", "disagree", customer=one)
    found = ws.feedback.refinement("either")
    assert (found["about"], found["how"]) == ("did('order_line', at_least => 3)", "meets")


def test_at_random_a_proposal_is_as_rare_as_it_says() -> None:
    """The best of 60 conditions on 40 customers, answers without meaning: it is sure in about one of twenty worlds."""
    chance = np.random.default_rng(3)
    sure = 0
    for _ in range(60):
        splits = [Split(f"f{i}", "known", None, chance.random(40) < 0.5) for i in range(60)]
        found = separate(splits, chance.random(40) < 0.4, deals=200)
        sure += found is not None and found.sure
    assert sure <= 9


def test_conditions_come_from_values_of_every_kind() -> None:
    import pyarrow as pa

    from kohort.model.feature import FeatureInfo

    table = pa.table(
        {
            "n": pa.array([1.0, 2.0, None, 1000.0]),
            "t": pa.array(["a", "b", "a", None]),
            "f": pa.array([True, False, True, None]),
        }
    )
    infos = [FeatureInfo("n", "N"), FeatureInfo("t", "T", type="text"), FeatureInfo("f", "F", type="flag")]
    found = {(s.about, s.how, s.value): s.inside.tolist() for s in splits_of(table, infos)}
    assert found["n", "above", 1.0] == [False, True, False, True]
    assert found["n", "at_most", 1.0] == [True, False, False, False]
    assert found["n", "unknown", None] == [False, False, True, False]
    assert found["t", "is", "a"] == [True, False, True, False]
    assert found["t", "is_not", "a"] == [False, True, False, True]
    assert found["f", "is", "true"] == [True, False, True, False]
    assert all(any(inside) and not all(inside) for inside in found.values())


def test_a_vote_becomes_a_decision_by_hand_and_is_undone(ws) -> None:
    with pytest.raises(WrongUsage, match="Nobody said"):
        ws.feedback.take_out("buyers", "B1", by="Ann")
    ws.feedback.add("buyers", "disagree", customer="B1", text="A test order.", by="Ann")
    ws.feedback.take_out("buyers", "B1", by="Bob")
    assert ws.feedback.wrong("buyers")[0]["held"]
    action = ws.store.by_hand.actions("buyers")[-1]
    assert (action["change"], action["note"], action["by"]) == ("removed", "A test order.", "Bob")
    ws.segments.run("buyers")
    (row,) = ws.feedback.wrong("buyers")
    assert (row["inside"], row["held"]) == (False, True)
    assert ws.feedback.evidence("buyers").gone == 1
    ws.feedback.undo("buyers", "B1", by="Bob")
    ws.segments.run("buyers")
    (row,) = ws.feedback.wrong("buyers")
    assert (row["inside"], row["held"]) == (True, False)
    with pytest.raises(WrongUsage, match="not taken out"):
        ws.feedback.undo("buyers", "B1", by="Bob")


def test_how_many_were_checked_is_said_as_it_is() -> None:
    told = {
        "agree": 0,
        "disagree": 0,
        "share": None,
        "members": 4,
        "checked": 4,
        "belong": 3,
        "wrong": 1,
        "disputed": 0,
    }
    told |= {"drawn": 4, "drawn_wrong": 1, "unanswered": 0, "rate": wilson(1, 4), "gone": 0}
    all_of_them = checked(Evidence(**told), "customer")
    assert all_of_them["text"] == "3 belong, 1 does not."
    assert all_of_them["rate"] == "Every customer was checked.", "then nothing is left to chance"
    some = checked(Evidence(**{**told, "members": 40, "disputed": 2}), "customer")
    assert some["text"] == "3 belong, 1 does not, people are divided over 2."
    assert some["rate"].endswith("among all.")
    assert "judged one by one" in checked(Evidence(**told), "account")["head"]


def test_what_was_decided_before_is_not_overwritten(ws) -> None:
    ws.segments.put("value", ["B1"], segment="gold", by="Eve")
    ws.segments.run("value")
    ws.feedback.add("value", "disagree", customer="B1", by="Ann")
    with pytest.raises(WrongUsage, match="decided about this customer"):
        ws.feedback.take_out("value", "B1", by="Ann")


def test_erasing_somebody_takes_what_was_said_about_her_and_what_names_her(ws) -> None:
    (key,) = (int(k) for k in ws.store.vault.known(["B10"]))
    ws.feedback.add("buyers", "disagree", customer="B10", text="A test order.", by="Ann")
    ws.feedback.add("buyers", "comment", text="Like B10, who orders for a school.", by="Ann")
    ws.feedback.add("buyers", "disagree", customer="G1", text="The sister of B10", by="Ann")
    told = ws.privacy.export("B10")["feedback"]
    assert [(t["segment"], t["said"], t["text"]) for t in told] == [("buyers", "disagree", "A test order.")]
    ws.feedback.refinement("buyers")
    receipt = ws.privacy.erase(["B10"])
    assert receipt["stores"]["feedback"] == 1
    assert [(r["customer_id"], r["text"]) for r in ws.feedback.list()] == [("G1", "")]
    raw = (ws.root / "state.db").read_bytes()
    assert b"orders for a school" not in raw
    assert ws.store.verify() == []
    assert short_code(key) not in str(ws.feedback.list())


def test_found_segments_are_talked_about_too(ws) -> None:
    assert ws.feedback.shown() is None
