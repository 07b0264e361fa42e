"""Segments of a workspace in Python: text in, members out, with the company's own numbers and nothing guessed."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import kohort
from kohort.definitions.workspace_file import load
from kohort.errors import NotEnough, NotFound, RefusedDefinition, UnknownCustomer, WrongUsage
from kohort.workspace.people import short_code

ORDERS = """order,customer,date,product,quantity,price
1,K1,2024-01-02,mug,2,10
2,K2,2024-01-03,pan,1,25
3,K1,2024-03-01,mug,1,10
4,K3,2024-03-05,cup,1,5
5,K1,2024-04-01,mug,1,90
6,K4,2024-04-02,cup,3,5
"""
PEOPLE = """customer,newsletter,company,plan
K1,true,Acme,gold
K2,false,Acme,free
K3,true,Bolt,free
K4,,Bolt,free
"""
LOYAL = "did('order_line', at_least => 2)"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("segments")
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "people.csv").write_text(PEOPLE)
    with kohort.create(folder / "shop", currency="GBP") as ws:
        ws.ingest(folder / "orders.csv")
        ws.ingest(folder / "people.csv", kind="customers")
    return folder / "shop"


@pytest.fixture
def ws(made: Path, tmp_path: Path):
    """The same data for every test, in a workspace of its own."""
    shutil.copytree(made, tmp_path / "shop")
    with kohort.open(tmp_path / "shop") as opened:
        yield opened


def who(ws: kohort.Workspace, name: str, as_of: str | None = None) -> set[str]:
    return set(ws.members(name, as_of).column("customer_id").to_pylist())


def settings(ws: kohort.Workspace, **more: object) -> None:
    ws.change(lambda config: replace(config, **more))


def test_a_rule_becomes_a_segment_with_members(ws) -> None:
    ws.segments.add("loyal", LOYAL)
    with pytest.raises(NotEnough, match="not run yet"):
        ws.members("loyal")
    report = ws.segments.run()
    assert [(o.name, o.result, o.size) for o in report.outcomes] == [("loyal", "published", 1)]
    assert ws.members("loyal").to_pylist() == [
        {"customer_id": "K1", "segment": "Loyal", "since": ws.members("loyal")["since"][0].as_py(),
         "confidence": None, "reason": "rule"}
    ]  # fmt: skip
    assert (ws.root / "kohort.yaml").read_text().endswith(f"segments:\n  loyal: {LOYAL}\n")


def test_every_kind_has_members_and_parts_are_found_by_name(ws) -> None:
    settings(ws, consent={"mail": "t_newsletter"}, accounts="t_company")
    ws.segments.add("value", {"tiers": {"gold": "sum('order_line').amount >= 50", "other": "did('order_line')"}})
    ws.segments.add("life", {"stages": {"new": "did('order_line', at_most => 1)", "old": "did('order_line')"}})
    ws.segments.add("split", {"buckets": {"a": 50, "b": 50}})
    ws.segments.add("friends", {"by_hand": True, "label": "Our friends"})
    ws.segments.add("firms", {"accounts": {"any": "did('order_line', at_least => 2)"}})
    ws.segments.add("mail", {"rule": "did('order_line')", "purpose": "mail"})
    ws.segments.put("friends", ["K2"], note="met at the fair")
    assert not ws.segments.run().failed
    assert who(ws, "value/gold") == who(ws, "Gold") == {"K1"}
    assert who(ws, "value") == {"K1", "K2", "K3", "K4"}
    assert who(ws, "life/new") == {"K2", "K3", "K4"}
    assert who(ws, "split/a") | who(ws, "split/b") == {"K1", "K2", "K3", "K4"}
    assert who(ws, "friends") == {"K2"}
    assert ws.members("friends").to_pylist()[0]["segment"] == "Our friends"
    assert who(ws, "firms") == {"Acme"}
    assert who(ws, "mail") == {"K1", "K3"}
    kinds = {d.name: (d.kind, d.size) for d in ws.segments.list()}
    assert kinds["firms"] == ("accounts", 1)
    assert ws.segments.describe("mail").purpose == "mail"


def test_moments_before_the_first_run_are_answered_by_the_definition_of_now(ws) -> None:
    ws.segments.add("loyal", LOYAL)
    assert who(ws, "loyal", "2024-02-01") == set()
    assert who(ws, "loyal", "2024-03-31") == {"K1"}
    ws.segments.run(as_of="2024-03-31")
    ws.segments.add("loyal", "did('order_line')")
    ws.segments.run(as_of="2024-04-30")
    assert who(ws, "loyal", "2024-04-01") == {"K1"}, "by the definition that was in force then"
    assert who(ws, "loyal") == {"K1", "K2", "K3", "K4"}
    assert who(ws, "loyal", "2024-01-31") == {"K1", "K2"}, "before any run: the definition of now"


def test_a_refused_rule_says_everything_and_changes_nothing(ws) -> None:
    before = (ws.root / "kohort.yaml").read_text()
    text = "recency_dys <= 60 and order > 3 and did('order_line', at_least => 0)"
    with pytest.raises(RefusedDefinition) as refused:
        ws.segments.add("bad", text)
    assert [text[int(m["start"]) : int(m["end"])] for m in refused.value.mistakes] == [
        "recency_dys",
        "order",
        "did('order_line', at_least => 0)",
    ]
    assert (ws.root / "kohort.yaml").read_text() == before
    for name, body in (("a/b", LOYAL), ("x", {"tiers": {}}), ("x", 3), ("x", {"rule": LOYAL, "keep": object()})):
        with pytest.raises(RefusedDefinition):
            ws.segments.add(name, body)


def test_segments_refer_to_each_other_but_not_in_a_circle(ws) -> None:
    ws.segments.add("a", LOYAL)
    ws.segments.add("b", "in_segment('a') and t_plan = 'gold'")
    ws.segments.run()
    assert who(ws, "b") == {"K1"}
    with pytest.raises(RefusedDefinition, match=r"a → b → a|b → a → b"):
        ws.segments.add("a", "in_segment('b')")
    with pytest.raises(WrongUsage, match="'a' is used by b"):
        ws.segments.remove("a")
    assert ws.segments.describe("a").used_by == ("b",)
    ws.segments.remove("b")
    ws.segments.remove("a")
    assert load(ws.root).segments == ()
    with pytest.raises(NotFound):
        ws.members("a")


def test_what_is_defined_no_more_can_still_be_removed(ws) -> None:
    ws.segments.add("loyal", LOYAL)
    ws.segments.run()
    settings(ws, segments=())
    assert [(d.name, d.kind) for d in ws.segments.list()] == [("loyal", "gone")]
    assert who(ws, "loyal") == {"K1"}, "nobody leaves because a line was deleted"
    ws.segments.remove("loyal")
    assert ws.segments.list() == ()
    with pytest.raises(NotFound):
        ws.segments.remove("loyal")


def test_two_who_define_at_once_both_succeed(ws) -> None:
    def define(first: int) -> None:
        with kohort.open(ws.root) as mine:
            for number in range(first, first + 4):
                mine.segments.add(f"s{number}", f"did('order_line', at_least => {number})")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(define, (1, 11)))
    assert {d.name for d in ws.config.segments} == {f"s{n}" for n in (*range(1, 5), *range(11, 15))}


def test_a_dry_run_names_customers_and_writes_nothing(ws) -> None:
    ws.segments.add("loyal", LOYAL)
    ws.segments.run()
    before = (ws.root / "kohort.yaml").read_text()
    effect = ws.segments.dry_run("loyal", "did('order_line', at_least => 4)")
    assert (effect.edited.by_edit.entered, effect.edited.by_edit.left) == (0, 1)
    assert effect.edited.parts[0].leaving_sample == ("K1",)
    assert (ws.root / "kohort.yaml").read_text() == before
    assert who(ws, "loyal") == {"K1"}


def test_versions_are_compared_in_words(ws) -> None:
    ws.segments.add("big", "sum('order_line').amount >= 50")
    with pytest.raises(NotEnough, match="not run yet"):
        ws.segments.diff("big")
    ws.segments.run()
    with pytest.raises(NotEnough, match="one version"):
        ws.segments.diff("big")
    ws.segments.add("big", "sum('order_line').amount >= 20 and t_plan = 'free'")
    said = "Rule: sum('order_line').amount >= 50 is now sum('order_line').amount >= 20\nRule: added t_plan = 'free'"
    assert ws.segments.diff("big") == said, "what kohort.yaml says beside what members follow"
    ws.segments.run()
    assert ws.segments.diff("big") == said
    assert ws.segments.diff("big", 1, 2) == said
    assert ws.segments.diff("big", 2, 1).splitlines()[0].endswith("amount >= 50")
    with pytest.raises(NotFound):
        ws.segments.diff("big", 2, 3)
    assert [r["version"] for r in ws.segments.history("big")] == [1, 2]


def test_why_names_what_is_missing_and_what_is_so(ws) -> None:
    ws.segments.add("loyal", LOYAL)
    ws.segments.run()
    found = ws.segments.why("loyal", "K3")
    assert not found.member
    assert found.as_dict()["conditions"][0]["true"] is False
    assert ws.segments.why("loyal", "K1").member
    assert ws.segments.why("loyal", "K1", as_of="2024-02-01").member is False
    with pytest.raises(UnknownCustomer, match=r"^No customer has this number\."):
        ws.segments.why("loyal", "somebody@example.org")


def test_unknown_customers_are_counted_not_named(ws) -> None:
    ws.segments.add("friends", {"by_hand": True})
    with pytest.raises(UnknownCustomer) as refused:
        ws.segments.put("friends", ["K1", "eve@example.org", "K2", "K9"])
    assert refused.value.positions == (2, 4)
    assert "eve" not in str(refused.value)
    ws.segments.run()
    assert who(ws, "friends") == set(), "nobody is put in where somebody is unknown"
    (key,) = ws.store.vault.known(["K1"])
    ws.segments.put("friends", [short_code(int(key))])
    ws.segments.run()
    assert who(ws, "friends") == {"K1"}, "the code that stands for a hidden number works too"


def test_decisions_by_hand_beat_the_rule_until_reset(ws) -> None:
    ws.segments.add("loyal", LOYAL)
    ws.segments.put("loyal", ["K2"])
    ws.segments.take_out("loyal", ["K1"])
    ws.segments.run()
    assert who(ws, "loyal") == {"K2"}
    assert ws.segments.history("loyal", "K2")[0]["reason"] == "by hand"
    ws.segments.reset("loyal", ["K1", "K2"])
    ws.segments.run()
    assert who(ws, "loyal") == {"K1"}
    with pytest.raises(NotFound):
        ws.segments.put("nothing", ["K1"])


def test_accounts_are_put_in_by_their_name(ws) -> None:
    settings(ws, accounts="t_company")
    ws.segments.add("firms", {"accounts": {"all": "did('order_line', at_least => 9)"}})
    ws.segments.put("firms", ["Bolt"])
    with pytest.raises(UnknownCustomer, match="No account has this name"):
        ws.segments.put("firms", ["Nobody Ltd"])
    ws.segments.run()
    assert who(ws, "firms") == {"Bolt"}
    assert ws.segments.history("firms", "Bolt")[0]["reason"] == "by hand"


def test_a_name_that_parts_of_several_definitions_have_is_not_guessed(ws) -> None:
    ws.segments.add("value", {"tiers": {"gold": "sum('order_line').amount >= 50", "other": "did('order_line')"}})
    ws.segments.add("plan", {"tiers": {"gold": "t_plan = 'gold'", "free": "t_plan = 'free'"}})
    ws.segments.run()
    with pytest.raises(WrongUsage, match="2 parts are called 'Gold'") as refused:
        ws.members("Gold")
    assert refused.value.hint == "Write one of: value/gold, plan/gold."
    assert who(ws, "plan/Gold") == {"K1"}
    assert who(ws, "free") == {"K2", "K3", "K4"}


def test_a_preview_counts_conditions_and_shows_customers(ws) -> None:
    found = ws.segments.preview(rule="did('order_line', at_least => 2) and t_plan = 'gold'").as_dict()
    assert (found["size"], found["universe"], found["parts"][0]["sample"]) == (1, 4, ("K1",))
    assert [c["size"] for c in found["conditions"]] == [1, 1, 1]
    assert ws.segments.preview(rule="did('pgae')").never_observed[0].name == "pgae"
    ws.segments.add("loyal", LOYAL)
    ws.segments.run()
    (same,) = ws.segments.preview_overlap(rule=LOYAL)
    assert (same.name, same.both, same.jaccard) == ("loyal", 1, 1.0)
    with pytest.raises(WrongUsage):
        ws.segments.preview()


def test_movement_needs_two_moments(ws) -> None:
    ws.segments.add("value", {"tiers": {"gold": "sum('order_line').amount >= 50", "other": "did('order_line')"}})
    ws.segments.run(as_of="2024-03-31")
    with pytest.raises(NotEnough):
        ws.segments.movement("value")
    ws.segments.run(as_of="2024-04-30")
    (one,) = ws.segments.movement("value", "2024-03-31", "2024-04-30")
    assert (one.entered, one.moved, one.stayed) == (1, 1, 2)
    assert {(c.source, c.target): c.customers for c in one.cells}["other", "gold"] == 1


def test_overlap_compares_segments_of_every_kind(ws) -> None:
    ws.segments.add("a", LOYAL)
    ws.segments.add("b", "did('order_line')")
    ws.segments.run()
    (pair,) = ws.segments.overlap("a").pairs
    assert (pair.both, pair.share_of_first, pair.share_of_second) == (1, 1.0, 0.25)


def test_rules_are_said_and_heard(ws) -> None:
    for language in ("en", "nl", "da", "de"):
        said = ws.segments.say(LOYAL, language)
        assert ws.segments.hear(said, language) == LOYAL
    checked = ws.segments.check("NOT (did('pgae'))")
    assert (checked["text"], checked["never_observed"]) == ("not did('pgae')", ["pgae"])


def test_a_definition_stays_in_the_file_it_came_from(ws) -> None:
    folder = ws.root / "segments"
    folder.mkdir()
    (folder / "mine.yaml").write_text(f"loyal: {LOYAL}\n")
    ws.segments.add("other", "did('order_line')")
    ws.segments.add("loyal", "did('order_line', at_least => 3)")
    assert (folder / "mine.yaml").read_text() == "loyal: did('order_line', at_least => 3)\n"
    assert "loyal" not in (ws.root / "kohort.yaml").read_text()
    ws.rename("loyal", "loyal", "Very loyal")
    assert "label: Very loyal" in (folder / "mine.yaml").read_text()
    ws.segments.remove("loyal")
    assert not (folder / "mine.yaml").exists()


def test_parts_are_renamed_without_changing_their_keys(ws) -> None:
    ws.segments.add("value", {"tiers": {"gold": "sum('order_line').amount >= 50"}})
    ws.segments.add("two", {"tiers": {"gold": "did('order_line', at_least => 2)", "rest": "did('order_line')"}})
    ws.rename("two", "Gold", "Best")
    definition = ws.segments.definition("two")
    assert [(p.key, p.label) for p in definition.parts] == [("gold", "Best"), ("rest", "")]
    with pytest.raises(NotFound):
        ws.rename("two", "silver", "x")
    with pytest.raises(RefusedDefinition):
        ws.rename("two", "gold", "x" * 61)


def test_segments_are_read_from_text_in_every_spelling(ws) -> None:
    for text in (LOYAL, f"rule: {LOYAL}", f"loyal: {LOYAL}", f"loyal:\n  rule: {LOYAL}"):
        assert ws.segments.read(text, name="loyal").parts[0].rule.text == LOYAL
    with pytest.raises(WrongUsage, match="does not define"):
        ws.segments.read(f"other: {LOYAL}", name="loyal")
    with pytest.raises(WrongUsage, match="holds 2 definitions"):
        ws.segments.read(f"a: {LOYAL}\nb: {LOYAL}", name="a")
    with pytest.raises(RefusedDefinition) as refused:
        ws.segments.read("tiers:\n  gold: nonsense >= 3\n", name="value", file="value.yaml")
    (mistake,) = refused.value.mistakes
    assert (mistake["file"], mistake["line"], mistake["excerpt"]) == ("value.yaml", 2, "  gold: nonsense >= 3")


def test_adopted_segmentations_stand_beside_segments_of_your_own(tmp_path) -> None:
    rows = [f"C{i},{i % 2 * 50 + i % 7}" for i in range(60)]
    (tmp_path / "people.csv").write_text("\n".join(["customer_id,age", *rows]))
    with kohort.create(tmp_path / "people") as people:
        people.ingest(tmp_path / "people.csv", kind="customers")
        people.discover(k=2)
        people.adopt("Main")
        main = who(people, "Main/s1")
        people.segments.add("mine", "in_segment('Main', 's1') and age >= 0")
        people.segments.run()
        assert who(people, "mine") == main != set()
        with pytest.raises(NotEnough):  # nothing has changed since
            people.segments.diff("mine")
        assert {d.name: d.kind for d in people.segments.list()} == {"mine": "rule", "Main": "found"}
        for wrong in (
            lambda: people.segments.remove("Main"),
            lambda: people.segments.preview("Main"),
        ):
            with pytest.raises(WrongUsage, match="found and adopted"):
                wrong()
        member = min(main)
        found = people.segments.why("Main", member)
        assert found.member
        assert found.segment == "s1"
        assert found.text
        other = min(who(people, "Main") - main)
        elsewhere = people.segments.why("Main", other, part="s1")
        assert elsewhere.segment != "s1"
        assert elsewhere.asked.true is False
        with pytest.raises(RefusedDefinition, match="'Main' is an adopted segmentation"):
            people.segments.add("Main", "age > 3")
        with pytest.raises(RefusedDefinition, match="s9"):
            people.segments.add("other", "in_segment('Main', 's9')")
        assert who(people, "Main/s1") == main


def test_a_segment_that_cannot_be_read_stops_no_other_and_keeps_its_members(ws) -> None:
    ws.segments.add("broken", "did(*)")
    ws.segments.add("sound", "did(*)")
    ws.segments.run()
    before = who(ws, "broken")
    file = ws.root / "kohort.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("broken: did(*)", "broken: did(*) and"), encoding="utf-8")
    with kohort.open(ws.root) as again:
        report = again.segments.run()
        assert report.of("sound").result == "published"
        assert (report.of("broken").result, report.of("broken").code) == ("failed", "refused_definition")
        assert "line " in report.of("broken").error
        assert set(again.store.members.current("broken").column("customer").to_pylist()) != set()
        assert len(again.store.members.current("broken")) == len(before)
        line = again.segments.describe("broken")
        assert line.kind == "unread"
        assert line.size == len(before)
        with pytest.raises(RefusedDefinition) as refused:
            again.segments.add("another", "did(*)")
        assert "broken" in str(refused.value)
    assert "broken: did(*) and" in file.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    with kohort.open(ws.root) as again:
        assert again.segments.run("broken").of("broken").result == "published"
        assert not again.segments.describe("broken").status.error
