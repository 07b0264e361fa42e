"""Why something was not done, as pages say it: what the engine says is in English unless a catalog has it."""

from __future__ import annotations

from markupsafe import Markup

from kohort.errors import KohortError
from kohort.locale import current, find


def said(*told: str | KohortError) -> str:
    """Sentences, or errors with what helps, that may not be in the reader's language: each as the catalog has it, else
    marked as English for programs that read aloud; empty ones are left out.

    Example:
        >>> from kohort.locale import speaking
        >>> with speaking("nl"):
        ...     print(said("Row 3 & row 4 differ.", ""))
        <span lang="en">Row 3 &amp; row 4 differ.</span>
        >>> said("Row 3 & row 4 differ.", "Correct one.")
        'Row 3 & row 4 differ. Correct one.'
    """
    texts = [text for one in told for text in ((one,) if isinstance(one, str) else (one.message, one.hint))]
    shown = [_one(text) for text in texts if text]
    return Markup(" ").join(shown) if any(isinstance(one, Markup) for one in shown) else " ".join(shown)


def _one(text: str) -> str:
    found = find(text)
    return found if found != text or current.get() == "en" else Markup('<span lang="en">{}</span>').format(text)
