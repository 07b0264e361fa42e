"""Who answers what is sent to her: training sets whose moments are the sendings themselves.

Sendings are taken in waves: what is sent within a day is looked at as of the instant just before the first of it, so nothing that the
sending brought about is known. A response is an answer, not an effect: who would have bought anyway answers too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kohort.definitions.features import FeatureDefinition, describe
from kohort.definitions.predictions import SENDING, Target, span_us
from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.predict.dataset import MOST_MOMENTS, Dataset, Features, asked_about, joined, known_as

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.model.snapshot import Snapshot

WAVES = 30
"""Waves that are learned from where no moments are given: the last ones whose answers are known."""

Answers = Callable[..., "pa.Table"]
"""As `kohort.engines.answers.answers`: (after=…, until=…) → customer and whether she answered, of those sent to in between."""


def waves(times: np.ndarray, target: Target, *, since: int, until: int, most: int = WAVES) -> list[int]:
    """The moments just before the last waves whose answers are known.

    Args:
        times: When something was sent, ascending microseconds UTC.
        since: No moment is earlier.
        until: Up to when the log knows what happened.

    Example:
        >>> from kohort.definitions.predictions import parse_target
        >>> spring = parse_target("spring", {"response": "order", "after": "mail", "horizon": "1 hour"})
        >>> waves(np.array([10, 20, 200_000_000_000]), spring, since=0, until=10**12)
        [9, 199999999999]
    """
    found, place = [], 0
    length = span_us(SENDING)
    while place < len(times):
        moment = int(times[place]) - 1
        if moment + target.ahead_us > until:
            break
        if moment >= since:
            found.append(moment)
        place = int(np.searchsorted(times, moment + length, side="right"))
    return found[-most:]


def responses(
    snapshot: Snapshot,
    definitions: Sequence[FeatureDefinition],
    target: Target,
    *,
    as_of: Sequence[int],
    until: int,
    answers: Answers,
    features: Features,
    zone: str = "UTC",
    currency: str = "EUR",
    progress: Progress = silent,
) -> Dataset:
    """Those who were sent to within a day after each moment, as they were at the moment, and whether they answered.

    Args:
        snapshot: The event log.
        definitions: The features.
        target: A response.
        as_of: Moments, microseconds UTC; see `waves`.
        until: Up to when the log knows what happened.
        answers: Who was sent to, and who answered.
        features: The engine.
        zone: Time zone of calendar windows.
        currency: Of money.

    Raises:
        NotEnough: Answers to a wave may still come after `until`, or nobody that was known was sent to.
        WrongUsage: No moment, a moment twice, or too many.
    """
    import pyarrow as pa

    moments = sorted(as_of)
    if not moments or len(set(moments)) < len(moments) or len(moments) > MOST_MOMENTS:
        raise WrongUsage(f"Give 1 to {MOST_MOMENTS} different moments.")
    if moments[-1] + target.ahead_us > until:
        raise NotEnough(
            f"Answers within {target.horizon} to what was sent within a day after {iso(moments[-1])} are not known yet.",
            hint=f"The last moment that can be learned from is {iso(until - target.ahead_us)}.",
        )
    tables, outcomes = [], []
    for number, moment in enumerate(moments):
        progress("Looking at past moments", number, len(moments))
        end = moment + target.ahead_us
        told = answers(after=moment, until=moment + span_us(SENDING), as_of=end)
        table = asked_about(
            snapshot, definitions, target, as_of=moment, features=features, zone=zone, currency=currency
        )
        who, y = told.column("customer").to_numpy(), told.column("answered").to_numpy(zero_copy_only=False)
        now = known_as(snapshot, table.ids.to_numpy(zero_copy_only=False), end)
        place = np.minimum(np.searchsorted(who, now), max(len(who) - 1, 0))
        sent = who[place] == now if len(who) else np.zeros(len(now), bool)
        mask = pa.array(sent)
        tables.append(replace(table, ids=table.ids.filter(mask), data=table.data.filter(mask), value=None))
        outcomes.append(y[place[sent]].astype(float))
    progress("Looking at past moments", len(moments), len(moments))
    rows = [len(t) for t in tables]
    if not sum(rows):
        raise NotEnough(
            f"Nobody who was known before was sent {' or '.join(target.sent)} at these moments.",
            hint="Look at `after`, or choose other moments.",
        )
    traits = [column for column in snapshot.columns if column.startswith("t_")]
    past = tuple(d.name for d in definitions if not any(t in describe(d.measure) for t in traits))
    at = np.repeat(np.array(moments, np.int64), rows)
    asked = dict(zip(moments, rows, strict=True))
    return Dataset(joined(tables), np.concatenate(outcomes), at, at + target.ahead_us, target, asked, past)
