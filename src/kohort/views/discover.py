"""The page where groups are found, compared and adopted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kohort.locale import find, mark
from kohort.model.job import Job
from kohort.model.segmentation import FIRST_NAME, Candidate, Segmentation
from kohort.views import charts, findings, words
from kohort.views.pages import Shell, choice, names, page
from kohort.views.start import steps as first_steps
from kohort.views.working import progress

WAYS = (
    ("auto", mark("Let Kohort choose"), mark("Compares all ways and numbers, and keeps what holds best.")),
    *((way, *words.ALGORITHMS[way]) for way in ("kmeans", "hierarchical", "hdbscan")),
)
"""Ways of grouping that can be asked for: as the engine calls them, their names, what they are good for."""

COUNTS = range(3, 11)
"""Numbers of groups that can be asked for."""

LONGEST_NAME = 60
"""Of what is adopted together."""


@dataclass(frozen=True, slots=True)
class Run:
    """What can be done about the groups, and what goes on.

    Attributes:
        word: What proves that the forms are ours.
        running: A run that goes on.
        failed: The last run, where it did not end well.
        adopted: Under which name these groups are adopted; empty = they are not.
        since: The day of that, in words.
        kept: How many of them are.
        names: Names of segmentations that are adopted, the latest first.
        compared: What the last comparison of all ways measured, where it was of the same customers.
    """

    word: str
    running: Job | None = None
    failed: Job | None = None
    adopted: str = ""
    since: str = ""
    kept: int = 0
    names: tuple[str, ...] = ()
    compared: tuple[Candidate, ...] = ()

    @property
    def phase(self) -> str:
        return progress(self.running) if self.running else ""


def discover(shell: Shell, found: Segmentation, run: Run | None = None, *, highlight: str = "") -> str:
    """Groups that were found: how, how well they hold, who they are; and what can be done about them.

    Args:
        found: The last that was found.
        run: None = there is no workspace to do anything in.
        highlight: Id of one segment, for the map.
    """
    whole = replace(found, candidates=beside(found, run.compared if run else ()))
    highlight = highlight if highlight in names(found) else ""
    return page(
        "discover.html",
        shell,
        "discover",
        found,
        run=run,
        may=run is not None and shell.may("/discover", "POST"),
        ways=[(way, find(name), find(text)) for way, name, text in WAYS],
        counts=COUNTS,
        so_far=first_steps("adopt") if run and found.segments and not run.adopted and not run.names else (),
        longest=LONGEST_NAME,
        first_name=run.names[0] if run and run.names else FIRST_NAME,
        choice=choice(found) if found.segments else "",
        tried=words.tried(found),
        way=find(words.ALGORITHMS[found.algorithm][0]),
        methods=findings.methods(whole),
        steps=findings.steps(whole),
        good=findings.how_good(found),
        evidence=findings.evidence(found),
        comparison=charts.comparison(whole.candidates),
        map=charts.customer_map(found.map, found.segments, highlight=highlight, axes=found.map_axes)
        if found.map
        else None,
        highlight=highlight,
        tree=charts.family_tree(found.tree, found.segments) if len(found.tree) == len(found.segments) - 1 > 1 else None,
    )


def beside(found: Segmentation, compared: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The groupings that were compared, with the one that is shown among them as the chosen one."""
    shown = {(c.algorithm, c.k): c for c in found.candidates}
    others = [replace(c, chosen=False) for c in compared if (c.algorithm, c.k) not in shown]
    return (*found.candidates, *others)
