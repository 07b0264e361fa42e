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
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
Path = tuple[str | int, ...]
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: character offsets and the 1-based line."""

    start: int
    end: int
    line: int


@dataclass(slots=True)
class Document:
    """A YAML text as plain values (dict, list, str, int, float, bool, None) with the place of each value.

    Readers call `mistake` and go on, so that a person sees everything at once; `finish` raises what was found.
    """

    text: str
    name: str
    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    mistakes: list[tuple[Place, str]] = field(default_factory=list)

    def mistake(self, path: Path, message: str, hint: str = "", *, within: tuple[int, int] | None = None) -> None:
        """Note a mistake at a value; `within` narrows it to characters inside a one-line text value."""
        place = self.places.get(path) or next(
            (self.places[path[:n]] for n in range(len(path) - 1, -1, -1) if path[:n] in self.places), Place(0, 0, 1)
        )
        if within is not None:
            place = self._inside(place, within)
        where = ".".join(str(p) for p in path)
        said = f"line {place.line}{f' ({where})' if where else ''}: {message}{f' {hint}' if hint else ''}"
        self.mistakes.append((place, said))

    def refused(self, path: Path, error: RefusedDefinition) -> None:
        """Note what a reader of a single text value refused."""
        within = None if error.start is None or error.end is None else (error.start, error.end)
        hint = str(error).removeprefix(error.message).strip()
        self.mistake(path, error.message, hint, within=within)

    def finish(self) -> None:
        """Raise one error that says every mistake.

        Raises:
            RefusedDefinition: There was at least one; `start` and `end` are those of the first in the text.
        """
        if not self.mistakes:
            return
        found = sorted(self.mistakes, key=lambda m: (m[0].start, m[1]))
        shown = [said for _, said in found[:20]] + ([f"and {len(found) - 20} more"] if len(found) > 20 else [])
        count = "one mistake" if len(found) == 1 else f"{len(found)} mistakes"
        first = found[0][0]
        raise RefusedDefinition(
            f"{self.name} has {count}.\n" + "\n".join(f"  {line}" for line in shown),
            text=self.text,
            start=first.start,
            end=first.end,
            code="bad_configuration",
        )

    def _inside(self, place: Place, within: tuple[int, int]) -> Place:
        written = self.text[place.start : place.end]
        quote = 1 if written[:1] in ("'", '"') else 0
        start = place.start + quote + within[0]
        return Place(start, min(place.start + quote + within[1], place.end), place.line)


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
            code="bad_configuration",
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
    return f"Did you mean {near[0]!r}?" if near else "Known: " + ", ".join(options) + "."


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
        code="bad_configuration",
    )


def _value(node: Any, path: Path, document: Document) -> Any:
    document.places[path] = Place(node.start_mark.index, node.end_mark.index, node.start_mark.line + 1)
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
