"""Each check of the doctor is seen to pass on a healthy workspace and to fail, with a fix, once its thing is broken."""

import os
import shutil
import sqlite3
import time
import zipfile
from contextlib import closing
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from kohort.definitions.workspace_file import WorkspaceConfig, save
from kohort.health import in_workspace, installation
from kohort.health.checks import RESTORE, Case, Examination, examine
from kohort.health.doctor import repair, run_checks
from kohort.model.clock import DAY_US, HOUR_US, iso
from kohort.model.segmentation import Segmentation, Structure
from kohort.model.source import BatchReport, RejectedRow
from kohort.store import create_store, open_store

NOW = time.time_ns() // 1_000
KEY = "KOHORT_MASTER_KEY"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in (KEY, "KOHORT_MASTER_KEY_FILE", "KOHORT_THREADS", "KOHORT_DEBUG", "FORWARDED_ALLOW_IPS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    root = tmp_path_factory.mktemp("doctor") / "shop"
    with create_store(root) as store:
        save(WorkspaceConfig("Toys"), root)
        batch = store.state.begin_batch("visits", "visits.csv")
        visit = {"customer": 5, "event_id": "v1", "event": "page", "ts": NOW - DAY_US, "received_at": NOW}
        store.log.append(pa.Table.from_pylist([visit | {"local_day": 20_000, "local_hour": 3}]), batch=batch)
        store.log.compact()
        found = Segmentation("found-1", "kmeans", 0, 1, Structure("none", {}, ""), (), (), 0, (), as_of=iso(NOW))
        store.state.save_segmentation(found, name="Main", adopted=True)
    root.chmod(0o700)
    return root


@pytest.fixture
def shop(healthy, tmp_path):
    return shutil.copytree(healthy, tmp_path / "shop")


def failed(root, now=NOW):
    return {c.code: c for c in run_checks(root, now=now) if not c.ok}


def test_a_healthy_workspace_passes(shop, monkeypatch):
    key = shop.parent / "master.key"
    (shop / "keys" / "master.key").rename(key)
    monkeypatch.setenv("KOHORT_MASTER_KEY_FILE", str(key))
    assert failed(shop).keys() <= {"memory", "spark_extra", "map_extra", "java"}
    assert len(run_checks(shop)) >= 25


# -- breaking a workspace ----------------------------------------------------------------------------------------------


def sql(file, statement):
    with closing(sqlite3.connect(file)) as con, con:
        con.execute(statement)


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(data)


def scribble(file):
    with closing(sqlite3.connect(file)) as con:
        con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(file.read_bytes())
    data[4096:8192] = b"\xaa" * 4096
    file.write_bytes(data)


def old_leftover(root):
    (root / "events" / ".part.parquet.1234.tmp").write_bytes(b"half")
    os.utime(root / "events" / ".part.parquet.1234.tmp", (1, 1))


def rejected(root):
    with open_store(root) as store:
        store.state.add_rejected([RejectedRow("a", "a.csv", 1, "bad_time", "No time.")], 1)


def later_event(root):
    with open_store(root) as store:
        later = {"customer": 5, "event_id": "v2", "event": "page", "ts": NOW + 40 * DAY_US, "received_at": NOW}
        store.log.append(pa.Table.from_pylist([later | {"local_day": 20_040, "local_hour": 3}]), batch=1)


def feature_of_a_lost_column(root):
    (root / "kohort.yaml").write_text(
        "name: Toys\n"
        "sources:\n  visits:\n    kind: events\n    columns: {time: at}\n    properties: {colour: text}\n"
        "features:\n  colours: {count_distinct: p_colour}\n"
    )


BREAK = {
    "workspace_found": lambda root: (root / "kohort.yaml").unlink(),
    "settings_valid": lambda root: (root / "kohort.yaml").write_text("name: [1"),
    "folder_private": lambda root: root.chmod(0o755),
    "leftovers": old_leftover,
    "key_present": lambda root: (root / "keys" / "master.key").unlink(),
    "key_file": lambda root: (root / "keys" / "master.key").chmod(0o644),
    "key_elsewhere": lambda root: None,
    "key_random": lambda root: (root / "keys" / "master.key").write_text("ab" * 32),
    "store_opens": lambda root: (root / "state.db").unlink(),
    "state_version": lambda root: sql(root / "state.db", "UPDATE alembic_version SET version_num = '9999'"),
    "state_sound": lambda root: scribble(root / "state.db"),
    "vault_sound": lambda root: scribble(root / "vault.db"),
    "verifies": lambda root: flip(next(root.glob("events/bucket=*/*.parquet")), 100),
    "delta_readable": lambda root: shutil.rmtree(root / "events" / "_delta_log"),
    "rejected_rows": rejected,
    "definitions_compile": feature_of_a_lost_column,
    "segmentation_loads": lambda root: sql(root / "state.db", "UPDATE segmentation SET document = '{}'"),
    "last_run": later_event,
}


@pytest.mark.parametrize("code", BREAK)
def test_what_is_broken_is_found_and_has_a_fix(shop, code):
    BREAK[code](shop)
    found = failed(shop)
    assert code in found
    assert found[code].text
    assert all(c.fix for c in found.values()), [c for c in found.values() if not c.fix]


def test_the_delta_log_can_be_written_anew(shop):
    BREAK["delta_readable"](shop)
    assert "verifies" not in failed(shop)
    with open_store(shop) as store:
        repair(store)
    assert not {"delta_readable", "verifies"} & failed(shop).keys()


def test_time_breaks_things_too(shop):
    assert "unfinished_batches" in failed(shop, NOW + 2 * HOUR_US)
    assert "not_from_the_future" in failed(shop, NOW - 3 * DAY_US)
    assert "clock" in failed(shop, 0)


def test_a_file_that_was_read_again_is_not_half_read(shop):
    with open_store(shop) as store:
        for file in ("other.csv", "visits.csv"):
            batch = store.state.begin_batch("visits", file)
            store.state.finish_batch(BatchReport("visits", file, batch, 0, 0, 0, 0))
            late = run_checks(shop, now=time.time_ns() // 1_000 + 2 * HOUR_US)
            assert ("unfinished_batches" in {c.code for c in late if not c.ok}) == (file == "other.csv")


def test_an_empty_workspace_says_so(tmp_path):
    with create_store(tmp_path / "new"):
        save(WorkspaceConfig("New"), tmp_path / "new")
    assert "has_events" in failed(tmp_path / "new")


# -- breaking an installation ------------------------------------------------------------------------------------------


def old_rates(folder):
    with zipfile.ZipFile(folder / "rates.zip", "w") as archive:
        archive.writestr("rates.csv", "Date,USD,\n2011-12-09,1.34,\n2011-12-08,1.33,\n")
    return folder / "rates.zip"


def little_memory(folder):
    (folder / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable:     1000 kB\n")
    return folder / "meminfo"


def missing(_name):
    return None


INSTALLED = {
    "python_version": lambda folder: {"version": (3, 10)},
    "library_versions": lambda folder: {"requirements": ["click>=99", "no-such-library>=1 ; python_version > '3'"]},
    "engine_locked": lambda folder: {"connect": lambda folders: duckdb.connect()},
    "time_zones": lambda folder: {"zone": "Mars/Base"},
    "temp_folder": lambda folder: {"folder": str(folder / "gone")},
    "memory": lambda folder: {"meminfo": little_memory(folder)},
    "open_files": lambda folder: {"fewest": 10**9},
    "serve_host": lambda folder: {"host": "0.0.0.0"},
    "currency_rates": lambda folder: {"file": old_rates(folder)},
    "spark_extra": lambda folder: {"find": missing},
    "map_extra": lambda folder: {"find": missing},
    "java": lambda folder: {"find": str, "which": missing},
    "folder_writable": lambda folder: {"access": lambda path, mode: False},
    "disk_space": lambda folder: {"least": 10**18},
    "hot_log": lambda folder: {"most": -1},
}
BY_CODE = {e.code: e for e in (*installation.INSTALLATION, *in_workspace.WORKSPACE)}


@pytest.mark.parametrize("code", INSTALLED)
def test_each_check_of_the_machine_can_fail(code, healthy, tmp_path):
    whole = BY_CODE[code]
    broken = Examination(code, whole.severity, whole.good, whole.fix, partial(whole.look, **INSTALLED[code](tmp_path)))
    with open_store(healthy) as store:
        check = broken.run(Case(healthy, NOW, store=store))
    assert not check.ok
    assert check.text
    assert check.fix


ENVIRONMENT = {
    "threads": ("KOHORT_THREADS", "9999"),
    "debug_off": ("KOHORT_DEBUG", "1"),
    "no_default_secret": (KEY, "0123456789abcdef" * 4),
    "proxies": ("FORWARDED_ALLOW_IPS", "*"),
    "login_provider": ("KOHORT_OIDC_ISSUER", "https://id.example"),
}


@pytest.mark.parametrize("code", ENVIRONMENT)
def test_each_setting_can_be_wrong(code, monkeypatch, tmp_path):
    monkeypatch.setenv(*ENVIRONMENT[code])
    (check,) = examine([BY_CODE[code]], Case(tmp_path, NOW))
    assert not check.ok
    assert check.fix


def test_unsafe_database_settings_are_named():
    assert in_workspace.unsafe_settings(2, 1, "wal") == ""
    assert "power cut" in in_workspace.unsafe_settings(1, 1, "wal")
    assert "readable" in in_workspace.unsafe_settings(2, 0, "wal")
    assert "wait" in in_workspace.unsafe_settings(2, 1, "delete")


def test_every_check_is_broken_somewhere_here():
    here = {*BREAK, *INSTALLED, *ENVIRONMENT}
    here |= {"unfinished_batches", "not_from_the_future", "clock", "has_events", "state_durable"}
    assert here == set(BY_CODE)


def test_a_check_that_stumbles_does_not_end_the_others(tmp_path):
    def stumble(_case):
        raise ZeroDivisionError("secret value")

    examination = Examination("odd", "problem", "Fine.", "Call us.", stumble)
    (check,) = examine([examination], Case(tmp_path, NOW))
    assert not check.ok
    assert "secret" not in check.text
    assert check.fix == "Call us."


def test_random_keys_are_not_called_guessable():
    import secrets

    assert not any(installation.guessable(secrets.token_hex(32)) for _ in range(500))
    assert installation.guessable("deadbeef" * 8)


def test_version_bounds_are_compared_as_numbers():
    check = partial(installation.library_versions, Case(None, NOW))
    assert check(["click>=8,<9"]) == ""
    assert check(["click>=8.1.0,!=8.1.4,<100"]) == ""
    assert "click" in check(["click<8"])
    assert check(["no-such-thing>=1 ; extra == 'spark'"]) == ""


def test_every_check_is_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "health.md").read_text(encoding="utf-8")
    assert [code for code in BY_CODE if f"| `{code}` |" not in text] == []


def test_a_damaged_state_sends_nobody_in_a_circle(shop):
    with (shop / "state.db").open("r+b") as file:
        file.write(os.urandom(3_000))
    found = failed(shop)
    assert {"store_opens", "state_sound"} <= set(found)
    assert {check.fix for check in found.values() if "damaged" in check.text} == {RESTORE}
    assert not any("kohort doctor" in check.fix for check in found.values())
