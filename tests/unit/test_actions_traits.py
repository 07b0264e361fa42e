"""Deliveries about changes of traits: made once, in order with entries, held back like others; and everything in Avro."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner

from kohort.actions.avro_schema import as_avro, schema_of
from kohort.actions.body import Person, body
from kohort.actions.match import delivery_id
from kohort.actions.outbound import Answer
from kohort.actions.plan import Planner, Rules
from kohort.actions.worker import Actions
from kohort.cli.app import app
from kohort.definitions.triggers import (
    Cap,
    Destination,
    Moved,
    QuietHours,
    Shape,
    TraitsChanged,
    Trigger,
    consent_name,
    watched_traits,
)
from kohort.definitions.windows import Span
from kohort.definitions.workspace_file import parse, write
from kohort.errors import Busy, RefusedDefinition
from kohort.ingest.tracking.records import arrival_of_value
from kohort.live import avro
from kohort.model.delivery import CHANGED, Delivery
from kohort.model.membership import Placed
from kohort.model.trait_change import TraitChange
from kohort.store import create_store
from kohort.store.store import Store
from kohort.store.trait_changes import note, values_text
from kohort.workspace.workspace import Workspace

SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
NOON = 19_800 * DAY + 12 * HOUR
PLAN = Trigger("plan", TraitsChanged(("t_plan", "t_city")), ("topic",))
SHAPES: tuple[Shape, ...] = ("plain", "track", "identify")


@dataclass
class Topic:
    """Keeps what it is given."""

    got: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def send(self, id: str, body: bytes, now: int, key: str) -> Answer:  # noqa: A002
        self.got.append((key, id, json.loads(body)))
        return Answer(200)

    def close(self) -> None:
        pass


class Names:
    def named(self, _name: str, customers: Any, _kinds: Any) -> dict[int, Person]:
        return {c: Person(f"c{c}") for c in customers}

    def reason(self, _name: str, _segment: str, _change: str) -> str:
        return "because"


class Shop:
    """A store in which traits change, and everything between it and a topic."""

    def __init__(self, store: Store, *triggers: Trigger) -> None:
        self.store, self.now, self.topic, self.moment = store, NOON, Topic(), 0
        self.rules = Rules(triggers, (), "UTC")
        destination = Destination("topic", topic="t", servers="k:1", at_once=1, per_second=1_000)
        self.actions = Actions(
            store, lambda: self.rules, lambda: [destination], lambda _: self.topic, Names(), clock=lambda: self.now
        )

    def change(self, customer: int, **values: tuple[Any, Any]) -> None:
        before, after = ({f"t_{k}": pair[side] for k, pair in values.items()} for side in (0, 1))
        with self.store._database.write() as con:
            note(con, [TraitChange(customer, self.now, before, after)])

    def place(self, name: str, *customers: int) -> None:
        self.moment += 1
        n = len(customers)
        columns = {"customer": pa.array(customers, pa.int64()), "segment": pa.array([name] * n, pa.string())}
        columns |= {"confidence": pa.nulls(n, pa.float64()), "reason": pa.nulls(n, pa.string())}
        placed = Placed(name, 1, pa.table(columns), False)
        self.store.members.publish([placed], as_of=self.moment, now=self.now)

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Key and values now, or the part, of what was sent since the last look."""
        self.actions.drain(20)
        got, self.topic.got = self.topic.got, []
        return [(key, said["data"].get("traits", said["data"].get("part"))) for key, _, said in got]

    def states(self) -> list[tuple[str, str]]:
        return [(d.state, d.reason) for d in reversed(self.store.deliveries.some())]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Any]:
    stores: list[Store] = []

    def make(*triggers: Trigger) -> Shop:
        stores.append(create_store(tmp_path / f"s{len(stores)}", buckets=2))
        return Shop(stores[-1], *triggers)

    yield make
    for store in stores:
        assert store.verify() == []
        store.close()


# Making them ----------------------------------------------------------------------------------------------------------


def test_a_change_is_told_once_with_both_values_and_the_customer_for_key(shop) -> None:
    s = shop(PLAN)
    s.change(7, plan=("silver", "gold"), age=(1, 2))
    s.change(8, age=(1, 2))
    s.actions.drain(20)
    ((key, id_, said),) = s.topic.got
    assert (key, id_) == ("7", said["id"])
    assert said["type"] == "traits.changed"
    assert said["data"] == {
        "trigger": "plan",
        "customer_id": "c7",
        "visitor": False,
        "change": "changed",
        "at": "2024-03-18T12:00:00Z",
        "traits": {"plan": "gold"},
        "previous": {"plan": "silver"},
    }
    assert s.store.trait_changes.waiting(10) == []
    s.topic.got.clear()
    assert s.told() == []


def test_changes_and_entries_of_one_customer_keep_their_order(shop) -> None:
    s = shop(PLAN, Trigger("in", Moved("entered", "vip"), ("topic",)))
    for n in range(5):
        s.change(7, plan=(n, n + 1))
        s.change(8, plan=(n, n + 1))
        s.place("vip", *([7] if n == 3 else []))
        s.actions.plan()
    told = s.told()
    assert [v for key, v in told if key == "7"] == [{"plan": n} for n in (1, 2, 3, 4)] + ["vip", {"plan": 5}]
    assert [v for key, v in told if key == "8"] == [{"plan": n} for n in range(1, 6)]


def test_who_loses_the_race_makes_nothing(shop) -> None:
    s = shop(PLAN)
    one, other = Planner(s.store), Planner(s.store)
    s.change(7, plan=("a", "b"))
    waiting = s.store.trait_changes.waiting(10)
    assert one.step(s.rules, s.now).made == 1
    with pytest.raises(Busy):
        s.store.deliveries.plan(0, 0, [], now=s.now, traits=[c.seq for c in waiting])
    assert other.step(s.rules, s.now).made == 0
    assert len(s.store.deliveries.some()) == 1


def test_ids_are_no_transitions_ids(shop) -> None:
    s = shop(PLAN)
    s.change(7, plan=("a", "b"))
    s.actions.drain(20)
    key = str(s.store.state.get("hash_seed")).encode()
    assert s.topic.got[0][1] == delivery_id(key, "plan", "topic", -1)


def test_paused_and_removed_triggers_do_not_make_up_for_it(shop) -> None:
    s = shop(Trigger("plan", PLAN.on, ("topic",), paused=True))
    s.change(7, plan=("a", "b"))
    assert s.told() == []
    s.rules = Rules((), (), "UTC")
    s.change(7, plan=("b", "c"))
    assert s.told() == []
    s.rules = Rules((PLAN,), (), "UTC")
    assert s.told() == []
    s.change(7, plan=("c", "d"))
    assert s.told() == [("7", {"plan": "d"})]


def test_quiet_hours_caps_and_consent_hold_it_back(shop) -> None:
    s = shop(Trigger("plan", PLAN.on, ("topic",), quiet_hours=QuietHours(11 * 60, 13 * 60)))
    s.change(7, plan=("a", "b"))
    assert s.told() == []
    assert s.states() == [("held", "quiet hours")]
    s.now += HOUR
    assert s.told() == [("7", {"plan": "b"})]
    capped = shop(Trigger("plan", PLAN.on, ("topic",), at_most=Cap(1, Span(1, "day"))))
    for n in range(2):
        capped.change(7, plan=(n, n + 1))
    assert capped.told() == [("7", {"plan": 1})]
    assert capped.states()[1] == ("suppressed", "cap")
    asked = shop(Trigger("plan", PLAN.on, ("topic",), purpose="marketing"))
    asked.place(consent_name("marketing"), 8)
    for customer in (7, 8):
        asked.change(customer, plan=("a", "b"))
    assert asked.told() == [("8", {"plan": "b"})]
    assert asked.states()[0] == ("suppressed", "consent")


def test_with_an_erased_person_the_values_leave_her_deliveries(shop) -> None:
    s = shop(PLAN)
    for customer in (7, 8):
        s.change(customer, plan=("secret", "words"))
    s.actions.plan()
    s.store.deliveries.erase([7])
    kept = {d.customer: (d.segment, d.other) for d in s.store.deliveries.some()}
    assert kept == {7: ("", ""), 8: ('{"t_plan":"words"}', '{"t_plan":"secret"}')}


def test_the_command_line_shows_and_tests_a_trigger_on_traits(tmp_path: Path) -> None:
    with Workspace.create(tmp_path / "ws") as ws:
        (ws.root / "kohort.yaml").write_text(TEXT.replace("format: avro", "shape: identify"))
        s = Shop(ws.store, *ws.config.triggers)
        s.change(7, plan=("a", "b"), city=(None, "Bonn"))
        s.actions.drain(20)
        (one,) = run(ws, "triggers", "list")["triggers"]
        assert (one["watches"], one["on"], one["rule"]) == ("changed plan, city", {"traits": ["t_plan", "t_city"]}, "")
        assert one["problems"] == ["No customer has the trait 't_plan' yet.", "No customer has the trait 't_city' yet."]
        assert one["deliveries"] == {"done": 1}
        (shown,) = run(ws, "triggers", "test", "plan")["tests"]
        assert json.loads(shown["body"])["traits"] == {"plan": "now", "city": "now"}
        (line,) = run(ws, "triggers", "log", "plan")["deliveries"]
        assert (line["change"], line["part"], line["state"]) == ("changed", "t_city, t_plan", "done")


def run(ws: Workspace, *arguments: str) -> Any:
    assert CliRunner().invoke(app, [*arguments, "-w", str(ws.root)]).exit_code == 0
    done = CliRunner().invoke(app, [*arguments, "-w", str(ws.root), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


# Text -----------------------------------------------------------------------------------------------------------------

TEXT = """name: Toys
destinations:
  topic: {kafka: changes, servers: "k:9092", format: avro}
triggers:
  plan: {on: {traits: [plan, t_city]}, send_to: topic}
"""


def test_a_trigger_on_traits_is_read_and_written_back() -> None:
    config = parse(TEXT)
    assert config.triggers[0].on == TraitsChanged(("t_plan", "t_city"))
    assert watched_traits(config.triggers) == ("t_city", "t_plan")
    assert config.destinations[0].format == "avro"
    assert parse(write(config)) == config
    assert config.evaluated == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[plan, t_city]", "[]", "names of 1 to 50"),
        ("[plan, t_city]", "['a b']", "names of 1 to 50"),
        ("[plan, t_city]", "[plan, t_plan]", "named twice"),
        ("send_to: topic", "send_to: topic, backfill: true", "no change"),
        ("format: avro", "format: xml", "cannot be 'xml'"),
        ('kafka: changes, servers: "k:9092"', "webhook: 'https://x.example', secret_env: A", "format belongs to"),
    ],
)
def test_mistakes_are_told(old: str, new: str, message: str) -> None:
    with pytest.raises(RefusedDefinition, match=message):
        parse(TEXT.replace(old, new))


# Avro -----------------------------------------------------------------------------------------------------------------

VALUES = {"t_plan": "gold", "t_n": 3, "t_half": 0.5, "t_yes": True, "t_tags": ["a", "b"], "t_gone": None}


def delivery(change: str) -> Delivery:
    traits = change == CHANGED
    return Delivery(
        number=1, id="msg_1", trigger="t", destination="d", seq=-1 if traits else 1, name="value",
        segment=values_text(VALUES) if traits else "gold", other=values_text({"t_plan": None}) if traits else "silver",
        customer=7, change=change, nth=0 if traits else 3, at=NOON, version=1, state="pending", reason="", attempts=0,
        status=None, created_at=0, due_at=0, first_at=None, next_at=0, ended_at=None,
    )  # fmt: skip


def plain(value: Any) -> Any:
    """Without what is null: the JSON leaves out what Avro says is not there."""
    return {k: plain(v) for k, v in value.items() if v is not None} if isinstance(value, dict) else value


@pytest.mark.parametrize("change", ["entered", "left", CHANGED])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "person", [Person("14127", identifiers={"email": ("a@x.example",)}), Person("v-1", visitor=True)]
)
def test_avro_says_what_the_json_says_to_fastavro_alone_and_to_our_own_reader(
    change: str, shape: Shape, person: Person, tmp_path: Path
) -> None:
    import fastavro

    said = json.loads(body(delivery(change), person, shape, "because"))
    message = body(delivery(change), person, shape, "because", "avro")
    schema = fastavro.parse_schema(schema_of(shape))
    mark = bytes.fromhex(
        fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema_of(shape)), "CRC-64-AVRO")
    )
    assert message[:10] == b"\xc3\x01" + mark
    assert plain(fastavro.schemaless_reader(io.BytesIO(message[10:]), schema, None)) == plain(said)
    file = tmp_path / "x.avsc"
    file.write_text(json.dumps(schema_of(shape)))
    assert avro.is_avro(message)
    assert plain(avro.Schemas.read(file).object_of(message)) == plain(said)


def test_the_schemas_that_receivers_keep_are_these() -> None:
    """Another fingerprint makes messages unreadable to whoever keeps the schema: a change of the format, to be announced."""
    marks = {
        shape: as_avro(json.loads(body(delivery("left"), Person("1"), shape)), shape)[2:10].hex() for shape in SHAPES
    }
    assert marks == {"plain": "852e7ab849398c97", "track": "46fb7eafdd55ffbc", "identify": "76be28fd085951b4"}


def test_events_that_one_workspace_tells_another_can_read() -> None:
    schemas = avro.Schemas(None, {}, {as_avro_mark("track"): avro.parsed(json.dumps(schema_of("track")))})
    message = body(delivery("entered"), Person("14127"), "track", "", "avro")
    arrival = arrival_of_value(schemas.object_of(message), topic="t", partition=0, offset=1, timestamp_us=NOON)
    assert arrival.payload["event"] == "Audience Entered"
    assert arrival.payload["userId"] == "14127"


def as_avro_mark(shape: Shape) -> bytes:
    return avro.fingerprint(avro.parsed(json.dumps(schema_of(shape))))


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_the_command_line_prints_the_schema(more: list[str]) -> None:
    done = CliRunner().invoke(app, ["triggers", "schema", "--shape", "track", *more])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == schema_of("track")
