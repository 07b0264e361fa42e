"""A workspace that is kept current in this process: what the loop is told, and when it begins."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from kohort.definitions.triggers import watched_traits
from kohort.errors import KohortError, NotEnough
from kohort.live.figures import AUDIT
from kohort.model.progress import Progress, silent
from kohort.workspace.definitions import rule_features

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.live.audit import Audit
    from kohort.live.kafka_settings import KafkaSettings
    from kohort.live.loop import Pace
    from kohort.live.program import Given
    from kohort.live.service import Service
    from kohort.live.sources import Source
    from kohort.store.store import Store
    from kohort.workspace.workspace import Workspace

_AGAIN_SECONDS = 5.0


def service(
    ws: Workspace,
    *,
    sources: Sequence[Source] = (),
    pace: Pace | None = None,
    kafka: KafkaSettings | None = None,
) -> Service:
    """A loop for this workspace, not yet begun. It has a store of its own, so that nobody waits for another's connection.

    Beside the journal of the tracking API it reads the Kafka topics that the environment names (docs/kafka.md).

    Args:
        kafka: Other topics than the environment names.

    Raises:
        Busy: Another process keeps this workspace current.
        WrongUsage: What the environment says of Kafka cannot be meant.
        MissingExtra: It names topics, and the Kafka client is not installed.
    """
    from kohort.live.service import Service
    from kohort.workspace.workspace import Workspace

    own = Workspace.open(ws.root)
    try:
        return Service(own.store, look(own), sources=[*sources, *topics(own, kafka)], pace=pace)
    except BaseException:
        own.close()
        raise


def wanted(ws: Workspace) -> bool:
    """Whether this workspace is to be kept current: it once was, or somebody may send events to it.

    So is one that reads Kafka topics. A shop that only reads files keeps the moment of its data: with the clock of today
    everybody would have left long ago.
    """
    if ws.store.ticks.position().as_of or _kafka(ws) is not None:
        return True
    return any(key.scope == "ingest" and key.revoked_us is None for key in ws.store.api_keys.list())


def topics(ws: Workspace, kafka: KafkaSettings | None = None) -> list[Source]:
    """The Kafka topics that are read: those that are given, or that the environment names."""
    settings = kafka or _kafka(ws)
    if settings is None:
        return []
    from kohort.live.kafka import KafkaSource

    return [KafkaSource(settings)]


def _kafka(ws: Workspace) -> KafkaSettings | None:
    return kafka_settings(ws, os.environ)


def kafka_settings(ws: Workspace, environ: Mapping[str, str]) -> KafkaSettings | None:
    """Which topics are read. The group is the workspace's own: two of one name would take partitions from each other."""
    from kohort.live.kafka_settings import settings_from

    seed = str(ws.store.state.get("hash_seed")).encode()
    return settings_from(environ, f"kohort-{blake2b(seed, digest_size=8, person=b'kafka group').hexdigest()}")


def look(ws: Workspace) -> Callable[[], Given]:
    """What the workspace says now, made anew whenever its files are other ones. A mistake in them leaves what was said.

    Default features follow from the data; they are chosen when there is any, and again when the files change.
    """
    from kohort.live.program import Given

    said: list[Given] = []
    last: tuple[object, float] = (None, 0.0)

    def now() -> Given:
        nonlocal last
        try:
            config = ws.config
            fresh = bool(said) and last[0] is config
            if fresh and (said[-1].features or time.monotonic() < last[1] + _AGAIN_SECONDS):
                return said[-1]
            last = config, time.monotonic()
            given = Given(
                stamp=str(len(said) + 1),
                definitions=config.evaluated,
                unread=config.unread,
                features=config.with_hidden(_features(ws)),
                settings=config.segment_settings,
                zone=config.timezone,
                currency=config.currency,
                controls=config.controls,
                threads=ws.threads,
                traits=watched_traits(config.triggers),
                signals=config.objections,
            )
        except KohortError:
            if not said:
                raise
            return said[-1]
        if not said or replace(given, stamp="") != replace(said[-1], stamp=""):
            said.append(given)
        return said[-1]

    return now


def _features(ws: Workspace) -> tuple[FeatureDefinition, ...]:
    try:
        return rule_features(ws)
    except NotEnough:
        return ()


def audit_of(ws: Workspace, *, progress: Progress = silent) -> Audit:
    """Everybody evaluated anew and compared with the members; the result is kept, so that a server can tell of it.

    Raises:
        NotEnough: Nothing is kept current here.
    """
    from kohort.live.audit import audit

    found = audit(ws.store, look(ws)(), progress=progress)
    ws.store.state.set(AUDIT, found.as_dict())
    return found


def events_count(ws: Workspace, *, event: str | None = None, since: int | None = None) -> dict[str, int]:
    """How many events there are, of how many customers, hot and base together, how many could not be used, and how many
    came in and wait for their effect.

    Args:
        event: Of this name only.
        since: That happened at this instant (microseconds UTC) or later.
    """
    from kohort.engines.evaluate import count_events

    found = count_events(ws.store.log.snapshot(), event=event, since=since)
    return {
        **found,
        "dead_letters": sum(ws.store.state.rejected_counts().values()),
        "waiting": events_waiting(ws.store),
    }


def events_waiting(store: Store) -> int:
    """Events that came in over HTTP and have had no effect yet."""
    from kohort.ingest.tracking.bodies import frame_arrivals

    after, found = store.ticks.position().sources.get("journal", 0), 0
    journal = store.journal_to_read()
    while frames := journal.read(after, 1 << 22):
        found += sum(len(frame_arrivals(f.body, f.meta, f.number)) for f in frames)
        after = frames[-1].number
    return found
