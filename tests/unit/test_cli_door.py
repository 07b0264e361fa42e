"""One JSON object or a readable page on stdout, everything else on stderr, and never a traceback."""

import json
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kohort.cli.app import app
from kohort.cli.door import App, Result, command
from kohort.errors import Busy, NeedsAnswer, NotEnough, NotFound, RefusedDefinition


def call(arguments, group=app, **options):
    return CliRunner().invoke(group, arguments, **options)


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("KOHORT_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)


def ending_with(error):
    """A command line with one command, `go`, that ends with the given error."""

    @click.group(cls=App)
    @click.option("--json", "as_json", is_flag=True)
    def top(as_json):
        """Top."""

    @command(top, "go")
    def go(door):
        if error is not None:
            raise error
        return Result(
            {"fine": float("nan"), "list": (1, 2)}, lambda screen: screen.line("It went \x1b[31mfine\x1b[0m.")
        )

    return top


ERRORS = [
    (Busy("Somebody writes.", hint="Try again."), 1, "busy"),
    (RefusedDefinition("Not so.", text="x", start=0, end=1), 2, "refused_definition"),
    (NotEnough("Too few.", hint="Bring more."), 3, "not_enough"),
    (NeedsAnswer("Two readings.", ["Is it A or B? Say --as A."]), 2, "needs_answer"),
    (FileNotFoundError(2, "No such file or directory", "/secret/place/orders.csv"), 1, "file_problem"),
    (KeyboardInterrupt(), 130, "stopped"),
    (ZeroDivisionError("jane@example.org"), 1, "unexpected"),
    (MemoryError(), 1, "unexpected"),
]


@pytest.mark.parametrize(("error", "status", "code"), ERRORS, ids=[c for _, _, c in ERRORS[:-1]] + ["memory"])
def test_every_error_has_its_status_and_code(error, status, code):
    told = call(["go"], ending_with(error))
    assert told.exit_code == status
    assert told.stdout == ""
    lines = told.stderr.strip().splitlines()
    assert lines[0].startswith(f"{code}: ")
    assert "Traceback" not in told.stderr
    assert "/secret/place" not in told.stderr
    for arguments in (["go", "--json"], ["--json", "go"]):
        machine = call(arguments, ending_with(error))
        assert machine.exit_code == status
        assert machine.stderr.strip() == ""
        assert json.loads(machine.stdout)["error"]["code"] == code


def test_questions_are_listed():
    told = call(["go"], ending_with(NeedsAnswer("Two readings.", ["A or B?", "C or D?"], hint="Use --as.")))
    assert told.stderr.splitlines() == ["needs_answer: Two readings.", "  - A or B?", "  - C or D?", "  Use --as."]
    machine = json.loads(call(["go", "--json"], ending_with(NeedsAnswer("?", ["A or B?"]))).stdout)
    assert machine["error"]["questions"] == ["A or B?"]


def test_details_of_an_unforeseen_error_hold_no_values(tmp_path):
    error = ZeroDivisionError("jane@example.org")
    error.__cause__ = KeyError("Jane Doe")
    told = call(["go"], ending_with(error))
    assert "jane" not in told.stderr.lower()
    (file,) = (tmp_path / "state" / "kohort").iterdir()
    text = file.read_text()
    assert str(file) in told.stderr
    assert "ZeroDivisionError" in text
    assert "KeyError" in text
    assert "in go" in text
    assert "jane" not in text.lower()
    assert file.stat().st_mode & 0o077 == 0


def test_debugging_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("KOHORT_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        call(["go"], ending_with(ZeroDivisionError()), catch_exceptions=False)


def test_results_are_json_or_text():
    assert call(["go"], ending_with(None)).stdout == "It went \ufffd[31mfine\ufffd[0m.\n"
    assert json.loads(call(["go", "--json"], ending_with(None)).stdout) == {"fine": None, "list": [1, 2]}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["discover", "--k", "1"],
        ["discover", "--k", "many"],
        ["discover", "--algorithm", "magic"],
        ["discover", "--id", "x"],
        ["discover", "--table", "x.csv", "--adopt", "Main"],
        ["discover", "--out", "x.pdf"],
        ["features", "--out", "x.xlsx"],
        ["members"],
        ["members", "Main", "--out", "nowhere/x.csv"],
        ["report", "--out", "x.pdf"],
        ["serve", "--port", "99999"],
        ["ingest"],
        ["health"],
        ["rejected", "export"],
        ["ingest", "a.csv", "--as", "people"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_two(arguments):
    told = call(arguments)
    assert told.exit_code == 2, told.output
    assert told.stdout == ""
    machine = call([*arguments, "--json"])
    assert machine.exit_code == 2
    assert set(json.loads(machine.stdout)["error"]) >= {"code", "message", "hint"}


def test_help_names_every_command():
    told = call(["--help"])
    assert told.exit_code == 0
    names = "init ingest health features discover segments members report serve demo rejected doctor"
    for name in names.split():
        assert f"  {name} " in told.stdout
    assert call([]).stdout == told.stdout


def commands(group, path=()):
    for name, item in group.commands.items():
        if isinstance(item, click.Group):
            yield from commands(item, (*path, name))
        else:
            yield " ".join((*path, name)), item


def test_every_command_and_option_is_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, item in commands(app):
        assert f"`kohort {name}" in text, name
        missing = [o for p in item.params for o in p.opts[-1:] if o.startswith("--") and o not in text]
        assert missing == [], name


def test_every_command_takes_json_and_workspace():
    for name, item in commands(app):
        options = {o for p in item.params for o in p.opts}
        assert {"--json", "-w", "--workspace"} <= options, name
        assert item.help, name


def test_the_doctor_works_without_a_workspace(tmp_path):
    told = call(["doctor", "--json"])
    assert told.exit_code == 1
    data = json.loads(told.stdout)
    assert "workspace_found" in {c["code"] for c in data["checks"] if not c["ok"]}
    assert "kohort init" in call(["doctor"]).stdout


def test_a_port_in_use_is_one_sentence(tmp_path):
    import socket

    from kohort.cli.serving import CannotServe, is_this_machine, serve

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CannotServe, match="--port"):
            serve(tmp_path, host="127.0.0.1", port=taken.getsockname()[1])
    assert is_this_machine("localhost")
    assert is_this_machine("::1")
    assert not is_this_machine("0.0.0.0")
    assert "KOHORT_WORKSPACE" not in os.environ


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (["revenue", "orders"], "Did you mean 'revenue'?"),
        (["age"], "There are: age."),
        ([f"x{i}" for i in range(20)], "There are: x0, x1, x2, x3, x4, x5, x6, x7, …"),
        ([], "Check how it is written."),
    ],
)
def test_what_is_not_found_always_comes_with_what_to_do(known, hint):
    assert NotFound("feature", "revenu", iter(known)).hint == hint
