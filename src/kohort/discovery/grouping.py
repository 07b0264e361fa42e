"""What grouping hands to explanation: who is in which group, how sure, and the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Algorithm, Candidate, Estimate, FeatureUse, Layer, Structure

if TYPE_CHECKING:
    import numpy as np


class Assigner(Protocol):
    """Puts customers of any later table into the groups that were found. Saved without pickle."""

    def assign(self, table: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
        """Labels (int32, −1 = left out) and confidences (float32, 0 to 1), one per row; memory stays flat."""
        ...

    def to_bytes(self) -> bytes:
        """The whole assigner in a safe, versioned format (npz + JSON); `assigner_from_bytes` reads it back."""
        ...


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of customers and the evidence for them, before any words.

    Attributes:
        labels: int32, one per row of the table: group 0 … k−1, −1 = left out.
        confidence: float32, one per row: how clearly the row belongs to its group, 0 to 1.
        stability: Per group, mean bootstrap Jaccard with interval; None where not measured.
        sample: Row numbers of the sample that models were fitted on.
        prepared: float32 matrix (len(sample), used features): scaled and unskewed, as the algorithms saw it.
        used: Names of the features behind the columns of `prepared`.
        micro_labels: int32 per row, nested in `labels`; None unless asked for.
        micro_parent: Main group of each micro group.
        tree: Linkage over the k groups: (left, right, height, rows), as in scipy.
        layers: What is known of whom; empty where everything is known of everybody.
        layer_of: int16 per row, the place of its layer; None or empty where there are none.
    """

    algorithm: Algorithm
    k: int
    labels: np.ndarray
    confidence: np.ndarray
    structure: Structure
    candidates: tuple[Candidate, ...]
    stability: tuple[Estimate | None, ...]
    features: tuple[FeatureUse, ...]
    sample: np.ndarray
    prepared: np.ndarray
    used: tuple[str, ...]
    assigner: Assigner
    gate: Literal["enough", "limited", "insufficient"]
    micro_labels: np.ndarray | None = None
    micro_parent: tuple[int, ...] = ()
    micro_stability: tuple[Estimate | None, ...] = ()
    tree: tuple[tuple[int, int, float, int], ...] = ()
    warnings: tuple[str, ...] = field(default=())
    layers: tuple[Layer, ...] = ()
    layer_of: np.ndarray | None = None
