"""A mapping in a file of its own: one source as it stands in `kohort.yaml`, or a whole `sources:` section with one."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

from kohort.errors import UnreadableFile, WrongUsage

if TYPE_CHECKING:
    from kohort.model.source import SourceMapping

LARGEST = 1_000_000


def read_mapping(file: str) -> SourceMapping:
    """Read a mapping file; the source is called like the file unless the file names it.

    Raises:
        UnreadableFile: It is not a text file.
        RefusedDefinition: It is not a mapping.
        WrongUsage: It holds several.
    """
    from kohort.definitions.workspace_file import parse

    path = Path(file)
    if path.stat().st_size > LARGEST:
        raise UnreadableFile("The mapping file is larger than 1 MB.", place=path.name, hint="It holds no data.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile("The mapping is not UTF-8 text.", place=path.name, hint="Save it as UTF-8.") from error
    if not re.search(r"^sources\s*:", text, re.MULTILINE):
        name = re.sub(r"\W+", "_", path.stem).strip("_") or "mapping"
        text = f"sources:\n  {name}:\n{indent(text, '    ')}"
    if not re.search(r"^name\s*:", text, re.MULTILINE):
        text = f"name: mapping\n{text}"
    sources = parse(text).sources
    if len(sources) != 1:
        raise WrongUsage(f"{path.name} must hold exactly one source; it holds {len(sources)}.")
    return sources[0]
