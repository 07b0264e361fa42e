"""One name per event and channel: what the docs say, no word twice, and every mapping of the docs takes a row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kohort.definitions.workspace_file import parse
from kohort.errors import RefusedDefinition
from kohort.ingest import ingest_files
from kohort.ingest.memory import MemoryStore
from kohort.model.channels import CHANNELS, EVENTS, canonical

DOCS = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
SOURCES = parse("name: Toys\n" + re.findall(r"```yaml\n(sources:.*?)```", DOCS, re.DOTALL)[0]).sources
VALUES = {
    "time": "2024-03-01T10:00:00Z",
    "event": "open",
    "quantity": "1",
    "price": "2.50",
    "amount": "10",
    "currency": "EUR",
}
TYPED = {"number": "3", "flag": "yes", "text": "some", "time": "2024-03-01", "list": '["a"]'}


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_docs_list_what_there_is(channel: str) -> None:
    assert f"| `{channel}` | {', '.join(EVENTS[channel])} |" in DOCS


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_word_means_two_events_of_a_channel(channel: str) -> None:
    words = [w for name, others in EVENTS[channel].items() for w in {re.sub(r"\W", "", name.lower()), *others.split()}]
    assert len(words) == len(set(words))
    assert all(re.fullmatch("[a-z]+", w) for w in words)
    assert all(canonical(channel, name) == name for name in EVENTS[channel])


@pytest.mark.parametrize("mapping", SOURCES, ids=lambda m: m.name)
def test_every_mapping_of_the_docs_takes_a_row(mapping, tmp_path: Path) -> None:
    row = dict.fromkeys(mapping.identities, "anna@example.org")
    row |= {column: TYPED[kind] for column, kind in mapping.properties.items()}
    row |= {column: VALUES.get(role, row.get(column, "x1")) for role, column in mapping.columns.items()}
    (tmp_path / "rows.csv").write_text(f"{';'.join(row)}\n{';'.join(row.values())}\n")
    store = MemoryStore()
    report = ingest_files(
        tmp_path / "rows.csv", mapping, store=store, zone="UTC", currency="EUR", now=1_720_000_000_000_000
    )
    assert (report.stored, report.rejected) == (1, 0)
    assert "anna@example.org" not in str(store.log.events())


def test_names_of_a_channel_are_given_and_strange_ones_kept_and_counted(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "id,recipient,at,type\n1,7,2024-03-01,open\n2,7,2024-03-02,Link-Clicked\n3,7,2024-03-03,sneezed\n"
    )
    store = MemoryStore()
    mapping = next(m for m in SOURCES if m.name == "mailing")
    report = ingest_files(tmp_path, mapping, store=store, zone="UTC", currency="EUR", now=1_720_000_000_000_000)
    assert [e["event"] for e in store.log.events()] == ["Email Opened", "Email Link Clicked", "sneezed"]
    assert any("1 rows: their event has no common name" in note for note in report.batches[0].notes)


def test_a_channel_belongs_to_events() -> None:
    with pytest.raises(RefusedDefinition, match="belongs to sources of events"):
        parse("name: T\nsources: {a: {kind: customers, channel: web, columns: {customer: id}}}")
