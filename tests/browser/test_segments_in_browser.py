"""In a real browser: the pages of segments that people define obey the policy, fit, and are open to everybody.

The tools (Chromium, the accessibility rules, a server on a free port) are those of `test_pages_in_browser`.
"""

import re
import runpy
from pathlib import Path

import pytest

import kohort
from kohort.store.merges import Field, Pair

TOOLS = runpy.run_path(str(Path(__file__).with_name("test_pages_in_browser.py")))
Visit, serve, CHECK, MARK, LOOKS = (TOOLS[n] for n in ("Visit", "serve", "CHECK", "MARK", "LOOKS"))
browser, axe = TOOLS["browser"], TOOLS["axe"]  # fixtures
pytestmark = TOOLS["pytestmark"]

DEFINITIONS = """
segments:
  loyal:
    label: "Loyal <img src=x onerror='window.broken = 2'>"
    rule: did('order_line', at_least => 2, within => '90 days') and (never('page') or in_segment('value', 'gold'))
    keep: did('order_line', within => '90 days')
    minimum_stay: 7 days
  value: {tiers: {gold: "sum('order_line').amount >= 300", silver: "did('order_line')"}}
  life:
    stages:
      new: {rule: "days_since_first('order_line') <= 30", then: [active, lost]}
      active: did('order_line', within => '60 days')
      a_stage_with_quite_a_long_name: did('order_line', within => '75 days')
      lost: did('order_line')
  friends: {by_hand: true}
  broken: did('order_line')
  later: did('order_line')
"""
PAGES = {
    "list": "/segments",
    "rule": "/definitions/loyal",
    "levels": "/definitions/value",
    "stages": "/definitions/life",
    "by-hand": "/definitions/friends",
    "failed": "/definitions/broken",
    "not-run": "/definitions/later",
    "members": "/definitions/value/customers",
    "why": "/definitions/loyal/customers/K1",
    "why-not": "/definitions/loyal/customers/K7",
    "why-stages": "/definitions/life/customers/K3",
    "lifecycle": "/lifecycle",
    "build": "/build",
    "build-rule": "/build/loyal",
    "build-levels": "/build/value",
    "customer": "/customers/K2",
    "same": "/identity",
    "opinions": "/definitions/value/feedback",
    "check": "/definitions/value/check",
    "digest": "/digest?since=30d",
}
MORE = (
    "/start",
    "/customers",
    "/predictions",
    "/value",
    "/live",
    "/data-health",
    "/data-health/rejected",
    "/privacy",
    "/privacy/records",
    "/privacy/retention",
    "/settings",
    "/audit-log",
)
"""Pages about everything else, looked at in the language with the longest words."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Sixty customers over half a year, run at the end of each month."""
    folder = tmp_path_factory.mktemp("own-browser")
    rows = [
        f"O{c}-{i},K{c},2024-{month:02d}-{1 + (7 * c + i) % 28:02d},{10 + c % 13 * 9}"
        for c in range(1, 61)
        for i, month in enumerate(range(1 + c % 4, 7, 1 + c % 3))
    ]
    (folder / "orders.csv").write_text("order_id,customer,date,amount\n" + "\n".join(rows) + "\n")
    with kohort.create(folder / "shop", name="Corner shop", currency="GBP") as ws:
        ws.ingest(folder / "orders.csv")
        with (ws.root / "kohort.yaml").open("a") as file:
            file.write(DEFINITIONS)
        ws.identity.merge("K2", "K9", reason="Told us")
        keys = [int(key) for key in ws.store.vault.known(["K3", "K4"])]
        unsure = Pair(keys[0], keys[1], "likely", 0.5, (Field("name", "different", -2.0), Field("email", "not given")))
        ws.store.merges.publish([], [unsure], ts=1, by="run", at=1, run=ws.store.merges.begin_run())
        ws.segments.put("friends", ["K2", "K5"], note="Met at the fair", by="Ann")
        names = [d.name for d in ws.config.segments if d.name != "later"]
        for day in ("01-31", "02-29", "03-31", "04-30", "05-31", "06-28"):
            ws.segments.run(names, as_of=f"2024-{day}")
        for i, said in enumerate(["agree", "disagree", "disagree"]):
            ws.feedback.add("value", said, customer=f"K{i + 1}", text="Orders for <b>a school</b>" * i, by=f"Ann {i}")
        ws.feedback.add("value", "disagree", part="gold", text="The border is too low", by="Bob van der Berg")
        ws.store.status.failed("broken", "bad_input: The sum does not fit.", now=1)
    return folder / "shop"


@pytest.fixture(scope="module")
def site(shop):
    with kohort.open(shop) as ws:
        url, server, thread = serve(ws)
        yield url
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_stays_home_fits_and_is_open_to_everybody(browser, site, axe, name, look):
    scheme, width = look
    with Visit(browser, site + PAGES[name], scheme=scheme, width=width) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert visit.page.evaluate(axe + CHECK) == []
        assert visit.outside == []
        assert visit.complaints == []
        assert visit.page.evaluate("window.broken") is None


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways_from_320_to_1920(browser, site, name):
    with Visit(browser, site + PAGES[name]) as visit:
        for width in (320, 390, 640, 819, 821, 1024, 1180, 1440, 1920):
            visit.page.set_viewport_size({"width": width, "height": 900})
            wide = visit.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide on a screen of {width} px"


def test_no_page_scrolls_sideways_on_a_phone_in_the_longest_language(browser, site):
    """German has the longest words. Folds are open: what they hold is part of the page."""
    with Visit(browser, f"{site}/?language=de") as visit:
        wide = []
        for path in [*PAGES.values(), *MORE]:
            visit.page.goto(site + path, wait_until="load")
            assert visit.page.evaluate("document.documentElement.lang") == "de"
            visit.page.evaluate("document.querySelectorAll('main details').forEach(d => { d.open = true })")
            for width in (320, 390):
                visit.page.set_viewport_size({"width": width, "height": 900})
                taken = visit.page.evaluate("document.documentElement.scrollWidth")
                wide += [f"{path}: {taken} px on {width}"] if taken > width else []
        assert wide == []


@pytest.mark.parametrize("name", PAGES)
def test_everything_can_be_reached_with_the_keyboard(browser, site, name):
    with Visit(browser, site + PAGES[name]) as visit:
        page = visit.page
        wanted = page.evaluate(
            "[...document.querySelectorAll('a[href], button, summary')].filter(e => e.checkVisibility()).length"
        )
        reached = set()
        for _ in range(wanted + 40):
            page.keyboard.press("Tab")
            marked = page.evaluate(MARK)
            if marked is None:
                break
            assert marked[2], f"{marked[1]} shows no focus"
            if marked[1] in {"A", "BUTTON", "SUMMARY"}:
                reached.add(marked[0])
        assert len(reached) == wanted


def test_a_reader_without_script_finds_out_why_a_customer_is_where_she_is(browser, site):
    with Visit(browser, site + "/segments", script=False) as visit:
        page = visit.page
        page.click("table a:text-is('Value')")
        page.click("nav.tabs >> text=Customers")
        page.click(".switcher a:text-is('Gold')")
        page.wait_for_url(re.compile("part=gold"))
        page.locator("tbody a").first.click()
        assert "is in Gold" in page.locator("h1").inner_text()
        assert page.locator("text=What time alone will do").count() == 1
        page.click("aside a:text-is('Life')")
        assert page.locator("h1").inner_text().startswith("Why customer")


def test_answers_are_told_by_word_and_sign_not_by_colour_alone(browser, site):
    with Visit(browser, site + PAGES["why-not"]) as visit:
        marks = visit.page.locator(".mark").all_inner_texts()
        assert marks
        assert all(re.fullmatch(r"(✓ Yes|✗ No|\? Not known)", m.strip()) for m in marks)


def test_a_key_leads_to_the_lifecycle(browser, site):
    with Visit(browser, site) as visit:
        visit.page.keyboard.press("g")
        visit.page.keyboard.press("l")
        visit.page.wait_for_url("**/lifecycle")


def test_members_are_judged_with_two_keys_one_after_the_other(browser, site):
    with Visit(browser, site + PAGES["check"]) as visit:
        page = visit.page
        page.keyboard.press("y")
        assert "done=" not in page.url, "a key means nothing where no customer has the focus"
        first = page.locator("form[data-votes] button").first
        first.focus()
        page.keyboard.press("n")
        page.wait_for_url(re.compile("done="))
        assert "does not belong here" in page.locator("[role=status]").inner_text()
        told = page.url
        page.keyboard.press("y")
        page.wait_for_url(lambda url: url != told)
        assert "belongs here" in page.locator("[role=status]").inner_text()
        page.locator("form[data-votes] input.field").first.type("yny")
        assert page.locator("form[data-votes] input.field").first.input_value() == "yny", "and nothing inside a text"


def test_a_vote_is_undone_without_script(browser, site):
    with Visit(browser, site + PAGES["opinions"], script=False) as visit:
        page = visit.page
        before = page.locator(".comment").count()
        page.fill("#say", "Nice group")
        page.click("text=Comment >> nth=-1")
        page.wait_for_url(re.compile("done="))
        assert page.locator(".comment").count() == before + 1
        page.click("text=Undo that")
        page.wait_for_load_state()
        assert page.locator(".comment").count() == before
