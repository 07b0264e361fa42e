"""The first steps on the pages: a file is brought, looked at and read in; groups are found, adopted in part, and taken back."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

import kohort
from kohort.errors import BadInput, CannotWrite, KohortError, NotFound, TooLarge, WrongUsage
from kohort.model.progress import silent
from kohort.store import uploads as module
from kohort.store.erasing import clear
from kohort.store.uploads import KEPT_SECONDS, Uploads, plain_name
from kohort.web import who
from kohort.web.app import create
from kohort.web.discover_pages import _asked
from kohort.web.forms import word
from kohort.web.job_kinds import KINDS
from kohort.web.jobs import Jobs
from kohort.web.receive import _Parts, receive
from kohort.workspace.workspace import Workspace

HEAD = "order_id,customer_id,email,order_date,product,quantity,price"


def orders() -> str:
    """Sixty customers of two kinds: thirty who buy much every week, thirty who bought once."""
    lines = [HEAD]
    for c in range(60):
        often = c % 2
        for i in range(20 + c // 6 if often else 1):
            day = f"2026-{1 + (i * 7) // 28 % 9:02d}-{1 + (i * 7 + c) % 28:02d}"
            lines.append(f"o{c}-{i},K{c},k{c}@shop.nl,{day},tea,{3 + c % 5 if often else 1},{9 + c % 7}")
    return "\n".join(lines)


class Site:
    """A workspace and its pages."""

    def __init__(self, folder: Path) -> None:
        self.ws = kohort.create(folder / "ws", name="Tea shop")
        self.app = create(self.ws)

    def ask(self, method: str, path: str, **sent: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://kohort", timeout=60) as client:
                return await client.request(method, path, **sent)

        return asyncio.run(asked())

    def get(self, path: str) -> str:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, fields: dict[str, str], **sent: Any) -> httpx.Response:
        return self.ask("POST", path, data=fields, **sent)

    def upload(self, name: str, text: str) -> str:
        answer = self.post("/start/upload", hidden(self.get("/start"), "/start/upload"), files={"file": (name, text)})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def done(self, answer: httpx.Response) -> Any:
        """The job that an answer leads to, once it has ended."""
        assert answer.status_code == 303, answer.text
        number = answer.headers["location"].removeprefix("/jobs/")
        wait, end = threading.Event(), time.monotonic() + 300
        while (job := Jobs(self.ws).get(number)).running:
            assert time.monotonic() < end
            wait.wait(0.1)
        return job


def hidden(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the first form of a page that leads somewhere."""
    inside = re.findall(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL)[0]
    return {n: unescape(v) for n, v in re.findall(r'type="hidden" name="([\w-]+)" value="([^"]*)"', inside)}


@pytest.fixture
def site(tmp_path: Path):
    made = Site(tmp_path)
    yield made
    made.ws.close()


def test_from_nothing_to_adopted_groups_and_back(site: Site) -> None:
    welcome = site.get("/")
    assert "Try with demo data" in welcome
    assert "five steps" in welcome.lower()
    place = site.upload("C:\\My files\\orders.csv", orders())
    looked = site.get(place)
    assert "This is how we read orders.csv" in looked
    assert "Customer number" in looked
    assert "k•••" in looked
    assert "@shop.nl" not in looked, "an address is sealed before it is shown"
    assert site.ws.store.log.count() == 0, "looking stores nothing"

    job = site.done(site.post(place, hidden(looked, place)))
    assert job.state == "done", job.error
    assert job.result["stored"] == job.result["read"] == 30 + sum(20 + c // 6 for c in range(1, 60, 2))
    assert not list((site.ws.root / "uploads").iterdir()), "what was read in is deleted"
    onward = site.ask("GET", f"/jobs/{job.id}?wait=1").headers["location"]
    few = site.get(onward)
    assert "60 customers so far" in few
    assert "rows read" in few
    assert "as a sketch" in few

    asked = site.post("/discover", {**hidden(few, "/discover"), "algorithm": "kmeans", "k": "3"})
    job = site.done(asked)
    assert job.state == "done", job.error
    page = site.get("/discover")
    again = site.get(onward)
    assert "rows read" in again, "also where there are groups already"
    assert "Find groups again" in again
    assert "Three groups found" in page
    assert "/customers/" not in page
    assert not re.findall(r"\bK\d+\b", page), "no single customer is on it"
    fields = hidden(page, "/discover/adopt")
    described_by = [d.name for d in site.ws.definitions()]
    job = site.done(site.post("/discover/adopt", {**fields, "name": " Our  groups ", "s1": "yes", "s2": "yes"}))
    assert (job.state, job.result["name"], job.result["segments"]) == ("done", "Our groups", 2), job.error
    assert set(site.ws.store.members.current("Our groups")["segment"].to_pylist()) == {"s1", "s2"}
    page = site.get("/discover")
    assert "Two of these 3 groups are adopted" in page
    assert [d.name for d in site.ws.definitions()] == described_by, "sentences speak of the first of an idea"
    job = site.done(site.post("/discover/undo", hidden(page, "/discover/undo")))
    assert job.state == "done", job.error
    assert "Our groups" not in site.ws.store.members.names()
    assert "Adopt the chosen groups" in site.get("/discover")


def test_a_file_that_can_be_read_in_two_ways_is_asked_about(site: Site) -> None:
    place = site.upload("odd.csv", "who,b,when\nx1,3,03/04/2026\nx2,4,05/06/2026\nx1,5,01/02/2026\n")
    looked = site.get(place)
    assert "Help us read odd.csv" in looked
    assert "Set `" not in looked, "nobody has to write YAML on a page"
    assert "Read it in" not in looked
    answer = site.post(place, {"word": hidden(site.get("/start"), "/start/upload")["word"]})
    assert answer.headers["location"].startswith(place), "what is not settled is not read in"
    told = "kind=events&role-customer=who&role-time=when&day_first=yes&event=visit"
    settled = site.get(f"{place}?{told}")
    assert "Read it in" in settled
    kept = hidden(settled, place)
    assert (kept["role-customer"], kept["day_first"], kept["event"]) == ("who", "yes", "visit")


def test_what_is_no_table_is_said_in_words(site: Site) -> None:
    assert "cannot be read" in site.get(site.upload("x.pdf", "%PDF-1.4"))
    assert site.ask("GET", "/start/0123456789abcdef").status_code == 404
    assert site.ask("GET", "/start/..%2f..%2fkohort.yaml").status_code == 404


def test_a_file_on_the_machine_is_read_where_it_lies(site: Site, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(orders())
    fields = hidden(site.get("/start"), "/start/path")
    place = site.post("/start/path", {**fields, "path": str(tmp_path / "orders.csv")}).headers["location"]
    assert "This is how we read orders.csv" in site.get(place)
    KINDS["ingest"].work(site.ws, {"upload": place.rpartition("/")[2]}, silent)
    assert (tmp_path / "orders.csv").exists()
    assert site.ws.store.log.count()
    with pytest.raises(WrongUsage):
        KINDS["demo"].work(site.ws, {}, silent)


def test_a_form_that_is_not_ours_leaves_no_file(site: Site) -> None:
    answer = site.post("/start/upload", {"word": "guessed"}, files={"file": ("a.csv", "x")})
    assert answer.status_code == 400
    answer = site.ask("POST", "/start/upload", files={"file": ("a.csv", "x")})
    assert answer.status_code == 400
    assert not list((site.ws.root / "uploads").glob("*"))


def test_what_nobody_can_ask_for_is_refused(site: Site) -> None:
    for fields in ({"algorithm": "magic"}, {"k": "1"}, {"k": "13"}, {"k": "²"}, {"k": "-3"}):
        with pytest.raises(WrongUsage):
            _asked(fields)
    word_only = {"word": hidden(site.get("/start"), "/start/upload")["word"]}
    for place, sent in (
        ("/discover/undo", {"name": "Main"}),
        ("/start/path", {"path": " "}),
        ("/discover/adopt", {"name": "Main"}),
    ):
        answer = site.post(place, {**word_only, **sent})
        assert answer.status_code == 400, answer.text
        assert "That did not work" in answer.text
    assert Jobs(site.ws).all() == []
    assert _asked({"algorithm": "hdbscan", "k": "5"}) == {"algorithm": "hdbscan", "k": None}
    with pytest.raises(KohortError):
        KINDS["adopt"].work(site.ws, {"segmentation": "found-0", "name": "Main", "only": ["s1"]}, silent)


def test_an_upload_goes_with_an_erasure_and_after_a_day(site: Site) -> None:
    with site.ws.store.uploads.receive("../../evil.csv") as (token, file):
        file.write(b"x")
    assert site.ws.store.uploads.path(token).parent.parent == site.ws.root / "uploads"
    assert site.ws.store.uploads.clear(older_than_seconds=3600) == 0
    os.utime(site.ws.store.uploads.path(token).parent, (0, 0))
    assert site.ws.store.uploads.clear(older_than_seconds=KEPT_SECONDS) == 1
    with site.ws.store.uploads.receive("orders.csv") as (token, file):
        file.write(b"x")
    clear(site.ws.store)
    with pytest.raises(NotFound):
        site.ws.store.uploads.path(token)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.csv", "a.csv"),
        ("/etc/passwd", "passwd"),
        ("..", "file"),
        (".hidden", "hidden"),
        ("a\0\n<b>.csv", "a___b_.csv"),
    ],
)
def test_names_of_files_mean_nothing_to_the_disk(name: str, kept: str) -> None:
    assert plain_name(name) == kept


BODY = (
    b'--XX\r\nContent-Disposition: form-data; name="word"\r\n\r\n%s\r\n'
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    b"a,b\r\n--XY\r\n--\r\n1,2\r\n--XX--\r\n"
)


@pytest.fixture
def anybody():
    before = who.current.set(who.ANYBODY)
    yield
    who.current.reset(before)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 1_000])
def test_a_body_means_the_same_however_it_is_cut(anybody: None, tmp_path: Path, size: int) -> None:
    uploads = Uploads(tmp_path)
    token = asyncio.run(receive(request(BODY % word().encode(), size), uploads))
    assert uploads.path(token).read_bytes() == b"a,b\r\n--XY\r\n--\r\n1,2"


@pytest.mark.parametrize("end", [3, 60, 150, 200, 230])
def test_a_body_that_breaks_off_leaves_nothing(anybody: None, tmp_path: Path, end: int) -> None:
    whole = BODY % word().encode()
    with pytest.raises(BadInput):
        asyncio.run(receive(request(whole[:end], 50), Uploads(tmp_path)))
    assert not list(tmp_path.glob("uploads/*"))


@pytest.mark.parametrize("where", ["open", "close", "folder"])
def test_a_disk_that_does_not_take_a_file_is_said_wherever_it_refuses(
    anybody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    full, loop, real = OSError(errno.ENOSPC, "No space left on device"), threading.get_ident(), os.open
    threads: list[int] = []

    def refuse(*_: Any, **__: Any) -> None:
        threads.append(threading.get_ident())
        raise full

    def open_old(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        return refuse() or 0 if flags & os.O_CREAT else real(path, flags, *rest, **more)

    class Full(io.BytesIO):
        def close(self) -> None:
            if not threads:  # once: it is closed again when nobody needs it any more
                refuse()
            super().close()

    if where == "close":  # what was written goes to the disk only then
        monkeypatch.setattr(module.os, "fdopen", lambda fd, mode: os.close(fd) or Full())
    else:
        held = {"open": (module.os, "open", open_old), "folder": (module, "private_folder", refuse)}
        monkeypatch.setattr(*held[where])
    with pytest.raises(CannotWrite, match="could not be stored"):
        asyncio.run(receive(request(BODY % word().encode(), 64), Uploads(tmp_path)))
    monkeypatch.undo()
    assert threads
    assert loop not in threads, "nobody else waits for the disk"
    assert not list(tmp_path.glob("uploads/*"))


def test_a_form_with_more_fields_than_ours_is_refused(anybody: None, tmp_path: Path) -> None:
    field = b'--XX\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n'
    with pytest.raises(TooLarge):
        asyncio.run(receive(request(b"".join(field % i for i in range(100)) + BODY % b"", 64), Uploads(tmp_path)))
    assert not list(tmp_path.glob("uploads/*"))


def test_a_head_without_end_is_refused() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"--XX\r\n"
        for _ in range(1_000):
            yield b"x" * 100

    reading = _Parts(endless(), b"XX")
    with pytest.raises(BadInput):
        asyncio.run(reading.head())


def request(body: bytes, size: int) -> Request:
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    receiving: Callable[[], Any] = _receiver(pieces)
    headers = [(b"content-type", b"multipart/form-data; boundary=XX")]
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}, receiving)


def _receiver(pieces: list[bytes]) -> Callable[[], Any]:
    left = list(pieces)

    async def receiving() -> dict[str, Any]:
        piece = left.pop(0) if left else b""
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    return receiving


def test_the_workspace_is_whole_afterwards(site: Site) -> None:
    assert isinstance(site.ws, Workspace)
    assert site.ws.store.verify() == []
