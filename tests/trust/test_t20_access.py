"""T20: every role and every stranger at every address gets what the table says, and single customers look as the role may see them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

import kohort
from kohort.errors import CannotWrite
from kohort.model.access import ROLES
from kohort.store.audit_log import AuditLog
from kohort.web import access
from kohort.web.app import create
from kohort.workspace.people import short_code

PASSWORD = "plum kettle orbit sand"
# Written by hand, not taken from the table: v(iewer) m(arketer) a(nalyst) p(rivacy officer) A(dministrator).
MAY = {
    "GET /login": "vmapA",
    "POST /login": "vmapA",
    "GET /login/oidc": "vmapA",
    "GET /login/oidc/back": "vmapA",
    "GET /set-up": "vmapA",
    "POST /set-up": "vmapA",
    "POST /logout": "vmapA",
    "GET /account": "vmapA",
    "POST /account/password": "vmapA",
    "POST /account/sessions": "vmapA",
    "GET /static": "vmapA",
    "GET /health": "vmapA",
    "GET /ready": "vmapA",
    "GET /": "vmapA",
    "GET /segments": "vmapA",
    "GET /segments/{segment_id}": "vmapA",
    "GET /map": "vmapA",
    "GET /discover": "vmapA",
    "POST /discover": "maA",
    "POST /discover/adopt": "maA",
    "POST /discover/undo": "maA",
    "GET /start": "vmapA",
    "POST /start/demo": "aA",
    "POST /start/upload": "aA",
    "POST /start/path": "A",
    "GET /start/{upload}": "aA",
    "POST /start/{upload}": "aA",
    "GET /jobs/{id}": "vmapA",
    "POST /jobs/{id}/stop": "mapA",
    "GET /data-health": "vmapA",
    "GET /report": "vmapA",
    "GET /live": "vmapA",
    "GET /predictions": "vmapA",
    "GET /predictions/{name}": "vmapA",
    "POST /predictions/{name}": "aA",
    "GET /predictions/{name}/customers": "mapA",
    "GET /value": "vmapA",
    "POST /value": "aA",
    "GET /value/customers": "mapA",
    "GET /lifecycle": "vmapA",
    "GET /definitions/{name}": "vmapA",
    "GET /segments.csv": "vmapA",
    "GET /definitions/{name}/export/{kind}": "mapA",
    "GET /segments/{segment_id}/export/{kind}": "mapA",
    "GET /predictions/{name}/export/{kind}": "mapA",
    "GET /value/export/{kind}": "mapA",
    "GET /audit-log/export/{kind}": "pA",
    "GET /data-health/rejected/export/{kind}": "mapA",
    "GET /digest": "vmapA",
    "GET /definitions/{name}/feedback": "vmapA",
    "POST /definitions/{name}/feedback": "vmapA",
    "GET /segments/{segment_id}/feedback": "vmapA",
    "POST /segments/{segment_id}/feedback": "vmapA",
    "POST /feedback/withdraw": "vmapA",
    "GET /definitions/{name}/check": "mapA",
    "POST /definitions/{name}/check": "mapA",
    "GET /segments/{segment_id}/check": "mapA",
    "POST /segments/{segment_id}/check": "mapA",
    "POST /definitions/{name}/by-hand": "mpA",
    "GET /segments/{segment_id}/customers": "mapA",
    "GET /definitions/{name}/customers": "mapA",
    "GET /definitions/{name}/customers/{code}": "mapA",
    "GET /customers/{code}": "mapA",
    "GET /customers": "mpA",
    "POST /customers": "mpA",
    "GET /identity": "mpA",
    "POST /identity": "mpA",
    "POST /identity/undo": "mpA",
    "POST /customers/{code}/split": "mpA",
    "POST /customers/{code}/group": "mpA",
    "GET /build": "maA",
    "POST /build": "maA",
    "POST /build/preview": "maA",
    "GET /build/{name}": "maA",
    "POST /definitions/{name}/pause": "maA",
    "POST /definitions/{name}/run": "maA",
    "POST /definitions/{name}/remove": "maA",
    "POST /definitions/{name}/restore": "maA",
    "GET /audit-log": "pA",
    "GET /privacy": "pA",
    "POST /privacy": "pA",
    "GET /privacy/requests/{number}": "pA",
    "POST /privacy/requests/{number}": "pA",
    "GET /privacy/requests/{number}/export": "pA",
    "GET /privacy/receipts/{name}": "pA",
    "GET /privacy/records": "pA",
    "GET /privacy/retention": "pA",
    "POST /privacy/retention": "pA",
    "GET /settings": "A",
    "POST /settings/users": "A",
    "POST /settings/keys": "A",
    "GET /data-health/checks/{name}": "mapA",
    "POST /data-health/checks/{name}": "mapA",
    "GET /data-health/rejected": "mapA",
    "POST /data-health/rejected": "aA",
    "GET /metrics": "A",
}
OPEN = {
    "GET /login",
    "POST /login",
    "GET /login/oidc",
    "GET /login/oidc/back",
    "GET /set-up",
    "POST /set-up",
    "GET /static",
    "GET /health",
    "GET /ready",
}
LETTER = dict(zip(ROLES, "vmapA", strict=True))


class Site:
    """A workspace with somebody of every role, and its pages."""

    def __init__(self, folder: Path) -> None:
        lines = [f"o{n}-{i},K{n},2026-01-0{i},tea,1,5" for n in range(1, 9) for i in range(1, 3)]
        (folder / "orders.csv").write_text(
            "\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines])
        )
        self.ws = kohort.create(folder / "ws", name="Tea shop")
        self.ws.ingest(folder / "orders.csv", kind="orders")
        self.ws.segments.add("buyers", "did('order_line')")
        self.ws.segments.run()
        self.keys = {scope: self.ws.keys.add(scope, scope) for scope in ("ingest", "read")}
        self.tokens = {None: ""}
        for role in reversed(ROLES):  # the first one is an administrator
            self.ws.users.add(role, role, PASSWORD, by="test")
            self.tokens[role] = self.ws.store.sessions.begin(role)
        (self.key,) = (int(key) for key in self.ws.store.vault.known(["K3"]))
        self.ws.privacy.cases.receive("access", "K3", by="test")
        self.app = create(self.ws)

    def ask(self, role: Any, *asked: tuple[str, str], key: str = "") -> list[httpx.Response]:
        """What somebody of a role, or a program with a key, is answered: one answer for each method and path."""

        async def sent() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            headers = {"Cookie": f"__Host-kohort={self.tokens[role]}"} if role else {}
            headers |= {"Authorization": f"Bearer {key}"} if key else {}
            async with httpx.AsyncClient(
                transport=transport, base_url="https://shop.example", headers=headers
            ) as client:
                return [await client.request(method, path) for method, path in asked]

        return asyncio.run(sent())

    def get(self, role: Any, path: str) -> httpx.Response:
        return self.ask(role, ("GET", path))[0]

    def log(self, **which: Any) -> list[tuple[str, str, str]]:
        return [(e.by, e.act, e.about) for e in self.ws.audit_log.latest(5, **which)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("access"))
    yield made
    made.ws.close()


def path_of(pattern: str, site: Site) -> str:
    """An address of a pattern, with something in it that is there."""
    if pattern == "/static":
        return "/static/style.css"
    values = {"segment_id": "s1", "name": "buyers", "code": short_code(site.key), "number": "1"}
    values |= {"upload": "0123456789abcdef", "id": "1", "kind": "csv"}
    return re.sub(r"\{(\w+)(?::path)?\}", lambda found: values[found[1]], pattern)


def test_every_address_is_in_the_table_and_every_line_of_it_is_an_address(site: Site) -> None:
    there = set(access.addresses(site.app.routes))
    assert there == access.TABLE.keys()
    endless = {"GET /live/stream"}  # asked for by test_web_live
    pages = {f"{method} {pattern}" for method, pattern in there if not pattern.startswith("/v1/")} - endless
    assert pages == MAY.keys()


def test_a_server_does_not_start_with_an_address_that_is_missing() -> None:
    app = Starlette(routes=[Route("/salaries", lambda _: None, methods=["GET", "POST"])])
    with pytest.raises(AssertionError, match="GET /salaries, POST /salaries"):
        access.check_table(app.routes)


@pytest.mark.parametrize("role", [None, *ROLES])
def test_every_cell_of_the_matrix(site: Site, role: Any) -> None:
    asked = [tuple(line.split(" ", 1)) for line in MAY]
    answers = site.ask(role, *((method, path_of(pattern, site)) for method, pattern in asked))
    wrong = []
    for line, answer in zip(MAY, answers, strict=True):
        to_login = answer.headers.get("location", "").startswith("/login?next=")
        refused = answer.status_code in (401, 403) or to_login
        if refused == (line in OPEN if role is None else LETTER[role] in MAY[line]):
            wrong.append(f"{line}: {answer.status_code}")
        assert answer.status_code < 500, line
    assert wrong == []


def test_a_refusal_is_written_down(site: Site) -> None:
    answer = site.get("viewer", f"/customers/{short_code(site.key)}")
    assert answer.status_code == 403
    assert "Not for your role" in answer.text
    assert site.log() == [("viewer", "not_allowed", "/customers/{code}"), *site.log()[1:]]


@pytest.mark.parametrize("path", ["/nothing", "/wp-login.php", "/segments/s1/nothing", "/openapi.json", "/docs"])
def test_a_stranger_is_told_nothing_about_what_there_is(site: Site, path: str) -> None:
    (answer,) = site.ask(None, ("GET", path))
    assert answer.headers["location"].startswith("/login?next=")
    assert site.ask("viewer", ("GET", path))[0].status_code == 404
    (sent,) = site.ask(None, ("DELETE", path))
    assert sent.status_code == 403
    assert "Tea shop" not in sent.text


def test_programs_have_keys_and_people_have_none_of_them(site: Site) -> None:
    open_to_all = {("GET", "/v1/openapi.json")}  # which is the same for every workspace
    programs = sorted(one for one in access.TABLE if one[1].startswith("/v1/") and one not in open_to_all)
    asked = [(m, path_of(p, site)) for m, p in programs]
    for role in (None, *ROLES):
        assert {a.status_code for a in site.ask(role, *asked)} == {401}, role
    some = [one for one in asked if one[1] != "/v1/stream"]  # which never ends
    assert {a.status_code for a in site.ask(None, *some, key=site.keys["ingest"])} <= {401, 403}
    reading = [one for one, p in zip(asked, programs, strict=True) if access.TABLE[p].key == "read"]
    assert not {401, 403} & {a.status_code for a in site.ask(None, *reading, key=site.keys["read"])}
    changing = [one for one, p in zip(asked, programs, strict=True) if access.TABLE[p].key == "admin"]
    assert {one for one in asked if one[0] in ("PUT", "DELETE")} <= set(changing)
    assert {a.status_code for a in site.ask(None, *changing, key=site.keys["read"])} == {403}
    assert len(reading) + len(changing) == len(some)


def test_metrics_are_for_administrators_and_for_keys_that_read(site: Site) -> None:
    metrics = ("GET", "/metrics")
    assert site.ask(None, metrics)[0].json()["code"] == "unauthorized"
    assert site.ask(None, metrics, key=site.keys["ingest"])[0].status_code == 401
    assert site.ask(None, metrics, key=site.keys["read"])[0].status_code == 200
    pages = site.ask(None, ("GET", "/segments"), key=site.keys["read"])
    assert pages[0].status_code == 303, "a key opens no page"


def test_an_analyst_sees_codes_and_finds_nobody_by_number(site: Site) -> None:
    code = short_code(site.key)
    pages = [f"/customers/{code}", "/definitions/buyers/customers", f"/definitions/buyers/customers/{code}"]
    for path in pages:
        mine, theirs = site.get("analyst", path).text, site.get("marketer", path).text
        assert code in mine
        assert not re.findall(r"\bK[1-8]\b", mine), path
        assert re.findall(r"\bK3\b", theirs), path
    assert site.get("analyst", "/customers/K3").status_code == 404
    assert site.get("analyst", "/definitions/buyers/customers/K3").status_code == 404
    assert site.get("marketer", "/customers/K3").status_code == 200


def test_files_hold_customers_as_the_pages_do_and_are_written_down(site: Site) -> None:
    code, path = short_code(site.key), "/definitions/buyers/export/csv"
    mine, theirs = site.get("analyst", path).text, site.get("marketer", path).text
    assert code in mine
    assert not re.findall(r"\bK[1-8]\b", mine)
    assert re.findall(r"\bK3\b", theirs)
    assert site.log()[0] == ("marketer", "members_exported", "buyers")
    log = site.get("privacy-officer", "/audit-log/export/csv?by=marketer&act=members_exported").text.splitlines()
    assert site.log()[0] == ("privacy-officer", "read_the_log", "/audit-log/export/{kind}")
    assert log[0] == '"number","at","by","act","did","about","customer"'
    assert len(log) > 1
    assert all('"marketer","members_exported"' in line for line in log[1:])


def test_the_log_is_picked_by_who_and_what(site: Site) -> None:
    site.get("analyst", "/definitions/buyers/customers")
    every = site.get("administrator", "/audit-log").text
    some = site.get("administrator", "/audit-log?by=analyst&act=looked_at_members").text
    assert "marketer</td>" in every
    assert "analyst</td>" in some
    assert "marketer</td>" not in some
    assert 'href="/audit-log/export/csv?by=analyst&amp;act=looked_at_members"' in some
    assert "Nothing of that kind." in site.get("administrator", "/audit-log?by=nobody").text


def test_a_chart_is_shown_to_whom_its_page_is_shown(site: Site) -> None:
    (answer,) = site.ask(None, ("GET", "/data-health?chart=coverage.csv"))
    assert answer.headers["location"].startswith("/login?next=")
    assert site.get("viewer", "/data-health?chart=coverage.csv").headers["content-type"].startswith("text/csv")


def test_what_is_not_allowed_is_not_offered(site: Site) -> None:
    viewer, officer = site.get("viewer", "/definitions/buyers").text, site.get("privacy-officer", "/").text
    assert "/definitions/buyers/customers" not in viewer
    for href in ("/customers", "/identity", "/audit-log"):
        assert f'href="{href}"' not in viewer
        assert f'href="{href}"' in officer
    assert "/split" not in site.get("analyst", f"/customers/{short_code(site.key)}").text


def test_every_look_at_a_customer_is_in_the_log(site: Site) -> None:
    code = short_code(site.key)
    looks = {
        f"/customers/{code}": ("looked_at_customer", "/customers/{code}", site.key),
        f"/definitions/buyers/customers/{code}": ("looked_at_customer", "buyers", site.key),
        "/definitions/buyers/customers": ("looked_at_members", "buyers", None),
        "/identity": ("looked_at_members", "/identity", None),
        "/report": ("looked_at_members", "/report", None),
    }
    for path, (act, about, customer) in looks.items():
        before = site.ws.audit_log.latest(1)[0].number
        site.get("marketer", path)
        (entry,) = site.ws.audit_log.latest(1)
        assert entry.number == before + 1, path
        assert (entry.by, entry.act, entry.about, entry.customer) == ("marketer", act, about, customer)
    before = site.ws.audit_log.latest(1)[0].number
    for path in ("/customers/c-00000000000001", "/segments", "/definitions/buyers"):
        site.get("marketer", path)
    site.get("viewer", "/report")
    assert site.ws.audit_log.latest(1)[0].number == before, "nobody was seen"
    assert site.ws.audit_log.verify().broken == ()


class Full(AuditLog):
    """A log on a disk that is full."""

    def note(self, *_: Any, **__: Any) -> None:
        raise CannotWrite("The disk is full.")


def test_where_a_look_cannot_be_written_down_nobody_is_shown(site: Site) -> None:
    store = site.ws.store
    kept, store.audit_log = store.audit_log, Full(store._database, b"")
    try:
        answer = site.get("marketer", f"/customers/{short_code(site.key)}")
    finally:
        store.audit_log = kept
    assert answer.status_code == 503
    assert "K3" not in answer.text


def test_every_role_is_described_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    lines = {line.split("|")[1].strip(" `"): line for line in text.splitlines() if line.startswith("| `")}
    for pattern in (p for m, p in access.TABLE if m == "GET" and access.TABLE[m, p].roles):
        rule = access.TABLE["GET", pattern]
        marks = [cell.strip() == "✓" for cell in lines[pattern].split("|")[2:7]]
        assert marks == [role in rule.roles for role in ROLES], pattern
