"""From a text to what is stored of it: language, how friendly it sounds, what it is about, how long it is. The text is not kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kohort.ingest.controls.text.clean import clean, is_spam
from kohort.ingest.controls.text.language import language
from kohort.ingest.controls.text.sentiment import sentiment
from kohort.ingest.controls.text.topics import Topics
from kohort.model.event import NUMBER_SCALE, TEXT_COLUMNS, Scalar


@dataclass(frozen=True, slots=True)
class Measured:
    """What is stored of one text.

    Attributes:
        language: One of `language.LANGUAGES`, or None.
        sentiment: From −1 to 1; None where no word says anything, and for spam.
        topic: Name of a topic, or None.
        words: Of what the person wrote herself.
        spam: It reads like advertising that nobody asked for.
    """

    language: str | None
    sentiment: float | None
    topic: str | None
    words: int
    spam: bool

    def values(self) -> dict[str, str | int | float | bool | None]:
        """By their columns, numbers as people write them."""
        score = None if self.sentiment is None else round(self.sentiment, 6)
        return dict(zip(TEXT_COLUMNS, (self.language, score, self.topic, self.words, self.spam), strict=True))

    def columns(self) -> dict[str, Scalar]:
        """As the event table stores them: numbers in millionths."""
        stored: dict[str, Scalar] = {}
        for name, value in self.values().items():
            if isinstance(value, float) or (TEXT_COLUMNS[name] == "number" and isinstance(value, int)):
                stored[name] = round(value * NUMBER_SCALE)
            else:
                stored[name] = value
        return stored


class Texts:
    """Measures texts, with the topics of one workspace.

    Example:
        >>> Texts().measure("Mijn pakket is kapot aangekomen, heel vervelend.").language
        'nl'
    """

    def __init__(self, controls: Mapping[str, str] | None = None) -> None:
        self._topics = Topics.of_controls(controls or {})

    def measure(self, text: str) -> Measured:
        """The measures of one text, as it came: with markup, quoted messages and a signature."""
        own = clean(text)
        words = len(own.split())
        spoken = language(own) if words else None
        if is_spam(text):
            return Measured(spoken, None, None, words, spam=True)
        score = sentiment(own, spoken) if spoken else None
        return Measured(spoken, score, self._topics.of(own, spoken), words, spam=False)
