"""API keys: shown once, kept as a hash, good for their scope only, and refused soon after they are revoked."""

import base64
from urllib.parse import quote

import pytest

import kohort
from kohort.errors import NotFound, WrongUsage
from kohort.store.api_keys import ApiKeys


@pytest.fixture
def store(tmp_path):
    with kohort.create(tmp_path / "shop") as ws:
        yield ws.store


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_found_by_its_text_and_only_for_its_scope(store):
    texts = {scope: store.api_keys.add(f"my {scope}", scope) for scope in ("ingest", "read", "admin")}
    may = {(who, what) for who, text in texts.items() for what in texts if store.api_keys.find(text, what)}
    assert may == {("ingest", "ingest"), ("read", "read"), ("admin", "admin"), ("admin", "read")}


def test_a_key_passes_through_urls_and_basic_credentials_as_it_is(store):
    text = store.api_keys.add("shop", "ingest")
    assert quote(text, safe="") == text
    assert base64.b64decode(base64.b64encode(f"{text}:".encode())).decode().split(":") == [text, ""]
    assert len(text.partition(".")[2]) >= 43  # 256 bits


def test_the_text_of_a_key_is_stored_nowhere(store):
    text = store.api_keys.add("shop", "ingest")
    secret = text.partition(".")[2].encode()
    files = [p for p in store.root.rglob("*") if p.is_file()]
    assert files
    assert not [p.name for p in files if secret in p.read_bytes()]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"),
        lambda t: t[:5] + ("0" if t[5] != "0" else "1") + t[6:],
        lambda t: t + "A",
        lambda t: t[:-1],
        lambda t: t.partition(".")[0],
        lambda t: t.upper(),
        lambda t: " " + t,
        lambda t: t + "\n",
        lambda t: "",
        lambda t: "\ud800" * 63,
    ],
)
def test_a_changed_text_is_no_key(store, change):
    assert store.api_keys.find(change(store.api_keys.add("shop", "ingest")), "ingest") is None


def test_a_revoked_key_is_refused_at_once_here_and_within_a_second_elsewhere(store):
    clock = Clock()
    elsewhere = ApiKeys(store._database, clock)
    text = store.api_keys.add("shop", "ingest")
    assert elsewhere.find(text, "ingest")
    store.api_keys.revoke("shop", now=77)
    assert store.api_keys.find(text, "ingest") is None
    clock.now += 1
    assert elsewhere.find(text, "ingest") is None
    assert elsewhere.known(text).revoked_us == 77


def test_a_new_key_is_known_elsewhere_within_a_second(store):
    clock = Clock()
    elsewhere = ApiKeys(store._database, clock)
    assert elsewhere.known("kh_" + "0" * 16 + "." + "A" * 43) is None
    text = store.api_keys.add("shop", "ingest")
    clock.now += 1
    assert elsewhere.find(text, "ingest")


def test_keys_are_listed_without_their_secret_and_a_revoked_name_is_free_again(store):
    first = store.api_keys.add("shop", "ingest", now=5)
    store.api_keys.add("app", "read", now=6)
    assert [(k.name, k.scope, k.created_us, k.revoked_us) for k in store.api_keys.list()] == [
        ("app", "read", 6, None),
        ("shop", "ingest", 5, None),
    ]
    with pytest.raises(WrongUsage):
        store.api_keys.add("shop", "ingest")
    store.api_keys.revoke("shop")
    store.api_keys.revoke("shop")
    second = store.api_keys.add("shop", "read")
    assert store.api_keys.known(first) is None
    assert store.api_keys.find(second, "read").name == "shop"
    assert store.verify() == []


@pytest.mark.parametrize("name", ["", " shop", "kafka:orders", "a/b", "x" * 101, "a\nb", "_x"])
def test_names_that_cannot_be_a_source_are_refused(store, name):
    with pytest.raises(WrongUsage):
        store.api_keys.add(name, "ingest")


def test_an_unknown_scope_or_name_says_what_there_is(store):
    with pytest.raises(WrongUsage, match="ingest, read, admin"):
        store.api_keys.add("shop", "write")
    store.api_keys.add("shop", "ingest")
    with pytest.raises(NotFound, match="Did you mean 'shop'"):
        store.api_keys.revoke("shap")
