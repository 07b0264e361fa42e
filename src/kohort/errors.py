"""Every error Kohort raises on purpose: one tree, each with a stable code, fields, one sentence and a hint.

KohortError
├── BadInput            a file or value cannot be used (exit 1)
│   ├── UnreadableFile
│   ├── UnsafePath
│   └── TooLarge
├── NeedsAnswer         the data allows more than one reading and we refuse to guess (exit 2)
├── RefusedDefinition   text somebody wrote is not a valid definition (exit 2)
├── WrongUsage          the call itself is wrong (exit 2)
│   ├── NoWorkspace
│   └── KeptCurrent
├── NotFound            something named does not exist (exit 1)
│   └── UnknownCustomer
├── NotEnough           "not enough data or evidence" is the honest answer (exit 3)
├── Busy                another process is writing; trying again can help (exit 1)
├── CannotWrite         the disk does not take what it is given; it goes on by itself when it does (exit 1)
├── SourceFailed        a system that rows are fetched from did not give them (exit 1)
├── Damaged             a stored file does not check out (exit 1)
└── MissingExtra        an optional part is not installed (exit 1)

A door turns `exit_code` into a process status or an HTTP status; no other room knows either.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

LISTED = 8
"""How many existing names a hint lists."""


class KohortError(Exception):
    """Base of every error Kohort raises on purpose.

    Attributes:
        code: Stable, snake case. Programs may rely on it.
        message: One sentence for a person.
        hint: What to do about it, or an empty text.
        retry: Whether the same call can succeed later without a change.
        exit_code: Status of a command that ends with this error.
    """

    code = "kohort_error"
    retry = False
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message} {hint}".strip())

    def __str__(self) -> str:
        """The sentence and what helps, as they are said now: a door may have put others in their place."""
        return f"{self.message} {self.hint}".strip()

    def as_dict(self) -> dict[str, object]:
        """The error as the doors print it: `{"code", "message", "hint"}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class BadInput(KohortError, ValueError):
    """A file or a value cannot be used.

    `place` says where: "orders.csv line 17", a column, a JSON pointer.
    """

    code = "bad_input"

    def __init__(self, message: str, *, place: str = "", hint: str = "", code: str | None = None) -> None:
        self.place = place
        if code is not None:
            self.code = code
        super().__init__(f"{place}: {message}" if place else message, hint=hint)


class UnreadableFile(BadInput):
    """A file is empty, truncated, encrypted or not of the kind its name says."""

    code = "unreadable_file"


class UnsafePath(BadInput):
    """A path leaves the folder it must stay in."""

    code = "unsafe_path"


class TooLarge(BadInput):
    """A file, a cell or a table is beyond a stated limit."""

    code = "too_large"


class NeedsAnswer(KohortError):
    """The data allows more than one reading. We ask instead of guessing.

    `questions` are plain sentences; each ends with how to answer it.
    """

    code = "needs_answer"
    exit_code = 2

    def __init__(self, message: str, questions: Sequence[str], *, hint: str = "") -> None:
        self.questions = tuple(questions)
        super().__init__(message, hint=hint)

    def as_dict(self) -> dict[str, object]:
        return {**super().as_dict(), "questions": list(self.questions)}


class RefusedDefinition(KohortError, ValueError):
    """Text somebody wrote is not a valid definition.

    `start` and `end` are character offsets into `text`, so that an editor can underline the place. Where a whole file
    was read, `mistakes` has each thing that is wrong with its file, line, column and place. Where one text has several
    parts that cannot be read, `others` has what is wrong with the later ones.
    """

    code = "refused_definition"
    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        start: int | None = None,
        end: int | None = None,
        hint: str = "",
        code: str | None = None,
        mistakes: Sequence[Mapping[str, object]] = (),
    ) -> None:
        self.text, self.start, self.end = text, start, end
        self.mistakes = tuple(mistakes)
        self.others: tuple[RefusedDefinition, ...] = ()
        if code is not None:
            self.code = code
        super().__init__(message, hint=hint)

    def as_dict(self) -> dict[str, object]:
        listed = {"mistakes": [dict(m) for m in self.mistakes]} if self.mistakes else {}
        return {**super().as_dict(), "text": self.text, "start": self.start, "end": self.end, **listed}


class WrongUsage(KohortError):
    """The call itself is wrong: an option, a name, a combination."""

    code = "wrong_usage"
    exit_code = 2


class NoWorkspace(WrongUsage):
    """The folder is not a Kohort workspace."""

    code = "no_workspace"


class KeptCurrent(WrongUsage):
    """A server keeps the segments of this workspace current; there is nothing to run."""

    code = "kept_current"

    def __init__(self) -> None:
        super().__init__(
            "A server keeps these segments current: what you define counts within a second, and there is nothing to run.",
            hint="Look at them with kohort segments list; to run them by hand, stop the server first.",
        )


class NotFound(KohortError, LookupError):
    """Something named does not exist. The hint offers the nearest name, or some that exist."""

    code = "not_found"

    def __init__(self, what: str, name: str, known: Iterable[str] = (), *, hint: str = "") -> None:
        self.name = name
        names = [str(k) for k in known]
        near = difflib.get_close_matches(name, names, n=1)
        if near:
            hint = f"Did you mean {near[0]!r}?"
        elif not hint:
            end = ", …" if len(names) > LISTED else "."
            hint = f"There are: {', '.join(names[:LISTED])}{end}" if names else "Check how it is written."
        super().__init__(f"No {what} is called {name!r}.", hint=hint)


class UnknownCustomer(NotFound):
    """A number that a person gave is no customer's. The message does not repeat it: it may be somebody's address."""

    code = "unknown_customer"

    def __init__(self, positions: Sequence[int], given: int, *, what: str = "customer") -> None:
        self.positions = tuple(positions)
        self.name = ""
        listed = ", ".join(str(n) for n in positions[:LISTED]) + (", …" if len(positions) > LISTED else "")
        mark = "name" if what == "account" else "number"
        message = f"No {what} has this {mark}."
        if given > 1:
            message = f"Of {given} {mark}s, these are no {what}'s (counted from 1): {listed}."
        KohortError.__init__(self, message, hint="Write it as it stands in your files.")


class NotEnough(KohortError):
    """Not enough data or evidence for an honest answer. This is an answer, not a failure."""

    code = "not_enough"
    exit_code = 3


class Busy(KohortError):
    """Another process is writing to the workspace."""

    code = "busy"
    retry = True


class CannotWrite(KohortError):
    """The disk is full or reports an error. Nothing was confirmed; the same call works again once the disk does."""

    code = "cannot_write"
    retry = True


class SourceFailed(KohortError):
    """A system that rows are fetched from did not give them, or not all. What it gave before is stored.

    `retry` says whether the same call can succeed later.
    """

    code = "source_failed"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None, retry: bool = False) -> None:
        self.retry = retry
        if code is not None:
            self.code = code
        super().__init__(message, hint=hint)


class Damaged(KohortError):
    """A stored file does not check out: a checksum, a length or a structure is wrong."""

    code = "damaged"


class MissingExtra(KohortError, ImportError):
    """An optional part of Kohort is not installed."""

    code = "missing_extra"

    def __init__(self, extra: str, purpose: str) -> None:
        self.extra = extra
        super().__init__(
            f"{purpose} needs the extra {extra!r}.", hint=f"Install it with: pip install 'kohort[{extra}]'"
        )
