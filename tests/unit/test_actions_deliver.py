"""Deliveries end to end over real HTTP on loopback: order, repetition, retries, giving up, replay, holding back, caps,
consent. The clock is a variable, so that nothing here waits for time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kohort.actions.body import Person
from kohort.actions.channel import Webhook
from kohort.actions.outbound import Outbound, networks
from kohort.actions.plan import Planner, Rules
from kohort.actions.worker import Actions
from kohort.definitions.segments import Part, SegmentDefinition
from kohort.definitions.triggers import Cap, Destination, Moved, QuietHours, Renewal, Trigger, consent_name
from kohort.definitions.windows import Span
from kohort.errors import Busy, NotFound
from kohort.model.delivery import Delivery
from kohort.model.limits import MARKS
from kohort.model.membership import Placed
from kohort.store import create_store, open_store
from kohort.store.sealed import Ledger
from kohort.store.store import Store

SECRET = "a secret of thirty-two characters"
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
NOON = 19_800 * DAY + 12 * HOUR


@dataclass
class Receiver:
    """A server that keeps what it is sent, checks each signature by itself, and answers what it is told to."""

    answer: Callable[[dict[str, Any]], tuple[int, dict[str, str]]] = lambda _: (200, {})
    got: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    turn: threading.Lock = field(default_factory=threading.Lock)

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        id_, stamp = handler.headers["webhook-id"], handler.headers["webhook-timestamp"]
        mac = hmac.new(SECRET.replace(" ", "-").encode(), f"{id_}.{stamp}.".encode() + body, hashlib.sha256).digest()
        assert handler.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
        said = json.loads(body)
        assert said["id"] == id_
        with self.turn:
            status, headers = self.answer(said)
            self.got.append(said | {"answered": status, "stamp": int(stamp)})
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    def told(self, status: int = 200) -> list[tuple[str, str]]:
        """Customer and change of what was taken, in the order it came."""
        return [(g["data"]["customer_id"], g["data"]["change"]) for g in self.got if g["answered"] == status]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()


class Names:
    """Everybody is called by the pseudonym."""

    def __init__(self) -> None:
        self.forgotten: set[int] = set()

    def named(self, _name: str, customers: Any, _kinds: Any) -> dict[int, Person]:
        return {c: Person(str(c)) for c in customers if c not in self.forgotten}

    def reason(self, name: str, _segment: str, change: str) -> str:
        return f"{change} {name}"


@dataclass
class Shop:
    """A store whose memberships a test sets, a clock it turns, and everything between them and the receiver."""

    store: Store
    destinations: list[Destination]
    rules: Rules
    now: int = NOON
    moment: int = 0
    people: Names = field(default_factory=Names)
    actions: Actions | None = None
    placed: dict[str, dict[int, str]] = field(default_factory=dict)

    def begin(self) -> Shop:
        def opened(destination: Destination) -> Webhook:
            return Webhook(destination, Outbound(networks("127.0.0.0/8")), {"SECRET": SECRET.replace(" ", "-")})

        self.actions = Actions(
            self.store, lambda: self.rules, lambda: self.destinations, opened, self.people,
            clock=lambda: self.now, chance=lambda: 1.0,
        )  # fmt: skip
        return self

    def place(self, name: str, members: dict[int, str] | set[int], *, backfill: bool = False, version: int = 1) -> None:
        """Makes these the members: customer → part, or customers of a segment with one part."""
        parts = members if isinstance(members, dict) else dict.fromkeys(members, name)
        self.moment += 1
        rows = pa.table(
            {
                "customer": pa.array(list(parts), pa.int64()),
                "segment": pa.array(list(parts.values()), pa.string()),
                "confidence": pa.nulls(len(parts), pa.float64()),
                "reason": pa.array(["rule"] * len(parts), pa.string()),
            }
        )
        self.store.members.publish([Placed(name, version, rows, backfill)], as_of=self.moment, now=self.now)

    def work(self) -> None:
        assert self.actions is not None
        self.actions.drain(20)

    def rule(self, **changes: Any) -> None:
        """Changes the first trigger."""
        self.rules = replace(self.rules, triggers=(replace(self.rules.triggers[0], **changes),))

    def states(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for (_, _, state), n in self.store.deliveries.counts().items():
            found[state] = found.get(state, 0) + n
        return found

    def one(self) -> Delivery:
        (found,) = self.store.deliveries.some()
        return found


@pytest.fixture
def shop(tmp_path: Path, receiver: Receiver) -> Iterator[Shop]:
    crm = Destination("crm", receiver.url, "SECRET", per_second=1_000)
    rules = Rules((Trigger("t", Moved("entered", "vip"), ("crm",)),), (), "Europe/Berlin")
    with create_store(tmp_path / "ws", buckets=2) as store:
        found = Shop(store, [crm], rules).begin()
        yield found
        assert found.actions is not None
        found.actions.close()
        assert store.verify() == []


# What fires -----------------------------------------------------------------------------------------------------------


def test_who_enters_is_told_of_once(shop: Shop, receiver: Receiver) -> None:
    shop.place("vip", {1, 2})
    shop.place("other", {3})
    shop.work()
    shop.work()
    assert sorted(receiver.told()) == [("1", "entered"), ("2", "entered")]
    assert shop.states() == {"done": 2}
    said = receiver.got[0]["data"]
    assert (said["segment"], said["number"], said["reason"], said["from"]) == ("vip", 1, "entered vip", None)


def test_the_first_look_begins_with_the_news(tmp_path: Path, receiver: Receiver) -> None:
    crm = Destination("crm", receiver.url, "SECRET")
    rules = Rules((Trigger("t", Moved("entered", "vip"), ("crm",)),), (), "UTC")
    with create_store(tmp_path / "ws", buckets=2) as store:
        shop = Shop(store, [crm], rules)
        shop.place("vip", {1})
        shop.begin().work()
        assert receiver.got == []
        shop.place("vip", {1, 2})
        assert shop.actions is not None
        shop.actions.close()
        shop.begin().work()  # a new process goes on where the last one stopped
        assert receiver.told() == [("2", "entered")]
        assert shop.actions is not None
        shop.actions.close()


def test_backfilled_members_fire_nothing_unless_asked(shop: Shop, receiver: Receiver) -> None:
    shop.place("vip", {1}, backfill=True)
    shop.work()
    assert receiver.got == []
    shop.rule(backfill=True)
    shop.place("vip", {1, 2}, backfill=True)
    shop.work()
    assert receiver.told() == [("2", "entered")]


def test_what_nobody_is_told_of_is_passed_without_a_change_and_a_later_trigger_does_not_find_it(
    shop: Shop, receiver: Receiver
) -> None:
    later, shop.rules = shop.rules, replace(shop.rules, triggers=())
    shop.place("vip", {1})
    shop.work()
    shop.place("vip", {1, 2})
    before = changes(shop.store)
    shop.work()
    assert changes(shop.store) == before
    assert shop.actions is not None
    shop.actions.close()  # where it has got to is stored now at the latest
    assert changes(shop.store) == before + 1
    shop.rules = later
    shop.begin().work()
    assert receiver.got == []
    shop.place("other", {3})  # the trigger does not ask about it
    shop.work()
    shop.place("vip", {1, 2, 4})
    shop.work()
    assert receiver.told() == [("4", "entered")]


def changes(store: Store) -> int:
    """How many changes of the database there were."""
    with store.state._database.read() as con:
        return Ledger(con).get("generation")[0]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (Moved("entered", "value"), [(1, "bronze")]),
        (Moved("left", "value"), [(1, "gold")]),
        (Moved("entered", "value", "gold"), [(1, "gold")]),
        (Moved("left", "value", "bronze"), [(1, "bronze")]),
        (Moved("stage", "value"), [(1, "bronze"), (1, "gold")]),
        (Moved("stage", "value", origin="bronze"), [(1, "gold")]),
        (Moved("stage", "value", origin="bronze", target="silver"), []),
        (Moved("stage", "value", target="bronze"), [(1, "bronze")]),
    ],
)
def test_a_move_between_parts_is_one_move(
    shop: Shop, receiver: Receiver, on: Moved, expected: list[tuple[int, str]]
) -> None:
    shop.rule(on=on)
    for place in ({1: "bronze"}, {1: "gold", 2: "gold"}, {2: "gold"}):
        shop.place("value", place)
    shop.work()
    mine = [(int(g["data"]["customer_id"]), g["data"]["part"]) for g in receiver.got]
    assert [m for m in mine if m[0] == 1] == expected


def test_two_sides_of_a_move_are_found_where_they_lie_in_different_looks(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kohort.actions.plan.LOOKED_AT", 1)
    monkeypatch.setattr("kohort.actions.plan.AROUND", 0)
    shop.rule(on=Moved("stage", "value", origin="bronze"))
    customers = range(1, 6)
    shop.place("value", dict.fromkeys(customers, "bronze"))
    shop.place("value", dict.fromkeys(customers, "gold"))
    shop.work()
    assert len(receiver.got) == 5
    assert {g["data"]["from"] for g in receiver.got} == {"bronze"}


def test_a_paused_trigger_does_not_make_up_for_what_happened(shop: Shop, receiver: Receiver) -> None:
    shop.rule(paused=True)
    shop.place("vip", {1})
    shop.work()
    shop.rule(paused=False)
    shop.work()
    assert receiver.got == []


def test_a_trigger_that_waits_for_time_fires_by_its_own_segment(shop: Shop, receiver: Receiver) -> None:
    shop.rule(on=Renewal("t_renewal", Span(14, "day")))
    shop.place("trigger t", {7})
    shop.work()
    assert receiver.told() == [("7", "entered")]


# Order, repetition, giving up -----------------------------------------------------------------------------------------


def test_what_fails_holds_back_the_same_customer_and_nobody_else(shop: Shop, receiver: Receiver) -> None:
    shop.rules = replace(shop.rules, triggers=(shop.rules.triggers[0], Trigger("out", Moved("left", "vip"), ("crm",))))
    receiver.answer = lambda said: (503 if said["data"]["customer_id"] == "1" else 200, {})
    for members in ({1, 2}, set[int](), {1, 2}, set[int]()):
        shop.place("vip", members)
    shop.work()
    assert receiver.told() == [("2", "entered"), ("2", "left")] * 2
    assert receiver.told(503) == [("1", "entered")]
    assert shop.states() == {"done": 4, "pending": 1, "waiting": 3}
    receiver.answer = lambda _: (200, {})
    shop.now += 5 * SECOND - 1
    shop.work()
    assert len(receiver.told()) == 4
    shop.now += 1
    shop.work()
    mine = [g for g in receiver.got if g["data"]["customer_id"] == "1"]
    assert [(g["data"]["change"], g["data"]["number"]) for g in mine[1:]] == [
        ("entered", 1), ("left", 2), ("entered", 3), ("left", 4),
    ]  # fmt: skip
    assert mine[0]["id"] == mine[1]["id"]
    assert len({g["id"] for g in mine}) == 4


def test_attempts_come_at_their_times_until_it_is_given_up_and_the_next_one_goes(
    shop: Shop, receiver: Receiver
) -> None:
    first: list[str] = []
    receiver.answer = lambda said: (500 if said["id"] == (first or [said["id"]])[0] else 200, {})
    shop.rules = replace(shop.rules, triggers=(shop.rules.triggers[0], Trigger("out", Moved("left", "vip"), ("crm",))))
    shop.place("vip", {1})
    shop.work()
    first.append(receiver.got[0]["id"])
    shop.place("vip", set())
    times = [shop.now]
    while shop.states().get("dead") is None:
        shop.work()
        due = shop.store.deliveries.next_due("crm")
        if due is not None and due > shop.now:
            shop.now = due
            times.append(due)
    waits = [(b - a) // SECOND for a, b in pairwise(times)]
    assert waits[:11] == [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120]
    assert set(waits[11:]) == {7_200}
    assert times[-1] - times[0] <= DAY
    dead = shop.store.deliveries.some(state="dead")[0]
    assert (dead.status, dead.attempts, dead.reason) == (500, len(times), "status 500, given up")
    shop.work()
    assert receiver.told() == [("1", "left")]


def test_a_dead_delivery_is_replayed_under_its_own_id(shop: Shop, receiver: Receiver) -> None:
    receiver.answer = lambda _: (410, {})
    shop.place("vip", {1})
    shop.work()
    dead = shop.one()
    assert (dead.state, dead.reason, dead.attempts) == ("dead", "status 410", 1)
    receiver.answer = lambda _: (200, {})
    assert shop.store.deliveries.replay([dead.number], now=shop.now) == 1
    assert shop.store.deliveries.replay([dead.number], now=shop.now) == 0
    shop.work()
    assert [g["id"] for g in receiver.got] == [dead.id, dead.id]
    assert shop.states() == {"done": 1}
    with pytest.raises(NotFound):
        shop.store.deliveries.one("msg_unknown")


def test_a_receiver_with_too_much_to_do_is_left_alone_as_a_whole(shop: Shop, receiver: Receiver) -> None:
    shop.destinations = [replace(shop.destinations[0], at_once=1)]
    receiver.answer = lambda _: (429, {"Retry-After": "60"})
    shop.place("vip", set(range(1, 20)))
    shop.work()
    assert len(receiver.got) == 1
    receiver.answer = lambda _: (200, {})
    shop.now += 59 * SECOND
    shop.work()
    assert len(receiver.got) == 1
    shop.now += SECOND
    shop.work()
    assert shop.states() == {"done": 19}


def test_no_more_begin_in_a_second_than_the_destination_takes(shop: Shop, receiver: Receiver) -> None:
    shop.destinations = [replace(shop.destinations[0], per_second=5)]
    shop.place("vip", set(range(1, 20)))
    shop.work()
    assert len(receiver.got) == 5
    shop.now += SECOND
    shop.work()
    assert len(receiver.got) == 10


def test_a_receiver_that_is_not_there_is_tried_again(shop: Shop, receiver: Receiver) -> None:
    there = shop.destinations[0]
    shop.destinations = [replace(there, url="http://127.0.0.1:1/hook")]
    shop.place("vip", {1})
    shop.work()
    assert (shop.one().state, shop.one().reason) == ("pending", "connection failed")
    shop.destinations = [there]
    shop.now += 5 * SECOND
    shop.work()
    assert receiver.told() == [("1", "entered")]


def test_what_a_crash_left_unsaid_is_said_again_under_the_same_id(shop: Shop, receiver: Receiver) -> None:
    settle = shop.store.deliveries.settle

    def crash(outcomes: Any, *, now: int) -> None:
        if outcomes:
            raise RuntimeError("the process ends here")

    shop.store.deliveries.settle = crash  # type: ignore[method-assign]
    shop.place("vip", {1})
    with pytest.raises(RuntimeError):
        shop.work()
    shop.store.deliveries.settle = settle  # type: ignore[method-assign]
    shop.begin().work()
    assert [g["id"] for g in receiver.got] == [shop.one().id] * 2
    assert shop.states() == {"done": 1}


# Holding back ---------------------------------------------------------------------------------------------------------

EVENING = 19_809 * DAY + 21 * HOUR  # 2024-03-27 22:00 in Berlin; summer time begins four nights later


@pytest.mark.parametrize(("day", "hours"), [(0, 10), (3, 9)])
def test_what_falls_into_quiet_hours_is_sent_when_they_end(
    shop: Shop, receiver: Receiver, day: int, hours: int
) -> None:
    shop.rule(quiet_hours=QuietHours(21 * 60, 8 * 60))
    shop.now = EVENING + day * DAY
    shop.place("vip", {1})
    shop.work()
    assert shop.states() == {"held": 1}
    shop.now += hours * HOUR - 1
    shop.work()
    assert receiver.got == []
    shop.now += 1
    shop.work()
    assert receiver.told() == [("1", "entered")]
    assert shop.one().attempts == 1


def test_a_retry_that_falls_into_quiet_hours_is_held_too(shop: Shop, receiver: Receiver) -> None:
    shop.rule(quiet_hours=QuietHours(21 * 60, 8 * 60))
    shop.now = EVENING - HOUR - SECOND
    receiver.answer = lambda _: (500, {})
    shop.place("vip", {1})
    shop.work()
    receiver.answer = lambda _: (200, {})
    shop.now += 5 * SECOND
    shop.work()
    assert (shop.states(), shop.one().attempts) == ({"held": 1}, 1)
    shop.now = EVENING + 10 * HOUR
    shop.work()
    assert shop.states() == {"done": 1}


def test_who_leaves_during_quiet_hours_is_not_told_of(shop: Shop, receiver: Receiver) -> None:
    shop.rule(quiet_hours=QuietHours(21 * 60, 8 * 60))
    shop.now = EVENING
    shop.place("vip", {1, 2})
    shop.work()
    shop.place("vip", {2})
    shop.now += 10 * HOUR
    shop.work()
    assert receiver.told() == [("2", "entered")]
    assert [d.reason for d in shop.store.deliveries.some(state="suppressed")] == ["left again"]


def test_a_cap_is_counted_over_any_stretch_of_its_length(shop: Shop, receiver: Receiver) -> None:
    shop.rule(at_most=Cap(2, Span(7, "day")))
    sent = []
    for _ in range(10):
        shop.place("vip", {1})
        shop.place("vip", set())
        before = len(receiver.got)
        shop.work()
        sent += [shop.now] * (len(receiver.got) - before)
        shop.now += DAY
    assert [(t - NOON) // DAY for t in sent] == [0, 1, 7, 8]
    assert {d.reason for d in shop.store.deliveries.some(state="suppressed")} == {"cap"}


def test_a_cap_is_exact_whoever_makes_the_deliveries(shop: Shop, tmp_path: Path) -> None:
    shop.rule(at_most=Cap(3, Span(1, "day")))
    planners = [Planner(shop.store) for _ in range(4)]
    for _ in range(10):
        shop.place("vip", {1, 2, 3})
        shop.place("vip", set())
    barrier = threading.Barrier(4)
    errors: list[BaseException] = []

    def plan(planner: Planner) -> None:
        barrier.wait()
        while True:
            try:
                if not planner.step(shop.rules, shop.now).looked_at:
                    return
            except Busy:
                continue
            except BaseException as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=plan, args=(p,)) for p in planners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    made = shop.store.deliveries.some(limit=1_000)
    assert len(made) == len({d.id for d in made}) == 30
    kept = [d.customer for d in made if d.state != "suppressed"]
    assert {c: kept.count(c) for c in (1, 2, 3)} == {1: 3, 2: 3, 3: 3}


def test_consent_that_is_withdrawn_between_entry_and_sending_counts(shop: Shop, receiver: Receiver) -> None:
    shop.rule(purpose="marketing", quiet_hours=QuietHours(21 * 60, 8 * 60))
    shop.now = EVENING
    shop.place(consent_name("marketing"), {1, 2}, backfill=True)
    shop.place("vip", {1, 2, 3})
    shop.work()
    assert shop.states() == {"held": 2, "suppressed": 1}
    shop.place(consent_name("marketing"), {2})
    shop.now += 10 * HOUR
    shop.work()
    assert receiver.told() == [("2", "entered")]
    refused = shop.store.deliveries.some(state="suppressed")
    assert {(d.customer, d.reason) for d in refused} == {(1, "consent"), (3, "consent")}


def test_where_nobody_was_asked_nobody_agreed(shop: Shop, receiver: Receiver) -> None:
    shop.rule(purpose="marketing")
    shop.place("vip", set(range(1, 80)))
    shop.work()
    assert receiver.got == []
    assert shop.states() == {"suppressed": 79}


def test_nobody_is_told_about_who_objects_or_may_not_be_used_not_even_that_she_left(
    shop: Shop, receiver: Receiver
) -> None:
    plain = SegmentDefinition("plain", "rule", (Part("plain"),), profiling=False)
    bye, hello = Trigger("bye", Moved("left", "vip"), ("crm",)), Trigger("hello", Moved("entered", "plain"), ("crm",))
    shop.rules = replace(shop.rules, segments=(plain,), triggers=(*shop.rules.triggers, bye, hello))
    shop.place("vip", {1, 2, 3})
    shop.work()
    receiver.got.clear()
    shop.store.by_hand.put(MARKS["objection"], "", [1], False, by="person")
    shop.store.by_hand.put(MARKS["restriction"], "", [2], False, by="person")
    shop.place("vip", set())
    shop.place("plain", {1, 2, 3})
    shop.work()
    assert sorted(receiver.told()) == [("1", "entered"), ("3", "entered"), ("3", "left")]
    refused = shop.store.deliveries.some(state="suppressed")
    assert {(d.name, d.customer, d.reason) for d in refused} == {
        ("vip", 1, "objection"), ("vip", 2, "restriction"), ("plain", 2, "restriction"),
    }  # fmt: skip
    shop.store.by_hand.reset(MARKS["restriction"], [2])
    shop.place("vip", {2})
    shop.work()
    assert receiver.told()[-1] == ("2", "entered")


def test_who_was_forgotten_is_not_told_of(shop: Shop, receiver: Receiver) -> None:
    shop.people.forgotten = {1}
    shop.place("vip", {1, 2})
    shop.work()
    assert receiver.told() == [("2", "entered")]
    assert [d.reason for d in shop.store.deliveries.some(state="suppressed")] == ["forgotten"]


def test_a_trigger_that_is_taken_out_sends_nothing_more(shop: Shop, receiver: Receiver) -> None:
    receiver.answer = lambda _: (500, {})
    shop.place("vip", {1})
    shop.work()
    shop.rules = replace(shop.rules, triggers=())
    shop.now += 5 * SECOND
    shop.work()
    assert len(receiver.got) == 1
    assert shop.one().reason == "trigger removed"


# Keeping --------------------------------------------------------------------------------------------------------------


def test_what_has_ended_is_forgotten_after_a_month_and_what_has_not_is_kept(shop: Shop, receiver: Receiver) -> None:
    receiver.answer = lambda said: (200 if said["data"]["customer_id"] == "1" else 500, {})
    shop.place("vip", {1, 2})
    shop.work()
    shop.store.deliveries.forget(shop.now + 1)
    assert [d.customer for d in shop.store.deliveries.some()] == [2]


def test_damage_in_the_queue_is_noticed(tmp_path: Path, receiver: Receiver) -> None:
    import sqlite3

    root = tmp_path / "ws"
    with create_store(root, buckets=2) as store:
        rules = Rules((Trigger("t", Moved("entered", "vip"), ("crm",)),), (), "UTC")
        shop = Shop(store, [], rules).begin()
        shop.place("vip", {1})
        shop.work()
    with sqlite3.connect(root / "state.db") as con:
        con.execute("UPDATE delivery SET customer = 2")
    with open_store(root) as store:
        assert [p.text for p in store.verify() if "delivery" in p.text]


def test_random_weather_loses_nothing_and_keeps_the_order(shop: Shop, receiver: Receiver) -> None:
    chance = random.Random(4)
    shop.rules = replace(shop.rules, triggers=(shop.rules.triggers[0], Trigger("out", Moved("left", "vip"), ("crm",))))
    receiver.answer = lambda _: (chance.choice([200, 200, 503, 500]), {})
    inside: set[int] = set()
    for _ in range(8):
        inside ^= {c for c in range(1, 9) if chance.random() < 0.5}
        shop.place("vip", inside)
        shop.work()
        shop.now += chance.randrange(30) * SECOND
    receiver.answer = lambda _: (200, {})
    for _ in range(25):
        shop.work()
        shop.now += 600 * SECOND
    for customer in range(1, 9):
        taken = [g for g in receiver.got if g["data"]["customer_id"] == str(customer) and g["answered"] == 200]
        assert [g["data"]["number"] for g in taken] == list(range(1, len(taken) + 1))
        history = shop.store.members.transitions("vip").to_pylist()
        assert len(taken) == sum(t["customer"] == customer for t in history)
