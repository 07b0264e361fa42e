"""What the members of a segment write about, and how friendly they sound: for many together, with an interval, never for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough
from kohort.model.event import NUMBER_SCALE, SENTIMENT, TEXT_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.store.store import Store

FEWEST = 30
"""Members who must have written something; of fewer nothing is said."""

_Z = 1.959964


def texts_of(store: Store, members: pa.Array | pa.ChunkedArray, *, since: int = 0) -> dict[str, Any]:
    """Languages, topics and mood of what some customers wrote.

    The mood is the mean of their texts (spam and texts without any word that says something left out). Its interval is for
    customers drawn anew, since somebody who writes ten times is one person; what the list of words gets wrong comes on top
    and is not in it.

    Args:
        members: Pseudonyms (int64).
        since: Only texts from this instant on, µs UTC.

    Returns:
        {"customers", "texts", "spam", "mood": {"value", "low", "high"} or None, "with_mood", "languages": [{"language",
        "texts"}], "topics": [{"topic", "texts", "share": {"value", "low", "high"}}]}

    Raises:
        NotEnough: Fewer than FEWEST of them have written anything.
    """
    from kohort.engines.duck import connect, folders_of, register_events

    snapshot = store.log.snapshot()
    known = TEXT_COLUMNS.keys() <= snapshot.columns.keys()
    with connect(folders=folders_of(snapshot)) as con:
        if known:
            import pyarrow as pa

            register_events(con, snapshot)
            con.register("members", pa.table({"customer": members}))
            con.execute(
                "CREATE TEMP TABLE written AS SELECT customer, p_text_language AS language, p_text_topic AS topic, "
                f"p_text_spam AS spam, {SENTIMENT} / {NUMBER_SCALE}::DOUBLE AS mood FROM events SEMI JOIN members USING (customer) "
                f"WHERE p_text_words IS NOT NULL AND ts >= {int(since)}"
            )
        customers = con.execute("SELECT count(DISTINCT customer) FROM written").fetchall()[0][0] if known else 0
        if customers < FEWEST:
            raise NotEnough(
                f"Fewer than {FEWEST} members of this segment have written anything.",
                hint="What a few people wrote says something about them and not about a segment.",
            )
        (texts, spam), *_ = con.execute("SELECT count(*), count(*) FILTER (spam) FROM written").fetchall()
        people = con.execute(
            "SELECT sum(mood), count(mood) FROM written WHERE NOT spam GROUP BY customer HAVING count(mood) > 0 ORDER BY customer"
        ).fetchall()
        languages = con.execute("SELECT language, count(*) FROM written GROUP BY 1 ORDER BY 2 DESC, 1").fetchall()
        topics = con.execute(
            "SELECT topic, count(*) FROM written WHERE topic IS NOT NULL AND NOT spam GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
        per_topic = {
            topic: con.execute(
                "SELECT count(*) FILTER (topic = $topic)::DOUBLE, count(*) FROM written WHERE NOT spam GROUP BY customer",
                {"topic": topic},
            ).fetchall()
            for topic, _ in topics
        }
    return {
        "customers": customers,
        "texts": texts,
        "spam": spam,
        "mood": mean_of(people) if len(people) >= FEWEST else None,
        "with_mood": sum(n for _, n in people),
        "languages": [{"language": language, "texts": n} for language, n in languages],
        "topics": [{"topic": topic, "texts": n, "share": mean_of(per_topic[topic])} for topic, n in topics],
    }


def mean_of(people: list[tuple[float, int]]) -> dict[str, float]:
    """The mean over all texts of (sum, number) per person, with a 95 % interval for persons drawn anew.

    Example:
        >>> mean_of([(1.0, 1), (0.0, 1)])["value"]
        0.5
    """
    total, count = sum(s for s, _ in people), sum(n for _, n in people)
    mean, k = total / count, len(people)
    squares = sum((s - mean * n) ** 2 for s, n in people)
    error = (squares * k / (k - 1)) ** 0.5 / count if k > 1 else float("inf")
    return {"value": round(mean, 4), "low": round(mean - _Z * error, 4), "high": round(mean + _Z * error, 4)}
