"""Secrets of connections: environment variables, read when they are needed and kept nowhere."""

from __future__ import annotations

import os

from kohort.errors import WrongUsage
from kohort.model.connection import Connection


def secret(connection: Connection, variable: str) -> str:
    """What a variable holds.

    Raises:
        WrongUsage: It is not set.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise WrongUsage(
            f"{connection.name!r} needs the environment variable {variable}.", hint=f"Set it: export {variable}=…"
        )
    return value
