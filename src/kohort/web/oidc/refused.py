"""Why nobody is logged in."""

from __future__ import annotations


class Refused(Exception):
    """Nobody has proven who she is.

    Attributes:
        why: For the log: a few words of ours, never what somebody sent.
        text: For the person; empty = there is nothing that she could do about it.
        status: Of the answer.
    """

    def __init__(self, why: str, text: str = "", status: int = 403) -> None:
        self.why, self.text, self.status = why, text, status
        super().__init__(why)

    @property
    def code(self) -> str:
        """The same as one word, for programs that read the log."""
        return self.why.replace(" ", "_")


class UnknownKey(Refused):
    """A token is signed with a key that we have not seen: the provider may have a new one."""
