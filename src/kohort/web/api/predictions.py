"""Predictions for programs: how good they are, who is likely, what customers will be worth. Training is long work: `work`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Path, Query
from fastapi.responses import Response

from kohort.web.api import cursors, work_models
from kohort.web.api import prediction_models as told
from kohort.web.api.desk import Desk, answer
from kohort.web.noting import note
from kohort.workspace.likely import MOST

if TYPE_CHECKING:
    from kohort.workspace.profile import ProfileDoor
    from kohort.workspace.workspace import Workspace

TAG = "predictions"
MOST_WORTH = 1_000
Name = Annotated[
    str, Path(description="A prediction, or a part of one: next/tea.", max_length=200, examples=["churn_90d"])
]


def predictions(desk: Desk, ws: Workspace, profiles: ProfileDoor) -> None:
    """Adds them to the application."""

    @desk.add("GET", "/v1/predictions", TAG, told.Predictions)
    def predictions() -> Response:
        """What is predicted, how well, and how old its chances are; and what customers will be worth."""
        return answer(profiles.predictions())

    # Before the address of one prediction, whose name may hold a slash.
    @desk.add(
        "GET",
        "/v1/predictions/{name:path}/customers",
        TAG,
        told.Likely,
        "not_found",
        "not_enough",
        "wrong_usage",
        "bad_query",
    )
    def likely_customers(
        name: Name,
        order: Literal["most", "least"] = "most",
        cursor: cursors.Cursor = "",
        limit: Annotated[int, Query(ge=1, le=MOST)] = 25,
    ) -> Response:
        """Customers by their chance, as it was worked out last, with what raises and lowers it."""
        found = ws.predict.likely(name, cursor=cursors.place(cursor, "l") or 0, limit=limit, order=order)
        note(ws, "looked_at_members", found["name"])
        return answer({**found, "next": cursors.shown("l", found["next"])})

    @desk.add("GET", "/v1/predictions/{name:path}", TAG, told.Prediction, "not_found", "not_enough", "bad_query")
    def prediction(name: Name) -> Response:
        """One prediction from all sides: how it was checked, what it goes by, its versions."""
        return answer(profiles.prediction(name))

    @desk.add(
        "POST",
        "/v1/predictions/{name:path}/rollback",
        TAG,
        work_models.RolledBack,
        "not_found",
        "not_enough",
        "bad_query",
        changes=True,
    )
    def rollback_prediction(name: Name, body: work_models.Rollback) -> Response:
        """Lets an earlier version of a prediction score again. Chances that are kept stay until they are worked out anew."""
        found = ws.predict.rollback(name, to=body.version)
        note(ws, "rolled_back", found["name"])
        return answer(found)

    @desk.add("GET", "/v1/value/customers", TAG, told.Worths, "not_enough", "wrong_usage", "bad_query")
    def worth_of_customers(
        cursor: cursors.Cursor = "",
        limit: Annotated[int, Query(ge=1, le=MOST_WORTH)] = 50,
    ) -> Response:
        """Customers by what they are expected to be worth, as it was worked out last."""
        found = ws.predict.value.best(cursor=cursors.place(cursor, "w") or 0, limit=limit)
        note(ws, "looked_at_members", "value")
        return answer({**found, "next": cursors.shown("w", found["next"])})
