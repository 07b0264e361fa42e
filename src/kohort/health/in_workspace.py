"""Checks of one workspace: its folder, its keys, its state, its events, its segments."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kohort.health.checks import RESTORE, Case, Examination
from kohort.health.installation import GIGABYTE, guessable
from kohort.model.clock import DAY_US, HOUR_US, micros
from kohort.model.event import IDENTIFY, SCORE

HOT_ROWS = 1_000_000
STALE_RUN_DAYS = 31
INTERRUPTED_AFTER_US = HOUR_US


def found(case: Case) -> str:
    return "" if (case.root / "kohort.yaml").is_file() else "This folder holds no workspace."


def settings(case: Case) -> str | None:
    if not (case.root / "kohort.yaml").is_file():
        return None
    from kohort.definitions.workspace_file import load

    return "" if load(case.root / "kohort.yaml").name else "kohort.yaml has no name."


def definitions_compile(case: Case) -> str | None:
    """The features of `kohort.yaml` fit the columns that there are."""
    if case.config is None or not case.config.features:
        return None
    from kohort.compile import compile_features

    columns = case.store.log.snapshot().columns if case.store else case.config.columns()
    compile_features(case.config.features, as_of=case.now, zone=case.config.timezone, columns=columns)
    return ""


def folder_private(case: Case) -> str | None:
    """A closed folder keeps all below it closed."""
    if not case.root.is_dir():
        return None
    return "Every user of this machine can look into the workspace." if case.root.stat().st_mode & stat.S_IRWXO else ""


def folder_writable(case: Case, access: Callable[[Path, int], bool] = os.access) -> str | None:
    if not case.root.is_dir():
        return None
    return "" if access(case.root, os.W_OK | os.X_OK) else "This user may not write into the workspace."


def disk_space(case: Case, least: int = GIGABYTE) -> str | None:
    if not case.root.is_dir():
        return None
    free = shutil.disk_usage(case.root).free
    return f"Only {free / GIGABYTE:.1f} GB are free on the disk of the workspace." if free < least else ""


def leftovers(case: Case) -> str | None:
    if not case.root.is_dir():
        return None
    old = [p for p in case.root.rglob(".*.tmp") if micros_of(p) < case.now - DAY_US]
    return f"{len(old)} files were left behind by work that was interrupted." if old else ""


def micros_of(path: Path) -> int:
    return int(path.stat().st_mtime * 1_000_000)


def key_present(case: Case) -> str | None:
    if not (case.root / "vault.db").exists():
        return None
    from kohort.store.keys import master_key

    return "" if master_key(case.root, create=False).secret else "The master key is empty."


def key_file(case: Case) -> str | None:
    """The key file is this user's alone, and so is its folder."""
    path = _key_path(case.root)
    if path is None or not path.exists():
        return None
    loose = [p.name for p in (path, path.parent) if p.stat().st_mode & (stat.S_IRWXO | stat.S_IRWXG)]
    if path.parent != case.root / "keys":
        loose = [n for n in loose if n == path.name]
    return f"Other users can reach the master key ({', '.join(loose)})." if loose else ""


def key_elsewhere(case: Case) -> str | None:
    path = _key_path(case.root)
    if path is None or not path.exists():
        return None
    inside = path.resolve().is_relative_to(case.root.resolve())
    return "The master key lies beside the data it protects: who copies the folder has both." if inside else ""


def key_random(case: Case) -> str | None:
    path = _key_path(case.root)
    if path is None or not path.exists():
        return None
    return "The master key in the file follows a pattern." if guessable(path.read_text().strip().lower()) else ""


def _key_path(root: Path) -> Path | None:
    """The key file in use; None where the key comes from the environment."""
    if os.environ.get("KOHORT_MASTER_KEY"):
        return None
    outside = os.environ.get("KOHORT_MASTER_KEY_FILE", "")
    return Path(outside) if outside else root / "keys" / "master.key"


def store_opens(case: Case) -> str | None:
    if case.store is not None:
        return ""
    if not (case.root / "kohort.yaml").is_file():
        return None
    from kohort.store import open_store

    with open_store(case.root):
        return ""


def state_version(case: Case) -> str | None:
    """The schema version of the state, read without touching it."""
    version = _sqlite(case.root / "state.db", "SELECT version_num FROM alembic_version")
    if version is None:
        return None
    from kohort.store.schema import HEAD

    return "" if version == HEAD else f"The state has schema {version}; this Kohort writes {HEAD}."


def state_sound(case: Case) -> str | None:
    verdict = _sqlite(case.root / "state.db", "PRAGMA integrity_check")
    return None if verdict is None else "" if verdict == "ok" else "The state database is damaged."


def vault_sound(case: Case) -> str | None:
    verdict = _sqlite(case.root / "vault.db", "PRAGMA integrity_check")
    return None if verdict is None else "" if verdict == "ok" else "The vault database is damaged."


def state_durable(case: Case) -> str | None:
    """What a connection of ours is set to: FULL survives power cuts, secure_delete leaves nothing readable behind."""
    if not (case.root / "state.db").exists():
        return None
    from kohort.store.database import Database

    database = Database(case.root / "state.db")
    try:
        with database.read() as con:
            full = con.exec_driver_sql("PRAGMA synchronous").scalar()
            erase = con.exec_driver_sql("PRAGMA secure_delete").scalar()
            journal = con.exec_driver_sql("PRAGMA journal_mode").scalar()
    finally:
        database.close()
    return unsafe_settings(full, erase, journal)


def unsafe_settings(full: object, erase: object, journal: object) -> str:
    """What is wrong with `synchronous`, `secure_delete` and `journal_mode` of a connection."""
    wrong = [
        text
        for text, bad in (
            ("a power cut could lose confirmed changes", full != 2),
            ("deleted values stay readable in the file", not erase),
            ("readers would wait for writers", journal != "wal"),
        )
        if bad
    ]
    return f"The state database is set up wrongly: {'; '.join(wrong)}." if wrong else ""


def everything_verifies(case: Case) -> str | None:
    """Every stored byte against its digest. The Delta log is a copy for other tools and has a check of its own."""
    if case.store is None:
        return None
    problems = [p for p in case.store.verify() if "Delta" not in p.text]
    return f"{len(problems)} things do not check out, first: {problems[0].text}" if problems else ""


def delta_readable(case: Case) -> str | None:
    """The table other tools read agrees with ours."""
    events = case.root / "events"
    if case.store is None or not any(events.glob("bucket=*")):
        return None
    if not any((events / "_delta_log").glob("*.json")):
        return "The Delta log of the events is missing."
    wrong = [line for line in case.store.log.check() if "Delta" in line]
    return wrong[0] if wrong else ""


def hot_log(case: Case, most: int = HOT_ROWS) -> str | None:
    if case.store is None:
        return None
    hot = case.store.log.snapshot().hot
    rows = 0 if hot is None else hot.num_rows
    return f"{rows:,} events wait to be moved into the event files." if rows > most else ""


def unfinished(case: Case) -> str | None:
    """Files whose reading was begun and not ended, by a process that is gone, and that were not read again since."""
    n = _sqlite(
        case.root / "state.db",
        f"""SELECT count(DISTINCT source || char(31) || file) FROM batch AS b
            WHERE status = 'running' AND started_us < {case.now - INTERRUPTED_AFTER_US} AND NOT EXISTS (
              SELECT 1 FROM batch WHERE status = 'done' AND source = b.source AND file = b.file AND id > b.id)""",
    )
    return None if n is None else f"The reading of {n} files was interrupted." if n else ""


def rejected_waiting(case: Case) -> str | None:
    if case.store is None:
        return None
    n = sum(case.store.state.rejected_counts().values())
    return f"{n:,} rejected rows wait to be looked at." if n else ""


def has_events(case: Case) -> str | None:
    if case.store is None:
        return None
    return "" if case.store.log.count() else "There are no events yet."


def from_the_future(case: Case) -> str | None:
    """The newest batch cannot be younger than now: then the clock was turned back."""
    newest = _sqlite(case.root / "state.db", "SELECT max(started_us) FROM batch")
    if newest is None:
        return None
    return "Files were read later than now: the clock was turned back." if newest > case.now + DAY_US else ""


def segmentation_loads(case: Case) -> str | None:
    if case.store is None:
        return None
    listed = case.store.state.segmentations()
    adopted = sorted({str(s["name"]) for s in listed if s["adopted"]})
    lost = [name for name in adopted if case.store.state.segmentation(name) is None]
    return f"The segmentation {lost[0]} cannot be loaded." if lost else ("" if adopted else None)


def last_run(case: Case) -> str | None:
    """How far the memberships are behind the newest data."""
    if case.store is None:
        return None
    from datetime import datetime

    times = [s["as_of"] for s in case.store.state.segmentations() if s["adopted"] and s["as_of"]]
    names = {str(s["name"]) for s in case.store.state.segmentations() if s["adopted"]}
    runs = [run["as_of"] for name in names for run in case.store.members.runs(name)]
    moments = [*runs, *(micros(datetime.fromisoformat(t)) for t in times)]
    newest = newest_event(case)
    if not moments or newest is None:
        return None
    behind = (newest - max(moments)) // DAY_US
    return f"Memberships are {behind} days older than the newest event." if behind > STALE_RUN_DAYS else ""


def newest_event(case: Case) -> int | None:
    from kohort.engines.duck import connect, folders_of, register_events

    assert case.store is not None
    snapshot = case.store.log.snapshot()
    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        row = con.execute(f"SELECT max(ts) FROM events WHERE event NOT IN ('{IDENTIFY}', '{SCORE}')").fetchone()
    newest: int | None = row[0] if row else None
    return newest


def _sqlite(path: Path, statement: str) -> Any:
    """One value of a SQLite file, opened for reading only; None where there is no file."""
    import sqlite3
    from contextlib import closing

    if not path.exists():
        return None
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as con:
        row = con.execute(statement).fetchone()
    return row[0] if row else None


WORKSPACE = (
    Examination("workspace_found", "problem", "The folder holds a workspace.", "Make one with: kohort init", found),
    Examination("settings_valid", "problem", "kohort.yaml is valid.", "Correct kohort.yaml.", settings),
    Examination(
        "folder_private",
        "warning",
        "Only this user can read the workspace.",
        "Run: chmod o-rwx on the folder",
        folder_private,
    ),
    Examination(
        "folder_writable",
        "problem",
        "The workspace can be written.",
        "Give this user the right to write.",
        folder_writable,
    ),
    Examination("disk_space", "problem", "There is room on the disk.", "Free some space.", disk_space),
    Examination(
        "leftovers",
        "info",
        "No interrupted work was left behind.",
        "They can be deleted: files named .*.tmp",
        leftovers,
    ),
    Examination(
        "key_present",
        "problem",
        "The master key is there.",
        "Put keys/master.key back, or set KOHORT_MASTER_KEY. Without it nobody can read sealed identifiers.",
        key_present,
    ),
    Examination(
        "key_file",
        "problem",
        "Only this user can read the master key.",
        "Run: chmod 700 keys; chmod 600 keys/master.key",
        key_file,
    ),
    Examination(
        "key_elsewhere",
        "info",
        "The master key lies outside the workspace.",
        "Move it away and set KOHORT_MASTER_KEY_FILE to its new place.",
        key_elsewhere,
    ),
    Examination(
        "key_random",
        "problem",
        "The master key is not a pattern.",
        "Make a new workspace with a random key.",
        key_random,
    ),
    Examination("store_opens", "problem", "The workspace opens.", RESTORE, store_opens),
    Examination(
        "state_version",
        "problem",
        "The state has the schema of this version.",
        "Open it once with a newer Kohort, or install the newest.",
        state_version,
    ),
    Examination("state_sound", "problem", "The state database is sound.", RESTORE, state_sound),
    Examination("vault_sound", "problem", "The vault database is sound.", RESTORE, vault_sound),
    Examination(
        "state_durable",
        "problem",
        "What was confirmed survives a power cut; what was deleted is gone.",
        "Install the versions Kohort was tested with: pip install --upgrade kohort",
        state_durable,
    ),
    Examination("verifies", "problem", "Every stored byte checks out.", RESTORE, everything_verifies),
    Examination(
        "delta_readable",
        "warning",
        "Other tools see the same events.",
        "Write it anew: kohort doctor --repair",
        delta_readable,
    ),
    Examination("hot_log", "warning", "The hot log is short.", "It is moved with the next: kohort ingest", hot_log),
    Examination(
        "unfinished_batches",
        "warning",
        "No file was left half read.",
        "Read the files again: nothing is doubled.",
        unfinished,
    ),
    Examination(
        "rejected_rows",
        "info",
        "No rejected rows wait.",
        "Look at them: kohort rejected list",
        rejected_waiting,
    ),
    Examination("has_events", "info", "There are events.", "Read some: kohort ingest YOUR-FILES", has_events),
    Examination(
        "not_from_the_future",
        "warning",
        "No batch is later than now.",
        "Set the clock of this machine.",
        from_the_future,
    ),
    Examination(
        "definitions_compile",
        "problem",
        "The features of kohort.yaml can be computed.",
        "Correct the feature in kohort.yaml.",
        definitions_compile,
    ),
    Examination(
        "segmentation_loads",
        "problem",
        "Adopted segmentations load.",
        "Find and adopt it again: kohort discover --adopt",
        segmentation_loads,
    ),
    Examination("last_run", "warning", "Memberships are up to date.", "Run: kohort segments run NAME", last_run),
)
