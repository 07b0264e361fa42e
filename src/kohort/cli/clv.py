"""The group `clv`: what customers will buy and spend, from a workspace or from a plain table of transactions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.clv_pages import fitted, scored
from kohort.cli.door import Door, Result, command
from kohort.cli.model_files import read_model_file
from kohort.cli.options import MOMENT
from kohort.cli.root import app
from kohort.errors import BadInput, WrongUsage

if TYPE_CHECKING:
    from kohort.ingest.transactions import Transactions
    from kohort.predict.lifetime.model import LifetimeModel

HORIZON = "90 days"


@app.group("clv", short_help="What customers will be worth.")
def clv() -> None:
    """Purchases and revenue to come, by models that were held against what came.

    \b
    kohort clv fit -w shop --horizon "26 weeks"
    kohort clv score -w shop --out value.csv
    kohort clv fit --transactions orders.csv --id customer --date date --amount total --out value.kohort
    """


def transaction_options(function: Any) -> Any:
    """How a plain table of transactions is read, the same for every command."""
    for option in (
        click.option(
            "--time-format", metavar="F", help="How dates are written: %d/%m/%Y %H:%M, iso, epoch_s, epoch_ms."
        ),
        click.option("--decimal", type=click.Choice([".", ","]), help="Decimal mark of the table."),
        click.option("--day-first/--month-first", default=None, help="Whether 03/04 is 3 April or 4 March."),
        click.option("--amount", metavar="COLUMN", help="Column of what was paid; without it only purchases are told."),
        click.option("--date", metavar="COLUMN", help="Column that says when."),
        click.option("--id", "id_column", metavar="COLUMN", help="Column that says who bought."),
        click.option(
            "--transactions", metavar="FILE", help="A plain table with one row per purchase, instead of a workspace."
        ),
    ):
        function = option(function)
    return function


@command(
    clv,
    "fit",
    short_help="Fit value models, judge them, keep the better.",
    epilog="Example: kohort clv fit --transactions orders.csv --id customer --date date --amount total",
)
@transaction_options
@click.option("--horizon", metavar="LENGTH", default=HORIZON, show_default=True, help="How far ahead.")
@click.option("--as-of", **{**MOMENT, "help": "Fit at this moment; what came later is what the models are judged by."})
@click.option("--currency", metavar="CODE", help="Of the amounts of --transactions (default: EUR).")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="For repeating a run.")
@click.option("--out", metavar="FILE", help="Where to keep the model of --transactions.")
def fit(
    door: Door,
    *,
    transactions: str | None,
    horizon: str,
    as_of: str | None,
    currency: str | None,
    seed: int,
    out: str | None,
    **table: Any,
) -> Result:
    """BG/NBD, Pareto/NBD and a learned model, with amounts beside them; the better one on a time none had seen is kept.

    Exits with 3 where there is too little to fit.
    """
    if transactions is None:
        _refuse_table_options(table, currency=currency, out=out)
        with door.open() as ws, door.progress() as progress:
            report = ws.predict.value.fit(horizon=horizon, as_of=as_of, seed=seed, progress=progress)
    else:
        report = _fit_table(
            door, transactions, horizon=horizon, as_of=as_of, currency=currency or "EUR", seed=seed, out=out, **table
        )
    return Result(report, lambda screen: fitted(screen, report))


@command(
    clv,
    "score",
    short_help="What to expect of every customer.",
    epilog="Example: kohort clv score -w shop --out value.csv",
)
@transaction_options
@click.option("--model", "model_file", metavar="FILE", help="The model of a plain table, from `clv fit --out`.")
@click.option("--as-of", **MOMENT)
@click.option("--out", metavar="FILE", help="Write the scores as .csv or .parquet.")
def score(
    door: Door, *, transactions: str | None, model_file: str | None, as_of: str | None, out: str | None, **table: Any
) -> Result:
    """Purchases and revenue of every customer within the horizon of the model, each with its 95 % interval."""
    from kohort.cli.files import check_ending, say_formulas, write_table

    check_ending(out)
    if (transactions is None) != (model_file is None):
        raise WrongUsage("--transactions and --model go together.", hint="Without both, the workspace is scored.")
    if transactions is not None and model_file is not None:
        scores, about = _score_table(door, transactions, model_file, as_of, table)
    else:
        _refuse_table_options(table)
        with door.open() as ws, door.progress() as progress:
            found = ws.predict.value.score(as_of=as_of, progress=progress)
            report = ws.predict.value.report()
        scores = found.table
        about = _about(report, found.purchases, found.value)
    if out:
        say_formulas(door.note, write_table(scores, out))
    data = {**about, "customers": scores.num_rows}
    return Result(data, lambda screen: scored(screen, data))


def _fit_table(
    door: Door,
    file: str,
    *,
    horizon: str,
    as_of: str | None,
    currency: str,
    seed: int,
    out: str | None,
    **table: Any,
) -> dict[str, Any]:
    from kohort.definitions.predictions import parse_horizon
    from kohort.engines.duck import threads_setting
    from kohort.predict.lifetime.plain import fit_table

    span, when = parse_horizon(horizon), _moment(as_of)
    if out is not None and not Path(out).parent.is_dir():
        raise WrongUsage("The file after --out cannot be written: its folder does not exist.")
    with door.progress() as progress:
        read = _read(file, currency, table)
        found = fit_table(
            read, horizon=span, as_of=when, currency=currency, seed=seed, threads=threads_setting(), progress=progress
        )
    if out is not None:
        from kohort.cli.files import replacing

        with replacing(out) as part:
            Path(part).write_bytes(found.model.to_bytes())
    return {**found.report, "version": found.model.id, "read": read.read, "left_out": read.left_out}


def _score_table(
    door: Door, file: str, model_file: str, as_of: str | None, table: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    import pyarrow as pa

    from kohort.predict.lifetime.plain import score_table

    model = _model(model_file)
    report = model.about["report"]
    when = _moment(as_of)
    with door.progress():
        ids, found = score_table(_read(file, str(report["currency"]), table), model, as_of=when)
    scores = pa.table({str(table["id_column"]): pa.array(ids, pa.string()), **found.columns})
    return scores, _about({**report, "version": model.id}, found.purchases, found.value)


def _read(file: str, currency: str, table: dict[str, Any]) -> Transactions:
    from kohort.ingest.transactions import read_transactions

    if not table["id_column"] or not table["date"]:
        raise WrongUsage("--transactions needs --id and --date: who bought, and when.")
    answers = {k: table[k] for k in ("day_first", "decimal", "time_format") if table[k] is not None}
    return read_transactions(
        file, id=table["id_column"], date=table["date"], amount=table["amount"], answers=answers, currency=currency
    )


def _moment(text: str | None) -> int | None:
    from kohort.model.clock import parse_instant

    try:
        return None if text is None else parse_instant(text)
    except BadInput as error:
        raise WrongUsage(error.message, hint=error.hint) from error


def _model(file: str) -> LifetimeModel:
    from kohort.predict.lifetime.model import lifetime_from_bytes

    return lifetime_from_bytes(read_model_file(file))


def _about(report: dict[str, Any], purchases: Any, value: Any) -> dict[str, Any]:
    from kohort.predict.measures import estimate_dict

    return {
        "model": report["model"],
        "chosen": report["chosen"],
        "version": report["version"],
        "horizon": report["horizon"],
        "currency": report["currency"],
        "purchases": estimate_dict(purchases),
        "value": None if value is None else estimate_dict(value),
    }


def _refuse_table_options(table: dict[str, Any], **more: Any) -> None:
    given = [k for k, v in {**table, **more}.items() if v is not None]
    if given:
        raise WrongUsage(
            f"--{given[0].removesuffix('_column').replace('_', '-')} goes with --transactions.",
            hint="A workspace knows its own columns.",
        )
