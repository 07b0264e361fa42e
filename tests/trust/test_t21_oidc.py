"""T21: logging in through an identity provider, which answers here over real HTTP with real signatures; and everybody who cheats."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import itertools
import json
import logging
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

import kohort
from kohort.errors import WrongUsage
from kohort.model.oidc import provider_from
from kohort.store.identities import NotLetIn
from kohort.web.app import create
from kohort.web.attempts import FOR_AN_ADDRESS
from kohort.web.oidc.begun import SECONDS, Beginnings
from kohort.web.oidc.client import PAUSE_SECONDS, Client
from kohort.web.oidc.fetch import Fetch
from kohort.web.oidc.refused import Refused
from kohort.workspace.workspace import Workspace

PASSWORD = "plum kettle orbit sand"
BACK = "https://shop.example/login/oidc/back"
SECRET = "s3cret of:the client&"
ADDRESSES = itertools.count(1)
"""Every browser comes from another one: who tries too often from one has to wait."""
ANN = {"sub": "7f3a", "email": "ann@shop.example", "email_verified": True, "groups": ["bosses"]}
BOB = {"sub": "91bc", "email": "bob@shop.example", "email_verified": True, "groups": ["staff"]}
CAS = {"sub": "c4c4", "email": "cas@shop.example", "email_verified": True}


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return text(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jws(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    body = f"{text(json.dumps(header).encode())}.{text(json.dumps(claims).encode())}"
    return f"{body}.{text(sign(body.encode()))}"


class Key:
    """A key of a provider, or of somebody who would like to be one."""

    def __init__(self, kid: str, bits: int = 2048) -> None:
        self.kid, self.private = kid, rsa.generate_private_key(65537, bits)

    def sign(self, body: bytes) -> bytes:
        return self.private.sign(body, padding.PKCS1v15(), hashes.SHA256())

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        return jws({"alg": "RS256", "typ": "JWT", "kid": self.kid, **header}, claims, self.sign)

    @property
    def public(self) -> dict[str, Any]:
        n = self.private.public_key().public_numbers()
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": number(n.n), "e": number(n.e)}

    @property
    def pem(self) -> bytes:
        public = self.private.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Curve:
    """The same on P-256."""

    kid = "curve"

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())

    def sign(self, body: bytes) -> bytes:
        r, s = decode_dss_signature(self.private.sign(body, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, claims: dict[str, Any]) -> str:
        return jws({"alg": "ES256", "kid": self.kid}, claims, self.sign)

    @property
    def public(self) -> dict[str, Any]:
        n = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "kid": self.kid, "x": number(n.x), "y": number(n.y)}


class Quiet(ThreadingHTTPServer):
    """A server that says nothing of clients that hang up."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Provider:
    """A small OpenID provider on this machine. Whoever is `person` is logged in there."""

    def __init__(self, key: Key) -> None:
        self.key, self.first = key, key
        self.server = Quiet(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.begin()

    def begin(self) -> None:
        """As it is when nobody cheats."""
        self.key = self.first
        self.person: dict[str, Any] = dict(ANN)
        self.codes: dict[str, dict[str, str]] = {}
        self.bend: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.make: Callable[[dict[str, Any]], Any] = self.signed
        self.keys: Callable[[], Any] = lambda: {"keys": [self.key.public, {"kty": "oct", "k": "AAAA", "kid": "oct"}]}
        self.answer: Callable[[dict[str, Any]], tuple[int, Any]] = lambda said: (200, said)
        self.described: dict[str, Any] = {}
        self.checks_proof = True
        self.given: list[str] = []  # every code and token that left
        self.asked: list[str] = []

    def signed(self, claims: dict[str, Any]) -> str:
        return self.key.token(claims)

    def description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?realm=shop",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/leave",
            "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "HS256", "none"],
            "authorization_response_iss_parameter_supported": True,
            **self.described,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Where a browser of somebody who is logged in is sent."""
        assert (asked["redirect_uri"], asked["response_type"], asked["client_id"]) == (BACK, "code", "kohort")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        self.given.append(code)
        return f"{BACK}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def token(self, form: dict[str, str], credentials: str) -> tuple[int, Any]:
        """What is given for a code, once."""
        proven = base64.b64decode(credentials.removeprefix("Basic ")).decode()
        if proven != "kohort:s3cret+of%3Athe+client%26" and (form.get("client_id"), form.get("client_secret")) != (
            "kohort",
            SECRET,
        ):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form["code"], None)
        proof = text(hashlib.sha256(form["code_verifier"].encode()).digest())
        if asked is None or form["redirect_uri"] != BACK or (self.checks_proof and proof != asked["code_challenge"]):
            return 400, {"error": "invalid_grant", "error_description": "<b>no</b>"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "kohort", "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        said = {"access_token": secrets.token_urlsafe(), "token_type": "Bearer"}
        said["id_token"] = self.make(self.bend(claims | self.person))
        self.given += [str(said["access_token"]), str(said["id_token"])]
        return self.answer(said)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                where = urlsplit(self.path)
                provider.asked.append(where.path)
                if where.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorize(dict(parse_qsl(where.query))))
                    self.end_headers()
                elif where.path == "/.well-known/openid-configuration":
                    self.tell(200, provider.description())
                else:
                    self.tell(200, provider.keys())

            def do_POST(self) -> None:
                provider.asked.append(self.path)
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                self.tell(*provider.token(form, self.headers.get("Authorization", "")))

            def tell(self, status: int, said: Any) -> None:
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"{provider.issuer}/keys")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class Browser:
    """One browser: it keeps cookies, and goes where it is sent."""

    def __init__(self, app: Any, base: str = "https://shop.example", address: str | None = None) -> None:
        self.app, self.base = app, base
        self.address = address or f"2001:db8:{next(ADDRESSES):x}::1"
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

    def begin(self, page: str = "/login") -> str:
        """Follows the link of the login page; the address at the provider that it leads to."""
        (href,) = re.findall(r'href="(/login/oidc[^"]*)"', self.get(page).text)
        sent = self.get(unescape(href))
        assert sent.status_code == 303, sent.text
        return sent.headers["location"]

    def there(self, page: str = "/login") -> str:
        """Logs in at the provider; the address to which it sends the browser back."""
        where = urlsplit(self.begin(page))
        connection = http.client.HTTPConnection(where.netloc, timeout=10)
        try:
            connection.request("GET", f"{where.path}?{where.query}")
            answer = connection.getresponse()
            assert answer.status == 302
            return str(answer.headers["Location"])
        finally:
            connection.close()

    def log_in(self, page: str = "/login") -> httpx.Response:
        return self.get(self.there(page))

    @property
    def is_in(self) -> bool:
        return self.get("/segments").status_code == 200


class Site:
    """A workspace, its pages, and the provider that its people come from."""

    def __init__(self, folder: Path, provider: Provider, **said: str) -> None:
        self.provider = provider
        self.ws: Workspace = kohort.create(folder / "ws", name="Tea shop")
        self.environ = {
            "KOHORT_OIDC_ISSUER": provider.issuer,
            "KOHORT_OIDC_CLIENT_ID": "kohort",
            "KOHORT_OIDC_CLIENT_SECRET": SECRET,
            "KOHORT_OIDC_REDIRECT": BACK,
            "KOHORT_OIDC_LABEL": "Keys & Co",
            **said,
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environ.items():
                patch.setenv(name, value)
            self.app = create(self.ws)

    def browser(self) -> Browser:
        return Browser(self.app)

    def log_in(self, person: dict[str, Any]) -> httpx.Response:
        self.provider.person = dict(person)
        return self.browser().log_in()

    def log(self, n: int = 3) -> list[tuple[str, str, str]]:
        return [(e.by, e.act, e.about) for e in self.ws.audit_log.latest(n)]


ROLES = "claim=groups; bosses=administrator; staff=marketer; guests=viewer"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    made = Provider(Key("first"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def thief() -> Key:
    return Key("first")


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.begin()
    return running


@pytest.fixture
def site(tmp_path: Path, provider: Provider) -> Iterator[Site]:
    """Roles follow from groups."""
    made = Site(tmp_path, provider, KOHORT_OIDC_ROLES=ROLES)
    yield made
    made.ws.close()


@pytest.fixture
def named(tmp_path: Path, provider: Provider) -> Iterator[Site]:
    """Only people whom an administrator named; Dee has a password."""
    made = Site(tmp_path, provider)
    made.ws.users.add("Dee", "administrator", PASSWORD, by="test")
    made.ws.users.expect("Cas@Shop.example", "analyst", by="Dee")
    yield made
    made.ws.close()


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory, running: Provider) -> Iterator[Site]:
    """A site at which nobody gets in: for those who try."""
    made = Site(tmp_path_factory.mktemp("gate"), running, KOHORT_OIDC_ROLES=ROLES)
    yield made
    assert made.ws.users.list() == ()
    made.ws.close()


# -- the way there and back -----------------------------------------------------------------------------------------------


def test_the_whole_way_from_a_page_to_the_provider_and_back_to_that_page(site: Site) -> None:
    browser = site.browser()
    sent = browser.get("/segments?sort=growth")
    assert sent.headers["location"].startswith("/login?next="), "a provider means that everybody logs in"
    page = browser.get(sent.headers["location"]).text
    assert "Log in with Keys &amp; Co" in page
    done = browser.log_in(sent.headers["location"])
    assert (done.status_code, done.headers["location"]) == (303, "/segments?sort=growth")
    assert browser.is_in
    assert "kohort-begun" not in "".join(browser.cookies), "what began it has gone"
    assert site.log() == [
        ("ann@shop.example", "logged_in", "through Keys & Co"),
        ("the identity provider", "set_up", "ann@shop.example, administrator"),
    ]
    (user,) = site.ws.users.list()
    assert (user.name, user.role, user.provider, user.expected) == ("ann@shop.example", "administrator", True, False)


def test_what_is_asked_of_the_provider_is_exact_whatever_name_the_browser_used(site: Site) -> None:
    address = Browser(site.app, "https://evil.example").begin("/login?next=//evil.example/x")
    assert address.startswith(f"{site.provider.issuer}/authorize?realm=shop&")
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked["redirect_uri"] == BACK
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert asked["scope"].split() == ["openid", "email", "profile"]
    assert all(len(asked[name]) == 43 for name in ("state", "nonce", "code_challenge"))
    again = parse_qs(urlsplit(site.browser().begin()).query)
    assert all(again[name] != [asked[name]] for name in ("state", "nonce", "code_challenge"))


@pytest.mark.parametrize("onward", ["//evil.example", "https://evil.example", "/\\evil.example", "/login/oidc", "\x00"])
def test_nobody_is_sent_to_another_site_afterwards(site: Site, onward: str) -> None:
    done = site.browser().log_in(f"/login?{urlencode({'next': onward})}")
    assert done.headers["location"] == "/"


def test_another_site_begins_no_login(site: Site) -> None:
    answer = site.browser().ask("GET", "/login/oidc", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.headers["location"] == "/login"
    assert "set-cookie" not in answer.headers


def test_over_a_connection_that_others_can_read_nobody_logs_in(site: Site) -> None:
    browser = Browser(site.app, "http://10.0.0.5:8765")
    for path in ("/login/oidc", "/login/oidc/back?code=x&state=y"):
        assert browser.get(path).status_code == 403
        assert "not encrypted" in browser.get(path).text


def test_without_a_provider_the_addresses_lead_to_the_passwords(tmp_path: Path) -> None:
    with kohort.create(tmp_path / "ws") as ws:
        ws.users.add("Dee", "administrator", PASSWORD, by="test")
        browser = Browser(create(ws))
        for path in ("/login/oidc", "/login/oidc/back?code=x&state=y"):
            assert browser.get(path).headers["location"] == "/login"
        assert "Log in with" not in browser.get("/login").text


def test_logging_out_ends_the_session_here_and_says_where_it_goes_on(site: Site) -> None:
    browser = site.browser()
    browser.log_in()
    account = browser.get("/account").text
    assert "Your password is elsewhere" in account
    word = re.findall(r'action="/logout"><input type="hidden" name="word" value="(\w+)"', account)[0]
    out = browser.ask("POST", "/logout", data={"word": word})
    assert out.headers["location"] == "/login?out=yes"
    assert f'href="{site.provider.issuer}/leave?client_id=kohort"' in browser.get("/login?out=yes").text
    assert not browser.is_in
    assert site.log(1)[0][:2] == ("ann@shop.example", "logged_out")


def test_neither_tokens_nor_codes_nor_the_secret_are_kept(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site.log_in(ANN)
    site.provider.bend = lambda claims: {**claims, "aud": "other"}
    site.log_in(BOB)
    words = [*site.provider.given, SECRET]
    assert len(words) == 2 * 3 + 1
    files = [path.read_bytes() for path in site.ws.store.root.rglob("*") if path.is_file()]
    assert not [word for word in words for data in files if word.encode() in data]
    ours = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("kohort"))
    assert "nobody logged in" in ours
    assert not [word for word in words if word in ours]
    assert SECRET not in repr(provider_from(site.environ))


# -- who it is, and in which role -----------------------------------------------------------------------------------------


def test_roles_follow_the_provider_at_every_login_and_old_sessions_end(site: Site) -> None:
    site.log_in(ANN)
    site.provider.person = dict(BOB)
    bob = site.browser()
    assert bob.log_in().headers["location"] == "/"
    assert site.log()[1] == ("the identity provider", "user_added", "bob@shop.example, marketer")
    assert bob.get("/customers").status_code == 200
    assert site.log_in({**BOB, "groups": ["guests", "unknown"]}).status_code == 303
    assert site.log(2)[1] == ("the identity provider", "role_changed", "bob@shop.example, viewer")
    assert not bob.is_in, "the role was another one"
    gone = site.log_in({**BOB, "groups": ["unknown"]})
    assert gone.status_code == 403
    assert "give you no role here any more" in gone.text
    assert site.log(1) == [("", "login_failed", "Keys & Co: no role")]


def test_somebody_is_who_she_is_by_the_subject_and_not_by_her_name(site: Site) -> None:
    site.log_in(ANN)
    married = {**ANN, "email": "ann.berg@shop.example", "email_verified": False}
    assert site.log_in(married).status_code == 303
    assert [u.name for u in site.ws.users.list()] == ["ann@shop.example"]
    taken = site.log_in({**BOB, "email": "Ann@shop.example"})
    assert taken.status_code == 403
    assert "Somebody else is called Ann@shop.example here" in taken.text
    assert site.log(1) == [("", "login_failed", "Keys & Co: name taken")]


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes"])
def test_an_address_that_the_provider_does_not_vouch_for_makes_nobody(site: Site, verified: Any) -> None:
    answer = site.log_in({**ANN, "email_verified": verified})
    assert answer.status_code == 403
    assert "has not verified your e-mail address" in answer.text
    assert site.ws.users.list() == ()


def test_the_first_one_is_an_administrator_and_the_last_one_stays_it(site: Site) -> None:
    assert "The first one to log in here is an administrator" in site.log_in(BOB).text
    site.log_in(ANN)
    assert "You are the only administrator here" in site.log_in({**ANN, "groups": ["staff"]}).text
    assert [(u.name, u.role) for u in site.ws.users.list()] == [("ann@shop.example", "administrator")]


def test_who_is_named_comes_in_once_and_nobody_after_her_under_her_name(named: Site) -> None:
    assert [(u.name, u.expected) for u in named.ws.users.list()] == [("Cas@Shop.example", True), ("Dee", False)]
    assert "nobody has let you in here yet" in named.log_in(BOB).text
    assert "has not verified" in named.log_in({**CAS, "email_verified": False}).text
    alike = {**CAS, "sub": "somebody else", "email": "caſ@shop.example"}
    assert named.log_in(alike).status_code == 403, "a long s becomes an s where capitals do not matter"
    assert named.log_in(CAS).status_code == 303
    assert [a for _, a, _ in named.log()] == ["logged_in", "identity_linked", "login_failed"]
    assert [(u.role, u.expected) for u in named.ws.users.list()] == [("analyst", False), ("administrator", False)]
    late = {**CAS, "sub": "somebody who got her address later"}
    assert named.log_in(late).status_code == 403
    assert named.log_in({**CAS, "email": "cas.new@shop.example"}).status_code == 303
    named.ws.users.set_role("cas@shop.example", "viewer", by="Dee")
    assert named.log_in(CAS).status_code == 303
    assert named.ws.users.known("cas@shop.example").role == "viewer"
    named.ws.users.remove("cas@shop.example", by="Dee")
    assert named.log_in(CAS).status_code == 403
    assert named.ws.store.verify() == []


def test_nobody_becomes_somebody_who_has_a_password(named: Site) -> None:
    for person in ({**BOB, "email": "Dee"}, {**BOB, "email": "dee"}):
        assert named.log_in(person).status_code == 403
    assert named.ws.users.proven("Dee", PASSWORD)


def test_another_provider_knows_nobody_of_this_one(named: Site) -> None:
    users = named.ws.users
    users.arrive("https://one.example", "1", name="cas@shop.example", role=None)
    with pytest.raises(NotLetIn, match="not_named"):
        users.arrive("https://two.example", "1", name="cas@shop.example", role=None)
    with pytest.raises(NotLetIn, match="name_taken"):
        users.arrive("https://two.example", "1", name="cas@shop.example", role="administrator")


@pytest.mark.parametrize("password", ["", "nobody has this password", PASSWORD])
def test_no_password_opens_what_the_provider_guards(named: Site, password: str) -> None:
    browser = named.browser()
    (word,) = re.findall(r'name="word" value="(\w+)"', browser.get("/login").text)
    fields = {"word": word, "next": "/", "name": "Cas@Shop.example", "password": password}
    assert browser.ask("POST", "/login", data=fields).status_code == 403
    with pytest.raises(WrongUsage, match="has no password here"):
        named.ws.users.set_password("Cas@Shop.example", PASSWORD, by="Dee")


def test_who_gets_her_role_there_gets_none_here(site: Site) -> None:
    site.log_in(ANN)
    site.log_in(BOB)
    with pytest.raises(WrongUsage, match="follows from what the identity provider says"):
        site.ws.users.set_role("bob@shop.example", "analyst", by="Ann")


def test_an_administrator_names_somebody_on_the_page_of_settings(named: Site) -> None:
    browser = named.browser()
    (word,) = re.findall(r'name="word" value="(\w+)"', browser.get("/login").text)
    browser.ask("POST", "/login", data={"word": word, "next": "/", "name": "Dee", "password": PASSWORD})
    page = browser.get("/settings").text
    assert "has not come yet" in page
    word = re.findall(r'name="word" value="(\w+)"', page)[0]
    fields = {
        "word": word,
        "do": "add",
        "name": "bob@shop.example",
        "role": "viewer",
        "way": "provider",
        "password": "",
    }
    assert browser.ask("POST", "/settings/users", data=fields).headers["location"] == "/settings?done=expect"
    assert named.log_in(BOB).status_code == 303
    assert "Your password is elsewhere" not in browser.get("/account").text


# -- tokens that are not right --------------------------------------------------------------------------------------------

Bend = Callable[[dict[str, Any]], dict[str, Any]]
NOW = time.time()
CLAIMS: list[tuple[str, Bend]] = [
    ("token made for another login", lambda c: {**c, "nonce": "x" * 43}),
    ("token made for another login", lambda c: {**c, "nonce": 7}),
    ("token that leaves something out", lambda c: {k: v for k, v in c.items() if k != "nonce"}),
    ("token made for another program", lambda c: {**c, "aud": "other"}),
    ("token made for another program", lambda c: {**c, "aud": ["other"]}),
    ("token made for another program", lambda c: {**c, "aud": ["kohort", "other"]}),
    ("token made for another program", lambda c: {**c, "aud": ["kohort", "other"], "azp": "other"}),
    ("token made for another program", lambda c: {**c, "azp": "other"}),
    ("token that leaves something out", lambda c: {k: v for k, v in c.items() if k != "aud"}),
    ("token of another provider", lambda c: {**c, "iss": "https://evil.example"}),
    ("token of another provider", lambda c: {**c, "iss": c["iss"] + "/"}),
    ("token that leaves something out", lambda c: {k: v for k, v in c.items() if k != "iss"}),
    ("token that is over", lambda c: {**c, "exp": NOW - 90}),
    ("token that leaves something out", lambda c: {k: v for k, v in c.items() if k != "exp"}),
    ("token from the future", lambda c: {**c, "iat": NOW + 900}),
    ("token from the future", lambda c: {**c, "nbf": NOW + 900}),
    ("token that leaves something out", lambda c: {k: v for k, v in c.items() if k != "sub"}),
    ("token that does not say whose it is", lambda c: {**c, "sub": ""}),
    ("token that does not say whose it is", lambda c: {**c, "sub": "x" * 256}),
    ("token that cannot be read", lambda c: {**c, "exp": float("inf")}),
    ("token that cannot be read", lambda c: {**c, "exp": [1]}),
]


@pytest.mark.parametrize(("why", "bend"), CLAIMS, ids=[f"{n}-{why}" for n, (why, _) in enumerate(CLAIMS)])
def test_a_token_that_says_something_else_lets_nobody_in(gate: Site, provider: Provider, why: str, bend: Bend) -> None:
    provider.bend = bend
    check_refused(gate, why)


def check_refused(gate: Site, why: str) -> None:
    browser = gate.browser()
    answer = browser.log_in()
    assert answer.status_code in (403, 502)
    assert not browser.is_in
    assert gate.log(1) == [("", "login_failed", f"Keys & Co: {why}")]
    assert not [word for word in gate.provider.given if word in answer.text]
    assert "kohort=" not in answer.headers["set-cookie"]


def unsigned(claims: dict[str, Any], alg: str) -> str:
    return jws({"alg": alg, "kid": "first"}, claims, lambda body: b"")


def with_secret(claims: dict[str, Any], secret: bytes, **header: Any) -> str:
    return jws({"alg": "HS256", **header}, claims, lambda body: hmac.digest(secret, body, "sha256"))


def changed(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{text(json.dumps({**claims, 'groups': ['bosses']}).encode())}.{signature}"


TAKEN, UNKNOWN, WRONG, UNREAD = (
    "token signed in a way that is not taken",
    "token signed with a key that the provider does not show",
    "token with a wrong signature",
    "token that cannot be read",
)
DEEP = b'{"alg":' + b"[" * 9_000
FORGED: dict[str, tuple[str, Callable[[Provider, Key, dict[str, Any]], Any]]] = {
    "not signed": (TAKEN, lambda p, t, c: unsigned(c, "none")),
    "not signed, in capitals": (TAKEN, lambda p, t, c: unsigned(c, "NonE")),
    "no algorithm": (TAKEN, lambda p, t, c: jws({"kid": "first"}, c, p.key.sign)),
    "a list of algorithms": (UNREAD, lambda p, t, c: jws({"alg": ["RS256"]}, c, p.key.sign)),
    "its public key as a secret": (TAKEN, lambda p, t, c: with_secret(c, p.key.pem, kid="first")),
    "its public key as JSON as a secret": (TAKEN, lambda p, t, c: with_secret(c, json.dumps(p.key.public).encode())),
    "our own secret": (TAKEN, lambda p, t, c: with_secret(c, SECRET.encode())),
    "a shared key that it shows": (TAKEN, lambda p, t, c: with_secret(c, b"\0\0\0", kid="oct")),
    "the key of a thief": (WRONG, lambda p, t, c: t.token(c)),
    "the key of a thief under another name": (UNKNOWN, lambda p, t, c: t.token(c, kid="mine")),
    "the key of a thief, brought along": (WRONG, lambda p, t, c: t.token(c, jwk=t.public)),
    "the key of a thief, from elsewhere": (WRONG, lambda p, t, c: t.token(c, jku="https://evil.example/keys")),
    "a key of another kind": (UNKNOWN, lambda p, t, c: p.key.token(c, alg="ES256")),
    "another algorithm than the key is for": (UNKNOWN, lambda p, t, c: p.key.token(c, alg="PS256")),
    "changed afterwards": (WRONG, lambda p, t, c: changed(p.key.token({**c, "groups": []}))),
    "without its signature": (WRONG, lambda p, t, c: p.key.token(c).rpartition(".")[0] + "."),
    "with something that it must understand": (UNREAD, lambda p, t, c: p.key.token(c, crit=["x"], x=1)),
    "one dot": (UNREAD, lambda p, t, c: "a.b"),
    "very deep": (UNREAD, lambda p, t, c: text(DEEP) + ".e30.AA"),
    "very long": ("token too long", lambda p, t, c: "a" * 70_000),
    "none": ("gave no token of who it is", lambda p, t, c: None),
    "a number": ("gave no token of who it is", lambda p, t, c: 7_182_936_451),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_token_lets_nobody_in(gate: Site, provider: Provider, thief: Key, what: str) -> None:
    why, make = FORGED[what]
    provider.make = lambda claims: make(provider, thief, claims)
    check_refused(gate, why)


def test_a_key_that_can_be_broken_is_none(gate: Site, provider: Provider) -> None:
    provider.key = Key("short", 1024)
    with pytest.raises(Refused, match="too short"):
        Bare(gate).log_in()


# -- logins that are not one's own ----------------------------------------------------------------------------------------


def test_what_came_back_once_does_not_come_back_again(site: Site) -> None:
    browser = site.browser()
    back = browser.there()
    kept = httpx.Cookies(browser.cookies)
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 400, "the browser has forgotten it"
    thief = site.browser()
    thief.cookies = kept
    again = thief.get(back)
    assert again.status_code == 400
    assert "Begin again" in again.text
    assert not thief.is_in
    assert site.log(1)[0][2] == "Keys & Co: came back a second time"


def test_nobody_ends_a_login_that_another_browser_began(site: Site) -> None:
    mine, other = site.browser(), site.browser()
    back = mine.there()
    assert other.get(back).status_code == 400
    assert site.log(1)[0][2] == "Keys & Co: not begun in this browser"
    other.begin()
    assert other.get(back).status_code == 400
    assert site.log(1)[0][2] == "Keys & Co: state of another login"
    assert not other.is_in
    assert len(site.provider.codes) == 1, "the code was not even tried"
    assert mine.get(back).status_code == 303


@pytest.mark.parametrize("checks", [True, False])
def test_a_stolen_code_is_worth_nothing_in_another_login(gate: Site, provider: Provider, checks: bool) -> None:
    """Also where the provider does not ask for the proof: then the token is of another login."""
    provider.checks_proof = checks
    victim, thief = gate.browser(), gate.browser()
    stolen = parse_qs(urlsplit(victim.there()).query)["code"][0]
    own = dict(parse_qsl(urlsplit(thief.there()).query))
    answer = thief.get(f"/login/oidc/back?{urlencode({**own, 'code': stolen})}")
    assert answer.status_code == 403
    assert not thief.is_in
    why = "took the code for no token: invalid_grant" if checks else "token made for another login"
    assert gate.log(1) == [("", "login_failed", f"Keys & Co: {why}")]


@pytest.mark.parametrize("change", [lambda c: c[:-1] + ("A" if c[-1] != "A" else "B"), lambda c: "x" + c, lambda c: ""])
def test_what_the_browser_keeps_cannot_be_changed(gate: Site, provider: Provider, change: Callable[[str], str]) -> None:
    browser = gate.browser()
    back = browser.there("/login?next=/segments")
    kept = browser.cookies["__Host-kohort-begun"]
    browser.cookies.clear()
    browser.cookies.set("__Host-kohort-begun", change(kept), domain="shop.example")
    assert browser.get(back).status_code == 400


def test_a_login_ends_within_ten_minutes_or_not_at_all() -> None:
    now = [1_000.0]
    logins = Beginnings(bytes(32), lambda: now[0])
    begun, late = logins.begin("/x"), logins.begin("/y")
    now[0] += SECONDS
    assert logins.end(begun.cookie, begun.state).onward == "/x"
    now[0] += 1
    with pytest.raises(Refused, match="too long ago"):
        logins.end(late.cookie, late.state)
    with pytest.raises(Refused, match="another login"):
        Beginnings(bytes(31) + b"1").end(begun.cookie, begun.state)


def test_somebody_sent_back_by_another_provider_is_refused(gate: Site, provider: Provider) -> None:
    for changed in ({"iss": "https://evil.example"}, {"iss": ""}):
        browser = gate.browser()
        said = dict(parse_qsl(urlsplit(browser.there()).query)) | changed
        assert browser.get(f"/login/oidc/back?{urlencode(said)}").status_code == 403
        assert gate.log(1)[0][2] == "Keys & Co: sent back by another provider"
    assert "/token" not in provider.asked


def test_who_is_not_let_in_there_is_told_so_and_nothing_sent_is_shown_or_kept(gate: Site, provider: Provider) -> None:
    for error, why in (("access_denied", "access_denied"), ("<script>alert(1)", "an error of its own")):
        browser = gate.browser()
        said = dict(parse_qsl(urlsplit(browser.there()).query)) | {"error": error, "error_description": "<i>hm</i>"}
        answer = browser.get(f"/login/oidc/back?{urlencode(said)}")
        assert answer.status_code == 403
        assert "Keys &amp; Co has not let you in" in answer.text
        assert "alert(1)" not in answer.text
        assert "hm" not in re.findall(r'role="alert">(.*?)</div>', answer.text, re.DOTALL)[0].split()
        assert gate.log(1) == [("", "login_failed", f"Keys & Co: {why}")]


def test_who_tries_too_often_waits(gate: Site, provider: Provider) -> None:
    browser = Browser(gate.app, address="198.51.100.9")
    codes = [browser.get("/login/oidc/back?code=x&state=y").status_code for _ in range(FOR_AN_ADDRESS + 1)]
    assert codes == [400] * FOR_AN_ADDRESS + [429]
    assert gate.browser().get("/login/oidc/back?code=x&state=y").status_code == 400


# -- a provider that is not well ------------------------------------------------------------------------------------------


class Bare:
    """The client alone, with a clock that is moved by hand."""

    def __init__(self, site: Site) -> None:
        self.now = 0.0
        settings = provider_from(site.environ)
        assert settings is not None
        self.provider, self.client = site.provider, Client(settings, clock=lambda: self.now)
        self.logins = Beginnings(bytes(32))

    def log_in(self) -> dict[str, Any]:
        begun = self.logins.begin("/")
        asked = dict(parse_qsl(urlsplit(self.client.address(begun)).query))
        back = parse_qs(urlsplit(self.provider.authorize(asked)).query)
        return self.client.claims(back["code"][0], begun)


def test_clocks_may_differ_by_a_minute(gate: Site, provider: Provider) -> None:
    provider.bend = lambda claims: {**claims, "exp": int(time.time()) - 40, "iat": int(time.time()) + 40}
    assert Bare(gate).log_in()["sub"] == ANN["sub"]


def test_keys_are_asked_for_once_and_again_when_there_is_a_new_one(gate: Site, provider: Provider, thief: Key) -> None:
    client = Bare(gate)
    for _ in range(3):
        client.log_in()
    assert (provider.asked.count("/keys"), provider.asked.count("/.well-known/openid-configuration")) == (1, 1)
    provider.key = thief
    thief.kid = "second"
    try:
        with pytest.raises(Refused, match="does not show"):
            client.log_in()
        client.now += PAUSE_SECONDS + 1
        assert client.log_in()["sub"] == ANN["sub"]
    finally:
        thief.kid = "first"
    assert provider.asked.count("/keys") == 2


def test_other_signatures_that_only_the_provider_can_make_are_taken(gate: Site, provider: Provider) -> None:
    curve = Curve()
    provider.keys, provider.make = lambda: {"keys": [curve.public]}, curve.token
    assert Bare(gate).log_in()["sub"] == ANN["sub"]
    provider.begin()
    both = lambda c: jws({"alg": "PS256"}, c, lambda body: provider.key.private.sign(body, PSS, hashes.SHA256()))  # noqa: E731
    provider.keys, provider.make = lambda: {"keys": [{**provider.key.public, "alg": "PS256"}]}, both
    assert Bare(gate).log_in()["sub"] == ANN["sub"]


def test_we_prove_ourselves_in_the_form_where_the_provider_wants_that(gate: Site, provider: Provider) -> None:
    provider.described = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert Bare(gate).log_in()["sub"] == ANN["sub"]


def test_a_provider_out_there_has_no_door_on_this_machine(gate: Site, provider: Provider) -> None:
    class Said(Fetch):
        def get(self, url: str) -> dict[str, Any]:
            return {**provider.description(), "issuer": "https://id.example"}

    settings = provider_from({**gate.environ, "KOHORT_OIDC_ISSUER": "https://id.example"})
    assert settings is not None
    with pytest.raises(Refused, match="where its doors are"):
        Client(settings, Said()).described()


PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)

ILL: list[tuple[str, dict[str, Any]]] = [
    ("calls itself otherwise", {"issuer": "https://evil.example"}),
    ("calls itself otherwise", {"issuer": None}),
    ("where its doors are", {"token_endpoint": "http://evil.example/token"}),
    ("where its doors are", {"authorization_endpoint": "javascript:alert(1)"}),
    ("where its doors are", {"jwks_uri": "file:///etc/passwd"}),
    ("where its doors are", {"jwks_uri": None}),
    ("signs in no way that is taken", {"id_token_signing_alg_values_supported": ["HS256", "none"]}),
]


@pytest.mark.parametrize(("why", "described"), ILL)
def test_a_provider_that_describes_itself_wrongly_is_not_believed(
    gate: Site, provider: Provider, why: str, described: dict[str, Any]
) -> None:
    provider.described = described
    with pytest.raises(Refused, match=why):
        Bare(gate).log_in()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((302, {}), "took the code for no token: an error of its own"),
        ((200, b"<html>"), "answered 200 and no JSON object"),
        ((200, b"[1]"), "answered 200 and no JSON object"),
        ((200, b"[" * 100_000), "answered 200 and no JSON object"),
        ((200, b" " * 600_000), "does not answer"),
        ((500, {"error": "<b>boom</b>"}), "took the code for no token: an error of its own"),
        ((401, {"error": "invalid_client"}), "took the code for no token: invalid_client"),
    ],
)
def test_an_answer_that_is_no_token_lets_nobody_in(gate: Site, provider: Provider, answer: Any, why: str) -> None:
    provider.answer = lambda said: answer
    with pytest.raises(Refused, match=re.escape(why)):
        Bare(gate).log_in()
    assert "/keys" not in provider.asked, "a redirect is not followed"


def test_while_the_provider_is_away_passwords_still_open_the_door(named: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        nowhere = f"http://127.0.0.1:{closed.server_port}"
    for name, value in {**named.environ, "KOHORT_OIDC_ISSUER": nowhere}.items():
        monkeypatch.setenv(name, value)
    browser = Browser(create(named.ws))
    for _ in range(2):
        answer = browser.get("/login/oidc?next=/segments")
        assert answer.status_code == 502
        assert "Keys &amp; Co does not answer as it should" in answer.text
    (word,) = re.findall(r'name="word" value="(\w+)"', answer.text)
    fields = {"word": word, "next": "/segments", "name": "Dee", "password": PASSWORD}
    assert browser.ask("POST", "/login", data=fields).headers["location"] == "/segments"
