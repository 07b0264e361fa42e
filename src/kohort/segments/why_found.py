"""Why a customer is in a group that was found, not defined: her recorded reason, and the group's short rule."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kohort.definitions.rules import format_rule, names, parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition
from kohort.errors import NotFound, RefusedDefinition
from kohort.locale import gettext
from kohort.segments import why_words as words
from kohort.segments.why import why

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.segments import SegmentSettings
    from kohort.model.segmentation import Rule, Segmentation
    from kohort.segments.reasons import Why
    from kohort.store.store import Store


def why_found(
    store: Store,
    name: str,
    customer: int,
    *,
    as_of: int,
    zone: str,
    currency: str,
    features: Sequence[FeatureDefinition],
    settings: SegmentSettings,
    part: str | None = None,
    language: str = "en",
    labels: Mapping[str, str] | None = None,
) -> Why:
    """As `kohort.segments.why.why`, for an adopted segmentation.

    A group is a likeness, and its short rule only nearly says who is in: conditions that are true do not make a member.
    Time alone changes nothing; the next run of the segmentation may.

    Raises:
        NotFound: No segmentation of this name was adopted, no such customer or group.
        NotEnough: She has no event at that moment.
    """
    found = store.state.segmentation(name)
    if found is None:
        raise NotFound("adopted segmentation", name)
    definition = as_definition(found, {f.name for f in features})
    told = why(
        store,
        [],
        definition,
        customer,
        as_of=as_of,
        zone=zone,
        currency=currency,
        features=features,
        settings=settings,
        part=part,
        language=language,
        labels=labels,
    )
    say = words.Speech(currency, zone)
    titles = {s.id: s.name for s in found.segments}
    rule = next((s.rule for s in found.segments if s.id == told.asked.segment), None)
    notes = (words.short_rule(titles[told.asked.segment], None if rule is None else rule.fidelity),)
    if told.segment is None:
        first = words.left_out_of_groups(name)
    else:
        reasons = [s["reason"] for s in store.members.history(name, customer) if s["segment"] == told.segment]
        first = words.found_in(titles[told.segment], told.since, reasons[-1] if reasons else None, say)
    change = gettext("It may change when the groups are run again.")
    text = " ".join([first, *notes, change])
    reason = "found" if told.member else ""
    return replace(told, reason=reason, notes=notes, change=None, change_text=change, text=text)


def as_definition(found: Segmentation, known: Collection[str]) -> SegmentDefinition:
    """An adopted segmentation as a definition that keeps its members, with the short rules that can still be asked.

    Args:
        known: Features there are; a rule that names another one is left out.
    """
    parts = tuple(Part(s.id, s.name, rule=_asked(s.rule, known)) for s in found.segments)
    return SegmentDefinition(found.name, "tiers", parts, paused=True)


def _asked(rule: Rule | None, known: Collection[str]) -> RuleText | None:
    if rule is None or not rule.expression:
        return None
    try:
        read = parse_rule(rule.expression)
    except RefusedDefinition:
        return None
    if not all(name in known or name.startswith("t_") for name in names(read)):
        return None
    return RuleText(format_rule(read), read)
