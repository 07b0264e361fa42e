"""In a real browser: the rule builder counts and reads back while somebody types, and does the same without a script."""

import re
import runpy
from pathlib import Path

import pytest

import kohort

TOOLS = runpy.run_path(str(Path(__file__).with_name("test_pages_in_browser.py")))
Visit, serve = TOOLS["Visit"], TOOLS["serve"]
browser = TOOLS["browser"]  # a fixture
pytestmark = TOOLS["pytestmark"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Sixty customers, every second one from Germany."""
    folder = tmp_path_factory.mktemp("build-browser")
    rows = [
        f"O{c}-{i},K{c},2024-{month:02d}-{1 + (7 * c + i) % 28:02d},{10 + c % 13 * 9}"
        for c in range(1, 61)
        for i, month in enumerate(range(1 + c % 4, 7, 1 + c % 3))
    ]
    (folder / "orders.csv").write_text("order_id,customer,date,amount\n" + "\n".join(rows) + "\n")
    people = "\n".join(f"K{c},{'DE' if c % 2 else 'NL'}" for c in range(1, 61))
    (folder / "people.csv").write_text(f"customer_id,country\n{people}\n")
    with kohort.create(folder / "shop", name="Corner shop", currency="GBP") as ws:
        ws.ingest(folder / "orders.csv")
        ws.ingest(folder / "people.csv", kind="customers")
        yield ws


@pytest.fixture(scope="module")
def site(shop):
    url, server, thread = serve(shop)
    yield url
    server.should_exit = True
    thread.join(10)


def test_while_somebody_types_the_count_and_the_sentence_follow(browser, site, shop):
    with Visit(browser, site + "/build") as visit:
        page = visit.page
        page.set_default_timeout(60_000)
        page.select_option("[name=r0-event]", "order_line")
        page.fill("[name=r0-length]", "90")
        twice = shop.segments.preview(rule="did('order_line', at_least => 2, within => '90 days')").size
        page.fill("[name=r0-times]", "2")
        page.wait_for_selector(f".bignum:text-is('{twice}')")
        assert page.evaluate("document.activeElement.name") == "r0-times", "typing goes on where it was"
        page.click("text=Add a condition")
        page.wait_for_selector("[name=r1-kind]:focus")
        page.select_option("[name=r1-kind]", "has")
        page.select_option("[name=r1-of]", "t_country")
        page.wait_for_selector("[name=r1-value]")
        page.type("[name=r1-value]", "DE")
        both = shop.segments.preview(
            rule="did('order_line', at_least => 2, within => '90 days') and t_country = 'DE'"
        ).size
        page.wait_for_selector(f"#r1-count:text-is('{both} left')")
        assert page.inner_text(".bignum") == str(both)
        assert "at least 2 times in the last 90 days" in page.inner_text("#sentence")
        page.keyboard.press("Alt+ArrowUp")
        page.wait_for_selector("[name=r0-kind]:focus")
        assert page.input_value("[name=r0-value]") == "DE"
        page.fill("[name=r1-times]", "often")
        page.wait_for_selector(".rule.err")
        assert "'often' is not a number of times." in page.inner_text("#r1-told")
        page.fill("[name=r1-times]", "2")
        page.wait_for_selector(".rule.err", state="detached")
        page.fill("#title", "Regulars")
        page.keyboard.press("Enter")
        page.dblclick("text=Save as draft")
        page.wait_for_url("**/definitions/regulars?done=saved")
        assert [d.name for d in shop.config.segments] == ["regulars"], "pressed twice, saved once"
        page.click("text=Go live")
        page.wait_for_url("**done=resumed")
        assert page.inner_text(".kpi .value >> nth=0") == str(both)
        page.click("summary:text-is('Delete it')")
        page.click("text=Delete Regulars")
        page.wait_for_url("**/segments?removed=regulars#own")
        page.click("text=Undo")
        page.wait_for_url("**done=restored")
        assert visit.outside == []
        assert visit.complaints == []


def test_without_a_script_the_same_form_does_the_same(browser, site, shop):
    with Visit(browser, site + "/build", script=False) as visit:
        page = visit.page
        page.set_default_timeout(60_000)
        page.select_option("[name=r0-event]", "order_line")
        page.fill("[name=r0-length]", "90")
        page.press("[name=r0-length]", "Enter")
        once = shop.segments.preview(rule="did('order_line', within => '90 days')").size
        assert page.inner_text(".bignum") == str(once)
        page.click("text=Add a condition")
        page.select_option("[name=r1-kind]", "text")
        page.click("noscript button")
        page.fill("[name=r1-text]", "t_country = 'DE'")
        page.fill("#title", "Germans")
        page.click("text=Go live")
        page.wait_for_url(re.compile("/definitions/germans"))
        assert shop.segments.describe("germans").size == int(page.inner_text(".kpi .value >> nth=0"))
