"""What discovery finds, as plain values: the JSON object `<segmentation>` that commands, pages and reports share."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["separate", "spectrum", "none"]
Algorithm = Literal["kmeans", "hierarchical", "hdbscan", "mixture", "tiers"]
Absence = Literal["", "marked", "told", "unknown"]
"""How the absence of a feature is taken: as a fact that a column of its own or another feature says, or as not known."""

FIRST_NAME = "Main"
"""Under which groups are adopted unless somebody says another name: data, so it is the same in every language."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number that is an estimate, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Structure:
    """The honest finding about structure.

    `separate`: gaps between groups that a single-population null model with the same marginals and correlation does
    not show. `spectrum`: no gaps, but cuts that hold when re-checked. `none`: not even that.
    `evidence` holds the figures behind the verdict (JSON numbers); `text` is one plain sentence.
    """

    verdict: Verdict
    evidence: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One grouping that was tried. Higher is better in every figure; None = could not be measured."""

    algorithm: Algorithm
    k: int
    stability: Estimate | None  # mean per-group bootstrap Jaccard, 0 to 1
    separation: float | None  # simplified silhouette, -1 to 1
    smallest_share: float  # share of customers in the smallest group
    value_spread: float | None  # share of the variance of customer value explained by the groups, 0 to 1
    explainability: float | None  # agreement of a short rule tree with the groups, 0 to 1
    outlier_share: float = 0.0
    score: float | None = None  # the combined figure the choice was made on
    chosen: bool = False
    note: str = ""  # why it was not eligible, in plain words


@dataclass(frozen=True, slots=True)
class Rule:
    """A short rule that nearly says who is in a segment.

    `fidelity` (precision): share of the customers meeting the rule who are in the segment.
    `coverage` (recall): share of the segment's customers who meet the rule.
    """

    text: str  # in plain words: "More than 5 orders and last order at most 60 days ago"
    expression: str  # the same as a SQL boolean expression over features
    fidelity: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How the typical member differs from the average customer in one feature."""

    feature: str
    label: str
    unit: str
    value: float | str | None  # typical member (median, or most frequent text)
    average: float | str | None  # typical customer overall (median, or most frequent text)
    effect: float  # standardised difference, signed
    text: str  # "7.3 times the spend", "orders every 27 days instead of 54"


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """Size and revenue of a segment at one past moment."""

    at: str  # ISO date
    size: int
    revenue: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One group, explained. Shares are 0 to 1; money is in major units."""

    id: str  # stable over retraining: "s1" …
    name: str
    description: str
    size: int
    share: float
    revenue: float | None
    revenue_share: float | None
    stability: Estimate | None  # bootstrap Jaccard of this segment
    confidence: float | None  # mean membership confidence of its members, 0 to 1
    rule: Rule | None
    different: tuple[Difference, ...]
    typical: tuple[dict[str, Any], ...] = ()  # a few typical customers: {"customer": id, feature: value …}
    edge: tuple[dict[str, Any], ...] = ()  # customers on the edge: the same plus "other": segment id
    odd: tuple[dict[str, Any], ...] = ()  # members unlike the rest
    trend: tuple[TrendPoint, ...] = ()
    parent: str | None = None  # main segment of a micro-segment


@dataclass(frozen=True, slots=True)
class MapPoint:
    """One sampled customer on the two-dimensional map; of a large population some customers in one place.

    Where any point stands for several, all are centres of cells of `kohort.model.hexes`, and everybody is counted.
    """

    x: float
    y: float
    segment: str  # segment id, "" for left out
    customers: int = 1


@dataclass(frozen=True, slots=True)
class FeatureUse:
    """What became of one feature in preparation."""

    feature: str
    label: str
    used: bool
    treatment: str  # "as is", "logarithm", "ranked", …
    relevance: float | None  # 0 to 1: how much it separates the chosen groups
    reason: str = ""  # why it was left out: "says the same as Orders (0.97)"
    missing: float = 0.0  # share of customers without a value
    absence: Absence = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """Customers of whom the same is known. They are placed by that, and by nothing in the place of the rest.

    `agreement`: of customers of whom everything is known, the share that stays in its group when what is unknown here is
    hidden; None where nothing is known at all, or nothing hidden.
    """

    unknown: tuple[str, ...]  # features; empty = everything is known
    customers: int
    share: float
    agreement: Estimate | None
    text: str
    exact: bool = True  # whether all of `unknown` is unknown of each; else some of it


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Everything discovery says about one population at one moment. See docs/interfaces.md for the JSON."""

    id: str
    algorithm: Algorithm
    k: int
    customers: int
    structure: Structure
    candidates: tuple[Candidate, ...]
    segments: tuple[Segment, ...]
    outliers: int
    warnings: tuple[str, ...]
    as_of: str | None = None
    currency: str = ""
    name: str = ""
    evidence_gate: Literal["enough", "limited", "insufficient"] = "enough"  # 10,000 / 1,000 customers
    features: tuple[FeatureUse, ...] = ()
    micro: tuple[Segment, ...] = ()
    map: tuple[MapPoint, ...] = ()
    map_method: str = "pca"
    map_explained: float | None = None  # share of the variance that the two map axes keep
    map_axes: tuple[str, ...] = ()  # what it means to stand further right, further up; empty where axes mean nothing
    seed: int = 0
    seconds: float | None = None
    tree: tuple[tuple[int, int, float, int], ...] = ()  # linkage over segments: left, right, height, size
    alternatives: dict[str, Any] = field(default_factory=dict)  # tiers by value where the verdict is "none"
    layers: tuple[Layer, ...] = ()  # what is known of whom, most first; empty where everything is known of everybody
    representation: dict[str, Any] = field(default_factory=dict)  # codes in place of features, where asked for
    labels: dict[str, Any] = field(default_factory=dict)  # the company's own labels beside the segments, where given

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready. NaN never appears: an unknown number is null."""
        return asdict(self)


def segmentation_from_dict(data: dict[str, Any]) -> Segmentation:
    """The inverse of `Segmentation.as_dict`."""

    def estimate(d: dict[str, float] | None) -> Estimate | None:
        return Estimate(**d) if d else None

    def segment(d: dict[str, Any]) -> Segment:
        return Segment(
            **{
                **d,
                "stability": estimate(d["stability"]),
                "rule": Rule(**d["rule"]) if d["rule"] else None,
                "different": tuple(Difference(**x) for x in d["different"]),
                "trend": tuple(TrendPoint(**x) for x in d["trend"]),
                "typical": tuple(d["typical"]),
                "edge": tuple(d["edge"]),
                "odd": tuple(d["odd"]),
            }
        )

    return Segmentation(
        **{
            **data,
            "structure": Structure(**data["structure"]),
            "candidates": tuple(Candidate(**{**c, "stability": estimate(c["stability"])}) for c in data["candidates"]),
            "segments": tuple(segment(s) for s in data["segments"]),
            "micro": tuple(segment(s) for s in data["micro"]),
            "features": tuple(FeatureUse(**f) for f in data["features"]),
            "layers": tuple(
                Layer(**{**x, "unknown": tuple(x["unknown"]), "agreement": estimate(x["agreement"])})
                for x in data.get("layers", ())
            ),
            "map": tuple(MapPoint(**p) for p in data["map"]),
            "map_axes": tuple(data.get("map_axes", ())),
            "warnings": tuple(data["warnings"]),
            "tree": tuple((a, b, h, n) for a, b, h, n in data["tree"]),
        }
    )
