"""Few customers at moments of their own: what must hold beside equality with everybody's evaluation (see property tests)."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from kohort.compile.pairs import CompiledPairs, compile_pairs
from kohort.compile.segments import NOBODY
from kohort.definitions.features import parse_features
from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import parse_span
from kohort.engines.pairs import Engine, Pairs
from kohort.engines.small import Small, Unsupported
from kohort.engines.small.values import lower
from kohort.errors import BadInput
from kohort.model.event import ColumnType, Event
from kohort.model.limits import MARKS, refusal_mark
from kohort.testing.worlds import event_table

DAY = 86_400_000_000
NOW = 20_000 * DAY
COLUMNS: dict[str, ColumnType] = {"t_plan": "text", "p_page": "text", "t_news": "flag"}
FEATURES = parse_features(
    {"spent": {"sum": "amount"}, "plan": {"trait": "plan"}, "first_page": {"first": "p_page", "event": "page"}}, COLUMNS
)
ENGINES: list[Engine] = ["small", "duckdb"]


def rule(name: str, text: str, keep: str = "", stay: str = "") -> SegmentDefinition:
    part = Part(
        name,
        rule=RuleText(text, parse_rule(text)),
        keep=RuleText(keep, parse_rule(keep)) if keep else None,
        minimum_stay=parse_span(stay) if stay else None,
    )
    return SegmentDefinition(name, "rule", (part,))


def compiled(*definitions: SegmentDefinition, wanted=(), **beside) -> CompiledPairs:  # type: ignore[no-untyped-def]
    return compile_pairs(definitions, features=FEATURES, wanted=wanted, columns=COLUMNS, key=b"key", **beside)


def event(customer: int, name: str, days_ago: float, number: int = 0, **values: object) -> Event:
    ts = NOW - int(days_ago * DAY)
    local = {"local_day": ts // DAY, "local_hour": 0}
    return Event(f"{customer}-{name}-{days_ago}-{number}", customer, name, ts, local | values)  # type: ignore[arg-type]


def log(*events: Event) -> pa.Table:
    return event_table(events, COLUMNS)


def at(*pairs: tuple[int, int]) -> pa.Table:
    person, as_of = np.array(pairs, np.int64).reshape(-1, 2).T
    return pa.table({"person": person, "as_of": as_of})


@pytest.mark.parametrize("engine", ENGINES)
def test_each_pair_sees_her_events_up_to_its_own_moment(engine: Engine) -> None:
    program = compiled(rule("buys", "did('order_line', at_least => 2, within => '10 days')"))
    events = log(event(1, "order_line", 5), event(1, "order_line", 3), event(2, "order_line", 4), event(3, "page", -1))
    asked = [(1, NOW), (1, NOW - 4 * DAY), (2, NOW), (1, NOW + 7 * DAY), (3, NOW), (9, NOW), (1, NOW)]
    with Pairs(program, engine=engine) as pairs:
        found = pairs.evaluate(at(*asked), events)
        assert pairs.answered[engine] == 1
    assert found["s0"].to_pylist() == [0, NOBODY, NOBODY, NOBODY, NOBODY, NOBODY, 0]
    assert found["seen"].to_pylist() == [True, True, True, True, False, False, True]
    assert found["s0"].type == pa.int8()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_plan_made_over_nothing_answers_for_whatever_comes(engine: Engine) -> None:
    """The query is prepared while its tables are empty: what was known then must not be part of it."""
    program = compiled(
        rule("buys", "did('order_line')"), rule("shoes", "last('page').p_page = 'shoes'"), wanted=FEATURES
    )
    with Pairs(program, engine=engine) as pairs:
        none = pairs.evaluate(at((1, NOW)), log())
        some = pairs.evaluate(at((1, NOW), (2, NOW)), log(event(1, "page", 1, p_page="shoes", amount=None)))
        pages = [event(c, "page", 1, p_page="SHOES" if c % 2 else None) for c in range(1, 4_001)]
        buys = [event(c, "order_line", 2, amount=c) for c in range(1, 4_001, 4)]
        many = pairs.evaluate(at(*((c, NOW) for c in range(1, 4_001))), log(*pages, *buys))
        again = pairs.evaluate(at((1, NOW)), log())
    assert none.to_pylist() == again.to_pylist()
    assert none["s0"].to_pylist() == [NOBODY]
    assert (some["s0"].to_pylist(), some["s1"].to_pylist()) == ([NOBODY, NOBODY], [0, NOBODY])
    assert many["s0"].to_pylist() == [0 if c % 4 == 1 else NOBODY for c in range(1, 4_001)]
    assert many["s1"].to_pylist() == [0 if c % 2 else NOBODY for c in range(1, 4_001)]
    assert many["f0"].to_pylist() == [c / 100 if c % 4 == 1 else 0.0 for c in range(1, 4_001)]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_pairs_no_rows(engine: Engine) -> None:
    with Pairs(compiled(rule("buys", "did('order_line')")), engine=engine) as pairs:
        assert pairs.evaluate(at(), log(event(1, "order_line", 1))).num_rows == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_events_of_one_instant_are_ordered_by_their_ids(engine: Engine) -> None:
    tied = [event(1, "page", 1, n, p_page=page) for n, page in ((2, "second"), (1, "first"), (3, "third"))]
    program = compiled(rule("last", "last('page').p_page = 'third'"), wanted=FEATURES)
    with Pairs(program, engine=engine) as pairs:
        found = pairs.evaluate(at((1, NOW), (1, NOW)), log(*tied, event(2, "page", 1, p_page="other")))
        assert pairs.answered[engine] == 1
    assert found["s0"].to_pylist() == [0, 0]
    assert found["f2"].to_pylist() == ["first", "first"]


@pytest.mark.parametrize("engine", ENGINES)
def test_columns_that_are_missing_or_empty_are_nothing(engine: Engine) -> None:
    program = compiled(rule("paying", "t_plan != 'free' and spent >= 0"), wanted=FEATURES)
    with Pairs(program, engine=engine) as pairs:
        narrow = log(event(1, "order_line", 1, amount=None, t_plan="")).select(["customer", "ts", "event"])
        found = pairs.evaluate(at((1, NOW)), narrow.append_column("event_id", pa.array(["a"])))
    assert found.select(["s0", "f0", "f1", "f2"]).to_pylist() == [{"s0": 0, "f0": 0.0, "f1": None, "f2": None}]


@pytest.mark.parametrize("engine", ENGINES)
def test_who_never_agreed_has_not_agreed_whatever_others_said(engine: Engine) -> None:
    """Something is picked of everybody, so that her row is there; but what is missing of her must not be her neighbour's."""
    asked = replace(rule("reads", "last(*).event is not null"), purpose="marketing")
    program = compiled(asked, settings=SegmentSettings(consent=(("marketing", "t_news"),)))
    said, silent, no = (event(c, "identify", 1, t_news=flag) for c, flag in ((1, True), (2, None), (3, False)))
    with Pairs(program, engine=engine) as pairs:
        for order in ((1, 2, 3), (2, 3, 1), (3, 1, 2)):
            found = pairs.evaluate(at(*((person, NOW) for person in order)), log(silent, no, said))
            assert {p for p, part in zip(order, found["s0"].to_pylist(), strict=True) if part == 0} == {1}
            assert {p for p, out in zip(order, found["x0"].to_pylist(), strict=True) if out} == {2, 3}
        assert pairs.answered[engine] == 3


def test_sums_that_might_not_fit_are_handed_over() -> None:
    program = compiled(rule("rich", "spent > 1"), wanted=FEATURES[:1])
    large = [event(1, "order_line", n, amount=2**62 * sign) for n, sign in ((1, 1), (2, 1), (3, -1), (4, -1))]
    with Pairs(program, engine="small") as pairs:
        assert pairs.evaluate(at((1, NOW)), log(*large))["f0"].to_pylist() == [0.0]
        assert pairs.answered == {"small": 0, "duckdb": 1}
        assert pairs.evaluate(at((1, NOW)), log(*large[:2]))["f0"].to_pylist() == [2.0**63 / 100]
        few = log(*large).select(sorted(pairs.reads({0})))
        asked: list[int] = []
        found = pairs.evaluate(at((1, NOW)), few, only={0}, whole=lambda: asked.append(1) or log(*large))  # type: ignore[func-returns-value]
        assert (found["s0"].to_pylist(), asked) == ([NOBODY], [1])
        exact = 2**53 + 1
        found = pairs.evaluate(at((1, NOW)), log(*(event(1, "order_line", 1, n, amount=exact * 100) for n in (1, 2))))
        assert pairs.answered["small"] == 1
    assert found["f0"].to_pylist() == [float(exact * 200) / 100]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_stored_is_said_of_a_customer_or_of_one_of_her_moments(engine: Engine) -> None:
    program = compiled(rule("stays", "never('page')", keep="did('order_line')", stay="7 days"))
    events = log(event(1, "page", 5), event(2, "page", 5))
    stood = {"name": ["stays", "stays"], "segment": ["stays", "stays"], "since": [NOW - 3 * DAY, NOW - 9 * DAY]}
    with Pairs(program, engine=engine) as pairs:
        asked = at((1, NOW), (2, NOW), (1, NOW + 5 * DAY))
        by_customer = pairs.evaluate(asked, events, None, pa.table({"customer": [1, 2], **stood}))
        by_pair = pairs.evaluate(asked, events, None, pa.table({"pair": [2, 1], **stood}))
        put_in = {"customer": [2], "name": ["stays"], "segment": ["stays"], "added": [True]}
        by_hand = pairs.evaluate(asked, events, pa.table(put_in), None)
        assert pairs.answered[engine] == 3
    assert by_customer["s0"].to_pylist() == [0, NOBODY, NOBODY]
    assert by_pair["s0"].to_pylist() == [NOBODY, NOBODY, NOBODY]
    assert by_hand["s0"].to_pylist() == [NOBODY, 0, NOBODY]


def test_the_moment_of_a_minimum_stay_is_the_pairs_own() -> None:
    program = compiled(rule("stays", "never('page')", stay="7 days"))
    stood = pa.table({"pair": [0, 1], "name": ["stays"] * 2, "segment": ["stays"] * 2, "since": [NOW, NOW]})
    for engine in ENGINES:
        with Pairs(program, engine=engine) as pairs:
            asked = at((1, NOW + 7 * DAY - 1), (1, NOW + 7 * DAY))
            assert pairs.evaluate(asked, log(event(1, "page", 5)), None, stood)["s0"].to_pylist() == [0, NOBODY]


def test_visitors_are_nobody_but_where_a_definition_includes_them() -> None:
    closed, opened = rule("closed", "did('page')"), replace(rule("opened", "did('page')"), include_anonymous=True)
    program = compiled(closed, opened)
    for engine in ENGINES:
        with Pairs(program, engine=engine) as pairs:
            found = pairs.evaluate(at((-3, NOW), (3, NOW)), log(event(-3, "page", 1), event(3, "page", 1)))
            assert pairs.answered[engine] == 1
        assert (found["s0"].to_pylist(), found["s1"].to_pylist()) == ([NOBODY, 0], [0, 0])


def test_only_columns_that_somebody_reads_are_asked_for() -> None:
    program = compiled(rule("buys", "did('order_line', amount > 5)"), by_hand=(), standing=())
    assert program.reads == {"customer", "event", "ts", "amount"}
    assert program.relations == {"events", "pairs"}
    assert "event_id" in compiled(rule("shoes", "last('page').p_page = 'shoes'")).reads


def test_random_numbers_are_those_of_the_person() -> None:
    program = compiled(rule("half", "random_bucket('spring') < 50"))
    people = list(range(1, 200))
    events = log(*(event(p, "page", 1) for p in people))
    for engine in ENGINES:
        with Pairs(program, engine=engine) as pairs:
            forwards = pairs.evaluate(at(*((p, NOW) for p in people)), events)["s0"].to_pylist()
            backwards = pairs.evaluate(at(*((p, NOW) for p in reversed(people))), events)["s0"].to_pylist()
        assert forwards == backwards[::-1]
        assert 50 < forwards.count(0) < 150


def test_an_operation_nobody_knows_is_refused_when_a_program_is_read() -> None:
    program = compiled(wanted=FEATURES[:1])
    with pytest.raises(Unsupported, match="Tan"):
        Small(program.expr.mutate(f0=program.expr.f0.tan()))


def test_moments_that_calendars_cannot_step_from_are_refused() -> None:
    with Pairs(compiled(rule("buys", "did('order_line')")), engine="small") as pairs, pytest.raises(BadInput):
        pairs.evaluate(at((1, NOW), (1, 2**62)), log(event(1, "order_line", 1)))


def test_letters_are_lowered_as_duckdb_lowers_them() -> None:
    from kohort.engines.duck import connect

    letters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    words = pa.table({"n": np.arange(len(letters) + 3), "w": [*letters, "ΟΔΟΣ", "İSTANBUL", "ΑΣ."]})
    with connect() as con:
        con.register("words", words)
        lowered = con.execute("SELECT lower(w) AS w FROM words ORDER BY n").to_arrow_table()["w"].to_pylist()
    assert [lower(w) for w in words["w"].to_pylist()] == lowered


def test_what_merges_withhold_and_people_forbid_takes_no_step_where_nobody_asks_for_it() -> None:
    bought, read = rule("bought", "did('buy')"), rule("read", "did('page')")
    news = replace(read, purpose="ads")
    settings = SegmentSettings((("ads", "t_news"),))

    def steps(*definitions: SegmentDefinition, marks: tuple[str, ...] = ()) -> int:
        return len(Small(compiled(*definitions, settings=settings, by_hand=marks, standing=()).expr)._every)

    withheld, objection = (refusal_mark("ads"),), (MARKS["objection"],)
    assert steps(bought, read, marks=withheld) == steps(bought, read)
    many = [rule(f"s{n}", f"did('buy', at_least => {n + 1})") for n in range(20)]
    found = [
        steps(bought, news, marks=withheld) - steps(bought, news),
        steps(bought, read, marks=objection) - steps(bought, read),
        steps(*many, marks=objection) - steps(*many),
    ]
    assert found == [21, 21, 21], "a look beside the events, whatever the number of definitions"
