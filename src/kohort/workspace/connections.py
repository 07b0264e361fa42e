"""`ws.connections`: rows fetched from the systems that `kohort.yaml` names under `connections:`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kohort.errors import KohortError, NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent

if TYPE_CHECKING:
    from kohort.ingest.chunk import Reader
    from kohort.ingest.connect.run import Pulled
    from kohort.ingest.proposal import Proposal
    from kohort.model.connection import Connection, Position
    from kohort.model.source import SourceMapping
    from kohort.workspace.workspace import Workspace


class ConnectionsDoor:
    """Where rows come from by themselves, for every door."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def listed(self) -> list[dict[str, Any]]:
        """Every connection and how far it was read. Connects to nothing.

        Returns:
            `{"name", "source", "mapped", "kind", "place", "since", "per_minute", "variables", "last_run", "complete",
            "reached", "tried", "error"}` each; `reached` is a time or a number, None = the next run begins at the beginning; `tried` is
            when it was last run, and `error` why that ended early.
        """
        mapped = {m.name for m in self._ws.config.sources}
        return [
            {**c.as_dict(), "mapped": c.source in mapped, **_told(self._position(c)), **self._outcome(c)}
            for c in self._ws.config.connections
        ]

    def pull(
        self,
        names: Sequence[str] = (),
        *,
        again: bool = False,
        answers: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> list[Pulled]:
        """Fetch what is new and store it. One connection that fails does not stop the others.

        Args:
            names: Connections; none = all of `kohort.yaml` but those that give a series of `context:`.
            again: From the beginning; rows that are known count as duplicates.
            answers: What is settled of the mapping of a source that has none yet; see `Workspace.propose`.
            progress: Told the rows read.

        Raises:
            NotFound: No connection is called so.
            WrongUsage: There are none, or one gives a series.
            MissingExtra: The extra `sources` is not installed.
        """
        found = []
        for c in self._named(names):
            try:
                done = self._pull(c, again=again, answers=answers or {}, progress=progress)
            except KohortError as error:
                self._note_outcome(c, error)
                raise
            self._note_outcome(c, done.error)
            found.append(done)
        return found

    def _note_outcome(self, connection: Connection, error: KohortError | None) -> None:
        told = None if error is None else {"code": error.code, "message": error.message}
        with self._ws.store.write_lock():
            kept = {"tried_us": time.time_ns() // 1_000, "error": told}
            self._ws.store.state.set_bookmark(_outcome_of(connection), kept)

    def _outcome(self, connection: Connection) -> dict[str, Any]:
        """When it was last run, and why that ended early."""
        kept = self._ws.store.state.bookmark(_outcome_of(connection)) or {}
        return {"tried": iso(kept["tried_us"]) if kept else None, "error": kept.get("error")}

    def _named(self, names: Sequence[str]) -> list[Connection]:
        known = {c.name: c for c in self._ws.config.connections}
        if not known:
            raise WrongUsage(
                "kohort.yaml names no connections.", hint="Add one under connections:, see docs/channels.md."
            )
        series = {s.connection: s.name for s in self._ws.config.context if s.connection}
        for name in names:
            if name not in known:
                raise NotFound("connection", name, known)
            if name in series:
                raise WrongUsage(
                    f"{name!r} gives the series {series[name]!r}, which is about no customers.",
                    hint="Run: kohort context --fetch",
                )
        return [known[name] for name in dict.fromkeys(names)] or [c for c in known.values() if c.name not in series]

    def _pull(self, connection: Connection, *, again: bool, answers: Mapping[str, Any], progress: Progress) -> Pulled:
        from kohort.ingest.connect.feeds import open_feed
        from kohort.ingest.connect.run import pull
        from kohort.ingest.connect.run_files import pull_files
        from kohort.ingest.run import Session

        def propose(reader: Reader) -> SourceMapping:
            mapping = self._proposal(connection, reader, answers).mapping
            self._ws.confirm(mapping)
            return mapping

        ws = self._ws
        mapping = next((m for m in ws.config.sources if m.name == connection.source), None)
        settings: dict[str, Any] = {
            "store": ws.store,
            "zone": ws.zone,
            "currency": ws.currency,
            "controls": ws.config.controls,
            "now": time.time_ns() // 1_000,
            "progress": progress,
        }
        if connection.kind != "files":
            feed = open_feed(connection)
            return pull(connection, feed, mapping=mapping, propose=propose, again=again, **settings)
        return pull_files(
            connection,
            mapping=mapping,
            propose=propose,
            begin=partial(Session, **settings),
            store=ws.store,
            folder=ws.root,
            now=settings["now"],
            again=again,
        )

    def _proposal(self, connection: Connection, reader: Reader, answers: Mapping[str, Any]) -> Proposal:
        from kohort.ingest.proposal import propose_from

        told = {**answers, "name": connection.source}
        zone, currency = self._ws.zone, self._ws.currency
        return propose_from([reader], told, name=connection.name, zone=zone, currency=currency, taken=())

    def _position(self, connection: Connection) -> Position:
        from kohort.ingest.connect.run import read_position

        return read_position(self._ws.store.state, connection)


def _outcome_of(connection: Connection) -> str:
    return f"outcome of connection {connection.name}"


def _told(position: Position) -> dict[str, Any]:
    mark = position.mark
    reached = None if mark is None else iso(mark.value) if mark.is_time else mark.value
    return {
        "last_run": iso(position.ran_us) if position.ran_us else None,
        "complete": position.complete if position.ran_us else None,
        "reached": reached,
    }
