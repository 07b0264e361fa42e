"""The tables of the transactional state: one definition for SQLite and PostgreSQL.

Each table that holds answers has a `digest` per row, and `ledger` holds how many rows there must be and what their
digests add up to (kohort.store.sealed). Documents are JSON text, so that a damaged one is noticed before it is parsed.
Changes go through a migration in `migrations/versions`; a test compares both.
"""

from __future__ import annotations

import sqlalchemy as sa

HEAD = "0011"
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

# -- memberships (kohort.store.members) ----------------------------------------------------------------------------

member_head = sa.Table(
    "member_head",
    metadata,
    _text("name", primary_key=True),
    _big("run", nullable=False),  # the latest
    _big("version", nullable=False),
    _big("as_of", nullable=False),
    _big("size", nullable=False),
    sa.Column("dropped", sa.Boolean, nullable=False),
    _digest(),
)

member_run = sa.Table(
    "member_run",
    metadata,
    _big("run", primary_key=True, autoincrement=False),  # names published together share it
    _text("name", primary_key=True),
    _big("version", nullable=False),
    _big("as_of", nullable=False),
    _big("ran_us"),  # wall clock; null = before that was noted
    sa.Column("backfill", sa.Boolean, nullable=False),
    sa.Column("dropped", sa.Boolean, nullable=False),
    _big("entered", nullable=False),
    _big("left", nullable=False),
    _big("moved", nullable=False),
    _big("stayed", nullable=False),
    _digest(),
    sa.Index("member_run_name", "name"),
)

member_part = sa.Table(
    "member_part",
    metadata,
    _big("id", primary_key=True, autoincrement=False),  # older first
    _text("name"),
    _big("run", nullable=False),
    _text("kind"),  # moves, restated, stays
    _big("seq"),  # of its first transition; null where the rows are none
    _big("version", nullable=False),
    _big("as_of", nullable=False),
    sa.Column("backfill", sa.Boolean, nullable=False),
    _big("rows", nullable=False),
    _big("bytes", nullable=False),
    _text("sha256"),  # of the Parquet bytes
    _text("path", nullable=True),  # relative to the memberships folder; null = in member_body
    _digest(),
    sa.Index("member_part_name", "name"),
    sa.Index("member_part_seq", "seq"),
)

member_body = sa.Table(
    "member_body",
    metadata,
    _big("id", primary_key=True, autoincrement=False),  # of its part, which holds the SHA-256
    sa.Column("body", sa.LargeBinary, nullable=False),
)

member_consumer = sa.Table(
    "member_consumer", metadata, _text("name", primary_key=True), _big("seq", nullable=False), _digest()
)

segment_status = sa.Table(
    "segment_status",
    metadata,
    _text("name", primary_key=True),
    _big("evaluated_us"),
    _big("duration_ms"),
    _big("failed_us"),
    _text("error"),
    _digest(),
)

segment_version = sa.Table(
    "segment_version",
    metadata,
    _text("name", primary_key=True),
    _big("version", primary_key=True, autoincrement=False),
    _text("text"),
    _big("saved_us", nullable=False),
    _big("dropped_us"),
    _digest(),
)

by_hand = sa.Table(
    "by_hand",
    metadata,
    _big("id", primary_key=True, autoincrement=False),  # older first
    _text("name"),
    _text("segment"),
    _text("change"),  # added, removed, reset
    _text("by"),
    _text("note"),
    _big("put_us", nullable=False),
    _big("rows", nullable=False),
    sa.Column("customers", sa.LargeBinary, nullable=False),  # int64, little endian, sorted
    _digest(),
)

# -- live (kohort.store.ticks, .api_keys, .links) ------------------------------------------------------------------

live_state = sa.Table(
    "live_state",
    metadata,
    _text("name", primary_key=True),
    _text("value"),  # JSON
    _digest(),
)

api_key = sa.Table(
    "api_key",
    metadata,
    _text("name", primary_key=True),
    _text("scope"),  # ingest, read, admin
    _text("lookup"),  # the public part, by which a key is found
    _text("secret"),  # SHA-256 of the whole key, hexadecimal
    _big("created_us", nullable=False),
    _big("revoked_us"),
    _digest(),
)

link = sa.Table(
    "link",
    metadata,
    _text("event_id", primary_key=True),  # of the event that says so
    _big("customer", nullable=False),  # who is led …
    _big("root", nullable=False),  # … to whom
    _big("ts", nullable=False),  # since when, µs UTC
    _big("learned_us", nullable=False),
    _digest(),
    sa.Index("link_learned", "learned_us"),
)

# -- deliveries (kohort.store.deliveries) --------------------------------------------------------------------------

delivery = sa.Table(
    "delivery",
    metadata,
    _big("number", primary_key=True, autoincrement=False),  # older first
    _text("id"),  # what receivers tell repetitions by
    _text("trigger_name"),
    _text("destination"),
    _big("seq", nullable=False),  # of the transition
    _text("name"),
    _text("segment"),
    _text("other"),  # the part before or after
    _big("customer", nullable=False),
    _text("change"),  # entered, left
    _big("nth", nullable=False),
    _big("at_us", nullable=False),
    _big("version", nullable=False),
    _text("state"),  # pending, held, waiting, done, dead, suppressed
    _text("reason"),
    _big("attempts", nullable=False),
    _big("status"),  # of the last answer
    _big("created_us", nullable=False),
    _big("due_us", nullable=False),
    _big("first_us"),
    _big("next_us"),
    _big("ended_us"),
    _digest(),
    sa.Index("delivery_id", "id", unique=True),
    sa.Index("delivery_due", "destination", "state", "next_us"),
    sa.Index("delivery_line", "destination", "customer", "state", "number"),
    sa.Index("delivery_cap", "trigger_name", "customer", "destination", "due_us"),
    sa.Index("delivery_ended", "ended_us"),
)

# -- privacy (kohort.store.requests) -------------------------------------------------------------------------------

privacy_request = sa.Table(
    "privacy_request",
    metadata,
    _big("number", primary_key=True, autoincrement=False),  # older first
    _text("kind"),  # erasure, objection, restriction, rectification, retention
    _text("step"),  # asked, closed, purged, done
    _big("asked_us", nullable=False),
    _big("ended_us"),
    sa.Column(
        "customers", sa.LargeBinary, nullable=True
    ),  # int64, little endian; null once nothing needs them any more
    _text("receipt"),  # JSON; no identifier and no pseudonym
    _digest(),
)

# -- identity (kohort.store.merges) --------------------------------------------------------------------------------

identity_decision = sa.Table(
    "identity_decision",
    metadata,
    _big("number", primary_key=True, autoincrement=False),  # older first
    _text("what"),  # merge, split, reject, undo
    _big("keep", nullable=False),  # who stays …
    _big("other", nullable=False),  # … and who became part of her, or is kept apart
    _big("ts", nullable=False),  # since when a merge is true, µs UTC
    _text("link"),  # id of its row in `link`; empty where it is no merge
    _big("run", nullable=False),  # 0 = by hand
    _big("ends", nullable=False),  # the merge that this takes back; 0 = none
    _text("how"),  # same email, likely, …: what found it
    sa.Column("score", sa.Float, nullable=True),  # probability; null = none was worked out
    _text("evidence"),  # JSON: what agrees by field, in words, never a value
    _text("reason"),
    _text("by"),
    _big("decided_us", nullable=False),
    _digest(),
)

identity_question = sa.Table(
    "identity_question",
    metadata,
    _big("number", primary_key=True, autoincrement=False),
    _big("run", nullable=False),
    _big("keep", nullable=False),
    _big("other", nullable=False),
    _text("how"),
    sa.Column("score", sa.Float, nullable=True),
    _text("evidence"),
    _digest(),
)

# -- login (kohort.store.users, .sessions, .audit_log) -------------------------------------------------------------

login_user = sa.Table(
    "login_user",
    metadata,
    _text("name", primary_key=True),
    _text("role"),
    _text("password"),  # argon2id with settings and salt
    _big("made_us", nullable=False),
    _big("password_us", nullable=False),  # since when it is this one
    _digest(),
)

login_identity = sa.Table(
    "login_identity",
    metadata,
    _text("name", primary_key=True),  # of the user
    _text("issuer"),  # the provider that says who she is; empty until she has come
    _text("subject"),  # what it calls her for ever; empty until she has come
    _text("role"),  # the one that an administrator gave her; empty where hers only follows from what the provider says
    _big("since_us", nullable=False),
    _digest(),
)

login_session = sa.Table(
    "login_session",
    metadata,
    _big("number", primary_key=True, autoincrement=False),
    _text("person"),
    _text("token"),  # SHA-256 of what the browser sends, hexadecimal
    _text("earlier"),  # of what it sent before; empty where there was none
    sa.Column("used", sa.Boolean, nullable=False),  # whether the browser has sent the newer one
    _big("begun_us", nullable=False),
    _big("seen_us", nullable=False),
    _big("turned_us", nullable=False),  # when the token was replaced
    _digest(),
)

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    _big("number", primary_key=True, autoincrement=False),  # 1, 2, … without a gap
    _big("at_us", nullable=False),
    _text("by"),  # who did it
    _text("act"),  # kohort.model.access.Act
    _text("about"),  # a segment, a user, an address's pattern; never a customer
    _big("customer"),  # pseudonym; null where it is about nobody, or she was erased
    sa.Column("salt", sa.LargeBinary, nullable=True),  # goes with her
    _text("stands_for"),  # SHA-256 of salt and pseudonym, hexadecimal; stays
    _text("chain"),  # keyed digest of all that, and of the one before
    _digest(),
    sa.Index("audit_customer", "customer"),
)

# -- long work (kohort.store.jobs) ---------------------------------------------------------------------------------

job = sa.Table(
    "job",
    metadata,
    _big("number", primary_key=True, autoincrement=False),  # 1, 2, …
    _text("kind"),  # kohort.web.job_kinds.KINDS
    _text("arguments"),  # JSON; never a customer
    _text("by"),  # who started it
    _text("state"),  # running, done, failed, stopped
    sa.Column("stopping", sa.Boolean, nullable=False),  # somebody asked it to stop
    _big("done", nullable=False),
    _big("total"),  # null = unknown
    _text("note"),  # the present phase
    _big("started_us", nullable=False),
    _big("ended_us"),
    _text("result"),  # JSON, figures about groups; empty = none
    _text("error"),
    _digest(),
    sa.Index("job_state", "state"),
)

# -- requests of persons (kohort.store.cases) ----------------------------------------------------------------------

privacy_case = sa.Table(
    "privacy_case",
    metadata,
    _big("number", primary_key=True, autoincrement=False),  # 1, 2, … in the order they were written down
    _text("kind"),  # kohort.model.cases.CaseKind
    _big("customer"),  # pseudonym; null once she was erased
    _text("way"),  # how it came
    _text("by"),  # who wrote it down
    _big("received_us", nullable=False),
    _big("due_us", nullable=False),  # last instant of the last day
    _big("done_us"),  # null while it is open
    _text("done_by"),
    _text("outcome"),  # kohort.model.cases.Outcome; empty while it is open
    _text("receipt"),  # of what was done: erasure-4; empty where there is none
    _digest(),
)

# -- feedback (kohort.store.feedback) ------------------------------------------------------------------------------

feedback = sa.Table(
    "feedback",
    metadata,
    _big("number", primary_key=True, autoincrement=False),  # older first
    _text("name"),  # a definition, an adopted segmentation, or found:ID
    _text("part"),  # empty = the whole
    _big("customer"),  # whose membership it is about; null = about the segment
    _text("said"),  # agree, disagree, comment
    _text("text"),  # why; names nobody
    sa.Column("drawn", sa.Boolean, nullable=False),  # whether chance chose the customer, and no person
    _big("version", nullable=False),  # of the definition then
    _text("by"),
    _big("said_us", nullable=False),
    _digest(),
)

# -- programs (kohort.store.answered) ------------------------------------------------------------------------------

answered_request = sa.Table(
    "answered_request",
    metadata,
    _text("name", primary_key=True),  # keyed digest of whose key it is and of the Idempotency-Key
    _text("request"),  # keyed digest of all that was asked
    _big("begun_us", nullable=False),
    _big("status", nullable=False),  # of the answer; 0 = it is being worked on, -1 = nobody knows what became of it
    sa.Column("answer", sa.LargeBinary, nullable=False),
    _digest(),
)
