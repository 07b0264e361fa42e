"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null, primary_key=key, autoincrement=False)


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, primary_key=key)


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def upgrade() -> None:
    ledger = op.create_table("ledger", _text("name", key=True), _big("rows"), _big("total"))
    op.create_table("setting", _text("name", key=True), _text("value"), _big("digest"))
    op.create_table("declared_column", _text("name", key=True), _text("type"), _big("digest"))
    op.create_table(
        "base_file",
        _text("path", key=True),
        sa.Column("bucket", sa.Integer, nullable=False),
        _big("rows"),
        _big("bytes"),
        _text("sha256"),
        _text("stats"),
        _big("removed_us", null=True),
        _big("digest"),
    )
    op.create_table("id_run", _text("path", key=True), _big("position"), _big("rows"), _text("sha256"), _big("digest"))
    op.create_table("hot_event", _big("seq", key=True), _big("rows"), _blob("body"), _blob("ids"), _big("digest"))
    op.create_table(
        "batch",
        _big("id", key=True),
        _text("source"),
        _text("file"),
        _text("fingerprint"),
        _text("status"),
        _big("started_us"),
        _text("report", null=True),
        _big("digest"),
    )
    op.create_table(
        "rejected_row",
        _big("id", key=True),
        _big("batch"),
        _text("source"),
        _text("file"),
        _big("line"),
        _text("code"),
        _text("reason"),
        _text("field"),
        _blob("raw"),
        _big("retried_us", null=True),
        _big("digest"),
    )
    op.create_table(
        "segmentation",
        _big("key", key=True),
        _text("id"),
        _text("name"),
        _big("version"),
        _text("as_of", null=True),
        _big("k"),
        sa.Column("adopted", sa.Boolean, nullable=False),
        _big("created_us"),
        _text("document"),
        _big("digest"),
    )
    op.create_table(
        "membership_run",
        _big("id", key=True),
        _big("population"),
        _text("name"),
        _big("version"),
        _big("as_of"),
        _big("entered"),
        _big("left"),
        _big("moved"),
        _big("stayed"),
        _big("digest"),
    )
    op.create_table(
        "membership",
        _big("population", key=True),
        _big("customer", key=True),
        _big("since", key=True),
        _big("until", null=True),
        _big("version"),
        _text("segment"),
        sa.Column("confidence", sa.Float(53)),
        _text("reason", null=True),
        _big("digest"),
        sqlite_with_rowid=False,
    )
    assert ledger is not None
    op.bulk_insert(ledger, [{"name": "generation", "rows": 0, "total": 0}])
