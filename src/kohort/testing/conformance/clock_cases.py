"""Clocks of clients: what is corrected at the door, what is left, what is put aside (T6, 34)."""

from kohort.testing.conformance.case import Turn, story

CASES = (
    story(
        "T6 34: a clock that is ahead",
        "An event happened as long before it came in as the client says it waited, however far ahead its clock is.",
        Turn(
            calls="""
            hours   page at 2024-03-31T14:55 sent 2024-03-31T15:00 received 2024-03-31T12:00
            second  page at 2024-03-31T11:50:01 sent 2024-03-31T12:00:01 received 2024-03-31T12:00
            years   page at 2031-01-01T00:00 sent 2031-01-01T00:30 received 2024-03-31T12:00
            """,
            segments="ten: did('page', within => '10 minutes')\nhour: did('page', within => '1 hour')",
            members={"ten": "hours", "hour": "hours second years"},
        ),
    ),
    story(
        "T6 34: a clock that is behind",
        "A clock that is more than a minute behind is corrected; one within a minute is left alone, as the network takes time.",
        Turn(
            calls="""
            minute  page at 2024-03-31T11:30 sent 2024-03-31T11:59 received 2024-03-31T12:00
            more    page at 2024-03-31T11:29:59 sent 2024-03-31T11:58:59.999999 received 2024-03-31T12:00
            hours   page at 2024-03-31T08:30 sent 2024-03-31T09:00 received 2024-03-31T12:00
            unset   page at 1970-01-01T00:10 sent 1970-01-01T00:15 received 2024-03-31T12:00
            """,
            segments="""
            half: did('page', within => '30 minutes')
            thirty_one: did('page', within => '31 minutes')
            ten: did('page', within => '10 minutes')
            """,
            members={"half": "unset more", "thirty_one": "minute hours unset more", "ten": "unset"},
        ),
    ),
    story(
        "T6 34: history has a time of its own",
        "What was stated more than a week before it was sent, or after it, is no wrong clock and keeps its time.",
        Turn(
            calls="""
            week     page at 2024-03-24T13:00 sent 2024-03-31T13:00 received 2024-03-31T12:00
            longer   page at 2024-03-24T12:59:59 sent 2024-03-31T13:00 received 2024-03-31T12:00
            after    page at 2024-03-31T11:00 sent 2024-03-31T09:00 received 2024-03-31T12:00
            rounded  page at 2024-03-31T13:00:00.500000 sent 2024-03-31T13:00 received 2024-03-31T12:00
            """,
            segments="""
            now: did('page', within => '1 minute')
            hour: did('page', within => '61 minutes')
            week: did('page', within => '7 days')
            more: did('page', within => '8 days')
            """,
            members={
                "now": "rounded",
                "hour": "rounded after",
                "week": "rounded after longer",
                "more": "rounded after longer week",
            },
        ),
    ),
    story(
        "T6 34: times that say nothing",
        "Without a stated time an event happened when it came in; a sending time that is missing or absurd corrects nothing.",
        Turn(
            calls="""
            silent  page received 2024-03-31T12:00
            sent    page sent 2024-03-31T18:00 received 2024-03-31T12:00
            absurd  page at 2024-03-31T11:00 sent soon received 2024-03-31T12:00
            alone   page at 2024-03-31T11:00 received 2024-03-31T12:00
            """,
            segments="now: did('page', within => '1 minute')\nhour: did('page', within => '61 minutes')",
            members={"now": "silent sent", "hour": "silent sent absurd alone"},
        ),
    ),
    story(
        "T6 34: more than a day ahead",
        "An event up to a day ahead waits for its time; one further ahead, or before 1971, is put aside for good.",
        Turn(
            "2024-03-31T12:00",
            calls="""
            day      page at 2024-04-01T12:00 received 2024-03-31T12:00
            further  page at 2024-04-01T12:00:00.000001 received 2024-03-31T12:00
            ancient  page at 1970-06-01T12:00 received 2024-03-31T12:00
            """,
            segments="it: did('page')",
            members={"it": ""},
        ),
        Turn("2024-04-01T11:59", members={"it": ""}),
        Turn("2024-04-01T12:00", members={"it": "day"}),
        Turn("2024-05-01T12:00", members={"it": "day"}),
    ),
)
