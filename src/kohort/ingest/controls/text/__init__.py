"""What people write: cleaned, told from spam, and measured. Only the measures are stored, never the text; docs/texts.md."""

from __future__ import annotations

from kohort.ingest.controls.text.measure import Measured, Texts

__all__ = ["Measured", "Texts"]
