"""Machines are told from people by their user agents; what they send is kept, belongs to nobody, and can be given back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.engines.duck import connect, folders_of, register_events
from kohort.errors import BadInput, WrongUsage
from kohort.health import report
from kohort.ingest import controls, ingest_files
from kohort.ingest.controls.agents import KINDS, Agents, known
from kohort.ingest.controls.restore import count, restore
from kohort.ingest.memory import MemoryStore, MemoryVault
from kohort.ingest.tracking import Normaliser, TrackingSettings, frame_arrivals
from kohort.model.arrival import Arrival
from kohort.model.source import SourceMapping
from kohort.store import create_store

NOW = 1_750_000_000_000_000
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
DOCS = Path(__file__).parents[2] / "docs" / "controls.md"


# -- user agents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "kind"),
    [
        (CRAWLER, "search-engine"),
        ("python-requests/2.31", "http-library"),
        ("curl/8.4.0", "http-library"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36", "browser-automation"),
        ("AcmeSpider/0.1", "self-declared"),
        ("Mozilla/5.0 (compatible; BeetleBot; )", "self-declared"),
        ("Acme/1.0 (+https://acme.example/about)", "self-declared"),
    ],
)  # fmt: skip
def test_a_machine_is_known_by_the_list_or_by_its_own_words(agent: str, kind: str) -> None:
    assert Agents().kind(agent) == kind


@pytest.mark.parametrize(
    "agent",
    [
        BROWSER,
        "",
        "Mozilla/5.0 (Linux; Android 9; CUBOT_X18) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0 Mobile Safari/537.36",
        "Dalvik/2.1.0 (Linux; U; Android 9; CUBOT X18 Build/PPR1)",
        "okhttp/4.9.0",
        "Shop/3.1 CFNetwork/1220.1 Darwin/20.3.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 16_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 250",
    ],
)
def test_browsers_and_apps_are_people(agent: str) -> None:
    assert Agents().kind(agent) == ""


@pytest.mark.parametrize(
    "agent",
    ["analytics-python/2.3.2", "Go-http-client/1.1", "axios/1.2", "python-requests/2.31", "Java/17.0.1", "Acme (+https://a.example)"],
)  # fmt: skip
def test_a_server_that_forwards_events_of_people_is_no_machine(agent: str) -> None:
    assert Agents().kind_of_request(agent) == ""


def test_every_pattern_of_the_list_finds_what_it_is_published_to_find() -> None:
    import crawleruseragents

    published = crawleruseragents.CRAWLER_USER_AGENTS_DATA
    instances = [agent for entry in published for agent in entry["instances"]]
    missed = [agent for agent in instances if not known().kind(agent)]
    assert len(instances) > 2_000
    assert missed == []
    assert {tag for entry in published for tag in entry["tags"]} <= KINDS.keys()


def test_the_company_has_the_last_word_about_an_agent() -> None:
    said = controls.check_overrides({"agent: Acme Shop App": "bot", "agent: googleBOT": "person", "X9": "fee"})
    agents = Agents.of(said)
    assert agents.kind("Acme shop app/3") == "set"
    assert agents.kind(CRAWLER) == agents.kind_of_request(CRAWLER) == ""
    for wrong in ({"agent: Acme": "fee"}, {"agent:": "bot"}):
        with pytest.raises(BadInput):
            controls.check_overrides(wrong)


@pytest.mark.timeout(60)  # what backtracks takes for ever
def test_an_endless_agent_takes_no_time() -> None:
    assert Agents().kind("Mozilla/5.0 " + "a@" * 500_000) == ""


# -- tracking ----------------------------------------------------------------------------------------------------------


def sent(*events: dict[str, Any], agent: str = "", **settings: Any) -> tuple[list[dict[str, Any]], Any, MemoryVault]:
    vault = MemoryVault()
    normaliser = Normaliser(vault, {}, "UTC", "EUR", TrackingSettings(**settings))
    base = {"type": "page", "anonymousId": "a"}
    found = [
        Arrival({**base, "messageId": f"m{n}", **event}, NOW, "web", f"1:{n}", user_agent=agent)
        for n, event in enumerate(events)
    ]
    out = normaliser.normalise(found)
    assert out.received == int(out.head.sum()) + len(out.rejected)
    return out.table.to_pylist(), out, vault


def test_what_a_machine_sends_belongs_to_nobody_and_says_so() -> None:
    (bot, person), out, vault = sent({"context": {"userAgent": CRAWLER}}, {"context": {"userAgent": BROWSER}})
    assert bot["customer"] is None
    assert bot["p_bot_kind"] == "search-engine"
    assert bot["p_bot_id"] == vault.bot_ids([vault.anonymous["a"]])[0]
    assert person["customer"] == vault.anonymous["a"]
    assert person["p_bot_kind"] is None
    assert out.columns.items() >= {"p_bot_kind": "text", "p_bot_id": "text"}.items()
    assert CRAWLER not in str(bot)


def test_a_machine_links_no_ids_and_tells_nothing_about_a_person() -> None:
    told = {"type": "identify", "userId": "u", "traits": {"email": "ada@example.org"}}
    _, out, vault = sent({**told, "context": {"userAgent": CRAWLER}})
    assert (out.links, vault.sealed) == ([], set())
    _, out, vault = sent({**told, "context": {"userAgent": BROWSER}})
    assert (len(out.links), len(vault.sealed)) == (1, 1)


def test_what_was_paid_for_is_never_set_aside() -> None:
    order = {
        "type": "track",
        "event": "Order Completed",
        "userId": "u",
        "properties": {"revenue": 10, "currency": "EUR"},
    }
    rows, _, vault = sent({**order, "context": {"userAgent": "python-requests/2.31"}})
    assert {row["customer"] for row in rows} == {vault.keys["u"]}


def test_the_agent_of_the_request_counts_only_where_the_event_names_none() -> None:
    rows, _, _ = sent({}, {"context": {"userAgent": BROWSER}}, agent=CRAWLER)
    assert [row["customer"] is None for row in rows] == [True, False]
    rows, _, _ = sent({}, agent="python-requests/2.31")
    assert rows[0]["customer"] is not None


def test_a_frame_of_the_journal_hands_its_agent_over() -> None:
    meta = {"received_us": NOW, "source": "web", "path": "page", "user_agent": CRAWLER}
    (one,) = frame_arrivals(b'{"anonymousId":"a"}', meta, 7)
    (two,) = frame_arrivals(b'[{"anonymousId":"a"}]', {**meta, "path": "batch"}, 7)
    assert one.user_agent == two.user_agent == CRAWLER
    (none,) = frame_arrivals(b"{}", {"received_us": NOW, "source": "web", "path": "page"}, 7)
    assert none.user_agent == ""


def test_settings_reach_tracking() -> None:
    rows, _, _ = sent({"context": {"userAgent": CRAWLER}}, controls={"agent: Googlebot": "person"})
    assert rows[0]["customer"] is not None


# -- files -------------------------------------------------------------------------------------------------------------

VISITS = SourceMapping(
    "visits",
    "events",
    {"customer": "who", "time": "when", "user_agent": "agent"},
    event="page",
    time_format="iso",
)


def visits(tmp_path: Path, *rows: tuple[str, str]) -> Path:
    path = tmp_path / "visits.csv"
    lines = [f'{who},2025-01-0{n}T10:00,"{agent}"' for n, (who, agent) in enumerate(rows, 1)]
    path.write_text("\n".join(["who,when,agent", *lines]) + "\n", encoding="utf-8")
    return path


def test_rows_of_machines_in_a_file_are_set_aside_and_counted(tmp_path: Path) -> None:
    store = MemoryStore()
    path = visits(tmp_path, ("7", BROWSER), ("7", CRAWLER), ("7", ""))
    done = ingest_files(path, VISITS, store=store, zone="UTC", currency="EUR", now=NOW)
    events = store.log.events()
    assert [event["customer"] is None for event in events] == [False, True, False]
    assert [event["p_bot_kind"] for event in events] == [None, "search-engine", None]
    assert done.batches[0].notes == ("1 rows: sent by a machine; kept, and belongs to nobody",)
    assert store.log.columns == {"p_bot_kind": "text", "p_bot_id": "text"}
    assert all("Mozilla" not in str(event) for event in events)
    again = ingest_files(path, VISITS, store=store, zone="UTC", currency="EUR", now=NOW)
    assert (again.stored, again.duplicate) == (0, 3)


# -- a workspace -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path):
    with create_store(tmp_path / "shop", buckets=2) as store:
        rows = [("7", BROWSER), ("7", CRAWLER), ("8", "python-requests/2"), ("9", CRAWLER)]
        ingest_files(visits(tmp_path, *rows), VISITS, store=store, zone="UTC", currency="EUR", now=NOW)
        yield store


def pages(store) -> dict[str, int]:
    """Pages by the company's own number, of all who have any."""
    snapshot = store.log.snapshot()
    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        rows = con.execute("SELECT customer, count(*) FROM events WHERE customer IS NOT NULL GROUP BY 1").fetchall()
    names = store.vault.refs([customer for customer, _ in rows])
    return {str(name): n for name, (_, n) in zip(names, rows, strict=True)}


def test_the_health_report_counts_machines_apart_from_events_without_a_customer(shop) -> None:
    findings = {f.code: f for f in report(shop, zone="UTC", currency="EUR", controls={}).findings}
    assert findings["bot_events"].rows == 3
    assert findings["bot_events"].sample == (
        {"kind": "search-engine", "events": 2},
        {"kind": "http-library", "events": 1},
    )
    assert "anonymous_events" not in findings
    assert not [f for f in findings.values() if "p_bot" in f.text]


def test_what_was_set_aside_by_mistake_is_given_back_once(shop) -> None:
    assert pages(shop) == {"7": 1}
    done = restore(shop, ["search-engine"], now=NOW)
    assert (done.read, done.stored, done.rejected) == (2, 2, 0)
    assert pages(shop) == {"7": 2, "9": 1}
    again = restore(shop, ["search-engine"], now=NOW + 1)
    assert (again.read, again.stored) == (0, 0)
    assert [(kind["kind"], kind["events"]) for kind in count(shop)] == [("http-library", 1)]
    with pytest.raises(WrongUsage):
        restore(shop, ["martian"], now=NOW)


def test_nothing_of_somebody_who_was_forgotten_comes_back(shop) -> None:
    shop.vault.erase(shop.vault.customers(["9"]), erased_us=NOW)
    done = restore(shop, KINDS, now=NOW)
    assert (done.read, done.stored, done.rejected, done.reasons) == (3, 2, 1, {"erased": 1})
    assert pages(shop) == {"7": 2, "8": 1}


def test_the_commands_list_and_give_back(tmp_path: Path) -> None:
    kohort.create(tmp_path / "ws").close()

    def call(*arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, ["-w", str(tmp_path / "ws"), *arguments, "--json"])
        return json.loads(done.stdout)

    assert call("bots", "list") == {"events": 0, "kinds": []}
    with kohort.open(tmp_path / "ws") as ws:
        ws.ingest(visits(tmp_path, ("7", CRAWLER)), mapping=VISITS)
    (kind,) = call("bots", "list")["kinds"]
    assert (kind["kind"], kind["events"], kind["first"]) == ("search-engine", 1, "2025-01-01T10:00:00Z")
    assert call("bots", "restore", "martian")["error"]["code"] == "wrong_usage"
    assert call("bots", "restore", "search-engine") == {"found": 1, "restored": 1, "nobody": 0}
    people = CliRunner().invoke(app, ["-w", str(tmp_path / "ws"), "bots", "list"])
    assert "No event of a machine" in people.stdout


def test_a_column_of_user_agents_is_found_by_its_name(tmp_path: Path) -> None:
    from kohort.ingest.words import role_of

    assert role_of("userAgent") == role_of("User-Agent") == ("user_agent", True)


def test_every_kind_of_machine_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == []
