"""What a message is about, by the beginnings of its words. A list that a company can change, and no more than that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache

from kohort.ingest.controls.text.words import rows, tokens

TOPIC = "topic:"
"""Beginning of a key under `controls:` that is about topics: `"topic: warranty": "guarant, garanti"`."""

Stems = dict[str, tuple[tuple[str, ...], ...]]
"""Topic → beginnings of words; of a tuple of several all must occur."""


@cache
def listed(language: str) -> Stems:
    """The topics that come with Kohort."""
    return {topic: _stems(words) for topic, code, words in rows("topics") if code == language}


def _stems(words: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(word.split("+")) for word in words.lower().split())


class Topics:
    """Finds topics.

    Args:
        own: Topic → beginnings of words, separated by commas, for every language. They come on top of those listed; an
            empty text switches a topic off.

    Example:
        >>> Topics().of("Where is my parcel?", "en"), Topics({"gift": "gift card"}).of("My gift card is empty", "en")
        ('delivery', 'gift')
    """

    def __init__(self, own: Mapping[str, str] | None = None) -> None:
        self._own = {
            topic: tuple(tuple(stem.split()) for stem in words.lower().split(",") if stem.strip())
            for topic, words in (own or {}).items()
        }

    @classmethod
    def of_controls(cls, controls: Mapping[str, str]) -> Topics:
        """From `controls:` of kohort.yaml; other keys are passed over."""
        return cls({key[len(TOPIC) :].strip(): said for key, said in controls.items() if key.startswith(TOPIC)})

    def of(self, text: str, language: str | None) -> str | None:
        """The topic with the most words; your own before listed ones, then the one that is mentioned first. None without any."""
        words = [word for word in tokens(text) if word[0].isalpha()]
        found: Counter[str] = Counter()
        first: dict[str, int] = {}
        own = set()
        for topic, stems in self._known(language):
            for stem in stems:
                places = [_place(words, part) for part in stem]
                if all(place is not None for place in places):
                    found[topic] += len(stem)
                    first[topic] = min(first.get(topic, len(words)), *(p for p in places if p is not None))
                    if topic in self._own:
                        own.add(topic)
        if not found:
            return None
        return min(found, key=lambda topic: (topic not in own, -found[topic], first[topic], topic))

    def _known(self, language: str | None) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
        known = dict(listed(language)) if language else {}
        for topic, stems in self._own.items():
            if stems:
                known[topic] = known.get(topic, ()) + stems
            else:
                known.pop(topic, None)
        return list(known.items())


def _place(words: list[str], stem: str) -> int | None:
    return next((n for n, word in enumerate(words) if word.startswith(stem)), None)
