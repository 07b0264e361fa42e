"""In a real browser: every page, light and dark, wide and narrow, obeys its policy, fits, and is open to everybody.

Needs Chromium (KOHORT_CHROMIUM names it, /usr/bin/chromium by default); the accessibility rules come from the npm
package axe-core, fetched once into a cache folder and skipped visibly where the registry cannot be reached.
"""

import os
import re
import runpy
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

CHROMIUM = os.environ.get("KOHORT_CHROMIUM", "/usr/bin/chromium")
AXE = "axe-core@4.14.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kohort-dev"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
SAMPLE = Path(__file__).parents[1] / "golden" / "views" / "sample.py"
PAGES = {
    "overview": "/",
    "segments": "/segments",
    "segment": "/segments/s1",
    "customers": "/segments/s2/customers",
    "map": "/map",
    "map-of-one": "/map?segment=s3",
    "discover": "/discover",
    "health": "/data-health",
    "missing": "/nothing-here",
}
LOOKS = [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390)]
CHECK = """
;axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r =>
  r.violations.map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.target + ' ' + n.failureSummary).join(' | ')}`))
"""
BREAK_IN = """() => {
  const s = document.createElement('script'); s.textContent = 'window.broken = 1'; document.head.append(s);
  const d = document.createElement('div');
  d.innerHTML = '<p style="color: red">x</p><img src=x onerror="window.broken = 2">';
  document.body.append(d);
}"""
MARK = """() => {
  const e = document.activeElement;
  if (e === document.body) return null;
  e.dataset.seen ??= String(document.querySelectorAll('[data-seen]').length);
  const shown = getComputedStyle(e).outlineStyle !== 'none' || e.className === 'skip';
  return [e.dataset.seen, e.tagName, shown];
}"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def sample():
    return runpy.run_path(str(SAMPLE))


def serve(source):
    """A server of the pages on a free port of this machine, until asked to stop."""
    import uvicorn

    from kohort.web.app import create

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(create(source), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started and time.monotonic() < end:
        thread.join(0.02)
    return f"http://127.0.0.1:{port}", server, thread


@pytest.fixture(scope="module")
def site(sample):
    url, server, thread = serve(sample["SampleWorkspace"]())
    yield url
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def empty_site(sample):
    url, server, thread = serve(sample["SampleWorkspace"](empty=True))
    yield url
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def axe():
    """The accessibility rules as one script. A development file only: nothing of it is shipped."""
    script = CACHE / f"{AXE}.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("npm is not installed, so axe-core cannot be fetched")
        CACHE.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run([npm, "pack", AXE, "--silent"], cwd=CACHE, check=True, timeout=60, capture_output=True)
        except (subprocess.SubprocessError, OSError):
            pytest.skip("the npm registry cannot be reached, so axe-core is missing")
        with tarfile.open(CACHE / f"{AXE.replace('@', '-')}.tgz") as pack:
            member = pack.extractfile("package/axe.min.js")
            assert member is not None
            script.write_bytes(member.read())
    return script.read_text(encoding="utf-8")


class Visit:
    """A page opened with everything noted that should not happen."""

    def __init__(self, browser, url, *, scheme="light", width=1440, height=900, script=True):
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        self.page = self.context.new_page()
        self.complaints, self.outside = [], []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in {"error", "warning"} else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        home = url.split("/", 3)[:3]
        self.page.on("request", lambda r: None if r.url.split("/", 3)[:3] == home else self.outside.append(r.url))
        self.page.goto(url, wait_until="load")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_quiet_stays_home_fits_and_is_open_to_everybody(browser, site, axe, name, look):
    scheme, width = look
    with Visit(browser, site + PAGES[name], scheme=scheme, width=width) as visit:
        found = visit.page.evaluate(axe + CHECK)
        assert found == []
        assert visit.outside == []
        expected = (
            ["Failed to load resource: the server responded with a status of 404 (Not Found)"]
            if name == "missing"
            else []
        )
        assert visit.complaints == expected


def test_the_accessibility_check_can_fail(browser, site, axe):
    with Visit(browser, site) as visit:
        visit.page.evaluate("document.querySelector('main').append(document.createElement('button'), new Image())")
        found = visit.page.evaluate(axe + CHECK)
        assert {"button-name", "image-alt"} <= {text.split(":")[0] for text in found}


@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways_from_320_to_1920(browser, site, name):
    with Visit(browser, site + PAGES[name]) as visit:
        for width in (320, 360, 390, 480, 640, 768, 819, 821, 900, 1024, 1180, 1280, 1440, 1920):
            visit.page.set_viewport_size({"width": width, "height": 900})
            wide = visit.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide on a screen of {width} px"


def test_no_page_scrolls_sideways_on_a_phone_in_the_longest_language(browser, site):
    with Visit(browser, f"{site}/?language=de") as visit:
        wide = []
        for name, path in PAGES.items():
            visit.page.goto(site + path, wait_until="load")
            assert visit.page.evaluate("document.documentElement.lang") == "de"
            for width in (320, 390):
                visit.page.set_viewport_size({"width": width, "height": 900})
                taken = visit.page.evaluate("document.documentElement.scrollWidth")
                wide += [f"{name}: {taken} px on {width}"] if taken > width else []
        assert wide == []


def test_the_policy_stops_a_foreign_script_and_style(browser, site):
    """The check that a policy is really in force: what a break-in would try is refused."""
    with Visit(browser, site) as visit:
        visit.page.evaluate(BREAK_IN)
        visit.page.wait_for_function("() => document.images.length > 0 && [...document.images].every(i => i.complete)")
        assert visit.page.evaluate("window.broken") is None
        assert any("Content Security Policy" in text for text in visit.complaints)


@pytest.mark.parametrize("name", PAGES)
def test_everything_can_be_reached_with_the_keyboard(browser, site, name):
    with Visit(browser, site + PAGES[name]) as visit:
        page = visit.page
        wanted = page.evaluate(
            "[...document.querySelectorAll('a[href], button, summary')].filter(e => e.checkVisibility()).length"
        )
        reached = set()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        for _ in range(wanted + 40):
            marked = page.evaluate(MARK)
            if marked is None:
                break
            assert marked[2], f"{marked[1]} shows no focus"
            if marked[1] in {"A", "BUTTON", "SUMMARY"}:
                reached.add(marked[0])
            page.keyboard.press("Tab")
        assert len(reached) == wanted


def test_the_skip_link_leads_past_the_menu(browser, site):
    with Visit(browser, site) as visit:
        visit.page.keyboard.press("Tab")
        visit.page.keyboard.press("Enter")
        assert visit.page.evaluate("document.activeElement.id") == "main"


def test_the_theme_is_switched_and_remembered(browser, site):
    with Visit(browser, site) as visit:
        page = visit.page
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click(".side [data-toggle-theme]")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert light != dark
        page.goto(site + "/segments")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_keys_lead_to_pages(browser, site):
    with Visit(browser, site) as visit:
        visit.page.keyboard.press("g")
        visit.page.keyboard.press("s")
        visit.page.wait_for_url("**/segments")


def test_a_reader_finds_the_customers_of_a_segment(browser, site):
    with Visit(browser, site) as visit:
        page = visit.page
        page.click("text=See the segments")
        page.click("text=Slipping away")
        page.click("nav.tabs >> text=Customers")
        assert page.locator("tbody tr").count() == 50
        page.click("text=Next customers")
        page.wait_for_url(re.compile("cursor="))
        assert page.locator("tbody tr").count() > 0


def test_figures_behind_a_chart_open_as_a_table(browser, site):
    with Visit(browser, site) as visit:
        table = visit.page.locator("details.data table").first
        assert not table.is_visible()
        visit.page.locator("details.data summary").first.click()
        assert table.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chart_is_taken_as_a_picture(browser, site, scheme):
    """The browser draws it under the policy of the pages, as light or dark as it is."""
    from io import BytesIO

    from PIL import Image

    with Visit(browser, site + "/map?segment=s2", scheme=scheme) as visit:
        with visit.page.expect_download() as taken:
            visit.page.click("[data-png]")
        assert taken.value.suggested_filename == "map.png"
        picture = Image.open(BytesIO(Path(taken.value.path()).read_bytes())).convert("RGB")
        assert picture.width == 2 * 740
        assert picture.getpixel((4, 4)) == ((255, 255, 255) if scheme == "light" else (0x15, 0x1E, 0x21))
        assert visit.complaints == []
        assert visit.outside == []


def test_a_chart_is_taken_as_a_drawing_without_script(browser, site):
    with Visit(browser, site + "/map", script=False) as visit:
        assert not visit.page.locator("[data-png]").is_visible()
        with visit.page.expect_download() as taken:
            visit.page.click(".files >> text=SVG")
        assert taken.value.suggested_filename == "map.svg"


def test_a_table_that_is_whole_is_sorted_by_its_headings_and_filtered(browser, site):
    with Visit(browser, site + "/segments") as visit:
        page, first = visit.page, "table.seglist tbody tr:first-child a"
        before = page.locator(first).inner_text()
        page.click("table.seglist thead >> text=Customers")
        assert page.get_attribute("table.seglist th:nth-child(2)", "aria-sort") == "descending"
        sizes = [int(t.replace(",", "")) for t in page.locator("table.seglist td:nth-child(2) b").all_inner_texts()]
        assert sizes == sorted(sizes, reverse=True)
        page.click("table.seglist thead >> text=Customers")
        sizes = [int(t.replace(",", "")) for t in page.locator("table.seglist td:nth-child(2) b").all_inner_texts()]
        assert sizes == sorted(sizes)
        page.click("table.seglist thead >> text=Customers")
        assert page.locator(first).inner_text() == before
        assert page.locator("table.seglist [aria-sort]").count() == 0
        assert visit.complaints == []


def test_pages_work_without_script(browser, site):
    with Visit(browser, site + "/segments", script=False) as visit:
        visit.page.click("text=Growth")
        visit.page.wait_for_url(re.compile("sort=growth"))
        assert visit.page.locator("table.seglist tbody tr").count() > 0


@pytest.mark.parametrize("width", [1440, 390])
def test_the_first_steps_are_open_to_everybody(browser, empty_site, axe, width):
    with Visit(browser, empty_site, width=width) as visit:
        assert visit.page.evaluate(axe + CHECK) == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_report_opens_as_a_file(browser, sample, axe, tmp_path, look):
    scheme, width = look
    from kohort.views.report import render_report

    ws = sample["SampleWorkspace"]()
    file = tmp_path / "report.html"
    file.write_text(render_report(ws.found, summary=ws.summary(), health=ws.health(), name=ws.name), encoding="utf-8")
    with Visit(browser, file.as_uri(), scheme=scheme, width=width) as visit:
        found = visit.page.evaluate(axe + CHECK)
        assert found == []
        assert [u for u in visit.outside if not u.startswith("file:")] == []
        assert visit.complaints == []
        for narrow in (320, 390, 820, 1100):
            visit.page.set_viewport_size({"width": narrow, "height": 900})
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= narrow
