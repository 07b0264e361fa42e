"""Changing one entry of a YAML text and leaving the rest as people wrote it, remarks included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kohort.definitions.yaml_text import Document, Path, read_yaml, write_yaml
from kohort.errors import RefusedDefinition


def spliced(text: str, path: Path, entries: Mapping[str, Any]) -> str | None:
    """The text with some entries of the mapping at a path written anew, or taken out.

    Args:
        path: Of the mapping; one that is not there yet is put at the end of the text.
        entries: Name → new value; None = take it out.

    Returns:
        None where the text is written in a way that has to be written anew as a whole (`{a: b}`, an empty rest). The
        caller compares what the new text means with what it wanted.

    Example:
        >>> print(spliced("# ours\\na: 1  # one\\nb: 2\\n", (), {"b": 3, "c": 4}), end="")
        # ours
        a: 1  # one
        b: 3
        c: 4
    """
    for name, value in entries.items():
        try:
            document = read_yaml(text)
        except RefusedDefinition:
            return None
        changed = _one(document, path, name, value)
        if changed is None:
            return None
        text = changed
    return text


def _one(document: Document, path: Path, name: str, value: Any) -> str | None:
    text = document.text if document.text.endswith("\n") or not document.text else document.text + "\n"
    children = [p for p in document.keys if len(p) == len(path) + 1 and p[: len(path)] == path]
    if not children:
        return None if value is None or path in document.keys else text + _nested(path, name, value)
    first = document.keys[children[0]].start
    line = _line_start(text, first)
    if text[line:first].strip():  # {a: b}, or several on one line
        return None
    indent = text[line:first]
    here = next((p for p in children if p[-1] == name), None)
    if here is None:
        end = _content_end(document, text, children[-1])
        return None if value is None else text[:end] + _entry(name, value, indent) + text[end:]
    if value is None and len(children) == 1:
        return None
    start, end = _line_start(text, document.keys[here].start), _content_end(document, text, here)
    return text[:start] + ("" if value is None else _entry(name, value, indent)) + text[end:]


def _content_end(document: Document, text: str, path: Path) -> int:
    """Where the lines of an entry end, without the blank lines and remarks that follow it."""
    start = _line_start(text, document.keys[path].start)
    last = max(document.places[path].end, document.keys[path].end)
    if text[_line_start(text, last) : last].strip():
        last = text.find("\n", last) + 1 or len(text)
    else:  # a block ends where the next key begins
        last = _line_start(text, last)
    lines = text[start:last].splitlines(keepends=True)
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        last -= len(lines.pop())
    return last


def _entry(name: str, value: Any, indent: str) -> str:
    return "".join(indent + line for line in write_yaml({name: value}).splitlines(keepends=True))


def _nested(path: Path, name: str, value: Any) -> str:
    """An entry with the keys that lead to it."""
    whole: Any = {name: value}
    for key in reversed(path):
        whole = {key: whole}
    return write_yaml(whole)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1
