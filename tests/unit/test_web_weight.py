"""What travels to a browser: files once and for good, pages compressed, and nothing beside it that compression would tell."""

from __future__ import annotations

import asyncio
import gzip
import re
import runpy
from pathlib import Path

import httpx
import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from kohort.errors import WrongUsage
from kohort.views.paper import STATIC, asset, digest
from kohort.web import forms
from kohort.web.app import create
from kohort.web.compressed import LEAST_BYTES
from kohort.web.static import ASK, FOR_GOOD

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "views" / "sample.py"))
FIRST_VISIT, LATER = 400_000, 60_000
PAGES = ["/", "/segments", "/segments/s1", "/segments/s1/customers", "/map", "/discover", "/data-health"]


class Browser:
    """Asks the application directly, and sees what was really sent."""

    def __init__(self) -> None:
        self.app = create(SAMPLE["SampleWorkspace"]())

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Headers, bytes]:
        return asyncio.run(self._get(path, method, headers))

    async def _get(self, path: str, method: str, headers: dict[str, str]) -> tuple[int, Headers, bytes]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://kohort") as client:
            request = client.build_request(method, path, headers={"Accept-Encoding": "identity", **headers})
            answer = await client.send(request, stream=True)
            sent = b"".join([piece async for piece in answer.aiter_raw()])
            return answer.status_code, Headers(dict(answer.headers)), sent


@pytest.fixture(scope="module")
def browser() -> Browser:
    return Browser()


def test_a_file_whose_address_names_its_content_is_kept_for_good(browser: Browser) -> None:
    for path in STATIC.iterdir():
        status, headers, sent = browser.get(asset(path.name))
        assert (status, sent) == (200, path.read_bytes()), path.name
        assert headers["cache-control"] == FOR_GOOD
        assert headers["x-content-type-options"] == "nosniff"
        kind = headers["content-type"]
        assert (
            kind.split(";")[0] == {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}[path.suffix]
        )


def test_every_file_that_a_page_names_is_there(browser: Browser) -> None:
    named = set()
    for page in PAGES:
        named |= set(re.findall(r'(?:src|href)="(/static/[^"]+)"', browser.get(page)[2].decode()))
    assert {asset(name) for name in ("style.css", "charts.css", "ui.js", "logo.svg", "discover.js")} <= named
    assert all(browser.get(path)[0] == 200 for path in named)


def test_another_content_is_never_taken_for_the_same(browser: Browser) -> None:
    tag = f'W/"{digest("ui.js")}"'
    for path in ("/static/ui.js", "/static/ui.js?v=0123456789abcdef"):
        status, headers, sent = browser.get(path)
        assert (status, headers["cache-control"], headers["etag"]) == (200, ASK, tag)
        assert sent
        status, headers, sent = browser.get(path, **{"If-None-Match": tag})
        assert (status, sent) == (304, b"")
        assert browser.get(path, **{"If-None-Match": 'W/"another"'})[0] == 200


def test_files_are_sent_compressed_where_that_is_taken(browser: Browser) -> None:
    whole = (STATIC / "style.css").read_bytes()
    status, headers, sent = browser.get(asset("style.css"), **{"Accept-Encoding": "br, gzip"})
    assert (status, headers["content-encoding"], headers["vary"]) == (200, "gzip", "Accept-Encoding")
    assert gzip.decompress(sent) == whole
    assert len(sent) < len(whole) / 3


@pytest.mark.parametrize(
    "path", ["/static/", "/static", "/static/nothing.css", "/static/../paper.py", "/static/a/ui.js"]
)
def test_beside_the_files_there_is_nothing(browser: Browser, path: str) -> None:
    assert browser.get(path)[0] == 404


def test_files_are_not_changed(browser: Browser) -> None:
    assert browser.get("/static/ui.js", method="POST")[0] == 405
    assert browser.get("/static/ui.js", method="HEAD")[0] == 200


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_compressed_and_light(browser: Browser, path: str) -> None:
    _, plain, whole = browser.get(path)
    assert "content-encoding" not in plain
    _, headers, sent = browser.get(path, **{"Accept-Encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert headers["cache-control"] == "no-store"
    assert int(headers["content-length"]) == len(sent)
    assert gzip.decompress(sent).startswith(b"<!doctype html>") or b"<!doctype html>" in gzip.decompress(sent)[:200]
    assert len(sent) < LATER
    named = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', whole.decode()))
    files = sum(len(browser.get(name, **{"Accept-Encoding": "gzip"})[2]) for name in named)
    assert len(sent) + files < FIRST_VISIT


def test_what_programs_read_stays_as_it_is(browser: Browser) -> None:
    for path in ("/v1/segments", "/health"):
        _, headers, sent = browser.get(path, **{"Accept-Encoding": "gzip"})
        assert "content-encoding" not in headers
        assert len(sent) < LEAST_BYTES


def test_the_word_of_a_form_is_another_one_each_time_and_each_is_taken() -> None:
    request = Request({"type": "http", "headers": []})
    words = [forms.word() for _ in range(20)]
    assert len({word[:8] for word in words}) > 15, "nothing in it stays, that compression could tell"
    for word in words:
        forms.check(request, {"word": word})
    first = words[0]
    for wrong in (
        "",
        first[:-1],
        first[:-1] + ("0" if first[-1] != "0" else "1"),
        words[1][:32] + first[32:],
        "é" * 96,
    ):
        with pytest.raises(WrongUsage):
            forms.check(request, {"word": wrong})
