"""The whole list, in the order of the decisions."""

from functools import cache

from kohort.testing.conformance.case import Case, Refusal
from kohort.testing.conformance.pending import PENDING


@cache
def all_cases() -> tuple[Case, ...]:
    """Every case that an implementation is asked; codes are unique."""
    from kohort.testing.conformance import (
        clock_cases,
        counting_cases,
        identity_cases,
        logic_cases,
        membership_cases,
        part_cases,
        score_cases,
        sequence_cases,
        time_cases,
        value_cases,
    )

    themes = (
        time_cases,
        clock_cases,
        counting_cases,
        logic_cases,
        value_cases,
        sequence_cases,
        membership_cases,
        part_cases,
        identity_cases,
        score_cases,
    )
    return tuple(case for theme in themes for case in theme.CASES)


@cache
def all_refusals() -> tuple[Refusal, ...]:
    """Every definition that must be refused."""
    from kohort.testing.conformance.refusals import REFUSALS

    return REFUSALS


__all__ = ["PENDING", "all_cases", "all_refusals"]
