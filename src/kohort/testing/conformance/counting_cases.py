"""Counting and aggregates: what counts, how often, and what nothing adds up to (N1 to N7)."""

from kohort.testing.conformance.case import Turn, case, story

CASES = (
    story(
        "N1 21: delivered twice",
        "An event with an id that is stored counts once, for ever: in one batch, in a later one, long after.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  page  #one
            ana  2024-03-30  page  #one
            ben  2024-03-30  page  #two
            ben  2024-03-30  page  #three
            """,
            "it: did('page', at_least => 2)",
            members={"it": "ben"},
        ),
        Turn("2025-06-01", "ana  2024-03-30  page  #one", members={"it": "ben"}, changes=""),
    ),
    case(
        "N2 18: did means at least once",
        "`did` without a number means once or more often.",
        "did('page')",
        """
        once   2024-03-30  page
        twice  2024-03-30  page
        twice  2024-03-29  page
        never  2024-03-30  cart
        """,
        "once twice",
    ),
    story(
        "N2 16: none is a number",
        "At most, fewer than, exactly 0 and never include customers without any such event.",
        Turn(
            "2024-03-31T12:00",
            """
            none   2024-03-30  cart
            one    2024-03-30  page
            three  2024-03-28  page
            three  2024-03-29  page
            three  2024-03-30  page
            """,
            """
            at_most: did('page', at_most => 1)
            fewer: did('page', fewer_than => 3)
            exactly_none: did('page', exactly => 0)
            not_once: never('page')
            exactly_three: did('page', exactly => 3)
            more: did('page', more_than => 1)
            counted: count('page') between 0 and 1
            """,
            members={
                "at_most": "none one",
                "fewer": "none one",
                "exactly_none": "none",
                "not_once": "none",
                "exactly_three": "three",
                "more": "three",
                "counted": "none one",
            },
        ),
    ),
    case(
        "N3 20: the filter comes before counting",
        "Three orders of which one is large are not three large orders.",
        "did('order_line', amount > 10, at_least => 2)",
        """
        small  2024-03-28  order_line  amount=5
        small  2024-03-29  order_line  amount=10
        small  2024-03-30  order_line  amount=10.01
        large  2024-03-28  order_line  amount=10.01
        large  2024-03-29  order_line  amount=99
        """,
        "large",
    ),
    case(
        "N3 20: filters on what is missing",
        "A filter with != counts events that lack the property, one with = does not.",
        "did('page', p_page != 'home') and never('page', p_page = 'home') and did('page', p_page is null)",
        """
        lacks  2024-03-30  page
        empty  2024-03-30  page  p_page=
        other  2024-03-30  page  p_page=shop
        home   2024-03-30  page  p_page=home
        home   2024-03-30  page
        """,
        "lacks empty",
    ),
    case(
        "N3 20: filters on nested properties",
        "A property inside a property is named with a point.",
        "did('page', p_address.city = 'Aarhus')",
        """
        aarhus  2024-03-30  page  p_address_city=aarhus
        odense  2024-03-30  page  p_address_city=Odense
        """,
        "aarhus",
    ),
    case(
        "N3 14: filters on lists",
        "A filter on a list is true where any item is.",
        "did('page', p_tags = 'b') and never('page', p_tags = 'c')",
        """
        has    2024-03-30  page  p_tags=a,b
        also   2024-03-30  page  p_tags=a,b
        also   2024-03-30  page  p_tags=c
        lacks  2024-03-30  page  p_tags=bb,a
        empty  2024-03-30  page
        """,
        "has",
    ),
    story(
        "N4 8: never observed",
        "An event or a property that nobody ever had is legal: nobody did it, and it is missing for everybody.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-30  page",
            """
            did_it: did('pgae')
            never_did: never('pgae')
            has_it: t_favourite_colour = 'red'
            lacks_it: t_favourite_colour is null
            another: t_favourite_colour != 'red'
            filtered: did('page', p_colour = 'red')
            unfiltered: did('page', p_colour is null)
            summed: sum('page').p_points = 0
            averaged: mean('page').p_points is null
            """,
            members={
                "did_it": "",
                "never_did": "ana",
                "has_it": "",
                "lacks_it": "ana",
                "another": "ana",
                "filtered": "",
                "unfiltered": "ana",
                "summed": "ana",
                "averaged": "ana",
            },
        ),
    ),
    story(
        "N5 51: nothing adds up to 0 and has no mean",
        "The sum and the count of nothing are 0; mean, smallest, largest, first, last and mode of nothing are missing.",
        Turn(
            "2024-03-31T12:00",
            """
            none    2024-03-30  page
            lacks   2024-03-30  order_line
            bought  2024-03-30  order_line  amount=5 category=toys
            """,
            """
            no_sum: sum('order_line').amount = 0
            no_mean: mean('order_line').amount is null
            no_least: min('order_line').amount is null
            no_most: max('order_line').amount is null
            no_first: first('order_line').category is null
            no_last: last('order_line').category is null
            no_mode: mode('order_line').category is null
            no_kinds: distinct('order_line').category = 0
            low_mean: mean('order_line').amount < 10
            not_low_mean: not mean('order_line').amount < 10
            """,
            members={
                "no_sum": "none lacks",
                "no_mean": "none lacks",
                "no_least": "none lacks",
                "no_most": "none lacks",
                "no_first": "none lacks",
                "no_last": "none lacks",
                "no_mode": "none lacks",
                "no_kinds": "none lacks",
                "low_mean": "bought",
                "not_low_mean": "",
            },
        ),
    ),
    case(
        "N5: a ratio without a denominator",
        "A ratio with nothing or 0 below the line is missing, so it is neither small nor large.",
        "basket >= 0 or basket < 0",
        """
        none    2024-03-30  page
        bought  2024-03-30  order_line  amount=5 order_id=o1
        """,
        "bought",
    ),
    story(
        "N5 51: values that are missing",
        "Events without the value are passed over by every aggregate and still count as events.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-28  page  p_rating=4
            ana  2024-03-29  page
            ana  2024-03-30  page  p_rating=1
            """,
            """
            events: count('page') = 3
            total: sum('page').p_rating = 5
            average: mean('page').p_rating = 2.5
            least: min('page').p_rating = 1
            most: max('page').p_rating = 4
            different: distinct('page').p_rating = 2
            """,
            members=dict.fromkeys(("events", "total", "average", "least", "most", "different"), "ana"),
        ),
    ),
    case(
        "N6 52: the most frequent",
        "The highest count wins; on a tie the most recent, then the first in the alphabet.",
        "mode('page').p_page = 'a'",
        """
        most        2024-03-01  page  p_page=a
        most        2024-03-02  page  p_page=a
        most        2024-03-03  page  p_page=b
        tie_recent  2024-03-01  page  p_page=b
        tie_recent  2024-03-02  page  p_page=a
        tie_older   2024-03-01  page  p_page=a
        tie_older   2024-03-02  page  p_page=b
        tie_time    2024-03-01  page  p_page=b #1
        tie_time    2024-03-01  page  p_page=a #2
        """,
        "most tie_recent tie_time",
    ),
    story(
        "N6 39 52: first and last",
        "First and last go by the time of the event, not of arrival; at one instant the larger event id is later.",
        Turn(
            "2024-03-31T12:00",
            """
            order  2024-03-20  page  p_page=new
            order  2024-03-10  page  p_page=old
            tie    2024-03-20  page  p_page=new #2
            tie    2024-03-20  page  p_page=old #1
            lacks  2024-03-10  page  p_page=new
            lacks  2024-03-20  page
            """,
            """
            last_new: last('page').p_page = 'new'
            first_old: first('page').p_page = 'old'
            """,
            members={"last_new": "order tie lacks", "first_old": "order tie"},
        ),
        Turn("2024-03-31T13:00", "order  2024-03-05  page  p_page=oldest", members={"first_old": "tie"}),
    ),
    story(
        "39: the last event or any event",
        "What stands inside the call picks the events; what is compared judges the last of them.",
        Turn(
            "2024-03-31T12:00",
            """
            toys_last   2024-03-10  order_line  category=books amount=5
            toys_last   2024-03-20  order_line  category=toys  amount=50
            toys_first  2024-03-10  order_line  category=toys  amount=50
            toys_first  2024-03-20  order_line  category=books amount=5
            """,
            """
            last_is_toys: last('order_line').category = 'toys'
            any_toys: did('order_line', category = 'toys')
            last_large_is_toys: last('order_line', amount > 10).category = 'toys'
            """,
            members={
                "last_is_toys": "toys_last",
                "any_toys": "toys_last toys_first",
                "last_large_is_toys": "toys_last toys_first",
            },
        ),
    ),
    story(
        "N7 51: returns are negative",
        "Net counts what was returned, gross does not; returning everything leaves 0 and not nothing.",
        Turn(
            "2024-03-31T12:00",
            """
            keeps    2024-03-10  order_line  amount=100
            returns  2024-03-10  order_line  amount=100
            returns  2024-03-20  order_line  amount=-100
            """,
            """
            net: spent >= 100
            before_returns: gross >= 100
            nothing_left: spent = 0
            gave_back: sum('order_line').refund = 100
            """,
            members={
                "net": "keeps",
                "before_returns": "keeps returns",
                "nothing_left": "returns",
                "gave_back": "returns",
            },
        ),
    ),
    story(
        "N7 51: an unknown currency",
        "An amount in an unknown currency is missing, never 0: the event counts, its amount does not.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-10  order_line  currency=XXX",
            """
            ordered: did('order_line')
            amount_unknown: min('order_line').amount is null
            amount_zero: min('order_line').amount = 0
            """,
            members={"ordered": "ana", "amount_unknown": "ana", "amount_zero": ""},
        ),
    ),
    case(
        "N7: money without cents",
        "Amounts are written in whole units of the workspace's currency, also where it has no cents.",
        "sum('order_line').amount = 1250",
        """
        yen   2024-03-10  order_line  amount=1250
        sen   2024-03-10  order_line  amount=12
        """,
        "yen",
        currency="JPY",
    ),
    story(
        "15: numbers that are equal",
        "Whole numbers and fractions, negative numbers and zero compare by value, to the last digit.",
        Turn(
            "2024-03-31T12:00",
            """
            thirty  2024-03-10  identify  t_age=30
            third   2024-03-10  identify  t_age=0.3
            minus   2024-03-10  identify  t_age=-1
            zero    2024-03-10  identify  t_age=0
            """,
            """
            thirty_one_way: t_age = 30
            thirty_other_way: t_age = 30.0
            fraction: t_age = 0.3
            negative: t_age = -1
            nought: t_age = 0
            below_zero: t_age < 0
            listed: t_age in (-1, 0.3)
            """,
            members={
                "thirty_one_way": "thirty",
                "thirty_other_way": "thirty",
                "fraction": "third",
                "negative": "minus",
                "nought": "zero",
                "below_zero": "minus",
                "listed": "third minus",
            },
        ),
    ),
    case(
        "N2: any event at all",
        "`did(*)` means any event, several names in parentheses mean any of them.",
        "did(*, within => '7 days') and never(('page', 'cart'))",
        """
        other  2024-03-30  search
        page   2024-03-30  page
        cart   2024-03-30  cart
        old    2024-03-01  search
        """,
        "other",
    ),
    case(
        "12: event names are exact",
        "Event names are compared letter by letter, spaces and large letters included.",
        "did('Song Played')",
        """
        same     2024-03-30  "Song Played"
        small    2024-03-30  "song played"
        spaces   2024-03-30  "Song  Played"
        """,
        "same",
    ),
    story(
        "N2: days since",
        "Days since the last and the first event count fractions; without such an event they are missing.",
        Turn(
            "2024-03-31T12:00",
            """
            exact   2024-03-01T12:00:00         page
            over    2024-03-01T11:59:59.999999  page
            both    2024-01-01                  page
            both    2024-03-30                  page
            none    2024-03-30                  cart
            """,
            """
            long_ago: days_since('page') > 30
            thirty: days_since('page') = 30
            early: days_since_first('page') > 30
            unknown: days_since('page') is null
            """,
            members={"long_ago": "over", "thirty": "exact", "early": "over both", "unknown": "none"},
        ),
    ),
)
