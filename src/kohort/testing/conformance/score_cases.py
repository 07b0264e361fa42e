"""Stored predictions in rules (P1), and when they count no more (P2): scores of `churn` are stale after 7 days."""

from kohort.testing.conformance.case import Turn, case, story

CASES = (
    story(
        "P1 53: what a rule reads of a score",
        "The latest visible score of that prediction counts; who has none is missing, which is neither above nor below.",
        Turn(
            "2024-03-31T12:00",
            """
            high    2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.7 p_kohort_percentile=91.5
            edge    2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.6 p_kohort_percentile=40
            fell    2024-03-29  kohort_score  p_kohort_score=churn p_kohort_probability=0.9
            fell    2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.1
            future  2024-03-30  page
            future  2024-04-01  kohort_score  p_kohort_score=churn p_kohort_probability=0.9
            other   2024-03-30  kohort_score  p_kohort_score=gold p_kohort_probability=0.9
            none    2024-03-30  page
            """,
            """
            likely: churn.probability > 0.6
            called: score('churn') > 0.6
            top: churn.percentile >= 90
            unknown: churn.probability is null
            not_above: not churn.probability > 0.6
            unequal: churn.probability != 0.6
            """,
            members={
                "likely": "high",
                "called": "high",
                "top": "high",
                "unknown": "future other none",
                "not_above": "edge fell",
                "unequal": "high fell future other none",
            },
        ),
    ),
    story(
        "P2 26 53: as old as its freshness",
        "A score is fresh for less than its freshness; exactly as old it is missing, and each prediction has its own.",
        Turn(
            "2024-03-31T12:00",
            """
            fresh   2024-03-24T12:00:01  kohort_score  p_kohort_score=churn p_kohort_probability=0.7
            stale   2024-03-24T12:00     kohort_score  p_kohort_score=churn p_kohort_probability=0.7
            again   2024-03-20           kohort_score  p_kohort_score=churn p_kohort_probability=0.7
            again   2024-03-29           kohort_score  p_kohort_score=churn p_kohort_probability=0.2
            longer  2024-03-10           kohort_score  p_kohort_score=gold p_kohort_probability=0.7
            """,
            """
            likely: churn.probability > 0.5
            missing: churn.probability is null
            like_gold: gold.probability > 0.5
            """,
            members={"likely": "fresh", "missing": "stale longer", "like_gold": "longer"},
        ),
    ),
    story(
        "P2 27 53: stale by time alone",
        "At the instant at which a score turns stale its customer leaves, without any event; a new score lets her in again.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-25T09:00  kohort_score  p_kohort_score=churn p_kohort_probability=0.8",
            "it: churn.probability > 0.5",
            members={"it": "ana"},
            changes="ana entered it (backfill)",
        ),
        Turn("2024-04-01T08:59:59", members={"it": "ana"}, changes=""),
        Turn("2024-04-01T09:00", members={"it": ""}, changes="ana left it"),
        Turn(
            "2024-04-01T10:00",
            "ana  2024-04-01T10:00  kohort_score  p_kohort_score=churn p_kohort_probability=0.9",
            members={"it": "ana"},
            changes="ana entered it",
        ),
    ),
    story(
        "T7 53: a late score",
        "A score of an earlier moment that comes in late changes nothing where there is a later one.",
        Turn(
            "2024-03-31T12:00",
            "ana  2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.8",
            "it: churn.probability > 0.5",
            members={"it": "ana"},
        ),
        Turn(
            "2024-03-31T13:00",
            "ana  2024-03-28  kohort_score  p_kohort_score=churn p_kohort_probability=0.1",
            members={"it": "ana"},
            changes="",
        ),
    ),
    story(
        "P1 53: a score is nothing that a customer did",
        "Whatever asks for any event passes scores over; who asks for them by name finds them.",
        Turn(
            "2024-03-31T12:00",
            """
            quiet   2024-01-05  page
            quiet   2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.8
            lively  2024-03-30  page
            """,
            """
            active: did(*, within => '30 days')
            silent: never(*, within => '30 days')
            away: days_since(*) > 30
            once: count(*) = 1
            scored: count('kohort_score') = 1
            """,
            members={
                "active": "lively",
                "silent": "quiet",
                "away": "quiet",
                "once": "quiet lively",
                "scored": "quiet",
            },
        ),
    ),
    case(
        "P1: two scores of one moment",
        "Of two scores of one moment the one that was stored later counts, by its event id.",
        "churn.probability > 0.5",
        """
        up    2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.1 #s1
        up    2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.9 #s2
        down  2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.9 #s3
        down  2024-03-30  kohort_score  p_kohort_score=churn p_kohort_probability=0.1 #s4
        """,
        "up",
    ),
)
