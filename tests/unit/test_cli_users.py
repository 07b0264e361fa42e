"""`kohort users` and `kohort audit-log`, and where `kohort serve` refuses to start."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

import kohort
from kohort.cli.app import app
from kohort.cli.serving import CannotServe, first_word, serve
from kohort.model.serving import word_digest

PASSWORD = "plum kettle orbit sand"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    kohort.create(tmp_path / "shop").close()
    return tmp_path / "shop"


def call(shop: Path, *arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, [*arguments, "-w", str(shop)], input=typed)


def data(shop: Path, *arguments: str, typed: str = "") -> Any:
    return json.loads(call(shop, *arguments, "--json", typed=typed).stdout)


def add(shop: Path, name: str, role: str) -> Any:
    return data(shop, "users", "add", name, "--role", role, "--password-stdin", typed=f"{PASSWORD}\n")


def test_users_come_change_and_go_as_programs_expect(shop: Path) -> None:
    assert data(shop, "users", "list") == {"users": []}
    assert add(shop, "Ann", "administrator") == {"name": "Ann", "role": "administrator"}
    add(shop, "Bob", "viewer")
    assert data(shop, "users", "role", "Bob", "analyst") == {"name": "Bob", "role": "analyst"}
    assert data(shop, "users", "password", "Bob", "--password-stdin", typed="seven green ladders hum") == {
        "name": "Bob"
    }
    listed = data(shop, "users", "list")["users"]
    assert [(u["name"], u["role"]) for u in listed] == [("Ann", "administrator"), ("Bob", "analyst")]
    assert listed[0].keys() == {"name", "role", "made", "login", "password_since"}
    with kohort.open(shop) as ws:
        assert ws.users.proven("Bob", "seven green ladders hum")
    assert data(shop, "users", "remove", "Bob") == {"removed": "Bob"}
    acts = [(e["act"], e["about"]) for e in data(shop, "audit-log", "show")["entries"]]
    assert acts == [
        ("user_removed", "Bob"),
        ("password_changed", "Bob"),
        ("role_changed", "Bob, analyst"),
        ("user_added", "Bob, viewer"),
        ("set_up", "Ann, administrator"),
    ]
    assert all(e["by"].endswith("command line)") for e in data(shop, "audit-log", "show")["entries"])
    assert PASSWORD not in call(shop, "users", "list").stdout + call(shop, "audit-log", "show").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["add", "Eve", "--role", "viewer"], "wrong_usage", 2),
        (["add", "Eve"], "wrong_usage", 2),
        (["add", "Eve", "--role", "boss", "--password-stdin"], "wrong_usage", 2),
        (["role", "Eve", "viewer"], "not_found", 1),
        (["password", "Eve", "--password-stdin"], "not_found", 1),
        (["remove", "Ann"], "wrong_usage", 2),
    ],
)
def test_wrong_calls_say_so(shop: Path, arguments: list[str], code: str, exit_code: int) -> None:
    add(shop, "Ann", "administrator")
    told = call(shop, "users", *arguments, "--json", typed=PASSWORD)
    assert told.exit_code == exit_code
    assert json.loads(told.stdout)["error"]["code"] == code


def test_somebody_is_named_who_logs_in_through_the_identity_provider(shop: Path) -> None:
    add(shop, "Ann", "administrator")
    told = data(shop, "users", "add", "cas@shop.example", "--role", "analyst", "--oidc")
    assert told == {"name": "cas@shop.example", "role": "analyst", "login": "provider"}
    (cas,) = (u for u in data(shop, "users", "list")["users"] if u["name"] != "Ann")
    assert (cas["login"], cas["expected"], cas["password_since"]) == ("provider", True, None)
    assert "identity provider" in call(shop, "users", "list").stdout
    both = call(shop, "users", "add", "Eve", "--role", "viewer", "--oidc", "--password-stdin", typed=PASSWORD)
    assert both.exit_code == 2
    assert call(shop, "users", "password", "cas@shop.example", "--password-stdin", typed=PASSWORD).exit_code == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_with_half_of_an_identity_provider_nothing_is_served(
    shop: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KOHORT_OIDC_ISSUER", "https://id.example")
    told = call(shop, "serve", "--host", host, "--port", "0", "--json")
    assert told.exit_code == 2
    assert "KOHORT_OIDC_CLIENT_ID" in json.loads(told.stdout)["error"]["message"]


def test_a_weak_password_is_refused_and_not_repeated(shop: Path) -> None:
    told = call(shop, "users", "add", "Ann", "--role", "administrator", "--password-stdin", typed="password1234\n")
    assert told.exit_code == 2
    assert "password1234" not in told.output


def test_the_log_is_shown_and_checked(shop: Path) -> None:
    add(shop, "Ann", "administrator")
    sound = data(shop, "audit-log", "verify")
    assert (sound["entries"], sound["sound"], sound["broken"]) == (1, True, [])
    with kohort.open(shop) as ws:
        keys = ws.store.vault.customers(["K1", "K2"])
        ws.audit_log.note("looked_at_customer", by="Ann", customers=[int(key) for key in keys])
        ws.store.erase(int(keys[0]), now=1)
    shown = data(shop, "audit-log", "show", "--by", "Ann", "--limit", "5")["entries"]
    assert [(e["customer_id"], e["erased"]) for e in shown] == [("K2", False), (None, True)]
    assert "(erased)" in call(shop, "audit-log", "show").stdout
    assert data(shop, "audit-log", "verify", "--head", sound["head"])["erased"] == 1
    told = call(shop, "audit-log", "verify", "--head", "1:" + "0" * 64)
    assert told.exit_code == 1
    assert "Entry 1 is not the one of the head" in told.stdout
    assert call(shop, "audit-log", "verify", "--head", "x").exit_code == 2
    assert "nothing of that kind" in call(shop, "audit-log", "show", "--act", "split").stdout


def test_keys_that_are_made_and_revoked_are_in_the_log(shop: Path) -> None:
    call(shop, "keys", "add", "crm", "--scope", "read")
    call(shop, "keys", "revoke", "crm")
    acts = [(e["act"], e["about"]) for e in data(shop, "audit-log", "show")["entries"]]
    assert acts == [("key_revoked", "crm"), ("key_added", "crm, read")]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_nothing_is_served_to_others_while_nobody_can_log_in(shop: Path, host: str) -> None:
    with pytest.raises(CannotServe, match="Nobody can log in yet") as refused:
        serve(shop, host=host, port=0)
    assert "kohort users add" in refused.value.hint
    told = call(shop, "serve", "--host", host, "--port", "0", "--json")
    assert json.loads(told.stdout)["error"]["code"] == "cannot_serve"


def test_the_word_for_the_first_user_is_hard_to_guess_and_easy_to_type() -> None:
    words = {first_word() for _ in range(100)}
    assert len(words) == 100
    assert all(len(word) == 19 and not set(word) & set("IO01") for word in words)
    word = words.pop()
    assert word_digest(word.lower().replace("-", " ")) == word_digest(word)


@pytest.mark.slow
def test_a_server_prints_the_word_and_the_word_lets_the_first_one_in(shop: Path) -> None:
    command = [sys.executable, "-m", "kohort", "serve", "-w", str(shop), "--port", "0", "--login"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            lines: list[str] = []
            while not lines or "this word" not in lines[-1]:
                lines.append(server.stderr.readline())
                assert lines[-1], lines
            address, word = re.search(r"(http://127\.0\.0\.1:\d+)/set-up and give this word: (\S+)", lines[-1]).groups()
            with httpx.Client(base_url=address) as browser:
                assert browser.get("/").headers["location"].startswith("/login")
                hidden = re.findall(r'name="word" value="(\w+)"', browser.get("/set-up").text)[0]
                new = {"word": hidden, "first": word, "name": "Ann", "password": PASSWORD, "again": PASSWORD}
                assert browser.post("/set-up", data=new).status_code == 303
                assert browser.get("/segments").status_code == 200
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)
    assert [u["name"] for u in data(shop, "users", "list")["users"]] == ["Ann"]
