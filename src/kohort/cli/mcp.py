"""`kohort mcp`: the workspace for an assistant that speaks the Model Context Protocol, over stdin and stdout."""

from __future__ import annotations

import os
import sys

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import machine_user
from kohort.cli.root import app


@command(app, "mcp", short_help="Let an assistant ask (MCP).", epilog="Example: kohort mcp -w shop")
@click.option("--allow-changes", is_flag=True, help="Let it save, pause, remove and run segments, too.")
def mcp(door: Door, *, allow_changes: bool) -> Result:
    """Answer an assistant over stdin and stdout until it ends: the Model Context Protocol.

    It lists and describes segments, previews rules, says why a customer is in a segment, and how good the data is. It sees
    customers by codes only, never a number of yours, an address or a name. Without --allow-changes it changes nothing. What it
    looks at and changes is in the audit log. See docs/assistants.md.
    """
    from kohort.cli.rpc import Server, lines_of
    from kohort.workspace.assistant import TOOLS

    # Whatever a library prints must not come between the messages.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", newline="\n")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    answered = 0
    with door.open() as ws, out:
        tools = [tool for tool in TOOLS if allow_changes or not tool.changes]
        for line in Server(ws, tools, f"an assistant of {machine_user()}").serve(lines_of(sys.stdin.buffer)):
            out.write(f"{line}\n")
            out.flush()
            answered += 1
    return Result({"answered": answered}, lambda screen: None)
