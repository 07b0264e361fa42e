"""The conformance suite: what definitions mean, as cases with answers written by hand.

`all_cases()` is the list, `run_cases(subject)` asks them of anything that can take turns (see `Subject`), `NaiveSubject`
is the judge itself. What this release cannot do yet stands in `PENDING` and never counts as passed. docs/semantics.md
shows the list as a table.
"""

from kohort.testing.conformance.case import Case, Pending, Refusal
from kohort.testing.conformance.cases import PENDING, all_cases
from kohort.testing.conformance.naive_subject import NaiveSubject
from kohort.testing.conformance.run import ConformanceResult, run_cases
from kohort.testing.conformance.subject import Answer, CaseTurn, Change, Subject

__all__ = [
    "PENDING",
    "Answer",
    "Case",
    "CaseTurn",
    "Change",
    "ConformanceResult",
    "NaiveSubject",
    "Pending",
    "Refusal",
    "Subject",
    "all_cases",
    "run_cases",
]
