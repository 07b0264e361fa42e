"""Sends events to a server as clients do, in a process of its own; used by bench/live.py.

Open loop: requests have times at which they are to be sent, whether earlier ones were answered or not; what a late one
waited counts. Closed loop: as many as the connections carry, and whoever is sent away comes again when told to.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent.

    Attributes:
        rate: Requests a second; 0 = closed loop.
        events: Of one request; 1 = `/v1/track`, else `/v1/batch`.
        people: Events are about u0 … u(people − 1).
        first: The event `bench_go` of request i is about person first + i.
        go: Whether the first event of a request is a `bench_go`.
    """

    port: int
    keys: list[str]
    seconds: float
    rate: float = 0.0
    events: int = 1
    connections: int = 8
    people: int = 1_000
    first: int = 0
    go: bool = True


@dataclass(slots=True)
class Sent:
    """What came of it.

    Attributes:
        gone: [person, wall time at which it was to be sent] of every confirmed `bench_go`.
        answered: Seconds from that time to the answer.
        statuses: Of answers.
        events: That were confirmed.
    """

    gone: list[tuple[int, float]] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    events: int = 0
    seconds: float = 0.0
    cpu: float = 0.0


def event(name: str, person: int, message: str) -> dict[str, Any]:
    """About 700 bytes, as the Python client sends them."""
    return {
        "type": "track",
        "event": name,
        "userId": f"u{person}",
        "anonymousId": None,
        "messageId": message,
        "properties": {"page": "shoes", "seconds": person % 300, "name": "Chair", "currency": "EUR"},
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


class Sender:
    """All connections of one load."""

    def __init__(self, load: Load) -> None:
        self.load, self.sent = load, Sent()
        self._run = f"{time.time_ns()}"
        self._next = 0

    async def run(self) -> Sent:
        cpu, began = time.process_time(), time.perf_counter()
        turns: asyncio.Queue[tuple[int, float] | None] = asyncio.Queue()
        workers = [asyncio.create_task(self._work(n, turns)) for n in range(self.load.connections)]
        if self.load.rate:
            await self._schedule(turns)
            for _ in workers:
                turns.put_nowait(None)
        await asyncio.gather(*workers)
        self.sent.seconds, self.sent.cpu = time.perf_counter() - began, time.process_time() - cpu
        return self.sent

    async def _schedule(self, turns: asyncio.Queue[tuple[int, float] | None]) -> None:
        began = time.time() + 0.1
        for i in range(int(self.load.rate * self.load.seconds)):
            at = began + i / self.load.rate
            if (wait := at - time.time()) > 0:
                await asyncio.sleep(wait)
            turns.put_nowait((i, at))

    async def _work(self, number: int, turns: asyncio.Queue[tuple[int, float] | None]) -> None:
        load, until = self.load, time.time() + self.load.seconds
        reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
        key = load.keys[number % len(load.keys)]
        head = f"POST /v1/{'track' if load.events == 1 else 'batch'} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Authorization: Basic {base64.b64encode(f'{key}:'.encode()).decode()}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: "
        while True:
            if load.rate:
                turn = await turns.get()
                if turn is None:
                    break
            elif time.time() < until:
                turn, self._next = (self._next, time.time()), self._next + 1
            else:
                break
            i, at = turn
            body = self._body(i)
            while True:
                writer.write(head.encode() + b"%d\r\n\r\n" % len(body) + body)
                status, wait = await _answer(reader)
                self.sent.statuses[status] = self.sent.statuses.get(status, 0) + 1
                if status == 200 or (not load.rate and time.time() > until):
                    break
                await asyncio.sleep(wait)
            if status == 200:
                self.sent.events += load.events
                self.sent.answered.append(time.time() - at)
                if load.go:
                    self.sent.gone.append(((load.first + i) % load.people, at))
        writer.close()

    def _body(self, i: int) -> bytes:
        load = self.load
        name = "bench_go" if load.go else "page"
        first = event(name, (load.first + i) % load.people, f"{self._run}-{i}")
        if load.events == 1:
            return orjson.dumps(first)
        others = [
            event("page", (i * load.events + n) * 7 % load.people, f"{self._run}-{i}-{n}")
            for n in range(1, load.events)
        ]
        return orjson.dumps({"batch": [first, *others]})


async def _answer(reader: asyncio.StreamReader) -> tuple[int, float]:
    """Status, and after how many seconds to come again."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    await reader.readexactly(int(lines.get(b"content-length", b"0")))
    return int(head.split()[1]), float(lines.get(b"retry-after", b"0.1"))


def main() -> None:
    sent = asyncio.run(Sender(Load(**json.loads(sys.argv[1]))).run())
    print(json.dumps(asdict(sent)))


if __name__ == "__main__":
    main()
