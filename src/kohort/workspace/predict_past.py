"""Which past a prediction of a workspace learns from, and whom it is about now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.progress import Progress, silent

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.predictions import Target
    from kohort.model.feature import FeatureTable
    from kohort.predict.dataset import Dataset, Features
    from kohort.workspace.workspace import Workspace

MOST_PARTS = 10
"""Values of a cross-sell that does not name its own: the ones that most customers have."""


def training_set(
    ws: Workspace,
    target: Target,
    as_of: Sequence[int | str] | None,
    definitions: Sequence[FeatureDefinition],
    *,
    features: Features,
    progress: Progress = silent,
    most: int | None = None,
) -> Dataset:
    """The training set of a target at past moments; None = up to `most`, a horizon apart.

    Raises:
        NotEnough: The past is too short.
        NotFound: Nobody was in the part that a migration asks about.
        WrongUsage: The target has several parts.
    """
    from kohort.predict.dataset import dataset

    if target.several:
        raise WrongUsage(f"{target.name!r} has several parts.", hint=f"Name one: {target.name}/PART.")
    if target.kind == "migration":
        found = training_parts(ws, target.whole, as_of, definitions, features=features, progress=progress, most=most)
        if target.value not in found:
            raise NotFound("part", target.value, found)
        return found[target.value]
    until = ws.as_of()
    moments = moments_known(ws, target, until=until, most=most) if as_of is None else _moments(ws, as_of)
    how: dict[str, Any] = {"as_of": moments, "until": until, "features": features, "progress": progress}
    how |= {"zone": ws.zone, "currency": ws.currency}
    if target.kind == "response":
        from kohort.predict.response import responses

        return responses(ws.store.log.snapshot(), definitions, target, answers=_answers(ws, target), **how)
    return dataset(ws.store.log.snapshot(), definitions, target, **how)


def moments_known(
    ws: Workspace, target: Target, *, until: int, since: int | None = None, most: int | None = None
) -> list[int]:
    """The last moments of a target whose outcomes are known by `until`: a horizon apart, or just before what was sent.

    Args:
        since: Only moments from then on; None = a horizon after the first event.
        most: So many at most; None = as usual.

    Raises:
        NotEnough: There is none, where `since` is not given.
    """
    from kohort.predict.dataset import MOMENTS, default_moments

    if target.kind == "response":
        return _waves(ws, target, until=until, since=since, most=most)
    if since is None:
        first = ws.contents().first_ts
        return default_moments(target, first=until if first is None else first, until=until, most=most or MOMENTS)
    step = target.ahead_us
    back = [until - step * k for k in range(1, (most or MOMENTS) + 1)] if step else []
    return [moment for moment in back if moment >= since][::-1]


def _waves(ws: Workspace, target: Target, *, until: int, since: int | None, most: int | None) -> list[int]:
    from kohort.definitions.features import Selection
    from kohort.engines.answers import sending_times
    from kohort.predict.response import WAVES, waves

    sent = Selection(target.sent, target.sent_where)
    times = sending_times(ws.store.log.snapshot(), sent, as_of=until, zone=ws.zone, currency=ws.currency)
    found = waves(times, target, since=since or 0, until=until, most=most or WAVES)
    if not found and since is None:
        there = "is not known yet" if len(times) else "cannot be known: nothing was sent"
        raise NotEnough(
            f"What was answered to {' or '.join(target.sent)} within {target.horizon} {there}.",
            hint="Look at `after`, or choose a shorter horizon.",
        )
    return found


def _answers(ws: Workspace, target: Target) -> Callable[..., pa.Table]:
    from kohort.definitions.features import Selection
    from kohort.definitions.predictions import span_us
    from kohort.engines.answers import answers

    sent, reply = Selection(target.sent, target.sent_where), Selection(target.events, target.where)
    how: dict[str, Any] = {"within_us": span_us(target.horizon), "zone": ws.zone, "currency": ws.currency}
    return partial(answers, ws.store.log.snapshot(), sent, reply, **how)


def training_parts(
    ws: Workspace,
    target: Target,
    as_of: Sequence[int | str] | None,
    definitions: Sequence[FeatureDefinition],
    *,
    features: Features,
    progress: Progress = silent,
    most: int | None = None,
) -> dict[str, Dataset]:
    """The training set of every part of a target that has several, from one look at each past moment.

    Raises:
        NotEnough: The past is too short, or there is nobody to ask about in any part.
    """
    if target.kind == "migration":
        from kohort.predict.dataset import MOMENTS
        from kohort.predict.migration import datasets, moments_of

        members, first, until = _memberships(ws, target.events[0])
        if as_of is None:
            moments = moments_of(target, first=first, until=until, most=most or MOMENTS)
        else:
            moments = _moments(ws, as_of)
        return datasets(
            ws.store.log.snapshot(),
            definitions,
            target,
            as_of=moments,
            first=first,
            until=until,
            members=members,
            features=features,
            zone=ws.zone,
            currency=ws.currency,
            progress=progress,
        )
    from kohort.engines.purchases import common_values
    from kohort.predict.parts import Once

    values = target.values or common_values(ws.store.log.snapshot(), target.column, target.events, MOST_PARTS)
    once = Once(features, definitions)
    found: dict[str, Dataset] = {}
    for value in values:
        try:
            part = target.part(value)
            found[value] = training_set(ws, part, as_of, definitions, features=once, progress=progress, most=most)
        except NotEnough:
            if value == values[-1] and not found:
                raise
    if not found:
        raise NotEnough(f"No {target.events[0]} has a {target.column}.", hint="Name another column.")
    return found


def people_now(
    ws: Workspace,
    target: Target,
    as_of: int,
    definitions: Sequence[FeatureDefinition],
    *,
    features: Features,
    customers: Sequence[int] | None = None,
) -> FeatureTable:
    """Features of those whom the target is about at a moment. `customers`: only these; None = everybody."""
    from kohort.predict.dataset import asked_about, tells

    engine: Features = features if customers is None else partial(features, customers=customers)
    log, how = ws.store.log.snapshot(), {"zone": ws.zone, "currency": ws.currency}
    if target.kind == "migration":
        from kohort.predict.migration import standing

        members, _, _ = _memberships(ws, target.events[0])
        return standing(log, definitions, members, as_of=as_of, features=engine, **how)
    used = [d for d in definitions if not tells(d, target)]
    return asked_about(log, used, target, as_of=as_of, features=engine, **how)


def _moments(ws: Workspace, as_of: Sequence[int | str]) -> list[int]:
    return [m if isinstance(m, int) else ws.as_of(m) for m in as_of]


def _memberships(ws: Workspace, name: str) -> tuple[Callable[[int], pa.Table], int, int]:
    """Who was in a segment at a moment, and from when to when that is known.

    Raises:
        NotFound: No segment is called so.
        NotEnough: It was not run yet.
        WrongUsage: Its members are accounts.
    """
    definition = next((d for d in ws.config.segments if d.name == name), None)
    if definition is not None and definition.kind == "accounts":
        raise WrongUsage("The members of this segment are accounts, which do not migrate here.")
    stored = ws.store.members.names()
    if name not in stored:
        if definition is None:
            raise NotFound("segment", name, stored)
        raise NotEnough(f"{name!r} was not run yet.", hint=f"Run: kohort segments run {name!r}")
    moments = [int(run["as_of"]) for run in ws.store.members.runs(name)]
    return partial(ws.store.members.at, name), min(moments), max(moments)
