"""The charts of what was found, for Python: by name, shown in a notebook, saved as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kohort.locale import gettext
from kohort.model.segmentation import Segment, Segmentation
from kohort.views import charts as draw
from kohort.views import findings, words
from kohort.views.chart import Chart, Theme
from kohort.views.svg import text


class Charts(Mapping[str, Chart]):
    """Charts by name, in the order of the pages; a notebook shows all of them.

    Example:
        `charts["map"].save("map.svg")`
    """

    def __init__(self, drawn: Mapping[str, Chart]) -> None:
        self._drawn = {name: chart for name, chart in drawn.items() if chart}

    def __getitem__(self, name: str) -> Chart:
        return self._drawn[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._drawn)

    def __len__(self) -> int:
        return len(self._drawn)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {chart.title}" for name, chart in self._drawn.items()) or gettext("No charts.")

    def save(self, folder: str | Path, kind: str = "svg", theme: Theme = "auto") -> list[Path]:
        """Writes every chart into a folder, which is made where it is not there.

        Args:
            kind: "svg", "png" or "csv".

        Raises:
            WrongUsage: Another kind.
            MissingExtra: PNG without the extra "image".
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        return [chart.save(place / f"{name}.{kind}", theme) for name, chart in self._drawn.items()]

    def _repr_html_(self) -> str:
        return "".join(chart._repr_html_() for chart in self._drawn.values()) or f"<p>{text(repr(self))}</p>"


def charts(found: Segmentation | Any) -> Charts:
    """The charts of found segments: `flow`, `map`, `tree`, `comparison`, and for each segment `differences-ID` and `trend-ID`.

    What cannot be drawn, because it was not measured, is left out.

    Args:
        found: What `kohort.discover` or `Workspace.discover` returned, or a segmentation.
    """
    s: Segmentation = found if isinstance(found, Segmentation) else found.segmentation
    drawn = {
        "flow": draw.share_flow(s.segments, s.currency, title=findings.flow_title(s) if s.segments else ""),
        "map": draw.customer_map(s.map, s.segments, axes=s.map_axes),
        "tree": draw.family_tree(s.tree, s.segments),
        "comparison": draw.comparison(s.candidates),
    }
    for i, one in enumerate(s.segments):
        apart, course = of_segment(s, one, i)
        drawn[apart.name] = apart.called(gettext("What makes %(name)s different", name=one.name))
        drawn[course.name] = course.called(f"{one.name}: {words.within(course.title)}")
    return Charts(drawn)


def of_segment(found: Segmentation, one: Segment, place: int) -> tuple[Chart, Chart]:
    """What sets a segment apart, and how many were in it over time; empty where there is nothing to draw.

    Args:
        place: Of its letter and colour.
    """
    colour = words.colour(place)
    return (
        draw.differences(one.different, colour, found.currency, name=f"differences-{one.id}"),
        draw.trend(one, found.currency, colour, title=findings.trend_title(one), name=f"trend-{one.id}"),
    )
