"""The pages of the login as HTML text: the way in, one's own account, and the log of who did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from kohort.locale import find, mark
from kohort.model.access import FEWEST_CHARACTERS, Role
from kohort.model.clock import iso
from kohort.views import own_words as say
from kohort.views.pages import Shell, page
from kohort.views.paper import render

ROLES: Mapping[Role, str] = {
    "viewer": mark("Viewer"),
    "marketer": mark("Marketer"),
    "analyst": mark("Analyst"),
    "privacy-officer": mark("Privacy officer"),
    "administrator": mark("Administrator"),
}
MAY: Mapping[Role, str] = {
    "viewer": mark("You see groups and figures, and no single customer."),
    "marketer": mark("You see groups and single customers, find them, and say who is one customer."),
    "analyst": mark("You see groups and single customers, by codes that stand for them."),
    "privacy-officer": mark(
        "You see groups and single customers, say who is one customer, answer what customers ask about their data, "
        "and read who did what."
    ),
    "administrator": mark("You may do everything that the pages offer."),
}
ACTS: Mapping[str, str] = {
    "set_up": mark("Set the pages up"),
    "user_added": mark("Let somebody in"),
    "user_removed": mark("Removed a user"),
    "role_changed": mark("Gave another role"),
    "password_changed": mark("Set a password"),
    "identity_linked": mark("Came through the identity provider for the first time"),
    "logged_in": mark("Logged in"),
    "login_failed": mark("Wrong name or password"),
    "logged_out": mark("Logged out"),
    "sessions_ended": mark("Logged out elsewhere"),
    "session_stolen": mark("Session ended: somebody else had its key"),
    "not_allowed": mark("Was refused"),
    "looked_at_customer": mark("Looked at a customer"),
    "looked_at_members": mark("Looked at customers of a group"),
    "searched": mark("Searched for a customer"),
    "said_one_customer": mark("Said: one customer"),
    "said_two_customers": mark("Said: two customers"),
    "took_back": mark("Took a decision back"),
    "split": mark("Split a customer"),
    "grouped": mark("Decided about a household or company"),
    "gave_feedback": mark("Said whether a segment is right"),
    "took_feedback_back": mark("Took back what was said about a segment"),
    "decided_by_hand": mark("Decided by hand who belongs into a segment"),
    "read_the_log": mark("Read this log"),
    "key_added": mark("Made a key"),
    "key_revoked": mark("Revoked a key"),
    "segment_saved": mark("Saved a segment"),
    "segment_paused": mark("Paused a segment"),
    "segment_resumed": mark("Took the pause out of a segment"),
    "segment_run": mark("Ran a segment"),
    "segment_removed": mark("Deleted a segment"),
    "segment_restored": mark("Brought a deleted segment back"),
    "members_exported": mark("Downloaded the members of a segment"),
    "trained": mark("Trained a prediction"),
    "checked_prediction": mark("Checked a prediction"),
    "worked_out_chances": mark("Worked out everybody's chance"),
    "worked_out_value": mark("Worked out what customers will be worth"),
    "rolled_back": mark("Returned to an earlier version of a prediction"),
    "exported": mark("Gave out what is kept about a customer"),
    "erased": mark("Erased customers"),
    "work_started": mark("Started work"),
    "work_stopped": mark("Stopped work"),
    "file_brought": mark("Brought a file"),
    "request_received": mark("Wrote down what a customer asks"),
    "request_settled": mark("Settled what a customer asked"),
    "request_reopened": mark("Opened a request again"),
    "rectified": mark("Corrected what is kept about a customer"),
    "forbade": mark("Wrote down an objection or a restriction"),
    "allowed": mark("Took an objection or a restriction back"),
    "recorded_consent": mark("Wrote a consent down"),
    "expired": mark("Deleted what was too old"),
    "looked_at_rejected": mark("Looked at rows that could not be used"),
    "judged_row": mark("Said whether a row was put aside rightly"),
    "retried_rejected": mark("Read rejected rows again"),
}

ERASED = mark("(erased)")
"""In the place of a customer's number."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log as people read it; `customer` is a number or a code, `ERASED`, or empty."""

    number: int
    at_us: int
    by: str
    act: str
    about: str
    customer: str


def login(
    word: str, *, onward: str = "/", name: str = "", problem: str = "", provider: str = "", leave: str = ""
) -> str:
    """The page that asks who it is.

    Args:
        word: What proves that the form is ours.
        onward: Where to go then: an address of ours.
        name: As it was typed before.
        problem: Why it did not work.
        provider: Where people log in, too; empty = with passwords only.
        leave: Where somebody who has logged out here logs out of the provider.
    """
    there = f"/login/oidc?next={quote(onward, safe='')}"
    return render(
        "login.html", word=word, onward=onward, name=name, problem=problem, provider=provider, there=there, leave=leave
    )


def set_up(word: str, *, asks_word: bool, name: str = "", problem: str = "") -> str:
    """The page for the first user.

    Args:
        asks_word: Whether this server has printed a word; otherwise the page says how to go on.
    """
    return render("set_up.html", word=word, asks_word=asks_word, name=name, problem=problem, fewest=FEWEST_CHARACTERS)


def account(
    shell: Shell, role: Role, sessions: int, *, elsewhere: bool = False, problem: str = "", done: str = ""
) -> str:
    """One's own account.

    Args:
        sessions: With how many browsers she is logged in.
        elsewhere: She logs in through the identity provider, and has no password here.
        problem: Why something did not work.
        done: What was done.
    """
    return page(
        "account.html",
        shell,
        "account",
        role=find(ROLES[role]),
        may=find(MAY[role]),
        sessions=sessions,
        elsewhere=elsewhere,
        problem=problem,
        done=done,
        fewest=FEWEST_CHARACTERS,
    )


def audit_log(
    shell: Shell,
    lines: Sequence[Line],
    *,
    zone: str,
    following: int | None,
    before: int | None = None,
    by: str = "",
    act: str = "",
    users: Sequence[str] = (),
) -> str:
    """Who did what, the latest first.

    Args:
        before: Number before which this page begins; None = with the latest.
        by, act: Only what this one did, and what was of this kind; empty = everything.
        users: Names that can be chosen.
        following: Number before which the next page begins; None = that is everything.
    """
    rows = [
        (
            replace(line, customer=find(ERASED)) if line.customer == ERASED else line,
            find(ACTS.get(line.act, line.act)),
            say.moment_of(line.at_us, zone),
            iso(line.at_us),
        )
        for line in lines
    ]
    picked = urlencode({name: value for name, value in (("by", by), ("act", act)) if value})
    return page(
        "audit_log.html",
        shell,
        "audit-log",
        rows=rows,
        following=following,
        before=before,
        by=by,
        act=act,
        acts=sorted(((act, find(did)) for act, did in ACTS.items()), key=lambda one: one[1].lower()),
        users=users,
        picked=picked,
    )


def not_here(text: str) -> str:
    """The page where nobody may log in."""
    return render("not_here.html", text=text)
