"""Which of the shop's languages a text is in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

LANGUAGES = ("da", "de", "en", "nl")
_FEWEST_LETTERS = 8
"""Of a shorter text nobody can tell ("ok", "super")."""

_SURE = 0.6


@cache
def _model(languages: tuple[str, ...]) -> Any:
    # py3langid keeps one model for the whole process; this one is ours, so that nobody else's setting changes it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages(list(languages))
    return model


def language(text: str, among: Sequence[str] = LANGUAGES) -> str | None:
    """One of `among`; None for a text that is too short or fits none of them clearly better than the others.

    It is asked which of these languages fits best: a text in another language gets the nearest of them.

    Example:
        >>> language("Waar blijft mijn pakket?"), language("Hvor bliver min pakke af?"), language("ok")
        ('nl', 'da', None)
    """
    if sum(map(str.isalpha, text)) < _FEWEST_LETTERS:
        return None
    code, sure = _model(tuple(among)).classify(text[:2_000])
    return str(code) if sure >= _SURE else None
