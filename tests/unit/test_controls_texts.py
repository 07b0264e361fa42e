"""What people write is measured and not kept: cleaned, told from spam, language, mood, topic; and shown for many together only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.features import parse_features
from kohort.errors import BadInput, NotEnough
from kohort.health import report
from kohort.health.texts import RIGHT
from kohort.ingest import controls, ingest_files
from kohort.ingest.controls.text import Texts
from kohort.ingest.controls.text.clean import clean, is_spam
from kohort.ingest.controls.text.language import LANGUAGES, language
from kohort.ingest.controls.text.sentiment import LISTS, sentiment
from kohort.ingest.controls.text.topics import Topics, listed
from kohort.ingest.controls.text.words import rows
from kohort.ingest.memory import MemoryStore, MemoryVault
from kohort.ingest.tracking import Normaliser
from kohort.model.arrival import Arrival
from kohort.model.event import TEXT_COLUMNS
from kohort.model.source import SourceMapping
from kohort.segments.texts import FEWEST, mean_of, texts_of
from kohort.store import create_store

NOW = 1_750_000_000_000_000
ROOT = Path(__file__).parents[2]


# -- cleaning ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ("Where is it?\n\nKind regards,\nAda", "Where is it?"),
        ("Waar blijft het?\nMet vriendelijke groet,\nAda", "Waar blijft het?"),
        ("Hvor er den?\nMed venlig hilsen\nAda", "Hvor er den?"),
        ("Wo ist es?\nMit freundlichen Grüßen\nAda", "Wo ist es?"),
        ("New text\n> old text\n>> older", "New text"),
        ("Thanks!\nOn Mon, 3 Mar 2025 at 10:00, Shop wrote:\nold text", "Thanks!"),
        ("Dank!\nOp ma 3 mrt 2025 om 10:00 schreef Shop:\noud", "Dank!"),
        ("Yes\n-----Ursprüngliche Nachricht-----\nalt", "Yes"),
        ("<html><style>p {color: red}</style><p>Hello &amp; bye</p><blockquote>old</blockquote></html>", "Hello & bye"),
        ("See https://x.example/?a=1 or write to ada@example.org now", "See or write to now"),
        ("Thanks\r\n\r\n\r\nfor   it", "Thanks\nfor it"),
        ("Is 3 < 5 and 7 > 2?", "Is 3 < 5 and 7 > 2?"),
        ("", ""),
    ],
)
def test_what_is_left_is_what_the_person_wrote(raw: str, left: str) -> None:
    assert clean(raw) == left


def test_a_text_that_begins_with_a_greeting_is_not_empty() -> None:
    assert clean("Cheers,\nwhere is my parcel?") == "Cheers,\nwhere is my parcel?"


@pytest.mark.parametrize(
    ("text", "spam"),
    [
        ("You have won! Claim your prize at http://x.example", True),
        ("Cheap viagra and casino", True),
        ("http://a.example http://b.example http://c.example look", True),
        ("U heeft gewonnen: www.x.example", True),
        ("My parcel https://track.example/1 is late", False),
        ("I bought a casino game and it is broken", False),
        ("", False),
    ],
)
def test_spam_is_told_by_its_links_and_phrases(text: str, spam: bool) -> None:
    assert is_spam(text) is spam


@pytest.mark.timeout(60)  # what backtracks takes for ever
@pytest.mark.parametrize(
    "hostile", ["<" * 200_000, "a@" * 100_000, "On " + "x " * 100_000, "<a " * 70_000, "&" * 200_000, "-" * 200_000]
)
def test_no_text_takes_for_ever(hostile: str) -> None:
    Topics().of(clean(hostile), "en")
    is_spam(hostile)
    sentiment(clean(hostile), "en")


# -- language, mood, topic ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Waar blijft mijn pakket? Ik wacht al een week.", "nl"),
        ("Hvor bliver min pakke af? Jeg har ventet en uge.", "da"),
        ("Wo bleibt mein Paket? Ich warte seit einer Woche.", "de"),
        ("Where is my parcel? I have been waiting for a week.", "en"),
        ("ok", None),
        ("12345 67890 !!!", None),
    ],
)
def test_the_language_is_one_of_the_shops_or_unknown(text: str, code: str | None) -> None:
    assert language(text) == code


def test_only_the_shops_languages_are_candidates() -> None:
    assert language("Hvor bliver min pakke af? Jeg har ventet en uge.", among=("nl", "de")) in ("nl", "de", None)


@pytest.mark.parametrize(
    ("code", "good", "bad", "turned"),
    [
        ("en", "The staff was very friendly", "What a terrible mess", "The staff was not friendly"),
        ("nl", "Heel vriendelijk en snel geholpen", "Wat een verschrikkelijke rotzooi", "Dit is niet vriendelijk"),
        ("da", "Meget venlig og hurtig hjælp", "Det er elendigt og ubrugeligt", "Det er ikke godt"),
        ("de", "Sehr freundlich und schnell", "Das ist schrecklich und kaputt", "Das ist nicht gut"),
    ],
)
def test_not_turns_a_word_round_and_very_makes_it_stronger(code: str, good: str, bad: str, turned: str) -> None:
    high, low, other = (sentiment(text, code) for text in (good, bad, turned))
    assert high is not None
    assert low is not None
    assert other is not None
    assert -1 < low < 0 < high < 1
    assert low < other < 0
    plain = {"en": "good", "nl": "goed", "da": "godt", "de": "gut"}[code]
    very = {"en": "very", "nl": "heel", "da": "meget", "de": "sehr"}[code]
    assert (sentiment(f"{very} {plain}", code) or 0) > (sentiment(plain, code) or 0) > 0


def test_another_clause_is_not_turned_round_and_what_follows_but_weighs_more() -> None:
    assert (sentiment("No, it is good", "en") or 0) > 0
    assert (
        (sentiment("It is good, but the service is bad", "en") or 0)
        < 0
        < (sentiment("The service is bad, but it is good", "en") or 0)
    )


def test_without_a_word_that_says_something_there_is_no_mood() -> None:
    assert sentiment("The parcel has seven sides", "en") is None
    assert sentiment("Bonne journée", "fr") is None
    assert sentiment("", "en") is None
    assert (sentiment("parcel :-)", "en") or 0) > 0 > (sentiment("parcel :-(", "en") or 0)


def test_every_list_of_words_is_sound_and_its_licence_is_told() -> None:
    told = (ROOT / "src/kohort/data/text/LICENCES.md").read_text(encoding="utf-8")
    assert set(LISTS) == set(LANGUAGES) == set(RIGHT)
    for name in {name for names in LISTS.values() for name in names}:
        words = rows(name)
        assert len(words) > 80
        assert all(len(row) == 2 and row[0] == row[0].lower() and -1 <= float(row[1]) <= 1 for row in words), name
        assert f"`{name}.tsv`" in told
    topics = {code: set(listed(code)) for code in LANGUAGES}
    assert len(topics["en"]) >= 9
    assert all(found == topics["en"] for found in topics.values())


def test_topics_can_be_added_widened_and_switched_off() -> None:
    own = Topics.of_controls(
        {"topic: gift": "gift card, cadeaubon", "topic: delivery": "drone", "topic: feedback": "", "X9": "fee"}
    )
    assert own.of("My gift card does not arrive", "en") == "gift"
    assert own.of("Where is the drone?", "en") == "delivery"
    assert own.of("cadeaubon", None) == "gift"
    assert own.of("I want to complain", "en") is None
    assert Topics().of("I want to complain", "en") == "feedback"
    assert Topics().of("Nothing in particular", "en") is None
    assert controls.check_overrides({"topic: gift": "gift card"})
    with pytest.raises(BadInput):
        controls.check_overrides({"topic: Gift Card!": "gift"})


def test_spam_has_no_mood_and_no_topic() -> None:
    found = Texts().measure("You have won! Wonderful prizes, claim your prize: http://x.example/parcel")
    assert (found.spam, found.sentiment, found.topic) == (True, None, None)


# -- where texts come in -----------------------------------------------------------------------------------------------

SECRET = "Mijn pakket is kapot aangekomen, heel vervelend. Bel Ada op ada@example.org"
MESSAGES = SourceMapping(
    "mailbox", "events", {"customer": "who", "time": "when", "text": "body"}, event="message", time_format="iso"
)


def test_of_a_text_in_a_file_only_its_measures_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "mail.csv"
    long = "lang " * 5_000
    path.write_text(
        f'who,when,body\n1,2025-01-01T10:00,"{SECRET}"\n2,2025-01-01T11:00,\n3,2025-01-01T12:00,"{long}"\n',
        encoding="utf-8",
    )
    store = MemoryStore()
    done = ingest_files(path, MESSAGES, store=store, zone="UTC", currency="EUR", now=NOW)
    first, empty, last = store.log.events()
    assert done.stored == 3
    assert {name: first[name] for name in TEXT_COLUMNS if name != "p_text_sentiment"} == {
        "p_text_language": "nl", "p_text_topic": "delivery", "p_text_words": 10_000_000, "p_text_spam": False,
    }  # fmt: skip
    assert first["p_text_sentiment"] < 0
    assert all(empty[name] is None for name in TEXT_COLUMNS)
    assert last["p_text_words"] > 3_000 * 1_000_000
    assert store.log.columns == TEXT_COLUMNS
    assert "kapot" not in str(store.log.events())
    assert store.vault.sealed == set()


@pytest.mark.parametrize("name", ["message_text", "messageText", "review_body", "feedbackText"])
def test_of_a_text_in_a_tracked_event_only_its_measures_are_stored(name: str) -> None:
    normaliser = Normaliser(MemoryVault(), {}, "UTC", "EUR")
    sent = {
        "type": "track",
        "event": "Product Reviewed",
        "userId": "u",
        "messageId": "m",
        "properties": {name: SECRET, "rating": 2},
    }
    out = normaliser.normalise([Arrival(sent, NOW, "web", "1:0")])
    (row,) = out.table.to_pylist()
    assert (row["p_text_language"], row["p_text_topic"], row["p_text_words"]) == ("nl", "delivery", 10_000_000)
    assert row["p_text_sentiment"] < 0
    assert row["p_rating"] == 2_000_000
    assert "kapot" not in str(row)
    assert set(out.columns) == {*TEXT_COLUMNS, "p_rating"}


def test_both_ways_a_text_has_the_same_measures() -> None:
    measured = Texts().measure(SECRET)
    assert measured.columns()["p_text_sentiment"] == round((measured.values()["p_text_sentiment"] or 0) * 1_000_000)  # type: ignore[operator]


# -- for many together -------------------------------------------------------------------------------------------------

FRIENDLY, ANGRY = "The staff was very friendly and the delivery was quick", "What a terrible mess, my parcel is broken"


@pytest.fixture
def mailbox(tmp_path: Path):
    with create_store(tmp_path / "shop", buckets=2) as store:
        lines = [f'{n},2025-01-01T10:{n % 60:02},"{FRIENDLY if n % 4 else ANGRY}"' for n in range(60)]
        path = tmp_path / "mail.csv"
        path.write_text("\n".join(["who,when,body", *lines]) + "\n", encoding="utf-8")
        ingest_files(path, MESSAGES, store=store, zone="UTC", currency="EUR", now=NOW)
        yield store


def test_the_mood_of_many_has_an_interval_and_of_few_there_is_none(mailbox) -> None:
    everybody = pa.array(mailbox.vault.known([str(n) for n in range(60)]))
    found = texts_of(mailbox, everybody)
    assert (found["customers"], found["texts"], found["spam"], found["with_mood"]) == (60, 60, 0, 60)
    assert found["mood"]["low"] < found["mood"]["value"] < found["mood"]["high"]
    assert found["mood"]["value"] > 0
    assert found["languages"] == [{"language": "en", "texts": 60}]
    assert sum(topic["texts"] for topic in found["topics"]) == 60
    with pytest.raises(NotEnough):
        texts_of(mailbox, everybody[: FEWEST - 1])
    with pytest.raises(NotEnough):
        texts_of(mailbox, everybody, since=NOW)


def test_many_texts_of_one_person_are_one_voice() -> None:
    apart = mean_of([(1.0, 1)] * 50 + [(-1.0, 1)] * 50)
    together = mean_of([(10.0, 10)] * 5 + [(-10.0, 10)] * 5)
    assert apart["value"] == together["value"] == 0
    assert together["high"] > 3 * apart["high"]
    assert apart["high"] == pytest.approx(0.197, abs=0.001)


def test_the_health_report_says_how_often_a_mood_is_right(mailbox) -> None:
    (found,) = (f for f in report(mailbox, zone="UTC", currency="EUR", controls={}).findings if f.code == "texts")
    assert found.rows == 60
    (row,) = found.sample
    assert (row["language"], row["texts"], row["mood_right"]) == ("en", 60, RIGHT["en"][0])


def test_the_command_speaks_of_a_segment_and_refuses_a_handful(tmp_path: Path) -> None:
    kohort.create(tmp_path / "ws").close()
    lines = [f'{n},2025-01-01T10:{n:02},"{FRIENDLY}"' for n in range(40)]
    path = tmp_path / "mail.csv"
    path.write_text("\n".join(["who,when,body", *lines]) + "\n", encoding="utf-8")

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        done = CliRunner().invoke(app, ["-w", str(tmp_path / "ws"), *arguments, "--json"])
        return done.exit_code, json.loads(done.stdout)

    with kohort.open(tmp_path / "ws") as ws:
        ws.ingest(path, mapping=MESSAGES)
    call("segments", "add", "writers", "did('message')", "--yes")
    call("segments", "add", "nobody", "did('martian')", "--yes")
    call("segments", "run")
    code, said = call("texts", "writers")
    assert (code, said["segment"], said["customers"]) == (0, "writers", 40)
    code, said = call("texts", "nobody")
    assert (code, said["error"]["code"]) == (3, "not_enough")
    shown = CliRunner().invoke(app, ["-w", str(tmp_path / "ws"), "texts", "writers"]).stdout
    assert "Mood: 0." in shown


def test_a_feature_made_from_moods_is_known_as_such() -> None:
    text = """
mood: {mean: p_text_sentiment, event: message}
bad: {count: events, event: message, where: p_text_sentiment < 0}
share: {ratio: [bad, all]}
all: {count: events, event: message}
"""
    about = {f.name for f in parse_features(text, columns=TEXT_COLUMNS) if f.about_mood}
    assert about == {"mood", "bad", "share"}


def test_the_figures_of_the_report_are_those_of_the_docs() -> None:
    docs = (ROOT / "docs" / "texts.md").read_text(encoding="utf-8")
    for code, (right, where) in RIGHT.items():
        assert f"| {code} | {where} | {right:.0%}".replace("%", " %") in docs
    assert [topic for topic in listed("en") if f"`{topic}`" not in docs] == []
