"""The unmodified Segment client for browsers, in Chromium, on a page of another origin."""

import functools
import json
import os
import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

CHROMIUM = os.environ.get("KOHORT_CHROMIUM", "/usr/bin/chromium")
PACKAGE = "@segment/analytics-next@1.84.3"
CALLS = ["identify", "track", "page", "screen", "group", "alias"]
PAGE = Path(__file__).parent / "programs" / "browser.html"

pytestmark = [
    pytest.mark.clients,
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}"),
]


class Quiet(SimpleHTTPRequestHandler):
    """Serves the page and the client's files, and says nothing about it."""

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0].partition("#")[0]
        return str(PAGE) if name == "/" else str(Path(self.directory) / name.lstrip("/"))

    def log_message(self, *_args) -> None:
        pass


@pytest.fixture(scope="module")
def shop_page(node_with):
    """Address of a page that is not on the server's origin."""
    files = node_with(PACKAGE) / "node_modules" / "@segment" / "analytics-next" / "dist"
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(files)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, shop_page):
    """Opens the page, waits until its calls are made, goes elsewhere if asked, and waits until something is so."""

    def go(site, *, key="", rounds=1, delivery=None, leave=False, until=None, seconds=30):
        wanted = {"key": key or site.key, "host": site.url.removeprefix("http://"), "rounds": rounds}
        wanted["delivery"] = json.dumps(delivery or {"strategy": "standard"})
        outside, context = [], browser.new_context()
        tab = context.new_page()
        tab.on("request", lambda r: outside.append(r.url) if not r.url.startswith((shop_page, site.url)) else None)
        tab.goto(shop_page + "#" + urlencode(wanted, quote_via=quote))
        assert tab.evaluate("window.sent") == "all"
        if leave:
            tab.goto(shop_page + "umd/index.js")
        for _ in range(seconds * 20 if until else 0):
            if until():
                break
            tab.wait_for_timeout(50)
        context.close()
        assert outside == []

    return go


def delivered(site, rounds):
    events = site.inbox.events
    assert Counter(e["type"] for e in events) == Counter(dict.fromkeys(CALLS, rounds))
    ids = [e["messageId"] for e in events]
    assert len(set(ids)) == len(ids) == rounds * len(CALLS)


def test_single_calls_arrive_from_another_origin(visit, site):
    shop = site()
    visit(shop, rounds=3, until=lambda: len(shop.inbox.frames) >= 18)
    delivered(shop, 3)
    assert {meta["path"] for _, meta in shop.inbox.frames} == set(CALLS)
    identify = next(e for e in shop.inbox.events if e["type"] == "identify")
    assert identify["traits"]["name"] == "Zoë 🦊 \u2028 北京"
    assert shop.statuses.keys() == {200}


def test_batches_arrive_and_half_an_emoji_loses_nothing(visit, site):
    shop = site()
    delivery = {"strategy": "batching", "config": {"size": 10, "timeout": 200}}
    visit(shop, rounds=10, delivery=delivery, until=lambda: len(shop.inbox.events) >= 60)
    delivered(shop, 10)
    assert {meta["path"] for _, meta in shop.inbox.frames} == {"batch"}


def test_what_is_left_when_the_page_closes_arrives(visit, site):
    shop = site()
    delivery = {"strategy": "batching", "config": {"size": 1_000, "timeout": 600_000}}
    visit(shop, rounds=5, delivery=delivery, leave=True, until=lambda: len(shop.inbox.events) >= 30)
    delivered(shop, 5)


@pytest.mark.parametrize(("trouble", "status"), [("full", 429), ("busy", 503)])
def test_what_is_sent_away_for_a_moment_comes_again(visit, site, trouble, status):
    shop = site()
    setattr(shop.inbox, trouble, 2)
    visit(shop, until=lambda: len(shop.inbox.frames) >= 6)
    delivered(shop, 1)
    assert shop.statuses[status] == 2


def test_a_key_that_is_not_known_is_not_tried_again(visit, site):
    shop = site()
    wrong = shop.key[:-1] + ("A" if shop.key[-1] != "A" else "B")
    visit(shop, key=wrong, until=lambda: shop.statuses[401] > 6, seconds=4)
    assert shop.statuses == {401: 6}
    assert shop.inbox.frames == []
