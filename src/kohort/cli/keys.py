"""The group `keys`: who may send events, who may read, and another master key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import machine_user
from kohort.cli.root import app

if TYPE_CHECKING:
    from kohort.cli.screen import Screen

_SCOPES = ["ingest", "read", "admin"]


@app.group("keys", short_help="Who may send events, and who may read.")
def keys() -> None:
    """Keys of programs. One of scope ingest only sends events, so it may stand in a web page; read only reads; admin
    reads and changes settings.

    \b
    kohort keys add shop --scope ingest
    kohort keys list
    kohort keys revoke shop
    kohort keys rotate
    """


@command(keys, "add", short_help="Make a key.", epilog="Example: kohort keys add shop --scope ingest")
@click.argument("name")
@click.option("--scope", type=click.Choice(_SCOPES), required=True, help="What it is for.")
def add(door: Door, *, name: str, scope: str) -> Result:
    """Make a key and show it: once, because only its hash is kept. NAME says who uses it.

    Events sent with it have NAME as their source.
    """
    with door.open() as ws:
        data = {"name": name, "scope": scope, "key": ws.keys.add(name, scope)}
        ws.audit_log.note("key_added", by=machine_user(), about=f"{name}, {scope}")

    def shown(screen: Screen) -> None:
        screen.command(data["key"])
        door.note(f"This is the key of {name}. Keep it now: it is not shown again.")

    return Result(data, shown)


@command(keys, "list", short_help="Every key, without its secret.", epilog="Example: kohort keys list -w shop")
def listed(door: Door) -> Result:
    """List the keys: name, scope, the public part, when it was made, and when it was revoked."""
    from kohort.model.clock import iso

    with door.open() as ws:
        zone = ws.zone
        rows: list[dict[str, Any]] = [
            {
                "name": key.name,
                "scope": key.scope,
                "begins": f"kh_{key.lookup}",
                "created": iso(key.created_us),
                "revoked": None if key.revoked_us is None else iso(key.revoked_us),
            }
            for key in ws.keys.list()
        ]

    def shown(screen: Screen) -> None:
        if not rows:
            screen.line("There are no keys. Make one with: kohort keys add NAME --scope ingest")
            return
        columns = ("name", "scope", "begins with", "made", "revoked")
        lines = [(r["name"], r["scope"], r["begins"], screen.day(r["created"]), screen.day(r["revoked"])) for r in rows]
        screen.table([(name, "left") for name in columns], lines)

    return Result({"keys": rows}, shown, zone=zone)


@command(keys, "revoke", short_help="End a key.", epilog="Example: kohort keys revoke shop")
@click.argument("name")
def revoke(door: Door, *, name: str) -> Result:
    """End the key NAME: every server refuses it within a second. What was sent with it stays."""
    with door.open() as ws:
        ws.keys.revoke(name)
        ws.audit_log.note("key_revoked", by=machine_user(), about=name)
    return Result({"revoked": name}, lambda screen: screen.line(f"{name} is revoked."))


@command(keys, "rotate", short_help="Another master key.", epilog="Example: kohort keys rotate -w shop")
def rotate(door: Door) -> Result:
    """Seal everything with a new master key and destroy the old one: then copies of the old one open nothing that is kept from now on.

    Stop the server first; other commands may go on. Interrupted, it is gone on with when the workspace is next opened. Where the
    environment holds the key, set KOHORT_MASTER_KEY_NEXT to the new one, and KOHORT_MASTER_KEY to it afterwards. Back-ups made before
    open with the old key only: keep it for as long as they are kept, elsewhere.
    """
    with door.open() as ws:
        data = dict(ws.privacy.rotate_key())

    def shown(screen: Screen) -> None:
        screen.line(
            f"The keys of {data['people']:,} people and {data['files']:,} files of the journal are sealed anew."
        )
        if data["key"] == "environment":
            screen.line("Set KOHORT_MASTER_KEY to what KOHORT_MASTER_KEY_NEXT holds, wherever it is set.")

    return Result(data, shown)
