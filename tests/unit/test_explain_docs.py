"""docs/explanations.md says what the code does, and no explanation speaks the language of methods."""

import json
import re
from pathlib import Path

from kohort.discovery.explain import names
from kohort.discovery.explain.facts import BEYOND, MIN_RATIO, MIN_SHARE_GAP, MIN_SPREAD
from kohort.segments.match import CONTINUES

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs" / "explanations.md").read_text().split())
JARGON = re.compile(
    r"\b(clusters?|centroids?|silhouette|k-?means|outliers?|features?|scores?|bootstrap|jaccard|churn|percentile|"
    r"standard deviation|pca|nan|none|null)\b",
    re.IGNORECASE,
)


def test_the_page_names_every_margin() -> None:
    for sentence in (
        f"at least {100 * BEYOND:.0f} in 100 members are beyond",
        f"{MIN_RATIO:g} times for amounts and counts, {100 * MIN_SHARE_GAP:.0f} points for shares",
        f"{MIN_SPREAD:g} of the width of the middle half",
        f"has at least {names.OFTEN} orders",
        f"at least {100 * names.ONCE_SHARE:.0f} in 100 members too",
        f"in the last {names.RECENT_DAYS} days",
        f"silent for {names.QUIET_DAYS} days or more",
        f"silent for {names.OVERDUE:g} times the own rhythm",
        f"share at least {CONTINUES:g} of the customers in either",
    ):
        assert sentence in PAGE, sentence


def test_the_page_names_every_claim() -> None:
    claims = {claim for _, needed, _ in names.TEMPLATES for claim in needed} - {"again", "overdue", "not low"}
    assert [claim for claim in sorted(claims) if not re.search(rf"\b{claim}", PAGE)] == []


def test_names_of_templates_are_short_and_no_judgement() -> None:
    for name, _, _ in names.TEMPLATES:
        assert 2 <= len(name.split()) <= 3, name
        assert not re.search(r"\b(bad|good|best|worst|poor|loyal|lazy|cheap)\b", name, re.IGNORECASE), name
    assert len({name for name, _, _ in names.TEMPLATES}) == len(names.TEMPLATES)


def test_no_explanation_speaks_the_language_of_methods() -> None:
    golden = json.loads((ROOT / "tests" / "golden" / "explain" / "small_shop.json").read_text())
    texts = [*golden["warnings"], *golden["map_axes"]]
    for segment in golden["segments"]:
        texts += [segment["name"], segment["description"], segment["rule"]["text"]]
        texts += [d["text"] for d in segment["different"]]
        texts += [row["why"] for row in (*segment["edge"], *segment["odd"])]
    assert len(texts) > 30
    assert [t for t in texts if JARGON.search(t)] == []
