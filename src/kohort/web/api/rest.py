"""The rest of a workspace for programs: customers, segmentations, features, data, deliveries, consent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Query
from fastapi.responses import Response

from kohort.model.clock import parse_start
from kohort.model.delivery import DeliveryState
from kohort.model.health import HealthReport
from kohort.model.segmentation import Segmentation
from kohort.web.api import cursors, models
from kohort.web.api.desk import Desk, answer
from kohort.web.noting import note
from kohort.workspace import programs

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace

MOST_DELIVERIES = 500
MOST_ENTRIES = 1_000
Since = Annotated[str | None, Query(description="2026-11-30 or 2026-11-30T12:00:00Z.", examples=["2026-11-30"])]
Customer = Annotated[str, Query(description="Her number, or the code that stands for her.", max_length=200)]


def data(desk: Desk, ws: Workspace) -> None:
    """What was found, what customers are described by, and how good the data is."""

    @desk.add("GET", "/v1/segmentations", "segmentations", models.Segmentations)
    def segmentations() -> Response:
        """What was found and adopted, oldest first."""
        return answer({"segmentations": programs.segmentations(ws)})

    @desk.add("GET", "/v1/segmentations/{name}", "segmentations", Segmentation, "not_found", "bad_query")
    def segmentation(name: Annotated[str, Path(max_length=200, examples=["Main"])]) -> Response:
        """One adopted segmentation with its evidence; `map` is left empty."""
        return answer(programs.segmentation(ws, name))

    @desk.add("GET", "/v1/features", "data", models.Features, "not_enough")
    def features() -> Response:
        """What customers are described by."""
        return answer({"features": programs.features(ws)})

    @desk.add("GET", "/v1/health", "data", HealthReport, "not_enough")
    def health() -> Response:
        """Whether the data is good enough, what is odd in it, and what was done about it.

        The report is made anew when the data changed, which can take a while.
        """
        return answer(programs.health(ws))

    @desk.add("GET", "/v1/events/count", "data", models.EventsCount, "bad_time", "bad_query")
    def count_events(
        event: Annotated[str | None, Query(max_length=200, examples=["Order Completed"])] = None, since: Since = None
    ) -> Response:
        """How many events there are, of how many customers."""
        from kohort.workspace.live import events_count

        return answer(events_count(ws, event=event, since=None if since is None else parse_start(since, zone=ws.zone)))

    @desk.add("GET", "/v1/digest", "data", models.Digest, "wrong_usage", "bad_query")
    def digest(
        since: Annotated[str, Query(description="How far back: 7d, 2w.", pattern=r"^[1-9][0-9]?[dw]$")] = "7d",
    ) -> Response:
        """What moved in the days before the newest data, what it was worth, and what needs a look.

        It tells about groups only.
        """
        return answer(ws.digest(since))

    @desk.add("GET", "/v1/audit-log", "data", models.AuditLog, "wrong_usage", "bad_query")
    def audit_log(
        *,
        by: Annotated[str, Query(description="Only what this user or key did.", max_length=200)] = "",
        act: Annotated[str, Query(description="Only what is of this kind.", max_length=40)] = "",
        cursor: cursors.Cursor = "",
        limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
    ) -> Response:
        """Who did what, the latest first. To look is written down, too."""
        note(ws, "read_the_log", "/v1/audit-log")
        found = ws.audit_log.latest(limit + 1, before=cursors.place(cursor, "e"), by=by, act=act)
        last = found[limit - 1].number if len(found) > limit else None
        return answer({"entries": programs.logged(ws, found[:limit]), "next": cursors.shown("e", last)})


def people(desk: Desk, ws: Workspace) -> None:
    """Finding customers, and what they said about the use of their data."""

    @desk.add("POST", "/v1/customers/search", "customers", models.FoundCustomers, "wrong_usage")
    def search_customers(body: models.Search) -> Response:
        """Who has exactly this number, e-mail address, telephone number, anonymous id, name or address.

        Names and addresses can be those of several customers.
        """
        found = ws.customers.search(body.text)
        note(ws, "searched", "/v1/customers/search", [c["code"] for c in found["customers"]])
        return answer(found)

    @desk.add("GET", "/v1/consent", "customers", models.Consent, "unknown_customer", "bad_query")
    def consent(customer: Customer) -> Response:
        """What a customer said about each purpose, every statement with its source, and what holds now."""
        found = ws.privacy.consent(customer)
        note(ws, "looked_at_customer", "/v1/consent", [customer])
        return answer(found)

    @desk.add(
        "POST",
        "/v1/consent",
        "customers",
        models.ConsentRecorded,
        "unknown_customer",
        "not_found",
        "wrong_usage",
        "bad_time",
        example={"new": True},
        changes=True,
    )
    def record_consent(body: models.ConsentBody) -> Response:
        """Writes down that a customer agreed to a purpose or refused it; the next run or tick follows it."""
        at = None if body.at is None else ws.as_of(body.at)
        said = ws.privacy.record_consent(
            body.customer, body.purpose, body.agreed, source=body.source, proof=body.proof, at=at
        )
        note(ws, "recorded_consent", body.purpose, [body.customer])
        # Statements are not repeated here: answers to changes are kept for a day, and these belong to a person.
        return answer({"new": said["new"]})


def telling(desk: Desk, ws: Workspace) -> None:
    """What is told to other systems."""

    @desk.add("GET", "/v1/triggers", "deliveries", models.Triggers)
    def triggers() -> Response:
        """Every trigger with what it watches and how many of its deliveries are in which state."""
        return answer({"triggers": list(ws.triggers.list())})

    @desk.add(
        "GET",
        "/v1/deliveries",
        "deliveries",
        models.Deliveries,
        "not_found",
        "unknown_customer",
        "wrong_usage",
        "bad_query",
    )
    def deliveries(
        *,
        trigger: Annotated[str | None, Query(max_length=200)] = None,
        destination: Annotated[str | None, Query(max_length=200)] = None,
        state: DeliveryState | None = None,
        customer: Annotated[str | None, Query(max_length=200)] = None,
        cursor: cursors.Cursor = "",
        limit: Annotated[int, Query(ge=1, le=MOST_DELIVERIES)] = 100,
    ) -> Response:
        """What was delivered, is to be, or was not, newest first."""
        rows = ws.triggers.deliveries(
            trigger=trigger,
            destination=destination,
            state=state,
            customer=customer,
            before=cursors.place(cursor, "d"),
            limit=limit + 1,
        )
        last = rows[limit - 1]["place"] if len(rows) > limit else None
        return answer({"deliveries": list(rows[:limit]), "next": cursors.shown("d", last)})
