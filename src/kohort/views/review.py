"""The page that asks people about the uncertain middle: are these two one customer? As HTML text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohort.views.evidence import decided, how, likely, rows_of
from kohort.views.pages import Shell, page

MOST_DECISIONS = 10


def review(
    shell: Shell,
    asked: Mapping[str, Any],
    *,
    decisions: Sequence[Mapping[str, Any]],
    done: int | None,
    zone: str,
    word: str,
) -> str:
    """One question at a time, and the latest decisions with a way back.

    Args:
        asked: One question, and how many wait, as `ws.identity.question` tells.
        decisions: The whole log, as `ws.identity.log` tells.
        done: Number of the decision that was just made.
        word: What proves that the forms are ours.
    """
    question = asked["question"]
    lines = [decided(d, zone) for d in reversed(decisions)]
    return page(
        "identity.html",
        shell,
        "identity",
        open=asked["open"],
        q=question and {**question, "found": how(question["how"])},
        rows=rows_of(question["evidence"]) if question else [],
        likely=likely(question["score"]) if question else "",
        place=asked["place"],
        lines=lines[:MOST_DECISIONS],
        more=max(0, len(lines) - MOST_DECISIONS),
        done=next((d for d in lines if d["number"] == done and d["stands"] and not d["run"]), None),
        word=word,
    )
