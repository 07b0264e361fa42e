"""The Model Context Protocol over lines of JSON: just what a server of tools has to say; see docs/decisions/0026.

A message is one line. Calls are answered one after the other; what was not asked as a request is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kohort import __version__
from kohort.cli.door import plain
from kohort.errors import KohortError

if TYPE_CHECKING:
    from kohort.workspace.assistant import Tool
    from kohort.workspace.workspace import Workspace

VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Of the protocol, oldest first. Whoever asks for another one is offered the newest of these."""
LONGEST_LINE = 4 * 1024**2
NOT_JSON, NOT_A_REQUEST, NO_SUCH_METHOD, WRONG_PARAMETERS = -32700, -32600, -32601, -32602
INSTRUCTIONS = (
    "Kohort keeps customer segments. Segments are rules over what customers did; check_rule and preview_rule tell what a rule "
    "says and whom it would hold before it is saved. Customers are named by codes (c-…) only: segment_members gives some."
)


class Refused(Exception):
    """A message that cannot be answered as a call."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Server:
    """Answers the messages of one assistant.

    Args:
        tools: What it may ask.
        by: Who is behind it, for the log.
    """

    def __init__(self, ws: Workspace, tools: Iterable[Tool], by: str) -> None:
        self._ws, self._by = ws, by
        self._tools = {tool.name: tool for tool in tools}

    def serve(self, lines: Iterable[bytes]) -> Iterator[str]:
        """The answers to lines, one line each, until there are no more."""
        for line in lines:
            told = self.answer(line) if line.strip() else None
            if told is not None:
                yield json.dumps(told, allow_nan=False)  # ASCII: a half character that was sent comes back as it came

    def answer(self, line: bytes) -> dict[str, Any] | None:
        """The answer to one message; None to one that asks for none: it is passed over."""
        number: Any = None
        try:
            message = _message(line)
            number = message.get("id")
            if number is None:
                return None
            result = self._result(message["method"], message.get("params") or {})
        except Refused as refused:
            error = {"code": refused.code, "message": refused.message}
            return {"jsonrpc": "2.0", "id": number, "error": error}
        return {"jsonrpc": "2.0", "id": number, "result": result}

    def _result(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(params, Mapping):
            raise Refused(WRONG_PARAMETERS, "The parameters are an object.")
        match method:
            case "initialize":
                return _hello(params.get("protocolVersion"))
            case "ping":
                return {}
            case "tools/list":
                return {"tools": [_described(tool) for tool in self._tools.values()]}
            case "tools/call":
                return self._call(params)
        raise Refused(NO_SUCH_METHOD, "There is no such method here.")

    def _call(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """A tool's answer, or why there is none: the assistant reads that and can ask in another way."""
        tool, said = self._tools.get(str(params.get("name"))), params.get("arguments") or {}
        if tool is None:
            raise Refused(WRONG_PARAMETERS, "There is no such tool here.")
        if not isinstance(said, Mapping):
            raise Refused(WRONG_PARAMETERS, "The arguments are an object.")
        try:
            found, wrong = tool.call(self._ws, said, self._by), False
        except KohortError as error:
            found, wrong = error.as_dict(), True
        except Exception as error:  # messages of others can repeat values
            text = f"Something went wrong that we did not foresee ({type(error).__name__})."
            found, wrong = {"code": "unexpected", "message": text, "hint": ""}, True
        found = plain(found)
        text = json.dumps(found, ensure_ascii=False, allow_nan=False, default=str)
        return {
            "content": [{"type": "text", "text": text}],
            "structuredContent": json.loads(text),
            "isError": wrong,
        }


def lines_of(source: Any) -> Iterator[bytes]:
    """The lines of a stream; one that is too long is cut, so that it cannot be read as anything."""
    while line := source.readline(LONGEST_LINE):
        yield line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = source.readline(LONGEST_LINE)


def _message(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused(NOT_JSON, "This is not JSON.") from None
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        raise Refused(NOT_A_REQUEST, "This is not a message of JSON-RPC 2.0.")
    if not isinstance(found.get("method"), str) or not isinstance(found.get("id"), str | int | None):
        raise Refused(NOT_A_REQUEST, "This is not a request.")
    return found


def _hello(version: Any) -> dict[str, Any]:
    return {
        "protocolVersion": version if version in VERSIONS else VERSIONS[-1],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "kohort", "title": "Kohort", "version": __version__},
        "instructions": INSTRUCTIONS,
    }


def _described(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.about,
        "inputSchema": tool.schema(),
        "annotations": {
            "title": tool.title,
            "readOnlyHint": not tool.changes,
            "destructiveHint": tool.removes,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }
