"""`ws.profiles`: everything about one customer, found by any of her identities, in the words that programs read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kohort.definitions.triggers import is_hidden, pause_feature
from kohort.errors import NotEnough, NotFound, UnknownCustomer, WrongUsage
from kohort.model.clock import iso
from kohort.model.limits import LIMITS
from kohort.trust.limits import Forbidding
from kohort.workspace.people import company_numbers, customer_keys, short_code

if TYPE_CHECKING:
    from kohort.live.profile import Profile
    from kohort.live.shown import Place
    from kohort.live.stored import StoredProfiles
    from kohort.workspace.triggers import VaultPeople
    from kohort.workspace.workspace import Workspace

IDENTITIES = ("email", "phone", "user_id", "anonymous_id")
"""What a customer can be looked up by, beside her number in the address."""

MOST_MEMBERS = 1_000
_KEPT_SECONDS = 5.0

Live = Callable[[int], "Profile | None"]
"""Answers from a loop of this process: `kohort.live.profile.Profiles.of`."""


class ProfileDoor:
    """Single customers, and lists of segments, for programs. Any thread may ask.

    Args:
        live: Answers from memory where a loop runs in this process; else, and where it has no answer, the store does.
    """

    def __init__(self, workspace: Workspace, live: Live | None = None) -> None:
        self._ws, self._live = workspace, live
        self._stored: StoredProfiles | None = None
        self._people: VaultPeople | None = None
        self._listed: tuple[float, dict[str, Any]] | None = None
        self._others: tuple[frozenset[str], float, bool] | None = None
        self._forbidding = Forbidding(workspace.store)
        self._lock = threading.Lock()

    def of(
        self, number: str, *, identity: bool = False, predictions: bool = False, reasons: bool = False
    ) -> dict[str, Any]:
        """A customer by the company's number, or by the short code that stands for her.

        Args:
            identity: Tell too which ids are hers and why, and which household and account she belongs to: `identity` is
                `{"ids": [{"customer_id", "visitor", "since", "why", "how", "score", "evidence"}], "household", "account"}`.
            predictions: Tell too what is predicted of her, as `ws.predict.of_customer` does: `predictions` and `value`.
            reasons: And why; that takes about a second more.

        Raises:
            UnknownCustomer: Nobody has it.
        """
        (key,) = customer_keys(self._ws.store.vault, [number])
        document = self._document(key)
        if identity:
            document |= {"identity": self._identity(key)}
        if predictions:
            told = self._ws.predict.of_customer(short_code(key), reasons=reasons)
            document |= {name: told[name] for name in ("predictions", "value")}
        return document

    def find(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        """A customer by one of her identities: `{"email": "…"}`; see IDENTITIES.

        Raises:
            WrongUsage: It is not exactly one, or not a text.
            UnknownCustomer: It is nobody's.
        """
        given = [(kind, value) for kind, value in identity.items() if kind in IDENTITIES]
        if len(given) != 1 or len(identity) != 1 or not isinstance(given[0][1], str) or not given[0][1].strip():
            raise WrongUsage("Say one identity of the customer.", hint=f"One of: {', '.join(IDENTITIES)}.")
        kind, value = given[0]
        vault = self._ws.store.vault
        if kind == "user_id":
            key: int | None = int(vault.known([value])[0])
        elif kind == "anonymous_id":
            key = int(vault.known_visitors([value])[0])
        else:
            key = vault.find(kind, value)
        if not key:
            raise UnknownCustomer([1], 1)
        return self._document(key)

    def segments(self) -> dict[str, Any]:
        """Every segment with its parts and sizes: `{"as_of", "segments": [{"segment", "label", "kind", "size", …}]}`.

        Sizes are up to five seconds old.
        """
        with self._lock:
            now = time.monotonic()
            if self._listed is None or now - self._listed[0] > _KEPT_SECONDS:
                self._listed = now, self._segments()
            return self._listed[1]

    def members(self, name: str, cursor: str = "", limit: int = 100) -> dict[str, Any]:
        """Some members in an order that does not change while others come and go.

        Args:
            name: A segment, or a part of one: `value/gold`.
            cursor: The `next` of the page before; empty = from the beginning.
            limit: At most 1,000.

        Returns:
            `{"segment", "part", "size", "members", "next"}`;

        Raises:
            NotFound: No segment or part has this name.
            WrongUsage: The cursor is none of ours.
        """
        whole, part = self._meant(name)
        shown, more, size = self._ws.store.members.page(whole, after=_after(cursor), limit=limit, segment=part)
        if part:
            size = self._size(whole, part)
        keys = shown.column("customer").to_pylist()
        return {
            "segment": whole,
            "part": part or None,
            "size": size,
            "members": [
                {"customer_id": number, "part": row["segment"], "since": iso(row["since"]), "reason": row["reason"]}
                for number, row in zip(self._numbers(whole, keys), shown.to_pylist(), strict=True)
            ],
            "next": short_code(keys[-1]) if more else None,
        }

    def predictions(self) -> dict[str, Any]:
        """What is predicted and how each stands: see `ws.predict.overview`. Empty where there is nothing to predict yet."""
        try:
            return self._ws.predict.overview()
        except NotEnough:
            return {"predictions": [], "value": None}

    def prediction(self, name: str) -> dict[str, Any]:
        """One prediction, or `name/part`, from all sides: see `ws.predict.show`.

        Raises:
            NotFound: There is no such prediction.
        """
        return self._ws.predict.show(name)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _identity(self, key: int) -> dict[str, Any]:
        from kohort.trust.access import ids_of
        from kohort.workspace.evidence import ids_told

        store = self._ws.store
        ids = ids_of(store, key)
        return {"ids": ids_told(store, ids), **self._ws.groups.hers(ids)}

    def _document(self, key: int) -> dict[str, Any]:
        found = self._live(key) if self._live is not None else None
        live = found is not None
        if found is None:
            found = self._from_store(key)
        config = self._ws.config
        hidden = {pause_feature(t.name) for t in config.triggers} | {f.name for f in config.features if f.about_mood}
        changes = [c for c in found.outlook.changes if not is_hidden(c.name)]
        outlook, forbids = found.outlook, [limit for limit in LIMITS if found.customer in self._forbidding.who(limit)]
        return {
            "customer_id": company_numbers(self._ws.store.vault, [found.customer])[0],
            "visitor": found.customer < 0,
            "as_of": iso(found.as_of),
            "live": live,
            "late": found.late,
            "segments": self._segments_of(found),
            "features": {} if forbids else {n: value for n, value in found.features.items() if n not in hidden},
            "forbids": forbids,
            "next_change": {
                "at": iso(outlook.at),
                "changes": [{"segment": c.name, "from": c.before, "to": c.after} for c in changes],
            }
            if outlook.at is not None and changes
            else None,
            "no_change_before": iso(outlook.looked_until),
            "may_change_earlier": [name for name in found.drifting if not is_hidden(name)],
        }

    def _segments_of(self, found: Profile) -> list[dict[str, Any]]:
        mine = {name: place for name, place in found.places.items() if name in found.known}
        rows = [self._told(name, place) for name, place in mine.items() if not is_hidden(name)]
        for row in self._elsewhere(found):
            if not is_hidden(row["name"]):
                told = {"segment": row["name"], "part": row["segment"], "since": iso(row["since"])}
                rows.append(told | {"reason": row["reason"], "because": ""})
        return rows

    def _elsewhere(self, found: Profile) -> list[dict[str, Any]]:
        """Where she is by definitions that the profile does not speak for: adopted ones, paused ones. Mostly there are none,
        which is looked up again every few seconds only."""
        now = time.monotonic()
        if self._others is None or self._others[0] != found.known or now - self._others[1] > _KEPT_SECONDS:
            there = any(n not in found.known and not is_hidden(n) for n in self._ws.store.members.names())
            self._others = found.known, now, there
        if not self._others[2]:
            return []
        rows: list[dict[str, Any]] = self._ws.store.members.of_customer(found.customer, without=found.known).to_pylist()
        return rows

    def _told(self, name: str, place: Place) -> dict[str, Any]:
        from kohort.compile.segments import REASONS

        if self._people is None:
            from kohort.workspace.triggers import VaultPeople

            self._people = VaultPeople(self._ws)
        return {
            "segment": name,
            "part": place.part,
            "since": iso(place.since),
            "reason": REASONS[place.reason] if place.reason < len(REASONS) else None,
            "because": self._people.reason(name, place.part, "entered"),
        }

    def _from_store(self, key: int) -> Profile:
        with self._lock:
            if self._stored is None:
                from kohort.live.stored import StoredProfiles
                from kohort.workspace.live import look

                self._stored = StoredProfiles(self._ws.store, look(self._ws), self._ws.as_of)
        return self._stored.of(key)

    def _segments(self) -> dict[str, Any]:
        lines = [d for d in self._ws.segments.list() if not is_hidden(d.name)]
        moments = [d.status.as_of for d in lines if d.status.as_of is not None]
        live = self._ws.store.ticks.position().as_of
        return {
            "as_of": iso(max([live, *moments])) if live or moments else None,
            "segments": [
                {
                    "segment": d.name,
                    "label": d.label,
                    "kind": d.kind,
                    "evaluation": d.evaluation,
                    "size": d.size,
                    "parts": [{"part": p.key, "label": p.label, "size": p.size} for p in d.parts],
                    "as_of": None if d.status.as_of is None else iso(max(live, d.status.as_of)),
                }
                for d in lines
            ],
        }

    def _meant(self, name: str) -> tuple[str, str]:
        known = [n for n in self._ws.store.members.names() if not is_hidden(n)]
        if name in known:
            return name, ""
        whole, _, part = name.rpartition("/")
        parts = {p.key for d in self._ws.config.segments if d.name == whole for p in d.parts}
        found = self._ws.store.state.segmentation(whole) if whole in known and not parts else None
        parts |= {s.id for s in found.segments} if found else set()
        if whole in known and part in parts:
            return whole, part
        error = NotFound("segment", "", hint="See GET /v1/segments.")
        error.message = "No segment has this name."  # not repeated: a wrong call may have put a person's number there
        raise error

    def _size(self, name: str, part: str) -> int:
        """How many members a part has."""
        return self._ws.store.members.sizes([name])[name].get(part, 0)

    def _numbers(self, name: str, keys: list[int]) -> list[str]:
        if any(d.name == name and d.kind == "accounts" for d in self._ws.config.segments):
            from kohort.segments.accounts import account_names

            return [found or "" for found in account_names(self._ws.store, keys)]
        return company_numbers(self._ws.store.vault, keys)


def _after(cursor: str) -> int | None:
    """The pseudonym that a cursor ends at."""
    if not cursor:
        return None
    kind, _, digits = cursor.partition("-")
    try:
        number = int(digits, 16)
    except ValueError:
        number = -1
    if kind not in ("c", "visitor") or not 0 <= number < 1 << 63 or not digits.isalnum():
        raise WrongUsage("This cursor is none of ours.", hint="Take the `next` of the page before.")
    return number if kind == "c" else -number
