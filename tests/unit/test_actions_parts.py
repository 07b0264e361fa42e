"""Parts of delivering: quiet hours on real clocks, signatures, what answers mean, the one way out, what is said."""

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from kohort.actions.body import Person, audience_key, body
from kohort.actions.outbound import Answer, NotSent, Outbound, may_reach, networks
from kohort.actions.policy import MOST_ATTEMPTS, Sent, outcome, wait_us
from kohort.actions.quiet import quiet_until
from kohort.actions.sign import keys_of, signature
from kohort.definitions.triggers import QuietHours
from kohort.errors import WrongUsage
from kohort.model.clock import micros, moment
from kohort.model.delivery import Delivery

NIGHT = QuietHours(21 * 60, 8 * 60)
LOCAL = networks("127.0.0.0/8")


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold))


def delivery(**more: object) -> Delivery:
    facts = {
        "number": 1, "id": "msg_1", "trigger": "t", "destination": "crm", "seq": 1, "name": "value", "segment": "gold",
        "other": "silver", "customer": 5, "change": "entered", "nth": 1, "at": 0, "version": 1, "state": "pending",
        "reason": "", "attempts": 0, "status": None, "created_at": 0, "due_at": 0, "first_at": None, "next_at": 0,
        "ended_at": None,
    }  # fmt: skip
    return Delivery(**(facts | more))  # type: ignore[arg-type]


# Quiet hours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "zone", "end"),
    [
        ("2024-01-10T20:59", "Europe/Berlin", None),
        ("2024-01-10T21:00", "Europe/Berlin", "2024-01-11T08:00"),
        ("2024-01-11T07:59", "Europe/Berlin", "2024-01-11T08:00"),
        ("2024-01-11T08:00", "Europe/Berlin", None),
        ("2024-03-30T22:00", "Europe/Berlin", "2024-03-31T08:00"),  # nine hours: clocks go forward
        ("2024-10-26T22:00", "Europe/Berlin", "2024-10-27T08:00"),  # eleven hours: clocks go back
        ("2024-01-10T23:30", "Asia/Kathmandu", "2024-01-11T08:00"),
    ],
)
def test_quiet_hours_end_when_the_clock_on_the_wall_says_so(now: str, zone: str, end: str | None) -> None:
    assert quiet_until(NIGHT, zone, at(now, zone)) == (None if end is None else at(end, zone))


def test_an_hour_that_does_not_exist_ends_quiet_hours_where_the_clock_jumps_over_their_end() -> None:
    until_half_past_two = QuietHours(60, 150)
    assert quiet_until(until_half_past_two, "Europe/Berlin", at("2024-03-31T01:30", "Europe/Berlin")) == at(
        "2024-03-31T03:00", "Europe/Berlin"
    )


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    quiet, zone = QuietHours(120, 150), "Europe/Berlin"
    first, second = (at("2024-10-27T02:10", zone, fold) for fold in (0, 1))
    assert second - first == 3_600_000_000
    assert quiet_until(quiet, zone, first) == at("2024-10-27T02:30", zone, 0)
    assert quiet_until(quiet, zone, second) == at("2024-10-27T02:30", zone, 1)


def test_what_is_held_is_let_go_at_the_first_instant_outside() -> None:
    chance = random.Random(1)
    for _ in range(200):
        quiet = QuietHours(*chance.sample(range(0, 1_440, 15), 2))
        zone = chance.choice(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC"])
        now = at("2024-01-01T00:00") + chance.randrange(366 * 86_400) * 1_000_000
        end = quiet_until(quiet, zone, now)

        def inside(t: int, quiet: QuietHours = quiet, zone: str = zone) -> bool:
            local = moment(t).astimezone(ZoneInfo(zone))
            minute = local.hour * 60 + local.minute
            wrapped = (minute - quiet.start) % 1_440
            return wrapped < (quiet.end - quiet.start) % 1_440

        assert inside(now) == (end is not None)
        if end is not None:
            assert not inside(end)
            assert inside(end - 1)


# Signatures -----------------------------------------------------------------------------------------------------------


def test_the_example_of_the_specification() -> None:
    # From the Standard Webhooks reference tests.
    secret, body_ = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    made = signature(keys_of(secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body_)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_make_two_signatures_and_short_ones_none() -> None:
    old, new = "an old secret of ours".replace(" ", "-"), "whsec_" + base64.b64encode(b"x" * 24).decode()
    made = signature(keys_of(f"{old} {new}"), "m", 5, b"{}").split(" ")
    expected = [hmac.new(key, b"m.5.{}", hashlib.sha256).digest() for key in (old.encode(), b"x" * 24)]
    assert made == ["v1," + base64.b64encode(e).decode() for e in expected]
    assert keys_of("short") == keys_of("") == keys_of("whsec_###") == []


# What answers mean ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_yes_is_done(status: int) -> None:
    assert outcome(delivery(), Sent(0, Answer(status)), 0, lambda: 0.5).state == "done"


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 405, 410, 413, 415, 422, 451])
def test_a_no_to_this_delivery_is_dead_at_once(status: int) -> None:
    found = outcome(delivery(), Sent(0, Answer(status)), 0, lambda: 0.5)
    assert (found.state, found.status) == ("dead", status)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 423, 425, 429, 500, 502, 503, 504, 599])
def test_what_can_be_put_right_is_tried_again(status: int) -> None:
    found = outcome(delivery(), Sent(0, Answer(status)), 7, lambda: 1.0)
    assert (found.state, found.next_at) == ("pending", 7 + 5_000_000)


def test_the_waits_double_up_to_two_hours_and_end_within_a_day() -> None:
    assert [wait_us(n, 1.0) // 1_000_000 for n in range(1, 13)] == [
        5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 7_200,
    ]  # fmt: skip
    assert all(wait_us(n, 0.0) * 2 == wait_us(n, 1.0) for n in range(1, 20))
    for chance in (0.0, 0.3, 1.0):
        now, attempts, mine = 0, 0, delivery()
        while True:
            attempts += 1
            found = outcome(mine, Sent(now, error=NotSent("timeout")), now, lambda c=chance: c)
            if found.state == "dead":
                break
            assert found.next_at is not None
            now, mine = found.next_at, delivery(attempts=attempts, first_at=0)
        assert now <= 86_400_000_000
        assert attempts <= MOST_ATTEMPTS


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    found = outcome(delivery(), Sent(0, Answer(429, 600.0)), 0, lambda: 0.0)
    assert found.next_at == 600_000_000
    assert outcome(delivery(), Sent(0, Answer(503, 1.0)), 0, lambda: 1.0).next_at == 5_000_000


def test_an_address_that_must_not_be_reached_is_not_tried_again() -> None:
    assert (
        outcome(delivery(), Sent(0, error=NotSent("address not allowed", retry=False)), 0, lambda: 0.5).state == "dead"
    )


# The way out ----------------------------------------------------------------------------------------------------------

PRIVATE = [
    *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1"),
    *("172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "fc00::1", "fd12:3456::1"),
    *("fe80::1", "ff02::1", "2001:db8::1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:1::"),
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_networks_of_our_own_are_not_reached(address: str) -> None:
    assert not may_reach(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_the_public_internet_is(address: str) -> None:
    assert may_reach(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:{p}/", "http://localhost:{p}/", "http://[::1]:{p}/", "http://0x7f000001:{p}/"),
        *("http://2130706433:{p}/", "http://127.1:{p}/", "http://0177.0.0.1:{p}/", "http://[::ffff:127.0.0.1]:{p}/"),
        *("http://0:{p}/", "file:///etc/passwd", "gopher://127.0.0.1/", "http:///x", "http://"),
    ],
)
def test_no_spelling_of_this_machine_is_reached(url: str, listener: socket.socket) -> None:
    with pytest.raises(NotSent) as caught:
        Outbound().post(url.format(p=listener.getsockname()[1]), {}, b"{}")
    assert caught.value.reason in ("address not allowed", "not an address", "name not found")
    listener.settimeout(0.01)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_a_name_is_asked_once_and_every_address_of_it_is_checked(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    port, asked = listener.getsockname()[1], []

    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        places = ["93.184.216.34", "127.0.0.1"] if len(asked) == 1 else ["127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port)) for place in places]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(NotSent, match="not allowed"):
        Outbound().post(f"http://rebinding.example:{port}/", {}, b"{}")
    assert asked == ["rebinding.example"]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


Talk = Callable[[socket.socket], None]


def answered(listener: socket.socket, talk: Talk, **options: float) -> Answer:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            with contextlib.suppress(OSError):
                talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        port = listener.getsockname()[1]
        return Outbound(LOCAL, **options).post(f"http://127.0.0.1:{port}/hook?a=b", {"X": "y"}, b"{}")  # type: ignore[arg-type]
    finally:
        thread.join(5)


def says(text: bytes) -> Talk:
    return lambda connection: connection.sendall(text)


def test_an_answer_is_its_status_and_how_long_to_wait(listener: socket.socket) -> None:
    assert answered(listener, says(b"HTTP/1.1 204 No Content\r\n\r\n")) == Answer(204)
    assert answered(listener, says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")) == Answer(200)
    assert answered(listener, says(b"HTTP/1.0 429 x\r\nretry-after: 7\r\n\r\n")) == Answer(429, 7.0)
    later = datetime.fromtimestamp(time.time() + 100, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    found = answered(listener, says(f"HTTP/1.1 503 x\r\nRetry-After: {later}\r\n\r\n".encode()))
    assert found.retry_after is not None
    assert 90 < found.retry_after <= 100


def test_a_redirect_is_an_answer_and_is_not_followed(listener: socket.socket) -> None:
    assert answered(listener, says(b"HTTP/1.1 302 x\r\nLocation: http://169.254.169.254/\r\n\r\n")) == Answer(302)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 abc\r\n\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "answer too large"),
    ],
)
def test_what_is_no_answer_is_said(listener: socket.socket, text: bytes, reason: str) -> None:
    with pytest.raises(NotSent) as caught:
        answered(listener, says(text))
    assert caught.value.reason == reason


def test_who_answers_byte_by_byte_is_cut_off(listener: socket.socket) -> None:
    def drip(connection: socket.socket) -> None:
        for _ in range(200):
            connection.sendall(b"H")
            time.sleep(0.02)

    with pytest.raises(NotSent, match="timeout"):
        answered(listener, drip, total_seconds=0.3)


def test_a_setting_that_is_no_network_is_refused() -> None:
    with pytest.raises(WrongUsage):
        networks("10.0.0.0/8, everywhere")


# What is said ---------------------------------------------------------------------------------------------------------


def test_the_shapes() -> None:
    person = Person("14127", identifiers={"email": ("a@x.example",)})
    plain = json.loads(body(delivery(), person, "plain", "because"))
    assert plain["id"] == "msg_1"
    assert plain["type"] == "segment.entered"
    assert plain["data"]["from"] == "silver"
    assert plain["data"]["identifiers"] == {"email": ["a@x.example"]}
    track = json.loads(body(delivery(change="left"), Person("14127"), "track"))
    assert track["event"] == "Audience Exited"
    assert track["messageId"] == "msg_1"
    assert track["userId"] == "14127"
    assert track["properties"] == {"audience_key": "value_gold", "value_gold": False}
    identify = json.loads(body(delivery(), Person("v-1", visitor=True), "identify"))
    assert identify["anonymousId"] == "v-1"
    assert identify["traits"] == {"value_gold": True}
    assert audience_key("Ünïcode – x", "Ünïcode – x") == "ünïcode_x"
