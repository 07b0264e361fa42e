"""The command line: `kohort`. It calls the workspace and prints what comes back; see docs/cli.md."""

from __future__ import annotations


def main() -> None:
    """Entry point of the installed command."""
    import os

    from kohort.cli.app import app

    # What is written here is about customers: other users of the machine have no business in it.
    os.umask(os.umask(0) | 0o007)
    app()


__all__ = ["main"]
