"""Rules written by mistake or with intent: refused with a code and a place, or read as exactly what they say.

Mutations of valid rules, soups of words, SQL injection, nesting, long lists, odd letters: whatever is accepted is
written back to an equal rule, in text and in JSON, and goes through the checks; nothing else may happen, and soon. What
the checks accept, the naive evaluator answers, so that no accepted text means something that cannot be computed.
"""

import json
import string
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from types import FrameType

import pytest

from kohort.definitions.rules import (
    check_rule,
    format_rule,
    parse_rule,
    rule_from_json,
    rule_to_json,
    vocabulary_of,
)
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.engines.segments import evaluate
from kohort.errors import RefusedDefinition
from kohort.model.event import Event
from kohort.testing.naive_rules import judge
from kohort.testing.random_rules import FEATURES, RULE_COLUMNS, random_rule, random_rule_world

KNOWN = vocabulary_of(FEATURES, RULE_COLUMNS, adopted={"vip": ("vip",)}, scores=["churn"])
_CODES = """empty bad_rule not_allowed bad_character too_long too_deep too_many bad_name bad_value bad_count bad_window
bad_arguments missing_option unknown_option unknown_function unknown_name unknown_column unknown_segment unknown_score
wrong_type"""
CODES = frozenset(_CODES.split())
HAND_WRITTEN = (
    "did('order_line', line_kind = 'goods' and amount > 10, at_least => 3, within => '30 days')",
    "sum('order_line', within => '365 days').amount >= 500 and t_country not in ('DE', 'AT')",
    "sequence(did('cart', within => '30 days'), never('order_line'), within => '1 day')",
    "month(t_joined) = month(now()) or days_unchanged(t_plan) >= 30 and score('churn') > 0.5",
    "has_any(t_tags, 'a', 'b') and t_tags[1] = 'x' and exactly(t_plan) = 'aB' and in_segment('vip')",
    "distance_km(t_lat, t_lon, 55.67, 12.57) <= 10 and not (t_age between 18 and 25)",
    "stopped('page', within => '1 year', recent => '90 days') or in_periods(*, at_least => 3, of => 6, period => 'week')",
)
ATTACKS = (
    "'; drop table events; --",
    "' or '1' = '1",
    "' or 1=1 --",
    "1; attach 'x.db'",
    "(select 1)",
    "(select password from users limit 1)",
    "') union select * from events --",
    "read_csv('/etc/passwd')",
    "read_text('/etc/passwd')",
    "getenv('HOME')",
    "system('id')",
    "pg_sleep(10)",
    "copy events to 'x'",
    "load_extension('x')",
    "install httpfs",
    "pragma version",
    "set memory_limit = '1TB'",
    "x::blob",
    "cast(t_age as text)",
    "try_cast(t_age as text)",
    "case when 1=1 then t_age end",
    "exists(select * from events)",
    "t_age in (select customer from events)",
    "t_age = any(select 1)",
    "current_setting('x')",
    "$$ x $$",
    "$1",
    ":name",
    "@@version",
    "{{ 7 * 7 }}",
    "${jndi:ldap://x}",
    "__import__('os').system('id')",
    "eval('1')",
    "x'41'",
    "e'\\x41'",
    "U&'d\\0061t'",
    "/* c */ t_age > 1",
    "t_age > 1 -- c",
    "t_age > 1 # c",
    "/*! t_age > 1 */",
    "/*+ hint */",
    "t_age > 1 into outfile 'x'",
    "t_age > 1 order by 1",
    "t_age > 1 limit 1",
    "t_age over (partition by 1)",
    "lambda x: x",
    "x -> x + 1",
    "[x for x in t_tags]",
    "t_age ilike 'a%'",
    "t_plan ~ '(a+)+$'",
    "t_plan similar to 'a'",
    "t_plan like 'a' escape '\\'",
    "t_plan collate nocase = 'a'",
    "t_joined at time zone 'UTC' = t_joined",
    "interval '1' day > t_age",
    "date '2020-01-01' < t_joined",
    "events.customer = 1",
    "main.events.t_age > 1",
    "columns('*') > 1",
    "t_age not null",
    "t_age isnull",
    "t_age is not distinct from 1",
    "not exists (t_age)",
    "filter(t_tags, x -> x)",
    "unnest(t_tags) = 'a'",
    "t_tags[1:2] = 'a'",
    "t_tags[-1] = 'a'",
    "struct_pack(a := 1)",
    "{'a': 1}.a = 1",
    "\\",
)
ODD_LETTERS = "\x00\x01\x07\x1b\x1f\x7f\x85\xa0\xad\u200b\u200d\u202e\u2028\u2066\ufeff\ufffe\ud800\udfff’“≥≠−Ａ０ıİßς日🙂\U000e0041"
_SOUP = """did never count sum last first_time stopped restarted in_periods sequence in_segment random_bucket score ago
ahead now exactly has_any item_count month distance_km days_unchanged and or not in is null like between true false
at_least at_most more_than within recent of period => = != <> < <= > >= ( ) ( ) [ ] , , . * - + 'page' 'order_line' 'a%'
'month' '' 1 0 3.5 1e9 t_age t_country t_tags spent amount p_paid t_new select from where ; -- /* :: $ ? { } "t_age" ''''"""
WORDS = (*_SOUP.split(), "'30 days'", "'90 and 30 days ago'")
OPERANDS = (
    *(
        "t_age",
        "t_country",
        "t_joined",
        "t_member",
        "t_tags",
        "t_tags[1]",
        "t_new",
        "spent",
        "spnt",
        "favourite",
        "amount",
    ),
    *(
        "count('page')",
        "sum('page').amount",
        "last(*).p_due",
        "last(*).product",
        "last(*).p_tags",
        "mode(*).p_new",
        "now()",
    ),
    *(
        "month(t_joined)",
        "month(t_age)",
        "exactly(t_country)",
        "exactly(t_age)",
        "item_count(t_tags)",
        "score('chrun')",
    ),
    *("3", "'a'", "''", "true", "'2024-02-29'", "ago('3 days')", "sum('page').product", "count('page', amont > 1)"),
)


def combined(rng: Random) -> str:
    """A well-formed comparison of anything with anything."""
    a, b, c = rng.choices(OPERANDS, k=3)
    tests = (
        f"{a} = {b}",
        f"{a} != {b}",
        f"{a} < {b}",
        f"{a} in ({b}, {c})",
        f"{a} between {b} and {c}",
        f"{a} like 'a%'",
    )
    return rng.choice((*tests, f"{a} is null", a, f"has_all({a}, 'a')", f"not {a}", f"{a} >= {b} or {b} <= {c}"))


def mutated(rng: Random, text: str) -> str:
    """The text with one to four letters or words changed, doubled, moved or taken away."""
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(text) + 1), rng.choice((0, 1, 1, 2, 8))
        match rng.randrange(5):
            case 0:
                new = "".join(rng.choices(string.printable, k=rng.randint(1, 3)))
            case 1:
                new = rng.choice(ODD_LETTERS)
            case 2:
                new = f" {rng.choice(WORDS)} "
            case 3:
                start = rng.randrange(len(text) + 1)
                new = text[start : start + rng.randint(1, 12)]
            case _:
                new = ""
        text = text[:at] + new + text[at + length :]
    return text


def large(rng: Random) -> str:
    """Deep, long or many."""
    n = rng.choice((20, 26, 40, 200, 1_001, 3_000))
    return rng.choice(
        (
            "(" * n + "t_age > 1" + ")" * n,
            "not (" * n + "t_age > 1" + ")" * n,
            "not " * n + "t_age > 1",
            "month(" * n + "t_joined" + ")" * n + " = 1",
            "did('page', " * n + ")" * n,
            "t_age = " * n + "1",
            "t_age > " + "- " * n + "1",
            "t_age" + "[1]" * n + " = 'a'",
            "t_age" + ".a" * n + " = 'a'",
            f"t_age in ({', '.join(str(i) for i in range(n))})",
            f"t_country in ({', '.join(repr('x' * (i % 9 + 1)) for i in range(n))})",
            f"did(({', '.join(repr(f'e{i}') for i in range(n))}))",
            " and ".join(f"t_age > {i}" for i in range(n)),
            " or ".join(["t_age > 1 and t_age < 5"] * n),
            f"t_country = '{'x' * n}'",
            f"t_country = '{chr(39) * 2 * n}'",
            "'" * n,
            '"' * n,
            f"t_age > {'9' * n}",
            f"t_age > 0.{'0' * n}1",
            f"t_age > 1e{n}",
            f"{'t_age > 1 and ' * n}",
            "((" * n,
            "))" * n,
        )
    )


def texts(rng: Random, n: int) -> Iterator[str]:
    for i in range(n):
        match i % 10:
            case 0 | 1 | 2:
                yield mutated(rng, format_rule(random_rule(rng, 1, segments={"vip": ("vip",)})))
            case 3 | 4 | 5:
                yield mutated(rng, rng.choice(HAND_WRITTEN))
            case 6:
                yield " ".join(rng.choices(WORDS, k=rng.randint(1, 14))) if i % 20 == 6 else combined(rng)
            case 7:
                attack, rule = rng.choice(ATTACKS), rng.choice(HAND_WRITTEN)
                at = rng.choice([i for i, letter in enumerate(rule) if letter in " '(,"])
                yield rng.choice(
                    (attack, f"{rule} and {attack}", rule[:at] + attack + rule[at:], f"({attack}) or {rule}")
                )
            case 8:
                yield large(rng)
            case _:
                letters = [*ODD_LETTERS, *"t_age='> '(),did"]
                yield "".join(rng.choices(letters, k=rng.randint(1, 30)))


def check_refusal(error: RefusedDefinition, text: str) -> None:
    assert error.code in CODES, (error.code, text)
    assert error.message
    assert error.text == text
    assert error.start is not None
    assert error.end is not None
    assert 0 <= error.start <= error.end <= len(text)
    assert len(error.message) < 400
    str(error).encode("utf-8")  # a message can be printed whatever the text was


def check_accepted(text: str) -> bool:
    """An accepted text is one rule in all its spellings; whether the checks accept it too."""
    rule = parse_rule(text)
    canonical = format_rule(rule)
    assert parse_rule(canonical) == rule, text
    assert format_rule(parse_rule(canonical)) == canonical, text
    assert rule_from_json(json.loads(json.dumps(rule_to_json(rule)))) == rule, text
    mistakes = check_rule(rule, KNOWN, text)
    for mistake in mistakes:
        check_refusal(mistake, text)
    if not mistakes:
        events = [Event("a", 1, "page", 5, {"local_day": 0, "local_hour": 0, "t_age": 20_000_000, "p_paid": True})]
        answer = judge(
            rule, events, as_of=10**15, columns=RULE_COLUMNS, features=FEATURES, segments=lambda name, key: True
        )
        assert answer in (True, False, None)
    return not mistakes


class Counted:
    """Counts calls of Python functions: work that is the same on every machine, unlike seconds."""

    def __enter__(self) -> "Counted":
        self.calls, self._before = 0, sys.getprofile()
        sys.setprofile(self._count)
        return self

    def _count(self, frame: FrameType, event: str, _: object) -> None:
        self.calls += event == "call"

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)


def most_calls(text: str) -> int:
    """Of what a text may cost: in proportion to its length, with room for the checks of a short one."""
    return 100_000 + 300 * len(text)


def run(seed: int, n: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    with suppress(RefusedDefinition):
        check_accepted(HAND_WRITTEN[0])  # imports
    for text in texts(Random(seed), n):
        with Counted() as counted:
            try:
                seen["fine" if check_accepted(text) else "mistaken"] += 1
            except RefusedDefinition as error:
                check_refusal(error, text)
                seen[error.code] += 1
        assert counted.calls < most_calls(text), (counted.calls, text[:200])
    return seen


def test_a_thousand_hostile_texts_are_refused_with_a_code_or_mean_what_they_say() -> None:
    seen = run(1, 1_000)
    assert seen["fine"] > 30
    assert seen["mistaken"] > 30
    assert seen["bad_rule"] > 100


@pytest.mark.nightly
def test_ten_thousand_hostile_texts_are_refused_with_a_code_or_mean_what_they_say() -> None:
    seen = run(2, 10_000)
    assert seen["fine"] > 300
    assert len(seen) >= 15, seen


def test_what_the_checks_accept_means_the_same_to_an_engine_and_to_the_judge() -> None:
    rng, accepted = Random(6), {}
    while len(accepted) < 60:
        text = combined(rng) if rng.random() < 0.6 else mutated(rng, rng.choice(HAND_WRITTEN))
        try:
            rule = parse_rule(text)
        except RefusedDefinition:
            continue
        if "in_segment" not in text and not check_rule(rule, KNOWN, text):
            accepted[format_rule(rule)] = rule
    world = random_rule_world(rng)
    found = evaluate(
        world.snapshot(),
        [SegmentDefinition(text, "rule", (Part(text, rule=RuleText(text, rule)),)) for text, rule in accepted.items()],
        features=FEATURES,
        as_of=world.as_of,
        zone=world.zone,
        currency=world.currency,
        key=b"key",
    )
    about = {"as_of": world.as_of, "zone": world.zone, "currency": world.currency, "columns": world.columns}
    for text, rule in accepted.items():
        expected = {
            customer
            for customer, events in world.customers().items()
            if judge(rule, events, features=FEATURES, key=b"key", **about)
        }
        assert set(found.placed[text]["customer"].to_pylist()) == expected, text


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_is_accepted_alone_or_within_a_rule(attack: str) -> None:
    for text in (attack, f"t_age > 1 and {attack}", f"t_country = '' {attack}", f"t_country = 'x{attack}"):
        try:
            rule = parse_rule(text)
        except RefusedDefinition as error:
            check_refusal(error, text)
            continue
        # What is left is harmless: text that was closed again, or names that nobody defined.
        assert check_rule(rule, KNOWN, text), text


def test_damaged_json_is_refused_or_read() -> None:
    rng, accepted = Random(4), 0
    refused: list[RefusedDefinition] = []
    for _ in range(600):
        data = json.dumps(rule_to_json(random_rule(rng, 1)))
        at = rng.randrange(len(data))
        damaged = data[:at] + rng.choice(("", '"', "1", "{}", "null", "[", "x", '"a":1,', "-", "e9")) + data[at + 1 :]
        try:
            loaded = json.loads(damaged)
        except ValueError:
            continue
        try:
            rule = rule_from_json(loaded)
        except RefusedDefinition as error:
            refused.append(error)
            continue
        assert rule_from_json(rule_to_json(rule)) == rule
        accepted += 1
    assert accepted > 20
    assert len(refused) > 20
    for error in refused:
        assert error.message.startswith("/")
        assert error.code in CODES | {"bad_json"}
