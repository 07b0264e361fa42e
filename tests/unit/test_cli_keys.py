"""`kohort keys`: the interface that programs rely on."""

import json

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app


@pytest.fixture
def shop(tmp_path):
    kohort.create(tmp_path / "shop").close()
    return tmp_path / "shop"


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_key_is_made_listed_and_revoked_as_programs_expect(shop):
    made = json.loads(call("keys", "add", "web shop", "--scope", "ingest", "-w", shop, "--json").stdout)
    assert made.keys() == {"name", "scope", "key"}
    assert (made["name"], made["scope"]) == ("web shop", "ingest")
    with kohort.open(shop) as ws:
        assert ws.keys.find(made["key"], "ingest").name == "web shop"
        (row,) = json.loads(call("keys", "list", "-w", shop, "--json").stdout)["keys"]
        assert (row["name"], row["scope"], row["revoked"]) == ("web shop", "ingest", None)
        assert made["key"].startswith(row["begins"] + ".")
        assert json.loads(call("keys", "revoke", "web shop", "-w", shop, "--json").stdout) == {"revoked": "web shop"}
    with kohort.open(shop) as ws:
        assert ws.keys.find(made["key"], "ingest") is None
    (row,) = json.loads(call("keys", "list", "-w", shop, "--json").stdout)["keys"]
    assert row["revoked"].endswith("Z") or "+00:00" in row["revoked"]


def test_for_people_the_key_alone_is_on_stdout(shop):
    told = call("keys", "add", "shop", "--scope", "read", "-w", shop)
    assert told.stdout.startswith("kh_")
    assert told.stdout.count("\n") == 1
    assert "not shown again" in told.stderr
    secret = told.stdout.strip().partition(".")[2]
    listed = call("keys", "list", "-w", shop).stdout
    assert "shop" in listed
    assert secret not in listed


def test_without_keys_the_list_says_how_to_make_one(shop):
    assert "kohort keys add" in call("keys", "list", "-w", shop).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["add", "shop"], "wrong_usage", 2),
        (["add", "shop", "--scope", "all"], "wrong_usage", 2),
        (["add", "kafka:shop", "--scope", "ingest"], "wrong_usage", 2),
        (["revoke", "shop"], "not_found", 1),
    ],
)
def test_wrong_calls_say_so(shop, arguments, code, exit_code):
    told = call("keys", *arguments, "-w", shop, "--json")
    assert told.exit_code == exit_code
    assert json.loads(told.stdout)["error"]["code"] == code
