"""One thing after another: sequences, first time, stopped, restarted, in so many periods, visits (S1 to S4)."""

from kohort.testing.conformance.case import Turn, case, story

CASES = (
    case(
        "S1 35: one after the other",
        "The second event must be strictly later, and at the limit it is still in time.",
        "sequence(did('cart'), did('order_line'), within => '1 day')",
        """
        later    2024-03-10T10:00            cart
        later    2024-03-10T11:00            order_line
        limit    2024-03-10T10:00            cart
        limit    2024-03-11T10:00            order_line
        late     2024-03-10T10:00            cart
        late     2024-03-11T10:00:00.000001  order_line
        same     2024-03-10T10:00            cart        #1
        same     2024-03-10T10:00            order_line  #2
        before   2024-03-10T11:00            cart
        before   2024-03-10T10:00            order_line
        """,
        "later limit",
    ),
    case(
        "S1 35: the same event twice",
        "An event does not follow itself: page then page needs two of them at different instants.",
        "sequence(did('page'), did('page'), within => '1 hour')",
        """
        once    2024-03-10T10:00  page
        twice   2024-03-10T10:00  page
        twice   2024-03-10T10:01  page
        at_once 2024-03-10T10:00  page  #1
        at_once 2024-03-10T10:00  page  #2
        far     2024-03-10T10:00  page
        far     2024-03-10T12:00  page
        """,
        "twice",
    ),
    case(
        "S1 35: any first event can start it",
        "It is enough that one of the first events is followed in time, also when an earlier one was not.",
        "sequence(did('cart'), did('order_line', amount > 10), within => '1 day')",
        """
        second    2024-03-01  cart
        second    2024-03-10  cart
        second    2024-03-10T12:00  order_line  amount=20
        filtered  2024-03-10  cart
        filtered  2024-03-10T12:00  order_line  amount=5
        """,
        "second",
    ),
    case(
        "S1 35: the window of a sequence",
        "Both events lie in the window; a first event outside of it does not count.",
        "sequence(did('cart', within => '7 days'), did('order_line'), within => '30 days')",
        """
        inside   2024-03-25        cart
        inside   2024-03-26        order_line
        outside  2024-03-20        cart
        outside  2024-03-26        order_line
        """,
        "inside",
    ),
    case(
        "S1 35: two sequences in one rule",
        "Two sequences of one rule do not disturb each other.",
        "sequence(did('a'), did('b'), within => '1 hour') and sequence(did('b'), did('a'), within => '1 hour')",
        """
        both     2024-03-10T10:00  a
        both     2024-03-10T10:30  b
        both     2024-03-10T11:00  a
        one_way  2024-03-10T10:00  a
        one_way  2024-03-10T10:30  b
        """,
        "both",
    ),
    story(
        "S2 35: and then not",
        "A then not B becomes true at the instant at which the time has passed, without any event.",
        Turn(
            "2024-03-11T09:59:59.999999",
            """
            left    2024-03-10T10:00  cart
            bought  2024-03-10T10:00  cart
            bought  2024-03-11T09:00  order_line
            other   2024-03-10T10:00  page
            """,
            "it: sequence(did('cart'), never('order_line'), within => '1 day')",
            members={"it": ""},
        ),
        Turn("2024-03-11T10:00", members={"it": "left"}, changes="left entered it"),
    ),
    story(
        "S2 22: and then not, until a late event",
        "It becomes false again when the missing event arrives late with an earlier time stamp.",
        Turn(
            "2024-03-12",
            "ana  2024-03-10T10:00  cart",
            "it: sequence(did('cart'), never('order_line'), within => '1 day')",
            members={"it": "ana"},
        ),
        Turn("2024-03-13", "ana  2024-03-10T12:00  order_line", members={"it": ""}, changes="ana left it"),
        Turn("2024-03-14", "ana  2024-03-12T12:00  order_line", members={"it": ""}, changes=""),
    ),
    case(
        "S2 35: one unanswered first event is enough",
        "Of two carts one may be followed: the other one was left.",
        "sequence(did('cart'), never('order_line'), within => '1 day')",
        """
        one_left  2024-03-10  cart
        one_left  2024-03-20  cart
        one_left  2024-03-20T12:00  order_line
        none_left 2024-03-20  cart
        none_left 2024-03-20T12:00  order_line
        limit     2024-03-20  cart
        limit     2024-03-21  order_line
        """,
        "one_left",
    ),
    story(
        "S3 36: first time",
        "The first time is the first one ever, not the first in the window; a late earlier event moves it.",
        Turn(
            "2024-03-31T12:00",
            """
            new    2024-03-28  order_line
            new    2024-03-29  order_line
            known  2023-01-01  order_line
            known  2024-03-28  order_line
            edge   2024-03-24T12:00  order_line
            none   2024-03-28  page
            """,
            "it: first_time('order_line', within => '7 days')",
            members={"it": "new"},
        ),
        Turn("2024-03-31T13:00", "new  2022-05-05  order_line", members={"it": ""}, changes="new left it"),
    ),
    case(
        "S3 36: first time of something special",
        "The first one is the first that meets the filter.",
        "first_time('order_line', category = 'toys', within => '7 days')",
        """
        first_toys  2023-01-01  order_line  category=books
        first_toys  2024-03-28  order_line  category=toys
        older_toys  2023-01-01  order_line  category=toys
        older_toys  2024-03-28  order_line  category=toys
        """,
        "first_toys",
    ),
    case(
        "S3 37: stopped",
        "Stopped: did in the outer window, not in the recent one; an event at the recent edge is not recent.",
        "stopped('page', within => '60 days', recent => '30 days')",
        """
        stopped  2024-02-15                  page
        edge     2024-03-01T12:00:00         page
        recent   2024-02-15                  page
        recent   2024-03-01T12:00:00.000001  page
        too_old  2024-01-31T12:00:00         page
        old_edge 2024-01-31T12:00:00.000001  page
        never    2024-02-15                  cart
        """,
        "stopped edge old_edge",
    ),
    case(
        "S3 37: restarted",
        "Restarted: did recently, was silent in the rest of the outer window, was active before it.",
        "restarted('page', within => '14 days', recent => '7 days')",
        """
        back       2024-03-13        page
        back       2024-03-26        page
        not_silent 2024-03-01        page
        not_silent 2024-03-20        page
        not_silent 2024-03-26        page
        new        2024-03-26        page
        still_away 2024-03-01        page
        edge       2024-03-17T12:00  page
        edge       2024-03-26        page
        """,
        "back edge",
    ),
    case(
        "S3 38: in so many periods",
        "Periods are complete local months: the current one does not count, several events in one count once.",
        "in_periods('page', at_least => 2, of => 3, period => 'month')",
        """
        two      2023-12-31T23:59:59.999999  page
        two      2024-01-01                  page
        two      2024-02-29                  page
        one      2024-01-01                  page
        one      2024-01-02                  page
        one      2024-03-30                  page
        all      2023-12-01                  page
        all      2024-01-01                  page
        all      2024-02-01                  page
        too_old  2023-11-30                  page
        too_old  2024-02-01                  page
        """,
        "two all",
    ),
    case(
        "S3 29 38: weeks begin on Monday",
        "Weeks are ISO weeks in local time; the one that contains the moment is not complete.",
        "in_periods('page', at_least => 2, of => 2, period => 'week')",
        """
        both       2024-03-11        page
        both       2024-03-24T22:59  page
        this_week  2024-03-17        page
        this_week  2024-03-24T23:00  page
        """,
        "both",
        zone="Europe/Berlin",
    ),
    case(
        "S3 38: days and years",
        "Days and years work the same way, with leap years.",
        "in_periods('page', at_least => 2, of => 2, period => 'day') or "
        "in_periods('page', at_least => 3, of => 3, period => 'year')",
        """
        days    2024-03-29T00:00  page
        days    2024-03-30T23:59  page
        today   2024-03-30        page
        today   2024-03-31        page
        years   2021-01-01        page
        years   2022-06-01        page
        years   2023-12-31        page
        gap     2021-01-01        page
        gap     2023-06-01        page
        gap     2024-01-01        page
        """,
        "days years",
    ),
    case(
        "S4: visits",
        "A pause of just that length does not end a visit, a longer one does; one that goes on is cut after two hours.",
        "visits = 2",
        """
        pause    2024-03-10T10:00            page
        pause    2024-03-10T10:30            page
        pause    2024-03-10T11:00:00.000001  page
        one      2024-03-10T10:00            page
        one      2024-03-10T10:30            page
        cut      2024-03-10T10:00            page
        cut      2024-03-10T10:30            page
        cut      2024-03-10T11:00            page
        cut      2024-03-10T11:30            page
        cut      2024-03-10T12:00            page
        not_cut  2024-03-10T10:00            page
        not_cut  2024-03-10T10:30            page
        not_cut  2024-03-10T11:00            page
        not_cut  2024-03-10T11:30            page
        not_cut  2024-03-10T11:59:59.999999  page
        others   2024-03-10T10:00            page
        others   2024-03-10T10:30            cart
        others   2024-03-10T11:00            page
        """,
        "pause cut others",
    ),
)
