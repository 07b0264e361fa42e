"""What was counted about a definition, said again: answers that are kept for everybody are kept in English.

Figures take long and have no language; their sentences take no time and have one. So a kept answer is not counted again
for every language, but said again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kohort.model.clock import parse_instant
from kohort.model.segmentation import Estimate
from kohort.segments import movement_words, preview_words

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition

Answer = Mapping[str, Any]
"""JSON of `Preview`, `Alarms` or `Migration`, as their `as_dict` makes it."""


def preview(told: Answer, definition: SegmentDefinition, zone: str, say: Callable[[str], str]) -> dict[str, Any]:
    """A preview in the reader's language.

    Args:
        definition: What was looked at.
        say: A rule's text → its sentence.
    """
    parts = [{**p, "conditions": [{**c, "sentence": say(c["text"])} for c in p["conditions"]]} for p in told["parts"]]
    unseen = [
        {**u, "text": preview_words.never_observed(u["kind"], u["name"], u["value"], u["suggestion"])}
        for u in told["never_observed"]
    ]
    every = [c for p in parts for c in p["conditions"]]
    emptied = next((c["sentence"] for c in every if preview_words.empties(c["depth"], c["group"], c["running"])), "")
    sizes = {p["label"]: p["size"] for p in parts}
    return {
        **told,
        "parts": parts,
        "never_observed": unseen,
        "universe_text": preview_words.universe(
            told["universe"],
            parse_instant(told["as_of"], zone="UTC"),
            zone,
            accounts=definition.kind == "accounts",
            visitors=told["visitors"] if definition.include_anonymous else None,
        ),
        "warnings": [
            *(u["text"] for u in unseen),
            *preview_words.sizes(definition.kind, told["size"], told["universe"], sizes, emptied),
            *preview_words.left_out(told["excluded_by_consent"], definition.purpose),
        ],
    }


def migration(told: Answer) -> dict[str, Any]:
    """Who moved, in the reader's language. What is said of single parts stays as it is."""
    counts = (told["entered"], told["left"], told["moved"], told["stayed"])
    mobility = None if told["mobility"] is None else Estimate(**told["mobility"])
    text = movement_words.migration(*counts, mobility, redefined=told["redefined"], rerun=told["rerun"])
    return {**told, "text": text}


def alarms(told: Answer, latest: Answer) -> dict[str, Any]:
    """What is unusual, in the reader's language.

    Args:
        latest: The movement of the period that it is about.
    """
    from kohort.segments.alarms import FEWEST_PERIODS

    def again(a: Answer) -> dict[str, Any]:
        figures = (a["label"], a["watched"], a["hits"], a["low"], a["high"])
        return {**a, "text": movement_words.alarm(*figures, unusual=a["unusual"])}

    return {
        **told,
        "alarms": [again(a) for a in told["alarms"]],
        "raised": [again(a) for a in told["raised"]],
        "text": movement_words.alarms(
            len(told["raised"]),
            told["periods"],
            FEWEST_PERIODS,
            enough=told["enough"],
            redefined=latest["redefined"],
            rerun=latest["rerun"],
        ),
    }
