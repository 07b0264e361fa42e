"""Logic, unknown answers, segments in segments, and who is asked about at all (L1, L2, L6 to L8)."""

from kohort.testing.conformance.case import Turn, story

CASES = (
    story(
        "L1: unknown is not in",
        "Where the answer is unknown a customer is not a member, neither of the rule nor of its opposite.",
        Turn(
            "2024-03-31T12:00",
            """
            old      2024-03-10  identify  t_age=40
            young    2024-03-10  identify  t_age=20
            unknown  2024-03-10  page
            """,
            """
            over: t_age > 30
            not_over: not t_age > 30
            either: t_age > 30 or not t_age > 30
            known_false: t_age > 30 and did('cart')
            known_true: t_age > 30 or did('page')
            """,
            members={
                "over": "old",
                "not_over": "young",
                "either": "old young",
                "known_false": "",
                "known_true": "old unknown",
            },
        ),
    ),
    story(
        "L2 6: not equal to what is missing",
        "`!=`, `not in` and `not like` are true where the value is missing, as the opposite of being equal; `=` is not.",
        Turn(
            "2024-03-31T12:00",
            """
            german   2024-03-10  identify  t_country=DE t_tags=a
            danish   2024-03-10  identify  t_country=DK t_tags=b
            missing  2024-03-10  page
            """,
            """
            equal: t_country = 'DE'
            unequal: t_country != 'DE'
            in_list: t_country in ('DE', 'AT')
            not_in_list: t_country not in ('DE', 'AT')
            like_d: t_country like 'D%'
            not_like_de: t_country not like 'DE%'
            none_of: has_none(t_tags, 'a', 'c')
            negated: not (t_country = 'DE')
            """,
            members={
                "equal": "german",
                "unequal": "danish missing",
                "in_list": "german",
                "not_in_list": "danish missing",
                "like_d": "german danish",
                "not_like_de": "danish missing",
                "none_of": "danish missing",
                "negated": "danish",
            },
        ),
    ),
    story(
        "2: spelling of a rule",
        "AND and and, parentheses around one thing, and the same condition twice change nothing.",
        Turn(
            "2024-03-31T12:00",
            """
            both  2024-03-30  page
            both  2024-03-30  cart
            one   2024-03-30  page
            """,
            """
            small: did('page') and did('cart')
            large: DID('page') AND Did('cart')
            nested: (((did('page')))) and ((did('cart')))
            doubled: did('page') and did('cart') and did('page') and did('page')
            precedence: did('page') or did('search') and did('cart')
            """,
            members={"small": "both", "large": "both", "nested": "both", "doubled": "both", "precedence": "both one"},
        ),
    ),
    story(
        "L6 3: only what she did not do",
        "A rule may be nothing but a negation: it is asked of every customer there is.",
        Turn(
            "2024-03-31T12:00",
            """
            buyer    2024-03-30  order_line
            visitor  2024-03-30  page
            quiet    2020-01-01  identify  t_age=30
            -        2024-03-30  page
            """,
            """
            never_bought: never('order_line')
            not_bought: not did('order_line')
            """,
            members={"never_bought": "visitor quiet", "not_bought": "visitor quiet"},
        ),
    ),
    story(
        "4: negation of groups",
        "Not over and, or, groups and other segments follows the rules of logic.",
        Turn(
            "2024-03-31T12:00",
            """
            a_only   2024-03-30  a
            b_only   2024-03-30  b
            a_and_b  2024-03-30  a
            a_and_b  2024-03-30  b
            other    2024-03-30  c
            """,
            """
            has_a: did('a')
            neither: not (did('a') or did('b'))
            neither_too: not did('a') and not did('b')
            not_both: not (did('a') and did('b'))
            not_both_too: never('a') or never('b')
            mixed: not (did('a') or never('b'))
            twice: not (not did('a'))
            inner: not (did('c') or not (did('a') and did('b')))
            without_segment: not in_segment('has_a')
            """,
            members={
                "has_a": "a_only a_and_b",
                "neither": "other",
                "neither_too": "other",
                "not_both": "a_only b_only other",
                "not_both_too": "a_only b_only other",
                "mixed": "b_only",
                "twice": "a_only a_and_b",
                "inner": "a_and_b",
                "without_segment": "b_only other",
            },
        ),
    ),
    story(
        "54: parts add up",
        "Either = one + other - both, and nobody is missing between a rule and its opposite where all is known.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  a
            ben  2024-03-30  b
            eva  2024-03-30  a
            eva  2024-03-30  b
            kim  2024-03-30  c
            """,
            """
            one: did('a')
            other: did('b')
            both: did('a') and did('b')
            either: did('a') or did('b')
            neither: not (did('a') or did('b'))
            """,
            members={"one": "ana eva", "other": "ben eva", "both": "eva", "either": "ana ben eva", "neither": "kim"},
        ),
    ),
    story(
        "L7: who is asked about",
        "Customers are those with an event up to the moment; events without a customer make nobody a member.",
        Turn(
            "2024-03-31T12:00",
            """
            known   2024-03-30  identify  t_age=30
            future  2024-04-01  page
            -       2024-03-30  page
            """,
            """
            everyone: did(*) or never(*)
            never_ordered: never('order_line')
            """,
            members={"everyone": "known", "never_ordered": "known"},
        ),
        Turn("2024-04-02", members={"everyone": "known future", "never_ordered": "known future"}),
    ),
    story(
        "L8 5: segments in segments",
        "A segment in a segment is the members at the same moment, whatever the order in which they are written.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  page
            ana  2024-03-30  cart
            ben  2024-03-30  page
            """,
            """
            top: in_segment('left') and in_segment('right')
            left: in_segment('base') and did('cart')
            right: in_segment('base')
            base: did('page', within => '30 days')
            outside: not in_segment('top')
            """,
            members={"base": "ana ben", "left": "ana", "right": "ana ben", "top": "ana", "outside": "ben"},
        ),
        Turn(
            "2024-03-31T13:00",
            "ben  2024-03-31T12:30  cart",
            members={"left": "ana ben", "top": "ana ben", "outside": ""},
            changes="""
            ben entered left
            ben entered top
            ben left outside
            """,
        ),
    ),
    story(
        "L8: one part of a segment",
        "A segment can ask for one part of another definition or for any of them.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  order_line  amount=1000
            ben  2024-03-30  order_line  amount=10
            eva  2024-03-30  page
            """,
            """
            value:
              tiers:
                gold: spent >= 500
                silver: spent > 0
            only_gold: in_segment('value', 'gold')
            any_tier: in_segment('value')
            """,
            members={"value": {"gold": "ana", "silver": "ben"}, "only_gold": "ana", "any_tier": "ana ben"},
        ),
    ),
    story(
        "5 M4: by hand, several levels down",
        "Who was put in by hand is a member for every segment that refers to it, however many levels up.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  page
            ben  2024-03-30  cart
            """,
            """
            friends: {by_hand: true}
            friends_or_cart: in_segment('friends') or did('cart')
            top: in_segment('friends_or_cart')
            """,
            members={"friends": "", "friends_or_cart": "ben", "top": "ben"},
        ),
        Turn(
            "2024-03-31T13:00",
            by_hand="put ana in friends",
            members={"friends": "ana", "friends_or_cart": "ana ben", "top": "ana ben"},
        ),
    ),
    story(
        "L8 46: deleting what others need",
        "A segment that others refer to cannot be deleted; without them it can, and its members leave.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-30  page",
            """
            base: did('page')
            top: in_segment('base')
            """,
            members={"base": "ana", "top": "ana"},
        ),
        Turn("2024-03-31T13:00", remove="base", refused="needed_by_others", members={"base": "ana", "top": "ana"}),
        Turn(
            "2024-03-31T14:00",
            segments="base: did('page')",
            remove="top",
            members={"base": "ana", "top": ""},
            changes="ana left top (backfill)",
        ),
    ),
    story(
        "25: what does not concern a rule",
        "Events and traits that a rule does not ask about change nothing.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  page
            ben  2024-03-30  cart
            """,
            "it: did('page')",
            members={"it": "ana"},
        ),
        Turn(
            "2024-03-31T13:00",
            """
            ana  2024-03-31T12:30  search
            ben  2024-03-31T12:30  identify  t_age=30
            """,
            members={"it": "ana"},
            changes="",
        ),
    ),
)
