"""Looking at files and saying how they would be read, or asking where they can be read in more than one way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kohort.errors import KohortError, NeedsAnswer, WrongUsage
from kohort.ingest import words
from kohort.ingest.chunk import Reader
from kohort.ingest.draft import Draft
from kohort.ingest.files import SourceFile, expand
from kohort.ingest.look import Look, masked
from kohort.ingest.normalise import Normaliser, check_mapping
from kohort.ingest.readers import open_reader
from kohort.model.source import SourceKind, SourceMapping, stored_name

ANSWERS = (
    "kind",
    "columns",
    "day_first",
    "decimal",
    "sheet",
    "currency",
    "event",
    "time_format",
    "zone",
    "identities",
    "name",
)
"""What `answers` may hold: the fields of a mapping that a person can settle beforehand."""

_OPEN_FILES = 12


@dataclass(frozen=True, slots=True)
class Proposal:
    """How files would be read.

    Attributes:
        mapping: Ready for `ingest_files`.
        examples: Per column of the file: {"column", "use", "examples", "why"}; direct identifiers are masked.
        notes: What was decided on the way, in plain sentences.
    """

    mapping: SourceMapping
    examples: list[dict[str, Any]]
    notes: tuple[str, ...] = ()


def propose(
    paths: Iterable[str | Path] | str | Path,
    *,
    kind: SourceKind | None = None,
    zone: str = "UTC",
    currency: str = "",
    answers: Mapping[str, Any] | None = None,
    taken: Iterable[str] = (),
    within: str | Path | None = None,
) -> Proposal:
    """How some files would be read, judged by the names and values of their columns.

    Args:
        paths: Files of one shape; folders, patterns and archives as in `ingest_files`.
        kind: What a row is; None = find out.
        zone: The workspace's zone; times without an offset are taken to be local to it.
        currency: The workspace's currency; sources without a currency column are taken to be in it.
        answers: Fields of the mapping that are settled, see ANSWERS: {"columns": {"customer": "user_id"}, "day_first": True}.
        taken: Names of sources that exist already; the new one gets another.
        within: A folder that no path may leave.

    Raises:
        NeedsAnswer: Something can be read in more than one way. Each question says how to answer it.
        KohortError: A file cannot be read.
    """
    told = dict(answers or {})
    if unknown := sorted(told.keys() - set(ANSWERS)):
        raise WrongUsage(f"{unknown[0]!r} is not something a mapping can be told.", hint=f"Use: {', '.join(ANSWERS)}.")
    if kind is not None:
        told["kind"] = kind
    files = expand(paths, within=within)
    readers = [open_reader(f, sheet=str(told.get("sheet", ""))) for f in _spread(files)]
    _check_one_shape(readers)
    return propose_from(readers, told, name=files[0].name, zone=zone, currency=currency, taken=taken)


def propose_from(
    readers: Sequence[Reader], told: Mapping[str, Any], *, name: str, zone: str, currency: str, taken: Iterable[str]
) -> Proposal:
    """The same for opened files, or rows that were fetched; `name` is what questions call them."""
    draft = Draft(readers, told, zone=zone, currency=currency)
    mapping = draft.mapping(_free_name(told, draft, taken))
    if draft.questions:
        raise NeedsAnswer(
            f"{name} can be read in more than one way.",
            draft.questions,
            hint="Write the answers as a mapping and give it with --map, or pass `answers=`.",
        )
    check_mapping(mapping)
    return Proposal(mapping, examples(draft.looks, mapping), tuple(draft.notes))


def columns_of(paths: Iterable[str | Path] | str | Path) -> list[str]:
    """Names of the columns of some files of one shape, as the first one has them.

    Raises:
        KohortError: It cannot be read.
    """
    return [column.name for column in open_reader(expand(paths)[0]).columns]


def fits(paths: Iterable[str | Path] | str | Path, mapping: SourceMapping) -> bool:
    """Whether files have the columns that a mapping needs. False also where they cannot be read."""
    try:
        for file in _spread(expand(paths)):
            Normaliser.of(mapping, open_reader(file, csv=mapping.csv, sheet=mapping.sheet), "")
    except KohortError:
        return False
    return True


def examples(looks: Sequence[Look], mapping: SourceMapping) -> list[dict[str, Any]]:
    """Per column what it holds and what becomes of it; direct identifiers are masked."""
    role_of = {name: role for role, name in mapping.columns.items()}
    shown = []
    for column in looks:
        use = role_of.get(column.name, "")
        if column.name in mapping.identities:
            use = f"{use} and {mapping.identities[column.name]} (sealed)".removeprefix(" and ")
        elif column.name in mapping.properties:
            use = f"{'trait' if mapping.kind == 'customers' else 'property'} ({mapping.properties[column.name]})"
        why = mapping.ignored.get(column.name, "")
        sealed = column.name in mapping.identities or column.identity or words.private_reason(column.name)
        examples = [masked(v) if sealed else v[:80] for v in column.some[:3]]
        shown.append({"column": column.name, "use": use or "left out", "examples": examples, "why": why})
    return shown


def _spread(files: Sequence[SourceFile]) -> list[SourceFile]:
    """A few of many files, from the first to the last."""
    if len(files) <= _OPEN_FILES:
        return list(files)
    step = (len(files) - 1) / (_OPEN_FILES - 1)
    return [files[round(i * step)] for i in range(_OPEN_FILES)]


def _check_one_shape(readers: Sequence[Reader]) -> None:
    first = {c.name for c in readers[0].columns}
    for reader in readers[1:]:
        names = {c.name for c in reader.columns}
        if not reader.flexible and names != first:
            raise NeedsAnswer(
                "These files do not have the same columns.",
                [f"{reader.name} differs from {readers[0].name}. Ingest them one kind at a time."],
            )


def _free_name(told: Mapping[str, Any], draft: Draft, taken: Iterable[str]) -> str:
    used = set(taken)
    base = stored_name(str(told["name"])) if told.get("name") else draft.kind
    name, n = base, 1
    while name in used:
        n += 1
        name = f"{base}_{n}"
    return name
