"""People who log in, their sessions, and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "login_user",
        sa.Column("name", sa.Text, nullable=False, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("password_us", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "login_session",
        sa.Column("number", sa.BigInteger, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("earlier", sa.Text, nullable=False),
        sa.Column("used", sa.Boolean, nullable=False),
        sa.Column("begun_us", sa.BigInteger, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
        sa.Column("turned_us", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit_entry",
        sa.Column("number", sa.BigInteger, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("customer", sa.BigInteger, nullable=True),
        sa.Column("salt", sa.LargeBinary, nullable=True),
        sa.Column("stands_for", sa.Text, nullable=False),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
    )
    op.create_index("audit_customer", "audit_entry", ["customer"])
