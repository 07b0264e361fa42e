"""Writes the lexica under src/kohort/data/text/ from their published originals; they are checked in.

    python scripts/make_lexica.py VADER nl-sentiment.xml AFINN_FOLDER

VADER is vader_lexicon.txt of vaderSentiment 3.3.2; nl-sentiment.xml that of pattern 3 (PDDL); AFINN_FOLDER holds
AFINN-da-32.txt and AFINN-165-machine-translated-{nl,de}.json.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

OUT = Path(__file__).parents[1] / "src" / "kohort" / "data" / "text"
WORD = re.compile(r"[^\W\d_][\w'’-]*(?: [\w'’-]+){0,2}")

HEADS = {
    "en": "VADER Sentiment Lexicon, C.J. Hutto & E.E. Gilbert (2014), MIT License; words only, a quarter of the published means.",
    "nl": "Subjectivity lexicon for Dutch adjectives 1.2, Tom De Smedt & Walter Daelemans, PDDL; mean over senses.",
    "nl-afinn": "AFINN 165, Finn Årup Nielsen, ODbL 1.0, translated to Dutch by machine; a fifth of the published scores.",
    "da": "AFINN-da-32, Finn Årup Nielsen, ODbL 1.0; a fifth of the published scores.",
    "de-afinn": "AFINN 165, Finn Årup Nielsen, ODbL 1.0, translated to German by machine; a fifth of the published scores.",
}


def write(name: str, words: dict[str, float]) -> None:
    kept = {word.lower(): round(value, 2) for word, value in words.items() if WORD.fullmatch(word) and round(value, 2)}
    lines = [f"# {HEADS[name]}", *(f"{word}\t{value:g}" for word, value in sorted(kept.items()))]
    (OUT / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(vader: Path, dutch: Path, afinn: Path) -> None:
    rows = (line.split("\t") for line in vader.read_text(encoding="utf-8").splitlines())
    write("en", {row[0]: float(row[1]) / 4 for row in rows if len(row) > 1})
    senses: dict[str, list[float]] = defaultdict(list)
    for form, value in re.findall(r'<word form="([^"]+)"[^>]* polarity="([^"]+)"', dutch.read_text(encoding="utf-8")):
        senses[form].append(float(value))
    write("nl", {word: sum(values) / len(values) for word, values in senses.items()})
    rows = (line.split("\t") for line in (afinn / "AFINN-da-32.txt").read_text(encoding="utf-8").splitlines())
    write("da", {row[0]: float(row[1]) / 5 for row in rows if len(row) > 1})
    for language in ("nl", "de"):
        said = json.loads((afinn / f"AFINN-165-machine-translated-{language}.json").read_text(encoding="utf-8"))
        write(f"{language}-afinn", {word: value / 5 for word, value in said.items() if value})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
