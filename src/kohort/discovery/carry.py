"""Groups carried from the moment before as a whole grouping, so that they are explained, adopted and kept like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kohort.discovery.algorithms import Model
from kohort.discovery.assign import GroupAssigner
from kohort.discovery.evidence import gate, tree_of, warnings_of, with_relevance
from kohort.discovery.evolving import Course, Moment, Step, evolve_once
from kohort.discovery.group import FIT_ROWS, SAMPLE_ROWS, complete_sample
from kohort.discovery.grouping import Grouping
from kohort.discovery.layers import find_layers
from kohort.discovery.over_time import resampled
from kohort.discovery.stability import estimates
from kohort.errors import WrongUsage
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Candidate, FeatureUse, Structure

WEIGHT = "weight_of_the_past"
"""Where the evidence of a structure says what the past counts, so that the next refit counts it the same."""


def carried(
    table: FeatureTable,
    course: Course,
    assigner: GroupAssigner,
    *,
    structure: Structure,
    candidates: Sequence[Candidate],
    features: Sequence[FeatureUse],
    weight: float,
    seed: int = 0,
) -> Grouping:
    """The last step of a course as a grouping of everybody in a table; group j is still group j.

    Args:
        table: Everybody at the last moment.
        course: Groups from moment to moment, at least two; the last centres place the customers.
        assigner: Its preparation is kept, its centres are not.
        structure, candidates, features: What was said of the groups when they were found.
    """
    preparation, k = assigner.preparation, course.k
    model = Model("kmeans", k, {"centres": course.centres[-1].astype(np.float32)})
    labels, confidence = GroupAssigner(preparation, model).assign(table)
    sample = complete_sample(table, preparation, SAMPLE_ROWS, seed)
    X = preparation.matrix(table.data.take(sample))
    moment = Moment(table.as_of or 0, sample, X)
    here = Course((course.centres[-2], course.centres[-1]), (course.labels[-2], labels[sample]))
    stability = estimates(resampled(here, moment, weight, seed=seed)) if weight < 1 else (None,) * k
    layers = find_layers(table, preparation, model, X, seed=seed)
    return Grouping(
        algorithm="kmeans",
        k=k,
        labels=labels,
        confidence=confidence,
        structure=replace(structure, evidence={**structure.evidence, WEIGHT: weight}),
        candidates=tuple(candidates),
        stability=stability,
        features=with_relevance(features, preparation, X, labels[sample]),
        sample=sample,
        prepared=X,
        used=preparation.used,
        assigner=GroupAssigner(preparation, model),
        gate=gate(len(table)),
        tree=tree_of(X, labels[sample], np.bincount(labels[labels >= 0], minlength=k)),
        warnings=warnings_of(len(table), structure.verdict, stability, None, layers.found),
        layers=layers.found,
        layer_of=layers.of,
    )


def next_step(table: FeatureTable, assigner: GroupAssigner, shares: np.ndarray, weight: float, seed: int = 0) -> Course:
    """One step of evolutionary k-means from groups that are in use, on the customers as they are in a table.

    Args:
        shares: Share of the customers in each group when it was last placed.

    Returns:
        Two moments, before and after; both label the rows that the step was fitted on.

    Raises:
        WrongUsage: The groups are not round centres, or the table lacks a feature they were found with.
    """
    if assigner.model.algorithm not in ("kmeans", "hierarchical"):
        raise WrongUsage(
            "Only groups with centres can be carried on, those of k-means and of Ward's tree.",
            hint="Find groups again with: kohort over-time",
        )
    assigner.preparation.check(table.data)
    rows = complete_sample(table, assigner.preparation, FIT_ROWS, seed)
    X = assigner.preparation.matrix(table.data.take(rows))
    before = np.asarray(assigner.model.arrays["centres"], dtype=float)
    step: Step = evolve_once(X, before, shares, weight)
    # The shares before are those given, whatever rows were drawn: labels stand for them in the resampling.
    standing = np.repeat(np.arange(len(before)), np.round(10_000 * np.asarray(shares)).astype(int))
    return Course((before, step.centres), (standing, step.labels))
