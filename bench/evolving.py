"""Groups followed month by month on Online Retail II: found anew, freely following, evolving, frozen; by behaviour and by shape.

    python bench/evolving.py                    makes the demo shop, prints the tables
    python bench/evolving.py --shop FOLDER      on a workspace that is there
    python bench/evolving.py --shop F --write   … and writes them into docs/over-time.md

Thirteen moments, 9 December 2010 to 9 December 2011. What "found anew" moves depends on the seed of its starts, so it is repeated
with ten seeds; what all ways move depends on where one begins, so six groups are also followed from a month earlier.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kohort.discovery import mobility as figures
from kohort.discovery.evolving import Course, evolve, refit
from kohort.discovery.over_time import LONG, WEIGHTS, OverTime, Way, choose_weight, fit_quality
from kohort.model.segmentation import Estimate

DOC = Path(__file__).parents[1] / "docs" / "over-time.md"
BEGIN, END = "<!-- figures: bench/evolving.py --write -->\n", "<!-- end of figures -->\n"
SEEDS = range(10)
RUNS = (
    ("by behaviour, 3 groups (chosen on evidence)", {"by": "behaviour", "k": None}),
    ("by behaviour, 6 groups (asked for)", {"by": "behaviour", "k": 6}),
    ("by behaviour, 8 groups (asked for)", {"by": "behaviour", "k": 8}),
    ("by behaviour, 6 groups, a month earlier", {"by": "behaviour", "k": 6, "as_of": "2011-11-09"}),
    ("by shape, number chosen on evidence", {"by": "shape", "k": None}),
    ("by shape, 6 groups (asked for)", {"by": "shape", "k": 6}),
)
NAMES = {
    "refit": "found anew, matched",
    "warm": "following freely (weight 0)",
    "evolving": "**evolving**",
    "frozen": "frozen (weight 1)",
}


def share(e: Estimate | None) -> str:
    return "–" if e is None else f"{e.value:.1%} ({e.low:.1%}–{e.high:.1%})"


def number(e: Estimate | None, digits: int = 3) -> str:
    return "–" if e is None else f"{e.value:.{digits}f} ({e.low:.{digits}f} to {e.high:.{digits}f})"


def row(way: Way, over: OverTime) -> str:
    name = NAMES[way.name] + (f" (weight {over.weight:g})" if way.name == "evolving" else "")
    cells = [
        name,
        share(way.mobility),
        share(way.mobility_long),
        "–" if way.by_borders is None else f"{way.by_borders.value:.1%}",
        "–" if way.beyond_chance is None else f"{way.beyond_chance.value:.2f}",
        f"{way.explained:.3f}",
        f"{way.separation:.2f}",
        "–" if way.holds is None else f"{way.holds.value:.2f}",
        number(way.tells_buying),
        number(way.buying_lead),
        number(way.tells_spend),
        number(way.movers_follow, 2),
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| way | moved in 1 month | moved in 3 months | borders only, 1 month | kappa, 3 months | explained | separation | holds "
    "| tells who buys (AUC) | lead over anew | tells spend (r²) | movers follow |\n" + "|---" * 12 + "|"
)


def main() -> None:
    import kohort as ko
    from kohort.cli.demo import make_demo
    from kohort.model.progress import silent

    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--shop", type=Path)
    ask.add_argument("--write", action="store_true")
    options = ask.parse_args()
    folder = options.shop
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="kohort-bench-")) / "shop"
        make_demo(folder, "Main", progress=silent, with_pages=False)
    told: list[str] = []
    with ko.open(folder) as ws:
        for title, how in RUNS:
            started = time.process_time()
            found = ws.discover_over_time(months=12, **how)
            over = found.over_time
            told += [
                f"### {title[0].upper()}{title[1:]}\n",
                f"{over.k} groups, {over.customers:,} customers at the end.\n",
            ]
            told += [HEAD, *(row(way, over) for way in over.ways), ""]
            told += [curve(over), seeds(found), halves(found), *(f"Said: {w}\n" for w in over.warnings)]
            print(f"{title}: {time.process_time() - started:.0f} CPU s", file=sys.stderr, flush=True)
    text = "\n".join(told).rstrip() + "\n\n"
    print(text)
    if options.write:
        before, _, rest = DOC.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        DOC.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def curve(over: OverTime) -> str:
    cells = [f"{t.weight:g}: {t.mobility:.1%} / {t.lost:.1%}" + (" (taken)" if t.chosen else "") for t in over.curve]
    return f"Moved in {LONG} months / fit lost, by weight: {'; '.join(cells)}.\n"


def halves(found) -> str:  # type: ignore[no-untyped-def]
    """The weight chosen on the first six months, judged on the months after them."""
    moments = found.followed.moments
    start = np.asarray(found.followed.first.assigner.model.arrays["centres"], dtype=float)
    early = moments[:7]
    weight, _ = choose_weight(early, {f"{w:g}": evolve(early, start, w) for w in WEIGHTS}, refit(early, start), None)
    anew, mine = refit(moments, start), evolve(moments, start, weight)
    moved, fit = [], []
    for course in (anew, mine):
        late = Course(course.centres[6:], course.labels[6:])
        of = figures.panel(moments[6:], late)
        moved.append(float(figures.mobility(of, LONG)(np.ones((1, len(of.ids))))[0]))
        fit.append(float(np.mean([e for e, _ in fit_quality(moments[6:], late)[1:]])))
    return (
        f"With the weight chosen on the first six months ({weight:g}): in the six months after, {moved[1]:.1%} move in {LONG} "
        f"months, found anew {moved[0]:.1%}; fit {fit[1]:.3f} and {fit[0]:.3f}.\n"
    )


def seeds(found) -> str:  # type: ignore[no-untyped-def]
    moments = found.followed.moments
    start = np.asarray(found.followed.first.assigner.model.arrays["centres"], dtype=float)
    moved = []
    for seed in SEEDS:
        of = figures.panel(moments, refit(moments, start, seed=1_000 * (seed + 1)))
        moved.append(float(figures.mobility(of, LONG)(np.ones((1, len(of.ids))))[0]))
    return (
        f"Found anew with {len(SEEDS)} other seeds: {np.mean(moved):.1%} move in {LONG} months on average "
        f"({min(moved):.1%} to {max(moved):.1%}).\n"
    )


if __name__ == "__main__":
    main()
