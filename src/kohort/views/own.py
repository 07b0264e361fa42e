"""Pages of the segments that people define, as HTML text. See `kohort.views.pages`, which this continues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kohort.errors import NotFound
from kohort.locale import find, gettext
from kohort.views import moves, words
from kohort.views import own_words as say
from kohort.views.formats import formats
from kohort.views.glyphs import share_bar
from kohort.views.own_movement import movement
from kohort.views.pages import Shell, page

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition
    from kohort.model.edits import Edit
    from kohort.model.segmentation import Segmentation
    from kohort.segments.listing import Description
    from kohort.segments.reasons import Why

DEEP = ("", "deep-1", "deep-2", "deep-3")
"""Classes of conditions inside conditions."""
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
        return find(say.KINDS[self.about.kind])

    @property
    def noun(self) -> str:
        """What its members are."""
        return "account" if self.about.kind == "accounts" else "customer"

    @property
    def one(self) -> str:
        """The same as a heading, of one."""
        return find(say.ONE[self.noun])

    @property
    def many(self) -> str:
        """The same as a heading, of all."""
        return find(say.MANY[self.noun])

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
    """All definitions of a workspace, in the order written.

    Attributes:
        live: Whether a server keeps them current.
    """

    segments: tuple[OwnSegment, ...]
    currency: str
    zone: str
    live: bool = False

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


def everybody(s: OwnSegment) -> int | None:
    """How many the share of a definition is a share of."""
    return round(s.about.size / s.about.share) if s.about.share else None


def links(names: Sequence[str], own: Own) -> list[tuple[str, str]]:
    """Names of segments as what people read, with the address of each that has a page."""
    known = {s.name: s for s in own.segments}
    return [(known[n].label, known[n].href) if n in known and known[n].definition else (n, "") for n in names]


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
    edit: Edit | None = None,
    done: str = "",
    running: str = "",
    team: Mapping[str, Any] | None = None,
) -> str:
    """One definition: who is in it, how its conditions add up, how it moved, what it overlaps with, how it came about.

    Args:
        look: From `kohort.web.own.look_at`; `waits` in it says that most of it is still being counted.
        by_hand: What people decided about single customers, newest first.
        titles: (definition or adopted segmentation, key of a part) → what people read for it.
        found: The groups that have pages of their own.
        edit: Who changed it last.
        done: What was just done to it: a key of `own_words.DONE` or `NOT_DONE`.
        running: Number of the job that places everybody by it now; empty = none does.
        team: What people say about it, from `kohort.views.feedback.card`.
    """
    preview = look["preview"]
    return page(
        "own_segment.html",
        shell,
        "segments",
        tab="summary",
        **head(s, own, look),
        who=_who(s, preview, own),
        rules=conditions(s, preview),
        beside=say.conditions_of_membership(s.definition) if s.definition else [],
        warnings=_warnings(preview),
        expected=_expected(s, preview) if preview and not s.about.version else "",
        universe=preview["universe_text"] if preview else "",
        problems=look["problems"],
        waits=bool(look.get("waits")),
        movement=movement(s, look, own.zone),
        overlap=_overlap(s, look, _addresses(own, found), titles),
        runs=[{**r, "at": say.day(r["as_of"], own.zone)} for r in (look["runs"] or [])[:24]],
        versions=[{**v, "on": say.day(v["saved_at"], own.zone)} for v in (look["versions"] or {"told": []})["told"]],
        pending=(look["versions"] or {"pending": []})["pending"],
        by_hand=[{**a, "on": say.day(a["at"], own.zone), "did": _did(a, s)} for a in by_hand],
        depends_on=links(s.about.depends_on, own),
        used_by=links(s.about.used_by, own),
        evaluated=say.day(s.about.status.evaluated_at, own.zone),
        evaluation=find(say.EVALUATION.get(s.about.evaluation, s.about.evaluation.capitalize())),
        done=find(say.DONE.get(done, "")),
        not_done=find(say.NOT_DONE.get(done, "")),
        running=running,
        changed=say.changed(edit, own.zone),
        leave=words.plural(s.about.size, s.noun) if s.about.size else "",
        team=team,
    )


def _expected(s: OwnSegment, preview: Mapping[str, Any]) -> str:
    """How many the next run would place."""
    many, share = words.plural(preview["size"], s.noun), formats().percent(preview["share"])
    return gettext("%(customers)s, %(share)s of all.", customers=many, share=share)


def _warnings(preview: Mapping[str, Any] | None) -> list[str]:
    """What looks like a mistake. That the parts of a definition take in everybody is mostly what was wanted."""
    if preview is None:
        return []
    return [w for w in preview["warnings"] if len(preview["parts"]) == 1 or w != find(say.EVERYBODY)]


def head(s: OwnSegment, own: Own, look: Look | None = None) -> dict[str, Any]:
    """What stands above both tabs."""
    return {
        "s": s,
        "own": own,
        "text": say.about(s.definition, s.said),
        "fresh": say.fresh(s.about, own.zone, live=own.live),
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
            "label": s.many,
            "value": formats().number(s.about.size),
            "change": step,
            "note": ""
            if step is None
            else gettext("%(change)s since %(day)s", change=formats().signed(step), day=since),
        }
    ]
    if s.about.share is not None:
        note = gettext("all of them") if s.about.share >= 1 else words.one_in(s.about.share) if s.about.size else ""
        share = formats().percent(s.about.share)
        rows.append({"label": gettext("Share of customers"), "value": share, "change": None, "note": note})
    if preview and preview["value"] is not None and preview["size"] == s.about.size and s.about.size:
        of_all = formats().percent(preview["value_share"])
        share = "" if preview["value_share"] is None else gettext("%(share)s of all revenue", share=of_all)
        money = formats().short_money(preview["value"], own.currency)
        each = formats().money(preview["value"] / s.about.size, own.currency, 0)
        rows.append({"label": gettext("Revenue"), "value": money, "change": None, "note": share})
        rows.append({"label": find(say.PER[s.noun]), "value": each, "change": None, "note": gettext("on average")})
    if preview and preview["excluded_by_consent"]:
        left_out = formats().number(preview["excluded_by_consent"])
        label, note = gettext("Did not agree"), gettext("and were left out")
        rows.append({"label": label, "value": left_out, "change": None, "note": note})
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
                "share_wanted": None if part.share is None else say.exact(part.share) + formats().percent_sign,
                "keep": part.keep.text if part.keep else "",
                "staying": say.staying(part, s.definition, s.said) if s.definition else [],
                "size": size,
                "value": formats().short_money(worth["value"], own.currency) if same and worth else "",
                "value_share": formats().percent(worth["value_share"]) if same and worth else "",
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
                "size": formats().number(whole["size"]),
                "members": formats().number(part["size"]),
                "differ": whole["size"] != part["size"],
                "beside": say.beside(s.definition, part["segment"]) if s.definition else "",
            }
        )
    return found


def _condition(c: Mapping[str, Any]) -> dict[str, Any]:
    running = c["running"]
    told = (
        ""
        if running is None
        else gettext("%(n)s left", n=formats().number(running))
        if c["group"] == "left"
        else f"+{formats().number(running)}"
    )
    return {
        "sentence": say.sentence(c["sentence"]),
        "text": c["text"],
        "size": formats().number(c["size"]),
        "share": formats().percent(c["share"]),
        "running": told,
        "deep": DEEP[min(max(c["depth"] - 1, 0), 3)],
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
            "both": formats().number(o["both"]),
            "of_this": formats().percent(o["share_of_this"]),
            "of_other": formats().percent(o["share_of_other"]),
            "chance": say.chance(o["lift"]),
        }
        for o in look["overlap"] or ()
    ]


def _did(action: Mapping[str, Any], s: OwnSegment) -> str:
    """A decision by hand as a sentence."""
    who = words.plural(int(action["customers"]), s.noun)
    part = s.labels.get(action["segment"], "")
    whole = not part or len(s.about.parts) == 1
    match action["change"]:
        case "added" if whole:
            return gettext("%(customers)s put in", customers=who)
        case "added":
            return gettext("%(customers)s put in %(part)s", customers=who, part=part)
        case "removed" if whole:
            return gettext("%(customers)s taken out", customers=who)
        case "removed":
            return gettext("%(customers)s taken out of %(part)s", customers=who, part=part)
        case _:
            return gettext("%(customers)s left to the rule again", customers=who)


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
        fresh=say.fresh(s.about, own.zone, live=own.live),
        failure=say.failure(s.about, own.zone),
        stages=_who(s, preview, own),
        bar=share_bar([(p.label, p.size) for p in s.about.parts], everybody(s)),
        stayed={p["segment"]: say.likely(p["stayed"]) for p in (look["month"] or {"parts": ()})["parts"]},
        movement=moved,
        problems=look["problems"],
        waits=bool(look.get("waits")),
        others=[x for x in own.lifecycles if x.name != s.name],
    )
