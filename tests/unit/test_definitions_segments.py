"""Segment definitions in YAML: every kind reads and writes back equal, and one pass names every mistake and its place."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments_diff import diff_text
from kohort.definitions.segments_reading import Source, usable_name
from kohort.definitions.segments_text import (
    circles,
    read_definition,
    read_sources,
    title,
    write_definition,
)
from kohort.definitions.windows import Span
from kohort.definitions.workspace_file import load, parse, save, write
from kohort.definitions.yaml_text import read_yaml, write_yaml
from kohort.errors import RefusedDefinition

HEAD = "name: Toys\nconsent: {marketing: t_newsletter}\naccounts: t_company\n"
EVERY_KIND = """segments:
  loyal: did('order_line', at_least => 3, within => '12 months')
  big:
    rule: sum('order_line').amount >= 1000
    keep: sum('order_line').amount >= 800
    minimum_stay: 14 days
    label: Big customers
    description: Who brings in most
    purpose: marketing
    timezone: Europe/London
    paused: true
  value:
    tiers:
      gold: amount_365d >= 1000
      silver:
        rule: amount_365d >= 200
        keep: amount_365d >= 150
        label: Second best
      bronze: amount_365d > 0
  life:
    stages:
      tester:
        rule: did('page')
        then: [starter, lost]
      starter:
        rule: did('order_line')
        minimum_stay: 7 days
      lost: never('order_line', within => '1 year')
  split:
    buckets:
      test: 50
      hold out:
        share: 12.5
        label: Left alone
    salt: spring
  friends:
    by_hand: true
  mailing:
    rule: t_newsletter
    profiling: false
  busy accounts:
    accounts:
      any: did('page')
  2024: in_segment('big') and in_segment('value', 'gold')
"""


def mistakes(text: str) -> list[dict[str, object]]:
    with pytest.raises(RefusedDefinition) as refused:
        parse(HEAD + text)
    return list(refused.value.mistakes)


def only(text: str) -> dict[str, object]:
    found = mistakes(text)
    assert len(found) == 1, [m["message"] for m in found]
    return found[0]


def test_every_kind_is_read() -> None:
    config = parse(HEAD + EVERY_KIND)
    kinds = {d.name: d.kind for d in config.segments}
    assert kinds == {
        "loyal": "rule",
        "big": "rule",
        "value": "tiers",
        "life": "stages",
        "split": "buckets",
        "friends": "by_hand",
        "mailing": "rule",
        "busy accounts": "accounts",
        "2024": "rule",
    }
    by_name = {d.name: d for d in config.segments}
    big = by_name["big"]
    assert (big.label, big.purpose, big.zone, big.paused) == ("Big customers", "marketing", "Europe/London", True)
    assert big.parts[0].minimum_stay == Span(14, "day")
    assert big.parts[0].keep is not None
    assert big.parts[0].keep.rule == parse_rule("sum('order_line').amount >= 800")
    assert [p.key for p in by_name["value"].parts] == ["gold", "silver", "bronze"]
    assert by_name["life"].parts[0].then == ("starter", "lost")
    assert [float(p.share or 0) for p in by_name["split"].parts] == [50, 12.5]
    assert by_name["busy accounts"].quantifier == "any"
    assert [name for name, d in by_name.items() if not d.profiles] == ["split", "friends", "mailing"]
    assert config.segment_settings.accounts == "t_company"


def test_written_text_reads_back_equal_and_is_what_a_person_would_write() -> None:
    config = parse(HEAD + EVERY_KIND)
    assert parse(write(config)) == config
    assert EVERY_KIND.replace("  2024:", "  '2024':").replace("[starter, lost]", "\n        - starter\n        - lost")[
        :200
    ] in write(config)
    for definition in config.segments:
        assert read_definition(write_definition(definition)) == definition


def test_a_consent_trait_may_be_written_without_its_prefix() -> None:
    assert parse("name: T\nconsent: {mail: newsletter}").consent == {"mail": "t_newsletter"}


def test_a_consent_is_a_flag() -> None:
    source = "sources: {people: {kind: customers, columns: {customer: id}, properties: {country: text, mail: flag}}}"
    assert parse(f"name: T\n{source}\nconsent: {{ads: mail}}").consent == {"ads": "t_mail"}
    with pytest.raises(RefusedDefinition, match="t_country is a text; a consent is a flag"):
        parse(f"name: T\n{source}\nconsent: {{ads: country}}")


def test_an_account_is_told_by_a_text() -> None:
    source = "sources: {people: {kind: customers, columns: {customer: id}, properties: {firm: text, size: number}}}"
    assert parse(f"name: T\n{source}\naccounts: t_firm").accounts == "t_firm"
    with pytest.raises(RefusedDefinition, match="t_size is a number; an account is told by its name"):
        parse(f"name: T\n{source}\naccounts: t_size")


def test_every_mistake_of_a_file_is_told_in_one_pass() -> None:
    found = mistakes(
        """segments:
  a: {ruel: did('page')}
  b: {rule: did('page'), tiers: {x: did('page')}}
  c: {buckets: {x: 60, y: 41}}
  d: {tiers: {}}
  e: {stages: {x: {rule: did('page'), then: [z]}}}
  f/g: did('page')
  h: did('page',
  i: {rule: did('page'), minimum_stay: 3, purpose: profiling}
  j: {by_hand: false}
  k: {accounts: {some: did('page')}}
  l: {rule: ''}
  m: {buckets: {x: 0}}
  n: {rule: did('page'), salt: x}
  o: {tiers: {x: did('page')}, keep: did('page')}
  p: 3
  q: {rule: true}
"""
    )
    text = "\n".join(f"{m['line']} {m['key']}: {m['message']} {m['hint']}" for m in found)
    lines = {int(str(m["line"])) for m in found}
    assert lines == set(range(5, 21)), text
    assert "'ruel' is not known here. Did you mean 'rule'?" in text
    assert "this one has rule and tiers" in text
    assert "The shares add up to 101 percent." in text
    assert "No stage is called 'z'." in text
    assert "'f/g' is not a usable name." in text
    assert "minimum_stay needs a length with its unit." in text
    assert "the consent for 'profiling'. Did you" not in text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("s: {rule: 'did(page,'}", "(page,"),
        ("s:\n    rule: >-\n      did('page')\n      and nonsense(3)", "nonsense(3)"),
        ("s: \"did('page') and nonsense(3)\"", "nonsense(3)"),
        ("s: 'did(''page'') and nonsense(3)'", "nonsense(3)"),
        ("s:\n    rule: |\n      did('page')\n        and nonsense(3)", "nonsense(3)"),
        ("s: did('page')\n    and nonsense(3)", "nonsense(3)"),
    ],
)
def test_the_place_inside_a_rule_is_found_however_it_is_quoted(written: str, shown: str) -> None:
    text = f"name: T\nsegments:\n  {written}\n"
    with pytest.raises(RefusedDefinition) as refused:
        parse(text)
    (mistake,) = refused.value.mistakes
    start, end = int(str(mistake["start"])), int(str(mistake["end"]))
    assert start < end
    assert text[start:end] in shown or shown in text[start:end]
    assert text.splitlines()[int(str(mistake["line"])) - 1] == mistake["excerpt"]
    assert shown.partition("(")[0] in str(mistake["excerpt"])[int(str(mistake["column"])) - 1 :]


def test_circles_are_told_once_with_the_way_round() -> None:
    found = only("segments:\n  a: in_segment('c')\n  b: in_segment('a')\n  c: did('page') and not in_segment('b')\n")
    assert found["code"] == "cyclic_reference"
    assert "a → c → b → a" in str(found["message"])
    assert only("segments:\n  a: in_segment('a')\n")["line"] == 5
    diamond = "segments:\n  a: did('page')\n  b: in_segment('a')\n  c: in_segment('a')\n  d: in_segment('b') or in_segment('c')\n"
    assert len(parse(HEAD + diamond).segments) == 4


def test_all_circles_are_found() -> None:
    assert circles({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["e"], "e": ["c"], "f": ["a", "g"], "g": []}) == [
        ("a", "b"),
        ("c", "d", "e"),
    ]


def test_accounts_are_no_customers() -> None:
    found = only("segments:\n  a: {accounts: {all: did('page')}}\n  b: in_segment('a')\n")
    assert "are accounts, not customers" in str(found["message"])
    with pytest.raises(RefusedDefinition, match="which account a customer belongs to"):
        parse("name: T\nsegments: {a: {accounts: {all: did('page')}}}")


def test_names_are_one_name_where_people_see_one() -> None:
    assert "large and small letters only" in str(only("segments:\n  Vip: did('page')\n  vip: did('page')\n")["message"])
    assert [usable_name(n) for n in ("Køb 3", "a-b_c", "x" * 60, "x" * 61, "", " ", "-", "a  b", "a\u200bb", "e\u0301")] == [
        True, True, True, False, False, False, False, False, False, False,
    ]  # fmt: skip


def test_a_folder_holds_definitions_too(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "kohort.yaml").write_text("name: T\nsegments:\n  a: did('page')\n")
    (tmp_path / "segments" / "shop.yaml").write_text("# ours\nb: in_segment('a')\nc: {by_hand: true}\n")
    config = load(tmp_path)
    assert [d.name for d in config.segments] == ["a", "b", "c"]
    assert config.files == {"b": "segments/shop.yaml", "c": "segments/shop.yaml"}
    save(config, tmp_path)
    assert load(tmp_path) == config
    assert (tmp_path / "segments" / "shop.yaml").read_text().startswith("# ours"), "nothing changed in it"
    assert "in_segment" not in (tmp_path / "kohort.yaml").read_text()


def test_a_name_of_two_files_and_mistakes_of_both_are_told_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "kohort.yaml").write_text("name: T\nsegments:\n  a: did('page'\n")
    (tmp_path / "segments" / "x.yaml").write_text("b: did('page')\nc: {by_hand: no}\n")
    (tmp_path / "segments" / "y.yaml").write_text("b: did('page')\na: did('page')\n")
    with pytest.raises(RefusedDefinition) as refused:
        load(tmp_path)
    told = {(m["file"], m["line"]) for m in refused.value.mistakes}
    assert told == {("kohort.yaml", 3), ("segments/x.yaml", 2), ("segments/y.yaml", 1), ("segments/y.yaml", 2)}


def test_circles_go_through_files() -> None:
    with pytest.raises(RefusedDefinition, match="a → b → a"):
        parse("name: T\nsegments: {a: in_segment('b')}", {"segments/x.yaml": "b: in_segment('a')"})


def test_one_document_alone_is_read_like_a_file_of_the_folder() -> None:
    document = read_yaml("a: did('page')\nb: {by_hand: true}", "mine.yaml")
    ((first, second),) = read_sources([Source(document, document.data, ())])
    assert (first.name, second.kind, document.mistakes) == ("a", "by_hand", [])


def test_engine_and_spark_are_settings() -> None:
    config = parse("name: T\nengine: spark\nspark: spark://host:7077")
    assert (config.engine, config.spark) == ("spark", "spark://host:7077")
    assert parse(write(config)) == config
    for wrong in ("engine: polars", "spark: 'rm -rf /'", "accounts: company", "consent: {a: 'b c'}"):
        with pytest.raises(RefusedDefinition):
            parse(f"name: T\n{wrong}")


def test_what_changed_is_said_in_words() -> None:
    old = """value:
  tiers:
    gold: amount_365d >= 1000 and did('page', within => '30 days')
    silver: {rule: amount_365d >= 200, keep: amount_365d >= 150}
    bronze: amount_365d > 0
"""
    new = """value:
  tiers:
    gold: amount_365d >= 1200 and recency_days <= 60
    bronze: {rule: amount_365d > 0, minimum_stay: 7 days}
    silver: {rule: amount_365d >= 200, keep: amount_365d >= 150}
    copper: amount_365d = 0
  purpose: marketing
"""
    assert diff_text(old, new).splitlines() == [
        "Purpose: none is now marketing",
        "gold: rule: amount_365d >= 1000 is now amount_365d >= 1200",
        "gold: rule: removed did('page', within => '30 days')",
        "gold: rule: added recency_days <= 60",
        "bronze: minimum stay: none is now 7 days",
        "copper: added with amount_365d = 0",
        "Order: gold, silver, bronze is now gold, bronze, silver",
    ]
    assert diff_text(old, old) == ""


def test_a_change_of_and_and_or_is_told_whole() -> None:
    said = diff_text("a: orders > 1 and visits > 2", "a: orders > 1 or visits > 2")
    assert said == "Rule: conditions are combined anew: orders > 1 or visits > 2"
    said = diff_text("a: did('page') and orders > 1", "a: orders > 2 and did('page', at_least => 2)")
    assert said.splitlines() == [
        "Rule: orders > 1 is now orders > 2",
        "Rule: did('page') is now did('page', at_least => 2)",
    ]
    deeper = diff_text("a: orders > 1 and visits > 2", "a: not (orders > 1 and visits > 2)")
    assert deeper.startswith("Rule: conditions are combined anew: not (")


def test_what_a_version_takes_from_elsewhere_is_compared_too() -> None:
    old = "a: orders > 1\n# orders: count of events\n# time zone: UTC\n"
    new = "a: orders > 1\n# orders: count of events where amount > 0\n# time zone: UTC\n"
    assert diff_text(old, new) == "orders: count of events is now count of events where amount > 0"


def test_texts_that_can_no_longer_be_read_are_compared_by_line() -> None:
    assert "+a: orders > 2" in diff_text("a: {{{", "a: orders > 2")


def test_titles() -> None:
    assert (title("big_spenders"), title("VIP"), title("x", "Very best")) == ("Big spenders", "VIP", "Very best")


REMARKS = """# the shop
name: T   # what it is called
segments:
  # who matters most
  vip: did('order_line')   # since May

  # two tiers
  value:
    tiers:
      gold: orders >= 3   # many
      other: orders >= 1

  # the end
features:
  orders: {count: events}   # all of them
"""


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ({"vip": "did('page')"}, REMARKS.replace("vip: did('order_line')   # since May", "vip: did('page')")),
        ({"new": {"by_hand": True}}, REMARKS.replace(">= 1\n", ">= 1\n  new:\n    by_hand: true\n")),
        ({"vip": None}, REMARKS.replace("  vip: did('order_line')   # since May\n", "")),
        ({"value": None, "vip": "orders > 1"}, None),
    ],
)
def test_only_what_changes_is_written_anew(edits: dict[str, object], expected: str | None, tmp_path: Path) -> None:
    (tmp_path / "kohort.yaml").write_text(REMARKS)
    config = load(tmp_path)
    kept = {d.name: d for d in config.segments}
    for name, body in edits.items():
        kept[name] = read_definition(write_yaml({name: body})) if body else kept.pop(name)
        if body is None:
            del kept[name]
    changed = replace(config, segments=tuple(kept.values()))
    save(changed, tmp_path)
    text = (tmp_path / "kohort.yaml").read_text()
    assert load(tmp_path) == changed
    assert "# the shop" in text
    assert "# all of them" in text
    assert expected is None or text == expected


def test_where_the_text_cannot_be_kept_the_meaning_is(tmp_path: Path) -> None:
    for text in (
        "{name: T, segments: {a: did('page')}}",
        "name: T\nsegments: {a: did('page')}",
        "name: T",
        "name: T\nsegments:\n",
    ):
        (tmp_path / "kohort.yaml").write_text(text)
        config = load(tmp_path)
        for segments in (
            (read_definition("b: did('page')"),),
            (*config.segments, read_definition("b: orders > 1")),
            (),
        ):
            save(replace(config, segments=segments), tmp_path)
            assert load(tmp_path).segments == segments


def test_random_edits_keep_meaning_and_remarks(tmp_path: Path) -> None:
    rng = Random(11)
    file = tmp_path / "kohort.yaml"
    file.write_text(REMARKS)
    for number in range(60):
        config = load(tmp_path)
        kept = {d.name: d for d in config.segments}
        name = rng.choice([*kept, f"s{number}"])
        if rng.random() < 0.3 and len(kept) > 1:
            kept.pop(name, None)
        else:
            body = rng.choice(["did('page')", {"by_hand": True}, {"tiers": {"x": f"orders > {number}", "y": "did(*)"}}])
            kept[name] = read_definition(write_yaml({name: body}))
        changed = replace(config, segments=tuple(kept.values()))
        save(changed, tmp_path)
        assert load(tmp_path) == changed
        assert file.read_text().startswith("# the shop\nname: T   # what it is called\n")
        assert "# all of them" in file.read_text()
