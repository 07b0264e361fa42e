"""`controls:` of kohort.yaml: what the company says itself goes before every table of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kohort.errors import BadInput
from kohort.ingest.controls.agents import AGENT, BOT, PERSON
from kohort.ingest.controls.text.topics import TOPIC
from kohort.model.event import LINE_KINDS


def check_overrides(overrides: Mapping[str, str]) -> dict[str, str]:
    """Overrides by product code, by a part of a user agent ("agent: Acme Monitor"), or of a topic ("topic: gift"), checked.

    Raises:
        BadInput: A kind is none of LINE_KINDS; of an agent neither `person` nor `bot`.

    Example:
        >>> check_overrides({"X9": "fee", "agent: Acme Monitor": "bot"})
        {'X9': 'fee', 'agent: Acme Monitor': 'bot'}
    """
    for key, kind in overrides.items():
        if key.startswith(TOPIC):
            _check_topic(key)
            continue
        about_agent = key.startswith(AGENT)
        if about_agent and not key[len(AGENT) :].strip():
            raise BadInput(
                "No part of a user agent is named.",
                place=f"controls: {key}",
                code="bad_control",
                hint='For example "agent: Acme Monitor": bot',
            )
        known = (PERSON, BOT) if about_agent else LINE_KINDS
        if kind not in known:
            raise BadInput(
                f"{kind!r} is not a kind of {'sender' if about_agent else 'line'}.",
                place=f"controls: {key}",
                code="bad_control",
                hint=f"Kinds are: {', '.join(known)}.",
            )
    return dict(overrides)


def _check_topic(key: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", key[len(TOPIC) :].strip()):
        raise BadInput(
            "The name of a topic is small letters, digits and underscores.",
            place=f"controls: {key}",
            code="bad_control",
            hint='For example "topic: gift_card": "gift card, cadeaubon, gavekort"',
        )
