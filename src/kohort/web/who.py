"""Who asks. Set by the guard, or by the door of programs; whatever is at work for a request may look, also in threads."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from kohort.model.access import SIGHT, Role, Sight

PAGES = "the pages"
"""Who decided, where nobody has to log in."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks for a page, or as a program.

    Attributes:
        name: Of the user, or "the key crm"; empty where nobody has to log in, or nobody did.
        role: None = nobody logged in: only what is open to everybody. Programs have none: their key says what they may do.
        session: Number of the session; 0 = none.
        login: Whether everybody has to log in.
        note: Whether pages say that nobody has to, though there could be users.
    """

    name: str = ""
    role: Role | None = None
    session: int = 0
    login: bool = True
    note: bool = False

    @property
    def by(self) -> str:
        """Who decided, for logs."""
        return self.name or PAGES

    @property
    def sight(self) -> Sight:
        """How single customers are shown."""
        return "nobody" if self.role is None else SIGHT[self.role]


STRANGER = Who()
"""Nobody logged in."""
ANYBODY = Who(role="administrator", login=False, note=True)
"""There is no user yet: everybody at this machine may do everything."""
ALONE = Who(role="administrator", login=False)
"""There can be no users: a source of found segments alone."""

current: ContextVar[Who] = ContextVar("kohort_who", default=STRANGER)


def now() -> Who:
    """Who asks for what is being made."""
    return current.get()
