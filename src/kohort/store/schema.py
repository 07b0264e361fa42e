"""The tables of the transactional state: one definition for SQLite and PostgreSQL.

Each table that holds answers has a `digest` per row, and `ledger` holds how many rows there must be and what their
digests add up to (kohort.store.sealed). Documents are JSON text, so that a damaged one is noticed before it is parsed.
Changes go through a migration in `migrations/versions`; a test compares both.
"""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0001"
"""The schema version this code writes. Equals the newest migration."""

metadata = sa.MetaData()


def _big(name: str, **options: object) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, **options)  # type: ignore[arg-type]


def _text(name: str, **options: object) -> sa.Column[str]:
    return sa.Column(name, sa.Text, **{"nullable": False, **options})  # type: ignore[arg-type]


def _digest() -> sa.Column[int]:
    return sa.Column("digest", sa.BigInteger, nullable=False)


ledger = sa.Table(
    "ledger",
    metadata,
    _text("name", primary_key=True),  # a table, a part of one, or a counter
    _big("rows", nullable=False),
    _big("total", nullable=False),  # sum of the digests modulo 2^64, signed
)

setting = sa.Table("setting", metadata, _text("name", primary_key=True), _text("value"), _digest())

declared_column = sa.Table(
    "declared_column",
    metadata,
    _text("name", primary_key=True),  # p_… or t_…
    _text("type"),
    _digest(),
)

base_file = sa.Table(
    "base_file",
    metadata,
    _text("path", primary_key=True),  # relative to the events folder: bucket=3/…
    sa.Column("bucket", sa.Integer, nullable=False),
    _big("rows", nullable=False),
    _big("bytes", nullable=False),
    _text("sha256"),
    _text("stats"),  # Delta statistics of the file, JSON
    _big("removed_us"),  # null = live; otherwise since when no new reader sees it
    _digest(),
)

id_run = sa.Table(
    "id_run",
    metadata,
    _text("path", primary_key=True),  # relative to the ids folder
    _big("position", nullable=False),  # older first
    _big("rows", nullable=False),
    _text("sha256"),
    _digest(),
)

hot_event = sa.Table(
    "hot_event",
    metadata,
    _big("seq", primary_key=True, autoincrement=False),
    _big("rows", nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # Arrow stream of events
    sa.Column("ids", sa.LargeBinary, nullable=False),  # sorted entries of the id index
    _digest(),
)

batch = sa.Table(
    "batch",
    metadata,
    _big("id", primary_key=True, autoincrement=False),
    _text("source"),
    _text("file"),
    _text("fingerprint"),
    _text("status"),  # running, done
    _big("started_us", nullable=False),
    _text("report", nullable=True),  # BatchReport as JSON once done
    _digest(),
)

rejected_row = sa.Table(
    "rejected_row",
    metadata,
    _big("id", primary_key=True, autoincrement=False),
    _big("batch", nullable=False),
    _text("source"),
    _text("file"),
    _big("line", nullable=False),
    _text("code"),
    _text("reason"),
    _text("field"),
    sa.Column("raw", sa.LargeBinary, nullable=False),  # sealed by the vault
    _big("retried_us"),
    _digest(),
)

segmentation = sa.Table(
    "segmentation",
    metadata,
    _big("key", primary_key=True, autoincrement=False),
    _text("id"),
    _text("name"),
    _big("version", nullable=False),
    _text("as_of", nullable=True),
    _big("k", nullable=False),
    sa.Column("adopted", sa.Boolean, nullable=False),
    _big("created_us", nullable=False),
    _text("document"),
    _digest(),
)

membership_run = sa.Table(
    "membership_run",
    metadata,
    _big("id", primary_key=True, autoincrement=False),
    _big("population", nullable=False),  # the first run of this name
    _text("name"),
    _big("version", nullable=False),
    _big("as_of", nullable=False),
    _big("entered", nullable=False),
    _big("left", nullable=False),
    _big("moved", nullable=False),
    _big("stayed", nullable=False),
    _digest(),
)

membership = sa.Table(
    "membership",
    metadata,
    _big("population", primary_key=True, autoincrement=False),
    _big("customer", primary_key=True, autoincrement=False),
    _big("since", primary_key=True, autoincrement=False),
    _big("until"),  # null = still
    _big("version", nullable=False),
    _text("segment"),
    sa.Column("confidence", sa.Float(53)),
    _text("reason", nullable=True),
    _digest(),
    sqlite_with_rowid=False,
)
