"""How many events a second the tracking door takes on one core: the handler alone, and behind a real server.

The inbox does nothing, so this is what HTTP, credentials, limits and JSON cost; `bench/` has the durable figures elsewhere.
CPU seconds are those of the process that serves; the client runs in another one.

    python bench/tracking_door.py
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import Future
from typing import Any

EVENTS, BATCHES, SINGLES = 100, 600, 3_000


class NoInbox:
    """Durable at once, because nothing is kept."""

    def append(self, body: bytes, meta: dict[str, Any]) -> Future[int]:
        future: Future[int] = Future()
        future.set_result(1)
        return future

    def room(self) -> bool:
        return True


class OneKey:
    name, revoked_us = "bench", None

    def may(self, scope: str) -> bool:
        return True

    def known(self, text: str) -> OneKey | None:
        return self if text == "key" else None


def event(n: int) -> dict[str, Any]:
    """About 700 bytes, as the Python client sends them."""
    return {
        "type": "track",
        "event": "Product Viewed",
        "userId": f"user-{n}",
        "anonymousId": None,
        "messageId": f"0b9d7e9e-4c1f-4b3e-9d38-{n:012d}",
        "timestamp": "2026-11-29T10:00:00.123456+00:00",
        "properties": {"product_id": f"sku-{n}", "name": "Chair", "price": 49.9, "currency": "EUR", "quantity": 1},
        "context": {
            "library": {"name": "analytics-python", "version": "2.3.4"},
            "page": {
                "url": "https://shop.example/products/chair",
                "referrer": "https://search.example/",
                "title": "Chair",
            },
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36",
            "locale": "de-DE",
            "timezone": "Europe/Berlin",
        },
        "integrations": {},
    }


BATCH = json.dumps({"batch": [event(n) for n in range(EVENTS)], "sentAt": "2026-11-29T10:00:00Z"}).encode()
SINGLE = json.dumps(event(1)).encode()


def door() -> Any:
    from kohort.web.tracking import Door, Limits

    keys: Any = OneKey()
    return Door(NoInbox(), keys, Limits(events_per_second=10**9, requests_per_second=10**9))


async def handler(body: bytes, path: str, times: int) -> float:
    """CPU seconds a request of the handler alone."""
    asked = door()
    head = [(b"host", b"x"), (b"authorization", b"Basic " + base64.b64encode(b"key:")), (b"user-agent", b"bench")]
    head += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": head, "client": ("::1", 1)}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200

    started = time.process_time()
    for _ in range(times):
        await asked(scope, receive, send)
    return (time.process_time() - started) / times


def serve(http: str) -> None:
    """A server of the door alone; says its port, and its CPU seconds whenever a line comes in."""
    import threading

    import uvicorn

    # Named TCP: asyncio sends small answers at once only where a socket says which protocol it has.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(door(), log_level="error", http=http, lifespan="off"))  # type: ignore[arg-type]
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


def client(port: int, body: bytes, path: str, times: int, connections: int = 8) -> tuple[float, list[float]]:
    """Sends over a few connections that stay open; seconds in all, and of each answer."""

    async def one(n: int, took: list[float]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        auth = base64.b64encode(b"key:").decode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {auth}\r\nContent-Length: {len(body)}\r\n\r\n"
        for _ in range(n):
            started = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b'{"success": true}')
            assert answer.startswith(b"HTTP/1.1 200"), answer
            took.append(time.perf_counter() - started)
        writer.close()

    async def all_of_them() -> list[float]:
        took: list[float] = []
        await asyncio.gather(*(one(times // connections, took) for _ in range(connections)))
        return took

    started = time.perf_counter()
    took = asyncio.run(all_of_them())
    return time.perf_counter() - started, took


def over_http(http: str, body: bytes, path: str, times: int) -> tuple[float, float, float]:
    """Server's CPU seconds a request, requests a second as they came, and the 99th percentile of answers in ms."""
    with subprocess.Popen(
        [sys.executable, __file__, "serve", http], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout

        def cpu() -> float:
            assert server.stdin
            assert server.stdout
            server.stdin.write("\n")
            server.stdin.flush()
            return float(server.stdout.readline())

        port = int(server.stdout.readline())
        client(port, body, path, 80)
        before = cpu()
        seconds, took = client(port, body, path, times)
        used = cpu() - before
        server.terminate()
    return used / len(took), len(took) / seconds, statistics.quantiles(took, n=100)[98] * 1e3


def main() -> None:
    print(f"batch of {EVENTS}: {len(BATCH):,} bytes; single: {len(SINGLE)} bytes")
    for name, body, path, times, n in (
        ("batches", BATCH, "/v1/batch", BATCHES, EVENTS),
        ("singles", SINGLE, "/v1/track", SINGLES, 1),
    ):
        each = asyncio.run(handler(body, path, times))
        print(f"handler alone, {name}: {each * 1e6:,.0f} us a request = {n / each:,.0f} events a core-second")
        for http in ("h11", "httptools"):
            try:
                __import__(http)
            except ImportError:
                print(f"{http}: not installed")
                continue
            each, rate, p99 = over_http(http, body, path, times)
            print(
                f"uvicorn with {http}, {name}: {each * 1e6:,.0f} us of CPU a request = {n / each:,.0f} events a core-second;"
                f" {rate * n:,.0f} events/s seen, p99 {p99:.1f} ms"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        main()
