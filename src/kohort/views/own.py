"""Pages of the segments that people define, as HTML text. See `kohort.views.pages`, which this continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kohort.errors import NotFound
from kohort.views import moves, words
from kohort.views import own_words as say
from kohort.views.formats import EN
from kohort.views.pages import Shell, page

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition
    from kohort.model.segmentation import Segmentation
    from kohort.segments.listing import Description
    from kohort.segments.reasons import PartWhy, Why

SORTS = (("written", "As written"), ("customers", "Customers"), ("name", "Name"))
DEEP = ("", "deep-1", "deep-2", "deep-3")
Look = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OwnSegment:
    """One definition.

    Attributes:
        about: Its line in the list of all segments.
        definition: None where it is defined no more.
        said: Text of each of its rules → the same in plain words.
    """

    about: Description
    definition: SegmentDefinition | None
    said: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.about.name

    @property
    def label(self) -> str:
        return self.about.label

    @property
    def href(self) -> str:
        return f"/definitions/{quote(self.name, safe='')}"

    @property
    def kind(self) -> str:
        return say.KINDS[self.about.kind]

    @property
    def noun(self) -> str:
        """What its members are."""
        return "account" if self.about.kind == "accounts" else "customer"

    @property
    def bands(self) -> tuple[moves.Band, ...]:
        return tuple(moves.Band(p.key, p.label, i) for i, p in enumerate(self.about.parts))

    @property
    def labels(self) -> dict[str, str]:
        """Key of each part → what people read; of a single part the name of the whole."""
        if len(self.about.parts) == 1:
            return {self.about.parts[0].key: self.label}
        return {p.key: p.label for p in self.about.parts}


@dataclass(frozen=True, slots=True)
class Own:
    """All definitions of a workspace, in the order written."""

    segments: tuple[OwnSegment, ...]
    currency: str
    zone: str

    def segment(self, name: str) -> OwnSegment:
        """
        Raises:
            NotFound: No definition has this name.
        """
        found = {s.name: s for s in self.segments}
        if name not in found:
            raise NotFound("segment", name, found)
        return found[name]

    @property
    def lifecycles(self) -> tuple[OwnSegment, ...]:
        return tuple(s for s in self.segments if s.about.kind == "stages")


@dataclass(frozen=True, slots=True)
class Member:
    """One row of a list of members. `code` is what addresses call her by; empty where she has no page."""

    number: str
    code: str
    segment: str
    since: str
    reason: str


@dataclass(frozen=True, slots=True)
class MembersPage:
    """Some members; `next` is where the following ones begin."""

    rows: tuple[Member, ...]
    next: int | None
    size: int


@dataclass(frozen=True, slots=True)
class Person:
    """One customer and one definition.

    Attributes:
        as_of: The moment asked about (µs UTC).
        inside: Every definition that she is in now → its part.
    """

    code: str
    number: str
    as_of: int
    answer: Why
    inside: Mapping[str, str]


# The list ------------------------------------------------------------------------------------------------------------


def listed(own: Own, sort: str) -> dict[str, Any]:
    """What the list of own segments shows. `sort` is one of SORTS; anything else means as written."""
    sort = sort if sort in dict(SORTS) else "written"
    keys = {"customers": lambda s: -s.about.size, "name": lambda s: s.label.lower()}
    segments = sorted(own.segments, key=keys[sort]) if sort in keys else own.segments
    return {"rows": [_row(s, own) for s in segments], "sort": sort, "sorts": SORTS}


def _row(s: OwnSegment, own: Own) -> dict[str, Any]:
    several = len(s.about.parts) > 1
    return {
        "s": s,
        "text": say.about(s.definition, s.said),
        "bar": moves.share_bar([(p.label, p.size) for p in s.about.parts], _everybody(s)) if several else None,
        "parts": [(b.letter, b.colour, p.label, EN.number(p.size)) for b, p in zip(s.bands, s.about.parts, strict=True)]
        if several
        else [],
        "fresh": say.fresh(s.about, own.zone),
        "failure": say.failure(s.about, own.zone),
        "paused": s.about.evaluation == "paused",
        "used_by": _links(s.about.used_by, own),
    }


def _everybody(s: OwnSegment) -> int | None:
    """How many the share of a definition is a share of."""
    return round(s.about.size / s.about.share) if s.about.share else None


def _links(names: Sequence[str], own: Own) -> list[tuple[str, str]]:
    """Names of segments as what people read, with the address of each that has a page."""
    known = {s.name: s for s in own.segments}
    return [(known[n].label, known[n].href) if n in known and known[n].definition else (n, "") for n in names]


def segments(shell: Shell, found: Segmentation | None, own: Own, *, mine: str = "written") -> str:
    """The list where no groups were found: what people defined stands alone."""
    return page("own_segments.html", shell, "segments", found, own=listed(own, mine), sort="revenue")


# One definition ------------------------------------------------------------------------------------------------------


def segment(
    shell: Shell,
    own: Own,
    s: OwnSegment,
    look: Look,
    *,
    by_hand: Sequence[Mapping[str, Any]] = (),
    titles: Mapping[tuple[str, str], str],
    found: Segmentation | None = None,
) -> str:
    """One definition: who is in it, how its conditions add up, how it moved, what it overlaps with, how it came about.

    Args:
        look: From `kohort.web.own.look_at`.
        by_hand: What people decided about single customers, newest first.
        titles: (definition or adopted segmentation, key of a part) → what people read for it.
        found: The groups that have pages of their own.
    """
    preview = look["preview"]
    return page(
        "own_segment.html",
        shell,
        "segments",
        tab="summary",
        **_head(s, own, look),
        who=_who(s, preview, own),
        rules=conditions(s, preview),
        beside=say.conditions_of_membership(s.definition) if s.definition else [],
        warnings=_warnings(preview),
        expected=f"{words.plural(preview['size'], s.noun)}, {EN.percent(preview['share'])} of all."
        if preview and not s.about.version
        else "",
        universe=preview["universe_text"] if preview else "",
        problems=look["problems"],
        movement=movement(s, look, own.zone),
        overlap=_overlap(s, look, _addresses(own, found), titles),
        runs=[{**r, "at": say.day(r["as_of"], own.zone)} for r in (look["runs"] or [])[:24]],
        versions=[{**v, "on": say.day(v["saved_at"], own.zone)} for v in (look["versions"] or {"told": []})["told"]],
        pending=(look["versions"] or {"pending": []})["pending"],
        by_hand=[{**a, "on": say.day(a["at"], own.zone), "did": _did(a, s)} for a in by_hand],
        depends_on=_links(s.about.depends_on, own),
        used_by=_links(s.about.used_by, own),
        evaluated=say.day(s.about.status.evaluated_at, own.zone),
    )


def _warnings(preview: Mapping[str, Any] | None) -> list[str]:
    """What looks like a mistake. That the parts of a definition take in everybody is mostly what was wanted."""
    if preview is None:
        return []
    return [w for w in preview["warnings"] if len(preview["parts"]) == 1 or w != say.EVERYBODY]


def _head(s: OwnSegment, own: Own, look: Look | None = None) -> dict[str, Any]:
    """What stands above both tabs."""
    return {
        "s": s,
        "own": own,
        "text": say.about(s.definition, s.said),
        "fresh": say.fresh(s.about, own.zone),
        "failure": say.failure(s.about, own.zone),
        "paused": s.about.evaluation == "paused",
        "kpis": _figures(s, own, look),
    }


def _figures(s: OwnSegment, own: Own, look: Look | None) -> list[dict[str, Any]]:
    """Key figures; one that is not known is left out. Money is shown only of exactly the members that are counted."""
    if not s.about.version:
        return []
    month, preview = (look["month"], look["preview"]) if look else (None, None)
    step = month["entered"] - month["left"] if month and month["rerun"] else None
    since = say.day(month["start"], own.zone) if month else ""
    rows: list[dict[str, Any]] = [
        {
            "label": f"{s.noun.capitalize()}s",
            "value": EN.number(s.about.size),
            "change": step,
            "note": "" if step is None else f"{EN.signed(step)} since {since}",
        }
    ]
    if s.about.share is not None:
        note = "all of them" if s.about.share >= 1 else words.one_in(s.about.share) if s.about.size else ""
        rows.append({"label": "Share of customers", "value": EN.percent(s.about.share), "change": None, "note": note})
    if preview and preview["value"] is not None and preview["size"] == s.about.size and s.about.size:
        share = "" if preview["value_share"] is None else f"{EN.percent(preview['value_share'])} of all revenue"
        money = EN.short_money(preview["value"], own.currency)
        each = EN.money(preview["value"] / s.about.size, own.currency, 0)
        rows.append({"label": "Revenue", "value": money, "change": None, "note": share})
        rows.append({"label": f"Per {s.noun}", "value": each, "change": None, "note": "on average"})
    if preview and preview["excluded_by_consent"]:
        left_out = EN.number(preview["excluded_by_consent"])
        rows.append({"label": "Did not agree", "value": left_out, "change": None, "note": "and were left out"})
    return rows


def _who(s: OwnSegment, preview: Mapping[str, Any] | None, own: Own) -> list[dict[str, Any]]:
    """Each part: its sentence, its rule as written, how customers stay in it, its size and value."""
    counted = {p["segment"]: p for p in preview["parts"]} if preview else {}
    sizes = {p.key: p for p in s.about.parts}
    found = []
    for i, part in enumerate(s.definition.parts if s.definition else ()):
        size, worth = sizes.get(part.key), counted.get(part.key)
        same = size is not None and worth is not None and worth["size"] == size.size and bool(size.size)
        found.append(
            {
                "band": s.bands[i],
                "label": s.labels.get(part.key, part.key),
                "sentence": say.sentence(s.said[part.rule.text]) if part.rule else "",
                "rule": part.rule.text if part.rule else "",
                "share_wanted": None if part.share is None else f"{say.exact(part.share)}%",
                "keep": part.keep.text if part.keep else "",
                "staying": say.staying(part, s.definition, s.said) if s.definition else [],
                "size": size,
                "value": EN.short_money(worth["value"], own.currency) if same and worth else "",
                "value_share": EN.percent(worth["value_share"]) if same and worth else "",
            }
        )
    return found


def conditions(s: OwnSegment, preview: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Per part: each condition with its size alone, and the running count that leads to the size.

    A single condition that is the whole definition has nothing to add to the size above it.
    """
    found = []
    for band, part in zip(s.bands, preview["parts"] if preview else (), strict=False):
        rows = [_condition(c) for c in part["conditions"] if c["depth"] or len(part["conditions"]) == 1]
        if not rows:
            continue
        whole = part["conditions"][0]
        if len(rows) == len(preview["parts"] if preview else ()) == 1 and whole["size"] == part["size"]:
            continue
        found.append(
            {
                "band": band,
                "label": s.labels.get(part["segment"], part["segment"]),
                "rows": rows,
                "size": EN.number(whole["size"]),
                "members": EN.number(part["size"]),
                "differ": whole["size"] != part["size"],
                "beside": say.beside(s.definition, part["segment"]) if s.definition else "",
            }
        )
    return found


def _condition(c: Mapping[str, Any]) -> dict[str, Any]:
    running = c["running"]
    told = "" if running is None else f"{EN.number(running)} left" if c["group"] == "left" else f"+{EN.number(running)}"
    return {
        "sentence": say.sentence(c["sentence"]),
        "text": c["text"],
        "size": EN.number(c["size"]),
        "share": EN.percent(c["share"]),
        "running": told,
        "deep": DEEP[min(max(c["depth"] - 1, 0), 3)],
    }


def movement(s: OwnSegment, look: Look, zone: str) -> dict[str, Any]:
    """Sizes over time, the last month from part to part, every month in figures, and what is unusual."""
    months, month = look["months"], look["month"]
    found: dict[str, Any] = {"sizes": None, "title": "", "month": None, "table": [], "alarms": [], "alarms_text": ""}
    if months:
        told = months["moves"]
        bands = _bands(s, [p["segment"] for m in told for p in m["parts"]])
        at = [*(m["start"] for m in told), told[-1]["end"]]
        sizes = [{p["segment"]: p["before"] for p in m["parts"]} for m in told]
        sizes.append({p["segment"]: p["after"] for p in told[-1]["parts"]})
        called = [EN.date_of(say.local_day(t, zone), year=False) + f" {say.local_day(t, zone).year}" for t in at]
        short = [EN.month_of(say.local_day(t, zone).isoformat()) for t in at[:-1]] + ["Now"]
        found["sizes"] = moves.sizes_over_time(short, bands, sizes)
        found["title"] = say.size_title(sum(sizes[0].values()), sum(sizes[-1].values()), called[0])
        found["table"] = [_month_row(m, zone) for m in reversed(told)]
        found["alarms"] = [a["text"] for a in months["alarms"]["raised"]]
        found["alarms_text"] = "" if found["alarms"] else months["alarms"]["text"]
    if month:
        found["month"] = matrix(s, month, zone)
    return found


def _bands(s: OwnSegment, keys: Sequence[str]) -> tuple[moves.Band, ...]:
    """The parts of now, then those that were parts once."""
    known = {b.key for b in s.bands}
    once = [k for k in dict.fromkeys(keys) if k not in known]
    return (*s.bands, *(moves.Band(k, k, len(s.bands) + i) for i, k in enumerate(once)))


def _month_row(moved: Mapping[str, Any], zone: str) -> dict[str, Any]:
    before = sum(p["before"] for p in moved["parts"])
    return {
        "period": f"{say.day(moved['start'], zone)} to {say.day(moved['end'], zone)}",
        "before": EN.number(before),
        "entered": EN.number(moved["entered"]),
        "left": EN.number(moved["left"]),
        "moved": EN.number(moved["moved"]),
        "stayed": say.likely(_share(moved["stayed"] + moved["moved"], before)),
        "note": "Not run in between" if not moved["rerun"] else "Defined anew" if moved["redefined"] else "",
    }


def _share(hits: int, of: int) -> Any:
    from kohort.segments.migration import wilson

    return wilson(hits, of)


def matrix(s: OwnSegment, moved: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """Who was where a month ago, in rows, and is where now, in columns; each share with its doubt."""
    cells = {(c["source"], c["target"]): c["customers"] for c in moved["cells"]}
    bands = _bands(s, [k for pair in cells for k in pair if k])
    names = {b.key: s.labels.get(b.key, b.label) for b in bands} | {moves.NOBODY: "In none"}
    if len(bands) == 1:
        names[moves.NOBODY] = "Not in it"
    keys = [b.key for b in bands]
    totals = {a: sum(cells.get((a, b), 0) for b in names) for a in keys}
    into, out = (any(n and pair[i] == moves.NOBODY for pair, n in cells.items()) for i in (0, 1))
    rows = []
    columns = [*keys, *([moves.NOBODY] if out or len(bands) == 1 else [])]
    for a in [*keys, *([moves.NOBODY] if into or len(bands) == 1 else [])]:
        told = []
        for b in columns:
            n = cells.get((a, b), 0)
            note = say.likely(_share(n, totals[a])) if a and n else ""
            told.append({"n": EN.number(n) if a or b else "", "note": note, "same": a == b, "none": not n})
        rows.append({"name": names[a], "total": EN.number(totals[a]) if a else "", "cells": told})
    before, after = say.day(moved["start"], zone), say.day(moved["end"], zone)
    return {
        "title": say.month_title(moved),
        "text": moved["text"],
        "before": before,
        "after": after,
        "columns": [names[k] for k in columns],
        "rows": rows,
        "flow": moves.flows(bands, cells, before, after) if len(bands) > 1 and moved["rerun"] else None,
        "rerun": moved["rerun"],
    }


def _addresses(own: Own, found: Segmentation | None) -> dict[tuple[str, str], str]:
    """(definition or segmentation, part) → its page; "" as part stands for every one."""
    mine = {(s.name, ""): s.href for s in own.segments if s.definition}
    groups = found.segments if found else ()
    return mine | {(found.name, g.id): f"/segments/{quote(g.id, safe='')}" for g in groups if found}


def _overlap(
    s: OwnSegment, look: Look, addresses: Mapping[tuple[str, str], str], titles: Mapping[tuple[str, str], str]
) -> list[dict[str, Any]]:
    return [
        {
            "part": s.labels.get(o["part"], o["part"]) if len(s.about.parts) > 1 else "",
            "title": titles.get((o["name"], o["segment"]), o["name"]),
            "href": addresses.get((o["name"], "")) or addresses.get((o["name"], o["segment"]), ""),
            "found": (o["name"], "") not in addresses,
            "both": EN.number(o["both"]),
            "of_this": EN.percent(o["share_of_this"]),
            "of_other": EN.percent(o["share_of_other"]),
            "chance": say.chance(o["lift"]),
        }
        for o in look["overlap"] or ()
    ]


def _did(action: Mapping[str, Any], s: OwnSegment) -> str:
    """A decision by hand as a sentence."""
    who = words.plural(int(action["customers"]), s.noun)
    part = s.labels.get(action["segment"], "")
    where = f" {part}" if part and len(s.about.parts) > 1 else ""
    match action["change"]:
        case "added":
            return f"{who} put in{where}"
        case "removed":
            return f"{who} taken out{' of' + where if where else ''}"
        case _:
            return f"{who} left to the rule again"


# Its customers -------------------------------------------------------------------------------------------------------


def customers(shell: Shell, own: Own, s: OwnSegment, members: MembersPage, *, part: str, cursor: int) -> str:
    """One page of the members, each with a way to why she is in."""
    first, last = cursor + 1, cursor + len(members.rows)
    noun = f"{s.noun.capitalize()}s"
    title = f"{noun} {EN.number(first)} to {EN.number(last)} of {EN.number(members.size)}" if members.rows else noun
    return page(
        "own_segment.html",
        shell,
        "segments",
        tab="customers",
        **_head(s, own),
        members=[
            {
                "number": m.number,
                "href": f"{s.href}/customers/{m.code}" if m.code and s.definition else "",
                "part": s.labels.get(m.segment, m.segment),
                "since": say.day(m.since, own.zone),
                "reason": say.REASONS.get(m.reason, m.reason),
            }
            for m in members.rows
        ],
        page_title=title,
        expected="",
        following=members.next,
        cursor=cursor,
        part=part,
    )


# One customer --------------------------------------------------------------------------------------------------------


def why(shell: Shell, own: Own, s: OwnSegment, person: Person) -> str:
    """Whether one customer is in, since when, condition by condition, what is missing, and what time alone will do."""
    answer = person.answer
    labels = s.labels
    inside = answer.segment is not None
    return page(
        "own_why.html",
        shell,
        "segments",
        s=s,
        own=own,
        person=person,
        as_of=say.day(person.as_of, own.zone),
        inside=inside,
        where=labels.get(answer.segment or "", "") if inside else "",
        since=say.long_day(answer.since, own.zone) if answer.since is not None else "",
        reason=say.REASONS.get(answer.reason, answer.reason) if inside else "",
        left_out=labels.get(answer.left_out or "", "") if answer.left_out is not None else "",
        parts=[_part_why(p, answer, s) for p in _explained(answer)],
        notes=answer.notes,
        outlook=say.outlook(answer, labels, own.zone),
        changes=answer.change is not None,
        elsewhere=[
            {
                "label": x.label,
                "href": f"{x.href}/customers/{person.code}",
                "part": x.labels.get(person.inside[x.name], "") if x.name in person.inside else "",
                "inside": x.name in person.inside,
                "several": len(x.about.parts) > 1,
            }
            for x in own.segments
            if x.name != s.name and x.definition is not None and x.about.kind != "accounts" and x.about.version
        ],
    )


def _explained(answer: Why) -> list[PartWhy]:
    """The part asked about first, then the others that have conditions."""
    others = [p for p in answer.parts if p.segment != answer.asked.segment]
    return [p for p in (answer.asked, *others) if p.conditions or p.keep]


def _part_why(part: PartWhy, answer: Why, s: OwnSegment) -> dict[str, Any]:
    hers = answer.segment == part.segment
    return {
        "label": s.labels.get(part.segment, part.label),
        "asked": part.segment == answer.asked.segment,
        "hers": hers,
        "true": say.truth(part.true),
        "conditions": _tree(part.conditions),
        "keep": _tree(part.keep) if hers else [],
        "missing": [
            {
                "sentence": say.sentence(m.sentence if m.wanted else f"not any more: {m.sentence}"),
                "distance": m.distance if m.possible else "nothing can bring this about",
            }
            for m in part.missing
        ]
        if not hers
        else [],
        "holding": [say.sentence(h.sentence) for h in part.holding] if hers and len(part.conditions) > 1 else [],
    }


def _tree(conditions: Sequence[Any], depth: int = 0) -> list[dict[str, Any]]:
    """Conditions with those inside them, in the order written."""
    rows = []
    for c in conditions:
        heads = {"all": "All of these", "any": "At least one of these", "not": "Not this"}
        rows.append(
            {
                "sentence": say.sentence(c.sentence) if c.how == "one" else heads[c.how],
                "text": c.text if c.how == "one" else "",
                "actual": c.actual,
                "true": say.truth(c.true),
                "deep": DEEP[min(depth, 3)],
            }
        )
        rows += _tree(c.items, depth + 1)
    return rows


# Stages --------------------------------------------------------------------------------------------------------------


def lifecycle(shell: Shell, own: Own, s: OwnSegment, look: Look) -> str:
    """Stages in order with their sizes, and who moved between them in the last month."""
    preview, moved = look["preview"], movement(s, look, own.zone)
    return page(
        "own_lifecycle.html",
        shell,
        "lifecycle",
        s=s,
        own=own,
        fresh=say.fresh(s.about, own.zone),
        failure=say.failure(s.about, own.zone),
        stages=_who(s, preview, own),
        bar=moves.share_bar([(p.label, p.size) for p in s.about.parts], _everybody(s)),
        stayed={p["segment"]: say.likely(p["stayed"]) for p in (look["month"] or {"parts": ()})["parts"]},
        movement=moved,
        small=moves.small(moved["sizes"]) if moved["sizes"] else None,
        problems=look["problems"],
        others=[x for x in own.lifecycles if x.name != s.name],
    )
