"""Tables of the live loop: where it is, keys of the API, links between customers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, primary_key=key)


def upgrade() -> None:
    op.create_table("live_state", _text("name", key=True), _text("value"), _big("digest"))
    op.create_table(
        "api_key",
        _text("name", key=True),
        _text("scope"),
        _text("lookup"),
        _text("secret"),
        _big("created_us"),
        _big("revoked_us", null=True),
        _big("digest"),
    )
    op.create_table(
        "link",
        _text("event_id", key=True),
        _big("customer"),
        _big("root"),
        _big("ts"),
        _big("learned_us"),
        _big("digest"),
    )
    op.create_index("link_learned", "link", ["learned_us"])
