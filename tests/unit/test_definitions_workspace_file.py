"""kohort.yaml: written text reads back equal, hostile text gets an answer, and every mistake is named."""

import string
from pathlib import Path
from random import Random

import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.workspace_file import WorkspaceConfig, load, parse, save, write
from kohort.errors import KohortError, NoWorkspace, RefusedDefinition, UnreadableFile
from kohort.model.source import CsvFormat, SourceMapping

ORDERS = SourceMapping(
    name="orders",
    kind="orders",
    columns={"order_id": "Invoice", "customer": "Customer ID", "time": "InvoiceDate"},
    properties={"colour": "text"},
    identities={"Mail": "email"},
    ignored={"Unnamed: 0": "row number"},
    time_format="%d/%m/%Y",
    day_first=True,
    zone="Europe/London",
    csv=CsvFormat(encoding="cp1252", delimiter=";", decimal=","),
)
PEOPLE = SourceMapping(name="no", kind="customers", columns={"customer": "2011"}, properties={"yes": "flag"})
CONFIG = WorkspaceConfig(
    name="Töys: #1",
    timezone="Europe/London",
    currency="GBP",
    business="shop",
    buckets=16,
    sources=(ORDERS, PEOPLE),
    controls={"samples": "keep", "strict": "true"},
    features=parse_features("reds: {count: events, where: \"p_colour = 'red'\"}\nold: {trait: 'yes'}"),
)


def test_written_text_reads_back_equal(tmp_path: Path) -> None:
    save(CONFIG, tmp_path)
    assert load(tmp_path) == CONFIG
    assert load(tmp_path / "kohort.yaml") == CONFIG
    assert [f.name for f in tmp_path.iterdir()] == ["kohort.yaml"]


def test_the_least_file_has_defaults_and_stays_short() -> None:
    assert parse("name: Toys") == WorkspaceConfig("Toys")
    assert len(write(WorkspaceConfig("Toys")).splitlines()) == 5


def test_every_mistake_is_reported_with_line_and_key() -> None:
    text = """
name: 3
timezone: Europe/Lundon
currency: pounds
business: shoop
bukets: 3
buckets: 0
sources:
  orders:
    kind: order
    columns: {custmer: Id}
    properties: {colour: txt}
    identities: {Mail: mail}
    day_first: perhaps
    csv: {delimiter: 3, quoting: x}
features:
  a: {sum: p_color}
"""
    with pytest.raises(RefusedDefinition) as caught:
        parse(text)
    message = str(caught.value)
    assert "kohort.yaml has 14 mistakes" in message
    for hint in ("Europe/London", "'shop'", "'buckets'", "'orders'", "'customer'", "'text'", "'email'", "'p_colour'"):
        assert f"Did you mean {hint}" in message or hint in message, hint
    assert "line 17 (features.a.sum)" in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a [x]\nb: *a", "Anchors"),
        ("name: !!python/object/apply:os.system [id]", "tag"),
        ("[" * 5000, "nested"),
        ("name: a\nname: b", "twice"),
        ("name: \x00", "not YAML"),
        ("- 1\n- 2", "key: value"),
        ("name: [", "not YAML"),
        ("x" * 10_000_000, "larger"),
        ("", "needed"),
    ],
)
def test_hostile_texts_get_a_clear_answer(text: str, said: str) -> None:
    with pytest.raises(RefusedDefinition, match=said):
        parse(text)


def test_two_thousand_broken_files_get_an_answer_and_never_a_traceback() -> None:
    rng, whole = Random(7), write(CONFIG)
    answers = {True: 0, False: 0}
    for _ in range(2_000):
        letters = list(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(letters))
            letters[at : at + rng.randint(0, 6)] = rng.choices(
                string.printable + "é\u2028\x00&*!%@`", k=rng.randint(0, 4)
            )
        try:
            parse("".join(letters))
            answers[True] += 1
        except KohortError:
            answers[False] += 1
    assert answers[False] > 500
    assert answers[True] > 50


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspace):
        load(tmp_path)
    (tmp_path / "kohort.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(UnreadableFile):
        load(tmp_path)
    (tmp_path / "kohort.yaml").write_bytes(b"#" * 10_000_000)
    with pytest.raises(RefusedDefinition, match="larger"):
        load(tmp_path)


def test_a_propertys_column_is_named_as_the_event_table_names_it() -> None:
    text = "name: Toys\nsources:\n  orders:\n    kind: orders\n    columns: {order_id: A, time: B}\n    properties: {Country Code: text}\n"
    assert parse(text).columns() == {"p_country_code": "text"}


def test_the_sheet_of_a_workbook_is_kept(tmp_path: Path) -> None:
    text = "name: Toys\nsources:\n  orders:\n    kind: orders\n    columns: {order_id: A, time: B}\n    sheet: Lines 2024\n"
    save(parse(text), tmp_path)
    assert load(tmp_path).sources[0].sheet == "Lines 2024"
