"""The doors of the pages: right answers, plain problems, safe headers, and a light process."""

import asyncio
import os
import runpy
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import kohort
from kohort.errors import (
    Busy,
    CannotWrite,
    Damaged,
    KeptCurrent,
    NotEnough,
    NotFound,
    RefusedDefinition,
    WrongUsage,
)
from kohort.web.api import problem
from kohort.web.app import PAGE_SIZE, create
from kohort.web.middleware import HEADERS

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "views" / "sample.py"))
SampleWorkspace = SAMPLE["SampleWorkspace"]
PAGES = ["/", "/segments", "/segments/s1", "/segments/s1/customers", "/map", "/discover", "/data-health"]


class Client:
    """Asks the application directly, without a server, and gets error pages as a browser would."""

    def __init__(self, source) -> None:
        self.app = create(source)

    def request(self, method: str, path: str, *, server: str = "kohort", host: str | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{server}") as client:
                return await client.request(method, path, headers={"Host": host} if host else {})

        return asyncio.run(ask())

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)


@pytest.fixture(scope="module")
def client():
    return Client(SampleWorkspace())


class Broken(SampleWorkspace):
    """Fails the way it is told to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def segmentation(self, name=None):
        raise self.error


@pytest.mark.parametrize("path", [*PAGES, "/segments?sort=growth", "/map?segment=s2", "/map?segment=nobody"])
def test_pages_answer(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "path", [*PAGES, "/nothing", "/segments/s99", "/static/style.css", "/static/nothing", "/health"]
)
def test_every_answer_is_protected(client, path):
    headers = client.get(path).headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS


def test_an_unexpected_error_is_protected_and_silent_in_the_log_too(caplog):
    answer = Client(Broken(RuntimeError("secret 4711"))).get("/segments")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "4711" not in answer.text
    assert "Traceback" not in answer.text
    (record,) = (r for r in caplog.records if r.name == "kohort.web")
    assert record.facts["error"] == "RuntimeError"
    assert record.facts["route"] == "/segments"
    assert "test_web_app.py:" in record.facts["places"]
    assert "4711" not in caplog.text + str(record.facts)
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_a_mistake_in_the_settings_is_said_on_the_page(tmp_path):
    with kohort.create(tmp_path / "shop") as ws:
        client = Client(ws)
        assert client.get("/").status_code == 200
        (ws.root / "kohort.yaml").write_text("name: Shop\ncolour: red\n")
        answer = client.get("/")
    assert answer.status_code == 422
    assert "We cannot read that" in answer.text
    assert "colour" in answer.text


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (NotFound("segment", "gone"), "We cannot find that"),
        (WrongUsage("The call is wrong."), "That did not work"),
        (KeptCurrent(), "That did not work"),
        (NotEnough("There are too few."), "Not yet"),
        (RefusedDefinition("There is no function."), "We cannot read that"),
        (CannotWrite("The disk is full."), "We cannot show this right now"),
    ],
)
def test_a_page_answers_an_error_with_the_status_that_programs_get(error, title):
    source = SampleWorkspace()
    source.members_page = lambda *_, **__: Broken(error).segmentation()
    answer = Client(source).get("/segments/s1/customers")
    assert answer.status_code == problem(error).status_code
    assert f"<h1>{title}</h1>" in answer.text


@pytest.mark.parametrize("error", [Busy("Another process is writing.", hint="Try again."), Damaged("A file is bad.")])
def test_a_known_error_says_its_sentence(error):
    client = Client(Broken(error))
    answer = client.get("/")
    assert answer.status_code == 503
    assert error.message in answer.text
    assert client.get("/ready").status_code == 503
    assert client.get("/ready").json()["code"] == error.code
    assert client.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "path", ["/nothing", "/segments/s99", "/segments/s99/customers", "/segments/%2e%2e%2f", "/wp-login.php"]
)
def test_what_is_not_there_is_a_plain_page(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Back to the overview" in answer.text


@pytest.mark.parametrize("cursor", ["x", "1e9", "9" * 30, "-5"])
def test_odd_addresses_are_refused_or_harmless(client, cursor):
    answer = client.get(f"/segments/s1/customers?cursor={cursor}")
    assert answer.status_code in {200, 422}
    assert "Kohort" in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "@evil.example", ""])
def test_a_foreign_name_pointed_at_this_machine_gets_nothing(client, host):
    answer = client.request("GET", "/segments", server="127.0.0.1", host=host or "x")
    assert answer.status_code == 421
    assert "Trade regulars" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST"])
def test_this_machines_own_names_are_answered(client, host):
    assert client.request("GET", "/segments", server="127.0.0.1", host=host).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed_through_the_pages(client, method):
    assert client.request(method, "/segments").status_code == 405


def test_paging_shows_each_customer_once(client):
    shown, path = [], "/segments/s1/customers"
    expected = [m["customer_id"] for m in SAMPLE["_read"]("members") if m["segment"] == "s1"]
    while path:
        text = client.get(path).text
        shown += [part.split("</b>")[0] for part in text.split('<td role="cell"><b>')[1:]]
        following = text.split('href="?cursor=')
        path = f"/segments/s1/customers?cursor={following[1].split(chr(34))[0]}" if len(following) > 1 else None
    assert shown == expected
    assert len(expected) > PAGE_SIZE


def test_sorting_orders_the_rows(client):
    def order(sort):
        text = client.get(f"/segments?sort={sort}").text
        return [part.split('"')[0] for part in text.split('class="strong" href="/segments/')[1:]]

    found = SampleWorkspace().found
    assert order("revenue") == [s.id for s in sorted(found.segments, key=lambda s: -s.revenue)]
    assert order("customers") == [s.id for s in sorted(found.segments, key=lambda s: -s.size)]
    assert order("nonsense") == order("revenue")


def test_the_report_is_a_download(client):
    answer = client.get("/report")
    assert answer.headers["content-disposition"] == 'attachment; filename="kohort-report.html"'
    assert "What the words mean" in answer.text


@pytest.mark.parametrize("path", ["/", "/segments", "/map", "/discover", "/data-health", "/report"])
def test_an_empty_workspace_says_how_to_start(path):
    answer = Client(SampleWorkspace(empty=True)).get(path)
    assert answer.status_code == 200
    assert "kohort ingest orders.csv" in answer.text
    assert 'aria-current="step"' in answer.text


@pytest.mark.parametrize(
    ("customers", "said", "command"),
    [
        (5878, "Your data is in", "kohort discover"),
        (212, "212 customers so far", "kohort discover"),
        (20, "Bring more orders first", "kohort ingest"),
    ],
)
def test_data_without_segments_says_what_to_do_next(customers, said, command):
    class Waiting(SampleWorkspace):
        def segmentation(self, name=None):
            return None

        def summary(self):
            return {**super().summary(), "customers": customers}

    text = Client(Waiting()).get("/segments").text
    assert said in text
    assert command in text


def test_ready_counts_the_segments(client):
    assert client.get("/ready").json() == {"status": "ready", "segments": 5}


def test_the_process_is_light_and_imports_no_engine():
    script = (
        "import asyncio, pathlib, re, runpy, sys\n"
        "sample = runpy.run_path(sys.argv[1])\n"
        "from kohort.web.app import create\n"
        "app = create(sample['SampleWorkspace']())\n"
        "async def ask(path):\n"
        "    sent = []\n"
        "    async def send(message): sent.append(message)\n"
        "    async def receive(): return {'type': 'http.request', 'body': b'', 'more_body': False}\n"
        "    await app({'type': 'http', 'method': 'GET', 'path': path, 'raw_path': path.encode(), 'headers': [],\n"
        "               'query_string': b'', 'scheme': 'http', 'server': ('kohort', 80), 'asgi': {'version': '3.0'},\n"
        "               'http_version': '1.1', 'root_path': '', 'client': ('127.0.0.1', 1)}, receive, send)\n"
        "    return sent[0]['status']\n"
        f"assert all(asyncio.run(ask(p)) == 200 for p in {[*PAGES, '/report']!r})\n"
        "heavy = {'sklearn', 'scipy', 'pandas', 'ibis', 'duckdb', 'deltalake', 'pyspark', 'numba'} & set(sys.modules)\n"
        # Not ru_maxrss: that begins with the peak of the process that started this one, which is all of pytest.
        "peak = re.search(r'VmHWM:\\s+(\\d+) kB', pathlib.Path('/proc/self/status').read_text())\n"
        "print(sorted(heavy), int(peak[1]) // 1024)\n"
    )
    sample = Path(__file__).parents[1] / "golden" / "views" / "sample.py"
    done = subprocess.run(
        [sys.executable, "-c", script, str(sample)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    heavy, megabytes = done.stdout.strip().rsplit(" ", 1)
    assert heavy == "[]"
    assert int(megabytes) < 250


@pytest.mark.slow
def test_a_real_workspace_is_looked_at_in_a_process_of_its_own(tmp_path, monkeypatch):
    from kohort.web.app import WORKSPACE_VARIABLE
    from kohort.workspace.workspace import Workspace

    folder = tmp_path / "shop"
    with Workspace.create(folder, name="Corner shop", currency="GBP", timezone="UTC") as workspace:
        orders = "".join(f"{i},c{i % 40},2024-{i % 12 + 1:02d}-{i % 28 + 1:02d},{5 + i % 90}\n" for i in range(200))
        (tmp_path / "orders.csv").write_text("order_id,customer,date,amount\n" + orders)
        workspace.ingest(tmp_path / "orders.csv")
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(folder))
    client = Client(None)
    text = client.get("/").text
    assert "Corner shop" in text
    assert "40 customers so far" in text
    assert "What we found in 200 rows" in client.get("/data-health").text
    assert client.get("/ready").json().items() >= {"status": "ready", "segments": 0}.items()


def test_metrics_count_the_answers_and_name_nobody():
    client = Client(SampleWorkspace())
    for path in ("/segments", "/segments", "/nothing", "/segments/s1/customers"):
        client.get(path)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert lines['kohort_http_answers_total{status="200"}'] == "3"
    assert lines['kohort_http_answers_total{status="404"}'] == "1"
    assert lines['kohort_http_answer_seconds_bucket{le="+Inf"}'] == lines["kohort_http_answer_seconds_count"] == "4"
    assert "segments" not in answer.text
