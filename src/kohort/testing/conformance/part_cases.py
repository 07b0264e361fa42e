"""Definitions with parts and memory, random shares, accounts (M7, M8)."""

from kohort.testing.conformance.case import Turn, case, story

LIFE = """
life:
  stages:
    new: {rule: "did('order_line', exactly => 1)", then: [active]}
    active: {rule: "did('order_line', at_least => 2, within => '30 days')", then: [lost]}
    lost: {rule: "stopped('order_line', within => '1 year', recent => '30 days')", then: [active]}
"""

CASES = (
    story(
        "M4 M7: out of one part by hand",
        "Taken out of one part, a customer falls to the next part whose rule is true; out of all, she is in none.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-30  order_line  amount=1000
            ben  2024-03-30  order_line  amount=1000
            eva  2024-03-30  order_line  amount=1000
            """,
            """
            value:
              tiers:
                gold: spent >= 500
                silver: spent > 0
            """,
            members={"value": {"gold": "ana ben eva"}},
        ),
        Turn(
            "2024-03-31T13:00",
            by_hand="""
            take ben out of value gold
            take eva out of value
            """,
            members={"value": {"gold": "ana", "silver": "ben"}},
        ),
    ),
    story(
        "M7 48: the first match wins",
        "Of tiers the first one in order whose rule is true; another order moves customers.",
        Turn(
            "2024-03-31T12:00",
            """
            rich   2024-03-30  order_line  amount=1000
            some   2024-03-30  order_line  amount=100
            none   2024-03-30  page
            """,
            """
            value:
              tiers:
                gold: spent >= 500
                silver: spent > 0
            """,
            members={"value": {"gold": "rich", "silver": "some"}},
        ),
        Turn(
            "2024-03-31T13:00",
            segments="""
            value:
              tiers:
                silver: spent > 0
                gold: spent >= 500
            """,
            members={"value": {"silver": "rich some"}},
            changes="""
            rich left value gold (backfill)
            rich entered value silver (backfill)
            """,
        ),
    ),
    story(
        "M7 47: random buckets",
        "Shares split customers for good: one bucket each, all of them at 100 percent, and a growing share only adds.",
        Turn(
            "2024-03-31T12:00",
            "\n".join(f"c{n:02}  2024-03-30  page" for n in range(40)),
            """
            split: {buckets: {test: 50, control: 50}, salt: spring}
            everyone: in_segment('split')
            both: in_segment('split', 'test') and in_segment('split', 'control')
            shrunk: random_bucket('spring') < 20 and not random_bucket('spring') < 50
            as_bucket: in_segment('split', 'test') and random_bucket('spring') >= 50
            bounds: random_bucket('spring') < 0 or random_bucket('spring') >= 100
            """,
            members={
                "everyone": " ".join(f"c{n:02}" for n in range(40)),
                "both": "",
                "shrunk": "",
                "as_bucket": "",
                "bounds": "",
            },
        ),
        Turn("2025-03-31", changes=""),
    ),
    story(
        "47: buckets that do not add up to 100",
        "Customers beyond the shares are in no bucket.",
        Turn(
            "2024-03-31T12:00",
            "\n".join(f"c{n:02}  2024-03-30  page" for n in range(40)),
            """
            split: {buckets: {a: 10, b: 20}, salt: autumn}
            wrong: in_segment('split') and random_bucket('autumn') >= 30
            missed: random_bucket('autumn') < 30 and not in_segment('split')
            """,
            members={"wrong": "", "missed": ""},
        ),
    ),
    story(
        "keep: hysteresis",
        "With `keep` a member stays while the looser rule is true; nobody enters by it.",
        Turn(
            "2024-03-31T12:00",
            """
            high    2024-03-30  order_line  amount=1000
            middle  2024-03-30  order_line  amount=900
            """,
            "big: {rule: spent >= 1000, keep: spent >= 800}",
            members={"big": "high"},
        ),
        Turn(
            "2024-03-31T13:00", "high  2024-03-31T12:30  order_line  amount=-100", members={"big": "high"}, changes=""
        ),
        Turn(
            "2024-03-31T14:00",
            "high  2024-03-31T13:30  order_line  amount=-200",
            members={"big": ""},
            changes="high left big",
        ),
        Turn("2024-03-31T15:00", "high  2024-03-31T14:30  order_line  amount=200", members={"big": ""}, changes=""),
    ),
    story(
        "keep: in tiers",
        "In tiers, keep holds against lower tiers and against none; a higher one is taken at once.",
        Turn(
            "2024-03-31T12:00",
            """
            falls  2024-03-30  order_line  amount=500
            rises  2024-03-30  order_line  amount=200
            """,
            """
            value:
              tiers:
                gold: {rule: spent >= 500, keep: spent >= 400}
                silver: {rule: spent >= 200, keep: spent >= 100}
            """,
            members={"value": {"gold": "falls", "silver": "rises"}},
        ),
        Turn(
            "2024-03-31T13:00",
            """
            falls  2024-03-31T12:30  order_line  amount=-50
            rises  2024-03-31T12:30  order_line  amount=300
            """,
            members={"value": {"gold": "falls rises"}},
            changes="""
            rises left value silver
            rises entered value gold
            """,
        ),
        Turn(
            "2024-03-31T14:00",
            """
            falls  2024-03-31T13:30  order_line  amount=-100
            """,
            members={"value": {"gold": "rises", "silver": "falls"}},
        ),
    ),
    story(
        "minimum stay: nobody leaves before",
        "With a minimum stay nobody leaves earlier by a rule, and at the very instant it is over she may.",
        Turn(
            "2024-03-01",
            "ana  2024-02-20  page",
            "it: {rule: \"did('page', within => '252 hours')\", minimum_stay: 14 days}",
            members={"it": "ana"},
        ),
        Turn("2024-03-14T23:59:59.999999", members={"it": "ana"}, changes=""),
        Turn("2024-03-15", members={"it": ""}, changes="ana left it"),
    ),
    story(
        "minimum stay: taken out by hand",
        "A person's decision does not wait for the minimum stay.",
        Turn(
            "2024-03-01",
            "ana  2024-02-25  page",
            "it: {rule: did('page'), minimum_stay: 14 days}",
            members={"it": "ana"},
        ),
        Turn("2024-03-02", by_hand="take ana out of it", members={"it": ""}, changes="ana left it"),
    ),
    story(
        "stages: allowed moves",
        "From a stage only the stages that may follow are reached; who may not move yet stays.",
        Turn(
            "2024-01-01",
            "ana  2023-12-31  order_line",
            LIFE,
            members={"life": {"new": "ana"}},
        ),
        Turn("2024-01-10", "ana  2024-01-09  order_line", members={"life": {"active": "ana"}}),
        Turn("2024-03-01", members={"life": {"lost": "ana"}}),
        Turn("2024-03-10", "ana  2024-03-09  order_line", members={"life": {}}, changes="ana left life lost"),
        Turn("2024-03-12", "ana  2024-03-11  order_line", members={"life": {"active": "ana"}}),
    ),
    story(
        "stages: a stage that may not follow",
        "A move that is not allowed does not happen, however long its rule is true; who fits nowhere leaves.",
        Turn(
            "2024-01-01",
            "ana  2023-12-31  order_line",
            LIFE.replace("then: [active]}", "then: [lost]}", 1),
            members={"life": {"new": "ana"}},
        ),
        Turn("2024-01-10", "ana  2024-01-09  order_line", members={"life": {"new": "ana"}}, changes=""),
        Turn("2024-01-11", members={"life": {"new": "ana"}}, changes=""),
        Turn(
            "2024-02-20",
            members={"life": {"lost": "ana"}},
            changes="""
            ana left life new
            ana entered life lost
            """,
        ),
        Turn("2025-03-01", members={"life": {}}, changes="ana left life lost"),
    ),
    story(
        "stages: a stage that is gone",
        "Who stands in a stage that no longer exists is placed as if she came anew.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-30  page",
            "life: {stages: {first: did('page'), second: did('cart')}}",
            members={"life": {"first": "ana"}},
        ),
        Turn(
            "2024-03-31T13:00",
            "ana  2024-03-31T12:30  cart",
            segments="life: {stages: {begun: {rule: did('search'), then: [second]}, second: did('cart')}}",
            members={"life": {"second": "ana"}},
        ),
    ),
    story(
        "M8 49: accounts",
        "An account is a member where any, all or none of its users meet the rule; without users it never is.",
        Turn(
            "2024-03-31T12:00",
            """
            ana  2024-03-10  identify  t_company=acme
            ana  2024-03-11  page
            ben  2024-03-10  identify  t_company=acme
            eva  2024-03-10  identify  t_company=beta
            eva  2024-03-11  page
            kim  2024-03-10  identify  t_company=gamma
            lea  2024-03-11  page
            -    2024-03-11  identify  t_company=empty
            """,
            """
            some: {accounts: {any: did('page')}}
            every: {accounts: {all: did('page')}}
            no_one: {accounts: {none: did('page')}}
            """,
            members={"some": "acme beta", "every": "beta", "no_one": "gamma"},
        ),
        Turn(
            "2024-03-31T13:00",
            "ben  2024-03-31T12:30  page",
            members={"some": "acme beta", "every": "acme beta", "no_one": "gamma"},
            changes="acme entered every",
        ),
        Turn(
            "2024-03-31T14:00",
            "eva  2024-03-31T13:30  identify  t_company=acme",
            members={"some": "acme", "every": "acme", "no_one": "gamma"},
        ),
    ),
    case(
        "L6 M7: a random share of a rule",
        "A rule and a random share that cannot be: nobody.",
        "did('page') and random_bucket('a') < 0",
        "ana  2024-03-30  page",
        "",
    ),
)
