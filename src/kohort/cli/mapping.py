"""A mapping in a file of its own: answers to what `ingest` asked, or a whole source as it stands in `kohort.yaml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import RefusedDefinition, TooLarge, UnreadableFile

if TYPE_CHECKING:
    from kohort.model.source import SourceMapping

LARGEST = 1_000_000


def read_map_file(file: str) -> SourceMapping | dict[str, Any]:
    """Read a mapping file: one source, bare or as the only one of a `sources:` section.

    Returns:
        Answers for `propose` (field → value) where the file settles only some things; a whole mapping where it also
        says what becomes of the other columns (`properties`, `ignored`, `csv`).

    Raises:
        UnreadableFile: It is not a text file.
        RefusedDefinition: It is not a mapping, or holds several.
    """
    from kohort.definitions.workspace_file import parse
    from kohort.definitions.yaml_text import read_yaml, write_yaml
    from kohort.ingest.proposal import ANSWERS

    path = Path(file)
    data = read_yaml(_text(path), path.name).data
    name = re.sub(r"\W+", "_", path.stem).strip("_") or "mapping"
    if isinstance(data, dict) and "sources" in data:
        sources = data["sources"]
        if not isinstance(sources, dict) or len(sources) != 1:
            raise RefusedDefinition(f"{path.name} must hold exactly one source.", code="one_source")
        ((name, data),) = sources.items()
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise RefusedDefinition(
            f"{path.name} is not a mapping.", hint="Write for example: kind: orders", code="not_a_mapping"
        )
    if data.keys() <= set(ANSWERS):
        return data
    return parse(write_yaml({"name": "mapping", "sources": {str(data.pop("name", name)): data}})).sources[0]


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST:
        raise TooLarge("The mapping file is larger than 1 MB.", place=path.name, hint="It holds no data.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile("The mapping is not UTF-8 text.", place=path.name, hint="Save it as UTF-8.") from error
