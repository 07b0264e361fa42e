"""The rule builder: what the rows say is what is counted and saved, mistakes stand under their row, and nothing is ever lost."""

import asyncio
import io
import re
import threading
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pyarrow.parquet as pq
import pytest

import kohort
from kohort.definitions.rules.rows import Row, Rows
from kohort.views.build import Draft
from kohort.web import build
from kohort.web.app import create

PASSWORD = "plum kettle orbit sand"
RULES = {
    "loyal": "did('order_line', category = 'tea', at_least => 2, within => '90 days')",
    "mixed": "never('page', within => '2 weeks') and (t_country in ('DE', 'NL') or recency_days < 40 or in_segment('value', 'gold'))",
    "odd": "(did('order_line') and sequence(did('page'), never('order_line'), within => '1 day')) or t_country like 'D%'",
    "deep": "did(('order_line', 'page')) and not (did('page') and not t_newsletter) and t_born > ago('30 years')",
    "exact": "sum('order_line', within => '1 year').amount >= 100.25 and t_newsletter = false and not in_segment('value', 'silver')",
}
DEFINITIONS = """
predictions: {churn: {churn: order_line}}
consent: {mail: t_newsletter}
segments:
  value:
    label: What they are worth
    tiers: {gold: "sum('order_line').amount >= 100", silver: "did('order_line')"}
  kept:
    label: "Kept <script>alert(1)</script>"
    description: Call them & thank them.
    purpose: mail
    rule: did('order_line', at_least => 2)
    keep: did('order_line')
    minimum_stay: 7 days
"""


class Form(HTMLParser):
    """The fields of the form as a browser without JavaScript would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.buttons: list[str] = []
        self._select = self._area = ""
        self._first = False
        self.feed(page[page.index('<form id="build"') : page.index("</form>", page.index('<form id="build"'))])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = {name: value or "" for name, value in attrs}
        if tag == "input":
            self.fields[a["name"]] = a.get("value", "")
        elif tag == "button":
            self.buttons.append(a["value"])
        elif tag == "select":
            self._select, self._first = a["name"], True
        elif tag == "textarea":
            self._area, self.fields[a["name"]] = a["name"], ""
        elif tag == "option" and self._select and (self._first or "selected" in a):
            self.fields[self._select], self._first = a["value"], False

    def handle_endtag(self, tag: str) -> None:
        self._select, self._area = (self._select if tag != "select" else ""), (self._area if tag != "textarea" else "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data if self.fields[self._area] else data.removeprefix("\n")


class Site:
    """The pages of a workspace, asked by somebody who is logged in, or by whoever is at the machine."""

    def __init__(self, ws: kohort.Workspace, user: str = "") -> None:
        self.ws, self.app = ws, create(ws)
        self.token = ws.store.sessions.begin(user) if user else ""

    def ask(self, method: str, path: str, **data: str) -> httpx.Response:
        async def sent() -> httpx.Response:
            base = "https://shop.example" if self.token else "http://127.0.0.1"
            headers = {"Cookie": f"__Host-kohort={self.token}"} if self.token else {}
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
                return await client.request(method, path, data=data or None)

        return asyncio.run(sent())

    def form(self, path: str = "/build") -> Form:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return Form(answer.text)

    def press(self, sent: Form, do: str, path: str = "/build", /, **changed: str) -> httpx.Response:
        return self.ask("POST", path, **{**sent.fields, **changed, "do": do})

    def did(self, name: str, what: str, **more: str) -> httpx.Response:
        return self.ask("POST", f"/definitions/{name}/{what}", word=self.form().fields["word"], **more)


def shop(folder: Path) -> kohort.Workspace:
    orders = [
        f"O{c}-{i},K{c},2024-{month:02d}-{1 + (7 * c + i) % 28:02d},{10 + c % 13 * 9},{'tea' if c % 3 else '<b>mugs'}"
        for c in range(1, 41)
        for i, month in enumerate(range(1 + c % 4, 7, 1 + c % 3))
    ]
    people = [
        f"K{c},{'DE' if c % 2 else 'NL'},{'true' if c % 5 else 'false'},19{60 + c % 40}-03-02" for c in range(1, 41)
    ]
    people.append("=1+1,DE,true,1990-01-01")
    (folder / "orders.csv").write_text("order_id,customer,date,amount,category\n" + "\n".join(orders) + "\n")
    (folder / "people.csv").write_text("customer_id,country,newsletter,born\n" + "\n".join(people) + "\n")
    ws = kohort.create(folder / "shop", name="Corner shop", currency="GBP")
    ws.ingest(folder / "orders.csv")
    ws.ingest(folder / "people.csv", kind="customers")
    with (ws.root / "kohort.yaml").open("a") as file:
        file.write(DEFINITIONS + "".join(f'  {name}: "{rule}"\n' for name, rule in RULES.items()))
    assert not ws.segments.run().failed
    return ws


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    with shop(tmp_path_factory.mktemp("build")) as ws:
        yield Site(ws)


def part(page: str, name: str) -> str:
    """What stands in one place of the page, as text."""
    start = page.index(f'id="{name}"')
    found = re.sub(r"<[^>]+>", " ", page[page.index(">", start) + 1 : page.index("</div>", start)])
    return " ".join(unescape(found).split())


def bignum(page: str) -> int:
    return int(re.search(r'class="bignum">([\d,]+)<', page)[1].replace(",", ""))


@pytest.mark.parametrize("name", RULES)
def test_saving_what_was_opened_changes_nothing(site: Site, name: str) -> None:
    before = site.ws.segments.text(name)
    answer = site.press(site.form(f"/build/{name}"), "save")
    assert answer.headers["location"] == f"/definitions/{name}?done=saved"
    assert site.ws.segments.text(name) == before


def test_all_else_that_a_definition_says_stays(site: Site) -> None:
    form = site.form("/build/kept")
    assert site.press(form, "save", **{"r0-times": "3"}).status_code == 303
    kept = site.ws.segments.definition("kept")
    assert kept.parts[0].rule.text == "did('order_line', at_least => 3)"
    assert (kept.purpose, kept.parts[0].keep.text, str(kept.parts[0].minimum_stay)) == (
        "mail",
        "did('order_line')",
        "7 days",
    )
    assert (kept.label, kept.description) == ("Kept <script>alert(1)</script>", "Call them & thank them.")
    assert "<script>alert" not in site.ask("GET", "/build/kept").text


def test_the_count_is_the_one_of_the_preview_and_the_last_condition_ends_in_it(site: Site) -> None:
    for name in ("mixed", "loyal", "exact"):
        page = site.ask("GET", f"/build/{name}").text
        found = site.ws.segments.preview(name)
        assert bignum(page) == found.size
        assert found.parts[0].conditions[0].sentence in unescape(page)
        assert "As of 24 Jun 2024" in page
        steps = re.findall(r'<div class="left" id="r\d+-count" data-live>([^<]+)</div>', page)
        last = {"loyal": f"{found.size}", "exact": f"{found.size} left"}
        assert name == "mixed" or steps[-1] == last[name]
        assert name != "mixed" or sum(step.startswith("+") for step in steps) == 3
        assert f"{found.size} left" in page or name == "loyal", "the last bar is the count"


def test_mistakes_stand_under_their_row_and_the_rest_is_counted(site: Site) -> None:
    form = site.form("/build/loyal")
    more = Form(site.press(form, "add").text)
    wrong = {"r1-event": "order_line", "r1-times": "often"}
    page = site.press(more, "show", "/build/preview", **wrong).text
    assert part(page, "r1-told") == "'often' is not a number of times. Write a whole number, for example 3."
    assert part(page, "r0-told") == ""
    assert bignum(page) == site.ws.segments.preview("loyal").size
    assert "1 condition is not counted yet." in page
    refused = site.press(more, "save", **wrong)
    assert refused.status_code == 400
    assert "Some conditions are not finished." in part(refused.text, "said")
    assert Form(refused.text).fields["r1-times"] == "often", "what was typed is still there"
    text = site.press(
        more, "show", "/build/preview", **{"r1-kind": "text", "r1-was": "text", "r1-text": "did('page' and"}
    ).text
    assert part(text, "r1-told")
    unknown = site.press(
        more, "show", "/build/preview", **{"r1-kind": "text", "r1-was": "text", "r1-text": "spnt > 3"}
    ).text
    assert part(unknown, "r1-told").startswith("No feature and no trait is called 'spnt'. spnt")


def test_a_row_that_is_new_is_only_told_what_to_choose(site: Site) -> None:
    page = site.press(site.form(), "add").text
    assert part(page, "r1-told") == "Choose what happened."
    assert "rule err" not in page
    assert "Finish a condition, and it is counted here." in page


def test_buttons_add_move_and_take_away() -> None:
    a, b, c, d = (Row("text", {"text": t}) for t in "abcd")
    inner = [Row("text", {"text": t}, "1") for t in "xy"]

    def texts(rows: tuple[Row, ...], do: str) -> str:
        found = build.changed(Draft(rows=Rows("all", rows)), do).rows.rows
        return "".join((row.get("text") or "_") + row.group for row in found)

    assert texts((a, b), "add") == "ab_"
    assert texts((a, b), "add-group") == "ab_1_1"
    assert texts((a, b, c), "remove:1") == "ac"
    assert texts((a, b, c), "up:2") == "acb"
    assert texts((a, b, c), "down:2") == texts((a, b, c), "up:0") == "abc"
    assert texts((a, *inner, d), "up:3") == "adx1y1", "past the group as a whole"
    assert texts((a, *inner, d), "up:2") == "ay1x1d", "inside its group"
    assert texts((a, *inner, d), "up:1") == "ax1y1d"
    assert texts((a, *inner, d), "add-in:1") == "ax1y1_1d"
    for do in ("remove:9", "up:x", "nonsense", "", "down:-1"):
        assert len(texts((a, b), do)) == 2
    many = tuple(a for _ in range(build.MOST_ROWS))
    assert len(build.changed(Draft(rows=Rows("all", many)), "add").rows.rows) == build.MOST_ROWS


def test_a_new_segment_goes_live_with_exactly_those_who_were_counted(site: Site) -> None:
    fields = {"title": "Autumn stock-up, gone quiet!", "r0-event": "order_line", "r0-length": "60"}
    counted = bignum(site.press(site.form(), "show", **fields).text)
    tried = site.press(site.form(), "try", **fields)
    assert f"{counted} would enter" in part(tried.text, "tried")
    assert "autumn" not in {d.name for d in site.ws.config.segments}
    answer = site.press(site.form(), "save", **fields)
    assert answer.headers["location"] == "/definitions/autumn_stock-up_gone_quiet?done=saved"
    made = site.ws.segments.describe("autumn_stock-up_gone_quiet")
    assert (made.label, made.size) == ("Autumn stock-up, gone quiet!", counted)
    assert site.ws.segments.edits()[made.name].by == "the pages"
    assert "autumn_stock-up_gone_quiet" in (site.ws.root / "kohort.yaml").read_text()


def test_without_a_name_it_is_tried_but_not_saved(site: Site) -> None:
    before = (site.ws.root / "kohort.yaml").read_text()
    assert "40 would enter" in part(
        site.press(site.form(), "try", **{"r0-event": "order_line", "r0-unit": ""}).text, "tried"
    )
    answer = site.press(site.form(), "save", **{"r0-event": "order_line"})
    assert "It has no name yet." in part(answer.text, "said")
    assert (site.ws.root / "kohort.yaml").read_text() == before


def test_a_rule_that_is_proposed_is_shown_in_rows_and_saved_only_when_somebody_does(site: Site) -> None:
    before = site.ws.segments.text("loyal")
    proposed = f"({RULES['loyal']}) and t_country = 'DE'"
    page = site.ask("GET", f"/build/loyal?{urlencode({'rule': proposed})}").text
    fields = Form(page).fields
    assert (fields["r0-event"], fields["r1-of"], fields["r1-value"]) == ("order_line", "t_country", "DE")
    assert bignum(page) == site.ws.segments.preview(rule=proposed).size
    assert site.ws.segments.text("loyal") == before
    assert site.press(Form(page), "save").status_code == 303
    assert site.ws.segments.definition("loyal").parts[0].rule.text == proposed[1:].replace(") and", " and")
    site.ws.segments.add("loyal", RULES["loyal"], by="Bob")
    assert site.ask("GET", "/build/loyal?rule=did(").status_code == 400


def test_a_run_that_takes_long_is_a_job(site: Site) -> None:
    rule = "churn.probability > 0.5 or did('order_line', at_least => 2)"
    answer = site.press(
        site.form(), "save", **{"title": "Likely", "r0-kind": "text", "r0-was": "text", "r0-text": rule}
    )
    followed = answer.headers["location"]
    assert re.fullmatch(r"/jobs/\d+\?wait=1", followed)
    wait, end = threading.Event(), time.monotonic() + 240
    while (answer := site.ask("GET", followed)).status_code == 200:
        assert time.monotonic() < end, answer.text
        wait.wait(0.2)
    assert answer.headers["location"] == f"/definitions/likely?ran={followed[6:-7]}"
    assert site.ws.segments.describe("likely").size == site.ws.segments.preview(rule=rule).size > 0
    assert "It was run" in site.ask("GET", answer.headers["location"]).text


def test_a_page_says_whether_a_run_is_under_way_and_never_that_one_was_that_was_not(site: Site) -> None:
    jobs = site.ws.store.jobs
    number = jobs.begin("run", {"name": "loyal", "of": ""}, by="Ann").id
    page = site.ask("GET", f"/definitions/loyal?ran={number}").text
    assert f'href="/jobs/{number}"' in page[page.index("It is being run.") :]
    assert "It was run" not in page
    assert "It is being run." not in site.ask("GET", "/definitions/mixed").text
    jobs.end(number, "failed", error="No room.")
    assert "It was run" not in site.ask("GET", f"/definitions/loyal?ran={number}").text
    busy = [jobs.begin("discover", {"k": k}, by="Ann").id for k in range(3)]
    rule = "churn.probability > 0.5 or did('order_line')"
    fields = {"title": "Early", "r0-kind": "text", "r0-was": "text", "r0-text": rule}
    answer = site.press(site.form(), "save", **fields)
    assert answer.headers["location"] == "/definitions/early?done=not_run"
    assert "it could not be run just now" in site.ask("GET", answer.headers["location"]).text
    for one in busy:
        jobs.end(one, "done")


def test_before_there_is_data_the_first_steps_are_shown(tmp_path: Path) -> None:
    with kohort.create(tmp_path / "new") as new:
        answer = Site(new).ask("GET", "/build")
        assert (answer.status_code, "Five steps" in answer.text) == (200, True)


def test_a_draft_waits_until_it_goes_live(site: Site) -> None:
    site.press(site.form(), "draft", **{"title": "Spring", "r0-event": "order_line", "r0-unit": ""})
    assert site.ws.segments.definition("spring").paused
    listed = site.ask("GET", "/segments?show=draft").text
    assert re.findall(r'class="strong" href="/definitions/([^"]+)"', listed) == ["spring"]
    assert "Not live yet. Saved on" in listed
    assert site.press(site.form("/build/spring"), "draft", **{"r0-times": "2"}).status_code == 303
    assert site.did("spring", "pause", say="resume").headers["location"] == "/definitions/spring?done=resumed"
    assert site.ws.segments.describe("spring").size > 0
    site.did("spring", "pause", say="pause")
    paused = site.ask("GET", "/segments?show=paused").text
    assert "Paused on" in paused
    assert site.press(site.form("/build/spring"), "save").status_code == 303
    assert site.ws.segments.definition("spring").paused, "saving takes no pause out"


def test_somebody_elses_change_is_not_overwritten(site: Site) -> None:
    before, form = site.ws.segments.text("odd"), site.form("/build/odd")
    site.ws.segments.add("odd", "did('order_line', at_least => 4)", by="Bob")
    answer = site.press(form, "save")
    assert "Somebody changed this segment since you opened it." in part(answer.text, "said")
    assert site.ws.segments.definition("odd").parts[0].rule.text == "did('order_line', at_least => 4)"
    assert site.press(Form(answer.text), "save").status_code == 303, "told once, she decides"
    assert site.ws.segments.text("odd") == before


def test_deleting_can_be_undone_and_is_refused_where_others_build_on_it(site: Site) -> None:
    site.ws.segments.add("brief", "did('order_line', at_least => 2)", by="Bob")
    site.ws.segments.run("brief")
    before, size = site.ws.segments.text("brief"), site.ws.segments.describe("brief").size
    answer = site.did("brief", "remove")
    assert answer.headers["location"] == "/segments?removed=brief#own"
    page = site.ask("GET", "/segments?removed=brief").text
    assert "Brief was deleted." in page
    assert "brief" not in {d.name for d in site.ws.segments.list()}
    assert site.did("brief", "restore").headers["location"] == "/definitions/brief?done=restored"
    assert (site.ws.segments.text("brief"), site.ws.segments.describe("brief").size) == (before, size)
    assert site.did("brief", "restore").status_code == 404
    refused = site.did("value", "remove")
    assert refused.status_code == 409
    assert "is used by" in unescape(refused.text)


def test_what_is_more_than_one_rule_is_changed_as_text(site: Site) -> None:
    form = site.form("/build/value")
    assert form.fields["text"] == site.ws.segments.text("value")
    assert bignum(site.ask("GET", "/build/value").text) == site.ws.segments.preview("value").size
    wrong = site.press(form, "save", text=form.fields["text"].replace("amount", "amont"))
    assert wrong.status_code == 400
    assert "amont" in wrong.text
    saved = site.press(form, "save", text=form.fields["text"].replace("100", "120"))
    assert saved.status_code == 303
    assert ">= 120" in site.ws.segments.definition("value").parts[0].rule.text
    rows = site.press(site.form("/build/value"), "save", form="", **{"r0-kind": "did", "r0-event": "order_line"})
    assert rows.status_code == 400, "rows cannot take the place of levels"
    over = site.press(site.form("/build/value"), "save", of="", seen="", text="kept: did('order_line')")
    assert "There is a segment called &#39;kept&#39; already." in over.text


def test_a_form_of_somebody_else_is_refused(site: Site) -> None:
    assert site.press(site.form(), "save", word="x", title="Evil").status_code == 400
    assert site.ask("POST", "/definitions/kept/remove").status_code == 400
    assert site.ask("POST", "/build/preview", do="show").status_code == 400


def test_lists_are_given_out_as_files_that_no_spreadsheet_runs(site: Site) -> None:
    listed = site.ask("GET", "/segments.csv")
    assert listed.headers["content-disposition"] == 'attachment; filename="segments.csv"'
    assert listed.text.splitlines()[0] == '"segment","label","kind","status","members","share","as_of"'
    site.ws.segments.add("german", "t_country = 'DE'", by="Bob")
    site.ws.segments.run("german")
    text = site.ask("GET", "/definitions/german/export/csv").text
    assert '"\'=1+1"' in text
    table = pq.read_table(io.BytesIO(site.ask("GET", "/definitions/german/export/parquet").content))
    assert "=1+1" in table.column("customer_id").to_pylist()
    assert site.ask("GET", "/definitions/german/export/xlsx").status_code == 404


def test_who_did_it_is_written_down_and_single_customers_look_as_the_role_may_see_them(tmp_path: Path) -> None:
    with shop(tmp_path) as ws:
        for name, role in (("Ann", "administrator"), ("Maya", "marketer"), ("Lars", "analyst"), ("Vic", "viewer")):
            ws.users.add(name, role, PASSWORD, by="test")
        maya, lars, vic = (Site(ws, name) for name in ("Maya", "Lars", "Vic"))
        fields = {"title": "Tea", "r0-event": "order_line"}
        assert re.search(r">K\d+</a>", maya.press(maya.form(), "try", **fields).text)
        codes = lars.press(lars.form(), "try", **fields).text
        assert re.search(r">c-[0-9a-f]{14,16}</a>", codes)
        assert not re.search(r">K\d+<", codes)
        maya.press(maya.form(), "save", **fields)
        maya.did("tea", "pause", say="pause")
        lars.did("tea", "remove")
        log = [(e.by, e.act, e.about) for e in ws.audit_log.latest(20)]
        for line in (
            ("Maya", "looked_at_members", "Tea"),
            ("Maya", "segment_saved", "tea"),
            ("Maya", "segment_paused", "tea"),
            ("Lars", "segment_removed", "tea"),
        ):
            assert line in log
        assert ws.segments.removed()[0].by == "Lars"
        lars.did("tea", "restore")
        assert ws.segments.edits()["tea"].by == "Lars"
        assert "K1" not in lars.ask("GET", "/definitions/kept/export/csv").text
        assert vic.ask("GET", "/build").status_code == 403
        assert 'href="/build' not in vic.ask("GET", "/segments").text
        assert "Change it" not in vic.ask("GET", "/definitions/kept").text
