"""What a form for rules needs of a workspace: what can be chosen, rows that are looked up, and definitions made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kohort.definitions.rules.choices import Asked, Choices
from kohort.errors import NotFound, RefusedDefinition, WrongUsage
from kohort.workspace import definitions as texts

if TYPE_CHECKING:
    from kohort.definitions.rules.rows import Row, Rows
    from kohort.definitions.rules.tree import Rule
    from kohort.definitions.rules.vocabulary import Vocabulary
    from kohort.definitions.segments import SegmentDefinition
    from kohort.workspace.workspace import Workspace


def choices(ws: Workspace, *, without: str = "") -> Choices:
    """See `Choices`; empty before there is data."""
    known = texts.vocabulary(ws, without=without)
    if known is None:
        return Choices((), (), ())
    counted = ws.contents().events
    accounts = {d.name for d in ws.config.segments if d.kind == "accounts"}
    segments = [
        (name, key)
        for name, parts in known.segments.items()
        if name not in accounts
        for key in ("", *(parts if len(parts) > 1 else ()))
    ]
    return Choices(
        tuple(sorted(counted, key=lambda name: (-counted[name], name))), tuple(_values(known)), tuple(segments)
    )


def _values(known: Vocabulary) -> list[Asked]:
    found = [Asked(i.name, i.label, i.type, i.unit, "feature") for i in known.features.values()]
    found += [
        Asked(name, name.removeprefix("t_").replace("_", " ").capitalize(), kind, "", "trait")
        for name, kind in sorted(known.columns.items())
        if name.startswith("t_") and name not in known.features
    ]
    for name in sorted(known.scores):
        found.append(Asked(f"{name}.probability", f"{name.capitalize()}: how likely (0 to 1)", "number", "", "score"))
        found.append(Asked(f"{name}.percentile", f"{name.capitalize()}: rank (0 to 100)", "number", "", "score"))
    return found


def read_rows(ws: Workspace, rows: Rows, *, without: str = "") -> list[Rule | list[RefusedDefinition]]:
    """Each row as the rule that it is, looked up; or as everything that is wrong with it."""
    known = texts.vocabulary(ws, without=without)
    return [_read(row, known) for row in rows.rows]


def _read(row: Row, known: Vocabulary | None) -> Rule | list[RefusedDefinition]:
    from kohort.definitions.rules import check_rule
    from kohort.definitions.rules.rows import row_rule

    try:
        rule = row_rule(row, known)
    except RefusedDefinition as error:
        return [error, *error.others]
    typed = row.fields.get("text", "") if row.kind == "text" else ""
    return (check_rule(rule, known, typed) if known is not None else []) or rule


def rows_of_definition(ws: Workspace, name: str, text: str = "") -> Rows | None:
    """The rows of a definition; None where it is no single rule: its text says it.

    Args:
        text: Another rule for it; empty = the one it has.

    Raises:
        NotFound: There is no such definition.
        RefusedDefinition: The text is no rule.
    """
    from kohort.definitions.rules import parse_rule
    from kohort.definitions.rules.rows import rows_of

    definition = texts.named(ws, name)
    rule = definition.parts[0].rule
    if definition.kind != "rule" or rule is None:
        return None
    return rows_of(parse_rule(text) if text else rule.rule, texts.vocabulary(ws, without=name))


def with_rule(ws: Workspace, name: str, rule: Rule, *, of: str = "", words: Mapping[str, str]) -> SegmentDefinition:
    """A new definition, or one that there is with another rule; all else that it says stays.

    Args:
        of: The definition that is changed; empty = a new one.
        words: `label` and `description`.

    Raises:
        RefusedDefinition: With every mistake.
        NotFound: The one to be changed is not there any more.
        WrongUsage: It is more than one rule.
    """
    from kohort.definitions.rules import format_rule
    from kohort.definitions.segments import RuleText
    from kohort.definitions.segments_text import read_definition, write_definition

    if not of:
        body = {"rule": format_rule(rule), **{key: text for key, text in words.items() if text}}
        return texts.read_new(ws, name, body)
    there = {d.name: d for d in ws.config.segments}
    if of not in there:
        raise NotFound("segment", of, there)
    if there[of].kind != "rule":
        raise WrongUsage(f"{of!r} is more than one rule.", hint="Change its text.")
    part = replace(there[of].parts[0], rule=RuleText(format_rule(rule), rule))
    changed = replace(there[of], parts=(part,), label=words["label"], description=words["description"])
    return read_definition(write_definition(changed))


def free_name(title: str, taken: Sequence[str]) -> str:
    """A name for what somebody called "Autumn stock-up, gone quiet!": what a rule can refer to.

    Example:
        >>> free_name("Autumn stock-up, gone quiet!", []), free_name("VIP", ["vip"])
        ('autumn_stock-up_gone_quiet', 'vip_2')
    """
    kept = "".join(letter if letter.isalnum() or letter in "-_" else " " for letter in title.lower())
    name = "_".join(kept.split())[:50].strip("_-") or "segment"
    used = {one.lower() for one in taken}
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, len(used) + 3))) if n not in used)
