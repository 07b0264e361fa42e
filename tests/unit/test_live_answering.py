"""`kohort stream` answers a monitoring system in the words of `kohort serve`, and both say what ails a source."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import httpx
import pyarrow as pa
import pytest

import kohort
from kohort.cli.serving import CannotServe, listen
from kohort.errors import Busy
from kohort.live.answering import Answering, Answers
from kohort.live.kafka import Gap, KafkaSource
from kohort.live.kafka_settings import KafkaSettings
from kohort.live.service import Service
from kohort.live.sources import SourceState
from kohort.live.spark_stream import LoopOnSpark, Streaming
from kohort.web.app import create
from kohort.workspace.live import service
from kohort.workspace.workspace import Workspace

NOBODY = "127.0.0.1:9"
"""Where no broker is: no program is ever given this port."""
FIELDS = {"state", "as_of", "lag_seconds", "waiting_bytes", "late", "sources", "problem"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with kohort.create(tmp_path_factory.mktemp("answering") / "ws", name="Toys") as ws:
        ws.segments.add("seen", "did(*)")
        yield ws


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaSource]:
    pytest.importorskip("confluent_kafka", reason="the extra `kafka` is not installed")
    source = KafkaSource(KafkaSettings(servers=NOBODY, topics=("orders", "visits"), group="g"))
    yield source
    source.close()


@pytest.fixture(scope="module")
def live(shop: Workspace) -> Iterator[Service]:
    live = service(shop)
    yield live
    live.loop.close()
    live.store.close()


@pytest.fixture
def answers(shop: Workspace, live: Service) -> Answers:
    found = Answers(shop.store, lambda: 0)
    found.watched = live
    return found


@pytest.fixture
def at(answers: Answers) -> Iterator[str]:
    with Answering(listen("127.0.0.1", 0), answers) as open_at:
        yield open_at.address


@pytest.fixture
def at_kafka(tmp_path: Any, kafka: KafkaSource) -> Iterator[str]:
    """Where a workspace answers that reads a topic."""
    with kohort.create(tmp_path / "ws", name="Toys") as ws:
        live = service(ws, sources=[kafka])
        answers = Answers(ws.store, lambda: 0)
        answers.watched = live
        with Answering(listen("127.0.0.1", 0), answers) as open_at:
            yield open_at.address
        live.store.close()


def of_pages(app: Any, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kohort") as client:
            return await client.get(path)

    return asyncio.run(ask())


def until(said: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not said():
        assert time.monotonic() < end
        time.sleep(0.02)


def figures(text: str, name: str) -> dict[str, float]:
    """What is in the braces → the value."""
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_the_words_are_those_of_the_pages(shop: Workspace, live: Service, answers: Answers, at: str) -> None:
    app = create(shop, live=live)
    seen = []
    full = Busy("The disk is full.")
    steps: list[Callable[[], object]] = [bool, live._begun.set, lambda: live._failed(full), live._tick]
    for step in steps:
        step()
        for path in ("/health", "/ready"):
            here, there = httpx.get(at + path), of_pages(app, path)
            said, words = here.json(), there.json()
            for one in (said, words):
                one.get("live", {}).pop("lag_seconds", None)  # time passes between the two questions
            assert (here.status_code, said, here.headers["content-type"]) == (
                there.status_code,
                words,
                there.headers["content-type"],
            )
        seen.append((here.status_code, said["live"]["state"]))
    assert seen == [(200, "idle"), (503, "starting"), (503, "failing"), (200, "current")]
    here, there = httpx.get(at + "/metrics"), of_pages(app, "/metrics")
    assert here.headers["content-type"] == there.headers["content-type"]
    mine, pages = (set(re.findall(r"^# TYPE (\w+)", one.text, re.MULTILINE)) for one in (here, there))
    assert mine <= pages
    assert all(name.startswith(("kohort_door_", "kohort_stream_")) for name in pages - mine)
    assert figures(here.text, "kohort_http_answers_total") == {'status="200"': 6, 'status="503"': 2}


def test_before_there_is_a_loop_it_starts(answers: Answers, at: str) -> None:
    answers.watched = None
    answer = httpx.get(at + "/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "starting")
    assert answer.json()["live"].keys() == FIELDS
    assert httpx.get(at + "/health").status_code == 200
    assert "kohort_process_resident_bytes" in httpx.get(at + "/metrics").text


def test_a_broker_that_cannot_be_reached_is_told(kafka: KafkaSource, at_kafka: str) -> None:
    until(lambda: not kafka.wait({}, 0.1) and kafka.problem != "")
    said = httpx.get(at_kafka + "/ready").json()["live"]
    assert said["sources"] == {"kafka:orders,visits": {"problem": kafka.problem, "gaps": 0, "lost": 0}}
    assert re.fullmatch(r"_[A-Z_]+", kafka.problem)  # one of the client's names, nothing of the address
    assert figures(httpx.get(at_kafka + "/metrics").text, "kohort_live_source_problem") == {
        'source="kafka:orders,visits"': 1
    }


def test_records_that_are_gone_are_counted(kafka: KafkaSource, at_kafka: str) -> None:
    kafka.gaps += [Gap("orders", 0, at=5, earliest=12, lost=7), Gap("visits", 1, at=9, earliest=0, lost=0)]
    assert kafka.state() == SourceState("kafka:orders,visits", kafka.problem, gaps=2, lost=7)
    text = httpx.get(at_kafka + "/metrics").text
    assert [*figures(text, "kohort_live_source_gaps_total").values()] == [2]
    assert [*figures(text, "kohort_live_source_lost_total").values()] == [7]
    assert httpx.get(at_kafka + "/ready").json()["live"]["sources"]["kafka:orders,visits"]["lost"] == 7


def test_who_is_late_is_counted(live: Service, at: str) -> None:
    lane = live.loop._lane
    lane.saw(pa.table({"customer": [3] * (lane.many + 1)}))
    assert lane.waits(3)
    assert httpx.get(at + "/ready").json()["live"]["late"] == 1
    assert figures(httpx.get(at + "/metrics").text, "kohort_live_late") == {"": 1}
    lane.turn(2**60)
    assert httpx.get(at + "/ready").json()["live"]["late"] == 0


def test_a_loop_on_spark_tells_the_same(live: Service, answers: Answers, at: str) -> None:
    stopping, failures = threading.Event(), [Busy("The disk is full.")]

    def after() -> None:
        if failures:
            raise failures.pop()

    streaming = Streaming(cast(LoopOnSpark, live.loop), seconds=0.01, after=after, waiting=lambda: 17)
    answers.watched = streaming
    assert httpx.get(at + "/ready").json()["code"] == "starting"
    worker = threading.Thread(target=streaming.run, args=(lambda: "", stopping))
    worker.start()
    until(lambda: streaming.problem != "")
    assert httpx.get(at + "/ready").json()["message"] == "busy: The disk is full."
    until(streaming.ready.is_set)
    stopping.set()
    worker.join(30)
    answer = httpx.get(at + "/ready")
    assert (answer.status_code, answer.json()["live"]["state"]) == (200, "current")
    assert answer.json()["live"].keys() == FIELDS
    assert answer.json()["live"]["waiting_bytes"] == 17
    assert figures(httpx.get(at + "/metrics").text, "kohort_live_failures_total") == {"": 1}


def test_only_these_questions_are_answered(at: str) -> None:
    head = httpx.head(at + "/health?x=1")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "16")
    for path in ("/", "/v1/batch", "/health/"):
        for method in ("GET", "POST"):
            missing = httpx.request(method, at + path)
            assert (missing.status_code, missing.json()["code"]) == (404, "no_such_address")
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "ANA"):
        wrong = httpx.request(method, at + "/ready", content=b"ana@shop.example" * 100 if method == "POST" else None)
        assert (wrong.status_code, wrong.json()["code"]) == (405, "wrong_method")
        assert wrong.headers["allow"] == "GET, HEAD"
        assert "ANA" not in wrong.text
    foreign = httpx.get(at + "/metrics", headers={"Host": "shop.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (421, "wrong_host")


@pytest.mark.parametrize(
    "sent", [b"ana@shop.example\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000]
)
def test_what_is_no_request_is_refused_and_not_repeated(
    at: str, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    host, port = at.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(sent)
        said = client.makefile("rb").read()
    assert b"bad_request" in said
    assert b"ana@" not in said
    assert b"aaa" not in said
    assert httpx.get(at + "/health").json() == {"status": "ok"}
    assert capfd.readouterr() == ("", "")


def test_whoever_says_nothing_keeps_nobody_from_asking_for_long(at: str) -> None:
    host, port = at.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port)), timeout=30) for _ in range(40)]
    try:  # beyond those that are waited for, the server hangs up
        assert sum(hung_up(one) for one in silent[-10:]) == 10
    finally:
        for one in silent:
            one.close()
    until(lambda: answers_now(at))


def hung_up(client: socket.socket) -> bool:
    return client.recv(1) == b""


def answers_now(at: str) -> bool:
    try:
        return httpx.get(at + "/health").status_code == 200
    except httpx.TransportError:
        return False


def test_the_command_says_where_it_answers_and_stops(tmp_path: Any) -> None:
    pytest.importorskip("confluent_kafka", reason="the extra `kafka` is not installed")
    with kohort.create(tmp_path / "shop", name="Toys") as ws:
        ws.segments.add("seen", "did(*)")
    command = [sys.executable, "-m", "kohort", "stream", "-w", str(tmp_path / "shop"), "--json", "--engine", "duckdb"]
    command += ["--kafka", NOBODY, "--topic", "orders", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stderr.readline())
        assert found is not None
        at = found.group()
        assert httpx.get(at + "/health", timeout=60).json() == {"status": "ok"}
        until(lambda: httpx.get(at + "/ready").status_code == 200)
        until(lambda: httpx.get(at + "/ready").json()["live"]["sources"]["kafka:orders"]["problem"] != "")
        assert figures(httpx.get(at + "/metrics").text, "kohort_live_tick_seconds_count")[""] > 0
    finally:
        process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert json.loads(out)["as_of"] is not None
    assert not answers_now(at)


def test_a_port_in_use_is_one_sentence(tmp_path: Any) -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(CannotServe, match="cannot be used"):
            listen("127.0.0.1", taken.getsockname()[1])
