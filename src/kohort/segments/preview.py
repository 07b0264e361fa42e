"""A definition before it is saved: how many, which condition costs whom, what it is worth, what was never seen, overlap."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kohort.definitions.rules import format_rule
from kohort.definitions.rules.tree import AllOf, AnyOf
from kohort.model.clock import iso
from kohort.model.progress import silent
from kohort.segments import preview_words as words
from kohort.segments.dependencies import with_needed
from kohort.segments.evaluate import Question, bucket_key, by_hand, duckdb_evaluator, standing
from kohort.segments.explain import said
from kohort.segments.overlap import shared, together
from kohort.segments.suggest import nearest

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.segments import SegmentDefinition, SegmentSettings
    from kohort.engines.measures import Measures
    from kohort.engines.preview import NodeSize, PartSizes, RuleSizes
    from kohort.model.segmentation import Estimate
    from kohort.model.snapshot import Snapshot
    from kohort.store.store import Store


@dataclass(frozen=True, slots=True)
class ConditionSize:
    """One node of a rule.

    Attributes:
        segment: Key of the part.
        size: Customers for whom it is true on its own; `share` of all.
        running: Of an item of "and": how many are left after it and those before it. Of an item of "or": how many it
            adds. So the last "left" is the size of its group, and the "added" add up to it. None for the whole rule.
        group: What `running` means.
        depth: 0 = the whole rule.
    """

    segment: str
    text: str
    sentence: str
    size: int
    share: float
    running: int | None
    group: Literal["", "left", "added"]
    depth: int


@dataclass(frozen=True, slots=True)
class PartPreview:
    """One part.

    Attributes:
        share: Of all customers (accounts).
        value: Sum of the value over its members; None where it is not known. `value_share` of everybody's.
        sample: Some members: pseudonyms, or names of accounts.
        conditions: Every node of its rule, a node before its items.
    """

    segment: str
    label: str
    size: int
    share: float
    value: float | None
    value_share: float | None
    sample: tuple[int | str, ...]
    conditions: tuple[ConditionSize, ...]


@dataclass(frozen=True, slots=True)
class NeverObserved:
    """What the rule names and the data has never shown.

    Attributes:
        kind: event, column or value (of the column `name`).
        suggestion: The nearest that was observed; empty where nothing is near.
    """

    kind: Literal["event", "column", "value"]
    name: str
    value: str
    suggestion: str
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a definition would hold.

    Attributes:
        universe: Everybody that could be in it; `universe_text` says who that is.
        excluded_by_consent: Would be in, but did not agree to its purpose.
        visitors: Of the universe, those who never said who they are; 0 unless the definition includes them.
        warnings: What looks like a mistake, whole sentences.
    """

    name: str
    as_of: int
    size: int
    share: float
    universe: int
    universe_text: str
    excluded_by_consent: int
    value: float | None
    value_share: float | None
    parts: tuple[PartPreview, ...]
    never_observed: tuple[NeverObserved, ...]
    warnings: tuple[str, ...]
    text: str
    visitors: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, the moment as ISO 8601 UTC. `conditions` lists those of all parts."""
        conditions = [asdict(c) for p in self.parts for c in p.conditions]
        return {**asdict(self), "as_of": iso(self.as_of), "conditions": conditions}


def preview(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    definition: SegmentDefinition,
    *,
    as_of: int,
    zone: str,
    currency: str,
    features: Sequence[FeatureDefinition],
    settings: SegmentSettings,
    value: FeatureDefinition | None = None,
    measures: Measures | None = None,
    language: str = "en",
    labels: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> Preview:
    """Looks at a new or edited definition. Nothing is written.

    Args:
        definitions: All of the workspace; one of the same name is the one being edited.
        value: Money per customer, to say what members are worth.
        measures: Kept between previews of the same data and moment: what is known is not computed again.
        language: Of the conditions' sentences: en, nl, da or de.
        labels: Plain words for names, as `say_rule` takes them.

    Raises:
        RefusedDefinition: It does not compile, or refers to itself.
    """
    from kohort.engines.preview import preview as sizes_of

    snapshot = store.log.snapshot()
    everything = (*(d for d in definitions if d.name != definition.name), definition)
    needed = with_needed(everything, [definition.name])
    active = [d for d in needed if not d.paused or d.name == definition.name]
    sizes = sizes_of(
        snapshot,
        definition,
        others=[d for d in active if d.name != definition.name],
        features=features,
        value=value,
        as_of=as_of,
        zone=zone,
        currency=currency,
        settings=settings,
        key=bucket_key(store),
        by_hand=by_hand(store, active),
        standing=standing(store, active, as_of),
        measures=measures,
        threads=threads,
    )
    said_in = _Said(language, labels or {})
    return told(definition, sizes, snapshot, as_of=as_of, zone=zone, currency=currency, say=said_in)


@dataclass(frozen=True, slots=True)
class _Said:
    language: str
    labels: Mapping[str, str]

    def __call__(self, text: str) -> str:
        return said(text, self.language, tuple(sorted(self.labels.items())))


def told(
    definition: SegmentDefinition,
    sizes: RuleSizes,
    snapshot: Snapshot,
    *,
    as_of: int,
    zone: str,
    currency: str,
    say: _Said,
) -> Preview:
    """What an engine counted, in words and shares."""
    labels = {p.key: p.label or p.key for p in definition.parts}
    accounts = definition.kind == "accounts"
    parts = tuple(_part(p, labels[p.key], sizes, say) for p in sizes.parts)
    unseen = tuple(_unseen(u.kind, u.name, u.value, snapshot) for u in sizes.unseen)
    every = [c for p in parts for c in p.conditions]
    emptied = next((c.sentence for c in every if words.empties(c.depth, c.group, c.running)), "")
    warnings = (
        *(u.text for u in unseen),
        *words.sizes(definition.kind, sizes.size, sizes.universe, {p.label: p.size for p in parts}, emptied),
        *words.left_out(sizes.excluded_by_consent, definition.purpose),
    )
    share = _share(sizes.size, sizes.universe)
    return Preview(
        name=definition.name,
        as_of=as_of,
        size=sizes.size,
        share=share,
        universe=sizes.universe,
        universe_text=words.universe(
            sizes.universe,
            as_of,
            zone,
            accounts=accounts,
            visitors=sizes.visitors if definition.include_anonymous else None,
        ),
        visitors=sizes.visitors,
        excluded_by_consent=sizes.excluded_by_consent,
        value=sizes.value,
        value_share=_value_share(sizes.value, sizes.universe_value),
        parts=parts,
        never_observed=unseen,
        warnings=warnings,
        text=words.preview(sizes.size, share, sizes.value, currency, accounts=accounts),
    )


def _part(part: PartSizes, label: str, sizes: RuleSizes, say: _Said) -> PartPreview:
    add_up(part.nodes)
    conditions = tuple(
        ConditionSize(
            part.key,
            text := format_rule(node.node),
            say(text),
            node.size,
            _share(node.size, sizes.universe),
            node.running,
            node.group,
            node.depth,
        )
        for node in part.nodes
    )
    return PartPreview(
        part.key,
        label,
        part.size,
        _share(part.size, sizes.universe),
        part.value,
        _value_share(part.value, sizes.universe_value),
        part.sample,
        conditions,
    )


def add_up(nodes: Sequence[NodeSize]) -> None:
    """Asserts that subtotals are what they say: what is left after the last "and" item is the group, and what "or" items
    add makes the group."""
    for place, node in enumerate(nodes):
        if not isinstance(node.node, AllOf | AnyOf):
            continue
        items = _items(nodes, place)
        running = [i.running for i in items if i.running is not None]
        assert len(running) == len(node.node.items), "every item has a subtotal"
        total = running[-1] if isinstance(node.node, AllOf) else sum(running)
        assert total == node.size, f"subtotals make {total}, not {node.size}"


def _items(nodes: Sequence[NodeSize], place: int) -> list[NodeSize]:
    """The nodes right below one."""
    found = []
    for node in nodes[place + 1 :]:
        if node.depth <= nodes[place].depth:
            break
        if node.depth == nodes[place].depth + 1:
            found.append(node)
    return found


def _unseen(kind: Literal["event", "column", "value"], name: str, value: str, snapshot: Snapshot) -> NeverObserved:
    suggestion = nearest(snapshot, kind, name, value)
    return NeverObserved(kind, name, value, suggestion, words.never_observed(kind, name, value, suggestion))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _value_share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


# Overlap -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OverlapWith:
    """A segment there is already, beside one that would be.

    Attributes:
        both: Customers in both.
        share_of_this: Part of the new one's members that are in the other too; `share_of_other` the other way round.
        lift: Customers in both over what chance would give; None where that has no meaning.
    """

    name: str
    segment: str
    size: int
    both: int
    share_of_this: float
    share_of_other: float
    jaccard: float
    lift: Estimate | None


def preview_overlap(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    definition: SegmentDefinition,
    *,
    as_of: int,
    zone: str,
    currency: str,
    features: Sequence[FeatureDefinition],
    settings: SegmentSettings,
    threads: int | None = None,
) -> tuple[OverlapWith, ...]:
    """How the customers that a definition would hold overlap with stored segments, the most alike first.

    Takes as long as evaluating the definition for everybody; nothing is written. Arguments as `preview`.
    """
    if definition.kind == "accounts":
        return ()
    question = Question(as_of, zone, currency, tuple(features), settings, threads)
    everything = (*(d for d in definitions if d.name != definition.name), definition)
    active = [d for d in with_needed(everything, [definition.name]) if not d.paused or d.name == definition.name]
    evaluate = duckdb_evaluator(store, store.log.snapshot(), question, silent)
    found = evaluate(active, by_hand=by_hand(store, active), standing=standing(store, active, as_of))
    mine = found.placed[definition.name].column("customer").to_numpy()
    skipped = {definition.name, *(d.name for d in definitions if d.kind == "accounts")}
    return overlaps(mine, _groups(store, skipped), found.universe)


def overlaps(
    mine: np.ndarray, groups: Sequence[tuple[str, str, np.ndarray]], customers: int
) -> tuple[OverlapWith, ...]:
    """One crowd beside others: (name, part, customers) each, the most alike first."""
    found = []
    for name, segment, theirs in groups:
        pair = shared(0, 1, together([mine, theirs]), customers)
        found.append(
            OverlapWith(
                name,
                segment,
                len(theirs),
                pair.both,
                pair.share_of_first,
                pair.share_of_second,
                pair.jaccard,
                pair.lift,
            )
        )
    return tuple(sorted(found, key=lambda o: (-o.jaccard, -o.both, o.name, o.segment)))


def _groups(store: Store, skipped: Collection[str]) -> list[tuple[str, str, np.ndarray]]:
    found = []
    for name in store.members.names():
        if name in skipped:
            continue
        table = store.members.current(name)
        coded = table.column("segment").combine_chunks().dictionary_encode()
        codes, customers = np.asarray(coded.indices), table.column("customer").to_numpy()
        found += [(name, key, customers[codes == code]) for code, key in enumerate(coded.dictionary.to_pylist())]
    return found
