"""`connections:` in kohort.yaml: what is read is written back; every mistake is told where it stands; no secret fits in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kohort.definitions.workspace_file import parse, write
from kohort.errors import RefusedDefinition
from kohort.model.connection import Connection

DOCS = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
EVERYTHING = """
name: Toys
connections:
  shop:
    rest: https://api.shop.example/v1/orders
    source: orders
    params: {status: paid, page_size: 200}
    records: data.items
    auth: {bearer_env: SHOP_TOKEN}
    pages: {by: cursor, path: meta.next, param: cursor, size_param: limit, size: 250}
    since: {column: updated_at, param: updated_after, form: epoch_ms, overlap: 1 hour, ascending: true}
    per_minute: 120
  desk: {rest: "http://localhost:8080/tickets", auth: {user: kohort, password_env: DESK_PASSWORD}, pages: none}
  crm: {url_env: CRM_URL, table: public.customers, since: updated_at}
  ids: {url_env: CRM_URL, table: visits, since: {column: id, overlap: 0 minutes}}
  web: {files: "s3://bucket/events/*.jsonl.gz"}
"""


def connection(text: str) -> Connection:
    return parse(f"name: Toys\nconnections:\n  shop: {text}\n").connections[0]


def test_what_is_read_is_written_back() -> None:
    config = parse(EVERYTHING)
    assert [c.kind for c in config.connections] == ["rest", "rest", "table", "table", "files"]
    assert parse(write(config)) == config


def test_what_is_not_said_is_the_usual() -> None:
    crm = parse(EVERYTHING).connections[2]
    assert (crm.source, crm.since.column, crm.since.overlap_s) == ("crm", "updated_at", 600)


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL))
def test_examples_of_the_docs_are_definitions(example: str) -> None:
    config = parse("name: Toys\n" + example)
    assert config.connections or config.sources


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "exactly one of rest, table and files"),
        ("{rest: https://a.example/x, table: t, url_env: U}", "exactly one of"),
        ("{rest: https://a.example/x}", "how the API cuts its rows into pages"),
        ("{rest: https://a.example/x, pages: {by: cursor, path: next}}", "need a param"),
        ("{rest: https://a.example/x, pages: {by: guess}}", "by cannot be 'guess'"),
        ("{rest: ftp://a.example/x, pages: none}", "begins with https:// or http://"),
        ("{rest: http://a.example/x, pages: none}", "for everybody on the way"),
        ("{rest: 'https://me:secret@a.example/x', pages: none}", "no password stand in the address"),
        ("{rest: 'https://a.example/x?key=1', pages: none}", "belongs under params"),
        ("{rest: https://a.example/x, pages: none, auth: {bearer: abc}}", "'bearer' is not known here"),
        ("{rest: https://a.example/x, pages: none, auth: {user: me}}", "a user with a password_env"),
        ("{rest: https://a.example/x, pages: none, auth: {bearer_env: 'a b'}}", "name of an environment variable"),
        ("{rest: https://a.example/x, pages: none, since: {column: c}}", "the parameter of the API"),
        ("{table: t}", "which environment variable holds the address"),
        ("{table: 'customers; drop', url_env: U}", "table or schema.table"),
        ("{table: t, url_env: U, since: {column: c, param: p}}", "param belongs to a connection with rest"),
        ("{table: t, url_env: U, since: {column: c, overlap: 1 month}}", "not always the same length"),
        ("{files: 'http://a.example/x.csv'}", "address of objects"),
        ("{files: 's3://b/*.csv', since: day}", "since belongs to"),
        ("{files: 's3://b/*.csv', per_minute: 3}", "per_minute belongs to a connection with rest"),
    ],
)
def test_mistakes_are_told(text: str, said: str) -> None:
    with pytest.raises(RefusedDefinition, match=re.escape(said)):
        connection(text)


def test_another_table_is_another_beginning_and_another_pace_is_not() -> None:
    first = connection("{table: a, url_env: U, since: id}")
    assert connection("{table: b, url_env: U, since: id}").digest != first.digest
    one = connection("{rest: 'https://a.example/x', pages: none}")
    assert connection("{rest: 'https://a.example/x', pages: none, per_minute: 5}").digest == one.digest
