"""The doctor: is this installation in order, and is this workspace? Every failed check says what to do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import KohortError
from kohort.health.checks import Case, Check, examine
from kohort.health.in_workspace import WORKSPACE
from kohort.health.installation import INSTALLATION

if TYPE_CHECKING:
    from kohort.definitions.workspace_file import WorkspaceConfig
    from kohort.store.store import Store

__all__ = ["Check", "repair", "run_checks", "weak_secret"]


def run_checks(root: str | Path, store: Store | None = None, *, now: int | None = None) -> list[Check]:
    """Look at everything; nothing is changed.

    Args:
        root: The workspace folder, which may be broken or missing.
        store: Its open store; None = open it here if that works.
        now: Microseconds UTC; None = the clock.

    Returns:
        Checks of the installation, then of the workspace. What does not apply is left out.
    """
    folder = Path(root)
    moment = time.time_ns() // 1_000 if now is None else now
    if store is not None:
        return _all(Case(folder, moment, _config(folder, store), store))
    opened = _open(folder)
    if opened is None:
        return _all(Case(folder, moment, _config(folder)))
    with opened:
        return _all(Case(folder, moment, _config(folder, opened), opened))


def weak_secret(root: Path) -> Check | None:
    """The failed check of a master key that is no secret; None where there is nothing to say."""
    wanted = [e for e in (*INSTALLATION, *WORKSPACE) if e.code in {"no_default_secret", "key_random"}]
    return next((c for c in examine(wanted, Case(root, time.time_ns() // 1_000)) if not c.ok), None)


def repair(store: Store) -> None:
    """Write anew what follows from the rest: the Delta log, the copy of the list of event files for other tools."""
    with store.write_lock():
        store.log.republish()


def _all(case: Case) -> list[Check]:
    return [*examine(INSTALLATION, case), *examine(WORKSPACE, case)]


def _config(root: Path, store: Store | None = None) -> WorkspaceConfig | None:
    from kohort.definitions.workspace_file import load

    try:
        return load(root / "kohort.yaml", columns=None if store is None else store.log.columns())
    except KohortError:
        return None


def _open(root: Path) -> Store | None:
    from kohort.store import open_store

    try:
        return open_store(root)
    except KohortError:
        return None
