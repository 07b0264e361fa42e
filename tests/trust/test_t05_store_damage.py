"""T5: one flipped bit or one cut anywhere in a workspace's files is reported, or changes no answer at all.

Everything the store can be asked is asked before and after the damage. The twin asks the same files without the store's
checks and gets wrong answers, so the test can fail.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.errors import KohortError
from kohort.model.membership import Placed
from kohort.model.segmentation import Segmentation, Structure
from kohort.model.source import BatchReport, RejectedRow
from kohort.store import create_store, open_store

FILES = {
    "state.db": "state.db",
    "state.db-wal": "state.db-wal",
    "state.mark": "state.mark",
    "vault.db": "vault.db",
    "vault.db-wal": "vault.db-wal",
    "vault.mark": "vault.mark",
    "parquet": "events/bucket=*/*.parquet",
    "memberships": "memberships/*.parquet",
    "delta log": "events/_delta_log/*.json",
    "id index": "ids/*.ids",
    "artefact": "models/tree/v1/*.bin",
    "manifest": "models/tree/v1/manifest.json",
    "key": "keys/master.key",
}
REFS = [f"C{i:04}" for i in range(60)]
MOMENTS = (150, 250, 1_000)


def fill(store, events) -> None:
    keys = store.vault.customers(REFS)
    store.vault.seal(keys[:30], "email", [f"person{i}@example.org" for i in range(30)])
    store.vault.seal(keys[:10], "name", [f"Person {i}" for i in range(10)])
    store.log.declare({"p_colour": "text"})
    store.log.append(events(0, 300), batch=1)
    store.log.compact()
    store.log.append(events(300, 80), batch=2)
    store.log.compact()
    store.log.append(events(380, 40), batch=3)
    for number in range(3):
        batch = store.state.begin_batch("orders", f"file{number}.csv", fingerprint=str(number))
        store.state.finish_batch(BatchReport("orders", f"file{number}.csv", batch, 100, 90, 8, 2, {"no_time": 2}))
        rows = [RejectedRow("orders", "f.csv", i, "no_time", "No time.", "t", {"a": f"{i}"}) for i in range(20)]
        store.state.add_rejected(rows, batch)
    store.state.mark_retried([1, 2])
    structure = Structure("spectrum", {"gap": 0.25}, "No gaps, but cuts that hold.")
    found = Segmentation("x1", "kmeans", 3, 60, structure, (), (), 0, ("A warning.",), as_of="2011-12-09T00:00:00Z")
    store.state.save_segmentation(found)
    store.state.save_segmentation(found, name="Main", adopted=True)
    store.members.parts.inline_rows = 10  # the first run is a file, the others are in the state
    for moment in (100, 200, 300):
        rows = {
            "customer": keys,
            "segment": [f"s{(i + moment // 100 * (i % 7 == 0)) % 4}" for i in range(60)],
            "confidence": [i / 60 for i in range(60)],
            "reason": [None if i % 3 else f"More than {i} orders" for i in range(60)],
        }
        placed = Placed("Main", 1, pa.table(rows).slice(0, 60 - moment // 100))
        store.members.publish([placed], as_of=moment, now=moment)
    store.definitions.save("Main", "amount > 10")
    store.by_hand.put("Main", "s1", keys[:5], True, by="Ada", note="friends")
    store.status.failed("Main", "no_events: Nothing happened.", now=5)
    store.members.acknowledge("consumer", 7)
    store.artefacts.save("tree", "v1", {"a.bin": bytes(range(256)), "b.bin": b"weights" * 40}, {"seed": 7})


@pytest.fixture(scope="module")
def images(tmp_path_factory, logical) -> dict[str, Path]:
    """A workspace as a killed process leaves it (changes in the write-ahead logs only), and one closed in peace."""
    closed, killed = tmp_path_factory.mktemp("closed"), tmp_path_factory.mktemp("killed") / "ws"
    create_store(closed, buckets=2).close()
    with open_store(closed) as store:
        fill(store, logical[0])
        shutil.copytree(closed, killed)
    return {kind: killed if kind.endswith("wal") else closed for kind in FILES}


def answers(root: Path, logical) -> dict[str, object]:
    """Everything one can ask."""
    events, contents, _ = logical
    with open_store(root) as store:
        keys = store.vault.customers(REFS)
        told = store.log.append(events(0, 420), batch=9)
        return {
            "keys": keys.tolist(),
            "refs": store.vault.refs(keys),
            "people": [store.vault.open_person(key) for key in keys],
            "find": [store.vault.find("email", f"person{i}@example.org") for i in range(31)],
            "append": (told.stored, told.duplicate, told.conflicts.num_rows),
            "events": contents(store).to_pylist(),
            "count": store.log.count(),
            "columns": store.log.snapshot().columns,
            "batches": store.state.batches(),
            "batch": [store.state.batch_of(str(n)) for n in range(4)],
            "rejected": store.state.rejected(limit=1000),
            "rejected_counts": store.state.rejected_counts(),
            "segmentations": store.state.segmentations(),
            "documents": [store.state.segmentation(name) for name in (None, "", "Main")],
            "members": [store.members.at("Main", moment).to_pylist() for moment in MOMENTS],
            "history": [store.members.history("Main", key) for key in keys.tolist()],
            "runs": store.members.runs("Main"),
            "outbox": store.members.outbox("consumer", limit=500),
            "definitions": store.definitions.versions("Main"),
            "by hand": (store.by_hand.table().to_pylist(), store.by_hand.actions()),
            "status": (store.status.all(), store.members.names()),
            "model": store.artefacts.load("tree", "v1"),
        }


def published(root: Path) -> Counter:
    """What a reader of the Delta log sees."""
    from deltalake import DeltaTable

    try:
        table = DeltaTable(str(root / "events")).to_pyarrow_table()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Counter([type(error).__name__])
    return Counter(repr(sorted(row.items())) for row in table.to_pylist())


def unchecked(root: Path, _logical) -> dict[str, object]:
    """The same files read without the store, as a system without checks would."""
    found: dict[str, object] = {}
    try:
        for name, tables in {
            "state.db": (
                "member_part",
                "member_body",
                "batch",
                "rejected_row",
                "segmentation",
                "setting",
                "base_file",
                "hot_event",
            ),
            "vault.db": ("person", "identity"),
        }.items():
            con = sqlite3.connect(root / name)
            found |= {table: con.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}
            con.close()
        files = sorted((root / "events").glob("bucket=*/*.parquet"))
        found["events"] = [pq.read_table(path, partitioning=None).to_pylist() for path in files]
        found["moves"] = [pq.read_table(p).to_pylist() for p in sorted((root / "memberships").glob("*.parquet"))]
        found["ids"] = [path.read_bytes() for path in sorted((root / "ids").glob("*.ids"))]
    except (sqlite3.Error, pa.ArrowException, OSError, ValueError) as error:
        raise KohortError("noticed") from error
    return found


def damage(path: Path, chance: random.Random, *, cut: bool) -> None:
    data = bytearray(path.read_bytes())
    if cut:
        data = data[: chance.randrange(len(data))]
    else:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def outcomes(kind: str, sound: Path, work: Path, logical, *, rounds: int, ask=answers) -> Counter:
    """How often damage was detected, harmless, or gave a wrong answer without a word."""
    found: Counter = Counter()
    shutil.copytree(sound, work / "right")
    right, seen = ask(work / "right", logical), published(sound)
    for number in range(2 * rounds):
        chance = random.Random(f"{kind} {number}")
        root = work / "hit"
        shutil.copytree(sound, root)
        path = chance.choice(sorted(root.glob(FILES[kind])))
        damage(path, chance, cut=number % 2 == 1)
        try:
            if kind == "delta log":
                with open_store(root) as store:
                    noticed = store.verify() != []
                found["detected" if noticed else "harmless" if published(root) == seen else "silent"] += 1
            found["harmless" if ask(root, logical) == right else "silent"] += 1
        except KohortError:
            found["detected"] += 1
        shutil.rmtree(root)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_damage_is_reported_or_harmless(kind: str, images, tmp_path: Path, logical) -> None:
    # Where damage is mostly harmless, everything is asked each time: fewer of these.
    rounds = 5 if kind in ("delta log", "artefact", "manifest") else 12
    found = outcomes(kind, images[kind], tmp_path, logical, rounds=rounds)
    assert found["silent"] == 0
    assert found["detected"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vault.db", "vault.db-wal"])
def test_so_it_is_where_the_vault_is_read_part_by_part(kind: str, images, tmp_path: Path, logical, monkeypatch) -> None:
    monkeypatch.setattr("kohort.store.vault_people._SMALL", 0)
    found = outcomes(kind, images[kind], tmp_path, logical, rounds=20)
    assert found["silent"] == 0
    assert found["detected"] > 0


@pytest.mark.nightly
@pytest.mark.parametrize("kind", FILES)
def test_damage_is_reported_or_harmless_in_volume(kind: str, images, tmp_path: Path, logical) -> None:
    found = outcomes(kind, images[kind], tmp_path, logical, rounds=300)
    assert found["silent"] == 0
    assert found["detected"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["state.db", "state.db-wal", "vault.db", "parquet", "memberships", "id index"])
def test_twin_without_checks_gives_wrong_answers(kind: str, images, tmp_path: Path, logical) -> None:
    assert outcomes(kind, images[kind], tmp_path, logical, rounds=30, ask=unchecked)["silent"] > 0


@pytest.mark.slow
def test_a_damaged_delta_log_is_written_anew(images, tmp_path: Path) -> None:
    root = tmp_path / "ws"
    shutil.copytree(images["delta log"], root)
    before = published(root)
    for path in (root / "events" / "_delta_log").glob("*.json"):
        path.write_text("{")
    with open_store(root) as store:
        assert [problem.place for problem in store.verify()] == ["events"]
        store.log.republish()
        assert store.verify() == []
    assert published(root) == before
