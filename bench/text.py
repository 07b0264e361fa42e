"""Language, sentiment and topic of texts, measured on labelled sets, beside other libraries that work offline where installed.

    python bench/text.py FOLDER

FOLDER holds xed-emotions/, lcc-sentiment-danish/, vader-ground-truth/, banking77/ and bitext-support-sample/. Peers: lingua,
vaderSentiment, afinn, textblob-de, textblob-nl; what is not installed is left out. Prints one JSON object; docs/texts.md
shows its figures.
"""

from __future__ import annotations

import csv
import json
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kohort.ingest.controls.text.language import LANGUAGES, language
from kohort.ingest.controls.text.sentiment import sentiment
from kohort.ingest.controls.text.topics import Topics

POSITIVE, NEGATIVE = {"2", "5", "8"}, {"1", "3", "4", "6"}
"""Anticipation, joy, trust; anger, disgust, fear, sadness. Surprise says neither."""

EDGE = 0.05
"""Scores nearer to nothing count as neither (as VADER's authors do)."""

BITEXT = {
    "ORDER": "order", "CANCELLATION_FEE": "order", "REFUND": "return", "DELIVERY": "delivery", "SHIPPING_ADDRESS": "delivery",
    "PAYMENT": "payment", "INVOICE": "invoice", "ACCOUNT": "account", "NEWSLETTER": "newsletter", "CONTACT": "contact",
    "FEEDBACK": "feedback",
}  # fmt: skip
Labelled = list[tuple[str, int]]
Scorer = Callable[[str], float | None]


def xed(folder: Path, name: str) -> Labelled:
    rows = (line.rpartition("\t") for line in (folder / name).read_text(encoding="utf-8").splitlines())
    said = ((text, {code.strip() for code in codes.split(",")}) for text, _, codes in rows)
    return [(t, 1 if k & POSITIVE else -1) for t, k in said if bool(k & POSITIVE) != bool(k & NEGATIVE)]


def lcc(folder: Path) -> Labelled:
    found = []
    for path in sorted(folder.glob("*.csv")):
        rows = csv.DictReader(path.open(encoding="utf-8"))
        values = ((row["text"], float(row["valence"])) for row in rows if row["valence"])
        found += [(text, sign(value)) for text, value in values if abs(value) <= 5]
    return found


def raters(path: Path) -> Labelled:
    rows = (line.split("\t", 2) for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [(text, sign(float(mean), 4 * EDGE)) for _, mean, text in rows]


def own(path: Path, code: str) -> list[tuple[str, int, str]]:
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return [(text, int(mood), topic) for lang, topic, mood, text in rows if lang == code]


def sign(value: float, edge: float = 0.0) -> int:
    return (value > edge) - (value < -edge)


def scored(labelled: Labelled, score: Scorer) -> dict[str, Any]:
    """Share right of all, share of those with a mood on which a side was taken, share right of these, correlation of
    the sums: what is right about the mean."""
    begin = time.perf_counter()
    pairs = Counter((mood, sign(score(text) or 0.0, EDGE)) for text, mood in labelled)
    took = (time.perf_counter() - begin) / len(labelled)
    with_mood = sum(n for (mood, _), n in pairs.items() if mood)
    decided = sum(n for (mood, said), n in pairs.items() if mood and said)
    right = sum(n for (mood, said), n in pairs.items() if mood and mood == said)
    return {
        "texts": len(labelled),
        "right_of_all": round(sum(n for (mood, said), n in pairs.items() if mood == said) / len(labelled), 3),
        "decided": round(decided / with_mood, 3),
        "right_of_decided": round(right / max(decided, 1), 3),
        "microseconds": round(took * 1e6),
    }


def peers(code: str) -> dict[str, Scorer]:
    found: dict[str, Scorer] = {}
    try:
        if code == "en":
            from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

            vader = SentimentIntensityAnalyzer()
            found["vaderSentiment"] = lambda text: float(vader.polarity_scores(text)["compound"])
        if code in ("en", "da"):
            from afinn import Afinn

            judge = Afinn(language=code)
            found["afinn"] = lambda text: float(judge.score(text))
        if code == "de":
            from textblob_de.sentiments import PatternAnalyzer as GermanAnalyzer

            german = GermanAnalyzer()
            found["textblob-de"] = lambda text: float(german.analyze(text)[0])
        if code == "nl":
            from textblob_nl import PatternAnalyzer

            dutch = PatternAnalyzer()
            found["textblob-nl"] = lambda text: float(dutch.analyze(text)[0])
    except ImportError:
        pass  # it is left out
    return found


def sentiments(data: Path, support: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    truth, emotions = data / "vader-ground-truth", data / "xed-emotions"
    sets: list[tuple[str, str, Labelled]] = [
        ("en", "tweets", raters(truth / "tweets_GroundTruth.txt")),
        ("en", "Amazon reviews", raters(truth / "amazonReviewSnippets_GroundTruth.txt")),
        ("en", "XED subtitles", xed(emotions, "en-annotated.tsv")),
        ("da", "LCC sentences", lcc(data / "lcc-sentiment-danish")),
    ]
    for code in ("da", "de", "nl"):
        kept = [pair for pair in xed(emotions, f"{code}-projections.tsv") if zlib.crc32(pair[0].encode()) % 2]
        sets.append((code, "XED subtitles, the half not looked at", kept))
        sets.append((code, "messages written by us", [(text, mood) for text, mood, _ in own(support, code)]))
    for code, name, labelled in sets:
        judges: dict[str, Scorer] = {"kohort": lambda text, code=code: sentiment(text, code), **peers(code)}  # type: ignore[misc]
        for judge, score in judges.items():
            yield f"{code}, {name}: {judge}", scored(labelled, score)


def languages(data: Path, support: Path) -> dict[str, Any]:
    """Every hundredth-or-so subtitle, and messages to customer service."""
    texts = {code: [text for text, _, _ in own(support, code)] for code in ("nl", "da", "de")}
    questions = [row["text"] for row in csv.DictReader((data / "banking77" / "test.csv").open(encoding="utf-8"))]
    texts["en"] = questions[::10]
    for code, name in (
        ("nl", "nl-projections"),
        ("da", "da-projections"),
        ("de", "de-projections"),
        ("en", "en-annotated"),
    ):
        lines = (data / "xed-emotions" / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
        texts[f"{code} subtitles"] = [line.rpartition("\t")[0] for line in lines if len(line) > 40][:1000]
    judges: dict[str, Callable[[str], str | None]] = {"kohort": language}
    try:
        from lingua import IsoCode639_1, LanguageDetectorBuilder

        built = LanguageDetectorBuilder.from_iso_codes_639_1(
            *(getattr(IsoCode639_1, c.upper()) for c in LANGUAGES)
        ).build()

        def lingua(text: str) -> str | None:
            said = built.detect_language_of(text)
            return said.iso_code_639_1.name.lower() if said else None

        judges["lingua"] = lingua
    except ImportError:
        pass
    found: dict[str, Any] = {}
    for name, judge in judges.items():
        judge("warm it up with a sentence")
        for group, some in texts.items():
            begin = time.perf_counter()
            said = [judge(text) for text in some]
            found[f"{group}: {name}"] = {
                "texts": len(some),
                "right": round(sum(code == group[:2] for code in said) / len(some), 3),
                "not_told": round(sum(code is None for code in said) / len(some), 3),
                "microseconds": round((time.perf_counter() - begin) / len(some) * 1e6),
            }
    return found


def topics(data: Path, support: Path) -> dict[str, Any]:
    """English on generated messages; the lists were written knowing the names of its groups, not its texts."""
    topic = Topics()
    path = data / "bitext-support-sample" / "Bitext_Sample_Customer_Service_Training_Dataset.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8-sig")))
    said = [(BITEXT[row["category"]], topic.of(row["utterance"], "en")) for row in rows]
    found = {"en, bitext": _topics(said)}
    for code in ("nl", "da", "de"):
        found[f"{code}, messages written by us"] = _topics([(t, topic.of(x, code)) for x, _, t in own(support, code)])
    return found


def _topics(said: list[tuple[str, str | None]]) -> dict[str, Any]:
    told = [(true, guess) for true, guess in said if guess is not None]
    return {
        "texts": len(said),
        "right_of_all": round(sum(true == guess for true, guess in said) / len(said), 3),
        "told": round(len(told) / len(said), 3),
        "right_of_told": round(sum(true == guess for true, guess in told) / max(len(told), 1), 3),
    }


if __name__ == "__main__":
    folder, messages = Path(sys.argv[1]), Path(__file__).parent / "support_texts.tsv"
    result = {
        "language": languages(folder, messages),
        "sentiment": dict(sentiments(folder, messages)),
        "topic": topics(folder, messages),
    }
    print(json.dumps(result, indent=1, ensure_ascii=False))
