"""The command line: `kohort`. It calls the workspace and prints what comes back; see docs/cli.md."""

from __future__ import annotations


def main() -> None:
    """Entry point of the installed command."""
    from kohort.cli.app import app

    app()


__all__ = ["main"]
