"""The rule builder as HTML text: rows of fields, the sentence they read back as, and how many that would be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kohort.definitions.rules.rows import ANY_EVENT, WITHOUT_VALUE, Row, Rows, places_of
from kohort.definitions.segments_text import title
from kohort.locale import find, gettext, mark, ngettext, nmark
from kohort.views import own_words as say
from kohort.views import words
from kohort.views.build_choices import COUNTED, EVENTS, GIVEN, HINTS, KINDS, TESTS, UNIT_WORDS, WINDOWS, read
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.paper import render

if TYPE_CHECKING:
    from kohort.definitions.rules.choices import Asked, Choices
    from kohort.definitions.segments import RuleText, SegmentDefinition
    from kohort.segments.dry_run import DryRun, Effect
    from kohort.segments.preview import ConditionSize, Preview


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form holds.

    Attributes:
        of: The definition that is changed; empty = a new one.
        seen: What it was when it was opened.
        title: What people read.
        text: All of it as text, where `as_text`: it is more than one rule.
    """

    of: str = ""
    seen: str = ""
    title: str = ""
    description: str = ""
    rows: Rows = field(default_factory=Rows)
    text: str = ""
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One mistake: what is wrong, what to do, the words that are wrong. `soft`: only not finished yet."""

    message: str
    hint: str
    where: str
    soft: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """What comes of the form.

    Attributes:
        preview: Of the rows that are finished; None where nothing can be counted.
        wrong: Number of a row → what is wrong with it.
        places: The rows that make each condition that was counted.
        problem: What is wrong with all of it.
    """

    preview: Preview | None = None
    wrong: Mapping[int, tuple[Told, ...]] = field(default_factory=dict)
    places: tuple[tuple[int, ...], ...] = ()
    problem: tuple[Told, ...] = ()
    rule: RuleText | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """A dry run; samples are (what is shown, code) of customers, empty where the reader sees none."""

    run: DryRun
    entering: tuple[tuple[str, str], ...] = ()
    leaving: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """What surrounds the form.

    Attributes:
        definition: The one that is changed; None = a new one.
        said: Text of each of its rules → the same in plain words.
        ran: Whether it ever placed anybody.
        live: Whether a server keeps segments current.
        titles: (definition, part) → what people read.
    """

    choices: Choices
    titles: Mapping[tuple[str, str], str]
    zone: str
    currency: str
    definition: SegmentDefinition | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    ran: bool = False
    live: bool = False


def build(
    shell: Shell, draft: Draft, looked: Looked, about: About, *, said: Sequence[Told] = (), tried: Tried | None = None
) -> str:
    """The whole page.

    Args:
        said: Why it was not saved.
        tried: A dry run that was asked for.
    """
    return page("build.html", shell, "build", **_values_of(draft, looked, about, said, tried))


def form(shell: Shell, draft: Draft, looked: Looked, about: About) -> str:
    """The form alone, for the page that shows it already."""
    return render("build_form.html", shell=shell, **_values_of(draft, looked, about))


def _values_of(
    draft: Draft, looked: Looked, about: About, said: Sequence[Told] = (), tried: Tried | None = None
) -> dict[str, Any]:
    """What both templates show."""
    counts = _counts(looked)
    d = about.definition
    rows = [_row(number, row, looked, about, counts) for number, row in enumerate(draft.rows.rows)]
    join = (gettext("and"), gettext("or")) if draft.rows.match == "all" else (gettext("or"), gettext("and"))
    return {
        "draft": draft,
        "about": about,
        "units": [
            {
                "rows": [rows[place] for place in places],
                "group": len(places) > 1 or bool(draft.rows.rows[places[0]].group),
            }
            for places in places_of(draft.rows)
        ],
        "join": join,
        "kinds": read(KINDS),
        "counted": read(COUNTED),
        "windows": read(WINDOWS),
        "now": _now(draft, looked, about),
        "problem": looked.problem,
        "sentence": _sentence(looked),
        "code": looked.rule.text if looked.rule else "",
        "beside": say.conditions_of_membership(d) if d else [],
        "stays": say.staying(d.parts[0], d, about.said) if d and d.kind == "rule" else [],
        "said": said,
        "tried": _tried(tried, about) if tried else None,
        "page_title": draft.title or (title(d.name, d.label) if d else "") or gettext("New segment"),
    }


# Rows -----------------------------------------------------------------------------------------------------------------


def _row(number: int, row: Row, looked: Looked, about: About, counts: Mapping[int, str]) -> dict[str, Any]:
    value = _asked(row.get("of"), about.choices.values) if row.kind == "has" else None
    kind = (value.type if value else None) or "text"
    tests = (*TESTS[kind], *GIVEN) if value is None or value.type else (*TESTS["text"], *TESTS["number"][:4], *GIVEN)
    test = row.get("test") or tests[0][0]
    return {
        "n": number,
        "id": f"r{number}",
        "row": row,
        "kind": row.kind,
        "count": counts.get(number, ""),
        "wrong": looked.wrong.get(number, ()),
        "hard": any(not told.soft for told in looked.wrong.get(number, ())),
        "events": _events(row.get("event"), about.choices.events),
        "values": _values(row.get("of"), about.choices.values),
        "tests": read(tests if test in dict(tests) else (*tests, (test, test.replace("_", " ")))),
        "test": test,
        "asks_value": test not in WITHOUT_VALUE,
        "unit": _unit(value, about.currency),
        "example": "" if test in ("among", "not_among") else find(HINTS.get(kind, "")),
        "unit_of_time": find(UNIT_WORDS.get(row.get("unit"), row.get("unit"))),
        "several": test in ("among", "not_among"),
        "segments": _segments(row.get("segment"), about),
    }


def _events(chosen: str, there: Sequence[str]) -> list[tuple[str, str]]:
    names = list(dict.fromkeys([*there, ANY_EVENT, *([chosen] if chosen else [])]))
    return [(name, find(EVENTS[name]) if name in EVENTS else f"“{name}”") for name in names]


def _asked(text: str, values_there: Sequence[Asked]) -> Asked | None:
    return next((one for one in values_there if one.text == text), None)


_HEADINGS = (("feature", mark("What they do")), ("trait", mark("What they told")), ("score", mark("Predictions")))


def _values(chosen: str, there: Sequence[Asked]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(heading, choices) for each kind of thing that is known of customers."""
    found = [(find(label), [(v.text, v.label) for v in there if v.origin == origin]) for origin, label in _HEADINGS]
    if chosen and _asked(chosen, there) is None:
        found.append((gettext("As written"), [(chosen, chosen)]))
    return [(label, some) for label, some in found if some]


def _unit(value: Asked | None, currency: str) -> str:
    if value is None:
        return ""
    return {"money": currency, "days": gettext("days"), "share": gettext("(0 to 1)")}.get(value.unit, "")


def _segments(chosen: str, about: About) -> list[tuple[str, str]]:
    from kohort.definitions.rules import format_rule
    from kohort.definitions.rules.tree import InSegment

    found = []
    for name, key in about.choices.segments:
        known = about.titles.get((name, key)) or about.titles.get((name, name))
        found.append((format_rule(InSegment(name, key)), known or gettext("%(name)s: any part", name=title(name))))
    return found if not chosen or chosen in dict(found) else [*found, (chosen, chosen)]


# The count ------------------------------------------------------------------------------------------------------------


def _counts(looked: Looked) -> dict[int, str]:
    """Row → what is left after it, or what it adds: the same figures as on the page of a definition."""
    if looked.preview is None or len(looked.preview.parts) != 1 or not looked.places:
        return {}
    nodes = list(looked.preview.parts[0].conditions)
    found: dict[int, str] = {}
    for places, (node, inside) in zip(looked.places, _units(nodes, len(looked.places)), strict=False):
        if len(places) == 1:
            found[places[0]] = _running(node)
        else:
            found |= {place: _running(item) for place, item in zip(places, inside, strict=False)}
    return found


def _units(nodes: list[ConditionSize], many: int) -> list[tuple[ConditionSize, list[ConditionSize]]]:
    """Each condition of the whole with those right inside it."""
    depth = 0 if many == 1 else 1
    found: list[tuple[ConditionSize, list[ConditionSize]]] = []
    for node in nodes:
        if node.depth == depth:
            found.append((node, []))
        elif node.depth == depth + 1 and found:
            found[-1][1].append(node)
    return found


def _running(node: ConditionSize) -> str:
    if node.running is None:
        return formats().number(node.size)
    running = formats().number(node.running)
    return gettext("%(n)s left", n=running) if node.group == "left" else f"+{running}"


def _now(draft: Draft, looked: Looked, about: About) -> dict[str, Any] | None:
    """The count with its moment, how it came about, and what looks like a mistake."""
    preview = looked.preview
    if preview is None:
        return None
    noun = "account" if about.definition is not None and about.definition.kind == "accounts" else "customer"
    when = (
        gettext("Live, as of %(time)s", time=say.clock(preview.as_of, about.zone))
        if about.live
        else gettext("As of %(day)s", day=say.day(preview.as_of, about.zone))
    )
    rest = len(looked.wrong)
    return {
        "size": formats().number(preview.size),
        "counted": words.plural(preview.size, noun),
        "of_all": ngettext(*_OF_ALL[noun], preview.size, share=formats().percent(preview.share)),
        "worth": _worth(preview, about.currency),
        "when": when,
        "of": preview.universe_text,
        "steps": _steps(looked, draft),
        "parts": [(title(p.label), formats().number(p.size), p.share) for p in preview.parts]
        if len(preview.parts) > 1
        else [],
        "differ": _differ(preview, about),
        "warnings": [w for w in preview.warnings if len(preview.parts) == 1 or w != find(say.EVERYBODY)],
        "waiting": rest,
        "rest": ngettext(
            "%(n)s condition is not counted yet.",
            "%(n)s conditions are not counted yet.",
            rest,
            n=formats().number(rest),
        )
        if rest
        else "",
    }


_OF_ALL = {
    "customer": nmark("customer, %(share)s of all.", "customers, %(share)s of all."),
    "account": nmark("account, %(share)s of all.", "accounts, %(share)s of all."),
}


def _worth(preview: Preview, currency: str) -> str:
    """What they are worth, as the end of a sentence; empty where nobody knows."""
    if preview.value is None or not preview.size:
        return ""
    money = formats().short_money(preview.value, currency)
    if preview.value_share is None:
        return gettext("%(money)s so far", money=money)
    share = formats().percent(preview.value_share)
    return gettext("%(money)s so far, %(share)s of all revenue", money=money, share=share)


def _steps(looked: Looked, draft: Draft) -> list[tuple[str, str, float]]:
    """Everybody, then what each condition leaves or adds: (label, figure, share of all)."""
    preview = looked.preview
    if preview is None or len(preview.parts) != 1 or len(looked.places) < 2:
        return []
    found = [(gettext("All customers"), formats().number(preview.universe), 1.0)] if draft.rows.match == "all" else []
    for node, _ in _units(list(preview.parts[0].conditions), len(looked.places)):
        share = (node.running or 0) / preview.universe if preview.universe else 0.0
        found.append((say.sentence(node.sentence).rstrip("."), _running(node), share))
    return found


def _differ(preview: Preview, about: About) -> str:
    """Why not just those are in who meet the rule."""
    nodes = preview.parts[0].conditions if len(preview.parts) == 1 else ()
    if not nodes or nodes[0].size == preview.size:
        return ""
    why = say.beside(about.definition, about.definition.parts[0].key) if about.definition else ""
    meet, members = formats().number(nodes[0].size), formats().number(preview.size)
    told = gettext("%(n)s meet the rule, %(members)s are in.", n=meet, members=members)
    return f"{told} {why}".strip()


def _sentence(looked: Looked) -> str:
    if looked.preview is None or len(looked.preview.parts) != 1 or not looked.preview.parts[0].conditions:
        return ""
    return looked.preview.parts[0].conditions[0].sentence


# The dry run ----------------------------------------------------------------------------------------------------------


def _tried(tried: Tried, about: About) -> dict[str, Any]:
    run, effect = tried.run, tried.run.edited
    moved = effect.next_run
    return {
        "title": _effect(effect),
        "error": effect.error,
        "same": ngettext(
            "%(n)s customer would stay.", "%(n)s customers would stay.", moved.stayed, n=formats().number(moved.stayed)
        )
        if moved.stayed
        else "",
        "edit": _because(effect) if about.ran else "",
        "entering": tried.entering,
        "leaving": tried.leaving,
        "others": [(title(e.name), e.error or _effect(e)) for e in run.dependants],
        "text": run.text,
        "when": say.day(run.as_of, about.zone),
    }


def _effect(effect: Effect) -> str:
    """Example: "24 would enter, 3 would leave"."""
    moved = effect.next_run
    told = [
        gettext(text, n=formats().number(n))
        for n, text in ((moved.entered, _ENTER), (moved.left, _LEAVE), (moved.moved, _MOVE))
        if n
    ]
    return ", ".join(told) or gettext("Nobody would enter or leave")


_ENTER, _LEAVE = mark("%(n)s would enter"), mark("%(n)s would leave")
_MOVE = mark("%(n)s would move to another part")


def _because(effect: Effect) -> str:
    """What the edit alone does, where time does something too."""
    edit, run = effect.by_edit, effect.next_run
    if (edit.entered, edit.left, edit.moved) == (run.entered, run.left, run.moved):
        return gettext("All of that is because of your change.")
    return gettext(
        "Because of your change alone %(entered)s would enter and %(left)s would leave; the rest is what happened since the "
        "last run.",
        entered=formats().number(edit.entered),
        left=formats().number(edit.left),
    )
