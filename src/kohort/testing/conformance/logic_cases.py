"""Logic, missing values, text and lists, and who is asked about at all (L1 to L8)."""

from kohort.testing.conformance.case import Turn, case, story

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
        "L2: is null and is not null",
        "Whether something is known can be asked by itself.",
        Turn(
            "2024-03-31T12:00",
            """
            known    2024-03-10  identify  t_country=DE
            unknown  2024-03-10  page
            """,
            """
            has_none: t_country is null
            has_one: t_country is not null
            other_but_known: t_country != 'FR' and t_country is not null
            """,
            members={"has_none": "unknown", "has_one": "known", "other_but_known": "known"},
        ),
    ),
    story(
        "L3 7: missing is missing",
        "Never told, told nothing, empty text and an empty list are one thing; the word null is a text like others.",
        Turn(
            "2024-03-31T12:00",
            """
            never       2024-03-10  page
            empty       2024-03-10  identify  t_country= t_tags=
            word        2024-03-10  identify  t_country=null t_tags=null
            emptied     2024-03-10  identify  t_country=DE
            emptied     2024-03-11  identify  t_country=
            """,
            """
            missing: t_country is null
            is_word: t_country = 'null'
            no_list: t_tags is null
            no_items: item_count(t_tags) = 0
            """,
            members={
                "missing": "never empty",
                "is_word": "word",
                "no_list": "never empty emptied",
                "no_items": "never empty emptied",
            },
        ),
    ),
    story(
        "L3 12: large and small letters",
        "Text is compared without regard to large and small letters, in every script; `exactly` looks at each letter.",
        Turn(
            "2024-03-31T12:00",
            """
            small    2024-03-10  identify  t_code=straße
            large    2024-03-10  identify  t_code=STRAßE
            double   2024-03-10  identify  t_code=strasse
            sigma    2024-03-10  identify  t_code=ΣΟΦΟΣ
            turkish  2024-03-10  identify  t_code=İzmir
            """,
            """
            street: t_code = 'Straße'
            exact: exactly(t_code) = 'straße'
            not_exact: exactly(t_code) != 'straße'
            wise: t_code = 'σοφος'
            city: t_code = 'izmir'
            starts: t_code like 'stra%'
            exact_start: exactly(t_code) like 'stra%'
            listed: t_code in ('STRASSE', 'IZMIR')
            """,
            members={
                "street": "small large",
                "exact": "small",
                "not_exact": "large double sigma turkish",
                "wise": "sigma",
                "city": "turkish",
                "starts": "small large double",
                "exact_start": "small double",
                "listed": "double turkish",
            },
        ),
    ),
    story(
        "12: like",
        "`like` finds text at the start, at the end or anywhere; other letters in it mean themselves.",
        Turn(
            "2024-03-31T12:00",
            """
            whole    2024-03-10  identify  t_code=sale
            start    2024-03-10  identify  t_code=sale-50
            end      2024-03-10  identify  t_code=big-sale
            dots     2024-03-10  identify  t_code=s.le
            missing  2024-03-10  page
            """,
            """
            starts: t_code like 'sale%'
            ends: t_code like '%sale'
            anywhere: t_code like '%sale%'
            dotted: t_code like 's.l%'
            without: t_code not like '%sale%'
            """,
            members={
                "starts": "whole start",
                "ends": "whole end",
                "anywhere": "whole start end",
                "dotted": "dots",
                "without": "dots missing",
            },
        ),
    ),
    case(
        "12: spaces are letters",
        "Spaces inside a text count; quotes inside a text are written twice.",
        "t_code = 'O''Brien & Sons' or t_code = 'two  spaces'",
        """
        brien  2024-03-10  identify  "t_code=o'brien & sons"
        two    2024-03-10  identify  "t_code=two  spaces"
        one    2024-03-10  identify  "t_code=two spaces"
        """,
        "brien two",
    ),
    case(
        "12: names inside names",
        "A trait inside a trait is named with a point.",
        "t_address.city = 'Aarhus'",
        """
        aarhus  2024-03-10  identify  t_address_city=aarhus
        odense  2024-03-10  identify  t_address_city=odense
        """,
        "aarhus",
    ),
    story(
        "14: values with several items",
        "A list equals a text where any item does, differs where none does; all, any and none can be asked.",
        Turn(
            "2024-03-31T12:00",
            """
            a_b    2024-03-10  identify  t_tags=a,b
            b_c    2024-03-10  identify  t_tags=b,c
            large  2024-03-10  identify  t_tags=A
            none   2024-03-10  page
            """,
            """
            has_a: t_tags = 'a'
            lacks_a: t_tags != 'a'
            any_of: has_any(t_tags, 'a', 'c')
            all_of: has_all(t_tags, 'a', 'b')
            none_of: has_none(t_tags, 'a', 'c')
            in_list: t_tags in ('c', 'd')
            not_in_list: t_tags not in ('c', 'd')
            first_item: t_tags[1] = 'b'
            no_second: t_tags[2] is null
            two_items: item_count(t_tags) = 2
            exact: exactly(t_tags) = 'a'
            """,
            members={
                "has_a": "a_b large",
                "lacks_a": "b_c none",
                "any_of": "a_b b_c large",
                "all_of": "a_b",
                "none_of": "none",
                "in_list": "b_c",
                "not_in_list": "a_b large none",
                "first_item": "b_c",
                "no_second": "large none",
                "two_items": "a_b b_c",
                "exact": "a_b",
            },
        ),
    ),
    case(
        "10: text that looks like a number",
        "A code is text: '30' is not '030'.",
        "t_code = '30'",
        """
        same   2024-03-10  identify  t_code=30
        other  2024-03-10  identify  t_code=030
        """,
        "same",
    ),
    case(
        "11: flags",
        "A flag is true, false or missing; the bare name means true.",
        "t_member or t_newsletter = false",
        """
        yes      2024-03-10  identify  t_member=true
        no       2024-03-10  identify  t_member=false
        told_no  2024-03-10  identify  t_newsletter=false
        unknown  2024-03-10  page
        """,
        "yes told_no",
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
    case(
        "distance: kilometres over the earth",
        "The distance to a point is the great circle; without a place, or off the globe, it is missing.",
        "distance_km(t_lat, t_lon, 55.6761, 12.5683) < 10",
        """
        centre  2024-03-10  identify  t_lat=55.6761 t_lon=12.5683
        malmo   2024-03-10  identify  t_lat=55.6050 t_lon=13.0038
        near    2024-03-10  identify  t_lat=55.7299 t_lon=12.5683
        half    2024-03-10  identify  t_lat=55.6761
        nowhere 2024-03-10  identify  t_lat=155.6761 t_lon=12.5683
        none    2024-03-10  page
        """,
        "centre near",
    ),
)
