"""People who log in: who may be one, what is kept of a password, and how long a session lasts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kohort.errors import NotFound, WrongUsage
from kohort.model.access import ROLES
from kohort.store import create_store, schema
from kohort.store.passwords import check_password, hashed, matches
from kohort.store.sessions import GRACE_US, IDLE_US, LONGEST_US, NOTE_US, TURN_US
from kohort.store.store import Store

PASSWORD = "plum kettle orbit sand"
OTHER = "seven green ladders hum"
NOW = 1_790_000_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with create_store(tmp_path / "ws", buckets=2) as made:
        yield made


@pytest.fixture
def ann(store: Store) -> Store:
    store.users.add("Ann", "administrator", PASSWORD, by="test", now=NOW)
    return store


@pytest.mark.parametrize(
    "name", ["the pages", "The Pages", "the key deploy", "THE KEY x", "the key ", " the pages ", "the pages\n"]
)
def test_nobody_is_called_what_stands_in_the_log_for_pages_and_programs(store: Store, name: str) -> None:
    for come in (
        lambda: store.users.add(name, "marketer", PASSWORD, by="test", now=NOW),
        lambda: store.users.expect(name, "marketer", by="test", now=NOW),
        lambda: store.users.begin(name, PASSWORD, now=NOW),
    ):
        with pytest.raises(WrongUsage, match="is not 'the pages' and does not begin with 'the key '"):
            come()
    assert store.users.list() == ()


@pytest.mark.parametrize("name", ["the pagesmith", "the keymaker", "Thea Keys", "key"])
def test_names_that_only_look_like_those_are_names(ann: Store, name: str) -> None:
    ann.users.add(name, "marketer", PASSWORD, by="test", now=NOW)
    assert [user.name for user in ann.users.list()] == sorted(["Ann", name], key=str.casefold)


# -- passwords ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "short",
        "elevenchars",
        "x" * 201,
        "aaaaaaaaaaaaaaaa",
        "123456789012",
        "qwertyuiop12",
        "abcdefghijklmnop",
        "zyxwvutsrqponmlk",
        "passwordpassword",
        "Password12345",
        "Welcome2026!",
        "kohortkohort1",
        "annaberganna",
    ],
)
def test_what_is_guessed_first_is_no_password(text: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        check_password(text, "Anna Berg")
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    "text", [PASSWORD, OTHER, "tR7#pq9!Lm2x", "dat weet alleen ik", "ein Löffel voll Mond", "密碼是一個很長的句子喔喔"]
)
def test_long_ones_of_any_kind_are_taken(text: str) -> None:
    check_password(text, "Anna Berg")


def test_a_password_is_kept_as_argon2id_and_compared_whole() -> None:
    kept = hashed("ein Löffel voll Mond")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert kept != hashed("ein Löffel voll Mond"), "each has its own salt"
    assert matches(kept, "ein Lo\u0308ffel voll Mond"), "however the keyboard composes it"
    assert not matches(kept, "ein Löffel voll mond")
    assert not matches(kept, "ein Löffel voll Mond ")
    assert not matches(None, "nobody has this password")
    assert not matches("not a hash", PASSWORD)
    assert not matches(kept, "x" * 1_000_000)


# -- people ---------------------------------------------------------------------------------------------------------------


def test_a_password_is_stored_nowhere(ann: Store) -> None:
    files = [path for path in ann.root.rglob("*") if path.is_file()]
    assert files
    assert not [path.name for path in files if PASSWORD.encode() in path.read_bytes()]


def test_the_first_one_is_an_administrator_and_there_always_is_one(store: Store) -> None:
    assert not store.users.any()
    with pytest.raises(WrongUsage, match="administrator"):
        store.users.add("Bob", "viewer", PASSWORD, by="test")
    store.users.add("Ann", "administrator", PASSWORD, by="test")
    store.users.add("Bob", "viewer", OTHER, by="test")
    for take_away in (
        lambda: store.users.set_role("ann", "viewer", by="test"),
        lambda: store.users.remove("Ann", by="test"),
    ):
        with pytest.raises(WrongUsage, match="only administrator"):
            take_away()
    store.users.set_role("Bob", "administrator", by="test")
    store.users.remove("Ann", by="Bob")
    assert [(u.name, u.role) for u in store.users.list()] == [("Bob", "administrator")]
    assert [(e.by, e.act, e.about) for e in store.audit_log.latest()] == [
        ("Bob", "user_removed", "Ann"),
        ("test", "role_changed", "Bob, administrator"),
        ("test", "user_added", "Bob, viewer"),
        ("test", "set_up", "Ann, administrator"),
    ]
    assert store.verify() == []


def test_set_up_is_possible_once(store: Store) -> None:
    assert store.users.begin("Ann", PASSWORD).role == "administrator"
    with pytest.raises(WrongUsage, match="already"):
        store.users.begin("Eve", OTHER)


def test_names_are_compared_without_capitals_and_spelled_as_given(ann: Store) -> None:
    for name in ("ann", "ANN", "Ａｎｎ"):
        assert ann.users.proven(name, PASSWORD).name == "Ann"
        with pytest.raises(WrongUsage):
            ann.users.add(name, "viewer", OTHER, by="test")
    assert ann.users.proven("Ann", OTHER) is None
    assert ann.users.proven("Bob", PASSWORD) is None
    with pytest.raises(NotFound, match="Did you mean 'Ann'"):
        ann.users.set_password("Anna", OTHER, by="test")


@pytest.mark.parametrize("name", ["", " Ann", "a/b", "a\nb", "_x", "x" * 65, "<b>", "Ann\u202e"])
def test_names_that_cannot_be_one_are_refused(store: Store, name: str) -> None:
    with pytest.raises(WrongUsage):
        store.users.add(name, "administrator", PASSWORD, by="test")


def test_an_unknown_role_says_what_there_is(ann: Store) -> None:
    for call in (
        lambda: ann.users.add("Bob", "boss", OTHER, by="test"),
        lambda: ann.users.set_role("Ann", "boss", by="test"),
    ):
        with pytest.raises(WrongUsage, match=ROLES[0]):
            call()


# -- sessions -------------------------------------------------------------------------------------------------------------


def row(store: Store) -> Any:
    with store._database.read() as con:
        return con.execute(sa.select(schema.login_session)).mappings().one()


def test_a_session_says_who_it_is_and_its_token_is_stored_nowhere(ann: Store) -> None:
    assert ann.sessions.look("").login
    token = ann.sessions.begin("Ann", now=NOW)
    look = ann.sessions.look(token, now=NOW + 1)
    assert (look.session.person, look.session.role, look.token) == ("Ann", "administrator", "")
    assert len(token) >= 43  # 256 bits
    assert not [p for p in ann.root.rglob("*") if p.is_file() and token.encode() in p.read_bytes()]
    for wrong in (token[:-1], token + "x", "", "é", row(ann)["token"]):
        assert ann.sessions.look(wrong, now=NOW + 1).session is None


def test_without_users_nobody_has_to_have_one(store: Store) -> None:
    assert not store.sessions.look("x").login


def test_an_hour_without_use_ends_it_and_twelve_hours_with(ann: Store) -> None:
    token, at = ann.sessions.begin("Ann", now=NOW), NOW
    while at < NOW + LONGEST_US:
        look = ann.sessions.look(token, now=at)
        assert look.session is not None
        token = look.token or token
        at += IDLE_US // 2
    assert ann.sessions.look(token, now=NOW + LONGEST_US + 1).session is None
    token = ann.sessions.begin("Ann", now=NOW)
    assert ann.sessions.look(token, now=NOW + IDLE_US + 1).session is None
    assert ann.sessions.count("Ann") == 0


def test_looking_writes_once_a_minute(ann: Store) -> None:
    token = ann.sessions.begin("Ann", now=NOW)
    for second in range(0, 61, 10):
        ann.sessions.look(token, now=NOW + second * 1_000_000)
    assert row(ann)["seen_us"] == NOW
    ann.sessions.look(token, now=NOW + NOTE_US + 1)
    assert row(ann)["seen_us"] == NOW + NOTE_US + 1


def test_the_token_turns_and_requests_under_way_still_count(ann: Store) -> None:
    old, at = ann.sessions.begin("Ann", now=NOW), NOW + TURN_US + 1
    new = ann.sessions.look(old, now=at).token
    assert new not in ("", old)
    assert ann.sessions.look(old, now=at + 1).token == "", "one request at a time gets it"
    assert ann.sessions.look(old, now=at + 1).session is not None
    assert ann.sessions.look(new, now=at + 2).session is not None
    assert ann.sessions.look(old, now=at + GRACE_US).session is not None


def test_who_comes_with_the_old_token_later_has_copied_it(ann: Store) -> None:
    old, at = ann.sessions.begin("Ann", now=NOW), NOW + TURN_US + 1
    new = ann.sessions.look(old, now=at).token
    ann.sessions.look(new, now=at + 1)
    assert ann.sessions.look(old, now=at + GRACE_US + 1).session is None
    assert ann.sessions.look(new, now=at + GRACE_US + 2).session is None, "both are out: nobody knows who is the thief"
    assert ann.audit_log.latest(1)[0].act == "session_stolen"


def test_a_browser_that_never_got_the_new_token_gets_another(ann: Store) -> None:
    old, at = ann.sessions.begin("Ann", now=NOW), NOW + TURN_US + 1
    lost = ann.sessions.look(old, now=at).token
    again = ann.sessions.look(old, now=at + GRACE_US + 1)
    assert again.session is not None
    assert again.token not in ("", lost)
    assert ann.sessions.look(again.token, now=at + GRACE_US + 2).session is not None
    assert ann.sessions.look(lost, now=at + GRACE_US + 3).session is None


def test_sessions_that_are_over_are_tidied_away(ann: Store) -> None:
    for n in range(3):
        ann.sessions.begin("Ann", now=NOW + n)
    ann.sessions.begin("Ann", now=NOW + 2 * IDLE_US)
    assert ann.sessions.count("Ann") == 1
    assert ann.verify() == []
