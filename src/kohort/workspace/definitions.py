"""Segment definitions of a workspace: read from what people write, looked up in what the data has, written back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kohort.errors import NotEnough, NotFound, RefusedDefinition, WrongUsage

if TYPE_CHECKING:
    from kohort.definitions.defaults import DataProfile
    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.rules import Vocabulary
    from kohort.definitions.rules.tree import Rule
    from kohort.definitions.segments import SegmentDefinition
    from kohort.definitions.workspace_file import WorkspaceConfig
    from kohort.definitions.yaml_text import Document
    from kohort.workspace.workspace import Workspace

Body: TypeAlias = "str | Mapping[str, Any] | SegmentDefinition"
"""A rule, what `kohort.yaml` has under a segment's name (tiers, stages, buckets …), or a definition that was read."""


def features(ws: Workspace) -> tuple[FeatureDefinition, ...]:
    """What rules may name; empty before there is data to describe customers by."""
    try:
        return ws.definitions()
    except NotEnough:
        return ()


def scores(ws: Workspace) -> tuple[FeatureDefinition, ...]:
    """What the scores of predictions are to rules. Those of a prediction that nobody defined count once some were kept."""
    from kohort.definitions.scores import score_features
    from kohort.model.event import SCORE_OF

    if not ws.config.predictions and SCORE_OF not in ws.store.log.columns():
        return ()
    try:
        return score_features(ws.predict.targets())
    except NotEnough:
        return ()


def noted(ws: Workspace) -> tuple[FeatureDefinition, ...]:
    """What series about the world are to rules, once some figure was noted."""
    from kohort.definitions.context_rules import noted_features
    from kohort.model.event import CONTEXT_VALUE

    found = noted_features(ws.config.context)
    return found if found and CONTEXT_VALUE in ws.store.log.columns() else ()


def rule_features(ws: Workspace) -> tuple[FeatureDefinition, ...]:
    """What rules are evaluated with: features, the scores of predictions, and what was noted of series about the world.

    Raises:
        NotEnough: There is no data to describe customers by.
    """
    return (*ws.definitions(), *scores(ws), *noted(ws))


def vocabulary(ws: Workspace, *, without: str = "") -> Vocabulary | None:
    """What rules may name in a workspace: features, columns, its segments (but one), adopted segmentations, scores.

    Returns:
        None before there is data: then nobody can know what names will mean, and rules are read without looking.
    """
    from kohort.definitions.rules import vocabulary_of
    from kohort.definitions.scores import score_names
    from kohort.segments.definitions import adopted_parts

    config, known = ws.config, features(ws)
    if not known:
        return None
    return vocabulary_of(
        (*known, *noted(ws)),
        config.columns() | dict(ws.contents().columns),
        [d for d in config.segments if d.name != without],
        adopted=adopted_parts(ws.store),
        scores=score_names(scores(ws)),
    )


def read_rule(ws: Workspace, text: str, *, without: str = "") -> Rule:
    """A rule whose names are looked up.

    Raises:
        RefusedDefinition: With every mistake; the places point into the text.
    """
    from kohort.definitions.rules import check_rule, parse_rule

    try:
        rule = parse_rule(text)
    except RefusedDefinition as error:
        refuse([error, *error.others], text)
        raise
    known = vocabulary(ws, without=without)
    refuse(check_rule(rule, known, text) if known is not None else [], text)
    return rule


def refuse(mistakes: list[RefusedDefinition], text: str) -> None:
    """Raise what is wrong with a rule, all of it in one error; nothing where nothing is."""
    from kohort.definitions.yaml_text import Document, Place

    if len(mistakes) == 1:
        raise mistakes[0]
    if mistakes:
        document = Document(text, "rule", text, {(): Place(0, len(text), 1)})
        for mistake in mistakes:
            document.refused((), mistake)
        raise RefusedDefinition(
            f"The rule has {len(mistakes)} mistakes.\n" + "\n".join(f"  {m}" for m in document.mistakes),
            text=text,
            start=mistakes[0].start,
            end=mistakes[0].end,
            code=mistakes[0].code,
            mistakes=[m.as_dict() for m in document.mistakes],
        )


def read_new(ws: Workspace, name: str, body: Body) -> SegmentDefinition:
    """A definition somebody wants to add, checked alone; how it fits the others is `kohort.segments.checked`'s matter.

    Raises:
        RefusedDefinition: With every mistake. For a rule, places point into it; else into the YAML of the definition.
    """
    from kohort.definitions.segments import SegmentDefinition
    from kohort.definitions.yaml_text import read_yaml, write_yaml

    if isinstance(body, SegmentDefinition):
        return body
    if isinstance(body, str):
        read_rule(ws, body, without=name)
    return _only(ws, read_yaml(write_yaml({name: _plain(body)}), "the definition"))


def read_file(ws: Workspace, text: str, file: str, name: str = "") -> SegmentDefinition:
    """One definition from a text: a rule alone, what stands under its name, or `name: …` as in `kohort.yaml`.

    Args:
        file: What the text is called in messages.
        name: Needed where the text does not say it.

    Raises:
        RefusedDefinition: With every mistake and its line.
        WrongUsage: It holds several definitions, or none of that name.
    """
    from kohort.definitions.segments_reading import KINDS
    from kohort.definitions.yaml_text import read_yaml

    document = read_yaml(text, file)
    data = document.data
    if isinstance(data, dict) and not data.keys() & {*KINDS}:
        if name and name not in data:
            raise WrongUsage(f"{file} does not define {name!r}.", hint=f"It defines: {', '.join(data) or 'nothing'}.")
        if len(data) != 1:
            raise WrongUsage(f"{file} holds {len(data)} definitions.", hint="Write one per file.")
        return _only(ws, document)
    if not name:
        raise WrongUsage(f"{file} does not say what the segment is called.", hint="Give its name, or write name: {…}.")
    return _only(ws, document.under(name))


def _only(ws: Workspace, document: Document) -> SegmentDefinition:
    """The one definition of a document, looked up."""
    from kohort.definitions.segments_text import read_segments

    (name,) = document.data
    known = vocabulary(ws, without=name)
    found = read_segments(document, document.data, (), known, settings=ws.config.segment_settings)
    document.finish()
    return found[0]


def keep(ws: Workspace, definition: SegmentDefinition) -> None:
    """Write a definition into `kohort.yaml`, or the file of `segments/` that has one of its name, in its old place."""

    def with_it(config: WorkspaceConfig) -> WorkspaceConfig:
        kept = tuple(definition if d.name == definition.name else d for d in config.segments)
        if definition not in kept:
            kept = (*kept, definition)
        return replace(config, segments=kept)

    ws.change(with_it)


def relabel(ws: Workspace, definition: SegmentDefinition, part: str, label: str) -> None:
    """Give a part (its key, or what it is called now) a name of its own; with one part, the definition.

    Raises:
        NotFound: No such part.
        RefusedDefinition: It cannot be a name.
    """
    from kohort.definitions.segments_text import read_definition, title, write_definition

    by_title = {title(p.key, p.label).lower(): p.key for p in definition.parts} | {
        p.key: p.key for p in definition.parts
    }
    key = by_title.get(part, by_title.get(part.lower()))
    if key is None:
        raise NotFound(f"part of {definition.name!r}", part, [p.key for p in definition.parts])
    if len(definition.parts) == 1:
        renamed = replace(definition, label=label)
    else:
        renamed = replace(
            definition, parts=tuple(replace(p, label=label) if p.key == key else p for p in definition.parts)
        )
    keep(ws, read_definition(write_definition(renamed)))


def let_go(ws: Workspace, name: str) -> None:
    """Take a definition out of the file it stands in."""
    ws.change(lambda config: replace(config, segments=tuple(d for d in config.segments if d.name != name)))


def named(ws: Workspace, name: str) -> SegmentDefinition:
    """The definition of that name.

    Raises:
        NotFound: There is none.
        WrongUsage: It is an adopted segmentation, which has no rule of a person's.
    """
    definitions = ws.config.segments
    for definition in definitions:
        if definition.name == name:
            return definition
    not_adopted(ws, name)
    raise NotFound("segment", name, [d.name for d in definitions], hint="Make one with: kohort segments add")


def not_adopted(ws: Workspace, name: str) -> None:
    """Refuse the name of an adopted segmentation: it has no rule of a person's.

    Raises:
        WrongUsage: It is one.
    """
    if any(row["adopted"] and row["name"] == name for row in ws.segmentations()):
        raise WrongUsage(
            f"{name!r} was found and adopted; it is not made of rules.",
            hint=f"See it with: kohort segments show {name!r}",
        )


def check_files(root: Path) -> WorkspaceConfig:
    """Read all definitions of a workspace folder and look up everything they name, whatever is wrong with others.

    Raises:
        RefusedDefinition: With every mistake of every file.
    """
    from kohort.definitions.context_rules import noted_features
    from kohort.definitions.defaults import default_features
    from kohort.definitions.predictions import USUAL
    from kohort.definitions.rules import vocabulary_of
    from kohort.definitions.workspace_file import load
    from kohort.engines.evaluate import profile
    from kohort.model.event import CONTEXT_VALUE, SCORE_OF
    from kohort.segments.definitions import adopted_parts
    from kohort.store import open_store

    with open_store(root) as store:
        snapshot = store.log.snapshot()

        def looked_up(config: WorkspaceConfig) -> Vocabulary | None:
            try:
                known = config.features or default_features(profile(snapshot), config.business)[1]
            except NotEnough:
                return None
            known = (*known, *(noted_features(config.context) if CONTEXT_VALUE in snapshot.columns else ()))
            return vocabulary_of(
                known,
                config.columns() | snapshot.columns,
                adopted=adopted_parts(store),
                scores=[t.name for t in config.predictions if not t.several]
                or [USUAL] * (SCORE_OF in snapshot.columns),
            )

        return load(root, looked_up, columns=snapshot.columns)


def never_observed(rule: Rule, contents: DataProfile) -> tuple[str, ...]:
    """Events and declared columns that a rule asks for and that no customer's event has carried yet, sorted."""
    from kohort.definitions.rules import events_and_columns

    events, columns = events_and_columns(rule)
    unseen = {c for c in columns if c.startswith(("p_", "t_")) and not contents.present.get(c)}
    return tuple(sorted(set(events) - set(contents.events) | unseen))


def _plain(body: Any) -> Any:
    """Plain values that YAML can write; anything else as its text, so that the reader refuses it by name."""
    if isinstance(body, Mapping):
        return {str(key): _plain(value) for key, value in body.items()}
    if isinstance(body, list | tuple):
        return [_plain(value) for value in body]
    return body if body is None or isinstance(body, str | bool | int | float) else str(body)
