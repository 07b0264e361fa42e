"""In a real browser: the first steps and the page of a job are sound, and a job is followed without loading the page anew.

The tools (Chromium, the accessibility rules, a server on a free port) are those of `test_pages_in_browser`.
"""

import fcntl
import runpy
from pathlib import Path

import pytest

import kohort

TOOLS = runpy.run_path(str(Path(__file__).with_name("test_pages_in_browser.py")))
Visit, serve, CHECK = (TOOLS[n] for n in ("Visit", "serve", "CHECK"))
browser, axe = TOOLS["browser"], TOOLS["axe"]  # fixtures
pytestmark = TOOLS["pytestmark"]

FILE = "who,what,when\nx1,3,03/04/2026\nx2,4,05/06/2026\nx1,5,01/02/2026\n"


@pytest.fixture
def shop(tmp_path):
    with kohort.create(tmp_path / "ws", name="Tea shop") as ws:
        url, server, thread = serve(ws)
        yield ws, url
        server.should_exit = True
        thread.join(10)


def sound(visit, axe):
    """Nothing broken, nothing asked of others, no sideways scroll, no accessibility rule broken."""
    assert visit.page.evaluate(axe + CHECK) == []
    assert visit.outside == []
    assert visit.complaints == []
    page = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert page[0] <= page[1]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_a_file_is_brought_and_asked_about(browser, axe, shop, scheme, width):
    _, url = shop
    with Visit(browser, f"{url}/", scheme=scheme, width=width) as visit:
        page = visit.page
        sound(visit, axe)
        page.get_by_label("File", exact=True).set_input_files(
            {"name": "odd.csv", "mimeType": "text/csv", "buffer": FILE.encode()}
        )
        page.get_by_role("button", name="Look at the file").click()
        page.wait_for_url(f"{url}/start/*")
        sound(visit, axe)
        assert page.get_by_role("heading", name="Help us read odd.csv").count()


def test_a_job_is_followed_to_its_end(browser, axe, shop):
    ws, url = shop
    job = ws.store.jobs.begin("discover", {}, by="Ann")
    (ws.root / "jobs").mkdir()
    with (ws.root / "jobs" / f"{job.id}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as its process would
        ws.store.jobs.tell(job.id, "comparing groupings", 1, 4)
        with Visit(browser, f"{url}/jobs/{job.id}") as visit:
            page = visit.page
            sound(visit, axe)
            page.evaluate("window.mine = true")
            ws.store.jobs.tell(job.id, "comparing groupings", 3, 4)
            page.get_by_text("3 of 4").wait_for()
            assert page.evaluate("window.mine"), "the page was not loaded anew"
            ws.store.jobs.end(job.id, "failed", error="There is nothing to group.")
            page.get_by_text("There is nothing to group.").wait_for()
            sound(visit, axe)
