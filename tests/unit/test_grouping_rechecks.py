"""Groupings that cannot win are not re-checked, and nothing that is decided depends on it."""

from __future__ import annotations

import numpy as np
import pytest

from kohort.discovery.algorithms import FAMILIES
from kohort.discovery.choose import NOT_RECHECKED, Resamples
from kohort.discovery.group import _compared, _decided, _prepared, _recheck
from kohort.discovery.worlds import planted, structureless
from kohort.model.progress import silent

WORLDS = {recipe.name: recipe for recipe in (planted()[0], structureless()[0])}


@pytest.mark.parametrize("name", WORLDS)
def test_the_same_grouping_is_kept_as_when_every_grouping_is_rechecked(name: str) -> None:
    table = WORLDS[name].make().table
    few, all_ = (_compared(_prepared(table, FAMILIES, None, 0), silent) for _ in range(2))
    _recheck(all_, [t for t in all_.tried if not t.hopeless])
    few, all_ = _decided(few), _decided(all_)
    assert few.verdict == all_.verdict
    assert (few.best is None) == (all_.best is None)
    if few.best is not None and all_.best is not None:
        np.testing.assert_array_equal(few.best.labels, all_.best.labels)
        np.testing.assert_array_equal(few.best.jaccard, all_.best.jaccard)
    for t in few.tried:
        said = t.candidate()
        if t.jaccard is None and not t.hopeless:
            assert said.stability is None
            assert said.score is None
            assert said.note
        else:
            assert said.note != NOT_RECHECKED


def test_figures_do_not_depend_on_what_else_is_rechecked() -> None:
    study = _compared(_prepared(next(iter(WORLDS.values())).make().table, FAMILIES, None, 0), silent)
    tried = [t for t in study.tried if t.model.k in (3, 4)]
    Resamples(study.X, 3, 800, 1).recheck(tried)
    together = [t.jaccard for t in tried]
    one_by_one = Resamples(study.X, 3, 800, 1)
    for t in reversed(tried):
        t.jaccard = None
        one_by_one.recheck([t])
    for t, expected in zip(tried, together, strict=True):
        np.testing.assert_array_equal(t.jaccard, expected)
