"""What values are: missing, text and its letters, lists, flags, places (L2, L3)."""

from kohort.testing.conformance.case import Turn, case, story

CASES = (
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
