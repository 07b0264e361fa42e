"""The pages of segments that people define: each answers, agrees with the store, and shows hostile names as text."""

import asyncio
import io
import json
import re
import shlex
import shutil
import threading
from html import unescape
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.errors import NotFound
from kohort.locale import PSEUDO, speaking, spoken
from kohort.web.app import create
from kohort.web.middleware import HEADERS
from kohort.web.own import Looks, OwnSegments, look_at, stamp
from kohort.web.warm import hear, look

DAYS = {
    "K1": ["2024-01-05", "2024-02-05", "2024-03-05", "2024-04-05", "2024-05-02"],
    "K2": ["2024-01-10", "2024-03-20"],
    "K3": ["2024-04-11", "2024-04-28"],
    "K4": ["2024-02-14"],
    "<b>K5</b>": ["2024-05-01", "2024-05-03"],
}
ORDERS = "order_id,customer,date,amount\n" + "".join(
    f"O{c[-2:]}{i},{c},{day},{20 + 10 * i}\n" for c, days in DAYS.items() for i, day in enumerate(days)
)
PEOPLE = "customer_id,company,newsletter\nK1,Acme,true\nK2,Acme,false\nK3,Bolt,true\n"
DEFINITIONS = """
accounts: t_company
consent: {mail: t_newsletter}
segments:
  loyal:
    label: "Loyal <script>alert(1)</script>"
    description: Call them & thank them.
    rule: did('order_line', at_least => 2, within => '90 days')
    keep: did('order_line', within => '90 days')
    minimum_stay: 7 days
  value: {tiers: {gold: "sum('order_line').amount >= 100", "silver": "did('order_line')"}}
  life:
    stages:
      new: {rule: "days_since_first('order_line') <= 30", then: [active, lost]}
      active: did('order_line', within => '60 days')
      lost: did('order_line')
  split: {buckets: {test: 50, control: 40}}
  friends: {by_hand: true}
  firms: {accounts: {any: "did('order_line', at_least => 2)"}}
  mail: {rule: did('order_line'), purpose: mail}
  rest: did('order_line') and (never('page') or in_segment('loyal')) and not in_segment('value', 'gold')
  later: did('order_line')
"""
RUNS = ["2024-02-29", "2024-03-31", "2024-04-30", "2024-05-04"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """Four runs of eight definitions; a ninth was never run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "people.csv").write_text(PEOPLE)
    with kohort.create(folder / "shop", name="Corner shop", currency="GBP") as ws:
        ws.ingest(folder / "orders.csv")
        ws.ingest(folder / "people.csv", kind="customers")
        with (ws.root / "kohort.yaml").open("a") as file:
            file.write(DEFINITIONS)
        ws.segments.put("friends", ["K2"], note="Met at the <fair>", by="Ann")
        names = [d.name for d in ws.config.segments if d.name != "later"]
        for at in RUNS:
            assert not ws.segments.run(names, as_of=at).failed
    return folder / "shop"


@pytest.fixture(scope="module")
def ws(shop):
    with kohort.open(shop) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def get(ws):
    app = create(ws)

    def ask(path: str) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kohort") as client:
                return await client.get(path)

        return asyncio.run(send())

    return ask


NAMES = ["loyal", "value", "life", "split", "friends", "firms", "mail", "rest", "later"]


@pytest.mark.slow
def test_every_page_that_a_page_leads_to_is_there(get):
    """From the list on, each address once: every definition, its members, why each of them, and the lifecycle."""
    waiting, seen = ["/segments"], set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        answer = get(path)
        assert answer.status_code == 200, path
        assert {k: answer.headers.get(k) for k in HEADERS} == HEADERS
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        assert "<script>alert" not in answer.text
        found = set(re.findall(r'href="(/(?:definitions|lifecycle)[^"]*)"', answer.text))
        waiting += sorted({unescape(href) for href in found} - seen - set(waiting))
    whys = {path for path in seen if "/customers/c-" in path}
    assert {f"/definitions/{n}" for n in NAMES} < seen
    assert len(whys) == 5 * (len(NAMES) - 2), "five customers; accounts and what was never run have no such page"


def text_of(answer: httpx.Response) -> str:
    """What a reader sees of a page, spaces made one."""
    body = re.sub(r"<(script|style|title)\b.*?</\1>", " ", answer.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_list_has_every_definition_with_the_size_that_the_store_has(get, ws):
    page = text_of(get("/segments"))
    for line in ws.segments.list():
        assert line.label in page
    assert "Loyal <script>alert(1)</script> Rule" in page, "shown as text"
    assert "Has placed an order line at least 2 times in the last 90 days." in page
    assert "2 levels: Gold and Silver." in page
    assert "50% in Test and 40% in Control; the other 10% are in none." in page
    assert "Accounts where for at least one user this is so: has placed an order line at least 2 times." in page
    assert "Only customers that people put in by hand." in page
    assert "Not run yet" in page
    assert page.count("As of 4 May 2024") == len(NAMES) - 1


def test_the_list_is_sorted_as_asked(get, ws):
    def order(sort: str) -> list[str]:
        return re.findall(r'class="strong" href="/definitions/([^"]+)"', get(f"/segments?own={sort}").text)

    sizes = {d.name: d.size for d in ws.segments.list()}
    labels = {d.name: d.label.lower() for d in ws.segments.list()}
    assert order("written") == NAMES == order("nonsense")
    assert order("customers") == sorted(NAMES, key=lambda n: -sizes[n])
    assert order("name") == sorted(NAMES, key=lambda n: labels[n])


def test_a_workspace_without_definitions_says_how_to_make_one(tmp_path):
    from kohort.views import own_list, pages

    with kohort.create(tmp_path / "shop") as empty:
        (tmp_path / "orders.csv").write_text(ORDERS)
        empty.ingest(tmp_path / "orders.csv")
        mine = OwnSegments(empty).all()
        assert mine.segments == ()
        page = own_list.segments(pages.Shell("Shop"), None, own_list.listed(mine, "written"))
        shown = re.findall(r"<code>kohort (segments add .*)\nkohort (segments run)</code>", page)
    for command in shown[0]:
        done = CliRunner().invoke(app, [*shlex.split(unescape(command)), "-w", str(tmp_path / "shop")])
        assert done.exit_code == 0, "the commands shown are ones that work"
    with kohort.open(tmp_path / "shop") as filled:
        assert filled.segments.describe("loyal").size == 1
    assert "kohort.yaml" in page


def test_a_definition_shows_the_rule_its_staying_its_freshness_and_its_users(get):
    page = text_of(get("/definitions/loyal"))
    assert "did('order_line', at_least => 2, within => '90 days')" in page
    assert "Who is in may stay as long as this is so: has placed an order line in the last 90 days." in page
    assert "Nobody leaves by the rule earlier than after 7 days." in page
    assert "Call them & thank them." in page
    assert "Members As of 4 May 2024" in page
    assert "Used by Rest" in page
    assert "Only customers who agreed to “mail”." in text_of(get("/definitions/mail"))


def test_subtotals_on_the_page_lead_to_the_size(get, ws):
    page = get("/definitions/rest").text
    table = page.split("Conditions of Rest")[1].split("</table>")[0]
    rows = [
        (cells[0], int(cells[1]), cells[2])
        for row in table.split("<tr")[2:-1]
        if len(cells := re.findall(r"<td[^>]*>\s*(?:<div[^>]*>)?(?:<b>)?([^<]+)", row)) == 3
    ]
    found = ws.segments.preview("rest", as_of=ws.segments.describe("rest").status.as_of)
    wanted = [c for c in found.parts[0].conditions if c.depth]
    assert [r[1] for r in rows] == [c.size for c in wanted]
    left = [r[2] for r in rows if r[2].endswith("left")]
    assert left[-1] == f"{found.size} left"
    added = [int(r[2]) for r in rows if r[2].startswith("+")]
    assert sum(added) == next(c.size for c in wanted if " or " in c.text)


def test_movement_on_the_page_is_the_movement_of_the_store(get, ws):
    moved = ws.segments.movement("life")
    page = get("/definitions/life").text
    table = page.split("Movement, every month in figures</caption>")[1].split("</table>")[0]
    rows = [re.findall(r"<td[^>]*>([^<]*)", row) for row in table.split("<tr")[2:]]
    assert [(int(r[2]), int(r[3]), int(r[4])) for r in rows] == [(m.entered, m.left, m.moved) for m in reversed(moved)]
    assert all("likely between" in r[5] for r in rows if r[1] != "0")


def test_the_matrix_counts_everybody_once(ws):
    from kohort.views.own_movement import matrix

    one = OwnSegments(ws).all().segment("life")
    month = look_at(ws, "life")["month"]
    shown = matrix(one, month, "UTC")
    counted = sum(int(c["n"] or 0) for row in shown["rows"] for c in row["cells"])
    assert counted == month["entered"] + month["left"] + month["moved"] + month["stayed"]
    assert [int(r["total"]) for r in shown["rows"] if r["total"]] == [
        sum(int(c["n"]) for c in r["cells"]) for r in shown["rows"] if r["total"]
    ]


def test_members_are_listed_once_and_page_by_page(ws):
    mine = OwnSegments(ws)
    one = mine.all().segment("value")
    first = mine.members(one, "", "", 3)
    second = mine.members(one, "", first.next, 3)
    assert (len(first.rows), second.next) == (3, "")
    assert sorted(m.number for m in first.rows + second.rows) == sorted(ws.members("value")["customer_id"].to_pylist())
    with pytest.raises(NotFound):
        mine.members(one, "", "c-nobody", 3)
    newest = mine.members(one, "", "", 3, order="newest")
    rest = mine.members(one, "", "", 3, order="newest", skip=3)
    assert sorted(newest.rows + rest.rows, key=lambda m: m.number) == sorted(
        first.rows + second.rows, key=lambda m: m.number
    )
    assert [m.since for m in newest.rows + rest.rows] == sorted(
        (m.since for m in newest.rows + rest.rows), reverse=True
    )
    assert (bool(newest.next), rest.next, rest.size) == (True, "", first.size)
    gold = mine.members(one, "gold", "", 50)
    assert {m.number for m in gold.rows} == set(ws.members("value/gold")["customer_id"].to_pylist())
    accounts = mine.members(mine.all().segment("firms"), "", "", 50).rows
    assert {(m.number, m.code) for m in accounts} == {("Acme", ""), ("Bolt", "")}


def test_hostile_customer_numbers_are_text_and_never_in_an_address(get):
    page = get("/definitions/value/customers").text
    assert "&lt;b&gt;K5&lt;/b&gt;" in page
    assert not re.findall(r'href="[^"]*K5[^"]*"', page)


def codes(get, name: str) -> dict[str, str]:
    found = re.findall(
        r'href="/definitions/\w+/customers/(c-[0-9a-f]+)">([^<]+)<', get(f"/definitions/{name}/customers").text
    )
    return {unescape(number): code for code, number in found}


def test_why_says_what_the_door_says(get, ws):
    everybody = codes(get, "value")
    assert set(everybody) == {"K1", "K2", "K3", "K4", "<b>K5</b>"}
    at = ws.segments.describe("loyal").status.as_of
    for number, code in everybody.items():
        answer = ws.segments.why("loyal", code, as_of=at)
        page = text_of(get(f"/definitions/loyal/customers/{code}"))
        verb = "is in" if answer.member else "is not in"
        assert f"Why customer {number} {verb} Loyal" in page
        for condition in answer.asked.conditions:
            assert condition.actual in page
            assert f"{'✓ Yes' if condition.true else '✗ No'}" in page


def test_what_time_alone_does_is_said_with_its_date(get, ws):
    code = codes(get, "value")["K4"]  # ordered once, on 14 February
    page = text_of(get(f"/definitions/loyal/customers/{code}"))
    assert "Why customer K4 is not in Loyal" in page
    assert "once, needs at least twice" in page
    assert "1 more time" in page
    page = text_of(get(f"/definitions/life/customers/{codes(get, 'value')['K1']}"))
    change = ws.segments.why("life", "K1", as_of=ws.segments.describe("life").status.as_of).change
    assert change is not None
    assert f"Moves from Active to Lost on {change_day(change.at)}, unless there is a new order before." in page


def change_day(at: int) -> str:
    from datetime import UTC, datetime

    day = datetime.fromtimestamp(at / 1e6, UTC)
    return f"{day.day} {day:%B %Y}"


def test_a_customer_page_leads_to_her_other_segments(get):
    code = codes(get, "value")["K1"]
    page = get(f"/definitions/loyal/customers/{code}").text
    assert set(re.findall(r'href="(/definitions/\w+)/customers/c-', page)) == {
        f"/definitions/{n}" for n in NAMES if n not in {"loyal", "firms", "later"}
    }


def test_lists_by_hand_say_who_put_whom_in_and_why(get):
    assert "1 customer put in" in text_of(get("/definitions/friends"))
    assert "by Ann: Met at the <fair>" in text_of(get("/definitions/friends"))
    page = text_of(get(f"/definitions/friends/customers/{codes(get, 'friends')['K2']}"))
    assert "Put in by hand" in page


def test_the_lifecycle_shows_stages_in_order_and_who_moved(get):
    page = get("/lifecycle").text
    stages = re.findall(r'href="/definitions/life/customers\?part=(\w+)"', page)
    assert stages == ["new", "active", "lost"]
    assert 'href="/lifecycle" data-go="l" aria-current="page"' in page
    assert "likely between" in page
    assert get("/lifecycle?of=value").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/definitions/nobody",
        "/definitions/value/customers?part=platinum",
        "/definitions/loyal/customers/c-00000000000001",
        "/definitions/loyal/customers/K99",
        "/definitions/firms/customers/K1",
        "/definitions/%3Cscript%3E",
    ],
)
def test_what_is_not_there_is_a_plain_page(get, path):
    answer = get(path)
    assert answer.status_code == 404
    assert "Back to the overview" in answer.text
    assert "<script>" not in answer.text.replace('<script src="/static/ui.js">', "")
    assert "K99" not in answer.text


@pytest.fixture
def copy(shop, tmp_path):
    shutil.copytree(shop, tmp_path / "copy")
    with kohort.open(tmp_path / "copy") as workspace:
        yield workspace


def test_a_failed_definition_says_why_and_that_its_members_stayed(copy):
    size = copy.segments.describe("loyal").size
    copy.store.status.failed("loyal", "no_engine: The sum does not fit.", now=1)
    app_page = asyncio.run(ask_once(copy, "/segments"))
    assert f"Failed: The sum does not fit. Its {size} members stayed as of 4 May 2024." in app_page
    assert "The last run failed." in asyncio.run(ask_once(copy, "/definitions/loyal"))


async def ask_once(workspace, path: str) -> str:
    transport = httpx.ASGITransport(create(workspace))
    async with httpx.AsyncClient(transport=transport, base_url="http://kohort") as client:
        return text_of(await client.get(path))


def test_edits_show_as_pending_and_then_as_versions(copy):
    copy.segments.add("mail", {"rule": "did('order_line', at_least => 2)", "purpose": "mail"})
    page = asyncio.run(ask_once(copy, "/definitions/mail"))
    assert "Changed since the last run." in page
    copy.segments.run(["mail"], as_of="2024-05-05")
    page = asyncio.run(ask_once(copy, "/definitions/mail"))
    assert "Changed since the last run." not in page
    assert "2 versions" in page
    assert "at_least => 2" in page.split("2 versions")[1]


def test_what_is_defined_no_more_is_still_listed(copy):
    text = (copy.root / "kohort.yaml").read_text()
    (copy.root / "kohort.yaml").write_text(text.replace("  mail: {rule: did('order_line'), purpose: mail}\n", ""))
    page = asyncio.run(ask_once(copy, "/segments"))
    assert "mail No longer defined" in page
    assert "kohort segments remove mail" in page
    with pytest.raises(NotFound):
        copy.segments.definition("mail")
    assert "We cannot find that" in asyncio.run(ask_once(copy, "/definitions/mail"))


def test_a_look_is_kept_until_something_changes(copy):
    mine = OwnSegments(copy)
    kept = mine.look("loyal")
    assert mine.look("loyal") is kept
    before = stamp(copy)
    copy.segments.put("friends", ["K3"])
    assert stamp(copy) != before
    assert mine.look("loyal") is not kept


def test_a_look_is_kept_once_and_said_in_the_language_of_whoever_reads(ws):
    mine = OwnSegments(ws)
    for name, language in [("loyal", PSEUDO), ("life", PSEUDO), ("loyal", "nl"), ("life", "da"), ("rest", "de")]:
        english = mine.look(name)
        with speaking(language):
            told = mine.look(name)
            as_of = ws.segments.describe(name).status.as_of
            asked = ws.segments.preview(name, as_of=as_of, language=spoken()).as_dict()
            assert told["preview"]["universe_text"] == asked["universe_text"]
            assert tuple(told["preview"]["warnings"]) == asked["warnings"]
            assert [c["sentence"] for p in told["preview"]["parts"] for c in p["conditions"]] == [
                c["sentence"] for c in asked["conditions"]
            ]
            if told["months"]:
                moved = ws.segments.movement(name)
                alarms = ws.segments.alarms(moved).as_dict()
                assert json.dumps(told["months"]["alarms"]) == json.dumps(alarms)
            if told["month"]:
                (month,) = ws.segments.movement(name, english["month"]["start"], english["month"]["end"])
                assert told["month"]["text"] == month.text
        assert mine.look(name) is english


def test_rules_are_said_in_the_language_of_whoever_reads(ws, get):
    mine, code = OwnSegments(ws), codes(get, "value")["K1"]
    said = {}
    for language in ("en", "de", "nl", "da"):
        with speaking(language):
            one = mine.all().segment("loyal")
            (sentence,) = {ws.segments.say(r, language) for r in one.said if "at_least" in r}
            assert sentence in one.said.values()
            answer = mine.why(one, code).answer
            assert answer.asked.conditions[0].sentence == sentence
            said[language] = sentence
    assert len(set(said.values())) == 4
    with speaking("de"):
        assert said["de"] in mine.all().segment("loyal").said.values()


@pytest.mark.slow
def test_what_another_process_looked_at_is_taken_over(shop, ws):
    said = io.StringIO()
    look(str(shop), said)
    looks, ready = Looks(), threading.Event()
    hear(io.StringIO(said.getvalue() + '["cut", "sho'), ready, looks.keep)
    assert ready.is_set()
    mine = OwnSegments(ws, looks)
    taken = {name: looks.get(name, stamp(ws), lambda: pytest.fail("looked again")) for name in NAMES}
    assert taken["life"] == json.loads(json.dumps(look_at(ws, "life")))
    assert mine.look("loyal")["preview"]["size"] == ws.segments.describe("loyal").size
