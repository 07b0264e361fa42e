"""The pages of the login as HTML text: the way in, one's own account, and the log of who did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kohort.model.access import FEWEST_CHARACTERS, Role
from kohort.model.clock import iso
from kohort.views import own_words as say
from kohort.views.pages import Shell, page
from kohort.views.paper import render

ROLES: Mapping[Role, str] = {
    "viewer": "Viewer",
    "marketer": "Marketer",
    "analyst": "Analyst",
    "privacy-officer": "Privacy officer",
    "administrator": "Administrator",
}
MAY: Mapping[Role, str] = {
    "viewer": "You see groups and figures, and no single customer.",
    "marketer": "You see groups and single customers, find them, and say who is one customer.",
    "analyst": "You see groups and single customers, by codes that stand for them.",
    "privacy-officer": (
        "You see groups and single customers, say who is one customer, answer what customers ask about their data, "
        "and read who did what."
    ),
    "administrator": "You may do everything that the pages offer.",
}
ACTS: Mapping[str, str] = {
    "set_up": "Set the pages up",
    "user_added": "Let somebody in",
    "user_removed": "Removed a user",
    "role_changed": "Gave another role",
    "password_changed": "Set a password",
    "logged_in": "Logged in",
    "login_failed": "Wrong name or password",
    "logged_out": "Logged out",
    "sessions_ended": "Logged out elsewhere",
    "session_stolen": "Session ended: somebody else had its key",
    "not_allowed": "Was refused",
    "looked_at_customer": "Looked at a customer",
    "looked_at_members": "Looked at customers of a group",
    "searched": "Searched for a customer",
    "said_one_customer": "Said: one customer",
    "said_two_customers": "Said: two customers",
    "took_back": "Took a decision back",
    "split": "Split a customer",
    "grouped": "Decided about a household or company",
    "gave_feedback": "Said whether a segment is right",
    "took_feedback_back": "Took back what was said about a segment",
    "decided_by_hand": "Decided by hand who belongs into a segment",
    "read_the_log": "Read this log",
    "key_added": "Made a key",
    "key_revoked": "Revoked a key",
    "segment_saved": "Saved a segment",
    "segment_paused": "Paused a segment",
    "segment_resumed": "Took the pause out of a segment",
    "segment_run": "Ran a segment",
    "segment_removed": "Deleted a segment",
    "segment_restored": "Brought a deleted segment back",
    "members_exported": "Downloaded the members of a segment",
    "trained": "Trained a prediction",
    "checked_prediction": "Checked a prediction",
    "worked_out_chances": "Worked out everybody's chance",
    "worked_out_value": "Worked out what customers will be worth",
    "rolled_back": "Returned to an earlier version of a prediction",
    "exported": "Gave out what is kept about a customer",
    "erased": "Erased customers",
    "work_started": "Started work",
    "work_stopped": "Stopped work",
    "file_brought": "Brought a file",
    "request_received": "Wrote down what a customer asks",
    "request_settled": "Settled what a customer asked",
    "request_reopened": "Opened a request again",
    "rectified": "Corrected what is kept about a customer",
    "forbade": "Wrote down an objection or a restriction",
    "allowed": "Took an objection or a restriction back",
    "recorded_consent": "Wrote a consent down",
    "expired": "Deleted what was too old",
    "looked_at_rejected": "Looked at rows that could not be used",
    "judged_row": "Said whether a row was put aside rightly",
    "retried_rejected": "Read rejected rows again",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log as people read it; `customer` is a number or a code, or empty."""

    number: int
    at_us: int
    by: str
    act: str
    about: str
    customer: str


def login(word: str, *, onward: str = "/", name: str = "", problem: str = "") -> str:
    """The page that asks who it is.

    Args:
        word: What proves that the form is ours.
        onward: Where to go then: an address of ours.
        name: As it was typed before.
        problem: Why it did not work.
    """
    return render("login.html", word=word, onward=onward, name=name, problem=problem)


def set_up(word: str, *, asks_word: bool, name: str = "", problem: str = "") -> str:
    """The page for the first user.

    Args:
        asks_word: Whether this server has printed a word; otherwise the page says how to go on.
    """
    return render("set_up.html", word=word, asks_word=asks_word, name=name, problem=problem, fewest=FEWEST_CHARACTERS)


def account(shell: Shell, role: Role, sessions: int, *, problem: str = "", done: str = "") -> str:
    """One's own account.

    Args:
        sessions: With how many browsers she is logged in.
        problem: Why something did not work.
        done: What was done.
    """
    return page(
        "account.html",
        shell,
        "account",
        role=ROLES[role],
        may=MAY[role],
        sessions=sessions,
        problem=problem,
        done=done,
        fewest=FEWEST_CHARACTERS,
    )


def audit_log(shell: Shell, lines: Sequence[Line], *, zone: str, following: int | None) -> str:
    """Who did what, the latest first.

    Args:
        following: Number before which the next page begins; None = that is everything.
    """
    rows = [
        (
            line,
            ACTS.get(line.act, line.act),
            say.moment_of(line.at_us, zone),
            iso(line.at_us),
        )
        for line in lines
    ]
    return page("audit_log.html", shell, "audit-log", rows=rows, following=following)


def not_here(text: str) -> str:
    """The page where nobody may log in."""
    return render("not_here.html", text=text)
