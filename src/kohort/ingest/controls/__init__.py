"""Controls: what is told apart when data comes in, so that segments are built on what customers did.

`lines` tells goods from postage, fees and notes; `agents` tells people from machines, and `restore` gives back what was
set aside by mistake; `text` measures what people write. docs/ingest.md, docs/controls.md and docs/texts.md say the same in
words. Nothing here drops a row.
"""

from __future__ import annotations

from kohort.ingest.controls.agents import AGENT, Agents
from kohort.ingest.controls.lines import RULES, explain, explained, is_note, line_kind, tidy
from kohort.ingest.controls.overrides import check_overrides
from kohort.ingest.controls.text import Texts

__all__ = [
    "AGENT",
    "RULES",
    "Agents",
    "Texts",
    "check_overrides",
    "explain",
    "explained",
    "is_note",
    "line_kind",
    "tidy",
]
