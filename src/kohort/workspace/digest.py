"""What happened in a week, for somebody who looks once a week: what moved, what it was worth, and what needs a look.

It tells about groups only. No customer is in it, by number or code, nor anything that people wrote, so it may be mailed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort import __version__
from kohort.errors import KohortError, NotEnough, WrongUsage
from kohort.ingest.tracking.privacy import looks_personal, masked
from kohort.model.clock import DAY_US, iso

if TYPE_CHECKING:
    from kohort.segments.listing import Description
    from kohort.segments.migration import Migration
    from kohort.workspace.workspace import Workspace

USUAL = "7d"
LONGEST = 366
_SINCE = re.compile(r"(\d{1,4})\s*(d|days?|w|weeks?)?", re.ASCII)
MOST = 5
"""Entries and exits that are told as the biggest."""


def days_of(text: str) -> int:
    """How many days a person means: 7d, 14 days, 2w.

    Raises:
        WrongUsage: It is no length of 1 to 366 days.
    """
    found = _SINCE.fullmatch(text.strip().lower())
    days = int(found[1]) * (7 if (found[2] or "d").startswith("w") else 1) if found else 0
    if not 1 <= days <= LONGEST:
        raise WrongUsage(f"{text!r} is no length of 1 to {LONGEST} days.", hint="For example 7d or 2w.")
    return days


def digest(ws: Workspace, since: str = USUAL) -> dict[str, Any]:
    """What moved in the days before the newest data, and what needs a look.

    Args:
        since: How far back: 7d, 2w.

    Returns:
        `{"name", "demo", "days", "since", "until", "made_at", "currency", "moved", "entries", "exits", "untold", "looks",
        "customers"}`. `moved`: every part that somebody entered or left, the most valuable first: `segment`, `part`, `label`,
        `noun`, `entered`, `left`, `size`, `value` (`entered`, `left`, `net`, `low`, `high`; None where no amounts are known,
        the range None where too few moved), `redefined`. `entries` and `exits`: the biggest of those. `untold`: segments of
        which nothing can be said, and why. `looks`: `kind`, `label`, `text`, `href`. Without data `until` is None.

    Raises:
        WrongUsage: `since` is no length.
    """
    days = days_of(since)
    return dict(ws.kept.get(f"digest.{days}", _stamp(ws), lambda: _masked(_Digest(ws, days).told())))


def _stamp(ws: Workspace) -> str:
    """Another text whenever a digest may be another: definitions, members, feedback, or the day on which it is made.

    While a server keeps members current they change all the time: then it is good for as long as `ws.kept` says.
    """
    statuses = sorted(ws.store.status.all().items())
    asked = (
        ws.config_stamp,
        statuses if ws.store.kept_current() is None else [(name, s.version, s.error) for name, s in statuses],
        ws.store.feedback.stamp(),
        time.time_ns() // 1_000 // DAY_US,
    )
    return f"{__version__}|{hashlib.sha256(repr(asked).encode()).hexdigest()[:24]}"


class _Digest:
    """One digest being made."""

    def __init__(self, ws: Workspace, days: int) -> None:
        self.ws, self.days, self.now = ws, days, time.time_ns() // 1_000
        self.lines = ws.segments.list()
        try:  # members may show a later moment than the last event: somebody asked for it
            self.until: int | None = max(ws.as_of(), *(line.status.as_of or 0 for line in self.lines), 0)
        except NotEnough:
            self.until = None
        self.untold: list[dict[str, str]] = []

    def told(self) -> dict[str, Any]:
        until = self.until
        moved = [] if until is None else list(self._moved(until - self.days * DAY_US, until))
        moved.sort(key=lambda row: (-abs((row["value"] or {}).get("net", 0.0)), -(row["entered"] + row["left"])))
        return {
            "name": self.ws.name,
            "demo": self.ws.is_demo,
            "days": self.days,
            "since": None if until is None else iso(until - self.days * DAY_US),
            "until": None if until is None else iso(until),
            "made_at": iso(self.now),
            "zone": self.ws.zone,
            "currency": self.ws.currency,
            "segments": sum(1 for line in self.lines if line.version),
            "moved": moved,
            "entries": _biggest(moved, "entered"),
            "exits": _biggest(moved, "left"),
            "untold": self.untold,
            "looks": [] if until is None else [*self._segments(until), *self._health(), *self._votes(), *self._sent()],
        }

    # -- what moved ------------------------------------------------------------------------------------------------

    def _moved(self, start: int, end: int) -> Iterator[dict[str, Any]]:
        from kohort.segments.migration import migration

        worth = _Worth(self.ws, end)
        for line in self.lines:
            if not line.version or line.kind == "gone":
                continue
            labels = {p.key: p.label for p in line.parts}
            try:
                found = migration(self.ws.store, line.name, start, end, labels=labels)
            except NotEnough:
                text = "Its first run lies within this time, so there is nothing to compare with yet."
                self.untold.append({"label": line.label, "text": text})
                continue
            except KohortError as error:
                self.untold.append({"label": line.label, "text": error.message})
                continue
            if not found.rerun:
                self.untold.append(
                    {"label": line.label, "text": "It was not run in this time, so nobody can have moved."}
                )
                continue
            yield from self._parts(line, found, worth)

    def _parts(self, line: Description, found: Migration, worth: _Worth) -> Iterator[dict[str, Any]]:
        several = len(line.parts) > 1
        tables = [self.ws.store.members.at(line.name, at) for at in (found.start, found.end)]
        for part in found.parts:
            if not part.entered + part.left:
                continue
            old, new = (_of_part(table, part.segment) for table in tables)
            value = None if line.kind == "accounts" else worth.moved(np.setdiff1d(new, old), np.setdiff1d(old, new))
            yield {
                "segment": line.name,
                "part": part.segment if several else "",
                "label": f"{line.label}: {part.label}" if several else line.label,
                "noun": "account" if line.kind == "accounts" else "customer",
                "entered": part.entered,
                "left": part.left,
                "size": part.after,
                "value": value,
                "redefined": found.redefined,
                "href": _href(line, part.segment),
            }

    # -- what needs a look -----------------------------------------------------------------------------------------

    def _segments(self, until: int) -> Iterator[dict[str, Any]]:
        for line in self.lines:
            told = {"label": line.label, "href": _href(line, "")}
            status = line.status
            if status.error:
                yield {"kind": "failed", **told, "text": f"Its last run failed: {status.problem}"}
            elif line.kind == "gone":
                yield {"kind": "stale", **told, "text": "Nothing defines it any more; its members stay as they were."}
            elif line.evaluation == "paused" and not line.version:
                yield {"kind": "draft", **told, "text": "It is not live yet: nobody is in it."}
            elif line.evaluation == "paused":
                yield {"kind": "paused", **told, "text": "It is paused: nobody enters or leaves."}
            elif not line.version and line.kind != "found":
                yield {"kind": "waiting", **told, "text": "It was never run, so nobody is in it."}
            elif status.as_of is not None and until - status.as_of > self.days * DAY_US:
                late = (until - status.as_of) // DAY_US
                yield {"kind": "stale", **told, "text": f"Its members are {late:,} days older than the newest data."}
        old = (self.now - until) // DAY_US
        if old > self.days and not self.ws.is_demo:
            text = f"The newest event is {old:,} days old: nothing came in since."
            yield {"kind": "stale", "label": "Data", "href": "/data-health", "text": text}

    def _health(self) -> Iterator[dict[str, Any]]:
        try:
            found = self.ws.health()
        except NotEnough:
            return
        if found.verdict != "enough":
            told = {"kind": "health", "label": "Data health", "href": "/data-health"}
            yield {**told, "text": f"{found.score} of 100. {found.text}"}
        for one in found.findings:
            if one.severity == "problem":
                yield {"kind": "health", "label": "Data health", "href": "/data-health", "text": one.text}

    def _votes(self) -> Iterator[dict[str, Any]]:
        """Segments that somebody disagreed with in these days, by the clock on the wall: counts, never words."""
        recent = [s for s in self.ws.store.feedback.all() if s.at_us > self.now - self.days * DAY_US]
        lines = {line.name: line for line in self.lines}
        for name in dict.fromkeys(s.name for s in recent if s.said == "disagree"):
            against = [s for s in recent if s.name == name and s.said == "disagree"]
            whom = len({s.customer for s in against if s.customer is not None})
            parts = [_count(len({s.by for s in against if s.customer is None}), "person", "people", "would change it")]
            parts.append(_count(whom, "customer", "customers", "said not to belong"))
            evidence = self.ws.feedback.evidence(name)
            text = f"{' and '.join(part for part in parts if part)}; {evidence.checked:,} of {evidence.members:,} were checked."
            line = lines.get(name)
            label, href = (line.label, _href(line, "")) if line else ("Found groups", "/segments")
            yield {
                "kind": "votes",
                "label": label,
                "href": f"{href}/feedback" if line and line.kind != "found" else href,
                "text": text,
            }

    def _sent(self) -> Iterator[dict[str, Any]]:
        dead: dict[str, int] = {}
        for (destination, _, state), n in self.ws.store.deliveries.counts().items():
            if state == "dead":
                dead[destination] = dead.get(destination, 0) + n
        for destination, n in sorted(dead.items()):
            text = f"{_count(n, 'delivery', 'deliveries', 'given up')}. See kohort deliveries dead."
            yield {"kind": "sent", "label": destination, "href": "", "text": text}


class _Worth:
    """What customers have brought in so far, looked up once and only where somebody moved."""

    def __init__(self, ws: Workspace, as_of: int) -> None:
        self._ws, self._as_of = ws, as_of
        self._known: tuple[np.ndarray, np.ndarray] | None = None

    def moved(self, entered: np.ndarray, left: np.ndarray) -> dict[str, float | None] | None:
        from kohort.segments.moved_value import moved_value
        from kohort.workspace.looks import value_of

        definition = value_of(self._ws)
        if definition is None:
            return None
        if self._known is None:
            table = self._ws.pseudonymous_features(self._as_of, definitions=[definition], context=False)
            ids = table.ids.to_numpy(zero_copy_only=False)
            order = np.argsort(ids)
            values = table.data.column(0).to_numpy(zero_copy_only=False).astype(np.float64)
            self._known = ids[order], np.nan_to_num(values[order])
        came, went = self._of(entered), self._of(left)
        net, sure = moved_value(came, went)
        told = {"entered": float(came.sum()), "left": float(went.sum()), "net": net}
        return {**told, "low": sure.low if sure else None, "high": sure.high if sure else None}

    def _of(self, customers: np.ndarray) -> np.ndarray:
        assert self._known is not None
        ids, values = self._known
        if not len(ids):
            return np.zeros(len(customers))
        at = np.minimum(np.searchsorted(ids, customers), len(ids) - 1)
        return np.where(ids[at] == customers, values[at], 0.0)


def _of_part(table: Any, part: str) -> np.ndarray:
    import pyarrow.compute as pc

    found: np.ndarray = table.filter(pc.equal(table.column("segment"), part)).column("customer").to_numpy()
    return found


def _biggest(moved: Sequence[Mapping[str, Any]], which: str) -> list[dict[str, Any]]:
    """Parts with the most who entered, or left; those of a definition that changed are not customers' doing."""
    rows = [row for row in moved if row[which] and not row["redefined"]]
    return [
        {"label": r["label"], "noun": r["noun"], "n": r[which], "href": r["href"]}
        for r in sorted(rows, key=lambda r: -r[which])[:MOST]
    ]


def _href(line: Description, part: str) -> str:
    from urllib.parse import quote

    if line.kind == "found":
        return f"/segments/{quote(part, safe='')}" if part else "/segments"
    return "/segments#own" if line.kind in ("gone", "unread") else f"/definitions/{quote(line.name, safe='')}"


def _count(n: int, one: str, many: str, then: str) -> str:
    return f"{n:,} {one if n == 1 else many} {then}" if n else ""


def _masked(value: Any) -> Any:
    """The same with nothing in it that looks like an e-mail address or a telephone number: names of segments are people's own."""
    if isinstance(value, dict):
        return {key: inner if key in _OURS else _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    if not isinstance(value, str):
        return value
    text = masked(value)
    return "(a name that looks like an identifier)" if looks_personal(text) else text


_OURS = frozenset({"since", "until", "made_at", "zone", "currency"})
"""Fields that hold no words of people."""
