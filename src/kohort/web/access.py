"""Who may ask for what: one table of addresses and roles. The guard asks it for every request; what is not in it is refused.

Whoever adds an address has to say here who may ask for it: a test compares the table with the addresses there are, and the
server does not start with one that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs

from starlette.routing import BaseRoute, Mount

from kohort.model.access import ROLES, Act, Role

Address = tuple[str, str]
"""Method and pattern: ("GET", "/segments/{segment_id}")."""
DEAR = 50
"""What takes a program much: computing over everybody, or changing something."""
_NO = frozenset({"0", "false", "f", "no", "n", "off"})
"""How a flag in an address says no, as the framework reads it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may ask for an address.

    Attributes:
        roles: Of people who are logged in.
        open: Nobody has to be.
        past: Nobody looks who asks: nothing about the workspace is there, or the address itself asks for the key of a program.
        scope: People of these roles, and programs with a key of the scope read.
        look: Single customers are on the page: that somebody looks, who may see them, is written down as this before.
        key: Scope of the key that `kohort.web.api` asks a program for; empty = it does not ask, or the address does itself.
        cost: How much of what a key may ask in a second it takes.
        dear: A flag of the address with which it takes `DEAR`, since that computes; empty = there is none.
    """

    roles: frozenset[Role] = frozenset()
    open: bool = False
    past: bool = False
    scope: bool = False
    look: Act | None = None
    key: Literal["", "read", "admin"] = ""
    cost: int = 1
    dear: str = ""

    def cost_of(self, query: bytes) -> int:
        """What one request takes, by what its address asks for.

        Example:
            >>> [READ.cost_of(b"reasons=1"), REASONS.cost_of(b"reasons=no"), REASONS.cost_of(b"reasons=true")]
            [1, 1, 50]
        """
        if not self.dear or not any(
            value.lower() not in _NO for value in parse_qs(query.decode("latin-1")).get(self.dear, ())
        ):
            return self.cost
        return DEAR


OPEN = Rule(open=True)
ALWAYS = Rule(open=True, past=True)
KEY = Rule(past=True)
READ = Rule(past=True, key="read")
REASONS = Rule(past=True, key="read", dear="reasons")
COMPUTE = Rule(past=True, key="read", cost=DEAR)
CHANGE = Rule(past=True, key="admin", cost=DEAR)
REVIEW = CHANGE
"""What only a key of scope admin reads."""
EVERYBODY = Rule(frozenset(ROLES))
_SEES = frozenset[Role]({"marketer", "analyst", "privacy-officer", "administrator"})
_KNOWS = frozenset[Role]({"marketer", "privacy-officer", "administrator"})
_WORKS = frozenset[Role]({"marketer", "analyst", "administrator"})
_ANALYSES = frozenset[Role]({"analyst", "administrator"})
_ANSWERS = frozenset[Role]({"privacy-officer", "administrator"})
_RUNS = frozenset[Role]({"administrator"})
_CLEANS = frozenset[Role]({"analyst", "administrator"})

TABLE: dict[Address, Rule] = {
    # The way in
    ("GET", "/static"): ALWAYS,
    ("GET", "/health"): ALWAYS,
    ("GET", "/ready"): ALWAYS,
    ("GET", "/login"): OPEN,
    ("POST", "/login"): OPEN,
    ("GET", "/login/oidc"): OPEN,
    ("GET", "/login/oidc/back"): OPEN,
    ("GET", "/set-up"): OPEN,
    ("POST", "/set-up"): OPEN,
    ("POST", "/logout"): EVERYBODY,
    ("GET", "/account"): EVERYBODY,
    ("POST", "/account/password"): EVERYBODY,
    ("POST", "/account/sessions"): EVERYBODY,
    # Groups, never one customer
    ("GET", "/"): EVERYBODY,
    ("GET", "/segments"): EVERYBODY,
    ("GET", "/map"): EVERYBODY,
    ("GET", "/discover"): EVERYBODY,
    ("GET", "/data-health"): EVERYBODY,
    ("GET", "/lifecycle"): EVERYBODY,
    ("GET", "/definitions/{name}"): EVERYBODY,
    # Finding groups, bringing data in, and the work that goes on
    ("POST", "/discover"): Rule(_WORKS),
    ("POST", "/discover/adopt"): Rule(_WORKS),
    ("POST", "/discover/undo"): Rule(_WORKS),
    ("GET", "/start"): EVERYBODY,
    ("POST", "/start/demo"): Rule(_ANALYSES),
    ("POST", "/start/upload"): Rule(_ANALYSES),
    ("POST", "/start/path"): Rule(frozenset({"administrator"})),
    ("GET", "/start/{upload}"): Rule(_ANALYSES),
    ("POST", "/start/{upload}"): Rule(_ANALYSES),
    ("GET", "/jobs/{id}"): EVERYBODY,
    ("POST", "/jobs/{id}/stop"): Rule(_SEES),
    ("GET", "/segments.csv"): EVERYBODY,
    ("GET", "/live"): Rule(frozenset(ROLES), look="looked_at_members"),
    ("GET", "/live/stream"): Rule(frozenset(ROLES), look="looked_at_members"),
    ("GET", "/predictions"): EVERYBODY,
    ("GET", "/predictions/{name}"): EVERYBODY,
    ("POST", "/predictions/{name}"): Rule(_ANALYSES),
    ("GET", "/value"): EVERYBODY,
    ("POST", "/value"): Rule(_ANALYSES),
    ("GET", "/digest"): EVERYBODY,
    # What people say about groups; single customers on pages of their own
    ("GET", "/definitions/{name}/feedback"): EVERYBODY,
    ("POST", "/definitions/{name}/feedback"): EVERYBODY,
    ("GET", "/segments/{segment_id}/feedback"): EVERYBODY,
    ("POST", "/segments/{segment_id}/feedback"): EVERYBODY,
    ("POST", "/feedback/withdraw"): EVERYBODY,
    ("GET", "/definitions/{name}/check"): Rule(_SEES, look="looked_at_members"),
    ("POST", "/definitions/{name}/check"): Rule(_SEES, look="looked_at_members"),
    ("GET", "/segments/{segment_id}/check"): Rule(_SEES, look="looked_at_members"),
    ("POST", "/segments/{segment_id}/check"): Rule(_SEES, look="looked_at_members"),
    ("POST", "/definitions/{name}/by-hand"): Rule(_KNOWS, look="looked_at_members"),
    # Groups with a few examples, which only those see who may see single customers
    ("GET", "/segments/{segment_id}"): Rule(frozenset(ROLES), look="looked_at_members"),
    ("GET", "/report"): Rule(frozenset(ROLES), look="looked_at_members"),
    # Single customers
    ("GET", "/segments/{segment_id}/customers"): Rule(_SEES, look="looked_at_members"),
    ("GET", "/definitions/{name}/customers"): Rule(_SEES, look="looked_at_members"),
    ("GET", "/definitions/{name}/export/{kind}"): Rule(_SEES, look="members_exported"),
    ("GET", "/segments/{segment_id}/export/{kind}"): Rule(_SEES, look="members_exported"),
    ("GET", "/predictions/{name}/export/{kind}"): Rule(_SEES, look="members_exported"),
    ("GET", "/value/export/{kind}"): Rule(_SEES, look="members_exported"),
    ("GET", "/definitions/{name}/customers/{code}"): Rule(_SEES, look="looked_at_customer"),
    ("GET", "/customers/{code}"): Rule(_SEES, look="looked_at_customer"),
    ("GET", "/predictions/{name}/customers"): Rule(_SEES, look="looked_at_members"),
    ("GET", "/value/customers"): Rule(_SEES, look="looked_at_members"),
    ("GET", "/customers"): Rule(_KNOWS),
    ("POST", "/customers"): Rule(_KNOWS, look="searched"),
    ("GET", "/identity"): Rule(_KNOWS, look="looked_at_members"),
    ("POST", "/identity"): Rule(_KNOWS),
    ("POST", "/identity/undo"): Rule(_KNOWS),
    ("POST", "/customers/{code}/split"): Rule(_KNOWS),
    ("POST", "/customers/{code}/group"): Rule(_KNOWS),
    # What people define
    ("GET", "/build"): Rule(_WORKS),
    ("POST", "/build"): Rule(_WORKS),
    ("POST", "/build/preview"): Rule(_WORKS),
    ("GET", "/build/{name}"): Rule(_WORKS),
    ("POST", "/definitions/{name}/pause"): Rule(_WORKS),
    ("POST", "/definitions/{name}/run"): Rule(_WORKS),
    ("POST", "/definitions/{name}/remove"): Rule(_WORKS),
    ("POST", "/definitions/{name}/restore"): Rule(_WORKS),
    # Who did what
    ("GET", "/audit-log"): Rule(_ANSWERS, look="read_the_log"),
    ("GET", "/audit-log/export/{kind}"): Rule(_ANSWERS, look="read_the_log"),
    # What customers may ask about their data: a list of them, then each. Looks at one of them are written down by the page
    # itself, which knows her.
    ("GET", "/privacy"): Rule(_ANSWERS, look="looked_at_members"),
    ("POST", "/privacy"): Rule(_ANSWERS),
    ("GET", "/privacy/requests/{number}"): Rule(_ANSWERS),
    ("POST", "/privacy/requests/{number}"): Rule(_ANSWERS),
    ("GET", "/privacy/requests/{number}/export"): Rule(_ANSWERS),
    ("GET", "/privacy/receipts/{name}"): Rule(_ANSWERS),
    ("GET", "/privacy/records"): Rule(_ANSWERS),
    ("GET", "/privacy/retention"): Rule(_ANSWERS),
    ("POST", "/privacy/retention"): Rule(_ANSWERS),
    # Who may come in, and where data comes from and goes to
    ("GET", "/settings"): Rule(_RUNS),
    ("POST", "/settings/users"): Rule(_RUNS),
    ("POST", "/settings/keys"): Rule(_RUNS),
    # Rows that could not be used
    ("GET", "/data-health/checks/{name}"): Rule(_SEES, look="looked_at_rejected"),
    ("POST", "/data-health/checks/{name}"): Rule(_SEES),
    ("GET", "/data-health/rejected"): Rule(_SEES, look="looked_at_rejected"),
    ("GET", "/data-health/rejected/export/{kind}"): Rule(_SEES, look="looked_at_rejected"),
    ("POST", "/data-health/rejected"): Rule(_CLEANS),
    # Machines
    ("GET", "/metrics"): Rule(_RUNS, scope=True),
    ("GET", "/v1/stream"): KEY,
    # Programs
    ("GET", "/v1/openapi.json"): ALWAYS,
    ("GET", "/v1/customers"): READ,
    ("POST", "/v1/customers/lookup"): READ,
    ("POST", "/v1/customers/search"): READ,
    ("GET", "/v1/customers/{number:path}"): REASONS,
    ("GET", "/v1/segments"): READ,
    ("POST", "/v1/segments/preview"): COMPUTE,
    ("POST", "/v1/segments/run"): CHANGE,
    ("GET", "/v1/segments/{name}"): READ,
    ("PUT", "/v1/segments/{name}"): CHANGE,
    ("DELETE", "/v1/segments/{name}"): CHANGE,
    ("POST", "/v1/segments/{name}/pause"): CHANGE,
    ("POST", "/v1/segments/{name}/resume"): CHANGE,
    ("POST", "/v1/segments/{name}/restore"): CHANGE,
    ("GET", "/v1/removed-segments"): READ,
    ("GET", "/v1/segments/{name}/movement"): COMPUTE,
    ("GET", "/v1/segments/{name}/overlap"): COMPUTE,
    ("GET", "/v1/segments/{name}/why"): COMPUTE,
    ("GET", "/v1/segments/{name:path}/members"): READ,
    ("GET", "/v1/discovery"): READ,
    ("GET", "/v1/segmentations"): READ,
    ("GET", "/v1/segmentations/{name}"): READ,
    ("GET", "/v1/features"): READ,
    ("GET", "/v1/predictions"): READ,
    ("GET", "/v1/predictions/{name:path}"): READ,
    ("GET", "/v1/predictions/{name:path}/customers"): COMPUTE,
    ("POST", "/v1/predictions/{name:path}/rollback"): CHANGE,
    ("GET", "/v1/value/customers"): COMPUTE,
    ("GET", "/v1/jobs"): READ,
    ("POST", "/v1/jobs"): CHANGE,
    ("GET", "/v1/jobs/{id}"): READ,
    ("POST", "/v1/jobs/{id}/stop"): CHANGE,
    ("GET", "/v1/digest"): COMPUTE,
    ("GET", "/v1/audit-log"): REVIEW,
    ("GET", "/v1/feedback"): COMPUTE,
    ("POST", "/v1/feedback"): CHANGE,
    ("DELETE", "/v1/feedback/{number}"): CHANGE,
    ("GET", "/v1/identity/questions"): REVIEW,
    ("POST", "/v1/identity/answers"): CHANGE,
    ("POST", "/v1/identity/decisions/{number}/take-back"): CHANGE,
    ("GET", "/v1/privacy/requests"): REVIEW,
    ("POST", "/v1/privacy/requests"): CHANGE,
    ("GET", "/v1/privacy/requests/{number}"): REVIEW,
    ("POST", "/v1/privacy/requests/{number}"): CHANGE,
    ("GET", "/v1/privacy/requests/{number}/export"): REVIEW,
    ("GET", "/v1/privacy/receipts/{name}"): REVIEW,
    ("GET", "/v1/privacy/records"): REVIEW,
    ("GET", "/v1/privacy/retention"): REVIEW,
    ("POST", "/v1/privacy/retention"): CHANGE,
    ("GET", "/v1/health"): COMPUTE,
    ("GET", "/v1/events/count"): COMPUTE,
    ("GET", "/v1/triggers"): READ,
    ("GET", "/v1/deliveries"): READ,
    ("GET", "/v1/consent"): READ,
    ("POST", "/v1/consent"): CHANGE,
}


def rule_of(method: str, pattern: str) -> Rule | None:
    """Who may ask for an address; None = it is not in the table. HEAD is a GET whose answer has no body."""
    return TABLE.get(("GET" if method == "HEAD" else method, pattern))


def rights(role: Role | None) -> frozenset[str]:
    """What somebody may ask for, each as "GET /segments", for what is offered on pages."""
    return frozenset(
        f"{method} {pattern}"
        for (method, pattern), rule in TABLE.items()
        if rule.open or (role is not None and role in rule.roles)
    )


def addresses(routes: Iterable[BaseRoute]) -> list[Address]:
    """Every address that an application answers; a folder of files counts as one."""
    found: list[Address] = []
    for route in routes:
        if isinstance(route, Mount):
            found.append(("GET", route.path))
        else:
            methods = getattr(route, "methods", None) or {"GET"}
            found += [(method, str(getattr(route, "path", ""))) for method in sorted(methods - {"HEAD"})]
    return found


def check_table(routes: Iterable[BaseRoute]) -> None:
    """Refuses to begin with an address of which nobody has said who may ask for it."""
    missing = [f"{method} {pattern}" for method, pattern in addresses(routes) if (method, pattern) not in TABLE]
    if missing:
        raise AssertionError(f"kohort.web.access does not say who may ask for: {', '.join(missing)}")
