"""Who works with a workspace, in which role, and what is written down about what they do."""

from __future__ import annotations

from typing import Literal

Role = Literal["viewer", "marketer", "analyst", "privacy-officer", "administrator"]

ROLES: tuple[Role, ...] = ("viewer", "marketer", "analyst", "privacy-officer", "administrator")
"""Every role, by how much it may do; docs/security.md says what."""

Sight = Literal["nobody", "codes", "numbers"]
"""How a role sees single customers: not at all, by the short codes that stand for them, or by the company's own numbers."""

SIGHT: dict[Role, Sight] = {
    "viewer": "nobody",
    "marketer": "numbers",
    "analyst": "codes",
    "privacy-officer": "numbers",
    "administrator": "numbers",
}

Act = Literal[
    "set_up",
    "user_added",
    "user_removed",
    "role_changed",
    "password_changed",
    "identity_linked",
    "logged_in",
    "login_failed",
    "logged_out",
    "sessions_ended",
    "session_stolen",
    "not_allowed",
    "looked_at_customer",
    "looked_at_members",
    "searched",
    "said_one_customer",
    "said_two_customers",
    "took_back",
    "split",
    "grouped",
    "gave_feedback",
    "took_feedback_back",
    "decided_by_hand",
    "read_the_log",
    "key_added",
    "key_revoked",
    "segment_saved",
    "segment_paused",
    "segment_resumed",
    "segment_run",
    "segment_removed",
    "segment_restored",
    "members_exported",
    "trained",
    "checked_prediction",
    "worked_out_chances",
    "worked_out_value",
    "rolled_back",
    "exported",
    "erased",
    "work_started",
    "work_stopped",
    "file_brought",
    "request_received",
    "request_settled",
    "request_reopened",
    "rectified",
    "forbade",
    "allowed",
    "recorded_consent",
    "expired",
    "looked_at_rejected",
    "judged_row",
    "retried_rejected",
]
"""What the audit log knows of. Stable: programs may rely on these words."""

FEWEST_CHARACTERS = 12
"""Of a password."""
