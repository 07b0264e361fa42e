"""The rules of docs/semantics.md, each by a history small enough to check by eye; both evaluators must agree on it."""

import re
from itertools import count
from statistics import stdev
from typing import Any

import pyarrow as pa
import pytest

from kohort.compile import compile_features, to_sql
from kohort.compile.conditions import fold
from kohort.definitions.features import parse_features
from kohort.engines.duck import connect
from kohort.engines.evaluate import features
from kohort.errors import BadInput, RefusedDefinition
from kohort.model.clock import DAY_US, parse_instant
from kohort.model.event import ColumnType, Event, Scalar
from kohort.testing.naive import alike, evaluate
from kohort.testing.worlds import World

AS_OF = parse_instant("2024-06-30T12:00:00Z")
COLUMNS: dict[str, ColumnType] = {"p_n": "number", "p_t": "text", "p_due": "time", "t_city": "text"}
numbers = count()


def event(days_ago: float, name: str = "page", id: str = "", after_us: int = 0, **values: Scalar) -> Event:  # noqa: A002
    ts = AS_OF - int(days_ago * DAY_US) + after_us
    local = {"local_day": ts // DAY_US, "local_hour": ts // (DAY_US // 24) % 24}
    return Event(id or f"e{next(numbers):06}", 7, name, ts, local | values)


def answers(text: str, *events: Event) -> Any:
    """What both evaluators say about one customer; they must agree."""
    definitions = parse_features(f"base: {{count: events}}\nf: {text}", COLUMNS)
    world = World((*events, event(1_000, "other")), AS_OF, "UTC", "EUR", COLUMNS)
    table = features(world.snapshot(), definitions, as_of=AS_OF)
    [compiled] = table.data.column("f").to_pylist()
    assert compiled == evaluate(definitions[1], world.events, as_of=AS_OF, columns=COLUMNS)
    return compiled


def test_t1_nothing_later_than_as_of_is_visible() -> None:
    seen = (event(0), event(0, after_us=1), event(-3))
    assert answers("{count: events, event: page}", *seen) == 1
    later = (event(5, "identify", t_city="York"), event(-1, "identify", t_city="Bath"))
    assert answers("{trait: city}", *later) == "York"


def test_t2_an_event_exactly_as_old_as_the_window_is_out() -> None:
    edge = (event(30), event(30, after_us=1), event(30, after_us=-1))
    assert answers("{count: events, event: page, within: 30 days}", *edge) == 1
    assert answers("{count: events, event: page, between: 90 and 30 days ago}", *edge) == 2


def test_t7_late_and_repeated_deliveries_count_as_if_in_order() -> None:
    twice = event(3, id="same")
    assert answers("{count: events, event: page}", twice, event(9), twice) == 2


def test_n5_nothing_is_zero_for_sums_and_missing_for_the_rest() -> None:
    for kind in ("count: events", "sum: amount", "count_distinct: product"):
        assert answers(f"{{{kind}, event: never}}") == 0
    for kind in ("mean: amount", "min: amount", "std: amount", "first: product", "mode: product", "entropy: product"):
        assert answers(f"{{{kind}, event: never}}") is None
    for kind in ("recency: days", "tenure: days", "gap: mean", "share: 'hour > 3'"):
        assert answers(f"{{{kind}, event: never}}") is None
    assert answers("{ratio: [base, {count: events, event: never}]}") is None


def test_n6_mode_and_first_break_ties_by_time_then_name() -> None:
    pages = [event(9, p_t="b"), event(8, p_t="b"), event(7, p_t="a"), event(6, p_t="a"), event(5, p_t="c")]
    assert answers("{mode: p_t}", *pages) == "a"
    assert answers("{mode: p_t}", event(5, p_t="z"), event(5, p_t="a")) == "a"
    assert answers("{first: p_t}", event(5, id="y", p_t="z"), event(5, id="x", p_t="a")) == "a"
    assert answers("{last: p_t}", event(5, id="y", p_t="z"), event(5, id="x", p_t="a")) == "z"
    assert answers("{last: p_t}", event(5, p_t="z"), event(4, p_t=None), event(3, p_t="")) == "z"


def test_n7_returns_are_negative_amounts() -> None:
    lines = [event(5, "order_line", amount=10_000), event(4, "order_line", amount=-2_500)]
    assert answers("{sum: amount}", *lines) == 75.0
    assert answers("{sum: refund}", *lines) == 25.0
    assert answers("{ratio: [{sum: refund}, {sum: amount, where: 'amount > 0'}]}", *lines) == 0.25


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("p_t = 'x'", 1),
        ("p_t != 'x'", 3),  # L2: true for the two missing ones
        ("not (p_t = 'x')", 1),  # SQL: unknown for the missing ones
        ("p_t in ('x', 'q')", 1),
        ("p_t not in ('x', 'q')", 3),
        ("p_t is null", 2),  # L3: empty text is missing
        ("p_t like 'Y%'", 1),
        ("p_t not like 'y%'", 3),
        ("p_n > 1.5", 1),
        ("p_n != 2", 3),
        ("p_n = 0.0000005", 0),
        ("p_n < 1.9999999 or p_t = 'X'", 1),
        ("p_due = '2024-06-01'", 1),
        ("p_due >= '2024-06-02'", 0),
    ],
)
def test_conditions_with_missing_values(where: str, expected: int) -> None:
    rows = [
        event(4, p_t="X", p_n=2_000_000, p_due=parse_instant("2024-06-01T00:00:00Z")),
        event(3, p_t="y"),
        event(2, p_t=""),
        event(1),
    ]
    assert answers(f'{{count: events, event: page, where: "{where}"}}', *rows) == expected


def test_s1_then_is_strictly_later_and_at_most_so_much() -> None:
    text = "{sequence: {first: page, then: order_line, within: 1 day}}"
    assert answers(text, event(5), event(5, "order_line")) == 0
    assert answers(text, event(5), event(4, "order_line")) == 1
    assert answers(text, event(5), event(4, "order_line", after_us=1)) == 0
    assert answers(text, event(5), event(5, after_us=7), event(4.5, "order_line")) == 2
    assert answers("{sequence: {first: page, then: page, within: 9 days}}", event(5)) == 0
    assert answers("{sequence: {first: page, then: page, within: 9 days}}", event(5), event(4)) == 1


def test_gaps_between_days_and_orders() -> None:
    lines = [event(d, "order_line", order_id=o) for d, o in ((20, "a"), (20, "a"), (10, "b"), (9.5, "b"), (4, "c"))]
    assert answers("{gap: mean, of: orders}", *lines) == 8.0
    assert answers("{gap: min, of: orders}", *lines) == 6.0
    assert answers("{gap: max, of: orders}", *lines) == 10.0
    assert answers("{gap: std, of: orders}", *lines) == pytest.approx(stdev([10, 6]))
    assert answers("{gap: mean, event: order_line}", *lines[:2]) is None
    assert answers("{gap: std, event: order_line}", *lines) == pytest.approx(stdev([10, 1, 5]))


def test_numbers_against_textbook_formulas() -> None:
    values = [0.5, 1234.25, 1234.25, -7, 99_999]
    rows = [event(d, p_n=round(v * 1_000_000)) for d, v in enumerate(values)]
    assert answers("{std: p_n}", *rows) == pytest.approx(stdev(values), rel=1e-12)
    assert answers("{mean: p_n}", *rows) == pytest.approx(sum(values) / 5)
    assert answers("{std: p_n}", *[event(d, p_n=5_000_000_001) for d in range(9)]) == 0.0
    assert answers("{std: p_n}", rows[0]) is None
    half_and_quarter = [event(d, p_t=t) for d, t in enumerate("aabc")]
    assert answers("{entropy: p_t}", *half_and_quarter) == 1.5
    assert answers("{entropy: p_t}", half_and_quarter[0]) == 0.0


def test_money_comes_in_major_units_of_the_currency() -> None:
    world = World((event(1, "order_line", amount=1_234),), AS_OF, "UTC", "JPY", {})
    definitions = parse_features("f: {sum: amount}", {})
    for currency, expected in (("JPY", 1234.0), ("GBP", 12.34), ("KWD", 1.234)):
        table = features(world.snapshot(), definitions, as_of=AS_OF, currency=currency)
        assert table.data.column("f").to_pylist() == [expected]
        assert table.currency == currency


def test_only_the_columns_of_the_log_can_be_compiled() -> None:
    with pytest.raises(RefusedDefinition, match="p_gone"):
        compile_features(parse_features("f: {sum: p_gone}"), as_of=AS_OF)


def test_text_in_definitions_is_never_sql() -> None:
    nasty = "x'); DROP TABLE events; --\\"
    assert (
        answers(
            f"{{count: events, where: \"p_t = '{nasty.replace(chr(39), chr(39) * 2)}'\"}}".replace("\\", "\\\\"),
            event(1, p_t=nasty),
        )
        == 1
    )


def test_no_floating_sum_and_no_approximate_function_is_ever_written() -> None:
    text = "a: {sum: amount}\nb: {mean: amount}\nc: {std: amount}\nd: {count_distinct: product}\ne: {mode: product}"
    for dialect in ("duckdb", "spark"):
        sql = to_sql(compile_features(parse_features(text), as_of=AS_OF), dialect).upper()  # type: ignore[arg-type]
        assert not [word for word in ("APPROX", "AVG(", "STDDEV", "NOW(", "CURRENT") if word in sql]
        assert not re.search(r"SUM\((?:(?!SUM\(| FROM ).)*AS DOUBLE\)\)", sql)


def test_many_features_read_the_events_once() -> None:
    text = "\n".join(
        f"f{n}: {{sum: amount, within: {n + 1} days}}\ng{n}: {{count_distinct: order_id, within: {n + 1} days}}"
        for n in range(20)
    )
    sql = to_sql(compile_features(parse_features(text), as_of=AS_OF))
    assert sql.count('"events"') == 1


def test_letters_fold_alike_for_every_character() -> None:
    characters = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c <= 0xDFFF]
    with connect() as con:
        con.register("given", pa.table({"x": characters}))
        folded = con.execute("SELECT replace(lower(replace(x, 'İ', 'i')), 'ς', 'σ') AS y FROM given").to_arrow_table()
    assert folded["y"].to_pylist() == [fold(c) for c in characters] == [alike(c) for c in characters]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "3000-01-02T00:00:00Z"])
def test_absurd_moments_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="1900"):
        compile_features(parse_features("f: {count: events, within: 9 months}"), as_of=parse_instant(text))


def test_features_may_be_called_like_columns_and_keywords() -> None:
    names = ("customer", "events", "ts", "select", "order", "class", "a0", "v0", "f0", "key0")
    definitions = parse_features("\n".join(f"{name}: {{count_distinct: product}}" for name in names), {})
    world = World((event(1, product="x"),), AS_OF, "UTC", "EUR", {})
    table = features(world.snapshot(), definitions, as_of=AS_OF)
    assert table.data.to_pylist() == [dict.fromkeys(names, 1.0)]


MINUTE = 1 / 1440


def test_s4_sessions_end_after_a_pause_and_limits_cut_them() -> None:
    pages = [event(5 - n * MINUTE) for n in (0, 10, 40, 71)]  # the pause of exactly 30 minutes does not end the first
    assert answers("{sessions: count, event: page}", *pages) == 2
    assert answers("{sessions: events, event: page}", *pages) == 2
    assert answers("{sessions: length, event: page}", *pages) == 20
    assert answers("{sessions: last_length, event: page}", *pages) == 0
    assert answers("{sessions: last_length, event: page, pause: 1 hour}", *pages) == 71
    assert answers("{sessions: cut, event: page}", *pages) == 0
    assert answers("{sessions: count, event: never}", *pages) == 0
    assert answers("{sessions: length, event: never}", *pages) is None


def test_s4_a_long_session_is_cut_every_so_often_and_the_cuts_are_told() -> None:
    pages = [event(5 - n * 20 * MINUTE) for n in range(10)]  # three hours without a pause
    limits = "event: page, longest: 1 hour"
    assert answers(f"{{sessions: count, {limits}}}", *pages) == 4  # 0 to 40 minutes, 60 to 100, 120 to 160, 180
    assert answers(f"{{sessions: cut, {limits}}}", *pages) == 3
    assert answers(f"{{sessions: length, {limits}}}", *pages) == 30
    assert answers("{sessions: count, event: page, most: 4 events}", *pages) == 3
    assert answers("{sessions: last_length, event: page, most: 4}", *pages) == 20


def test_s4_events_of_one_instant_stay_together() -> None:
    pages = [event(5), event(5), event(5), event(5 - MINUTE)]
    assert answers("{sessions: count, event: page, most: 2}", *pages) == 2
    assert answers("{sessions: events, event: page, most: 2}", *pages) == 2
