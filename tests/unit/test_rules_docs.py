"""docs/rules.md says what is true: examples are read and checked, refusals happen as told, every word is explained."""

import json
import re
from pathlib import Path

import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.rules import Vocabulary, check_rule, format_rule, parse_rule, rule_from_json, vocabulary_of
from kohort.definitions.rules.vocabulary import COUNTS, OPERAND_FUNCTIONS, PERIODS, RULE_FUNCTIONS
from kohort.errors import RefusedDefinition
from kohort.model.event import ColumnType

TEXT = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
COLUMNS: dict[str, ColumnType] = {
    **dict.fromkeys(("t_country", "t_address_city", "t_plan", "t_email_domain", "t_code", "p_page"), "text"),
    **dict.fromkeys(("t_age", "t_lat", "t_lon"), "number"),
    **dict.fromkeys(("t_birthday", "t_joined", "t_renewal"), "time"),
    "t_member": "flag",
    "t_tags": "list",
}
FEATURES = parse_features(
    """
    recency_days: {recency: days, event: order_line}
    spent_30d: {sum: amount, event: order_line, within: 30 days}
    spent_365d: {sum: amount, event: order_line, within: 365 days}
    """
)
SEGMENTS = {"vip": ("vip",), "value": ("gold", "bronze")}
KNOWN: Vocabulary = vocabulary_of(FEATURES, COLUMNS, adopted=SEGMENTS, scores=["churn"])
RULES = [line for block in re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL) for line in block.strip().split("\n")]
REFUSALS = re.findall(r"^\| `(\w+)` \| [^|]+ \| `(.+)` \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("example", RULES)
def test_examples_are_rules(example: str) -> None:
    assert check_rule(parse_rule(example), KNOWN, example) == []


@pytest.mark.parametrize(("code", "example"), REFUSALS)
def test_refusals_happen_as_told(code: str, example: str) -> None:
    try:
        found = check_rule(parse_rule(example), KNOWN, example)
    except RefusedDefinition as error:
        found = [error]
    assert [error.code for error in found] == [code]


def test_the_json_is_the_rule_that_the_page_says() -> None:
    [(block, text)] = re.findall(r"```json\n(.*?)```\s+is `(.*?)`\.\n", TEXT, re.DOTALL)
    assert format_rule(rule_from_json(json.loads(block))) == text


def test_every_word_is_explained() -> None:
    words = {*RULE_FUNCTIONS, *OPERAND_FUNCTIONS, *COUNTS, *PERIODS, "within", "between", "recent", "of", "period"}
    assert not {word for word in words if not re.search(rf"\b{word}\b", TEXT)}


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_python_examples_run(example: str) -> None:
    names: dict[str, object] = {}
    exec(example, names)
    assert "mistake" in names


def test_every_code_stands_in_the_table() -> None:
    rooms = Path(__file__).parents[2] / "src" / "kohort" / "definitions"
    files = [*rooms.glob("sql_*.py"), *rooms.glob("rules/*.py"), rooms / "conditions.py", rooms / "columns.py"]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    written = set(re.findall(r'code="(\w+)"', source)) | set(
        re.findall(r'", "((?:bad|un|too|not|wrong)\w+)"\)', source)
    )
    told = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert len(REFUSALS) >= 16
    assert written - {"bad_condition"} <= told
