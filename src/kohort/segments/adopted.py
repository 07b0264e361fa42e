"""One version of an adopted segmentation, as it lies in the store.

A version is three things: the explained segmentation (store.state), the assigner's bytes with what is needed to repeat
it (store.artefacts), and the memberships it gave (store.state). A version never changes; renaming or finding the groups
again makes a new one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kohort.errors import Damaged, NotFound
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Segmentation
from kohort.segments.movement import NOBODY
from kohort.segments.profiles import Profiles, profiles_from_dict

if TYPE_CHECKING:
    from kohort.store.store import Store

KIND = "segmentation"
_ASSIGNER = "assigner.bin"


class Assigner(Protocol):
    """Places customers of a later table into the groups that were found."""

    def assign(self, table: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
        """Group numbers (−1 = left out) and confidences, one per row."""
        ...


Load = Callable[[bytes], Assigner]


@dataclass(frozen=True, slots=True)
class Adopted:
    """One version of an adopted segmentation.

    Attributes:
        assigner: Bytes of the assigner.
        segment_of: Segment id of each group number of the assigner.
        given: Names given by people, by segment id. They survive finding the groups again.
        next_id: Number of the next new segment; numbers are never used twice.
        provenance: What is needed to repeat it.
    """

    name: str
    version: int
    segmentation: Segmentation
    assigner: bytes
    segment_of: tuple[str, ...]
    given: Mapping[str, str]
    next_id: int
    profiles: Profiles
    provenance: Mapping[str, Any]

    @property
    def titles(self) -> dict[str, str]:
        return {s.id: s.name for s in self.segmentation.segments}

    def place(self, table: FeatureTable, load: Load) -> tuple[np.ndarray, np.ndarray]:
        """Segment id (`""` = left out) and confidence of each customer of a table."""
        groups, confidence = load(self.assigner).assign(table)
        return segment_ids(groups, self.segment_of), np.asarray(confidence, dtype=np.float64)


def adopted(store: Store, name: str) -> Adopted:
    """The newest version of an adopted segmentation.

    Raises:
        NotFound: Nothing is adopted under this name.
        Damaged: What is stored does not check out.
    """
    found = newest(store, name)
    if found is None:
        known = {row["name"] for row in store.state.segmentations() if row["adopted"]}
        raise NotFound("adopted segmentation", name, known)
    return found


def newest(store: Store, name: str) -> Adopted | None:
    """The same; None where nothing is adopted under this name."""
    versions = versions_of(store, name)
    return version_of(store, name, versions[-1]) if versions else None


def versions_of(store: Store, name: str) -> list[int]:
    """Numbers of the versions adopted under a name, oldest first."""
    return sorted(row["version"] for row in store.state.segmentations() if row["adopted"] and row["name"] == name)


def version_of(store: Store, name: str, version: int) -> Adopted:
    """One version of an adopted segmentation.

    Raises:
        Damaged: What is stored does not check out.
    """
    segmentation = store.state.segmentation(name, version=version)
    files, manifest = store.artefacts.load(KIND, artefact_of(name, version))
    try:
        assert segmentation is not None
        return Adopted(
            name,
            version,
            segmentation,
            files[_ASSIGNER],
            tuple(manifest["segment_of"]),
            dict(manifest["given"]),
            int(manifest["next_id"]),
            profiles_from_dict(manifest["profiles"]),
            manifest["provenance"],
        )
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise Damaged(f"Version {version} of the segmentation does not check out.", hint="Adopt it again.") from error


def save(store: Store, draft: Adopted) -> Adopted:
    """Stores a new version and returns it with its number.

    Artefact first, then the row that makes it count: an interruption in between leaves nothing half adopted.
    """
    name = draft.name
    # Numbers of an adoption that was taken back are in the history of its members: they are not given out again.
    used = [r["version"] for r in store.state.segmentations() if r["name"] == name]
    version = 1 + max([*used, *(run["version"] for run in store.members.runs(name))], default=0)
    artefact = artefact_of(name, version)
    store.artefacts.delete(KIND, artefact)
    manifest = {
        "name": name,
        "segment_of": list(draft.segment_of),
        "given": dict(draft.given),
        "next_id": draft.next_id,
        "profiles": draft.profiles.as_dict(),
        "provenance": dict(draft.provenance),
    }
    store.artefacts.save(KIND, artefact, {_ASSIGNER: draft.assigner}, manifest)
    segmentation = replace(draft.segmentation, name=name)
    version = store.state.save_segmentation(segmentation, name=name, adopted=True, least=version)
    return replace(draft, version=version, segmentation=segmentation)


def segment_ids(groups: np.ndarray, segment_of: Sequence[str]) -> np.ndarray:
    """Segment id of each group number; `""` for −1."""
    names = np.array([*segment_of, NOBODY], dtype=object)
    found: np.ndarray = names[np.asarray(groups)]  # −1 is the last entry
    return found


def artefact_of(name: str, version: int) -> str:
    """A folder name for any name people give: readable letters and a digest that tells like names apart."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "segments"
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}-{version}"
