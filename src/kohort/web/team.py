"""What the pages ask a workspace about the opinions of people on segments, for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kohort.errors import NotEnough, NotFound
from kohort.views.feedback import Opinions, Place, card
from kohort.views.formats import formats
from kohort.web import forms, who
from kohort.web.own import OwnSegments
from kohort.workspace.people import this_user

if TYPE_CHECKING:
    from kohort.model.segmentation import Segment
    from kohort.segments.feedback import Evidence
    from kohort.views.own import OwnSegment
    from kohort.web.documents import Documents
    from kohort.workspace.profile import ProfileDoor
    from kohort.workspace.workspace import Workspace

MOST_COLUMNS = 4


class Team:
    """Opinions on segments of one workspace. Each call looks at what was said so far."""

    def __init__(self, ws: Workspace, own: OwnSegments) -> None:
        self.ws, self.own = ws, own

    def me(self) -> str:
        """Who says something: who is logged in, else the user of this computer."""
        return who.now().name or this_user()

    def of_own(self, one: OwnSegment, *, proposals: bool = False) -> dict[str, Any]:
        """What is shown of the opinions on a definition.

        Args:
            proposals: With what would refine it, which takes longer.
        """
        several = tuple(one.labels.items()) if len(one.about.parts) > 1 else ()
        place = Place(
            one.label,
            one.href,
            ("/segments#own", "Segments"),
            "/definitions/{name}",
            several,
            one.noun,
            self.ws.zone,
            self.ws.currency,
        )
        return self._card(place, one.name, None, proposals=proposals)

    def of_found(self, d: Documents, which: Segment, *, proposals: bool = False) -> dict[str, Any]:
        """The same of one of the found groups that pages show."""
        place = Place(
            which.name,
            self.href(which),
            ("/segments", "Segments"),
            "/segments/{segment_id}",
            (),
            "customer",
            self.ws.zone,
            self.ws.currency,
        )
        return self._card(place, self.found(), which.id, proposals=proposals)

    def href(self, which: Segment) -> str:
        """The page of a found group."""
        return f"/segments/{quote(which.id, safe='')}"

    def found(self) -> str:
        """The name under which the found groups that pages show are talked about."""
        name = self.ws.feedback.shown()
        if name is None:
            raise NotFound("segment", "found")
        return name

    def checked(self) -> Evidence:
        """What people say about members of the found groups that pages show, all together."""
        return self.ws.feedback.evidence(self.found())

    def of_customer(self, name: str, code: str) -> dict[str, Any]:
        """What people said about one membership, for the page that says why."""
        votes = [row for row in self.ws.feedback.list(name, customer=code) if row["said"] != "comment"]
        return {"word": forms.word(), "votes": votes, "me": self.me()}

    def to_check(self, name: str, part: str, href: str) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
        """Members to be judged as the one who asks may see them, and the columns shown of each."""
        rows = self.ws.feedback.to_check(name, part)
        shown = [self._person(row, href) for row in rows]
        values, columns = self._values(rows)
        return [{**row, "values": mine} for row, mine in zip(shown, values, strict=True)], columns

    def wrong(self, name: str, part: str, href: str) -> list[dict[str, Any]]:
        """Those of whom people say that they do not belong, as the one who asks may see them."""
        votes = self.ws.feedback.list(name)
        mine = {r["code"]: r["number"] for r in votes if r["by"] == self.me() and r["said"] == "disagree" and r["code"]}
        found = self.ws.feedback.wrong(name, part)
        return [{**self._person(row, href), "mine": mine.get(row["code"])} for row in found]

    def said(self, number: int | None) -> Mapping[str, Any] | None:
        """What was just said about a customer by the one who asks; None where there is no such thing."""
        rows = self.ws.feedback.list() if number is not None else []
        return next((self._seen(r) for r in rows if r["number"] == number and r["by"] == self.me() and r["code"]), None)

    # -- parts -----------------------------------------------------------------------------------------------------

    @cached_property
    def _profiles(self) -> ProfileDoor:
        """What rules have become stays with it, so that one more customer costs little."""
        from kohort.workspace.profile import ProfileDoor

        return ProfileDoor(self.ws)

    def _card(self, place: Place, name: str, part: str | None, *, proposals: bool) -> dict[str, Any]:
        """`part`: the found group that is talked about as a whole; None = a definition with all its parts."""
        feedback = self.ws.feedback
        if part is not None:
            rows = [{**row, "part": ""} for row in feedback.list(name, part=part)]
            evidence = {"": feedback.evidence(name, part)}
            asked = [("", part)]
        else:
            rows = feedback.list(name)
            evidence = {key: feedback.evidence(name, key) for key in ("", *(key for key, _ in place.parts))}
            asked = [(label, key) for key, label in place.parts] or [("", "")]
        found = [(label, feedback.refinement(name, key)) for label, key in asked] if proposals else []
        if len(found) > 1:  # of many parts, only those that people talk about
            found = [(label, one) for label, one in found if one["wrong"]] or found[:1]
        return card(place, Opinions(rows, evidence, found), me=self.me(), word=forms.word())

    def _person(self, row: Mapping[str, Any], href: str) -> dict[str, Any]:
        seen = self._seen(row)
        to = f"{href}/customers/{row['code']}" if href.startswith("/definitions/") else f"/customers/{row['code']}"
        return {**seen, "href": to}

    def _seen(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, "customer_id": row["customer_id"] if who.now().sight == "numbers" else row["code"]}

    def _values(self, rows: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, str]], list[tuple[str, str]]]:
        """A few facts about each, as text, and what they are called."""
        columns = self.ws.store.log.columns()
        infos = [d.info(columns) for d in (self.ws.definitions() if rows else ()) if not d.about_mood]
        shown = [f for f in infos if f.type == "number"][:MOST_COLUMNS]
        found: list[dict[str, str]] = []
        for row in rows:
            try:
                known = self._profiles.of(row["code"])["features"]
            except NotEnough:
                known = {}
            found.append({f.name: formats().value(known.get(f.name), f.unit, self.ws.currency) for f in shown})
        return found, [(f.name, f.label) for f in shown]
