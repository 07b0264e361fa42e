"""What `kohort over-time` shows to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kohort.discovery.over_time import LONG
from kohort.views.formats import EN
from kohort.views.words import plural

if TYPE_CHECKING:
    from kohort.cli.screen import Screen
    from kohort.discovery.over_time import OverTime, Way
    from kohort.model.segmentation import Estimate
    from kohort.workspace.over_time import FoundOverTime

WAYS = {
    "refit": "anew",
    "warm": "free",
    "evolving": "evolving",
    "frozen": "frozen",
}


def over_time_shown(screen: Screen, found: FoundOverTime, adopted: str | None) -> None:
    """The ways compared, the price of staying, and the groups from the first moment to the last."""
    over = found.over_time
    first, last = screen.day(over.moments[0]), screen.day(over.moments[-1])
    screen.title(f"{over.k} groups followed from {first} to {last}")
    how = "given" if over.asked else "chosen below"
    screen.line(f"{plural(over.customers, 'customer')}; the past counts {over.weight:g} ({how}).")
    _ways(screen, over)
    _curve(screen, over)
    _groups(screen, found)
    for warning in (*over.warnings, *found.segmentation.warnings):
        screen.line(f"Note: {warning}")
    if adopted:
        screen.command(f"Adopted as {adopted}. A month later: kohort segments refit {adopted}")


def _ways(screen: Screen, over: OverTime) -> None:
    def row(way: Way) -> list[str]:
        return [
            WAYS[way.name],
            _percent(way.mobility),
            _percent(way.mobility_long),
            "–" if way.by_borders is None else f"{way.by_borders.value:.1%}",
            EN.percent(way.explained),
            "–" if way.holds is None else f"{way.holds.value:.2f}",
            _range(way.tells_buying),
            _range(way.movers_follow),
        ]

    screen.title("What stays, and at what price")
    screen.table(
        [
            ("way", "left"),
            ("moved in 1 month", "right"),
            (f"in {LONG} months", "right"),
            ("borders", "right"),
            ("fit", "right"),
            ("holds", "right"),
            ("who buys", "right"),
            ("movers follow", "right"),
        ],
        [row(way) for way in over.ways],
    )
    screen.line(
        "Anew: k-means again each month, matched. Free: borders follow, the past counts nothing. Frozen: they never move.",
        "dim",
    )
    screen.line(
        "Borders: moved in a month although she would have stayed under the borders before. Fit: share of the differences that "
        "the groups explain. Holds: agreement when found on other such customers. Who buys: how well the group tells it, "
        "0.5 = as chance. Movers follow: 0 = they go on like their old group, 1 = like the new one. "
        "In brackets 95 % intervals over customers.",
        "dim",
    )


def _curve(screen: Screen, over: OverTime) -> None:
    screen.title("What the past may count")
    screen.table(
        [("weight", "right"), (f"moved in {LONG} months", "right"), ("of the fit lost", "right"), ("", "left")],
        [
            (
                f"{t.weight:g}",
                f"{t.mobility:.1%}",
                f"{t.lost:.1%}",
                "taken" if t.chosen else "trivial" * (t.weight == 1),
            )
            for t in over.curve
        ],
    )


def _groups(screen: Screen, found: FoundOverTime) -> None:
    place = {s: g for g, s in enumerate(found.segment_of)}
    sizes = found.over_time.sizes
    screen.title("The groups")
    screen.table(
        [("", "left"), ("segment", "left"), ("at first", "right"), ("at last", "right")],
        [
            (s.id, s.name, EN.number(sizes[0][place[s.id]]), EN.number(sizes[-1][place[s.id]]))
            for s in found.segmentation.segments
        ],
    )
    for segment in found.segmentation.segments:
        screen.line(f"{segment.name}: {segment.description}")


def _percent(e: Estimate | None) -> str:
    return "–" if e is None else f"{e.value:.1%} ({100 * e.low:.1f}–{100 * e.high:.1f})"


def _range(e: Estimate | None) -> str:
    return "–" if e is None else f"{e.value:.2f} ({e.low:.2f}–{e.high:.2f})"
