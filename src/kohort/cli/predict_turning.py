"""`kohort predict turning-points`: who does more or less than before, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import MOMENT
from kohort.cli.predict import predict
from kohort.cli.screen import Screen

MOST_SHOWN = 15


@command(
    predict,
    "turning-points",
    short_help="Who does more or less than before, and since when.",
    epilog="Example: kohort predict turning-points -w shop --out turned.csv",
)
@click.argument("customer", required=False)
@click.option("--as-of", **MOMENT)
@click.option(
    "--false-alarms",
    type=float,
    metavar="SHARE",
    help="How often one who never changed is said to have (default: 0.01).",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="For repeating a run.")
@click.option("--out", metavar="FILE", help="Write who turned as .csv or .parquet.")
def turning_points(
    door: Door, *, customer: str | None, as_of: str | None, false_alarms: float | None, seed: int, out: str | None
) -> Result:
    """Changes of the active days per week that chance and the season do not explain, of everybody or of one CUSTOMER.

    Exits with 3 where nobody has enough weeks.
    """
    from kohort.cli.files import check_ending, say_formulas, write_table
    from kohort.errors import WrongUsage

    check_ending(out)
    if out and customer is not None:
        raise WrongUsage("--out is for the list of everybody.", hint="Leave CUSTOMER out.")
    with door.open() as ws, door.progress() as progress:
        data = ws.predict.turning_points(customer, as_of=as_of, false_alarms=false_alarms, seed=seed, progress=progress)
    if out:
        say_formulas(door.note, write_table(_table(data["turned"]), out))
    return Result(data, lambda screen: _shown(screen, data), 3 if data["code"] == "too_few" else 0)


def _table(turned: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    texts = ("customer", "direction", "since", "from", "to")
    schema = pa.schema([(n, pa.string()) for n in texts] + [(n, pa.float64()) for n in ("before", "after", "p")])
    return pa.Table.from_pylist(turned, schema=schema)


def _shown(screen: Screen, data: Mapping[str, Any]) -> None:
    screen.line(str(data["text"]), "bold")
    if not data.get("turned"):
        return
    screen.table(
        [
            ("customer", "left"),
            ("", "left"),
            ("since", "left"),
            ("between", "left"),
            ("before", "right"),
            ("after", "right"),
        ],
        [
            (
                t["customer"],
                t["direction"],
                t["since"][:10],
                f"{t['from'][:10]} and {t['to'][:10]}",
                f"{t['before']:.2f}",
                f"{t['after']:.2f}",
            )
            for t in data["turned"][:MOST_SHOWN]
        ],
    )
    screen.line(
        "Active days per week, for a week as busy as usual. The latest changes first; --out FILE has all of them."
    )
