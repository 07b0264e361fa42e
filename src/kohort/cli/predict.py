"""The group `predict`: train a model that is checked, score, judge again, say why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.model_files import read_model_file, report_of, shown
from kohort.cli.options import MOMENT
from kohort.cli.predict_pages import judged, listed, reasons, scored, trained
from kohort.cli.root import app
from kohort.errors import NotFound, WrongUsage

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from kohort.model.feature import FeatureTable
    from kohort.predict.model import Model
    from kohort.predict.train import Costs, Trained


@app.group("predict", short_help="What comes next: churn, or an outcome of your own.")
def predict() -> None:
    """Train models that are checked on customers they have not seen, and score with them.

    \b
    kohort predict train customers.csv --label churned --out churn.kohort
    kohort predict score today.csv --model churn.kohort --out scores.csv
    kohort predict train churn_90d -w shop
    """


def table_options(function: Any) -> Any:
    """How a plain table is read, the same for every command."""
    for option in (
        click.option("--label", metavar="COLUMN", help="Column of a plain table that says what happened."),
        click.option(
            "--id", "id_column", metavar="COLUMN", help="Column that says which row it is (default: the first)."
        ),
    ):
        function = option(function)
    return function


@command(
    predict,
    "train",
    short_help="Compare models, check the best, keep it.",
    epilog="Example: kohort predict train customers.csv --label churned --out churn.kohort",
)
@click.argument("what", metavar="[NAME|TABLE]", required=False)
@table_options
@click.option(
    "--positive", metavar="VALUE", help="Which value of --label is predicted (default: the one that says yes)."
)
@click.option("--group", metavar="COLUMN", help="Rows with the same value are one customer's and stay together.")
@click.option(
    "--time", metavar="COLUMN", help="When a row was so: the latest rows are judged by what was known before."
)
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="Keep a column that the leakage guard would leave out.")
@click.option("--by", multiple=True, metavar="COLUMN", help="Judge the values of this column one by one, too.")
@click.option("--cost-missed", type=float, metavar="N", help="Cost of one that is missed.")
@click.option("--cost-alarm", type=float, metavar="N", help="Cost of a false alarm (default: 1).")
@click.option(
    "--as-of", multiple=True, **{**MOMENT, "help": "A past moment to learn from; can be given several times."}
)
@click.option("--horizon", metavar="LENGTH", help="How far ahead, in place of the prediction's own: 30 days.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="For repeating a run.")
@click.option("--out", metavar="FILE", help="Where to keep the model of a plain table.")
def train(
    door: Door,
    *,
    what: str | None,
    label: str | None,
    out: str | None,
    seed: int,
    drop: Sequence[str],
    keep: Sequence[str],
    by: Sequence[str],
    cost_missed: float | None,
    cost_alarm: float | None,
    **how: Any,
) -> Result:
    """Train a model of a plain TABLE (with --label), or of a prediction NAME of the workspace.

    Exits with 3 where there is too little data or no signal: that is an answer too.
    """
    options: dict[str, Any] = {"costs": _costs(cost_missed, cost_alarm), "seed": seed}
    names: dict[str, Any] = {"drop": drop, "keep": keep, "by": by}
    if label is not None:
        if what is None or how["as_of"] or how["horizon"]:
            raise WrongUsage("--label goes with a TABLE, and without --as-of and --horizon.")
        found = _train_table(door, what, label, options, names, **how)
        if out and found.model is not None:
            write_file(out, found.model.to_bytes())
    else:
        wrong = [f"--{k.removesuffix('_column')}" for k in ("positive", "group", "time", "id_column") if how[k]]
        if out or wrong or (what or "").lower().endswith((".csv", ".parquet")):
            raise WrongUsage(
                "A plain table needs --label: the column that says what happened.",
                hint="Without one, NAME is a prediction of the workspace.",
            )
        with door.open() as ws, door.progress() as progress:
            moments = list(how["as_of"]) or None
            found = ws.predict.train(what, as_of=moments, horizon=how["horizon"], progress=progress, **options, **names)
    report = found.report
    return Result(report, lambda screen: trained(screen, report), 0 if report["eligible"] else 3)


@command(
    predict,
    "score",
    short_help="Give everybody a probability.",
    epilog="Example: kohort predict score today.csv --model churn.kohort --out scores.csv",
)
@click.argument("what", metavar="[NAME|TABLE]", required=False)
@click.option("--model", "model_file", metavar="FILE", help="A model of a plain table, from `predict train --out`.")
@click.option("--id", "id_column", metavar="COLUMN", help="Column that says which row it is (default: the first).")
@click.option("--as-of", **MOMENT)
@click.option("--out", metavar="FILE", help="Write the scores as .csv or .parquet.")
@click.option("--keep", is_flag=True, help="Store the scores in the workspace: rules can ask for them.")
def score(
    door: Door,
    *,
    what: str | None,
    model_file: str | None,
    id_column: str | None,
    as_of: str | None,
    out: str | None,
    keep: bool,
) -> Result:
    """Score a plain TABLE with the model of a file, or everybody that the prediction NAME of the workspace is about.

    With --keep, rules can ask: `churn_90d.probability > 0.6`. `segments run` does this by itself for what its rules ask.
    """
    from kohort.cli.files import check_ending, say_formulas, write_table

    check_ending(out)
    if model_file is not None:
        if keep:
            raise WrongUsage("--keep goes with a prediction of the workspace.", hint="Leave --model out.")
        import pyarrow as pa

        model, table = load_model(model_file), load_table(what, id_column)
        p = model.probability(table.data)
        columns = {table.key: table.ids, "probability": p, "percentile": model.percentile(p).round(1)}
        report = report_of(model.about)
        columns["told"] = p >= report["threshold"]["value"]
        scores = pa.table(columns)
        about: dict[str, Any] = {"model": model.id, "name": report.get("label")}
    else:
        with door.open() as ws, door.progress() as progress:
            scores = ws.predict.score(what, as_of=as_of, progress=progress)
            asked = ws.predict.target(what)
            about = {
                "model": None if asked.several else ws.predict.current(what)[0].id,
                "name": asked.name,
            }
            if keep:
                about["kept"] = ws.predict.keep(what, as_of=as_of, progress=progress)["customers"]
    if out:
        say_formulas(door.note, write_table(scores, out))
    data = {**about, **_counted(scores)}
    return Result(data, lambda screen: scored(screen, data))


@command(
    predict,
    "evaluate",
    short_help="How a model does on outcomes it has not seen.",
    epilog="Example: kohort predict evaluate april.csv --label churned --model churn.kohort",
)
@click.argument("what", metavar="[NAME|TABLE]", required=False)
@table_options
@click.option("--positive", metavar="VALUE", help="Which value of --label is predicted (default: as at training).")
@click.option("--model", "model_file", metavar="FILE", help="A model of a plain table, from `predict train --out`.")
@click.option("--as-of", **{**MOMENT, "help": "At this moment (default: the last one whose outcome is known)."})
def evaluate(
    door: Door,
    *,
    what: str | None,
    label: str | None,
    id_column: str | None,
    positive: str | None,
    model_file: str | None,
    as_of: str | None,
) -> Result:
    """Judge the model of a file by a plain TABLE with outcomes, or the current model of a prediction by what happened since."""
    if model_file is not None:
        from kohort.predict.evaluate import judge
        from kohort.predict.labels import take_labels

        model = load_model(model_file)
        about = report_of(model.about)
        table = load_table(what, id_column)
        table, labels = take_labels(table, label or str(about.get("label")), positive or str(about.get("positive")))
        data = {"name": labels.name, "model": model.id, "seen": False, **judge(model, table.data, labels.y)}
    else:
        if label or positive:
            raise WrongUsage("--label goes with --model and a TABLE.")
        with door.open() as ws, door.progress() as progress:
            data = ws.predict.evaluate(what, as_of=as_of, progress=progress)
    return Result(data, lambda screen: judged(screen, data))


@command(
    predict,
    "why",
    short_help="Why a customer has this probability.",
    epilog="Example: kohort predict why 14127 -w shop",
)
@click.argument("customer")
@click.option("--name", metavar="NAME", help="Which prediction of the workspace (default: the first).")
@click.option("--model", "model_file", metavar="FILE", help="A model of a plain table; needs --table.")
@click.option("--table", metavar="FILE", help="The table that CUSTOMER is a row of.")
@click.option("--id", "id_column", metavar="COLUMN", help="Column that says which row it is (default: the first).")
@click.option("--as-of", **MOMENT)
def why(
    door: Door,
    *,
    customer: str,
    name: str | None,
    model_file: str | None,
    table: str | None,
    id_column: str | None,
    as_of: str | None,
) -> Result:
    """The three strongest reasons up and down, each compared with a typical customer."""
    if model_file is not None:
        data = _why_row(load_model(model_file), load_table(table, id_column), customer)
    else:
        with door.open() as ws:
            data = ws.predict.why(name, customer, as_of=as_of)
    return Result(data, lambda screen: reasons(screen, data))


@command(
    predict,
    "models",
    short_help="What was trained, and how it was judged.",
    epilog="Example: kohort predict models -w shop",
)
@click.option("--model", "model_file", metavar="FILE", help="Show the validation of this model instead.")
@click.option("--name", metavar="NAME", help="Show the validation of the current model of this prediction.")
def models(door: Door, *, model_file: str | None, name: str | None) -> Result:
    """Every kept version of every prediction, or the whole validation of one."""
    if model_file is not None:
        report = report_of(load_model(model_file).about)
        return Result(report, shown(trained, report))
    with door.open() as ws:
        if name is not None:
            report = ws.predict.report(name)
            return Result(report, lambda screen: trained(screen, report))
        found = ws.predict.models()
    return Result({"models": found}, lambda screen: listed(screen, found))


def _counted(scores: pa.Table) -> dict[str, Any]:
    """How many were scored, are told, and are expected; the same of each part where there are several."""
    import pyarrow.compute as pc

    told = {
        "told": pc.sum(scores.column("told")).as_py() or 0,
        "expected": pc.sum(scores.column("probability")).as_py() or 0.0,
    }
    if "part" not in scores.column_names:
        return {"customers": scores.num_rows, **told}
    names = scores.column("part").unique().to_pylist()
    some = {name: scores.filter(pc.equal(scores.column("part"), name)).drop_columns(["part"]) for name in names}
    customers = pc.count_distinct(scores.column("customer_id")).as_py()
    return {
        "customers": customers,
        **told,
        "parts": [{"part": name, **_counted(table)} for name, table in some.items()],
    }


def _train_table(
    door: Door,
    file: str,
    label: str,
    options: Mapping[str, Any],
    names: Mapping[str, Sequence[str]],
    *,
    id_column: str | None,
    positive: str | None,
    group: str | None,
    time: str | None,
    as_of: object,
    horizon: object,
) -> Trained:
    from kohort.discovery.discover import read_table
    from kohort.engines.duck import threads_setting
    from kohort.predict.labels import find_column, take_labels
    from kohort.predict.train import train as train_on

    table = read_table(file, id=id_column, numbered=group is not None)
    table, labels = take_labels(table, label, positive)
    groups, times, aside = None, None, set[str]()
    if group is not None:
        groups = _codes(table, own := find_column(table, group))
        aside.add(own)
    if time is not None:
        times = _times(table, own := find_column(table, time))
        aside.add(own)
    columns: dict[str, Any] = {key: [find_column(table, n) for n in given] for key, given in names.items()}
    table = table.select([f.name for f in table.features if f.name not in aside])
    with door.progress() as progress:
        return train_on(
            table,
            labels.y,
            groups=groups,
            time=times,
            threads=threads_setting(),
            progress=progress,
            about={"label": labels.name, "positive": labels.positive},
            **options,
            **columns,
        )


def _codes(table: FeatureTable, name: str) -> np.ndarray:
    """A whole number for each row, the same for rows of one value; rows without a value are each by themselves."""
    import numpy as np
    import pyarrow as pa

    codes = table.data[name].combine_chunks()
    found = pa.chunked_array([codes]).combine_chunks().dictionary_encode()
    place = found.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(int)
    alone = place < 0
    place[alone] = place.max(initial=0) + 1 + np.arange(alone.sum())
    return np.asarray(np.unique(place, return_inverse=True)[1])


def _times(table: FeatureTable, name: str) -> np.ndarray:
    """Later is larger. A date is read as days before the latest one."""
    import numpy as np

    from kohort.model.columns import values

    info = next(f for f in table.features if f.name == name)
    if info.type != "number":
        raise WrongUsage("The column of --time holds no dates and no numbers.", hint="Write dates as 2011-12-09.")
    x = values(table.data[name])
    if np.isnan(x).any():
        raise WrongUsage(f"{int(np.isnan(x).sum()):,} rows have no time.", hint="Remove them, or leave --time out.")
    return -x if info.unit == "days" else x


def _costs(missed: float | None, alarm: float | None) -> Costs | None:
    from kohort.predict.train import Costs

    if missed is None and alarm is None:
        return None
    if missed is None:
        raise WrongUsage("--cost-alarm needs --cost-missed.")
    return Costs(missed, 1.0 if alarm is None else alarm)


def load_model(file: str) -> Model:
    from kohort.predict.model import model_from_bytes

    return model_from_bytes(read_model_file(file))


def load_table(file: str | None, id_column: str | None) -> FeatureTable:
    from kohort.discovery.discover import read_table

    if file is None:
        raise WrongUsage("--model goes with a TABLE.", hint="Name a CSV or Parquet file.")
    return read_table(file, id=id_column)


def _why_row(model: Model, table: FeatureTable, row: str) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    from kohort.predict.why import why as reasons_of

    mine = table.data.filter(pc.equal(table.ids.cast(pa.string()), row))
    if not mine.num_rows:
        raise NotFound("row", row, hint="Write it as it stands in the column of ids.")
    found = reasons_of(model, mine)[0]
    about = report_of(model.about)
    return {
        "customer": row,
        "name": about.get("label"),
        "target": f"{about.get('label')} is {about.get('positive')}",
        "model": model.id,
        "percentile": float(model.percentile(found.probability)),
        **found.as_dict(),
    }


def write_file(out: str, data: bytes) -> None:
    from kohort.cli.files import replacing

    if not Path(out).parent.is_dir():
        raise WrongUsage("The file after --out cannot be written: its folder does not exist.")
    with replacing(out) as part:
        Path(part).write_bytes(data)
