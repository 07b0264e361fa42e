"""Tables of the live loop: where it is, keys of the API, links between customers, deliveries."""

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


def _big_key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, primary_key=True, autoincrement=False)


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
    _deliveries()


def _deliveries() -> None:
    op.create_table(
        "delivery",
        _big_key("number"),
        *(_text(name) for name in ("id", "trigger_name", "destination")),
        _big("seq"),
        *(_text(name) for name in ("name", "segment", "other")),
        _big("customer"),
        _text("change"),
        *(_big(name) for name in ("nth", "at_us", "version")),
        _text("state"),
        _text("reason"),
        _big("attempts"),
        _big("status", null=True),
        _big("created_us"),
        _big("due_us"),
        *(_big(name, null=True) for name in ("first_us", "next_us", "ended_us")),
        _big("digest"),
    )
    op.create_index("delivery_id", "delivery", ["id"], unique=True)
    op.create_index("delivery_due", "delivery", ["destination", "state", "next_us"])
    op.create_index("delivery_line", "delivery", ["destination", "customer", "state", "number"])
    op.create_index("delivery_cap", "delivery", ["trigger_name", "customer", "destination", "due_us"])
    op.create_index("delivery_ended", "delivery", ["ended_us"])
