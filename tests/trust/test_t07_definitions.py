"""Segment definitions that were damaged, mistyped or written with intent: refused with a code, or accepted and kept.

Two thousand mutations of a file with every kind of definition. An accepted one is written and read back to an equal
value; a refused one says where each mistake is. Nothing else may happen.
"""

from random import Random

import pytest

from kohort.definitions.rules import Vocabulary
from kohort.definitions.segments_text import read_definition, write_definition
from kohort.definitions.workspace_file import WorkspaceConfig, parse, write
from kohort.errors import RefusedDefinition
from kohort.model.feature import FeatureInfo

CASES = 2_000
FILE = """name: Toys
consent: {marketing: t_newsletter}
accounts: t_company
segments:
  loyal: did('order_line', line_kind = 'goods' and amount > 10, at_least => 3, within => '12 months')
  big:
    rule: sum('order_line').amount >= 1000 and t_country in ('DE', 'AT') and not t_member
    keep: sum('order_line').amount >= 800
    minimum_stay: 14 days
    label: Big customers
    purpose: marketing
    timezone: Europe/London
  value: {tiers: {gold: amount_365d >= 1000, silver: {rule: amount_365d >= 200, keep: amount_365d >= 150}}}
  life:
    stages:
      tester: {rule: did('page'), then: [starter, lost]}
      starter: {rule: did('order_line'), minimum_stay: 7 days}
      lost: never('order_line', within => '1 year')
  split: {buckets: {test: 50, control: 50}, salt: spring}
  friends: {by_hand: true}
  busy: {accounts: {any: did('page')}}
  chain: in_segment('big') or in_segment('value', 'gold') or in_segment('life')
"""
BESIDE = "extra: in_segment('loyal') and random_bucket('spring') < 10\nmore: {by_hand: true, paused: true}\n"
ODD = (
    "'; DROP TABLE person; --",
    "!!python/object/apply:os.system [ls]",
    "&a [*a]",
    "\u202e",
    "\u200b",
    "\x00",
    "\ufeff",
    "日本",
    "𝔤𝔬𝔩𝔡",
    "1e400",
    "-1",
    "99999999999999999999999",
    ".nan",
    "~",
    "null",
    "true",
    "2024-01-01",
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "|\n   x",
    ": :",
    "?",
    "- ",
    "#",
    "((((((((((",
    "not not not",
    "in_segment('chain')",
    "in_segment('nobody')",
    "select 1",
    "did('page', within => '1 m')",
    "a" * 3_000,
)
WORDS: list[str] = " ".join(
    [
        "rule keep tiers stages buckets by_hand accounts any all none then share label purpose timezone salt paused",
        "minimum_stay loyal big value gold life split 50 101 0 14 days month did never and or not",
    ]
).split()
VOCABULARY = Vocabulary(
    features={"amount_365d": FeatureInfo("amount_365d", "Spent in a year")},
    columns={"t_newsletter": "flag", "t_country": "text", "t_member": "flag", "t_company": "text"},
    segments={"Main": ("s1", "s2")},
)


def mutated(text: str, rng: Random) -> str:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.randint(0, 8))
        match rng.randrange(7):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + rng.choice(ODD) + text[end:]
            case 2:
                text = text[:at] + rng.choice(WORDS) + text[at:]
            case 3:
                lines = text.splitlines(keepends=True)
                text = "".join(
                    rng.sample(lines, len(lines)) if rng.random() < 0.1 else [*lines, rng.choice(lines or [""])]
                )
            case 4:
                old, new = rng.choice(WORDS), rng.choice((*WORDS, *ODD))
                text = text.replace(old, new, 1)
            case 5:
                text = text[:at]
            case _:
                text = text[:at] + chr(rng.choice((rng.randrange(32, 127), rng.randrange(1, 0x2FFF)))) + text[end:]
    return text


def judged(text: str, beside: str) -> WorkspaceConfig | None:
    """The configuration, or None where it was refused as it should be."""
    try:
        config = parse(text, {"segments/extra.yaml": beside}, lambda _: VOCABULARY)
    except RefusedDefinition as error:
        refused = error
    else:
        return config
    check_refusal(refused, {"kohort.yaml": text, "segments/extra.yaml": beside})
    return None


def check_refusal(error: RefusedDefinition, sources: dict[str, str]) -> None:
    """It has a code, a sentence, and every place lies in its text."""
    assert error.code
    assert error.message
    assert error.exit_code == 2
    assert error.start is None or 0 <= error.start <= len(error.text)
    for mistake in error.mistakes:
        source = sources[str(mistake["file"])]
        assert 0 <= int(str(mistake["start"])) <= int(str(mistake["end"])) <= len(source)
        assert mistake["message"]
        assert mistake["code"]
        assert int(str(mistake["line"])) <= source.count("\n") + 2


@pytest.fixture(scope="module")
def outcomes() -> list[tuple[str, WorkspaceConfig | None]]:
    rng = Random(7)
    found = []
    for number in range(CASES):
        one = number % 4
        text = FILE if one == 3 else mutated(FILE, rng)
        beside = mutated(BESIDE, rng) if one == 3 else BESIDE
        found.append((text, judged(text, beside)))
    return found


@pytest.mark.slow
def test_two_thousand_damaged_files_are_refused_or_read(outcomes) -> None:
    accepted = [config for _, config in outcomes if config is not None]
    assert 100 < len(accepted) < CASES - 500, "mutations are neither harmless nor all fatal"


@pytest.mark.slow
def test_what_was_accepted_is_written_and_read_back_equal(outcomes) -> None:
    for _, config in outcomes:
        if config is not None:
            merged = parse(write(config), {"segments/x.yaml": "\n".join(map(write_definition, beside(config)))})
            assert set(merged.segments) == set(config.segments)
            for definition in config.segments:
                assert read_definition(write_definition(definition)) == definition


def beside(config: WorkspaceConfig) -> list:
    return [d for d in config.segments if d.name in config.files]


def test_the_file_itself_is_fine() -> None:
    config = judged(FILE, BESIDE)
    assert config is not None
    assert len(config.segments) == 10


@pytest.mark.parametrize("odd", ODD)
def test_odd_values_anywhere_get_an_answer(odd: str) -> None:
    for where in ("a: {odd}", "{odd}: did('page')", "a: {{tiers: {{x: {odd}}}}}", "a: {{rule: {odd}, label: {odd}}}"):
        judged(f"name: T\nsegments:\n  {where.format(odd=odd)}\n", "")
