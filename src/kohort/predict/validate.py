"""Every candidate fitted and judged fold by fold; the simplest within one standard error of the best is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress
from kohort.predict.calibrate import sigmoid
from kohort.predict.encode import Encoder, fit_encoder, with_weeks
from kohort.predict.families import Candidate, Learned, candidates
from kohort.predict.folds import Fold, Folds
from kohort.predict.guard import parts_of
from kohort.predict.measures import Scored, mean_and_error, roc_auc, row_losses

CURVE = (0.25, 0.5)
"""Shares of the rows to learn from that the learning curve has before the whole."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One fold with its columns: learned from its own rows only."""

    fold: Fold
    encoder: Encoder
    learn: np.ndarray
    judge: np.ndarray


@dataclass(frozen=True, slots=True)
class Judged:
    """One candidate in all folds.

    Attributes:
        candidate: The family and its setting.
        z: Log-odds of the judged rows, in the order of `Folds.judged`.
        loss: Their mean log loss, before calibration.
        behind: How much worse than the best that is, with the standard error of the difference.
        models: The fitted model of each fold.
        seen: What they learned from and were judged on.
    """

    candidate: Candidate
    z: np.ndarray
    loss: float
    behind: tuple[float, float] = (0.0, 0.0)
    models: tuple[Learned, ...] = ()
    seen: tuple[Prepared, ...] = ()


def prepare(table: FeatureTable, folds: Folds) -> tuple[Prepared, ...]:
    """The matrices of every fold."""
    import pyarrow as pa

    found = []
    for fold in folds.folds:
        rows = table.data.take(pa.array(fold.learn))
        encoder = fit_encoder(rows, table.features)
        found.append(
            Prepared(fold, encoder, encoder.matrix(rows), encoder.matrix(table.data.take(pa.array(fold.judge))))
        )
    return tuple(found)


def prepare_weeks(weeks: FeatureTable, channels: Sequence[str], prepared: Sequence[Prepared]) -> tuple[Prepared, ...]:
    """The same folds with the columns of single weeks behind the others.

    Args:
        weeks: One column per week and channel, the last week first, of the rows that `prepared` was made of.
        channels: Words of each channel.
    """
    import pyarrow as pa

    found = []
    for p in prepared:
        learn, judge = (weeks.data.take(pa.array(rows)) for rows in (p.fold.learn, p.fold.judge))
        whole = with_weeks(p.encoder, learn, weeks.features, channels)
        alone = Encoder(whole.columns[len(p.encoder.columns) :])
        both = (
            np.asfortranarray(np.hstack([x, alone.matrix(data)])) for x, data in ((p.learn, learn), (p.judge, judge))
        )
        found.append(Prepared(p.fold, whole, *both))
    return tuple(found)


def compare(
    prepared: tuple[Prepared, ...],
    folds: Folds,
    y: np.ndarray,
    groups: np.ndarray,
    *,
    weeks: tuple[Prepared, ...] = (),
    seed: int,
    progress: Progress,
) -> tuple[list[Judged], int]:
    """All candidates, the simplest first, and the place of the one to take.

    Args:
        weeks: The same folds with single weeks, for sequence models; none = no such model is tried.
    """
    steps = weeks[0].encoder.weeks if weeks else 0
    tried = candidates(max(len(p.learn) for p in prepared), weeks=steps)
    order = np.argsort(np.concatenate([p.fold.judge for p in prepared]))
    rows = folds.judged
    own = np.unique(groups[rows], return_inverse=True)[1]
    found: list[Judged] = []
    losses: list[np.ndarray] = []
    for number, candidate in enumerate(tried):
        progress("Comparing models", number, len(tried))
        seen = weeks if candidate.family == "recurrent" else prepared
        models = tuple(candidate.fit(p.encoder, p.learn, y[p.fold.learn], groups[p.fold.learn], seed) for p in seen)
        z = np.concatenate([m.log_odds(p.encoder, p.judge) for m, p in zip(models, seen, strict=True)])[order]
        losses.append(row_losses(sigmoid(z), y[rows]))
        found.append(Judged(candidate, z, float(losses[-1].mean()), models=models, seen=seen))
    progress("Comparing models", len(tried), len(tried))
    best = int(np.argmin([j.loss for j in found]))
    behind = [mean_and_error(loss - losses[best], own) for loss in losses]
    chosen = next(i for i, (mean, error) in enumerate(behind) if i == best or mean <= error)
    return [replace(j, behind=gap) for j, gap in zip(found, behind, strict=True)], chosen


def learned_auc(judged: Judged, prepared: Sequence[Prepared], y: np.ndarray) -> float:
    """Mean AUC of a candidate on the rows it learned from: what it is above the judged AUC is learned by heart."""
    found = []
    for model, p in zip(judged.models, prepared, strict=True):
        found.append(roc_auc(Scored(model.log_odds(p.encoder, p.learn), y[p.fold.learn]).tally()))
    return float(np.mean(found))


def learning_curve(
    candidate: Candidate, prepared: Sequence[Prepared], y: np.ndarray, groups: np.ndarray, *, seed: int
) -> list[dict[str, float]]:
    """Judged AUC and log loss of a candidate that learns from a part of the customers."""
    found = []
    for share in CURVE:
        z, happened, rows = [], [], 0
        for p in prepared:
            own = groups[p.fold.learn]
            some = np.random.default_rng(seed).random(int(own.max()) + 1)[own] < share
            if len(np.unique(y[p.fold.learn][some])) < 2:
                continue
            model = candidate.fit(p.encoder, p.learn[some], y[p.fold.learn][some], own[some], seed)
            z.append(model.log_odds(p.encoder, p.judge))
            happened.append(y[p.fold.judge])
            rows += int(some.sum())
        if z:
            all_z, all_y = np.concatenate(z), np.concatenate(happened)
            auc = roc_auc(Scored(all_z, all_y).tally())
            loss = float(row_losses(sigmoid(all_z), all_y).mean())
            found.append({"share": share, "rows": rows // len(z), "roc_auc": auc, "log_loss": loss})
    return found


def base_rates(folds: Folds, y: np.ndarray) -> np.ndarray:
    """For each judged row the share of positives among the rows its model learned from."""
    order = np.argsort(np.concatenate([f.judge for f in folds.folds]))
    return np.concatenate([np.full(len(f.judge), y[f.learn].mean()) for f in folds.folds])[order]


def one_feature(table: FeatureTable, folds: Folds, y: np.ndarray, names: Sequence[str]) -> tuple[str, np.ndarray]:
    """The rule that a person would use: the one feature, of those named, that tells most where it can be learned.

    Returns:
        Its name, and for each judged row the share of positives in the same part of it among the rows learned from.
    """
    places = {f.name: parts_of(f, table.data[f.name])[0] for f in table.features if f.name in names}
    chosen: list[str] = []
    p: list[np.ndarray] = []
    for fold in folds.folds:
        told = {name: _shares(place, y, fold) for name, place in places.items()}
        name = max(told, key=lambda n: roc_auc(Scored(told[n][places[n][fold.learn]], y[fold.learn]).tally()))
        chosen.append(name)
        p.append(told[name][places[name][fold.judge]])
    order = np.argsort(np.concatenate([f.judge for f in folds.folds]))
    return max(set(chosen), key=lambda n: (chosen.count(n), n)), np.concatenate(p)[order]


def _shares(place: np.ndarray, y: np.ndarray, fold: Fold) -> np.ndarray:
    size, rate = int(place.max()) + 1, y[fold.learn].mean()
    yes = np.bincount(place[fold.learn], y[fold.learn], size)
    return np.asarray((yes + 5 * rate) / (np.bincount(place[fold.learn], minlength=size) + 5))
