"""Figures read as people write them: the table of the design, and what unknown, tiny and negative look like."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kohort.views.formats import EN, MINUS, UNKNOWN

UNKNOWNS = [None, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", UNKNOWNS)
def test_unknown_is_a_dash_and_never_nought(value):
    written = [
        EN.number(value),
        EN.signed(value),
        EN.compact(value),
        EN.percent(value),
        EN.in_100(value),
        EN.money(value, "GBP"),
        EN.short_money(value, "GBP"),
        EN.value(value, "days"),
        EN.change(value, 3.0),
        EN.change(3.0, value),
    ]
    assert set(written) == {UNKNOWN}


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (4_873_000, "£4.87m"),
        (477_631, "£478k"),
        (14_000, "£14k"),
        (9_999, "£9,999"),
        (674, "£674"),
        (0, "£0"),
        (0.2, "£0"),
        (999_499, "£999k"),
        (999_600, "£1.00m"),
        (12_340_000, "£12.3m"),
        (123_400_000, "£123m"),
        (2_500_000_000, "£2.50bn"),
        (-158_900, "−£159k"),
        (-0.2, "£0"),
    ],
)
def test_short_money_is_what_people_say(amount, text):
    assert EN.short_money(amount, "GBP") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.55, "55%"),
        (0.004, "under 1%"),
        (0.005, "1%"),
        (0.0, "0%"),
        (1.0, "100%"),
        (0.996, "over 99%"),
        (-0.1, "−10%"),
    ],
)
def test_shares_never_round_something_to_nothing(share, text):
    assert EN.percent(share) == text


def test_changes_carry_their_sign_and_need_a_base():
    assert EN.signed(11) == "+11"
    assert EN.signed(-14) == "−14"
    assert EN.signed(0) == "0"
    assert EN.change(127, 100) == "+27%"
    assert EN.change(90, 100) == "−10%"
    assert EN.change(5, 0) == UNKNOWN


def test_dates_are_days_of_the_calendar():
    assert EN.date_of("2011-12-09T12:50:00Z") == "9 Dec 2011"
    assert EN.date_of("2011-12-09", weekday=True) == "Fri 9 Dec 2011"
    assert EN.month_of("2011-12") == "Dec 2011"
    assert EN.date_of("not a date") == UNKNOWN
    assert EN.date_of(None) == UNKNOWN


def test_values_carry_their_unit():
    assert EN.value(1.2, "days") == "1 day"
    assert EN.value(27.4, "days") == "27 days"
    assert EN.value(4955.0, "money", "GBP") == "£4,955"
    assert EN.value(3.5, "money", "EUR") == "€3.50"
    assert EN.value(14.0, "hour") == "14:00"
    assert EN.value(True, "flag") == "yes"
    assert EN.value("", "text") == UNKNOWN
    assert EN.value(["no"], "number") == UNKNOWN


def test_ranges_use_one_value_where_both_ends_read_the_same():
    assert EN.between(14_000, 26_000, "money", "GBP") == "£14k–£26k"
    assert EN.between(14_010, 14_020, "money", "GBP") == "£14k"


@given(st.floats(min_value=-1e12, max_value=1e12, allow_nan=False), st.integers(0, 3))
def test_a_number_reads_back_to_within_half_a_last_digit(value, digits):
    text = EN.number(value, digits)
    back = float(text.replace(",", "").replace(MINUS, "-"))
    assert abs(back - value) <= 0.5 * 10**-digits * (1 + 1e-6) + abs(value) * 1e-12
    assert "-" not in text


@given(st.floats(min_value=-1e11, max_value=1e11, allow_nan=False))
def test_short_money_keeps_at_least_two_digits_of_the_truth(amount):
    text = EN.short_money(amount, "GBP").replace("£", "").replace(",", "").replace(MINUS, "-")
    scale = {"b": 1e9, "m": 1e6, "k": 1e3}.get(text.rstrip("n")[-1], 1.0)
    back = float(text.rstrip("bmkn")) * scale
    assert abs(back - amount) <= max(0.51, abs(amount) * 0.051)
