"""The vault: stable random pseudonyms, values sealed per person, forgetting that leaves nothing, one key to open it."""

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kohort.errors import Damaged, KohortError, NotFound, WrongUsage
from kohort.store import create_store, open_store
from kohort.store.keys import ENV_KEY, ENV_KEY_FILE, seal, unseal
from kohort.store.vault import normalised


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=2) as opened:
        yield opened


def test_a_workspace_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "there"
    folder.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        create_store(tmp_path / "new", buckets=2).close()
        with create_store(folder, buckets=2) as made:
            made.vault.customers(["a"])
            made.artefacts.save("kind", "one", {"a.bin": b"a"}, {})
            inside = list(folder.iterdir())
            loose = [p.name for p in (*inside, *folder.rglob("*.bin")) if p.stat().st_mode & 0o077]
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert {p.name for p in inside} >= {"events", "ids", "models", "keys", "state.db", "vault.db", "vault.db-wal"}
    assert loose == []


def test_known_numbers_keep_their_pseudonyms_in_every_process(store) -> None:
    first = store.vault.customers(["a", "b", "a", "c"])
    with open_store(store.root) as other:
        again = other.vault.customers(["c", "d", "b", "a"])
    assert first[0] == first[2]
    assert again[[3, 2, 0]].tolist() == first[[0, 1, 3]].tolist()
    assert len({*first.tolist(), *again.tolist()}) == 4
    assert store.vault.customers(["d"])[0] == again[1], "seen although another process created it"


def test_pseudonyms_are_positive_63_bit_and_not_in_the_order_of_the_numbers(store) -> None:
    keys = store.vault.customers([str(i) for i in range(3_000)])
    assert keys.dtype == np.int64
    assert (keys > 0).all()
    assert (keys.astype(float) > 2.0**62).mean() == pytest.approx(0.5, abs=0.06)
    order = np.argsort(keys)
    assert abs(np.corrcoef(order, np.arange(3_000))[0, 1]) < 0.1


def test_many_and_few_take_the_same_way_back(store) -> None:
    numbers = [f"n{i}" for i in range(2_500)]
    keys = store.vault.customers(numbers)
    assert store.vault.refs(keys) == numbers
    with open_store(store.root) as other:
        assert other.vault.refs(keys[[7, 3]]) == ["n7", "n3"]
        assert other.vault.customers(["n5"])[0] == keys[5]
        assert other.vault.refs([123]) == [None]


def test_numbers_that_are_identifiers_themselves_are_not_for_showing(store) -> None:
    numbers = ["ann@x.org", "+45 12 34 56 78", "Bo Ek", "K1", "17850", "eve@x.org"]
    keys = store.vault.customers(numbers)
    for kind, place in (("email", 0), ("phone", 1), ("name", 2), ("name", 3)):
        store.vault.seal([keys[place]], kind, [f" {numbers[place].upper()} " if place < 3 else "Kim"])
    assert store.vault.numbers([*keys, 7]) == [None, None, None, "K1", "17850", "eve@x.org", None]
    assert store.vault.refs(keys) == numbers


def test_threads_and_processes_agree(store) -> None:
    numbers = [f"n{i}" for i in range(400)]
    with open_store(store.root) as other, ThreadPoolExecutor(6) as pool:
        vaults = [store.vault, other.vault] * 6
        found = list(pool.map(lambda vault: (vault.customers(numbers), vault.find("email", "x@y.z")), vaults))
    assert all((keys == found[0][0]).all() for keys, _ in found)
    assert store.vault.refs(found[0][0]) == numbers
    assert store.verify() == []


def test_nothing_readable_is_on_disk(store) -> None:
    key = store.vault.customers(["customer-4711-number"])
    store.vault.seal(key, "email", ["ada.lovelace@example.org"])
    store.vault.seal(key, "name", ["Ada Lovelace"])
    store.close()
    for path in [p for p in store.root.rglob("*") if p.is_file()]:
        data = path.read_bytes().lower()
        assert not [text for text in (b"4711", b"lovelace", b"example.org") if text in data], path.name


def test_identifiers_open_for_their_person_only_and_are_found_however_they_are_written(store) -> None:
    ada, bob = store.vault.customers(["ada", "bob"])
    new = store.vault.seal([ada, ada, bob, bob], "email", ["Ada@X.org", "ada@x.org ", None, "bob@x.org"])
    store.vault.seal([bob], "phone", ["+44 20 7946 0958"])
    assert new == 2
    assert store.vault.open_person(ada) == {"ref": ["ada"], "email": ["ada@x.org "]}
    assert store.vault.find("email", "ADA@x.org") == ada
    assert store.vault.find("phone", "0044 (0)20 7946 0958".replace("(0)", "")) == bob
    assert store.vault.find("email", "eve@x.org") is None
    assert store.vault.seal([ada], "email", ["ADA@X.ORG"]) == 0


def test_forgetting_destroys_the_key_on_disk_too(store) -> None:
    ada, bob = store.vault.customers(["ada", "bob"])
    store.vault.seal([ada, bob], "email", ["ada@x.org", "bob@x.org"])
    con = sqlite3.connect(store.root / "vault.db")
    wrapped = con.execute("SELECT wrapped FROM person WHERE customer = ?", (int(ada),)).fetchone()[0]
    con.close()
    assert store.vault.forget(ada) is True
    assert store.vault.forget(ada) is False
    files = [p.read_bytes() for p in store.root.glob("vault.db*")]
    assert not any(wrapped in data for data in files)
    assert store.vault.refs([ada, bob]) == [None, "bob"]
    assert store.vault.find("email", "ada@x.org") is None
    with pytest.raises(NotFound):
        store.vault.open_person(ada)
    assert store.vault.customers(["ada"])[0] != ada, "a new person, unlinkable to the old one"
    assert store.verify() == []


def test_the_search_for_a_key_on_disk_can_find_one(store) -> None:
    ada = int(store.vault.customers(["ada"])[0])
    con = sqlite3.connect(store.root / "vault.db")
    wrapped = con.execute("SELECT wrapped FROM person WHERE customer = ?", (ada,)).fetchone()[0]
    con.close()
    assert any(wrapped in p.read_bytes() for p in store.root.glob("vault.db*"))


def test_empty_numbers_unknown_kinds_and_unknown_people_are_refused(store) -> None:
    with pytest.raises(WrongUsage):
        store.vault.customers(["a", ""])
    with pytest.raises(WrongUsage):
        store.vault.seal([1], "shoe size", ["44"])
    with pytest.raises(NotFound):
        store.vault.seal([99], "email", ["a@b.c"])
    assert store.vault.customers([]).tolist() == []
    assert store.vault.refs([]) == []


def test_another_master_key_does_not_open_the_vault(store, monkeypatch) -> None:
    store.close()
    monkeypatch.setenv(ENV_KEY, "00" * 32)
    with pytest.raises(Damaged, match="master key"):
        open_store(store.root)
    monkeypatch.setenv(ENV_KEY, "no key")
    with pytest.raises(WrongUsage, match="64 hexadecimal digits"):
        open_store(store.root)


def test_a_key_from_outside_leaves_none_in_the_workspace(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(ENV_KEY_FILE, str(tmp_path / "secret.key"))
    with create_store(tmp_path / "ws") as store:
        assert store.vault.key_origin == "file"
        assert not (tmp_path / "ws" / "keys").exists()
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_others_can_read_is_refused(store) -> None:
    store.close()
    path = store.root / "keys" / "master.key"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(WrongUsage, match="other users"):
        open_store(store.root)


def test_a_sealed_value_opens_with_its_own_context_only() -> None:
    cipher = AESGCM(bytes(32))
    sealed = seal(cipher, b"value", b"ada|email")
    assert unseal(cipher, sealed, b"ada|email") == b"value"
    assert seal(cipher, b"value", b"ada|email") != sealed, "the nonce is random"
    for wrong in (sealed[:-1], b"", b"\x02" + sealed[1:], sealed + b"\0"):
        with pytest.raises(KohortError):
            unseal(cipher, wrong, b"ada|email")
    with pytest.raises(Damaged):
        unseal(cipher, sealed, b"bob|email")


@pytest.mark.parametrize(
    ("kind", "written", "same"),
    [
        ("email", " Ada@Example.ORG", "ada@example.org"),
        ("phone", "+49 (30) 901820", "004930901820"),
        ("name", "STRASSE  Ada", "straße ada"),
    ],
)
def test_writing_does_not_matter(kind: str, written: str, same: str) -> None:
    assert normalised(kind, written) == normalised(kind, same)


def test_known_numbers_are_found_and_unknown_ones_are_not_made(store) -> None:
    first, second = store.vault.customers(["7", "8"])
    assert store.vault.known(["8", "9", "7"]).tolist() == [second, 0, first]
    (third,) = store.vault.customers(["9"])
    assert store.vault.known(["9", "8"]).tolist() == [third, second]
    assert store.vault.known(["nobody", "", "\udce4"]).tolist() == [0, 0, 0]
    assert third not in (first, second)


def test_newcomers_are_added_to_what_was_checked_and_changes_of_others_are_noticed(store, monkeypatch) -> None:
    monkeypatch.setattr("kohort.store.people._RECENT", 7)
    expected: dict[str, int] = {}
    with open_store(store.root) as other:
        for step in range(12):
            vault = other.vault if step % 4 == 3 else store.vault
            texts = [f"n{step}-{i}" for i in range(3)] + list(expected)[-2:]
            for text, key in zip(texts, vault.customers(texts).tolist(), strict=True):
                assert expected.setdefault(text, key) == key
            if step == 5:
                gone = next(iter(expected))
                assert other.vault.forget(expected.pop(gone))
            assert store.vault.known(["nobody", *expected]).tolist() == [0, *expected.values()]
    assert len(set(expected.values())) == len(expected)
    with open_store(store.root) as again:
        assert again.vault.known(list(expected)).tolist() == list(expected.values())
    assert store.verify() == []


def test_a_newcomer_does_not_make_the_vault_read_everybody_again(store) -> None:
    store.vault.customers([f"n{i}" for i in range(50)])
    kept = store.vault._people
    store.vault.customers(["n1", "new"])
    store.vault.seal(store.vault.customers(["n1"]), "email", ["a@b.c"])
    store.vault.visitors(["tab"])
    assert store.vault.known(["new", "n7", "nobody"]).astype(bool).tolist() == [True, True, False]
    assert store.vault._people is kept
    with open_store(store.root) as other:
        other.vault.customers(["n1", "elsewhere"])
    assert store.vault.known(["elsewhere"])[0] > 0
    assert store.vault.known(["nobody"]).tolist() == [0]
    assert store.vault._people is not kept, "others changed it: a small table is read again"


@pytest.fixture
def leaf_by_leaf(monkeypatch) -> None:
    """No table is so small that it is read as a whole."""
    monkeypatch.setattr("kohort.store.vault_people._SMALL", 0)


def test_an_unknown_person_is_one_part_of_the_table_to_read(store, leaf_by_leaf, monkeypatch) -> None:
    monkeypatch.setattr("kohort.store.vault_people._MANY", 100)
    numbers = [f"n{i}" for i in range(3_000)]
    keys = store.vault.customers(numbers)
    store.vault.seal(keys[:500], "email", [f"{n}@x.org" for n in numbers[:500]])
    with open_store(store.root) as again:
        monkeypatch.setattr(again.vault, "_read_all", lambda: pytest.fail("the whole table was read"))
        expected = dict(zip(numbers, keys.tolist(), strict=True))
        for step in range(30):
            vault = store.vault if step % 7 == 6 else again.vault
            texts = [f"new{step}", f"new{step // 2}", numbers[step]]
            for text, key in zip(texts, vault.customers(texts).tolist(), strict=True):
                assert expected.setdefault(text, key) == key
            assert again.vault.known([f"later{step}", f"new{step}"]).tolist() == [0, expected[f"new{step}"]]
        assert again.vault.forget(expected["new3"])
        assert again.vault.refs([expected["new3"], 12345, keys[7]]) == [None, None, "n7"]
        assert again.vault.there([expected["new3"], keys[8]]) == [False, True]
        assert again.vault.find("email", "nobody@x.org") is None
        assert again.vault.open_person(int(keys[9])) == {"ref": ["n9"], "email": ["n9@x.org"]}
        with pytest.raises(NotFound):
            again.vault.seal([12345], "email", ["a@b.c"])
    assert len(set(expected.values())) == len(expected)
    assert store.verify() == []


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM person WHERE customer = {key}",
        "UPDATE person SET lookup = randomblob(16) WHERE customer = {key}",
        "UPDATE person SET customer = 7 WHERE customer = {key}",
        "UPDATE tally SET rows = rows + 1 WHERE tree LIKE 'person%'",
        "UPDATE tally SET total = 'x' WHERE tree LIKE 'person%'",
        "DELETE FROM tally WHERE tree LIKE 'person%' AND node < 256",
        "DELETE FROM tally WHERE tree LIKE 'person%' AND node >= 256",
    ],
)
def test_somebody_who_vanished_is_no_newcomer(store, leaf_by_leaf, damage: str) -> None:
    ada, *_ = store.vault.customers(["ada", *(f"n{i}" for i in range(2_000))])
    store.close()
    con = sqlite3.connect(store.root / "vault.db")
    con.execute(damage.format(key=ada))
    con.commit()
    con.close()
    with open_store(store.root) as again:
        with pytest.raises(Damaged):
            again.vault.customers(["ada", "new"])
        if "lookup" not in damage:  # she is there under her pseudonym still
            with pytest.raises(Damaged):
                again.vault.refs([ada, int(ada) ^ 1])
        assert again.verify() != []


@pytest.mark.parametrize("damage", ["DELETE FROM identity WHERE customer = {key}", "DELETE FROM tally"])
def test_an_identifier_that_vanished_is_noticed(store, leaf_by_leaf, damage: str) -> None:
    ada, bob = store.vault.customers(["ada", "bob"])
    store.vault.seal([ada, bob], "email", ["ada@x.org", "bob@x.org"])
    store.close()
    con = sqlite3.connect(store.root / "vault.db")
    con.execute(damage.format(key=ada))
    con.commit()
    con.close()
    with open_store(store.root) as again:
        with pytest.raises(Damaged):
            again.vault.find("email", "ada@x.org" if "identity" in damage else "eve@x.org")
        with pytest.raises(Damaged):
            again.vault.open_person(int(ada))
        assert again.verify() != []


def test_a_change_that_was_rolled_back_leaves_no_trace_in_memory(store, leaf_by_leaf, monkeypatch) -> None:
    store.vault.customers([f"n{i}" for i in range(2_000)])
    enter = store.vault._enter

    def fails(*args, **kwargs) -> None:
        enter(*args, **kwargs)
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(store.vault, "_enter", fails)
        with pytest.raises(Damaged):
            store.vault.customers(["new"])
    assert store.vault.known(["new"]).tolist() == [0]
    assert store.vault.known(["new"]).tolist() != store.vault.customers(["new"]).tolist()
    assert store.verify() == []


@pytest.mark.parametrize("sound", [True, False])
def test_a_vault_of_the_second_schema_is_counted_once_and_its_rows_are_compared(store, sound: bool) -> None:
    keys = store.vault.customers([f"n{i}" for i in range(50)])
    store.vault.seal(keys[:9], "name", [f"N{i}" for i in range(9)])
    store.close()
    con = sqlite3.connect(store.root / "vault.db")
    con.executescript("DROP TABLE tally; PRAGMA user_version = 2;")
    if not sound:
        con.execute("UPDATE person SET lookup = randomblob(16) WHERE customer = ?", (int(keys[0]),))
    con.commit()
    con.close()
    if not sound:
        with pytest.raises(Damaged):
            open_store(store.root)
        return
    with open_store(store.root) as again:
        assert again.vault.find("name", "N3") == keys[3]
        assert again.vault.known(["n3", "nobody"]).tolist() == [keys[3], 0]
        assert again.verify() == []


def test_visitors_have_negative_pseudonyms_of_their_own(store) -> None:
    visitors, customers = store.vault.visitors(["7", "8", "7"]), store.vault.customers(["7", "8"])
    assert (visitors < 0).all()
    assert visitors[0] == visitors[2]
    assert len({*visitors.tolist(), *customers.tolist()}) == 4
    assert store.vault.there([*visitors, *customers, 5, -5]) == [True] * 5 + [False] * 2
    with pytest.raises(WrongUsage):
        store.vault.visitors([""])


def test_a_vault_of_the_first_schema_opens_and_learns_to_remember_who_was_erased(store) -> None:
    (ada,) = store.vault.customers(["ada"])
    store.close()
    con = sqlite3.connect(store.root / "vault.db")
    con.executescript(
        "DROP TABLE erased; DELETE FROM ledger WHERE name = 'erased'; DROP TABLE tally; PRAGMA user_version = 1;"
    )
    con.close()
    with open_store(store.root) as again, open_store(store.root) as other:
        assert again.vault.customers(["ada"])[0] == ada
        assert again.vault.erased_refs(["ada"]).tolist() == [False]
        assert again.vault.erase([int(ada)], erased_us=1) == 1
        assert other.vault.erased_refs(["ada", "bob"]).tolist() == [True, False]
        assert again.verify() == []


@pytest.mark.parametrize("damage", ["UPDATE erased SET erased_us = 2", "DELETE FROM erased"])
def test_a_lost_or_changed_tombstone_is_noticed(store, damage: str) -> None:
    store.vault.erase(store.vault.customers(["ada", "bob"]), erased_us=1)
    store.close()
    con = sqlite3.connect(store.root / "vault.db")
    con.execute(damage)
    con.commit()
    con.close()
    with open_store(store.root) as again:
        with pytest.raises(Damaged):
            again.vault.erased_refs(["ada"])
        assert again.verify() != []
