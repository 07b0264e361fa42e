"""How far cleaning rules can be trusted: what they put aside, what people said of it, and which are switched off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from kohort.definitions.cleaning import CleaningRule
from kohort.model.health import Finding, HealthReport
from kohort.model.share import wilson
from kohort.store.cleaning import Known

FEWEST = 10
"""Rows that must be checked before a rule can be switched off: one person's slip is no judgement."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A rule and what is known of its present version.

    Attributes:
        waiting: Rows that it put aside and that still wait on the list of rejected rows.
    """

    rule: CleaningRule
    known: Known
    waiting: int = 0

    @property
    def on(self) -> bool:
        """Whether it still puts rows aside: off where even the upper end of the interval is below the threshold."""
        share = wilson(self.known.right, self.known.checked)
        return share is None or self.known.checked < FEWEST or 100 * share.high >= self.rule.threshold

    @property
    def checked(self) -> str:
        """What people found, in words."""
        known = self.known
        share = wilson(known.right, known.checked)
        if share is None:
            return "Nobody has checked a row of it yet."
        low, high = (f"{100 * end:.0f}" for end in (share.low, share.high))
        return (
            f"{known.right:,} of {known.checked:,} rows checked by hand were right "
            f"({100 * share.value:.0f}%, with 95% certainty {low} to {high}%; needed {self.rule.threshold}%)."
        )

    @property
    def off(self) -> str:
        """That it is switched off, and why; empty where it is on."""
        return "" if self.on else f"The cleaning rule {self.rule.name} is switched off: {self.checked}"

    def as_dict(self) -> dict[str, Any]:
        rule, known = self.rule, self.known
        share = wilson(known.right, known.checked)
        return {
            "name": rule.name,
            "version": known.version,
            "meaning": rule.meaning,
            "because": rule.because,
            "on": self.on,
            "before": known.before,
            "after": known.before - known.aside,
            "put_aside": known.aside,
            "waiting": self.waiting,
            "threshold": rule.threshold / 100,
            "checked": known.checked,
            "right": known.right,
            "share": share.value if share else None,
            "low": share.low if share else None,
            "high": share.high if share else None,
        }


def with_cleaning(report: HealthReport, standings: Iterable[Standing]) -> HealthReport:
    """The report with a finding per rule: what people mark counts at once, while the rest of a report is kept."""
    from kohort.health.findings import ordered

    return replace(report, findings=ordered([*report.findings, *findings(standings)]))


def findings(standings: Iterable[Standing]) -> Iterator[Finding]:
    """One finding per rule."""
    for standing in standings:
        rule, known = standing.rule, standing.known
        after = known.before - known.aside
        on = "" if standing.on else " It is switched off."
        yield Finding(
            f"cleaning_{rule.name}",
            "info" if standing.on else "warning",
            known.aside,
            None,
            f"The cleaning rule {rule.name} (version {known.version}) looked at {known.before:,} rows of files: "
            f"{known.aside:,} were put aside, {after:,} kept. {standing.checked}{on}",
            f"Put aside: {rule.meaning}. Check some: kohort cleaning check {rule.name}"
            if standing.on
            else "Nothing is put aside by it any more. Bring back what was: kohort rejected retry",
        )
