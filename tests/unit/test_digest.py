"""The digest: what moved with what it was worth, what needs a look, honest where nothing happened, and never a customer in it."""

from __future__ import annotations

import email
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from email import policy
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import kohort
from kohort.actions.mail import Mailer, NotMailed, mailer
from kohort.cli.app import app
from kohort.errors import WrongUsage
from kohort.segments.moved_value import FEWEST, moved_value
from kohort.views.digest import digest_file, digest_text, headline
from kohort.workspace.digest import days_of
from kohort.workspace.people import short_code

PEOPLE = [f"customer{i}@shop.example" for i in range(30)]
"""Numbers that are identifiers themselves: the worst case."""


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kohort.Workspace]:
    folder = tmp_path_factory.mktemp("digest")
    lines = ["order_id,customer_id,order_date,product,quantity,price"]
    lines += [f"a{i},{who},2026-01-02,tea,1,{10 + i}" for i, who in enumerate(PEOPLE[:20])]
    lines += [f"b{i},{who},2026-01-26,tea,1,{20 + i}" for i, who in enumerate(PEOPLE[15:])]
    (folder / "orders.csv").write_text("\n".join(lines))
    with kohort.create(folder / "shop", name="Tea shop", currency="GBP") as workspace:
        workspace.ingest(folder / "orders.csv", kind="orders")
        workspace.segments.add("recent", "did('order_line', within => '14 days')")
        workspace.segments.add("all", "did('order_line')")
        workspace.segments.add("sleeping", {"rule": "never('order_line', within => '14 days')", "paused": True})
        for day in ("2026-01-10", "2026-01-17", "2026-01-26", "2026-01-27"):
            workspace.segments.run(["recent", "all"], as_of=day)
        yield workspace


def test_what_moved_and_what_it_was_worth(ws) -> None:
    found = ws.digest("9d")
    rows = {row["segment"]: row for row in found["moved"]}
    assert (rows["recent"]["entered"], rows["recent"]["left"], rows["recent"]["size"]) == (15, 0, 15)
    older = ws.digest("11d")
    assert older["since"][:10] == "2026-01-16"
    moved = {row["segment"]: row for row in older["moved"]}["recent"]
    assert (moved["entered"], moved["left"]) == (10, 15), "before it, the first twenty were in"
    came = sum(20 + i for i in range(5, 15))
    went = sum(10 + i for i in range(15))
    assert moved["value"]["entered"] == came
    assert moved["value"]["left"] == went
    assert moved["value"]["net"] == came - went
    assert moved["value"]["low"] < came - went < moved["value"]["high"]
    assert [row["label"] for row in older["exits"]] == ["Recent"]
    assert {row["label"] for row in older["entries"]} == {"Recent", "All"}


def test_what_needs_a_look_is_told(ws) -> None:
    ws.feedback.add("recent", "disagree", customer=PEOPLE[20], text="A reseller", by="Ann")
    ws.feedback.add("recent", "disagree", by="Ann")
    looks = {(one["kind"], one["label"]): one["text"] for one in ws.digest("9d")["looks"]}
    assert looks["draft", "Sleeping"] == "It is not live yet: nobody is in it."
    assert looks["votes", "Recent"].startswith("1 person would change it and 1 customer said not to belong; 1 of 15")
    assert ("stale", "Data") in looks
    assert ("health", "Data health") in looks


def test_no_customer_and_no_words_of_people_are_in_it(ws) -> None:
    keys = ws.store.vault.known(PEOPLE)
    ws.feedback.add("all", "comment", text="Our accountant loves it", by="Bob")
    ws.segments.add("write_to", {"rule": "did('order_line')", "label": "Ask ada@shop.example"})
    ws.segments.run("write_to")
    try:
        for since in ("9d", "11d", "30d"):
            found = ws.digest(since)
            told = json.dumps(found) + digest_text(found) + digest_file(found)
            for number, key in zip(PEOPLE, keys, strict=True):
                assert number not in told
                assert short_code(int(key)) not in told
                assert str(int(key)) not in told
            assert "accountant" not in told
            assert "Ann" not in told
            assert "@" not in digest_text(found)
    finally:
        ws.segments.remove("write_to")


def test_a_week_in_which_nothing_happened_says_so(ws, tmp_path: Path) -> None:
    found = ws.digest("1d")
    assert found["moved"] == []
    assert headline(found).startswith("Nobody entered or left a segment.")
    unknown = [{"label": "All", "text": "It was not run."}, {"label": "Recent", "text": "It was not run."}]
    assert headline({**found, "untold": unknown}).startswith("Nothing can be said about who moved")
    quiet = {**found, "untold": [], "looks": []}
    assert headline(quiet) == "Nobody entered or left a segment. Nothing needs a look."
    assert "## What moved" not in digest_text(quiet)
    with kohort.create(tmp_path / "empty", name="New shop") as empty:
        assert empty.digest()["until"] is None
        assert "There is no data yet" in digest_text(empty.digest())
        assert "There is no data yet" in digest_file(empty.digest())


def test_among_many_segments_one_that_looks_as_if_value_left_is_not_called_sure(ws) -> None:
    """Twenty segments whose ranges just leave out nothing: one of them does so by chance alone."""
    found = ws.digest("11d")
    row = {**found["moved"][0], "redefined": False}
    near = {**row, "value": {"entered": 120.0, "left": 0.0, "net": 120.0, "low": 20.0, "high": 220.0}}
    far = {**row, "value": {"entered": 500.0, "left": 0.0, "net": 500.0, "low": 400.0, "high": 600.0}}
    assert "More than chance" in headline({**found, "moved": [near]})
    assert "More than chance" not in headline({**found, "moved": [near] * 20})
    assert "More than chance: value came into All" in headline({**found, "moved": [far, *[near] * 20]})


@pytest.mark.parametrize(("text", "days"), [("7d", 7), ("2w", 14), ("14 days", 14), (" 1 week ", 7), ("30", 30)])
def test_lengths_that_people_type(text: str, days: int) -> None:
    assert days_of(text) == days


@pytest.mark.parametrize("text", ["", "0d", "367d", "-7d", "7y", "1.5d", "٧d", "d", "99999d"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage):
        days_of(text)


def test_the_range_of_moved_value_holds_what_it_says() -> None:
    """Weeks of about 40 movers each, values of a few pounds to thousands: the range of one holds the mean of all in 95 of 100."""
    chance = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        values = chance.lognormal(4, 0.8, chance.poisson(40))
        _, found = moved_value(values, np.zeros(0))
        assert found is not None
        held += found.low <= 40 * np.exp(4 + 0.8**2 / 2) <= found.high
    assert 86 <= held <= 100
    assert moved_value(np.ones(FEWEST - 1), np.zeros(0)) == (FEWEST - 1, None)
    net, many = moved_value(np.ones(50_000), np.ones(50_000))
    assert many is not None
    assert (net, round(many.high)) == (0.0, 620)


def test_hostile_names_stay_text(ws) -> None:
    found = {**ws.digest("11d"), "name": "A <b>&\n# [x](http://evil.example)"}
    found["moved"] = [{**found["moved"][0], "label": "<script>alert(1)</script> [a](javascript:1)"}]
    text, page = digest_text(found), digest_file(found)
    assert "<script>alert" not in page
    assert "\\[a\\](javascript:1)" in text
    assert text.splitlines()[0].startswith("# 11 days at A \\<b\\>& \\# \\[x\\]")


def test_the_command_writes_files_and_prints_json(ws, tmp_path: Path) -> None:
    for suffix in ("html", "md", "json"):
        done = CliRunner().invoke(
            app, ["digest", "-w", str(ws.root), "--since", "11d", "--out", str(tmp_path / f"w.{suffix}")]
        )
        assert done.exit_code == 0, done.output
        assert "Recent" in (tmp_path / f"w.{suffix}").read_text(encoding="utf-8")
    done = CliRunner().invoke(app, ["digest", "-w", str(ws.root), "--since", "11d", "--json"])
    assert {row["segment"] for row in json.loads(done.stdout)["moved"]} == {"recent", "all"}
    shown = CliRunner().invoke(app, ["digest", "-w", str(ws.root), "--since", "11d"]).stdout
    assert "Recent: 10 in, 15 out" in shown
    done = CliRunner().invoke(app, ["digest", "-w", str(ws.root), "--out", "w.pdf", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["error"]["code"]) == (2, "wrong_usage")


# Mail ---------------------------------------------------------------------------------------------------------------


class Server:
    """A mail server of one conversation, on a port of its own; keeps what it is sent."""

    def __init__(self, *, refuse: str = "", says: str = "250 fine", tls: bool = False) -> None:
        self.refuse, self.says, self.offers_tls = refuse, says, tls
        self.mails: list[str] = []
        self.heard: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self._thread.join(10)

    def _serve(self) -> None:
        try:
            conversation, _ = self._listening.accept()
        except OSError:
            return
        with conversation, conversation.makefile("rwb") as stream:

            def say(text: str) -> None:
                stream.write(text.encode() + b"\r\n")
                stream.flush()

            say("220 here")
            while line := stream.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                self.heard.append(line)
                if self.refuse and line.upper().startswith(self.refuse):
                    say(self.says)
                elif verb == "EHLO":
                    say("250-here")
                    say("250 AUTH PLAIN" if not self.offers_tls else "250 STARTTLS")
                elif verb == "STARTTLS":
                    say("220 go on")
                    return  # and does not know how
                elif verb == "AUTH":
                    say("235 welcome")
                elif verb == "DATA":
                    say("354 go on")
                    body = b""
                    while not body.endswith(b"\r\n.\r\n"):
                        body += stream.readline()
                    self.mails.append(body[:-5].decode())
                    say("250 kept")
                elif verb == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 fine")


def settings(port: int, **more: str) -> dict[str, str]:
    said = {"KOHORT_SMTP_HOST": "127.0.0.1", "KOHORT_SMTP_PORT": str(port), "KOHORT_SMTP_SECURITY": "none"}
    return {
        **said,
        "KOHORT_MAIL_FROM": "Kohort <kohort@shop.example>",
        "KOHORT_MAIL_TO": "ann@shop.example, bob@shop.example",
        **more,
    }


def test_it_is_mailed_by_the_server_of_the_environment(ws) -> None:
    with Server() as server:
        said = settings(server.port, KOHORT_SMTP_USER="kohort", KOHORT_SMTP_PASSWORD="plum kettle")
        done = CliRunner().invoke(app, ["digest", "-w", str(ws.root), "--since", "11d", "--mail", "--json"], env=said)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["mailed_to"] == 2
    told = [line.lower() for line in server.heard if line.startswith("rcpt")]  # letters of the command differ by Python
    assert told == ["rcpt to:<ann@shop.example>", "rcpt to:<bob@shop.example>"]
    mail = email.message_from_string(server.mails[0], policy=policy.default)
    assert mail["Subject"] == "11 days at Tea shop"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, page = (part.get_content() for part in mail.iter_parts())
    assert "**Recent**: 10 in, 15 out" in text
    assert page.startswith("<!doctype html>") or page.lstrip().startswith("<!doctype html>")
    assert "customer" in text
    assert not any(number in server.mails[0] for number in PEOPLE)
    assert "plum kettle" not in done.output


@pytest.mark.parametrize(
    ("refuse", "says", "retry"),
    [
        ("AUTH", "535 no", False),
        ("RCPT", "550 nobody", False),
        ("MAIL", "451 later", True),
        ("MAIL", "550 never", False),
    ],
)
def test_what_the_server_refuses_is_said_in_plain_words(refuse: str, says: str, retry: bool) -> None:
    with Server(refuse=refuse, says=says) as server:
        sender = mailer(settings(server.port, KOHORT_SMTP_USER="u", KOHORT_SMTP_PASSWORD="secret-word"))
        with pytest.raises(NotMailed) as error:
            sender.send("S", "t", "<p>t</p>")
    assert error.value.retry == retry
    assert "secret-word" not in f"{error.value} {error.value.hint} {sender!r}"


def test_nothing_is_sent_over_a_connection_that_should_be_safe_and_is_not() -> None:
    with Server(tls=True) as server:
        sender = mailer(
            settings(server.port, KOHORT_SMTP_SECURITY="starttls", KOHORT_SMTP_USER="u", KOHORT_SMTP_PASSWORD="p")
        )
        with pytest.raises(NotMailed):
            sender.send("S", "t", "<p>t</p>")
    with Server() as plain:  # which offers no encryption at all
        sender = mailer(
            settings(plain.port, KOHORT_SMTP_SECURITY="starttls", KOHORT_SMTP_USER="u", KOHORT_SMTP_PASSWORD="p")
        )
        with pytest.raises(NotMailed, match="does not offer"):
            sender.send("S", "t", "<p>t</p>")
    assert not server.mails + plain.mails
    assert not [line for line in server.heard + plain.heard if line.startswith("AUTH")]
    assert ssl.create_default_context().check_hostname


def test_a_server_that_is_not_there(ws) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = CliRunner().invoke(app, ["digest", "-w", str(ws.root), "--mail", "--json"], env=settings(port))
    assert json.loads(done.stdout)["error"]["code"] == "not_mailed"
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"KOHORT_SMTP_HOST": ""}, "KOHORT_SMTP_HOST"),
        ({"KOHORT_MAIL_TO": " , "}, "e-mail|KOHORT_MAIL_TO"),
        ({"KOHORT_MAIL_TO": "ann"}, "no e-mail address"),
        ({"KOHORT_MAIL_FROM": "a@b.example\nBcc: c@d.example"}, "no e-mail address"),
        ({"KOHORT_SMTP_PORT": "70000"}, "port"),
        ({"KOHORT_SMTP_SECURITY": "maybe"}, "none of"),
        ({"KOHORT_SMTP_HOST": "mail.example"}, "unprotected"),
    ],
)
def test_settings_that_cannot_be_meant(change: dict[str, str], message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        mailer(settings(25, **change))


def test_ports_follow_the_protection() -> None:
    for security, port in (("starttls", 587), ("tls", 465)):
        found = mailer({**settings(0, KOHORT_SMTP_SECURITY=security), "KOHORT_SMTP_PORT": ""})
        assert isinstance(found, Mailer)
        assert found.port == port
