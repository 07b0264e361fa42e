"""Members over time: entries and exits, edits, people's decisions, consent, pauses (M1 to M4, M9)."""

from kohort.testing.conformance.case import Turn, story

CASES = (
    story(
        "M1 M2 55: the same run again",
        "Doing a run again, or saving a definition without a change, changes nothing and tells nobody.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  page
            ben  2024-03-30  cart
            """,
            "it: did('page')",
            members={"it": "ana"},
            changes="ana entered it (backfill)",
        ),
        Turn("2024-03-31T12:00", members={"it": "ana"}, changes=""),
        Turn("2024-03-31T13:00", segments="it: (did('page'))", members={"it": "ana"}, changes=""),
        Turn(
            "2024-03-31T14:00",
            segments="it: {rule: did('page'), label: Visitors, description: Who looked around}",
            members={"it": "ana"},
            changes="",
        ),
    ),
    story(
        "M2 28: entries and exits",
        "Each entry and each exit is told once; who comes back enters again.",
        Turn(
            "2024-01-01",
            "ben  2023-12-31  cart",
            "it: did('page', within => '30 days')",
            members={"it": ""},
        ),
        Turn("2024-01-11", "ana  2024-01-10  page", members={"it": "ana"}, changes="ana entered it"),
        Turn("2024-01-21", "ana  2024-01-20  page", members={"it": "ana"}, changes=""),
        Turn("2024-02-19", members={"it": ""}, changes="ana left it"),
        Turn("2024-02-20", members={"it": ""}, changes=""),
        Turn("2024-03-02", "ana  2024-03-01  page", members={"it": "ana"}, changes="ana entered it"),
    ),
    story(
        "M1: a run that cannot be done",
        "A run for a moment before the latest one is refused, and the members stay as they were.",
        Turn("2024-03-31T12:00", "ana  2024-03-30  page", "it: did('page')", members={"it": "ana"}),
        Turn(
            "2024-03-30T12:00",
            "ben  2024-03-29  page",
            refused="wrong_usage",
            members={"it": "ana"},
            changes="",
        ),
        Turn("2024-03-31T13:00", members={"it": "ana ben"}, changes="ben entered it"),
    ),
    story(
        "M3 24: a higher threshold",
        "An edited definition is asked of everybody anew; nothing of the old one remains.",
        Turn(
            "2024-03-31T12:00",
            """
            once   2024-03-30  page
            twice  2024-03-29  page
            twice  2024-03-30  page
            """,
            "it: did('page')",
            members={"it": "once twice"},
        ),
        Turn(
            "2024-03-31T13:00",
            segments="it: did('page', at_least => 2)",
            members={"it": "twice"},
            changes="once left it (backfill)",
        ),
    ),
    story(
        "M3 24: a window is added",
        "With a window in place of none, who is only in by old events leaves.",
        Turn(
            "2024-03-31T12:00",
            """
            old     2023-03-30  page
            recent  2024-03-30  page
            """,
            "it: did('page')",
            members={"it": "old recent"},
        ),
        Turn(
            "2024-03-31T13:00",
            segments="it: did('page', within => '30 days')",
            members={"it": "recent"},
            changes="old left it (backfill)",
        ),
    ),
    story(
        "M3 24 57: another event",
        "Asking for another event swaps the members; those entries come from the edit, so they are marked as backfill.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  page
            ben  2024-03-30  screen
            """,
            "it: did('page')",
            members={"it": "ana"},
            changes="ana entered it (backfill)",
        ),
        Turn(
            "2024-03-31T13:00",
            segments="it: did('screen')",
            members={"it": "ben"},
            changes="""
            ana left it (backfill)
            ben entered it (backfill)
            """,
        ),
        Turn("2024-03-31T14:00", "ana  2024-03-31T13:30  screen", members={"it": "ana ben"}, changes="ana entered it"),
    ),
    story(
        "M3: editing what another one needs",
        "Whoever edits a segment edits those that refer to it: their changes are marked as backfill too.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  page
            ben  2024-03-30  cart
            """,
            """
            base: did('page')
            top: in_segment('base')
            """,
            members={"base": "ana", "top": "ana"},
        ),
        Turn(
            "2024-03-31T13:00",
            segments="""
            base: did('page') or did('cart')
            top: in_segment('base')
            """,
            members={"base": "ana ben", "top": "ana ben"},
            changes="""
            ben entered base (backfill)
            ben entered top (backfill)
            """,
        ),
    ),
    story(
        "23: events from before the segment",
        "A new segment looks at everything that ever happened, not only at what comes after it.",
        Turn("2024-03-31T12:00", "ana  2010-05-05  page", "other: did('cart')", members={"other": ""}),
        Turn(
            "2024-03-31T13:00",
            "ben  2011-05-05  page",
            segments="it: did('page')",
            remove="other",
            members={"it": "ana ben"},
        ),
    ),
    story(
        "M4 44: by hand beats the rule",
        "Who was put in stays in, who was taken out stays out, run after run; until it is left to the rule again.",
        Turn(
            "2024-03-31T12:00",
            """
            member   2024-03-30  page
            put_in   2024-03-30  cart
            """,
            "it: did('page')",
            members={"it": "member"},
        ),
        Turn(
            "2024-03-31T13:00",
            by_hand="""
            take member out of it
            put put_in in it
            """,
            members={"it": "put_in"},
        ),
        Turn("2024-03-31T14:00", members={"it": "put_in"}, changes=""),
        Turn("2024-03-31T15:00", segments="it: did('page') or did('nothing')", members={"it": "put_in"}, changes=""),
        Turn(
            "2024-03-31T16:00",
            by_hand="""
            forget member in it
            forget put_in in it
            """,
            members={"it": "member"},
        ),
    ),
    story(
        "M4 44: a list by hand",
        "A segment without a rule holds whom people put in and nobody else.",
        Turn("2024-03-31T12:00", "ana  2024-03-30  page", "friends: {by_hand: true}", members={"friends": ""}),
        Turn("2024-03-31T13:00", by_hand="put ana in friends", members={"friends": "ana"}),
        Turn("2024-03-31T14:00", by_hand="take ana out of friends", members={"friends": ""}),
    ),
    story(
        "M9: consent",
        "Without consent for its purpose nobody is a member; how many were left out is counted; unknown is no consent.",
        Turn(
            "2024-03-31T12:00",
            """
            agreed   2024-03-10  identify  t_newsletter=true
            agreed   2024-03-11  page
            refused  2024-03-10  identify  t_newsletter=false
            refused  2024-03-11  page
            unknown  2024-03-11  page
            other    2024-03-10  identify  t_newsletter=false
            """,
            """
            news: {rule: did('page'), purpose: marketing}
            plain: did('page')
            """,
            members={"news": "agreed", "plain": "agreed refused unknown"},
            left_out={"news": 2, "plain": 0},
        ),
        Turn(
            "2024-03-31T13:00",
            "agreed  2024-03-31T12:30  identify  t_newsletter=false",
            members={"news": ""},
            left_out={"news": 3},
            changes="agreed left news",
        ),
    ),
    story(
        "M9 M4: consent comes before the hand",
        "Putting somebody in by hand does not replace her consent.",
        Turn(
            "2024-03-31T12:00",
            """
            agreed   2024-03-10  identify  t_newsletter=true
            refused  2024-03-10  identify  t_newsletter=false
            """,
            "news: {by_hand: true, purpose: marketing}",
            by_hand="""
            put agreed in news
            put refused in news
            """,
            members={"news": "agreed"},
            left_out={"news": 1},
        ),
    ),
    story(
        "M10: objection to profiling",
        "Who objects is in no segment that needs profiling, until she takes it back; lists by hand and chance need none.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-10  page
            ben  2024-03-10  page
            """,
            """
            active: did('page')
            tiers: {tiers: {often: {rule: "did('page', at_least => 2)"}, once: {rule: "did('page')", keep: "did('page')"}}}
            plain: {rule: did('page'), profiling: false}
            friends: {by_hand: true}
            draw: {buckets: {all: 100}}
            others: not in_segment('active')
            quiet: {rule: not in_segment('active'), profiling: false}
            """,
            by_hand="put ana in friends",
            members={"active": "ana ben", "others": "", "quiet": ""},
        ),
        Turn(
            "2024-03-31T13:00",
            by_hand="take ana out of !objection\nput ana in active",
            members={
                "active": "ben",
                "tiers": {"once": "ben"},
                "plain": "ana ben",
                "friends": "ana",
                "draw": {"all": "ana ben"},
                "others": "",
                "quiet": "ana",
            },
            changes="ana left active\nana left tiers once\nana entered quiet",
        ),
        Turn("2024-03-31T14:00", by_hand="forget ana in !objection", members={"active": "ana ben", "quiet": ""}),
    ),
    story(
        "M10: restriction of use",
        "Who may be kept but not used is in no segment whatever, not even by hand.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-10  page\nben  2024-03-10  page",
            "plain: {rule: did('page'), profiling: false}\nfriends: {by_hand: true}\ndraw: {buckets: {all: 100}}",
            by_hand="put ana in friends\nput ben in friends\ntake ana out of !restriction",
            members={"plain": "ben", "friends": "ben", "draw": {"all": "ben"}},
        ),
        Turn(
            "2024-03-31T13:00", by_hand="forget ana in !restriction", members={"plain": "ana ben", "friends": "ana ben"}
        ),
    ),
    story(
        "M9 L8: consent inside another segment",
        "A segment that refers to one with a purpose sees only the members who agreed.",
        Turn(
            "2024-03-31T12:00",
            """
            agreed   2024-03-10  identify  t_newsletter=true
            refused  2024-03-10  identify  t_newsletter=false
            """,
            """
            news: {rule: did('identify'), purpose: marketing}
            outside: not in_segment('news')
            """,
            members={"news": "agreed", "outside": "refused"},
        ),
    ),
    story(
        "56: paused",
        "A paused segment keeps its members and tells nobody anything; others see the members it has.",
        Turn(
            "2024-03-01",
            "ana  2024-02-20  page",
            """
            it: did('page', within => '30 days')
            top: in_segment('it')
            """,
            members={"it": "ana", "top": "ana"},
        ),
        Turn(
            "2024-03-31T12:00",
            "ben  2024-03-30  page",
            segments="""
            it: {rule: "did('page', within => '30 days')", paused: true}
            top: in_segment('it')
            """,
            members={"it": "ana", "top": "ana"},
            changes="",
        ),
        Turn(
            "2024-03-31T13:00",
            segments="""
            it: did('page', within => '30 days')
            top: in_segment('it')
            """,
            members={"it": "ben", "top": "ben"},
            changes="""
            ana left it
            ben entered it
            ana left top
            ben entered top
            """,
        ),
    ),
)
