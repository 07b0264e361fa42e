"""Other languages than English: catalogs are whole, figures are written as CLDR has them, a reader gets hers."""

import asyncio
import re
import runpy
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, format_percent

from kohort.locale import LANGUAGES, PSEUDO, asked_for, catalog, gettext, ngettext, speaking
from kohort.views.formats import FORMATS, formats
from kohort.views.words import plural
from kohort.web.app import create

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "views" / "sample.py"))
SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "languages.py"))
OTHERS = [language for language in LANGUAGES if language != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)s|%%")
TAG = re.compile(r"</?[a-z][^>]*>")


@pytest.fixture(scope="module")
def template() -> Any:
    return SCRIPT["extracted"]()


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_there_in_every_language_and_none_too_many(template: Any, language: str) -> None:
    stored = SCRIPT["stored"](language)
    assert SCRIPT["lacking"](language, template) == {}
    texts = {SCRIPT["key_of"](message.id) for message in template if message.id}
    assert {SCRIPT["key_of"](message.id) for message in stored if message.id} == texts
    assert len(texts) > 1_500


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_placeholders_and_tags_of_its_text(language: str) -> None:
    wrong = []
    for message in SCRIPT["stored"](language):
        if not message.id:
            continue
        source = message.id if isinstance(message.id, tuple) else (message.id,)
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        for form, (text, other) in enumerate(zip(source, said, strict=True)):
            wanted, found = set(PLACEHOLDER.findall(text)), set(PLACEHOLDER.findall(other))
            # The form for one may say "a customer" where English writes the figure.
            fits = found <= wanted and len(wanted - found) <= 1 if len(source) == 2 and form == 0 else found == wanted
            if not fits or sorted(TAG.findall(text)) != sorted(TAG.findall(other)):
                wrong.append((text, other))
    assert wrong == []


@pytest.mark.parametrize("language", OTHERS)
def test_forms_follow_the_number(language: str) -> None:
    with speaking(language):
        one, many = plural(1, "customer"), plural(4338, "customer")
    known = {"nl": ("1 klant", "4.338 klanten"), "da": ("1 kunde", "4.338 kunder"), "de": ("1 Kunde", "4.338 Kunden")}
    assert (one, many) == known[language]


def test_what_a_catalog_lacks_is_said_in_english() -> None:
    with speaking("de"):
        assert gettext("Nobody ever marked this %(n)s.", n=3) == "Nobody ever marked this 3."
        assert ngettext("%(n)s zorkmid", "%(n)s zorkmids", 2, n=2) == "2 zorkmids"
    with speaking("fr"):
        assert gettext("Segments") == "Segments"
        assert formats().language == "en-GB"
    assert catalog("../../etc/passwd").gettext("Segments") == "Segments"
    with speaking(PSEUDO):
        assert gettext("Segments") == "⟦Segments⟧"


@pytest.mark.parametrize("language", LANGUAGES)
def test_figures_are_written_as_the_language_writes_them(language: str) -> None:
    """Held against CLDR, but for what the table of our design says otherwise."""
    mine, cldr = FORMATS[language], {"en": "en_GB"}.get(language, language)
    for value in (0, 7, 4338, 1234567, 4954.84):
        digits = 0 if isinstance(value, int) else 2
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        assert mine.number(value, digits) == format_decimal(value, pattern, locale=cldr)
    assert mine.percent(0.55) == format_percent(0.55, locale=cldr)
    for currency in ("GBP", "EUR"):
        theirs = format_currency(4954.84, currency, locale=cldr)
        assert mine.money(4954.84, currency, 2) == theirs
    for month in range(1, 13):
        day = date(2011, month, 9)
        theirs = format_date(day, "d MMM y", locale=cldr).replace("Sept ", "Sep ")
        if language == "de":
            theirs = format_date(day, "dd.MM.y", locale=cldr)
        if language == "da":
            theirs = format_date(day, "d. MMM y", locale=cldr)
        assert mine.date_of(day) == theirs


def test_money_is_short_as_it_is_said() -> None:
    told = {
        language: [f.short_money(x, "GBP").replace("\u00a0", " ") for x in (4_873_000, 477_631)]
        for language, f in FORMATS.items()
    }
    assert told == {
        "en": ["£4.87m", "£478k"],
        "nl": ["£ 4,87 mln.", "£ 478K"],
        "da": ["4,87 mio. £", "478 t £"],
        "de": ["4,87 Mio. £", "478.000 £"],
    }


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("da", "da"),
        ("de-CH, fr;q=0.9", "de"),
        ("fr, nl;q=0.2", "nl"),
        ("en;q=0.1, da;q=0.9", "da"),
        ("da;q=0, de;q=0.1", "de"),
        ("*", "en"),
        ("da;q=x", "en"),
        (";;;,,,=", "en"),
        ("d" * 10_000, "en"),
    ],
)
def test_a_browser_gets_what_it_asks_for_first(accepted: str, language: str) -> None:
    assert asked_for(accepted) == language


@pytest.mark.parametrize("language", [*OTHERS, PSEUDO])
def test_every_page_can_be_made_in_every_language(language: str) -> None:
    app = create(SAMPLE["SampleWorkspace"]())

    async def read(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.get(path, headers={"accept-language": language})

    for path in ("/", "/segments", "/segments/s1", "/segments/s1/customers", "/map", "/discover", "/data-health"):
        answer = asyncio.run(read(path))
        assert answer.status_code == 200, path
        assert ("Skip to content" in answer.text) == (language == PSEUDO), path


def test_a_chosen_language_stays_with_the_browser() -> None:
    async def read() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create(SAMPLE["SampleWorkspace"]()))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [
                await client.get("/segments", headers={"accept-language": "nl"}),
                await client.get("/segments?language=da"),
                await client.get("/segments", headers={"accept-language": "nl"}),
                await client.get("/segments?language=xx"),
                await client.get("/v1/none?language=de"),
            ]

    asked, chosen, kept, unknown, program = asyncio.run(read())
    assert '<html lang="nl"' in asked.text
    assert "set-cookie" not in asked.headers
    assert '<html lang="da"' in chosen.text
    assert chosen.headers["set-cookie"].startswith("kohort-language=da; Path=/; HttpOnly; SameSite=Lax; Max-Age=")
    assert '<html lang="da"' in kept.text
    assert '<html lang="da"' in unknown.text
    assert "set-cookie" not in unknown.headers
    assert "set-cookie" not in program.headers
