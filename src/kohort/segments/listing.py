"""Every segment there is in one list, however it came about: by rules, by hand, adopted, or defined no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from kohort.definitions.segments import SegmentKind
from kohort.model.clock import iso
from kohort.model.membership import Status
from kohort.segments.dependencies import onward, refers_to, users

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition
    from kohort.store.store import Store

Kind = SegmentKind | Literal["found", "unread", "gone"]
"""found: an adopted segmentation. unread: its text cannot be read; its members stay. gone: it has members, but is defined
no more; remove it."""


@dataclass(frozen=True, slots=True)
class PartSize:
    """One part and its members; `share` of all customers, None where their number is not known."""

    key: str
    label: str
    size: int
    share: float | None


@dataclass(frozen=True, slots=True)
class Description:
    """One line of the list. Instants are microseconds UTC; None = never.

    Attributes:
        evaluation: When members change: with every run, when it is run, paused, never.
        version: That the members follow; 0 = never evaluated.
        status: Freshness, duration and the last error.
        depends_on: What its rules refer to.
        used_by: What refers to it, directly or not.
    """

    name: str
    label: str
    description: str
    kind: Kind
    parts: tuple[PartSize, ...]
    size: int
    share: float | None
    evaluation: str
    purpose: str
    version: int
    status: Status
    depends_on: tuple[str, ...]
    used_by: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, instants as ISO 8601 UTC."""
        status = asdict(self.status)
        for name in ("evaluated_at", "as_of", "failed_at"):
            status[name] = None if status[name] is None else iso(status[name])
        return {**asdict(self), "status": status}


def describe_all(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    *,
    customers: int | None = None,
    unread: Mapping[str, str] | None = None,
) -> tuple[Description, ...]:
    """Every definition in the order it was written, then adopted segmentations, then what is defined no more.

    Args:
        customers: In all, for shares.
        unread: Definitions whose text cannot be read → why.
    """
    wrong = unread or {}
    statuses = store.status.all()
    plain = {d.name for d in definitions if len(d.parts) == 1}
    sizes = store.members.sizes([n for n, status in statuses.items() if status.size and n not in plain])
    lister = _Lister(store, users(definitions), statuses, sizes, customers)
    defined = {d.name for d in definitions}
    adopted = dict.fromkeys(row["name"] for row in store.state.segmentations() if row["adopted"])
    lines = [lister.defined(d) for d in definitions]
    lines += [lister.unread(name, why) for name, why in wrong.items()]
    lines += [lister.found(name) for name in adopted if name not in defined]
    known = defined | adopted.keys() | wrong.keys()
    lines += [lister.stored(name, "gone", {}) for name in store.members.names() if name not in known]
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class _Lister:
    store: Store
    users: Mapping[str, Sequence[str]]
    statuses: Mapping[str, Status]
    counted: Mapping[str, Mapping[str, int]]
    customers: int | None

    def defined(self, definition: SegmentDefinition) -> Description:
        from kohort.definitions.segments_text import title

        parts = {p.key: title(p.key, p.label) for p in definition.parts}
        return replace(
            self.stored(definition.name, definition.kind, parts),
            label=title(definition.name, definition.label),
            description=definition.description,
            evaluation="paused" if definition.paused else "with every run",
            purpose=definition.purpose,
            depends_on=tuple(sorted(refers_to(definition))),
        )

    def found(self, name: str) -> Description:
        adopted = self.store.state.segmentation(name)
        parts = {s.id: s.name for s in adopted.segments} if adopted else {}
        return replace(self.stored(name, "found", parts), evaluation="when it is run")

    def unread(self, name: str, why: str) -> Description:
        line = self.stored(name, "unread", {})
        return replace(line, evaluation="not before it can be read", status=replace(line.status, error=why))

    def stored(self, name: str, kind: Kind, labels: Mapping[str, str]) -> Description:
        """What the store knows of a name; `labels` has the keys of its parts in order."""
        status = self.statuses.get(name, Status(name))
        sizes = self.sizes(name, status, list(labels))
        base = None if kind == "accounts" else self.customers
        keys = dict.fromkeys([*labels, *sorted(sizes)])
        return Description(
            name=name,
            label=name,
            description="",
            kind=kind,
            parts=tuple(PartSize(k, labels.get(k, k), sizes.get(k, 0), _share(sizes.get(k, 0), base)) for k in keys),
            size=status.size,
            share=_share(status.size, base),
            evaluation="never",
            purpose="",
            version=status.version,
            status=status,
            depends_on=(),
            used_by=onward(self.users, name),
        )

    def sizes(self, name: str, status: Status, keys: Sequence[str]) -> Mapping[str, int]:
        """Members by part."""
        if not status.size:
            return {}
        if len(keys) == 1:
            return {keys[0]: status.size}
        return self.counted.get(name, {})


def _share(size: int, customers: int | None) -> float | None:
    return size / customers if customers else None
