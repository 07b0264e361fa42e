"""Windows as written: units are words, months are not minutes, and a window has a length."""

import pytest

from kohort.definitions.windows import Span, Window, parse_between, parse_span, parse_within
from kohort.errors import RefusedDefinition


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30 days", Span(30, "day")),
        ("1 day", Span(1, "day")),
        ("36 h", Span(36, "hour")),
        ("2w", Span(2, "week")),
        ("12 Months", Span(12, "month")),
        ("7 calendar days", Span(7, "day", True)),
        ("90 minutes", Span(90, "minute")),
    ],
)
def test_reads_lengths(text: str, span: Span) -> None:
    assert parse_span(text) == span
    assert parse_span(str(span)) == span


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("30", "length"),
        ("30 m", "'m'"),
        ("3 M", "'M'"),
        ("2 y", "'y'"),
        ("5 s", "'s'"),
        ("-3 days", "length"),
        ("3.5 days", "length"),
        ("101 years", "100 years"),
        ("2 calendar months", "calendar"),
        ("days", "length"),
    ],
)
def test_refuses_what_could_be_misread(text: str, said: str) -> None:
    with pytest.raises(RefusedDefinition, match=said):
        parse_span(text)


def test_windows() -> None:
    assert parse_within("30 days") == Window(Span(30, "day"))
    assert parse_between("90 and 30 days ago") == Window(Span(90, "day"), Span(30, "day"))
    assert parse_between("2 months and 30 days ago") == Window(Span(2, "month"), Span(30, "day"))
    assert str(parse_between("14 and 7 calendar days ago")) == "between 14 calendar days and 7 calendar days ago"


@pytest.mark.parametrize("text", ["30 and 90 days ago", "30 and 30 days ago", "90 and 30 days", "yesterday"])
def test_refuses_windows_without_length(text: str) -> None:
    with pytest.raises(RefusedDefinition):
        parse_between(text)


def test_a_window_of_zero_is_refused() -> None:
    with pytest.raises(RefusedDefinition, match="no length"):
        parse_within("0 days")
