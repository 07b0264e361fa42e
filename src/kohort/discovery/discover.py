"""Discovery from a table to explained segments: groups, words, map, and honest warnings in one plain value."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.discovery.explain import Explained, explain, sentences
from kohort.discovery.grouping import Grouping
from kohort.discovery.labels import compare
from kohort.discovery.map import draw
from kohort.discovery.read_table import as_feature_table, read_table
from kohort.discovery.tiers import tiers
from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.model.segmentation import Segment, Segmentation

if TYPE_CHECKING:
    import pyarrow as pa

SHAKY = 0.6
"""Bootstrap Jaccard below which a segment should not be trusted without a look (Hennig 2008)."""

HINT = 0.6
"""F-measure below which a short rule is a hint only."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found, in words and in rows.

    Attributes:
        segmentation: Everything that is said about the segments.
        grouping: The rows behind it, with the assigner for later customers.
        segment_of: Segment id of each group number of `grouping.labels`.
        micro_of: Slice id of each number of `grouping.micro_labels`.
    """

    segmentation: Segmentation
    grouping: Grouping
    segment_of: tuple[str, ...] = ()
    micro_of: tuple[str, ...] = ()

    def segment_ids(self) -> pa.Array:
        """Segment id of each row of the table, null where it is left out. Group numbers are in no particular order."""
        import pyarrow as pa

        labels = np.asarray(self.grouping.labels)
        indices = pa.array(np.maximum(labels, 0).astype(np.int32), mask=labels < 0)
        return pa.DictionaryArray.from_arrays(indices, pa.array([*self.segment_of, ""], pa.string())).cast(pa.string())


def discover(
    table: FeatureTable | Any,
    *,
    id: str | None = None,  # noqa: A002 - the option is called --id
    algorithm: str = "auto",
    k: int | None = None,
    micro: bool = False,
    seed: int = 0,
    threads: int = 1,
    labels: str | Sequence[str | None] | None = None,
    map_method: str = "pca",
    representation: str = "features",
    progress: Progress = silent,
) -> Discovery:
    """Finds groups of customers that behave alike and explains them; equal input and seed give an equal answer.

    Args:
        table: Features of customers at one moment; or any table with one row per customer, see `as_feature_table`.
        id: Column with the customer's id in such a table. None = the first one.
        algorithm: "auto", "kmeans", "hierarchical", "hdbscan" or "mixture".
        k: Number of groups; None = chosen on evidence.
        micro: Also slice the groups into 50 to 100 micro-segments.
        seed: For everything random.
        threads: For the numeric libraries.
        labels: The company's own label of each customer, or the name of the feature (or the title of the column) that
            holds it; that feature then takes no part in the grouping.
        map_method: "pca" or "tsne".
        representation: What groups are found on: "features"; "pca", a few principal components of them; "autoencoder", codes that
            are learned, where these are better than components (`representation` of the result says).

    Returns:
        Segments are empty where the verdict is "none" and no number of groups was asked for; `alternatives` then
        proposes tiers by value.

    Raises:
        WrongUsage: An unknown algorithm, map or representation.
        NotFound: `labels` names no feature.
        NotEnough: Too few customers or nothing to tell them apart by.
    """
    from kohort.discovery.group import group

    started = time.perf_counter()
    table, own_labels = _labels(as_feature_table(table, id), labels)
    how: dict[str, Any] = {"algorithm": algorithm, "k": k, "micro": micro, "seed": seed, "threads": threads}
    told: dict[str, Any] = {}
    match representation:
        case "features":
            found = group(table, progress=progress, **how)
        case "pca" | "autoencoder":
            from kohort.discovery.coded import group_codes

            found, told = group_codes(table, representation, progress=progress, **how)
        case _:
            raise WrongUsage(
                f"There is no representation called {representation!r}.", hint="Use features, pca or autoencoder."
            )
    if k is not None and found.k < min(k, 2):
        raise NotEnough(
            f"This way of grouping does not find {k} groups here.",
            hint="Leave the number of groups open, or choose another way of grouping.",
        )
    result = describe(
        table,
        found,
        asked=k is not None,
        labels=own_labels,
        map_method=map_method,
        seed=seed,
        threads=threads,
        progress=progress,
    )
    seconds = round(time.perf_counter() - started, 3)
    return replace(result, segmentation=replace(result.segmentation, seconds=seconds, representation=told))


def describe(
    table: FeatureTable,
    grouping: Grouping,
    *,
    asked: bool = False,
    labels: Sequence[str | None] | None = None,
    map_method: str = "pca",
    seed: int = 0,
    threads: int = 1,
    progress: Progress = silent,
) -> Discovery:
    """Explains a grouping that is already there: words, map, tiers, comparison with existing labels.

    Args:
        asked: The number of groups was asked for, so the groups stay even where the verdict is "none".
        labels: The company's own label per customer.
    """
    verdict = grouping.structure.verdict
    if verdict == "none" and not asked and grouping.k:
        grouping = _without_groups(grouping)
    progress("Describe segments", 0, 3)
    explained = explain(table, grouping, seed=seed)
    progress("Describe segments", 1, 3)
    drawn = draw(table, grouping, explained.segment_of, method=map_method, seed=seed, threads=threads)
    progress("Describe segments", 2, 3)
    compared = {}
    if labels is not None and grouping.k:
        compared = compare(
            labels,
            grouping.labels,
            explained.segments,
            explained.segment_of,
            features=table.features,
            currency=table.currency,
            seed=seed,
        )
    outliers = int((grouping.labels < 0).sum()) if grouping.k else 0
    warnings = _warnings(table, grouping, explained, outliers)
    alternatives = tiers(table) if verdict == "none" else {}
    if verdict == "none" and not alternatives:
        warnings = (*warnings, sentences.NO_TIERS)
    if labels is not None and not compared:
        warnings = (*warnings, sentences.NOTHING_TO_COMPARE)
    segmentation = Segmentation(
        id=_identity(table, grouping, seed),
        algorithm=grouping.algorithm,
        k=grouping.k,
        customers=len(table),
        structure=grouping.structure,
        candidates=grouping.candidates,
        segments=explained.segments,
        outliers=outliers,
        warnings=warnings,
        as_of=iso(table.as_of) if table.as_of is not None else None,
        currency=table.currency,
        evidence_gate=grouping.gate,
        features=grouping.features,
        micro=explained.micro,
        map=drawn.points,
        map_method=drawn.method,
        map_explained=drawn.explained,
        map_axes=drawn.axes,
        seed=seed,
        tree=_tree(grouping, explained.segment_of),
        alternatives=alternatives,
        layers=grouping.layers if grouping.k else (),
        labels=compared,
    )
    progress("Describe segments", 3, 3)
    return Discovery(segmentation, grouping, explained.segment_of, explained.micro_of)


def _labels(
    table: FeatureTable, labels: str | Sequence[str | None] | None
) -> tuple[FeatureTable, Sequence[str | None] | None]:
    """The table without the column that holds the company's labels, and the labels."""
    if not isinstance(labels, str):
        return table, labels
    names = [f.name for f in table.features]
    info = next((f for f in table.features if labels in (f.name, f.label, f.definition.removeprefix("column "))), None)
    if info is None:
        raise NotFound("feature", labels, names)
    if len(names) == 1:
        raise WrongUsage("The only feature holds the labels.", hint="Bring features to find groups by.")
    import pyarrow as pa

    words = {"true": "Yes", "false": "No"} if info.type == "flag" else {}
    brought = [words.get(x, x) for x in table.data[info.name].cast(pa.string()).to_pylist()]
    return table.select([n for n in names if n != info.name]), brought


def _without_groups(grouping: Grouping) -> Grouping:
    return replace(
        grouping,
        k=0,
        labels=np.full(len(grouping.labels), -1, dtype=np.int32),
        stability=(),
        micro_labels=None,
        micro_parent=(),
        micro_stability=(),
        tree=(),
        layers=(),
        layer_of=None,
    )


def _warnings(table: FeatureTable, grouping: Grouping, explained: Explained, outliers: int) -> tuple[str, ...]:
    segments = explained.segments
    found = [*table.notes, *grouping.warnings]
    if grouping.gate == "insufficient":
        found.append(sentences.RULES_FIRST)
    if table.value is None and segments:
        found.append(sentences.NO_VALUE)
    if outliers:
        found.append(sentences.left_out(outliers, len(table)))
    shaky = [s.name for s in segments if s.stability is not None and s.stability.value < SHAKY]
    if shaky:
        found.append(sentences.shaky(shaky))
    vague = [s.name for s in segments if _rule_quality(s) < HINT]
    if vague:
        found.append(sentences.hard_to_rule(vague))
    return tuple(found)


def _rule_quality(segment: Segment) -> float:
    if segment.rule is None or not segment.rule.fidelity + segment.rule.coverage:
        return 0.0
    both = segment.rule.fidelity * segment.rule.coverage
    return 2 * both / (segment.rule.fidelity + segment.rule.coverage)


def _tree(grouping: Grouping, segment_of: Sequence[str]) -> tuple[tuple[int, int, float, int], ...]:
    """The tree over places in the list of segments instead of group numbers; inner nodes keep their numbers."""
    place = {g: int(segment_of[g][1:]) - 1 for g in range(grouping.k)}
    return tuple((place.get(a, a), place.get(b, b), float(h), int(n)) for a, b, h, n in grouping.tree)


def _identity(table: FeatureTable, grouping: Grouping, seed: int) -> str:
    """The same customers in the same groups get the same id."""
    digest = hashlib.sha256(f"{table.as_of}|{grouping.algorithm}|{grouping.k}|{seed}".encode())
    digest.update("|".join(grouping.used).encode())
    digest.update(np.ascontiguousarray(grouping.labels, dtype=np.int32).tobytes())
    return f"found-{digest.hexdigest()[:12]}"


__all__ = ["Discovery", "describe", "discover", "read_table"]
