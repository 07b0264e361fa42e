"""Value models for a plain table of transactions: the same as for a workspace, on a log that lives in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kohort.definitions.defaults import default_features
from kohort.definitions.features import FeatureDefinition, parse_features
from kohort.definitions.features_text import write_features
from kohort.definitions.windows import Span
from kohort.engines import evaluate
from kohort.engines.purchases import purchases
from kohort.errors import Damaged, NotEnough
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.predict.lifetime.fit import Found, fit
from kohort.predict.lifetime.model import LifetimeModel, Scores
from kohort.predict.lifetime.past import Past

if TYPE_CHECKING:
    from kohort.ingest.transactions import Transactions


def fit_table(
    table: Transactions,
    *,
    horizon: Span,
    as_of: int | None = None,
    currency: str = "EUR",
    seed: int = 0,
    threads: int = 1,
    about: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Found:
    """As `fit.fit`, with the features that a shop would look at.

    Args:
        table: From `kohort.ingest.transactions.read_transactions`.
        horizon: How far ahead; a fixed length.
        as_of: The moment fitted at; None = the last purchase. What the table has of the time after it is what the models
            are judged by.
        currency: Of the amounts.
        seed, threads, about, progress: See `fit.fit`.
    """
    used = default_features(evaluate.profile(table.snapshot), "shop")[1]
    return fit(
        _past(table, used, currency),
        as_of=table.last if as_of is None else as_of,
        until=table.last,
        horizon=horizon,
        about={**(about or {}), "definitions": write_features(used)},
        seed=seed,
        threads=threads,
        progress=progress,
    )


def score_table(table: Transactions, model: LifetimeModel, *, as_of: int | None = None) -> tuple[list[str], Scores]:
    """What to expect of every buyer of a table: her id there, in the order of the scores.

    Args:
        as_of: A moment; None = the last purchase.

    Raises:
        NotEnough: Nobody had bought by then.
        Damaged: The model does not say what it was fitted on.
    """
    when = table.last if as_of is None else as_of
    if "definitions" not in model.about:
        raise Damaged("The model does not say from which features it was learned.", hint="Fit it again: kohort clv fit")
    past = _past(table, parse_features(model.about["definitions"]), str(model.about["report"]["currency"]))
    summary = past.summary(when)
    if not len(summary):
        raise NotEnough(f"Nobody had bought anything by {iso(when)}.", hint="Choose a later moment.")
    assert summary.customer is not None
    scores = model.score(summary, past.table(when, summary) if model.learned is not None else None)
    return [table.ids[n - 1] for n in summary.customer.to_pylist()], scores


def _past(table: Transactions, definitions: tuple[FeatureDefinition, ...], currency: str) -> Past:
    return Past(table.snapshot, definitions, purchases, evaluate.features, "UTC", currency)
