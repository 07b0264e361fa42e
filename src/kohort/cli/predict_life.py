"""The life of a model in the group `predict`: check it, train a challenger, go back, its card, early signals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.model_files import report_of
from kohort.cli.predict import load_model, load_table, predict, write_file
from kohort.cli.predict_life_pages import carded, checked, drifted, retrained, rolled_back, signalled
from kohort.errors import WrongUsage


@command(
    predict,
    "check",
    short_help="Whether a model still fits its customers.",
    epilog="Example: kohort predict check churn_90d -w shop",
)
@click.argument("what", metavar="[NAME|TABLE]", required=False)
@click.option("--model", "model_file", metavar="FILE", help="A model of a plain table; needs --against.")
@click.option("--against", metavar="FILE", help="The table that it was trained on; TABLE is compared with it.")
@click.option("--id", "id_column", metavar="COLUMN", help="Column that says which row it is (default: the first).")
def check(
    door: Door, *, what: str | None, model_file: str | None, against: str | None, id_column: str | None
) -> Result:
    """Drift of what a model reads and says, what it did on outcomes that it has not learned from, and whether to train it again.

    Exits with 3 where it is to be trained again. For a plain table only drift can be told.
    """
    data: dict[str, Any]
    if model_file is not None:
        from kohort.predict.drift import drift

        if what is None or against is None:
            raise WrongUsage(
                "--model goes with a TABLE and --against the table it was trained on.",
                hint="For example: kohort predict check today.csv --model churn.kohort --against customers.csv",
            )
        model = load_model(model_file)
        found = drift(model, load_table(against, id_column), load_table(what, id_column))
        data = {"name": report_of(model.about).get("label"), "model": model.id, "drift": found}
        return Result(data, lambda screen: drifted(screen, found), 3 if found["verdict"] == "drift" else 0)
    if against is not None:
        raise WrongUsage("--against goes with --model and a TABLE.")
    with door.open() as ws, door.progress() as progress:
        data = ws.predict.check(what, progress=progress)
    return Result(data, lambda screen: checked(screen, data), 3 if data["retrain"]["due"] else 0)


@command(
    predict,
    "retrain",
    short_help="A challenger takes the place of the model where it is surely better.",
    epilog="Example: kohort predict retrain churn_90d -w shop",
)
@click.argument("name", required=False)
@click.option("--anyway", is_flag=True, help="Also where `predict check` sees no reason to.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a feature out.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Keep a feature that the leakage guard would leave out.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="For repeating a run.")
def retrain(
    door: Door, *, name: str | None, anyway: bool, drop: Sequence[str], keep: Sequence[str], seed: int
) -> Result:
    """Train a challenger and judge both on outcomes that neither has learned from.

    Exits with 3 where there are too few outcomes, or none that the current model has not seen: that is an answer too.
    """
    with door.open() as ws, door.progress() as progress:
        data = ws.predict.retrain(name, anyway=anyway, drop=drop, keep=keep, seed=seed, progress=progress)
    code = 3 if data["decision"] in ("not_yet", "too_few", "no_challenger") else 0
    return Result(data, lambda screen: retrained(screen, data), code)


@command(
    predict,
    "rollback",
    short_help="Let the version before score again.",
    epilog="Example: kohort predict rollback churn_90d -w shop",
)
@click.argument("name", required=False)
@click.option("--to", metavar="VERSION", help="This version (default: the one before).")
def rollback(door: Door, *, name: str | None, to: str | None) -> Result:
    """An earlier version of the model scores from now on. Scores that are kept stay until they are kept anew."""
    with door.open() as ws:
        data = ws.predict.rollback(name, to=to)
    return Result(data, lambda screen: rolled_back(screen, data))


@command(
    predict,
    "card",
    short_help="What a model is for, and where it must not be used.",
    epilog="Example: kohort predict card churn_90d -w shop --out churn.md",
)
@click.argument("name", required=False)
@click.option("--model", "model_file", metavar="FILE", help="The card of a model of a plain table.")
@click.option("--out", metavar="FILE", help="Write it as a page of Markdown.")
def card(door: Door, *, name: str | None, model_file: str | None, out: str | None) -> Result:
    """The card of the current model of a prediction, or of a file: data, figures, features, limits."""
    from kohort.predict.card import card as card_of
    from kohort.predict.card import card_page

    if out is not None and Path(out).suffix.lower() != ".md":
        raise WrongUsage("The file after --out is a page of Markdown.", hint="Let its name end in .md.")
    data: dict[str, Any]
    if model_file is not None:
        if name is not None:
            raise WrongUsage("Give a NAME or --model, not both.")
        data = card_of(load_model(model_file), {})
    else:
        with door.open() as ws:
            data = ws.predict.card(name)
    if out is not None:
        write_file(out, card_page(data).encode())
    return Result(data, lambda screen: carded(screen, data))


@command(
    predict,
    "signals",
    short_help="Which behaviours come before the outcome, and how long.",
    epilog="Example: kohort predict signals upgrade -w shop",
)
@click.argument("name", required=False)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="For repeating a run.")
def signals(door: Door, *, name: str | None, seed: int) -> Result:
    """Early signals of a prediction of the workspace, told from chance.

    Exits with 3 where too few customers have the outcome.
    """
    with door.open() as ws, door.progress() as progress:
        data = ws.predict.signals(name, seed=seed, progress=progress)
    return Result(data, lambda screen: signalled(screen, data), 3 if data["code"] == "too_few" else 0)
