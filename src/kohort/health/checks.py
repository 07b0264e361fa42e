"""What a single check of the doctor is, and how many become one list."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import Damaged, KohortError
from kohort.model.health import Severity

if TYPE_CHECKING:
    from kohort.definitions.workspace_file import WorkspaceConfig
    from kohort.store.store import Store


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    `severity` is what it means where `ok` is false: a problem makes the doctor fail, a warning or an info does not.
    `fix` says what to do then.
    """

    code: str
    ok: bool
    severity: Severity
    text: str
    fix: str = ""


RESTORE = "Restore the workspace from a backup, or make it again from its files."


@dataclass(frozen=True, slots=True)
class Case:
    """What checks look at.

    Attributes:
        root: The workspace folder.
        now: Microseconds UTC.
        config: What `kohort.yaml` says; None where it cannot be read.
        store: The open store; None where it cannot be opened.
    """

    root: Path
    now: int
    config: WorkspaceConfig | None = None
    store: Store | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """One named check: what goes wrong if it fails, what to do, and the look itself.

    `look` returns an empty text where all is well, else one sentence; None = does not apply here.
    """

    code: str
    severity: Severity
    good: str
    fix: str
    look: Callable[[Case], str | None]

    def run(self, case: Case) -> Check | None:
        try:
            wrong = self.look(case)
        except KohortError as error:
            hint = "" if "kohort doctor" in error.hint else error.hint  # nobody is sent back to where they are
            fix = RESTORE if isinstance(error, Damaged) else self.fix
            return Check(self.code, False, self.severity, error.message, hint or fix)
        except sqlite3.DatabaseError:
            return Check(self.code, False, self.severity, "A database of the workspace is damaged.", RESTORE)
        except Exception as error:
            # A check must not end the others, whatever is broken; the kind of error is all that is safe to show.
            return Check(self.code, False, self.severity, f"Could not look: {type(error).__name__}.", self.fix)
        if wrong is None:
            return None
        return Check(self.code, not wrong, self.severity, wrong or self.good, self.fix if wrong else "")


def examine(examinations: Sequence[Examination], case: Case) -> Iterator[Check]:
    """The results of all examinations that apply."""
    for examination in examinations:
        check = examination.run(case)
        if check is not None:
            yield check
