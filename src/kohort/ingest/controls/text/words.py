"""Lists of words that come with Kohort. Each file says where it is from; kohort/data/text/LICENCES.md has the terms."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|[!?]+|[.,;:]")
"""Words, and the signs that end a clause."""


@cache
def rows(name: str) -> tuple[tuple[str, ...], ...]:
    """The lines of a list, split at tabs; lines that begin with # are left out."""
    text = (files("kohort") / "data" / "text" / f"{name}.tsv").read_text(encoding="utf-8")
    return tuple(tuple(line.split("\t")) for line in text.splitlines() if line and not line.startswith("#"))


def tokens(text: str) -> list[str]:
    """Words in lower case, and signs."""
    return [token.replace("’", "'") for token in TOKEN.findall(text.lower())]
