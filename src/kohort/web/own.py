"""What the pages ask a workspace about the segments that people define: lists, members, why, and looks that are kept."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError, NotFound
from kohort.locale import current, speaking, spoken
from kohort.model.clock import iso
from kohort.views.own import Own, OwnSegment, Person
from kohort.views.own_members import Member, MembersPage
from kohort.web import who
from kohort.web.jobs import Jobs
from kohort.workspace.kept import GOOD_SECONDS

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.segments import SegmentDefinition
    from kohort.model.edits import Edit, Removed
    from kohort.model.job import Job
    from kohort.segments.overlap import Overlap
    from kohort.workspace.workspace import Workspace

Look = dict[str, Any]
"""What takes long to find out about one definition, ready for JSON; see `look_at`."""

KEPT_LOOKS = 200
MOST_OVERLAPS = 12
QUICK = ("versions", "runs")
"""Questions of a look that need no counting."""
LOOK_SECONDS = 300.0
"""How long a look is good while members change all the time."""

Ask = Callable[[str, bool], bool]
"""Has another process look at a definition: its name, and whether somebody waits for it."""


class Looks:
    """Looks at definitions, kept in memory for as long as data, definitions and members stay as they are."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, Look, float]] = OrderedDict()
        self._lock = Lock()

    def keep(self, name: str, stamp: str, look: Look) -> None:
        """Another process, or this one, has looked."""
        with self._lock:
            self._kept[name] = stamp, look, time.monotonic()
            self._kept.move_to_end(name)
            while len(self._kept) > KEPT_LOOKS:
                self._kept.popitem(last=False)

    def get(self, name: str, stamp: str, make: Callable[[], Look]) -> Look:
        with self._lock:
            kept = self._kept.get(name)
        if kept is None or kept[0] != stamp:
            look = make()
            self.keep(name, stamp, look)
            return look
        return kept[1]

    def last(self, name: str) -> tuple[str, Look, float] | None:
        """The last look at a definition, however old: its stamp, the look, and its age in seconds."""
        with self._lock:
            kept = self._kept.get(name)
        return None if kept is None else (kept[0], kept[1], time.monotonic() - kept[2])


class OwnSegments:
    """Segments of a workspace as the pages show them. Each call looks at what is so now.

    Args:
        looks: Where looks are kept.
        ask: Who looks while a server keeps the workspace current; None = whoever asks waits.
    """

    def __init__(self, ws: Workspace, looks: Looks | None = None, ask: Ask | None = None) -> None:
        self._ws = ws
        self.looks = looks or Looks()
        self._ask = ask
        self._kept: dict[str, tuple[object, Own]] = {}

    def all(self) -> Own:
        """Every definition, in the order written; then what has members and is defined no more. Kept."""
        # While members change all the time they are listed anew every half minute.
        live = self._ws.store.kept_current() is not None
        now = stamp(self._ws), int(time.time() // GOOD_SECONDS) if live else 0
        kept = self._kept.get(spoken())
        if kept is None or kept[0] != now:
            kept = self._kept[spoken()] = now, self._all()
        return kept[1]

    def _all(self) -> Own:
        defined = {d.name: d for d in self._ws.config.segments}
        labels = self._labels()
        lines = tuple(
            OwnSegment(d, defined.get(d.name), self._sentences(defined.get(d.name), labels))
            for d in self._ws.segments.list()
            if d.kind != "found"
        )
        return Own(lines, self._ws.currency, self._ws.zone, self._ws.store.kept_current() is not None)

    def edits(self) -> dict[str, Edit]:
        """Definition → who changed it last; nobody by name where nobody had to log in."""
        edits = self._ws.segments.edits().items()
        return {name: replace(edit, by="") if edit.by == who.PAGES else edit for name, edit in edits}

    def run_of(self, name: str) -> Job | None:
        """The last run of a definition that took long enough to be a job, as far as it is remembered."""
        jobs = Jobs(self._ws).all()
        return next((job for job in jobs if job.kind == "run" and job.arguments["name"] == name), None)

    def removed(self, name: str) -> Removed | None:
        """A definition that was deleted and can be brought back."""
        return next((one for one in self._ws.segments.removed() if one.name == name), None)

    def clock(self) -> str:
        """The time of day that memberships show, where a server keeps them current; else empty."""
        from kohort.views.own_words import clock

        as_of = self._ws.store.kept_current()
        return "" if as_of is None else clock(as_of, self._ws.zone)

    def look(self, name: str) -> Look:
        """See `look_at`; kept, and said in the reader's language. While a server keeps members current it may be some minutes
        old; of a definition that is new it `waits` for most of it."""
        look = self._look(name)
        return look if current.get() == "en" else self._said_again(name, look)

    def _look(self, name: str) -> Look:
        """In English, whoever asks."""
        now = stamp(self._ws)
        if self._ask is None or self._ws.store.kept_current() is None:
            return self.looks.get(name, now, lambda: look_at(self._ws, name))
        kept = self.looks.last(name)
        if kept is None or kept[1]["of"] != text_of(self._ws, name):
            if not self._ask(name, True):
                return self.looks.get(name, now, lambda: look_at(self._ws, name))  # nobody else can look
            return {**look_at(self._ws, name, only=QUICK), "waits": True}
        if kept[0] != now or kept[2] > LOOK_SECONDS:
            self._ask(name, False)
        return kept[1]

    def _said_again(self, name: str, look: Look) -> Look:
        from kohort.segments import said_again
        from kohort.segments.explain import said

        found, labels = dict(look), self._labels()
        defined = next((d for d in self._ws.config.segments if d.name == name), None)
        # Of a definition that was changed meanwhile the figures are those of before, and so are the words.
        if look["preview"] and defined and look["of"] == text_of(self._ws, name):
            found["preview"] = said_again.preview(
                look["preview"], defined, self._ws.zone, lambda rule: said(rule, spoken(), labels)
            )
        if months := look["months"]:
            latest = next(m for m in months["moves"] if m["start"] == months["alarms"]["start"])
            found["months"] = {**months, "alarms": said_again.alarms(months["alarms"], latest)}
        if look["month"]:
            found["month"] = said_again.migration(look["month"])
        return found

    def titles(self) -> dict[tuple[str, str], str]:
        """(definition or adopted segmentation, key of a part) → what people read for it."""
        return titles(self._ws)

    def by_hand(self, name: str) -> list[dict[str, Any]]:
        """What people decided about single customers, newest first; moments as ISO 8601."""
        return [{**action, "at": iso(action["at"])} for action in reversed(self._ws.store.by_hand.actions(name))]

    def members(
        self, own: OwnSegment, part: str, after: str, limit: int, *, order: str = "customer", skip: int = 0
    ) -> MembersPage:
        """Some members, by customer or by when they came in. Accounts have no page of their own, so they have no code.

        Args:
            after: By customer, the `next` of the page before; empty = from the beginning. That order does not change while
                others come and go.
            order: A key of `kohort.views.own_members.ORDERS`.
            skip: In the other orders, how many came before.

        Raises:
            NotFound: No page ends there.
        """
        from kohort.workspace.people import key_of, short_code

        if not own.about.version:
            return MembersPage((), "", 0)
        last = key_of(after) if after else None
        if after and last is None:
            raise NotFound("page of members of", own.name)
        store = self._ws.store.members
        if order == "customer":
            shown, more, size = store.page(own.name, after=last, limit=limit, segment=part)
            if part:
                size = store.sizes([own.name])[own.name].get(part, 0)
        else:
            everybody = _sorted(store.current(own.name), part, newest=order == "newest")
            size = everybody.num_rows
            shown, more = everybody.slice(skip, limit), skip + limit < size
        keys = shown.column("customer").to_pylist()
        names = self._names(own.about.kind, keys)
        rows = tuple(
            Member(number, code, row["segment"], iso(row["since"]), row["reason"] or "")
            for (number, code), row in zip(names, shown.to_pylist(), strict=True)
        )
        return MembersPage(rows, short_code(keys[-1]) if more else "", size)

    def why(self, own: OwnSegment, customer: str, part: str | None = None) -> Person:
        """Why one customer is in, or is not, at the moment that the members show; and what else she is in.

        Args:
            customer: The code that the pages use for her, or the company's number.

        Raises:
            NotFound: No such customer or part; accounts are not explained one by one.
        """
        from kohort.errors import UnknownCustomer
        from kohort.workspace.people import company_numbers, customer_keys, short_code

        if own.definition is None or own.about.kind == "accounts":
            raise NotFound("page of a customer in", own.name)
        vault = self._ws.store.vault
        try:
            (key,) = customer_keys(vault, [customer])
        except UnknownCustomer:
            raise NotFound("customer", "of this address") from None
        key = self._ws.store.meant(key)
        (number,) = company_numbers(vault, [key])
        as_of = own.about.status.as_of or self._ws.as_of()
        answer = self._ws.segments.why(own.name, short_code(key), part=part, as_of=as_of, language=spoken())
        inside = {row["name"]: row["segment"] for row in self._ws.store.members.of_customer(key).to_pylist()}
        return Person(short_code(key), number, as_of, answer, inside)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _names(self, kind: str, keys: list[int]) -> Iterator[tuple[str, str]]:
        from kohort.segments.accounts import account_names
        from kohort.workspace.people import company_numbers, short_code

        if kind == "accounts":
            yield from ((name or "", "") for name in account_names(self._ws.store, keys))
        else:
            yield from zip(company_numbers(self._ws.store.vault, keys), map(short_code, keys), strict=True)

    def _labels(self) -> tuple[tuple[str, str], ...]:
        features = {f.name: f.label for f in self._ws.definitions() if f.label}
        return tuple(sorted((features | {d.name: d.label for d in self._ws.config.segments if d.label}).items()))

    def _sentences(self, definition: SegmentDefinition | None, labels: tuple[tuple[str, str], ...]) -> dict[str, str]:
        from kohort.segments.explain import said

        rules = [r for p in (definition.parts if definition else ()) for r in (p.rule, p.keep) if r is not None]
        return {rule.text: said(rule.text, spoken(), labels) for rule in rules}


def _sorted(members: pa.Table, part: str, *, newest: bool) -> pa.Table:
    """Members, or those of a part, by when they came in."""
    import pyarrow.compute as pc

    if part:
        members = members.filter(pc.equal(members.column("segment"), part))
    return members.sort_by([("since", "descending" if newest else "ascending"), ("customer", "ascending")])


def titles(ws: Workspace) -> dict[tuple[str, str], str]:
    """(definition or adopted segmentation, key of a part) → what people read for it."""
    from kohort.definitions.segments_text import title

    found = {}
    for d in ws.config.segments:
        whole = title(d.name, d.label)
        for p in d.parts:
            found[d.name, p.key] = whole if len(d.parts) == 1 else f"{whole}: {title(p.key, p.label)}"
    for name in dict.fromkeys(row["name"] for row in ws.store.state.segmentations() if row["adopted"]):
        adopted = ws.store.state.segmentation(name)
        found |= {(name, s.id): s.name for s in (adopted.segments if adopted else ())}
    return found


def stamp(ws: Workspace) -> str:
    """Another text whenever a look at a definition may be another: data, definitions, members, decisions by hand.

    While a server keeps the workspace current, data and members change all the time, and are not in it.
    """
    told: tuple[object, ...] = (ws.config_stamp, ws.store.by_hand.last())
    statuses = sorted(ws.store.status.all().items())
    if ws.store.kept_current() is None:
        told += (ws.store.version(), statuses)
    else:
        told += ([(name, s.version, s.error) for name, s in statuses],)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:24]


def text_of(ws: Workspace, name: str) -> str:
    """Another text whenever a definition says something else."""
    defined = next((d for d in ws.config.segments if d.name == name), None)
    return hashlib.sha256(repr(defined).encode()).hexdigest()[:16]


def look_at(ws: Workspace, name: str, shared: Overlap | None = None, only: Collection[str] | None = None) -> Look:
    """What one definition holds, how it overlaps, how it moved, and its versions: all that takes long to find out.

    What cannot be said has its reason under `problems` instead.

    Args:
        shared: How all definitions overlap, where that is known already.
        only: These questions; the others are left open. None = all.
    """
    looking = _Looking(ws, name, shared)
    look: Look = {"problems": {}, "of": text_of(ws, name)}
    parts: dict[str, Callable[[], Any]] = {
        "preview": looking.preview,
        "overlap": looking.overlap,
        "months": looking.months,
        "month": looking.month,
        "versions": looking.versions,
        "runs": looking.runs,
    }
    for key, ask in parts.items():
        look[key] = None
        if only is not None and key not in only:
            continue
        try:
            with speaking("en"):
                look[key] = ask()
        except KohortError as error:
            look["problems"][key] = error.message
    return look


class _Looking:
    """The single questions of `look_at`."""

    def __init__(self, ws: Workspace, name: str, shared: Overlap | None) -> None:
        self.ws = ws
        self.name = name
        self.shared = shared
        self.about = ws.segments.describe(name)

    def preview(self) -> dict[str, Any]:
        """At the moment that the members show, so that figures agree; now, where nobody was placed yet."""
        found = self.ws.segments.preview(self.name, as_of=self.about.status.as_of).as_dict()
        found.pop("conditions")  # those of all parts again
        for part in found["parts"]:
            part.pop("sample")
        return found

    def overlap(self) -> list[dict[str, Any]]:
        if not self.about.size or self.about.kind == "accounts":
            return []
        found = self.shared or self.ws.segments.overlap(self.name)
        rows = []
        for pair in found.pairs:
            first, second = found.groups[pair.first], found.groups[pair.second]
            if self.name not in (first.name, second.name):
                continue
            mine, other = (first, second) if first.name == self.name else (second, first)
            shares = (pair.share_of_first, pair.share_of_second)
            if pair.both:
                rows.append(
                    {
                        "part": mine.segment,
                        "name": other.name,
                        "segment": other.segment,
                        "size": other.size,
                        "both": pair.both,
                        "share_of_this": shares[0] if mine is first else shares[1],
                        "share_of_other": shares[1] if mine is first else shares[0],
                        "lift": pair.lift and {"value": pair.lift.value, "low": pair.lift.low, "high": pair.lift.high},
                    }
                )
        return rows[:MOST_OVERLAPS]

    def months(self) -> dict[str, Any]:
        moved = self.ws.segments.movement(self.name)
        alarms = self.ws.segments.alarms(moved).as_dict()
        return {"moves": [m.as_dict() for m in moved], "alarms": alarms}

    def month(self) -> dict[str, Any]:
        """From the same day a month before to the moment that the members show."""
        from kohort.compile.windows import ago
        from kohort.definitions.windows import Span

        end = self.about.status.as_of
        if end is None:
            raise NotFound("run of", self.name)
        (moved,) = self.ws.segments.movement(self.name, ago(Span(1, "month"), end, self.ws.zone), end)
        return moved.as_dict()

    def versions(self) -> dict[str, Any]:
        """Each version with what it changed, newest first; `pending` is what the next run will follow."""
        from kohort.definitions.segments_diff import diff_text

        kept = self.ws.store.definitions.versions(self.name)
        told = [
            {
                "version": int(v["version"]),
                "saved_at": v["saved_at"] if isinstance(v["saved_at"], str) else iso(v["saved_at"]),
                "changes": diff_text(str(kept[i - 1]["text"]), str(v["text"])).splitlines() if i else [],
            }
            for i, v in enumerate(kept)
        ]
        last = told[-1]["changes"] if told else []
        pending: list[str] = []
        with suppress(KohortError):  # there is one version only, and it is what is written
            now = self.ws.segments.diff(self.name).splitlines()
            pending = [] if now == last else now
        return {"told": told[::-1], "pending": pending}

    def runs(self) -> list[dict[str, Any]]:
        return list(self.ws.segments.history(self.name))[::-1]
