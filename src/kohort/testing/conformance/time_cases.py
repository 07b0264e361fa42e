"""Time: what is visible, windows, calendars, zones, late and future events (T1 to T7)."""

from kohort.testing.conformance.case import Turn, case, story

CASES = (
    case(
        "T1: nothing later",
        "An event at the very moment counts; one a microsecond later is not visible yet.",
        "did('page')",
        """
        now    2024-03-31T12:00:00         page
        later  2024-03-31T12:00:00.000001  page
        later  2024-03-01                  identify  t_age=30
        """,
        "now",
    ),
    case(
        "T1: traits learned later",
        "A trait is what was known at the moment asked about, not what was learned later.",
        "t_country = 'DE'",
        """
        moves  2024-03-01                  identify  t_country=DE
        moves  2024-03-31T12:00:00.000001  identify  t_country=FR
        comes  2024-03-01                  identify  t_country=FR
        comes  2024-04-02                  identify  t_country=DE
        """,
        "moves",
    ),
    story(
        "T1 32: one moment per run",
        "All rules of a run see the same moment; a relative window moves on with the next run.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-30T12:00  page",
            """
            within_two: did('page', within => '2 days')
            two_days: did('page', within => '48 hours')
            relative: t_joined > ago('2 days') or did('page', within => '2 days')
            """,
            members={"within_two": "ana", "two_days": "ana", "relative": "ana"},
        ),
        Turn("2024-04-01T12:00", members={"within_two": "", "two_days": "", "relative": ""}),
    ),
    story(
        "T1 M1: the past stays",
        "What was true on an earlier day can be asked later and is what it was.",
        Turn("2024-03-01", "ana  2024-02-20  page", "it: did('page', within => '30 days')", members={"it": "ana"}),
        Turn(
            "2024-03-31T12:00",
            "ben  2024-03-30  page",
            members={"it": "ben"},
            past={"2024-03-01": {"it": "ana"}, "2024-03-20": {"it": "ana"}, "2024-02-20": {"it": ""}},
        ),
    ),
    case(
        "T2 26: the old edge of within",
        "An event exactly 30 days old is out of the last 30 days; one a microsecond younger is in.",
        "did('page', within => '30 days')",
        """
        inside   2024-03-01T12:00:00.000001  page
        edge     2024-03-01T12:00:00         page
        outside  2024-03-01T11:59:59.999999  page
        """,
        "inside",
    ),
    case(
        "T2 26: both edges of between",
        "Between 90 and 30 days ago holds what is exactly 30 days old and not what is exactly 90 days old.",
        "did('page', between => '90 and 30 days ago')",
        """
        new_edge     2024-03-01T12:00:00         page
        too_new      2024-03-01T12:00:00.000001  page
        inside       2024-02-01                  page
        old_edge     2024-01-01T12:00:00         page
        just_inside  2024-01-01T12:00:00.000001  page
        """,
        "new_edge inside just_inside",
    ),
    case(
        "T2 19: windows side by side",
        "Did 30 to 90 days ago but not in the last 30: no event is in both windows, none between them is missed.",
        "did('page', between => '90 and 30 days ago') and never('page', within => '30 days')",
        """
        before  2024-02-15                  page
        both    2024-02-15                  page
        both    2024-03-15                  page
        edge    2024-03-01T12:00:00         page
        recent  2024-03-01T12:00:00.000001  page
        """,
        "before edge",
    ),
    case(
        "T3 29: months step in the calendar",
        "A month before 31 March is the last day of February, at the same time of day.",
        "did('page', within => '1 month')",
        """
        inside  2024-02-29T12:00:00.000001  page
        edge    2024-02-29T12:00:00         page
        """,
        "inside",
    ),
    case(
        "T3 29: years step in the calendar",
        "A year before 29 February is 28 February.",
        "did('page', within => '1 year')",
        """
        inside  2023-02-28T12:00:00.000001  page
        edge    2023-02-28T12:00:00         page
        """,
        "inside",
        as_of="2024-02-29T12:00",
    ),
    case(
        "T3 31: a day is 24 hours, also when clocks change",
        "Days are fixed lengths: on the day after clocks go forward, 1 day ago is another time of day.",
        "did('page', within => '1 day')",
        """
        inside  2024-03-30T12:00:00.000001  page
        edge    2024-03-30T12:00:00         page
        """,
        "inside",
        zone="Europe/Berlin",
    ),
    case(
        "T3 31: a month keeps the time of day when clocks change",
        "Noon in Berlin a month earlier is noon in Berlin, an hour later in UTC.",
        "did('page', within => '1 month')",
        """
        inside  2024-03-30T11:00:00.000001  page
        edge    2024-03-30T11:00:00         page
        """,
        "inside",
        as_of="2024-04-30T10:00",
        zone="Europe/Berlin",
    ),
    case(
        "T3: minutes, hours and weeks",
        "Minutes, hours and weeks are fixed lengths.",
        "did('page', within => '90 minutes') or did('cart', within => '36 hours') or did('order_line', within => '2 weeks')",
        """
        minutes_in   2024-03-31T10:30:00.000001  page
        minutes_out  2024-03-31T10:30:00         page
        hours_in     2024-03-30T00:00:00.000001  cart
        hours_out    2024-03-30T00:00:00         cart
        weeks_in     2024-03-17T12:00:00.000001  order_line
        weeks_out    2024-03-17T12:00:00         order_line
        """,
        "minutes_in hours_in weeks_in",
    ),
    case(
        "T4: windows are exact",
        "A window is never rounded to days: yesterday morning is outside of 1 day at noon.",
        "did('page', within => '1 day')",
        """
        morning  2024-03-30T09:00  page
        evening  2024-03-30T20:00  page
        """,
        "evening",
    ),
    case(
        "T4: calendar days are whole local days",
        "1 calendar day is today since local midnight, that instant included.",
        "did('page', within => '1 calendar day')",
        """
        today      2024-03-30T23:00:00         page
        yesterday  2024-03-30T22:59:59.999999  page
        """,
        "today",
        zone="Europe/Berlin",
    ),
    case(
        "T4: seven calendar days",
        "7 calendar days are today and the six days before.",
        "did('page', within => '7 calendar days')",
        """
        first_day  2024-03-25T00:00:00         page
        before     2024-03-24T23:59:59.999999  page
        """,
        "first_day",
    ),
    case(
        "T5 31: dates are local dates",
        "A date begins at local midnight in the workspace's time zone.",
        "t_joined >= '2024-03-01'",
        """
        first     2024-03-10  identify  t_joined=2024-03-01T05:00:00
        day_early 2024-03-10  identify  t_joined=2024-03-01T04:59:59.999999
        """,
        "first",
        zone="America/New_York",
    ),
    case(
        "T5 31: moments are instants",
        "A moment with its offset is the same instant in every time zone.",
        "t_joined >= '2024-03-01T00:00:00Z'",
        """
        at      2024-03-10  identify  t_joined=2024-03-01T00:00:00
        before  2024-03-10  identify  t_joined=2024-02-29T23:59:59.999999
        """,
        "at",
        zone="America/New_York",
    ),
    story(
        "T5 31: a definition can have its own time zone",
        "The time zone of a definition decides its calendar days, not that of the workspace.",
        Turn(
            "2024-03-31T12:00",
            """
            early  2024-03-30T19:00  page
            late   2024-03-31T03:00  page
            """,
            """
            here: did('page', within => '1 calendar day')
            kolkata: {rule: "did('page', within => '1 calendar day')", timezone: Asia/Kolkata}
            new_york: {rule: "did('page', within => '1 calendar day')", timezone: America/New_York}
            """,
            members={"here": "late", "kolkata": "early late", "new_york": ""},
        ),
    ),
    case(
        "T5 31: the hour that clocks repeat",
        "In the hour that happens twice, windows go by the instant, not by what the clock shows.",
        "did('page', within => '1 hour')",
        """
        inside  2024-10-27T00:30:00.000001  page
        edge    2024-10-27T00:30:00         page
        """,
        "inside",
        as_of="2024-10-27T01:30",
        zone="Europe/Berlin",
    ),
    story(
        "T6 22: future events wait",
        "An event of the future is kept and counts when its time has come.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-31T13:00  page
            ana  2024-03-01        page
            """,
            "it: did('page', at_least => 2)",
            members={"it": ""},
        ),
        Turn("2024-03-31T13:00", members={"it": "ana"}, changes="ana entered it"),
    ),
    story(
        "T7 22: late events",
        "An event that arrives late counts as if it had come in order.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-20  page",
            "it: did('page', within => '30 days', at_least => 2)",
            members={"it": ""},
        ),
        Turn("2024-03-31T13:00", "ana  2024-03-10  page", members={"it": "ana"}, changes="ana entered it"),
    ),
    story(
        "T7 22: late and already over",
        "An event that arrives after its window is over changes nothing.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-20  identify  t_age=30",
            "it: did('page', within => '30 days')",
            members={"it": ""},
        ),
        Turn("2024-03-31T13:00", "ana  2024-02-20  page", members={"it": ""}, changes=""),
    ),
    story(
        "T7 27: time alone ends a membership",
        "A membership ends at the exact instant at which the window moves past the event, without any new event.",
        Turn(
            "2024-03-31T11:59:59.999999",
            "ana  2024-03-01T12:00  page",
            "it: did('page', within => '30 days')",
            members={"it": "ana"},
        ),
        Turn("2024-03-31T12:00", members={"it": ""}, changes="ana left it"),
    ),
    case(
        "T3: ago in a comparison",
        "A trait is compared with a moment that moves along; equal is not later.",
        "t_joined > ago('1 month')",
        """
        inside  2024-03-10  identify  t_joined=2024-02-29T12:00:00.000001
        edge    2024-03-10  identify  t_joined=2024-02-29T12:00:00
        nobody  2024-03-10  identify  t_age=30
        """,
        "inside",
    ),
    case(
        "T3: ahead in a comparison",
        "A moment ahead steps in the calendar as well: a month after 31 March is 30 April.",
        "t_renewal <= ahead('1 month')",
        """
        edge     2024-03-10  identify  t_renewal=2024-04-30T12:00:00
        outside  2024-03-10  identify  t_renewal=2024-04-30T12:00:00.000001
        """,
        "edge",
    ),
    case(
        "29: anniversaries",
        "The month and the day of a date can be compared with today's, whatever the year.",
        "month(t_birthday) = month(now()) and day(t_birthday) = day(now())",
        """
        today     2024-03-10  identify  t_birthday=1990-03-31T08:00
        next_day  2024-03-10  identify  t_birthday=1990-04-01T08:00
        no_date   2024-03-10  identify  t_age=30
        """,
        "today",
    ),
    case(
        "29: weekdays",
        "Weekdays count from 1 = Monday, in local time.",
        "weekday(t_joined) = 1 and hour(t_joined) = 0",
        """
        monday  2024-03-26  identify  t_joined=2024-03-24T23:00
        sunday  2024-03-26  identify  t_joined=2024-03-24T22:59
        """,
        "monday",
        zone="Europe/Berlin",
    ),
    story(
        "33: unchanged for a time",
        "Being told the same again does not restart the clock, a change does, and what is missing changes nothing.",
        Turn(
            "2024-03-31T12:00",
            """
            same     2024-02-01T12:00  identify  t_plan=gold
            same     2024-03-20T12:00  identify  t_plan=GOLD
            changed  2024-02-01T12:00  identify  t_plan=gold
            changed  2024-03-20T12:00  identify  t_plan=silver
            back     2024-02-01T12:00  identify  t_plan=gold
            back     2024-03-19T12:00  identify  t_plan=silver
            back     2024-03-20T12:00  identify  t_plan=gold
            silent   2024-02-01T12:00  identify  t_plan=gold
            silent   2024-03-20T12:00  identify  t_plan=
            exact    2024-03-01T12:00  identify  t_plan=gold
            unknown  2024-03-01T12:00  page
            """,
            """
            settled: days_unchanged(t_plan) >= 30
            moving: days_unchanged(t_plan) < 30
            """,
            members={"settled": "same silent exact", "moving": "changed back"},
        ),
        Turn("2024-04-19T12:00", members={"settled": "same silent exact changed back", "moving": ""}),
    ),
)
