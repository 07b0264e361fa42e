"""In a real browser: the first user, the way in and out, and one's own account, by keyboard and open to everybody.

The tools (Chromium, the accessibility rules, a server on a free port) are those of `test_pages_in_browser`.
"""

import runpy
from pathlib import Path

import pytest

import kohort
from kohort.model.serving import FIRST_VARIABLE, LOGIN_VARIABLE, word_digest

TOOLS = runpy.run_path(str(Path(__file__).with_name("test_pages_in_browser.py")))
Visit, serve, CHECK, LOOKS = (TOOLS[n] for n in ("Visit", "serve", "CHECK", "LOOKS"))
browser, axe = TOOLS["browser"], TOOLS["axe"]  # fixtures
pytestmark = TOOLS["pytestmark"]

PASSWORD = "plum kettle orbit sand"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with kohort.create(tmp_path_factory.mktemp("login") / "ws", name="Tea shop") as ws:
        ws.users.add("Ann", "administrator", PASSWORD, by="test")
        url, server, thread = serve(ws)
        yield url
        server.should_exit = True
        thread.join(10)


def sound(visit, axe):
    """Nothing broken, nothing asked of others, no sideways scroll, no accessibility rule broken."""
    assert visit.page.evaluate(axe + CHECK) == []
    assert visit.outside == []
    assert visit.complaints == []
    page = visit.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert page[0] <= page[1]


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_somebody_logs_in_looks_around_and_logs_out(browser, site, axe, look):
    scheme, width = look
    with Visit(browser, f"{site}/segments", scheme=scheme, width=width) as visit:
        page = visit.page
        assert "/login?next=" in page.url
        sound(visit, axe)
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site}/segments")
        sound(visit, axe)
        for path in ("/account", "/audit-log"):
            page.goto(site + path)
            sound(visit, axe)
        assert page.get_by_text("Logged in", exact=True).count()
        assert page.evaluate("document.cookie") == "", "no script reads the session"
        page.goto(f"{site}/account")
        page.get_by_role("button", name="Log out", exact=True).click()
        page.wait_for_url(f"{site}/login")
        page.go_back()
        page.reload()
        assert "/login" in page.url


def test_without_script_it_works_too(browser, site):
    with Visit(browser, f"{site}/login", script=False) as visit:
        visit.page.get_by_label("Name").fill("Ann")
        visit.page.get_by_label("Password").fill(PASSWORD)
        visit.page.get_by_role("button", name="Log in").click()
        visit.page.wait_for_url(f"{site}/")
        assert visit.page.get_by_label("Password").count() == 0


@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_the_first_user_is_made_with_the_word(browser, tmp_path, axe, look, monkeypatch):
    scheme, width = look
    monkeypatch.setenv(LOGIN_VARIABLE, "yes")
    monkeypatch.setenv(FIRST_VARIABLE, word_digest("ABCD-EFGH-JKLM-NPQR"))
    with kohort.create(tmp_path / "ws", name="Tea shop") as ws:
        url, server, thread = serve(ws)
        with Visit(browser, f"{url}/set-up", scheme=scheme, width=width) as visit:
            sound(visit, axe)
            visit.page.get_by_label("The word that the terminal shows").fill("abcd-efgh-jklm-npqr")
            visit.page.get_by_label("Your name").fill("Ann")
            visit.page.locator("#password").fill(PASSWORD)
            visit.page.locator("#again").fill(PASSWORD)
            visit.page.get_by_role("button", name="Begin").click()
            visit.page.wait_for_url(f"{url}/")
        assert [user.name for user in ws.users.list()] == ["Ann"]
        server.should_exit = True
        thread.join(10)
