"""Catalogs of the other languages: `kohort.pot` from the code, and each `.po` brought up to date with it.

    python scripts/languages.py            # extract, update; prints what each language lacks
    python scripts/languages.py --lacking nl > nl.json     # what a translator has to write: {"English": ""} or {"one|many": ["", ""]}
    python scripts/languages.py --take nl nl.json          # and takes it over

A text that changed in English is a new text: nothing is guessed from similar ones, because a nearly right sentence misleads.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[1] / "src" / "kohort"
FOLDER = ROOT / "locale"
KEYWORDS = {"gettext": None, "mark": None, "ngettext": (1, 2), "nmark": (1, 2)}
METHODS = [("views/templates/**.html", "jinja2"), ("locale/**.py", "ignore"), ("**.py", "python")]
OPTIONS = {
    "views/templates/**.html": {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
}
TRANSLATED = ("nl", "da", "de")
NOISE = (
    '"POT-Creation-Date',
    '"PO-Revision-Date',
    '"Last-Translator',
    '"Report-Msgid-Bugs-To',
    '"Generated-By',
    '"Project-Id-Version',
)
"""Lines of the header that change with every run, or that nobody filled in."""
HEADER = "# Texts of Kohort. The keys are the English ones in the code; docs/languages.md says how to change them."
BETWEEN = "|||"
"""Stands between the singular and the plural where both are one key."""


def extracted() -> Catalog:
    """Every marked text of the code and the templates, in the order of files and lines."""
    catalog = Catalog(project="kohort", charset="utf-8")
    for file, _, message, _, context in extract_from_dir(
        str(ROOT), method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS, strip_comment_tags=True
    ):
        catalog.add(message, None, [(f"src/kohort/{file}", 0)], context=context)
    return catalog


def stored(language: str) -> Catalog:
    """What is translated so far; an empty catalog where nothing is."""
    file = FOLDER / f"{language}.po"
    if not file.exists():
        return Catalog(locale=language, project="kohort", charset="utf-8")
    with file.open("rb") as text:
        return read_po(text, locale=language)


def write(catalog: Catalog, language: str) -> None:
    """A catalog as text whose differences can be read: sorted, without lines of code and without dates."""
    written = io.BytesIO()
    write_po(written, catalog, sort_output=True, no_location=True, omit_header=False, ignore_obsolete=True, width=120)
    lines = written.getvalue().decode().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(NOISE)]
    (FOLDER / f"{language}.po").write_text("".join(kept), encoding="utf-8")


def key_of(message: str | tuple[str, str]) -> str:
    return message if isinstance(message, str) else BETWEEN.join(message)


def lacking(language: str, template: Catalog) -> dict[str, str | list[str]]:
    """Texts of the code that a language does not have yet."""
    have = stored(language)
    lacks: dict[str, str | list[str]] = {}
    for message in template:
        if not message.id:
            continue
        known = have.get(message.id)
        said = known.string if known else ""
        if not (all(said) if isinstance(said, tuple | list) else said):
            lacks[key_of(message.id)] = ["", ""] if message.pluralizable else ""
    return lacks


def update(language: str, template: Catalog, new: dict[str, str | list[str]]) -> None:
    """A language's catalog with exactly the texts of the code: those it had, and new ones."""
    have, catalog = stored(language), Catalog(locale=language, project="kohort", charset="utf-8", header_comment=HEADER)
    for message in template:
        if not message.id:
            continue
        known = have.get(message.id)
        given = new.get(key_of(message.id))
        string = (tuple(given) if isinstance(given, list) else given) if given else (known.string if known else None)
        catalog.add(message.id, string, flags=message.flags - {"fuzzy"})
    catalog.fuzzy = False
    write(catalog, language)


def main(arguments: list[str]) -> None:
    template = extracted()
    if arguments[:1] == ["--lacking"]:
        print(json.dumps(lacking(arguments[1], template), ensure_ascii=False, indent=1))
        return
    new = json.loads(Path(arguments[2]).read_text("utf-8")) if arguments[:1] == ["--take"] else {}
    for language in [arguments[1]] if new else TRANSLATED:
        update(language, template, new)
        print(f"{language}: {len(template)} texts, {len(lacking(language, template))} of them not translated")


if __name__ == "__main__":
    main(sys.argv[1:])
