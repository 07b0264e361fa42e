"""T32: another master key, also under load and with kills: nothing becomes unreadable, nobody stops, and the old key opens nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from kohort.cli.app import app
from kohort.errors import Busy, Damaged, WrongUsage
from kohort.model.source import RejectedRow
from kohort.store import create_store, open_store
from kohort.store.keys import ENV_KEY, ENV_KEY_FILE, ENV_KEY_NEXT, MasterKey
from kohort.store.rotating import rotate
from kohort.store.store import Store
from kohort.store.vault import Vault

PEOPLE = [f"customer-{n:04}" for n in range(40)]
META = {"received_us": 1, "source": "shop", "path": "batch", "ip": "", "user_agent": ""}
PLACES = {
    "the new key is on disk": "kohort.store.vault_sealing:seal_anew:before",
    "the vault is sealed": "kohort.store.vault_sealing:seal_anew:after",
    "one file of the journal is sealed": "kohort.store.journal_segment:seal_header:after",
    "the journal is sealed": "kohort.store.rotating:_replace:before",
    "the new key has its place": "kohort.store.rotating:_destroy:before",
    "done": "kohort.store.rotating:_replace:after",
}
CHILD = """
import importlib, os, signal, sys
from kohort.store import open_store, rotating
root, place = sys.argv[1:]
module, name, when = place.split(":")
was = getattr(importlib.import_module(module), name)
def dies(*given, **more):
    if when == "before": os.kill(os.getpid(), signal.SIGKILL)
    found = was(*given, **more)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(rotating, name, dies)
with open_store(root) as store:
    rotating.rotate(store)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that no test changes: people, an identifier each, a rejected row, and requests in two files of the journal."""
    root = tmp_path_factory.mktemp("made") / "ws"
    with create_store(root, buckets=3) as store:
        keys = store.vault.customers(PEOPLE)
        store.vault.seal(keys, "email", [f"{who}@shop.example" for who in PEOPLE])
        batch = store.state.begin_batch("orders", "a.csv")
        store.state.add_rejected([RejectedRow("orders", "a.csv", 1, "bad_time", "No time.", raw={"a": "b"})], batch)
        for n in range(2):  # each opening writes a file of its own
            with store.journal() as journal:
                journal.append(b'{"batch": []}', {**META, "received_us": n}).result(10)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (ENV_KEY, ENV_KEY_FILE, ENV_KEY_NEXT):
        monkeypatch.delenv(name, raising=False)
    return Path(shutil.copytree(made, tmp_path / "ws"))


def secret(root: Path) -> bytes:
    return bytes.fromhex((root / "keys" / "master.key").read_text().strip())


def sound(store: Store) -> None:
    """All of it is there and opens."""
    keys = store.vault.known(PEOPLE)
    assert (keys != 0).all()
    assert store.vault.refs(keys) == PEOPLE
    assert store.vault.open_person(int(keys[7]))["email"] == [f"{PEOPLE[7]}@shop.example"]
    assert [row.raw for row in store.state.rejected()] == [{"a": "b"}]
    assert [frame.meta["received_us"] for frame in store.journal_to_read().read(0, 1 << 20)] == [0, 1]
    store.vault.check()
    assert store.verify() == []


def opens(root: Path, key: bytes) -> bool:
    try:
        Vault(root / "vault.db", MasterKey(key, "file")).close()
    except Damaged:
        return False
    return True


def test_the_new_key_opens_everything_and_the_old_one_nothing(root: Path) -> None:
    old = secret(root)
    told = CliRunner().invoke(app, ["keys", "rotate", "-w", str(root), "--json"])
    assert told.exit_code != 0, "there is no kohort.yaml: it is no workspace"
    with open_store(root) as store:
        done = rotate(store)
        assert done == {"people": len(PEOPLE), "files": 2, "key": "workspace"}
        sound(store)
    assert secret(root) != old
    assert (opens(root, old), opens(root, secret(root))) == (False, True)
    assert sorted(path.name for path in (root / "keys").iterdir()) == ["master.key"]
    assert old.hex().encode() not in b"".join(path.read_bytes() for path in (root / "keys").iterdir())
    with open_store(root) as store:
        sound(store)
        with store.journal() as journal:
            assert journal.append(b"{}", META).result(10) == 3


@pytest.mark.parametrize("place", PLACES)
def test_it_is_gone_on_with_wherever_it_ended(root: Path, place: str) -> None:
    old = secret(root)
    child = subprocess.run([sys.executable, "-c", CHILD, str(root), PLACES[place]], check=False, timeout=120)
    assert child.returncode == -signal.SIGKILL
    with open_store(root) as store:
        sound(store)
    sealed = place != "the new key is on disk"
    assert opens(root, old) is not sealed
    assert opens(root, secret(root))
    assert (root / "keys" / "master.key.next").exists() is not sealed
    assert not (root / "keys" / "master.key.old").exists()
    with open_store(root) as store:
        rotate(store)
        sound(store)
    assert not (root / "keys" / "master.key.next").exists()
    assert not (root / "keys" / "master.key.old").exists()


def test_who_has_it_open_goes_on_reading_and_writing(root: Path) -> None:
    with open_store(root) as reader, open_store(root) as writer, open_store(root) as store:
        assert reader.vault.refs(reader.vault.known(PEOPLE[:1])) == PEOPLE[:1]
        for n in range(3):
            rotate(store)
            key = int(writer.vault.customers([f"new-{n}"])[0])
            writer.vault.seal([key], "email", [f"new-{n}@shop.example"])
            assert reader.vault.open_person(key)["email"] == [f"new-{n}@shop.example"]
            assert store.vault.refs([key]) == [f"new-{n}"]
        sound(reader)
        sound(writer)


def under_load(root: Path, times: int) -> int:
    """Rotates while another connection takes in people without a pause; how many it took in."""
    stop, trouble, taken = threading.Event(), list[Exception](), list[str]()

    def load() -> None:
        try:
            with open_store(root) as mine:
                while not stop.is_set():
                    name = f"loaded-{len(taken)}"
                    (key,) = (int(found) for found in mine.vault.customers([name]))
                    mine.vault.seal([key], "email", [f"{name}@shop.example"])
                    assert mine.vault.refs([key]) == [name]
                    taken.append(name)
        except Exception as error:
            trouble.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    with open_store(root) as store:
        for _ in range(times):
            rotate(store)
        stop.set()
        thread.join(60)
        assert trouble == []
        assert store.vault.refs(store.vault.known(taken)) == taken
        sound(store)
    return len(taken)


def test_nobody_stops_while_it_is_under_way(root: Path) -> None:
    assert under_load(root, 3) > 0


@pytest.mark.nightly
def test_the_same_twenty_times(root: Path) -> None:
    assert under_load(root, 20) > 20


def test_while_a_server_takes_in_events_it_is_refused(root: Path) -> None:
    old = secret(root)
    with open_store(root) as store:
        with store.journal(), pytest.raises(Busy):
            rotate(store)
        sound(store)
    assert secret(root) == old
    assert sorted(path.name for path in (root / "keys").iterdir()) == ["master.key"]


def test_a_key_of_the_environment_is_given_from_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = secret(root).hex(), "ab" * 32
    monkeypatch.setenv(ENV_KEY, old)
    with open_store(root) as store, pytest.raises(WrongUsage, match="no new one"):
        rotate(store)
    monkeypatch.setenv(ENV_KEY_NEXT, "short")
    with pytest.raises(WrongUsage, match="64 hexadecimal"):
        open_store(root).close()
    monkeypatch.setenv(ENV_KEY_NEXT, new)
    with open_store(root) as store:
        assert rotate(store)["key"] == "environment"
        sound(store)
    with open_store(root) as store:  # both are set: whoever was not told yet is not shut out
        sound(store)
    monkeypatch.setenv(ENV_KEY, new)
    monkeypatch.delenv(ENV_KEY_NEXT)
    with open_store(root) as store:
        sound(store)
    monkeypatch.setenv(ENV_KEY, old)
    with pytest.raises(Damaged, match="does not open this vault"):
        open_store(root)


def test_a_file_outside_is_replaced_where_it_lies(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "secrets" / "key"
    outside.parent.mkdir(mode=0o700)
    shutil.move(root / "keys" / "master.key", outside)
    monkeypatch.setenv(ENV_KEY_FILE, str(outside))
    before = outside.read_text()
    with open_store(root) as store:
        assert rotate(store)["key"] == "file"
        sound(store)
    assert outside.read_text() != before
    assert outside.stat().st_mode & 0o077 == 0
    assert [path.name for path in outside.parent.iterdir()] == ["key"]


def test_the_command_says_what_it_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import kohort

    for name in (ENV_KEY, ENV_KEY_FILE, ENV_KEY_NEXT):
        monkeypatch.delenv(name, raising=False)
    with kohort.create(tmp_path / "ws") as ws:
        ws.store.vault.customers(["a", "b"])
    told = CliRunner().invoke(app, ["keys", "rotate", "-w", str(tmp_path / "ws"), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == {"people": 2, "files": 0, "key": "workspace"}
    assert "2 people" in CliRunner().invoke(app, ["keys", "rotate", "-w", str(tmp_path / "ws")]).stdout
