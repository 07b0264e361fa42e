"""A browser's part over HTTP for bench/web.py: somebody who is logged in, and the addresses that pages lead to."""

from __future__ import annotations

import gzip
import http.client
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlencode

FEW = 8
"""Addresses of one kind that are asked for in turn: one alone would be kept by somebody."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        seconds: From the first byte sent to the last one received.
        sent: Bytes of the body as they came, compressed or not; `size` of the body itself.
    """

    status: int
    seconds: float
    sent: int
    size: int
    text: str
    headers: Mapping[str, str]


class Person:
    """Somebody with a browser: one connection that stays open, and cookies."""

    def __init__(self, port: int, name: str) -> None:
        self.port, self.name = port, name
        self.cookies: dict[str, str] = {}
        self._connection: http.client.HTTPConnection | None = None

    def log_in(self, password: str) -> None:
        """By the form, as people do."""
        word = word_of(self.get("/login").text)
        found = self.post("/login", {"word": word, "name": self.name, "password": password, "next": "/"})
        if found.status != 303 or self.get("/account").status != 200:
            raise SystemExit(f"{self.name} cannot log in: {found.status}")

    def get(self, address: str, **headers: str) -> Answer:
        return self._ask("GET", address, None, headers)

    def post(self, address: str, fields: Mapping[str, str]) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", address, urlencode(fields), headers)

    def follow(self, address: str, seconds: float) -> int:
        """Reads a stream for so long, and says how many bytes came."""
        found, end = 0, time.monotonic() + seconds
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds + 10)
        try:
            connection.request("GET", address, headers={"Cookie": self._cookie()})
            answer = connection.getresponse()
            while answer.status == 200 and time.monotonic() < end and (some := answer.read1(65_536)):
                found += len(some)
        finally:
            connection.close()
        return found

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, method: str, address: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        sent = {"Accept-Encoding": "gzip", "Accept": "text/html", "Cookie": self._cookie(), **headers}
        reused = self._connection is not None
        began = time.perf_counter()
        try:
            response, raw = self._answer(method, address, body, sent)
        except (http.client.RemoteDisconnected, ConnectionError):
            self.close()
            if not reused:
                raise
            # The server had closed the connection meanwhile: a browser opens another one.
            began = time.perf_counter()
            response, raw = self._answer(method, address, body, sent)
        seconds = time.perf_counter() - began
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, held = value.partition(";")[0].partition("=")
                self.cookies[cookie] = held
        told = {name.lower(): value for name, value in response.getheaders()}
        whole = gzip.decompress(raw) if told.get("content-encoding") == "gzip" else raw
        return Answer(response.status, seconds, len(raw), len(whole), whole.decode("utf-8", "replace"), told)

    def _answer(
        self, method: str, address: str, body: str | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self._connection.request(method, address, body=body, headers=dict(headers))
        response = self._connection.getresponse()
        return response, response.read()

    def _cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


def word_of(page: str) -> str:
    """What proves that a form is the page's own."""
    found = re.search(r'name="word" value="(\w+)"', page)
    if found is None:
        raise SystemExit("A page has no form.")
    return found[1]


@dataclass(slots=True)
class Kind:
    """Pages of one kind.

    Attributes:
        who: The role that asks for them.
    """

    label: str
    who: str
    addresses: list[str] = field(default_factory=list)


ALWAYS = (
    ("/", "viewer"),
    ("/segments", "marketer"),
    ("/map", "viewer"),
    ("/discover", "analyst"),
    ("/predictions", "analyst"),
    ("/value", "analyst"),
    ("/live", "marketer"),
    ("/digest", "viewer"),
    ("/data-health", "viewer"),
    ("/data-health/rejected", "analyst"),
    ("/lifecycle", "marketer"),
    ("/build", "marketer"),
    ("/customers", "marketer"),
    ("/identity", "marketer"),
    ("/start", "analyst"),
    ("/privacy", "privacy-officer"),
    ("/privacy/records", "privacy-officer"),
    ("/privacy/retention", "privacy-officer"),
    ("/audit-log", "privacy-officer"),
    ("/settings", "administrator"),
    ("/account", "administrator"),
    ("/report", "marketer"),
    ("/segments.csv", "viewer"),
)
"""Addresses that are always there, and who asks for them."""


def kinds(people: Mapping[str, Person]) -> list[Kind]:
    """Every kind of page of this workspace, with some addresses of each, found as people find them: by their links."""
    found = [Kind(address, who, [address]) for address, who in ALWAYS]
    marketer = people["marketer"]
    segments = _links(marketer, "/segments", r"/segments/[^/\"?#]+")
    own = _links(marketer, "/segments", r"/definitions/[^/\"?#]+")
    found.append(Kind("/segments/{segment}", "marketer", segments))
    found.append(Kind("/segments/{segment}/customers", "marketer", [f"{a}/customers" for a in segments]))
    deep = [f"{a}/customers?cursor=1000" for a in segments]
    found.append(Kind("/segments/{segment}/customers, far on", "marketer", deep))
    found.append(Kind("/segments/{segment}/feedback", "analyst", [f"{a}/feedback" for a in segments]))
    found.append(Kind("/segments/{segment}/check", "analyst", [f"{a}/check" for a in segments]))
    found.append(Kind("/definitions/{name}", "marketer", own))
    lists = [f"{a}/customers" for a in own]
    found.append(Kind("/definitions/{name}/customers", "marketer", lists))
    following = [
        f"{a}{one}" for a in lists for one in _links(marketer, a, r"\?(?:[^\"]+&)?(?:cursor|after)=[^\"]+")[:1]
    ]
    found.append(Kind("/definitions/{name}/customers, next", "marketer", following))
    why = [one for a in lists for one in _links(marketer, a, rf"{re.escape(a)}/[^/\"?#]+")[:2]]
    found.append(Kind("/definitions/{name}/customers/{code}", "marketer", why[:FEW]))
    found.append(Kind("/customers/{code}", "marketer", [f"/customers/{a.rpartition('/')[2]}" for a in why[:FEW]]))
    found.append(Kind("/definitions/{name}/feedback", "analyst", [f"{a}/feedback" for a in own]))
    found.append(Kind("/definitions/{name}/check", "analyst", [f"{a}/check" for a in own]))
    found.append(Kind("/build/{name}", "marketer", [a.replace("/definitions/", "/build/") for a in own]))
    predicted = _links(people["analyst"], "/predictions", r"/predictions/[^/\"?#]+")
    found.append(Kind("/predictions/{name}", "analyst", predicted))
    found.append(Kind("/predictions/{name}/customers", "marketer", [f"{a}/customers" for a in predicted]))
    found.append(Kind("/value/customers", "marketer", ["/value/customers"]))
    return [kind for kind in found if _there(people, kind)]


def _links(person: Person, address: str, pattern: str) -> list[str]:
    """Different links of a page that look so, at most a few."""
    text = person.get(address).text.replace("&amp;", "&")
    return list(dict.fromkeys(re.findall(rf'href="({pattern})[?#"]', text)))[:FEW]


def _there(people: Mapping[str, Person], kind: Kind) -> bool:
    """Whether the workspace has such pages at all: no stages, no predictions, no page about them."""
    if not kind.addresses:
        return False
    status = people[kind.who].get(kind.addresses[0]).status
    if status not in (200, 404, 503):
        raise SystemExit(f"{kind.label} answers {status} to the {kind.who}.")
    return status == 200


class Typing:
    """Somebody at the rule builder: each request is the form after one more key."""

    def __init__(self, person: Person, rng: Random) -> None:
        self._person, self._rng = person, rng
        self._word = ""

    def open(self) -> Answer:
        found = self._person.get("/build")
        self._word = word_of(found.text)
        return found

    def rule(self) -> Iterator[Answer]:
        """Three conditions, typed one after the other; every answer says how many there are."""
        rows: dict[str, str] = {}
        for row in (self._did(0), self._has(1), self._did(2)):
            for fields in row:
                rows |= fields
                yield self._person.post("/build/preview", {"word": self._word, "match": "all", **rows})

    def _did(self, n: int) -> list[dict[str, str]]:
        event, unit = self._rng.choice(["order_line", "page", "cart"]), self._rng.choice(["days", "weeks"])
        length = str(self._rng.randint(11, 99))
        base = {f"r{n}-kind": "did", f"r{n}-was": "did", f"r{n}-event": event, f"r{n}-unit": unit}
        base |= {f"r{n}-counted": "at_least", f"r{n}-times": "1"}
        steps = [{**base, f"r{n}-length": length[:1]}, {f"r{n}-length": length}]
        return [*steps, {f"r{n}-times": str(self._rng.randint(2, 5))}]

    def _has(self, n: int) -> list[dict[str, str]]:
        of, test, value = self._rng.choice(
            [("t_country", "is", "DE"), ("t_age", "more", "30"), ("orders", "more", "2")]
        )
        return [{f"r{n}-kind": "has", f"r{n}-was": "has", f"r{n}-of": of, f"r{n}-test": test, f"r{n}-value": value}]


def counted(answer: Answer) -> bool:
    """Whether a preview says how many customers there are."""
    return answer.status == 200 and 'class="bignum"' in answer.text
