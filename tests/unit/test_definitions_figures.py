"""Figures, days and lengths of time inside sentences, against Babel's own tables of each language."""

from datetime import date

import pytest
from babel.dates import get_month_names
from babel.numbers import format_decimal

from kohort.definitions import figures
from kohort.definitions.windows import Span
from kohort.locale import PSEUDO, speaking


@pytest.mark.parametrize("language", ["nl", "da", "de", "en"])
def test_numbers_are_written_as_in_the_language(language):
    with speaking(language):
        for value, decimals in ((1_234_567, 0), (1234.5, 2), (0.25, 1), (-12.5, 1)):
            pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
            expected = format_decimal(value, pattern, language).replace("-", "−")
            assert figures.number(value, decimals) == expected


def test_months_are_those_of_the_calendar():
    assert list(figures.MONTHS) == list(get_month_names("wide", locale="en").values())
    assert figures.day(date(2024, 5, 2)) == "2 May 2024"
    assert figures.month(date(2011, 12, 9)) == "December 2011"
    with speaking(PSEUDO):
        assert figures.day(date(2024, 5, 2)) == "⟦2 ⟦May⟧ 2024⟧"


@pytest.mark.parametrize("unit", ["minute", "hour", "day", "week", "month", "year"])
def test_spans_are_said_as_they_are_written(unit):
    for amount in (1, 7):
        assert figures.span(Span(amount, unit)) == str(Span(amount, unit))
    assert figures.span(Span(2, "day", calendar=True)) == str(Span(2, "day", calendar=True))
