"""The card of a model: what it is for, what it was learned from, how good it is and for whom, and where it must not be used.

Everything on it is measured or written down at training; a page is made of the JSON object, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kohort.model.clock import iso
from kohort.predict.families import TITLES
from kohort.predict.model import Model

_FIGURES = (
    ("roc_auc", "AUC (0.5 = chance)"),
    ("average_precision", "PR-AUC"),
    ("log_loss", "Log loss"),
    ("brier", "Brier score"),
    ("calibration_error", "Calibration error"),
    ("precision", "Precision at the threshold"),
    ("recall", "Recall at the threshold"),
    ("f1", "F1 at the threshold"),
)
LIMITS = (
    "It tells what goes together with the outcome, not what causes it: changing a feature need not change what happens.",
    "It holds for customers like those it learned from, and for as long as they stay like that: `kohort predict check`.",
    "A probability is right for many customers together; of a single one it can only be more or less surprising.",
    "It is no basis for a decision with legal or similarly serious effects on a person.",
)
"""What holds of every model that is made here."""
LIMITS_OF = {
    "change": (
        "Who had much before mostly has less afterwards though nothing about her changed: a high probability may be her way back to the "
        "usual. `change.before_alone` in the report says how much of it is only that."
    ),
    "response": (
        "It tells who answers, not whom the sending moves: who would have bought anyway answers too. Leaving out those with low "
        "probabilities may leave out the very customers that a sending moves; only a group drawn by lot that gets nothing tells."
    ),
}
"""What holds of models of one kind besides."""


def card(model: Model, manifest: Mapping[str, Any], *, before: Sequence[str] = ()) -> dict[str, Any]:
    """The card of a version.

    Args:
        manifest: As it was kept with it; of a file of a plain table `{}`.
        before: The versions it followed, the latest last.

    Returns:
        `{"name", "version", "predicts", "trained_at", "learned_until", "before", "data": {…}, "model": {…}, "features": [{"name",
        "label", "definition", "missing"}], "metrics", "baseline", "threshold", "validation", "calibration_by_chance", "parts",
        "periods", "warnings", "limits"}`.
    """
    report = model.about["report"]
    titles = model.about.get("titles", {})
    until = manifest.get("until")
    target = manifest.get("target", {})
    return {
        "name": manifest.get("name") or report.get("label"),
        "version": model.id,
        "predicts": target.get("text") or f"{report.get('label')} is {report.get('positive')}",
        "target": dict(target),
        "trained_at": manifest.get("trained_at"),
        "learned_until": None if until is None else iso(int(until)),
        "before": list(before),
        "data": {
            "rows": report["rows"],
            "customers": report["customers"],
            "positives": report["positives"],
            "unknown": report["unknown"],
            "moments": list(manifest.get("as_of", ())),
            "data_version": manifest.get("data_version"),
        },
        "model": {
            "family": report["model"],
            "title": TITLES[report["model"]],
            "setting": report["setting"],
            "calibration": report["calibration"]["kind"],
            "seed": report["seed"],
            "kohort": manifest.get("kohort"),
        },
        "features": [
            {key: titles.get(name, {}).get(key, "") for key in ("label", "definition", "missing")} | {"name": name}
            for name in model.encoder.features
        ],
        "metrics": report["metrics"],
        "baseline": report["baseline"],
        "threshold": report["threshold"],
        "validation": report["validation"],
        "calibration_by_chance": report["calibration"]["by_chance"],
        "parts": report["parts"],
        "periods": report["periods"],
        "warnings": report["warnings"],
        "limits": [*(text for kind, text in LIMITS_OF.items() if kind in target), *LIMITS],
    }


def card_page(told: Mapping[str, Any]) -> str:
    """A card as a page of Markdown, in the words of the documentation."""
    return (
        "\n".join([*_head(told), *_learned(told), *_figures(told), *_parts(told), *_reads(told), *_limits(told)]) + "\n"
    )


def _head(c: Mapping[str, Any]) -> Iterator[str]:
    model = c["model"]
    yield f"# Model card: {_cell(c['name'])}"
    yield ""
    yield f"A probability for each customer: {_cell(c['predicts'])}."
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| Version | `{c['version']}` |"
    if c["trained_at"]:
        yield f"| Trained | {c['trained_at']} |"
    if c["learned_until"]:
        yield f"| Knows what happened until | {c['learned_until']} |"
    yield f"| Model | {model['title']}, {_cell(model['setting'])}; probabilities: {model['calibration']} |"
    yield f"| Versions before | {len(c['before'])} |"
    yield ""


def _learned(c: Mapping[str, Any]) -> Iterator[str]:
    data = c["data"]
    yield "## What it learned from"
    yield ""
    unknown = f" Of {data['unknown']:,} more nothing was known." if data["unknown"] else ""
    yield f"{data['rows']:,} rows of {data['customers']:,} customers; {data['positives']:,} rows with the outcome.{unknown}"
    if data["moments"]:
        yield f"Customers as they were at {len(data['moments'])} moments, {data['moments'][0]} to {data['moments'][-1]}."
    for warning in c["warnings"]:
        yield f"- {'Left out' if warning['left_out'] else 'Look at this'}: {_cell(warning['text'])}"
    yield ""


def _figures(c: Mapping[str, Any]) -> Iterator[str]:
    validation = c["validation"]
    yield "## How good it is"
    yield ""
    yield f"On {validation['judged']:,} rows that it had not seen. Intervals: {validation['intervals']}."
    yield ""
    yield "| | value | interval |"
    yield "|---|---|---|"
    for name, title in _FIGURES:
        value, interval = _figure(c["metrics"][name])
        yield f"| {title} | {value} | {interval} |"
    yield ""
    yield (
        f"Perfect probabilities would show a calibration error of {c['calibration_by_chance']:.3f} on as many rows. “"
        f"{_cell(c['baseline']['one_feature']['label'])}” alone gives AUC {_figure(c['baseline']['one_feature']['roc_auc'])[0]}."
    )
    threshold = c["threshold"]
    costs = threshold["costs"]
    yield (
        f"From {threshold['value']:.1%} on somebody is told, {threshold['told']:.1%} of the customers: a missed one costs "
        f"{costs['missed']:.3g}, a false alarm {costs['alarm']:.3g}."
    )
    yield ""


def _parts(c: Mapping[str, Any]) -> Iterator[str]:
    rows = [(f"{p['feature']}: {p['value']}", p) for p in c["parts"]]
    if not rows:
        return
    yield "## For whom"
    yield ""
    yield "| part | rows | with the outcome | AUC |"
    yield "|---|---|---|---|"
    for title, part in rows:
        auc = " ".join(_figure(part["metrics"]["roc_auc"])) if part["metrics"] else "too few"
        yield f"| {_cell(title)} | {part['rows']:,} | {part['positives']:,} | {auc} |"
    yield ""


def _reads(c: Mapping[str, Any]) -> Iterator[str]:
    yield "## What it reads"
    yield ""
    yield "| feature | made from | missing means |"
    yield "|---|---|---|"
    for f in c["features"]:
        yield f"| {_cell(f['label'] or f['name'])} | {_cell(f['definition'])} | {_cell(f['missing'])} |"
    yield ""


def _limits(c: Mapping[str, Any]) -> Iterator[str]:
    yield "## Where it must not be used"
    yield ""
    yield from (f"- {limit}" for limit in c["limits"])


def _figure(estimate: Mapping[str, float | None]) -> tuple[str, str]:
    value, low, high = (estimate[k] for k in ("value", "low", "high"))
    interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return ("–" if value is None else f"{value:.3f}"), interval


def _cell(text: object) -> str:
    """Text that cannot end a cell of a table or begin a tag, whatever somebody called her features."""
    plain = " ".join(str(text or "").split())
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
