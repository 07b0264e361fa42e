"""What is stored of texts that people wrote, counted for the report, beside how well such measures work."""

from __future__ import annotations

from typing import Any

from kohort.model.event import SENTIMENT, TEXT_COLUMNS

RIGHT: dict[str, tuple[float, str]] = {
    "en": (0.77, "subtitles"),
    "nl": (0.70, "subtitles"),
    "da": (0.81, "subtitles"),
    "de": (0.71, "subtitles"),
}
"""Language → how often the side (friendly or not) is right where one is taken, and on what it was measured: the harder of the
sets of docs/texts.md for that language."""


def counted(con: Any, columns: Any) -> tuple[dict[str, Any], ...]:
    """Per language of the texts in the relation `seen`: language (None = not told), texts, with_mood, with_topic, spam; most first."""
    if not TEXT_COLUMNS.keys() <= set(columns):
        return ()
    rows: list[dict[str, Any]] = (
        con.execute(
            f"SELECT p_text_language AS language, count(*) AS texts, count({SENTIMENT}) AS with_mood, "
            "count(p_text_topic) AS with_topic, count(*) FILTER (p_text_spam) AS spam "
            "FROM seen WHERE p_text_words IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        .to_arrow_table()
        .to_pylist()
    )
    return tuple(rows)
