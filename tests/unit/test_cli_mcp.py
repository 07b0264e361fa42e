"""`kohort mcp`: a client of the official kit asks it, it names nobody, changes nothing unless allowed, and survives any line."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kohort
from kohort.cli.rpc import VERSIONS, Server
from kohort.workspace.assistant import TOOLS
from kohort.workspace.people import short_code
from kohort.workspace.workspace import Workspace

READING = [tool for tool in TOOLS if not tool.changes]


class Shop:
    """A workspace whose customers are known by their e-mail addresses."""

    def __init__(self, folder: Path) -> None:
        lines = [f"o{n}-{i},ann{n}@shop.example,2026-01-0{i},tea,1,5" for n in range(1, 6) for i in range(1, n + 1)]
        orders = folder / "orders.csv"
        orders.write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
        self.ws: Workspace = kohort.create(folder / "ws", name="Tea shop")
        self.ws.ingest(orders, kind="orders")
        self.ws.segments.add("keen", "did(*, at_least => 4)")
        self.ws.segments.run()
        (key,) = self.ws.store.members.current("keen").column("customer").to_pylist()[:1]
        self.code = short_code(key)

    def call(self, tool: str, tools: Any = READING, **said: Any) -> dict[str, Any]:
        """What a tool answers, without a process."""
        params = {"name": tool, "arguments": said}
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        told = Server(self.ws, tools, "an assistant of test").answer(line.encode())
        assert told is not None
        return told.get("result") or told


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = Shop(tmp_path_factory.mktemp("mcp"))
    yield made
    made.ws.close()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_of_the_official_kit_lists_asks_and_is_refused(shop: Shop, mode: str) -> None:
    from mcp import Client, StdioServerParameters
    from mcp.types import TextContent

    arguments = ["-m", "kohort", "mcp", "-w", str(shop.ws.root)]
    environment = {"PYTHONPATH": str(Path(kohort.__file__).parents[1])}
    server = StdioServerParameters(command=sys.executable, args=arguments, env=environment)

    async def asked() -> None:
        async with Client(server, mode=mode, read_timeout_seconds=120) as client:
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == [tool.name for tool in READING]
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools)
            listed = await client.call_tool("list_segments", {})
            assert listed.structured_content["segments"][0]["segment"] == "keen"
            seen = await client.call_tool("preview_rule", {"rule": "did(*, at_least => 3)"})
            assert (seen.is_error, seen.structured_content["size"]) == (False, 3)
            refused = await client.call_tool("preview_rule", {"rule": "bought('tea')"})
            assert refused.is_error
            (said,) = refused.content
            assert isinstance(said, TextContent)
            assert json.loads(said.text) == refused.structured_content
            assert refused.structured_content["hint"]

    asyncio.run(asked())


def test_nobody_is_named_and_every_look_is_written_down(shop: Shop) -> None:
    told = [
        shop.call("segment_members", segment="keen"),
        shop.call("customer", customer=shop.code),
        shop.call("why", segment="keen", customer=shop.code),
        shop.call("preview_rule", rule="did(*)"),
        shop.call("health"),
        shop.call("overlap", segment="keen"),
        shop.call("describe_segment", segment="keen"),
        shop.call("features"),
        shop.call("count_events"),
        shop.call("list_predictions"),
        shop.call("digest", since="2w"),
    ]
    assert [one["isError"] for one in told] == [False] * len(told)
    assert "@shop.example" not in json.dumps(told)
    assert re.fullmatch(r"c-[0-9a-f]{14,16}", told[0]["structuredContent"]["members"][0]["customer"])
    assert told[1]["structuredContent"]["customer"] == shop.code
    looks = [(e.act, e.about, e.by) for e in shop.ws.audit_log.latest(3)]
    assert looks == [
        ("looked_at_customer", "keen", "an assistant of test"),
        ("looked_at_customer", "an assistant", "an assistant of test"),
        ("looked_at_members", "keen", "an assistant of test"),
    ]


@pytest.mark.parametrize("number", ["ann1@shop.example", "14127", ""])
def test_a_customer_is_asked_for_by_her_code_only(shop: Shop, number: str) -> None:
    for tool, more in (("customer", {}), ("why", {"segment": "keen"})):
        told = shop.call(tool, customer=number, **more)
        assert told["isError"] is True
        assert told["structuredContent"]["code"] == "not_found"


def test_without_leave_there_is_nothing_that_changes(shop: Shop) -> None:
    for tool in (tool for tool in TOOLS if tool.changes):
        assert shop.call(tool.name)["error"]["code"] == -32602
    assert [tool.name for tool in TOOLS if tool.changes] == [
        "save_segment",
        "pause_segment",
        "remove_segment",
        "run_segments",
    ]


def test_with_leave_a_segment_is_saved_run_paused_and_removed(shop: Shop) -> None:
    saved = shop.call("save_segment", TOOLS, segment="many", rule="did(*, at_least => 3)")["structuredContent"]
    assert (saved["version"], saved["never_observed"]) == (0, [])
    ran = shop.call("run_segments", TOOLS, segments=["many"])["structuredContent"]
    assert [(o["name"], o["size"]) for o in ran["outcomes"]] == [("many", 3)]
    assert shop.call("pause_segment", TOOLS, segment="many", paused=True)["structuredContent"]["paused"] is True
    assert shop.call("remove_segment", TOOLS, segment="many")["structuredContent"] == {"removed": "many"}
    acts = [e.act for e in shop.ws.audit_log.latest(4)]
    assert acts == ["segment_removed", "segment_paused", "segment_run", "segment_saved"]


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("why", {"segment": "keen"}),
        ("segment_members", {"segment": "keen", "limit": 0}),
        ("segment_members", {"segment": "keen", "limit": True}),
        ("segment_members", {"segment": 7}),
        ("movement", {"segment": "keen", "by": "week"}),
        ("list_segments", {"more": 1}),
        ("preview_rule", {}),
        ("preview_rule", {"rule": "did(*)", "definition": {}}),
        ("check_rule", {"rule": "x" * 20_001}),
        ("describe_segment", {"segment": "nothing"}),
        ("overlap", {"segment": "nothing"}),
    ],
)
def test_a_wrong_call_is_told_in_words_that_help(shop: Shop, tool: str, said: dict[str, Any]) -> None:
    told = shop.call(tool, **said)
    assert told["isError"] is True
    assert told["structuredContent"]["message"].endswith(".")


def test_the_version_that_is_asked_for_is_spoken_where_we_know_it(shop: Shop) -> None:
    server = Server(shop.ws, READING, "test")
    for asked, spoken in [*((version, version) for version in VERSIONS), ("2031-01-01", VERSIONS[-1])]:
        params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
        hello = server.answer(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).encode()
        )
        assert hello is not None
        assert hello["result"]["protocolVersion"] == spoken
    assert server.answer(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}') is None
    assert server.answer(b'{"jsonrpc": "2.0", "id": "p", "method": "ping"}') == {
        "jsonrpc": "2.0",
        "id": "p",
        "result": {},
    }


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "server/discover"}', -32601),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "none"}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [1]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "why", "arguments": [1]}}', -32602),
    ],
)
def test_a_line_that_is_no_call_is_refused_with_its_code(shop: Shop, line: bytes, code: int) -> None:
    told = Server(shop.ws, READING, "test").answer(line)
    assert told is not None
    assert told["error"]["code"] == code


def test_what_is_no_request_changes_nothing(shop: Shop) -> None:
    params = {"name": "remove_segment", "arguments": {"segment": "keen"}}
    line = json.dumps({"jsonrpc": "2.0", "method": "tools/call", "params": params}).encode()
    assert Server(shop.ws, TOOLS, "test").answer(line) is None
    assert shop.call("describe_segment", segment="keen")["isError"] is False


def test_half_a_character_comes_back_as_it_came(shop: Shop) -> None:
    line = rb'{"jsonrpc": "2.0", "id": "\ud800", "method": "ping"}'
    (told,) = Server(shop.ws, READING, "test").serve([line])
    assert json.loads(told.encode("utf-8")) == {"jsonrpc": "2.0", "id": "\ud800", "result": {}}


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_arguments_get_an_answer(shop: Shop, said: Any) -> None:
    for tool in ("describe_segment", "check_rule", "segment_members"):
        params = {"name": tool, "arguments": {"segment": said, "rule": said} if isinstance(said, str) else said}
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
        (answer,) = Server(shop.ws, READING, "test").serve([line])
        assert "unexpected" not in answer
