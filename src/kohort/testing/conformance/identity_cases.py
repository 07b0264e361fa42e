"""Visitors, several ids of one customer, erasure (L7, M5, M6)."""

from kohort.testing.conformance.case import Turn, story

CASES = (
    story(
        "L7 43: visitors are left out",
        "Who never said who they are is in no segment that does not ask for visitors, and is not counted.",
        Turn(
            events="""
            ana   2024-03-30  page
            ~tab  2024-03-30  page
            """,
            segments="it: did('page')\nnone: not did('cart')",
            members={"it": "ana", "none": "ana"},
            counted=(1, 0),
        ),
    ),
    story(
        "L7 43: visitors are included",
        "With include_anonymous visitors are members like everybody, and both are counted.",
        Turn(
            events="""
            ana   2024-03-30  page
            ben   2024-03-30  cart
            ~tab  2024-03-30  page
            ~pad  2024-03-30  cart
            """,
            segments="""
it: {rule: did('page'), include_anonymous: true}
known: did('page')
both: {rule: in_segment('it') or did('cart'), include_anonymous: true}
""",
            members={"it": "ana ~tab", "known": "ana", "both": "ana ben ~tab ~pad"},
            counted=(2, 2),
        ),
    ),
    story(
        "L7 M7 47: visitors have random numbers",
        "The random number of a visitor lies from 0 to 100 as well: buckets split visitors like everybody.",
        Turn(
            events="\n".join(f"~v{n:02}  2024-03-30  page" for n in range(20)),
            segments="""
split: {buckets: {test: 50, control: 50}, salt: spring, include_anonymous: true}
everyone: {rule: in_segment('split'), include_anonymous: true}
bounds: {rule: random_bucket('spring') < 0 or random_bucket('spring') >= 100, include_anonymous: true}
""",
            members={"everyone": " ".join(f"~v{n:02}" for n in range(20)), "bounds": ""},
            counted=(0, 20),
        ),
    ),
    story(
        "L7 43: visitors are included later",
        "Including visitors is an edit like any other: they enter, and leave when it is taken back.",
        Turn(
            "2024-03-31T12:00",
            """
            ana   2024-03-30  page
            ~tab  2024-03-30  page
            """,
            "it: did('page')",
            members={"it": "ana"},
        ),
        Turn(
            "2024-03-31T13:00",
            segments="it: {rule: did('page'), include_anonymous: true}",
            members={"it": "ana ~tab"},
            changes="~tab entered it (backfill)",
        ),
        Turn(
            "2024-03-31T14:00",
            segments="it: {rule: did('page'), minimum_stay: 9 days}",
            members={"it": "ana"},
            changes="~tab left it (backfill)",
        ),
    ),
    story(
        "M5 40: merge of two profiles",
        "A merge equals recomputing over the union of their events: counts add up, the survivor keeps the id, the other has none.",
        Turn(
            "2024-03-01",
            """
            ana  2024-02-01  cart
            old  2024-02-02  cart
            ana  2024-02-03  page
            old  2024-02-04  page
            ben  2024-02-05  page
            """,
            "two: did('cart', at_least => 2)\none: did('page')",
            members={"two": "", "one": "ana old ben"},
            counted=(3, 0),
        ),
        Turn(
            "2024-03-02",
            links="old  2024-03-01T12:00  is  ana  #l1",
            members={"two": "ana", "one": "ana ben"},
            changes="ana entered two\nold left one",
            counted=(2, 0),
        ),
        Turn("2024-03-03", members={"two": "ana", "one": "ana ben"}, changes=""),
    ),
    story(
        "M5 40: the latest trait of both",
        "Of conflicting traits the latest holds, whichever of the two ids it came with.",
        Turn(
            events="""
            ana  2024-03-01  identify  t_country=DE
            old  2024-03-02  identify  t_country=FR
            ben  2024-03-02  identify  t_country=FR
            eve  2024-03-01  identify  t_country=DE
            """,
            segments="it: t_country = 'FR'",
            links="""
            old  2024-03-03  is  ana  #l1
            eve  2024-03-03  is  ben  #l2
            """,
            members={"it": "ana ben"},
        ),
    ),
    story(
        "M5 M9 40: consent of two profiles",
        "After a merge the stricter consent of the two holds, until she agrees again; an id that said nothing takes nothing away.",
        Turn(
            "2024-03-10",
            """
            ana  2024-03-01  identify  t_newsletter=true
            old  2024-02-01  identify  t_newsletter=false
            ben  2024-02-01  identify  t_newsletter=false
            eld  2024-03-01  identify  t_newsletter=true
            eve  2024-03-01  identify  t_newsletter=true
            new  2024-02-01  page
            """,
            "news: {rule: did(*), purpose: marketing}\ntrait: t_newsletter\noutside: not in_segment('news')",
            members={"news": "ana eld eve", "trait": "ana eld eve", "outside": "old ben new"},
            left_out={"news": 3},
        ),
        Turn(
            "2024-03-12",
            links="""
            old  2024-03-11  is  ana  #l1
            eld  2024-03-11  is  ben  #l2
            new  2024-03-11  is  eve  #l3
            """,
            members={"news": "eve", "trait": "ana ben eve", "outside": "ana ben"},
            left_out={"news": 2},
        ),
        Turn(
            "2024-03-14",
            """
            old  2024-03-13  identify  t_newsletter=true
            ben  2024-03-10T23:59:59  identify  t_newsletter=true
            eve  2024-03-13  page
            """,
            members={"news": "ana ben eve", "outside": ""},
            changes="ana entered news\nben entered news\nana left outside\nben left outside",
            past={"2024-03-12": {"news": "eve"}},
        ),
        Turn(
            "2024-03-16",
            "new  2024-03-15  identify  t_newsletter=false",
            members={"news": "ana ben", "outside": "eve"},
        ),
    ),
    story(
        "M5 M9 40: when the ids became one",
        "A yes counts for a no of another id if the two were one customer by then, whatever they are joined with later.",
        Turn(
            "2024-03-10",
            """
            x    2024-03-01  identify  t_newsletter=false
            y    2024-03-03  identify  t_newsletter=true
            p    2024-03-01  identify  t_newsletter=false
            q    2024-03-03  identify  t_newsletter=true
            top  2024-03-01  page
            sum  2024-03-01  page
            """,
            "news: {rule: did(*), purpose: marketing}",
            links="""
            x    2024-03-02  is  y    #l1
            y    2024-03-05  is  top  #l2
            p    2024-03-03T00:00:00.000001  is  q  #l3
            q    2024-03-05  is  sum  #l4
            """,
            members={"news": "top"},
            left_out={"news": 1},
        ),
        Turn("2024-03-11", taken_back="l3", members={"news": "top sum"}, changes="sum entered news"),
    ),
    story(
        "M5 M10: what one id forbids",
        "What any id of a customer forbids holds for her after a merge, and no longer for the others after a split.",
        Turn(
            "2024-03-10",
            """
            ana  2024-03-01  page
            old  2024-03-01  page
            """,
            "it: did('page')",
            links="old  2024-03-05  is  ana  #l1",
            by_hand="take old out of !objection",
            members={"it": ""},
        ),
        Turn("2024-03-11", taken_back="l1", members={"it": "ana"}),
    ),
    story(
        "M5 40: a split",
        "Taking a link back undoes the merge: everybody has their own events again.",
        Turn(
            "2024-03-02",
            """
            ana  2024-02-01  cart
            old  2024-02-02  cart
            """,
            "two: did('cart', at_least => 2)\none: did('cart')",
            links="old  2024-03-01  is  ana  #l1",
            members={"two": "ana", "one": "ana"},
        ),
        Turn(
            "2024-03-03",
            taken_back="l1",
            members={"two": "", "one": "ana old"},
            changes="ana left two\nold entered one",
        ),
    ),
    story(
        "M5 40: several steps and circles",
        "Who leads to somebody who leads to somebody belongs to the last; a link that would close a circle is passed over.",
        Turn(
            events="""
            ana  2024-03-01  cart
            bea  2024-03-01  cart
            cleo 2024-03-01  cart
            """,
            segments="it: did('cart', at_least => 3)",
            links="""
            ana   2024-03-02  is  bea   #l1
            bea   2024-03-03  is  cleo  #l2
            cleo  2024-03-04  is  ana   #l3
            """,
            members={"it": "cleo"},
        ),
    ),
    story(
        "M5 40: only the first link counts",
        "Who is led already is not led elsewhere, whatever order the links arrive in.",
        Turn(
            "2024-03-10",
            """
            old  2024-03-01  cart
            ana  2024-03-01  page
            ben  2024-03-01  page
            """,
            "it: did('cart')",
            links="old  2024-03-05  is  ben  #l2",
            members={"it": "ben"},
        ),
        Turn(
            "2024-03-11",
            links="old  2024-03-04  is  ana  #l1",
            members={"it": "ana"},
            changes="ana entered it\nben left it",
        ),
    ),
    story(
        "M5 40: what people decided",
        "A decision by hand about an id that is led is one about the survivor, unless people decided about her too.",
        Turn(
            "2024-03-10",
            """
            ana  2024-03-01  page
            old  2024-03-01  cart
            ben  2024-03-01  page
            eld  2024-03-01  cart
            """,
            "it: did('order_line')",
            by_hand="""
            put old in it
            put eld in it
            take ben out of it
            """,
            members={"it": "old eld"},
        ),
        Turn(
            "2024-03-11",
            links="""
            old  2024-03-10T12:00  is  ana  #l1
            eld  2024-03-10T12:00  is  ben  #l2
            """,
            members={"it": "ana"},
        ),
    ),
    story(
        "M5 41: anonymous, then identified",
        "What a visitor did before she told who she is joins her history, from the moment she told it.",
        Turn(
            "2024-03-10",
            "~tab  2024-03-01  page",
            "it: {rule: did('page'), include_anonymous: true}\nknown: did('page')",
            members={"it": "~tab", "known": ""},
            counted=(0, 1),
        ),
        Turn(
            "2024-03-12",
            "ana  2024-03-11  identify  t_country=DE",
            links="~tab  2024-03-11  is  ana  #l1",
            members={"it": "ana", "known": "ana"},
            changes="~tab left it\nana entered it\nana entered known",
            past={"2024-03-10": {"it": "~tab", "known": ""}},
            counted=(1, 0),
        ),
    ),
    story(
        "M5 41 T1: a link later than the moment",
        "A link takes effect at its own time: before it the two are apart.",
        Turn(
            "2024-03-10",
            """
            ~tab  2024-03-01  page
            ana   2024-03-02  cart
            """,
            "it: did('page')",
            links="~tab  2024-03-10T00:00:00.000001  is  ana  #l1",
            members={"it": ""},
        ),
        Turn("2024-03-10T00:00:00.000001", members={"it": "ana"}, changes="ana entered it"),
    ),
    story(
        "M5 41: a shared device",
        "Two people on one device stay two people: what was done before anybody said who they are belongs to the first.",
        Turn(
            events="""
            ~tab  2024-03-01  page
            ana   2024-03-02  cart
            ~tab  2024-03-03  page
            ben   2024-03-04  cart
            """,
            segments="it: did('page', at_least => 2)\ncart: did('cart')\nlots: did('cart', at_least => 2)",
            links="""
            ~tab  2024-03-02  is  ana  #l1
            ~tab  2024-03-04  is  ben  #l2
            """,
            members={"it": "ana", "cart": "ana ben", "lots": ""},
            counted=(2, 0),
        ),
    ),
    story(
        "M5 36: a merge can move the first time earlier",
        "First is the first of both ids.",
        Turn(
            "2024-03-20",
            """
            ana  2024-03-15  cart
            old  2024-01-01  cart
            """,
            "it: first_time('cart', within => '30 days')",
            members={"it": "ana"},
        ),
        Turn("2024-03-21", links="old  2024-03-20T12:00  is  ana  #l1", members={"it": ""}, changes="ana left it"),
    ),
    story(
        "M6 42: erasure",
        "Who is erased leaves every segment and count, with every id of hers; what arrives later does not bring her back.",
        Turn(
            "2024-03-10",
            """
            ana   2024-03-01  page
            old   2024-03-01  page
            ~tab  2024-03-01  page
            ben   2024-03-01  page
            """,
            "it: {rule: did('page'), include_anonymous: true}\nbefore: did('page')\nhand: {by_hand: true}",
            by_hand="put ana in hand",
            links="~tab  2024-03-02  is  ana  #l1",
            members={"it": "ana old ben", "before": "ana old ben", "hand": "ana"},
            counted=(3, 0),
        ),
        Turn(
            "2024-03-11",
            """
            ana   2024-03-05  page
            ~tab  2024-03-05  page
            """,
            erase="ana",
            members={"it": "old ben", "before": "old ben", "hand": ""},
            changes="ana left it\nana left before\nana left hand",
            counted=(2, 0),
        ),
        Turn(
            "2024-03-12",
            """
            ana   2024-03-11T12:00  page
            ~tab  2024-03-11T12:00  page
            """,
            links="~tab  2024-03-11T12:00  is  ben  #l2",
            members={"it": "old ben", "before": "old ben", "hand": ""},
            changes="",
            counted=(2, 0),
        ),
    ),
    story(
        "T6 34: the time of a future event comes",
        "An event that lies ahead is kept, and takes effect at its own time without being sent again.",
        Turn("2024-03-31T12:00", "ana  2024-03-31T18:00  page", "it: did('page')", members={"it": ""}),
        Turn("2024-03-31T17:59:59", members={"it": ""}, changes=""),
        Turn("2024-03-31T18:00", members={"it": "ana"}, changes="ana entered it"),
    ),
)
