"""What people's votes about single members propose for a rule: features and conditions of the judged customers, compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort import __version__
from kohort.errors import KohortError
from kohort.segments.refine import FEWEST, Separation, Split, separate, splits_of

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.workspace.workspace import Workspace

MOST_CONDITIONS = 24


def proposal(ws: Workspace, name: str, part: str, rule: str, asked: Mapping[int, bool]) -> dict[str, Any]:
    """See `FeedbackDoor.refinement`.

    Args:
        rule: As written; empty where there is none.
        asked: Pseudonym → whether people say that she does not belong.
    """
    wrong = sum(asked.values())
    known = {"wrong": wrong, "belong": len(asked) - wrong, "needed": FEWEST}
    if min(wrong, len(asked) - wrong) < FEWEST:
        return {"state": "not_enough", **known}
    asks = hashlib.sha256(repr((sorted(asked.items()), rule, ws.definitions())).encode()).hexdigest()[:24]
    found = ws.kept.get(f"refinement.{name}.{part}", f"{__version__}|{asks}", lambda: _look(ws, name, rule, asked))
    return {**known, **found}


def _look(ws: Workspace, name: str, rule: str, asked: Mapping[int, bool]) -> dict[str, Any]:
    status = ws.store.status.all().get(name)
    as_of = (status.as_of if status else None) or ws.as_of()
    table = ws.pseudonymous_features(as_of, customers=list(asked), context=False)
    ids, data = table.ids, table.data
    wrong = np.array([asked[key] for key in ids.to_pylist()], np.bool_)
    left = {"wrong": int(wrong.sum()), "belong": int((~wrong).sum())}  # who objects to profiling takes no part
    if min(left.values()) < FEWEST:
        return {"state": "not_enough", **left}
    splits = [*_conditions(ws, name, rule, as_of, ids), *splits_of(data, table.features)]
    found = separate(splits, wrong)
    if found is None or not found.sure:
        tried, by_chance = (len(splits), None) if found is None else (found.tried, found.by_chance)
        return {"state": "by_chance", **left, "tried": tried, "by_chance": by_chance}
    infos = {f.name: f for f in table.features}
    about = infos.get(found.split.about)
    return {
        "state": "found",
        **left,
        "about": found.split.about,
        "label": about.label if about else "",
        "unit": about.unit if about else "",
        "how": found.split.how,
        "value": found.split.value,
        **_texts(ws, rule, found.split),
        **_figures(found),
    }


def _figures(found: Separation) -> dict[str, Any]:
    shares = {"wrong_out": asdict(found.wrong_out), "right_kept": asdict(found.right_kept)}
    return {"tried": found.tried, "by_chance": found.by_chance, **shares}


def _texts(ws: Workspace, rule: str, split: Split) -> dict[str, str]:
    """The condition, the rule with it, and its sentence; empty where rules cannot say it."""
    text = _written(split)
    with suppress(KohortError):
        whole = f"({rule}) and {text}" if rule else text
        ws.segments.check(whole)
        return {"condition": text, "rule": whole, "sentence": ws.segments.say(text)}
    return {"condition": "", "rule": "", "sentence": ""}


def _written(split: Split) -> str:
    """A condition as rules write it."""
    value = split.value
    match split.how:
        case "meets":
            return f"({split.about})"
        case "fails":
            return f"not ({split.about})"
        case "known":
            return f"{split.about} is not null"
        case "unknown":
            return f"{split.about} is null"
        case "above" | "at_most":
            assert isinstance(value, float)
            return (
                f"{split.about} {'>' if split.how == 'above' else '<='} {np.format_float_positional(value, trim='-')}"
            )
        case _:
            text = str(value)
            literal = text if text in ("true", "false") else "'" + text.replace("'", "''") + "'"
            return f"{split.about} {'=' if split.how == 'is' else '!='} {literal}"


def _conditions(ws: Workspace, name: str, rule: str, as_of: int, ids: pa.Array) -> Iterator[Split]:
    """Which of these customers meet each condition of the rule: one that all meet, or none, tells nothing."""
    if not rule:
        return
    texts = _parts_of(rule)
    with suppress(KohortError):
        for text, inside in zip(texts, _meeting(ws, name, texts, as_of, ids), strict=True):
            if inside.any() and not inside.all():
                yield Split(text, "meets", None, inside)
                yield Split(text, "fails", None, ~inside)


def _parts_of(rule: str) -> list[str]:
    """The conditions inside a rule, each once; the rule itself, which members meet, is none of them."""
    from kohort.definitions.rules import format_rule, parse_rule
    from kohort.definitions.rules.walk import walk

    inner = list(walk(parse_rule(rule)))[1:]
    return list(dict.fromkeys(format_rule(one) for one in inner))[:MOST_CONDITIONS]


def _meeting(ws: Workspace, name: str, texts: list[str], as_of: int, ids: pa.Array) -> list[np.ndarray]:
    """Per condition, which customers meet it, in one evaluation."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from kohort.segments.dependencies import with_needed
    from kohort.segments.evaluate import Question, by_hand, duckdb_evaluator, standing
    from kohort.workspace.definitions import read_new, rule_features

    if not texts:
        return []
    asked = [read_new(ws, f"condition_{i}", text) for i, text in enumerate(texts)]
    others = [d for d in ws.config.segments if d.name != name]
    needed = [d for d in with_needed([*others, *asked], [d.name for d in asked]) if not d.paused]
    question = Question(as_of, ws.zone, ws.currency, rule_features(ws), ws.config.segment_settings, ws.threads)
    evaluate = duckdb_evaluator(ws.store, ws.store.log.snapshot(), question, lambda *_: None)
    found = evaluate(needed, by_hand=by_hand(ws.store, needed), standing=standing(ws.store, needed, as_of))
    return [np.asarray(pc.is_in(ids, pa.array(found.placed[d.name].column(0).to_pylist(), pa.int64()))) for d in asked]
