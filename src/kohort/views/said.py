"""Why something was not done, as pages say it: what the engine says is in English unless a catalog has it."""

from __future__ import annotations

from markupsafe import Markup

from kohort.locale import current, find


def said(*texts: str) -> str:
    """Sentences that may not be in the reader's language: each as the catalog has it, else marked as English for
    programs that read aloud; empty ones are left out.

    Example:
        >>> from kohort.locale import speaking
        >>> with speaking("nl"):
        ...     print(said("Row 3 & row 4 differ.", ""))
        <span lang="en">Row 3 &amp; row 4 differ.</span>
        >>> said("Row 3 & row 4 differ.", "Correct one.")
        'Row 3 & row 4 differ. Correct one.'
    """
    told = [_one(text) for text in texts if text]
    return Markup(" ").join(told) if any(isinstance(one, Markup) for one in told) else " ".join(told)


def _one(text: str) -> str:
    found = find(text)
    return found if found != text or current.get() == "en" else Markup('<span lang="en">{}</span>').format(text)
