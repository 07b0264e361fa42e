"""What people say about segments and about single memberships."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("number", sa.BigInteger, nullable=False, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("customer", sa.BigInteger, nullable=True),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("drawn", sa.Boolean, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("said_us", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.BigInteger, nullable=False),
    )
