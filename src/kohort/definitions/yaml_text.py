"""YAML people write, read without trust: plain values with the place of each, and every mistake reported in one go."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from kohort.errors import RefusedDefinition

LARGEST = 256 * 1024
_DEEPEST = 20
MOST_SHOWN = 20
CODE = "bad_configuration"
_FARTHEST = 200
"""Characters between two of a value: an indent, an escape; farther away is something else."""

_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
Path = tuple[str | int, ...]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: character offsets and the 1-based line."""

    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a text.

    Attributes:
        file: Name of the text.
        key: Dotted keys that lead to the value.
        place: Of the value, or of a part of it.
        line: The line it begins in, as text; the place begins at its character `column` (1-based).
    """

    file: str
    key: str
    place: Place
    line: str
    column: int
    message: str
    hint: str
    code: str

    def __str__(self) -> str:
        where = f" ({self.key})" if self.key else ""
        return f"line {self.place.line}{where}: {self.message}{f' {self.hint}' if self.hint else ''}"

    def as_dict(self) -> dict[str, object]:
        """What doors print."""
        return {
            "file": self.file,
            "key": self.key,
            "line": self.place.line,
            "column": self.column,
            "until": self.column + self.place.end - self.place.start,
            "excerpt": self.line,
            "start": self.place.start,
            "end": self.place.end,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


@dataclass(slots=True)
class Document:
    """A YAML text as plain values (dict, list, str, int, float, bool, None) with the place of each value.

    Readers call `mistake` and go on, so that a person sees everything at once; `finish` raises what was found.
    """

    text: str
    name: str
    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def mistake(
        self,
        path: Path,
        message: str,
        hint: str = "",
        *,
        within: tuple[int, int] | None = None,
        at_key: bool = False,
        code: str = CODE,
    ) -> None:
        """Note a mistake at a value, or at its key; `within` narrows it to characters inside a text value."""
        place = (self.keys if at_key else self.places).get(path) or next(
            (self.places[path[:n]] for n in range(len(path) - 1, -1, -1) if path[:n] in self.places), Place(0, 0, 1)
        )
        if within is not None:
            place = self._inside(path, place, within)
        line_start = self.text.rfind("\n", 0, place.start) + 1
        line_end = self.text.find("\n", place.start)
        line = self.text[line_start : line_end if line_end >= 0 else None]
        key = ".".join(str(p) for p in path)
        column = place.start - line_start + 1
        self.mistakes.append(Mistake(self.name, key, place, line, column, message, hint, code))

    def refused(self, path: Path, error: RefusedDefinition) -> None:
        """Note what a reader of a single text value refused."""
        within = None if error.start is None or error.end is None else (error.start, error.end)
        self.mistake(path, error.message, error.hint, within=within, code=error.code)

    def under(self, key: str) -> Document:
        """The same text with its value below a key."""
        places, keys = ({(key, *path): at for path, at in some.items()} for some in (self.places, self.keys))
        return Document(self.text, self.name, {key: self.data}, places, keys, self.mistakes)

    def finish(self) -> None:
        """Raise one error that says every mistake.

        Raises:
            RefusedDefinition: There was at least one; `start` and `end` are those of the first in the text.
        """
        finish([self])

    def _inside(self, path: Path, place: Place, within: tuple[int, int]) -> Place:
        """Characters `within` the value at a path, as they stand in the text: quotes, escapes and folded lines too."""
        value: Any = self.data
        try:
            for key in path:
                value = value[key]
        except (KeyError, IndexError, TypeError):
            return place
        if not isinstance(value, str):
            return place
        at = _aligned(value, self.text, place)
        start, end = (min(max(w, 0), len(value)) for w in within)
        first = at[start]
        last = at[end - 1] + 1 if end > start else first
        return Place(first, max(last, first), 1 + self.text.count("\n", 0, first))


def finish(documents: Iterable[Document]) -> None:
    """Raise one error that says every mistake of several texts.

    Raises:
        RefusedDefinition: There was at least one; `text`, `start` and `end` are those of the first text that has one.
    """
    wrong = [d for d in documents if d.mistakes]
    if not wrong:
        return
    found = [m for d in wrong for m in sorted(d.mistakes, key=lambda m: (m.place.start, m.message))]
    shown = [f"  {m.file} {m}" if len(wrong) > 1 else f"  {m}" for m in found[:MOST_SHOWN]]
    if len(found) > MOST_SHOWN:
        shown.append(f"  and {len(found) - MOST_SHOWN} more")
    names = wrong[0].name if len(wrong) == 1 else f"{wrong[0].name} and {len(wrong) - 1} more"
    verb = "has" if len(wrong) == 1 else "have"
    count = "one mistake" if len(found) == 1 else f"{len(found)} mistakes"
    raise RefusedDefinition(
        f"{names} {verb} {count}.\n" + "\n".join(shown),
        text=wrong[0].text,
        start=found[0].place.start,
        end=found[0].place.end,
        code=CODE,
        mistakes=[m.as_dict() for m in found],
    )


def _aligned(value: str, text: str, place: Place) -> list[int]:
    """Offset in the text of each character of a text value, and of its end.

    What stands between two characters that the value shows (a quote, an escape, the indent of the next line) is
    stepped over; a character that is written in another way (`\\n`) keeps the place of what precedes it.
    """
    at = place.start
    if text[at : at + 1] in ("|", ">"):
        at = text.find("\n", at) + 1 or at
    offsets = []
    for character in value:
        found = text.find(character, at, min(at + _FARTHEST, place.end))
        if found >= 0:
            at = found + 1
        offsets.append(found if found >= 0 else min(at, place.end))
    return [*offsets, min(at, place.end)]


def read_yaml(text: str, name: str = "kohort.yaml") -> Document:
    """Read YAML text.

    Raises:
        RefusedDefinition: Too large, not YAML, or using what we keep out on purpose: anchors, tags, deep nesting.
    """
    document = Document(text, name)
    if len(text) > LARGEST:
        raise RefusedDefinition(
            f"{name} is larger than {LARGEST // 1024} KB.", hint="It holds definitions, not data.", code="too_large"
        )
    try:
        _check_events(document)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        at = mark.index if mark else 0
        raise RefusedDefinition(
            f"{name} line {line}: this is not YAML.",
            text=text,
            start=min(at, len(text)),
            end=min(at + 1, len(text)),
            hint=str(getattr(error, "problem", "") or "").capitalize(),
            code=CODE,
        ) from error
    document.data = _value(node, (), document) if node is not None else None
    document.finish()
    return document


def write_yaml(data: Any) -> str:
    """YAML that a person likes to read: keys in the order given, no references, long texts on one line."""
    return yaml.dump(data, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1_000, default_flow_style=False)


def nearest(word: object, known: Iterable[str]) -> str:
    """A hint for a word that is not known."""
    options = sorted(known)
    near = difflib.get_close_matches(str(word), options, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return "Known: " + ", ".join(options) + "." if options else "There is none to choose from."


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _check_events(document: Document) -> None:
    """Refuse anchors (a few lines of them can mean gigabytes) and deep nesting before anything is built."""
    depth = 0
    for event in yaml.parse(document.text, Loader=_LOADER):
        if getattr(event, "anchor", None) is not None:
            _refuse_mark(document, event, "Anchors and references (& and *) cannot be used here.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            _refuse_mark(document, event, "This is nested too deeply.")


def _refuse_mark(document: Document, event: Any, message: str) -> None:
    mark = event.start_mark
    raise RefusedDefinition(
        f"{document.name} line {mark.line + 1}: {message}",
        text=document.text,
        start=mark.index,
        end=event.end_mark.index,
        code=CODE,
    )


def _place(node: Any) -> Place:
    return Place(node.start_mark.index, node.end_mark.index, node.start_mark.line + 1)


def _value(node: Any, path: Path, document: Document) -> Any:
    document.places[path] = _place(node)
    if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
        document.mistake(path, f"The tag {node.tag!r} cannot be used here.")
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, i), document) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name in found:
                document.mistake(path, f"{name!r} is written twice.")
            document.keys[*path, name] = _place(key)
            found[name] = _value(value, (*path, name), document)
        return found
    return _scalar(node, path, document)


def _scalar(node: Any, path: Path, document: Document) -> Any:  # noqa: PLR0911 - one answer per tag
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    text = node.value
    try:
        match kind:
            case "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "str" | "bool" | "timestamp" | "value" | "merge":
                return text  # yes, no, on, off and 2011-12-09 stay what was written
    except ValueError:
        return text
    document.mistake(path, f"The tag {node.tag!r} cannot be used here.")
    return None
