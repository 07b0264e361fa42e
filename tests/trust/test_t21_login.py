"""T21: the way in. Passwords, sessions, forms of other sites, guessing, and what is open while there is no user."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

import kohort
from kohort.model.serving import FIRST_VARIABLE, is_encrypted_or_here, word_digest
from kohort.web.app import create
from kohort.web.attempts import FOR_A_NAME, FOR_AN_ADDRESS, Attempts
from kohort.web.login_pages import own_address
from kohort.web.middleware import HEADERS
from kohort.workspace.workspace import Workspace

PASSWORD = "plum kettle orbit sand"
OTHER = "seven green ladders hum"


class Browser:
    """One browser: it keeps cookies, and fills in forms as they stand on pages."""

    def __init__(self, app: ASGIApp, base: str = "https://shop.example", address: str = "192.0.2.7") -> None:
        self.app, self.base, self.address = app, base, address
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(self.address, 1))
            async with httpx.AsyncClient(transport=transport, base_url=self.base, cookies=self.cookies) as client:
                answer = await client.request(method, path, **more)
                self.cookies = client.cookies
                return answer

        return asyncio.run(sent())

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", path)

    def send(self, page: str, action: str, **fields: str) -> httpx.Response:
        """Sends the form of a page that leads to `action`."""
        (inside,) = re.findall(
            rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', self.get(page).text, re.DOTALL
        )[:1]
        hidden = {n: unescape(v) for n, v in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', inside)}
        return self.ask("POST", action, data={**hidden, **fields})

    def log_in(self, name: str, password: str, page: str = "/login") -> httpx.Response:
        return self.send(page, "/login", name=name, password=password)

    @property
    def is_in(self) -> bool:
        return self.get("/segments").status_code == 200


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    with kohort.create(tmp_path / "ws", name="Tea shop") as made:
        yield made


@pytest.fixture
def ann(ws: Workspace) -> Workspace:
    """A workspace with one user."""
    ws.users.add("Ann", "administrator", PASSWORD, by="test")
    return ws


def acts(ws: Workspace, n: int = 3) -> list[tuple[str, str]]:
    return [(entry.by, entry.act) for entry in ws.audit_log.latest(n)]


# -- before there is a user -----------------------------------------------------------------------------------------------


def test_without_users_the_pages_of_this_machine_are_open_and_say_so(ws: Workspace) -> None:
    here = Browser(create(ws), "http://127.0.0.1:8765")
    page = here.get("/segments")
    assert page.status_code == 200
    assert "No login yet:" in page.text
    assert here.get("/login").headers["location"] == "/"
    assert ws.audit_log.latest() == []


def test_without_users_nothing_leaves_the_machine_however_it_was_started(ws: Workspace) -> None:
    for base in ("http://10.0.0.5:8765", "https://192.0.2.1", "http://[2001:db8::1]:8765"):
        answer = Browser(create(ws), base).get("/segments")
        assert answer.status_code == 403
        assert "kohort users add" in answer.text
        assert "no-store" in answer.headers["cache-control"]


def test_the_first_user_comes_with_the_word_of_the_terminal(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FIRST_VARIABLE, word_digest("ABCD-EFGH-JKLM-NPQR"))
    browser = Browser(create(ws, login=True))
    assert browser.get("/segments").headers["location"].startswith("/login?next=")
    assert browser.get("/login").headers["location"] == "/set-up"
    new = {"name": "Ann", "password": PASSWORD, "again": PASSWORD}
    assert browser.send("/set-up", "/set-up", first="ABCD-EFGH-JKLM-NPQS", **new).status_code == 403
    assert browser.send("/set-up", "/set-up", first="abcd efgh jklm npqr", **{**new, "again": OTHER}).status_code == 400
    assert browser.send("/set-up", "/set-up", first="abcd efgh jklm npqr", **new).headers["location"] == "/"
    assert browser.is_in
    assert [(u.name, u.role) for u in ws.users.list()] == [("Ann", "administrator")]
    assert acts(ws, 2) == [("Ann", "logged_in"), ("Ann", "set_up")]
    assert Browser(create(ws, login=True)).get("/set-up").headers["location"] == "/login", "it was used"


def test_without_a_word_the_page_says_how_the_first_one_is_let_in(ws: Workspace) -> None:
    page = Browser(create(ws, login=True)).get("/set-up")
    assert "kohort users add" in page.text
    assert "<form" not in page.text


# -- the way in and out ---------------------------------------------------------------------------------------------------


def test_who_logs_in_comes_to_where_she_wanted_to_go(ann: Workspace) -> None:
    browser = Browser(create(ann))
    sent = browser.get("/segments?sort=growth")
    assert sent.headers["location"] == "/login?next=%2Fsegments%3Fsort%3Dgrowth"
    wrong = browser.log_in("Ann", OTHER)
    assert wrong.status_code == 403
    assert "Name or password is not right" in wrong.text
    assert OTHER not in wrong.text
    done = browser.log_in("ann", PASSWORD, sent.headers["location"])
    assert done.headers["location"] == "/segments?sort=growth"
    assert browser.is_in
    assert "No login yet" not in browser.get("/").text
    assert browser.send("/account", "/logout").headers["location"] == "/login"
    assert not browser.is_in
    assert acts(ann, 3) == [("Ann", "logged_out"), ("Ann", "logged_in"), ("", "login_failed")]


@pytest.mark.parametrize(
    "asked",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "evil",
        "",
        "/a\nb",
        "/login",
        "/é",
        "/" + "x" * 2_000,
    ],
)
def test_nobody_is_sent_to_another_site(asked: str) -> None:
    assert own_address(asked) == "/"


def test_cookies_are_closed_to_scripts_other_sites_and_plain_connections(ann: Workspace) -> None:
    given = Browser(create(ann)).log_in("Ann", PASSWORD).headers.get_list("set-cookie")
    assert len(given) == 2
    for line in given:
        parts = {part.strip() for part in line.split(";")[1:]}
        assert line.startswith("__Host-kohort")
        assert {"Path=/", "HttpOnly", "SameSite=Lax", "Secure"} <= parts
        assert not any(part.startswith("Domain") for part in parts)
    here = Browser(create(ann), "http://localhost:8765").log_in("Ann", PASSWORD).headers.get_list("set-cookie")
    assert [line.partition("=")[0] for line in here] == ["kohort", "kohort-browser"]
    assert not any("Secure" in line for line in here)


def test_nobody_logs_in_over_a_connection_that_others_can_read(ann: Workspace) -> None:
    browser = Browser(create(ann), "http://shop.example")
    page = browser.get("/login")
    assert page.status_code == 403
    assert "not encrypted" in page.text
    assert "<form" not in page.text
    assert is_encrypted_or_here("http", "127.0.0.1:8765")
    assert not is_encrypted_or_here("http", "127.0.0.1.evil.example")


def test_answers_over_https_keep_the_browser_there_and_all_keep_the_policy(ann: Workspace) -> None:
    browser = Browser(create(ann))
    for answer in (browser.get("/login"), browser.get("/"), browser.log_in("Ann", OTHER), browser.get("/nothing")):
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "max-age" in answer.headers["strict-transport-security"]
        assert not re.search(r"<script(?! src)|style=|\son\w+=", answer.text)


def test_a_name_that_is_a_script_stays_text(ann: Workspace) -> None:
    page = Browser(create(ann)).log_in("<script>alert(1)</script>", OTHER)
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


# -- sessions -------------------------------------------------------------------------------------------------------------


def test_an_ended_session_is_over_at_once_whoever_ends_it(ann: Workspace) -> None:
    ann.users.add("Bob", "viewer", OTHER, by="test")
    app = create(ann)

    def bob(password: str = OTHER) -> Browser:
        browser = Browser(app)
        browser.log_in("Bob", password)
        assert browser.is_in
        return browser

    one = bob()
    ann.users.set_role("Bob", "analyst", by="test")
    assert not one.is_in
    two = bob()
    ann.users.set_password("Bob", PASSWORD, by="test")
    assert not two.is_in
    three, four = bob(PASSWORD), bob(PASSWORD)
    assert three.send("/account", "/account/sessions").headers["location"] == "/account?done=sessions"
    assert (three.is_in, four.is_in) == (True, False)
    ann.users.remove("Bob", by="test")
    assert not three.is_in
    assert not Browser(app).log_in("Bob", PASSWORD).headers.get("location")


def test_another_login_gives_another_token_and_the_old_one_is_dead(ann: Workspace) -> None:
    browser = Browser(create(ann))
    browser.log_in("Ann", PASSWORD)
    old = httpx.Cookies(browser.cookies)
    ann.store.sessions.begin("Ann", instead_of=old["__Host-kohort"])
    thief = Browser(browser.app)
    thief.cookies = old
    assert not thief.is_in


def test_her_own_password_is_changed_with_the_one_she_has(ann: Workspace) -> None:
    app = create(ann)
    browser, other = Browser(app), Browser(app)
    for one in (browser, other):
        one.log_in("Ann", PASSWORD)
    change = {"new": OTHER, "again": OTHER}
    assert browser.send("/account", "/account/password", password=OTHER, **change).status_code == 400
    assert (
        browser.send("/account", "/account/password", password=PASSWORD, new="short", again="short").status_code == 400
    )
    done = browser.send("/account", "/account/password", password=PASSWORD, **change)
    assert done.headers["location"] == "/account?done=password"
    assert (browser.is_in, other.is_in) == (True, False)
    assert ann.users.proven("Ann", OTHER)
    assert not ann.users.proven("Ann", PASSWORD)


# -- forms of other sites -------------------------------------------------------------------------------------------------


def test_no_form_is_taken_without_the_word_of_its_session(ann: Workspace) -> None:
    ann.users.add("Bob", "administrator", OTHER, by="test")
    app = create(ann)
    mine, theirs, stranger = Browser(app), Browser(app), Browser(app)
    mine.log_in("Ann", PASSWORD)
    theirs.log_in("Bob", OTHER)

    def word(browser: Browser, page: str) -> str:
        return re.findall(r'name="word" value="(\w+)"', browser.get(page).text)[0]

    words = [word(mine, "/account"), word(theirs, "/account"), word(stranger, "/login")]
    assert len(set(words)) == 3
    for path in ("/logout", "/account/password", "/account/sessions", "/customers", "/identity", "/identity/undo"):
        for wrong in ("", "guessed", *words[1:]):
            assert mine.ask("POST", path, data={"word": wrong, "who": "x"}).status_code == 400, path
        foreign = mine.ask("POST", path, data={"word": words[0]}, headers={"Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 400, path
    assert mine.is_in
    assert stranger.ask("POST", "/login", data={"name": "Ann", "password": PASSWORD}).status_code == 400


def test_nothing_changes_by_looking(ann: Workspace) -> None:
    browser = Browser(create(ann))
    browser.log_in("Ann", PASSWORD)
    for path in ("/logout", "/account/password", "/account/sessions", "/identity/undo"):
        assert browser.get(path).status_code in (404, 405)
    assert browser.is_in


def test_decisions_carry_the_name_of_who_decided(ann: Workspace, tmp_path: Path) -> None:
    from kohort.store.merges import Pair

    (tmp_path / "orders.csv").write_text(
        "order_id,customer_id,order_date,product,quantity,price\n"
        "o1,K1,2026-01-01,tea,1,5\no2,K2,2026-01-02,tea,1,5\no3,K3,2026-01-02,tea,1,5\n"
    )
    ann.ingest(tmp_path / "orders.csv", kind="orders")
    keys = [int(key) for key in ann.store.vault.known(["K1", "K2", "K3"])]
    asked = [Pair(keys[0], keys[1], "likely", 0.5), Pair(keys[0], keys[2], "likely", 0.6)]
    ann.store.merges.publish([], asked, ts=1, by="run", at=2, run=ann.store.merges.begin_run())
    browser = Browser(create(ann))
    browser.log_in("Ann", PASSWORD)
    assert browser.send("/identity", "/identity", say="same").status_code == 303
    assert ann.identity.log()["decisions"][-1]["by"] == "Ann"
    assert browser.send("/identity", "/identity/undo").status_code == 303
    assert ann.identity.log()["decisions"][-1]["by"] == "Ann"
    assert {act for _, act in acts(ann, 8)} >= {"said_one_customer", "took_back", "looked_at_members"}
    assert "Said: one customer" in browser.get("/audit-log").text


# -- guessing -------------------------------------------------------------------------------------------------------------


def test_strangers_guess_ten_times_and_lock_nobody_out(ann: Workspace) -> None:
    app = create(ann)
    hers = Browser(app)
    hers.log_in("Ann", PASSWORD)
    hers.send("/account", "/logout")
    codes = [Browser(app, address=f"198.51.100.{n}").log_in("ANN", OTHER).status_code for n in range(FOR_A_NAME + 5)]
    assert codes == [403] * FOR_A_NAME + [429] * 5
    late = Browser(app).log_in("Ann", PASSWORD)
    assert late.status_code == 429, "the right password of a strange browser is not looked at"
    assert int(late.headers["retry-after"]) > 0
    assert hers.log_in("Ann", PASSWORD).status_code == 303, "a browser that is known has attempts of its own"
    failed = [act for _, act in acts(ann, 40) if act == "login_failed"]
    assert len(failed) == FOR_A_NAME


def test_a_mark_of_another_browser_or_of_an_older_password_is_worth_nothing(ann: Workspace) -> None:
    app = create(ann)
    hers = Browser(app)
    hers.log_in("Ann", PASSWORD)
    ann.users.set_password("Ann", OTHER, by="test")
    for _ in range(FOR_A_NAME):
        Browser(app).log_in("Ann", PASSWORD)
    assert hers.log_in("Ann", OTHER).status_code == 429


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_attempts_are_counted_exactly_and_come_back_after_their_time() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for address in range(3):
        for n in range(FOR_AN_ADDRESS):
            clock.now += 1
            assert attempts.take([(f"name {address} {n}", FOR_A_NAME), (f"address {address}", FOR_AN_ADDRESS)]) == 0
        assert attempts.take([("name x", FOR_A_NAME), (f"address {address}", FOR_AN_ADDRESS)]) > 0
    limits = [("name y", 2)]
    first = clock.now
    assert [attempts.take(limits) for _ in range(3)] == [0, 0, 900]
    clock.now = first + 899
    assert attempts.take(limits) == 1
    clock.now = first + 900
    assert attempts.take(limits) == 0
    attempts.give_back(limits)
    assert [attempts.take(limits) for _ in range(3)] == [0, 0, 900]


def test_full_of_attempts_it_forgets_none_that_counts() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for n in range(20_000):
        attempts.take([(f"name {n}", 1)])
    assert attempts.take([("name 0", 1)]) > 0
    assert attempts.take([("one more", 1)]) > 0
    clock.now += 901
    assert attempts.take([("one more", 1)]) == 0


def test_a_hundred_logins_at_once_leave_the_pages_room(ann: Workspace) -> None:
    app = create(ann)
    word = re.findall(r'name="word" value="(\w+)"', Browser(app).get("/login").text)[0]

    async def crowd() -> tuple[list[int], int]:
        def client(n: int) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app, client=(f"198.51.100.{n}", 1))
            return httpx.AsyncClient(transport=transport, base_url="https://shop.example")

        async def one(n: int) -> int:
            async with client(n) as mine:
                fields = {"word": word, "name": f"nobody {n}", "password": OTHER}
                return (await mine.post("/login", data=fields)).status_code

        logins = [asyncio.ensure_future(one(n)) for n in range(100)]
        await asyncio.sleep(0)
        async with client(200) as reader:
            page = (await reader.get("/login")).status_code
            done = sum(login.done() for login in logins)
        assert page == 200
        return await asyncio.gather(*logins), done

    codes, done = asyncio.run(crowd())
    assert set(codes) == {403}
    assert done < 50, "the reader did not wait for them"


# -- whatever the store says ----------------------------------------------------------------------------------------------


def test_health_answers_without_asking_who_it_is(ann: Workspace) -> None:
    stranger = Browser(create(ann))
    assert stranger.get("/health").json() == {"status": "ok"}
    assert stranger.get("/ready").status_code == 200
    assert stranger.get("/static/style.css").status_code == 200


def test_the_guard_stands_before_whatever_an_application_answers(ann: Workspace) -> None:
    from kohort.web.guard import Guard

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("nobody should come here")

    app = create(ann)
    guard = Guard(inside, ann.store, lambda *_: app.state.nothing, insist=False)

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app
        await guard(scope, receive, send)

    assert Browser(outer).get("/segments").status_code == 303
