"""The rule builder between its form and the workspace: what the form holds, what its buttons do to it, and what comes of it."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kohort.definitions.rules.rows import NOT_FINISHED, Match, Row, RowKind, Rows, as_row, first_row, places_of
from kohort.errors import KohortError, NotFound, RefusedDefinition, WrongUsage
from kohort.locale import spoken
from kohort.views.build import Draft, Looked, Told
from kohort.workspace import definitions as texts

if TYPE_CHECKING:
    from kohort.definitions.rules.tree import Rule
    from kohort.definitions.segments import SegmentDefinition
    from kohort.workspace.workspace import Workspace

CHANGED = "changed_meanwhile"
"""Code of a refusal to save over somebody else's change."""
MOST_ROWS = 60
MOST_BYTES = 128 * 1024
"""Of the form: a rule can be 20,000 characters long, and each can take several bytes on its way."""
_FIELD = re.compile(r"r(\d{1,3})-([a-z]+)")
_TURN = threading.Lock()
"""Of two who save at once the second sees what the first saved."""
_KINDS: tuple[RowKind, ...] = ("did", "did_not", "has", "is_in", "is_not_in", "text")


# What the form holds --------------------------------------------------------------------------------------------------


def opened(ws: Workspace, name: str = "", rule: str = "") -> Draft:
    """The form as it is opened: for a new definition, or for one that there is.

    Args:
        rule: Another one for it that somebody proposes; it is only shown.

    Raises:
        NotFound: There is no such definition.
        WrongUsage: The proposal is no rule.
    """
    from kohort.definitions.segments_text import title

    if not name:
        return Draft(rows=Rows("all", (first_row(),)))
    d = ws.segments.definition(name)
    try:
        rows = ws.segments.rows(name, rule)
    except RefusedDefinition as error:
        raise WrongUsage(f"What is proposed is no rule: {error.message}") from error
    text = "" if rows else ws.segments.text(name)
    return Draft(name, seen(ws, name), title(d.name, d.label), d.description, rows or Rows(), text, rows is None)


def seen(ws: Workspace, name: str) -> str:
    """What tells whether a definition is still the one that was opened."""
    return hashlib.sha256(ws.segments.text(name).encode()).hexdigest()[:16]


def drafted(ws: Workspace, fields: Mapping[str, str]) -> Draft:
    """The form as it was sent; a row whose kind was changed just now is one of the new kind."""
    found: dict[int, dict[str, str]] = {}
    for name, value in fields.items():
        if place := _FIELD.fullmatch(name):
            found.setdefault(int(place[1]), {})[place[2]] = value.replace("\r\n", "\n")
    match: Match = "any" if fields.get("match") == "any" else "all"
    of = fields.get("of", "")
    rows = tuple(_row(ws, found[number], of) for number in sorted(found)[:MOST_ROWS])
    return Draft(
        of,
        fields.get("seen", ""),
        " ".join(fields.get("title", "").split()),
        fields.get("description", "").strip(),
        Rows(match, rows),
        fields.get("text", "").replace("\r\n", "\n"),
        fields.get("form") == "text",
    )


def _row(ws: Workspace, fields: dict[str, str], of: str) -> Row:
    kind, was = (_kind(fields.pop(name, "")) for name in ("kind", "was"))
    group = fields.pop("group", "")[:8]
    row = Row(was or kind or "did", fields, group)
    return as_row(kind, row, texts.vocabulary(ws, without=of)) if kind and kind != row.kind else row


def _kind(text: str) -> RowKind | None:
    return next((kind for kind in _KINDS if kind == text), None)


# What buttons do to it ------------------------------------------------------------------------------------------------


def changed(draft: Draft, do: str) -> Draft:
    """The form after a button: `add`, `add-group`, `add-in:2`, `remove:3`, `up:3`, `down:3`; others change nothing."""
    what, _, which = do.partition(":")
    number = int(which) if which.isascii() and which.isdigit() else 0
    rows = draft.rows.rows
    step = _STEPS.get(what)
    if step is None or (which and number >= len(rows)) or (what.startswith("add") and len(rows) >= MOST_ROWS):
        return draft
    return replace(draft, rows=replace(draft.rows, rows=step(draft.rows, number)))


def _add(rows: Rows, _: int) -> tuple[Row, ...]:
    return (*rows.rows, first_row())


def _add_group(rows: Rows, _: int) -> tuple[Row, ...]:
    taken = {row.group for row in rows.rows}
    group = next(str(n) for n in range(1, MOST_ROWS + 2) if str(n) not in taken)
    return (*rows.rows, first_row(group=group), first_row(group=group))


def _add_in(rows: Rows, number: int) -> tuple[Row, ...]:
    """One more in the group of a row, after its last."""
    places = next(places for places in places_of(rows) if number in places)
    after = places[-1] + 1
    return (*rows.rows[:after], first_row(group=rows.rows[number].group), *rows.rows[after:])


def _remove(rows: Rows, number: int) -> tuple[Row, ...]:
    return tuple(row for place, row in enumerate(rows.rows) if place != number)


def _move(by: int) -> Callable[[Rows, int], tuple[Row, ...]]:
    """A row of a group moves inside it, everything else as a whole past its neighbour."""

    def moved(rows: Rows, number: int) -> tuple[Row, ...]:
        units = [list(places) for places in places_of(rows)]
        at = next(i for i, places in enumerate(units) if number in places)
        if len(units[at]) > 1:
            inside = units[at]
            _swap(inside, inside.index(number), by)
        else:
            _swap(units, at, by)
        return tuple(rows.rows[place] for places in units for place in places)

    return moved


def _swap(items: list[Any], at: int, by: int) -> None:
    if 0 <= at + by < len(items):
        items[at], items[at + by] = items[at + by], items[at]


_STEPS: Mapping[str, Callable[[Rows, int], tuple[Row, ...]]] = {
    "add": _add,
    "add-group": _add_group,
    "add-in": _add_in,
    "remove": _remove,
    "up": _move(-1),
    "down": _move(1),
}


# What comes of it -----------------------------------------------------------------------------------------------------


def look(ws: Workspace, draft: Draft) -> Looked:
    """What the form says now: the sentence, the count, each row's mistakes. Nothing is written."""
    if draft.as_text:
        return _look_at_text(ws, draft)
    read = ws.segments.read_rows(draft.rows, without=draft.of)
    wrong = {place: told(some) for place, some in enumerate(read) if isinstance(some, list)}
    kept = [place for place in range(len(read)) if place not in wrong]
    if not kept:
        return Looked(wrong=wrong, places=())
    rows = replace(draft.rows, rows=tuple(draft.rows.rows[place] for place in kept))
    rules = [rule for rule in read if not isinstance(rule, list)]
    places = tuple(tuple(kept[place] for place in some) for some in places_of(rows))
    try:
        definition = _definition(ws, draft, rows, rules)
        return Looked(
            ws.segments.preview(rule=definition, language=spoken()), wrong, places, rule=definition.parts[0].rule
        )
    except KohortError as error:
        return Looked(wrong=wrong, places=places, problem=told([error]))


def _definition(ws: Workspace, draft: Draft, rows: Rows, rules: list[Rule]) -> SegmentDefinition:
    """What is looked at: without the words, which may be wrong while they are typed."""
    from kohort.definitions.rules.rows import joined

    rule = joined(rows, rules)
    if not draft.of:
        return ws.segments.with_rule("this segment", rule)
    there = ws.segments.definition(draft.of)
    return ws.segments.with_rule(there.label or there.name, rule, of=draft.of, description=there.description)


def _look_at_text(ws: Workspace, draft: Draft) -> Looked:
    try:
        read = ws.segments.read(draft.text, name=draft.of)
        return Looked(ws.segments.preview(rule=read, language=spoken()))
    except KohortError as error:
        return Looked(problem=told([error]))


def meant(ws: Workspace, draft: Draft) -> SegmentDefinition:
    """The definition that the form says, to be saved or tried.

    Raises:
        KohortError: It is not finished, or not right.
    """
    if draft.as_text:
        return ws.segments.read(draft.text, name=draft.of)
    read = ws.segments.read_rows(draft.rows, without=draft.of)
    rules = [rule for rule in read if not isinstance(rule, list)]
    if len(rules) < len(read):
        raise RefusedDefinition("Some conditions are not finished.", hint="Each says below what it lacks.")
    from kohort.definitions.rules.rows import joined

    title = draft.title or draft.of or "New segment"
    return ws.segments.with_rule(title, joined(draft.rows, rules), of=draft.of, description=draft.description)


def save(ws: Workspace, draft: Draft, *, live: bool, by: str) -> str:
    """Write the definition down; a new one that is not `live` waits as a draft. Returns its name.

    Raises:
        KohortError: As `meant`; or it has no name, or somebody changed it since it was opened.
    """
    with _TURN:
        return _saved(ws, draft, live=live, by=by)


def _saved(ws: Workspace, draft: Draft, *, live: bool, by: str) -> str:
    definition = meant(ws, draft)
    if not draft.title and not draft.as_text:
        raise WrongUsage("It has no name yet.", hint="Write one at the top.")
    if draft.of:
        _check_unchanged(ws, draft)
    elif any(d.name == definition.name for d in ws.config.segments):
        raise WrongUsage(f"There is a segment called {definition.name!r} already.", hint="Open that one to change it.")
    status = ws.store.status.all().get(definition.name)
    if status is None or not status.version:
        definition = replace(definition, paused=not live)
    ws.segments.add(definition.name, definition, by=by)
    return definition.name


def _check_unchanged(ws: Workspace, draft: Draft) -> None:
    try:
        now = seen(ws, draft.of)
    except NotFound:
        raise WrongUsage(
            "Somebody deleted this segment meanwhile.", hint="The list of segments can bring it back."
        ) from None
    if now != draft.seen:
        error = WrongUsage(
            "Somebody changed this segment since you opened it.",
            hint="Open it in another tab to see what is different. Saving again replaces it.",
        )
        error.code = CHANGED
        raise error


def told(errors: Sequence[KohortError]) -> tuple[Told, ...]:
    """Mistakes as people read them."""
    found: list[Told] = []
    for error in errors:
        several = error.mistakes if isinstance(error, RefusedDefinition) else ()
        if several:
            found += [Told(str(m["message"]), str(m["hint"]), f"line {m['line']}", soft=False) for m in several]
            continue
        found.append(Told(error.message, error.hint, _where(error), soft=error.code in NOT_FINISHED))
    return tuple(found)


def _where(error: KohortError) -> str:
    """The words that are wrong, where a text was read."""
    if not isinstance(error, RefusedDefinition) or error.start is None or error.end is None or not error.text:
        return ""
    words = error.text[error.start : error.end].strip()
    return words if len(words) <= 80 else words[:79] + "…"
