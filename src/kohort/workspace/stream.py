"""A workspace kept current from Kafka topics without a server: by the loop itself, or by one on Spark."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import MissingExtra, WrongUsage
from kohort.live.answering import Answering, Answers
from kohort.live.answers import found
from kohort.live.kafka_settings import SERVERS, TOPICS
from kohort.live.sources import JOURNAL
from kohort.workspace.live import kafka_settings, look, service

if TYPE_CHECKING:
    import socket

    from kohort.live.kafka_settings import KafkaSettings
    from kohort.live.spark_stream import LoopOnSpark
    from kohort.store.journal import Journal
    from kohort.workspace.workspace import Workspace

log = logging.getLogger("kohort.spark")

CHECKPOINT = "stream"
"""Folder of the workspace with Spark's own notes. Deleting it costs reading the topics from their beginning, nothing else."""

_NEEDS = {
    "duckdb": ("confluent_kafka", "kafka", "Reading from Kafka"),
    "spark": ("pyspark", "spark", "Running on Spark"),
}
"""Engine → what it is made of, the extra that brings it, and what for."""

MOST, JARS = "KOHORT_SPARK_MOST", "KOHORT_SPARK_JARS"
"""Records of one micro-batch; jars for Java's class path, with commas."""


def stream(
    ws: Workspace,
    *,
    engine: str,
    seconds: float,
    stopping: threading.Event,
    ready: Callable[[], None],
    environ: Mapping[str, str] | None = None,
    listen: Callable[[], socket.socket] | None = None,
    answering: Callable[[str], object] = lambda _address: None,
) -> None:
    """Keeps the workspace current, and sends what its triggers tell, until it is told to stop.

    Args:
        engine: duckdb or spark.
        seconds: On Spark: between two micro-batches, and between two looks at the clock where none comes.
        stopping: Set by another thread or a signal.
        ready: Called once records are read.
        environ: Says which topics; None = this process's.
        listen: Gives a bound socket, where a monitoring system is answered (docs/operations.md); None = nowhere.
        answering: Called with the address of that socket, once it answers.

    Raises:
        WrongUsage: No topics are named.
        Busy: Another process keeps this workspace current.
        MissingExtra: The engine or the Kafka client is not installed.
    """
    said = os.environ if environ is None else environ
    settings = kafka_settings(ws, said)
    if settings is None:
        raise WrongUsage("No Kafka servers are named.", hint=f"Use --kafka and --topic, or set {SERVERS} and {TOPICS}.")
    _need(engine)
    telling = ws.triggers.worker()
    answers = Answers(ws.store, lambda: found(ws.segmentation()))
    with Answering(listen(), answers) if listen is not None else nullcontext() as open_at:
        if open_at is not None:
            answering(open_at.address)

        def begun() -> None:
            telling.start()
            ready()

        try:
            if engine == "spark":
                _on_spark(ws, settings, said, answers, seconds=seconds, stopping=stopping, ready=begun)
            else:
                _here(ws, settings, answers, stopping=stopping, ready=begun, moved=telling.wake)
        finally:
            telling.stop()


def _need(engine: str) -> None:
    """Says at once what is not installed, before anybody is told of an address."""
    module, extra, what = _NEEDS[engine]
    if find_spec(module) is None:
        raise MissingExtra(extra, what)


def _here(
    ws: Workspace,
    settings: KafkaSettings,
    answers: Answers,
    *,
    stopping: threading.Event,
    ready: Callable[[], None],
    moved: Callable[[], None],
) -> None:
    answers.watched = running = service(ws, kafka=settings)
    running.moved = moved
    running.start()
    ready()
    stopping.wait()
    running.stop()


def _on_spark(
    ws: Workspace,
    settings: KafkaSettings,
    environ: Mapping[str, str],
    answers: Answers,
    *,
    seconds: float,
    stopping: threading.Event,
    ready: Callable[[], None],
) -> None:
    from kohort.engines import spark_stream
    from kohort.engines.spark import session
    from kohort.live.avro import Schemas
    from kohort.live.keeping import Keeping
    from kohort.live.spark_stream import LoopOnSpark, Streaming
    from kohort.workspace.workspace import Workspace

    own = Workspace.open(ws.root)
    journal = None
    try:
        journal = own.store.journal()  # whoever has it keeps the workspace current, and nobody else
        master = own.config.spark
        jars = [Path(name) for name in environ.get(JARS, "").split(",") if name]
        spark = session(master=master, threads=own.threads, jars=jars)
        loop = LoopOnSpark(own.store, look(own), spark, master=master, schemas=Schemas.read(settings.schema))
        keeping = Keeping(own.store, loop)
        waiting = partial(_waiting, journal, loop)
        answers.watched = streaming = Streaming(loop, seconds=seconds, after=keeping.step, waiting=waiting)
        loop.ticked = streaming.ticked
        topics = spark_stream.Topics(
            settings.servers,
            settings.topics,
            "earliest" if _known(loop) else settings.begin,
            int(environ.get(MOST, "10000")),
            settings.options,
        )
        query = spark_stream.start(spark, topics, usable_checkpoint(ws.root, loop), seconds, streaming.each)
        ready()
        try:
            streaming.run(lambda: spark_stream.failure(query), stopping)
        finally:
            query.stop()
            loop.close()
            keeping.last()
    finally:
        if journal is not None:
            journal.close()
        own.close()


def _waiting(journal: Journal, loop: LoopOnSpark) -> int:
    """Bytes of the tracking API that wait for a loop that reads it: one on Spark does not."""
    return journal.backlog_bytes(loop.position.sources.get(JOURNAL, 0))


def _known(loop: LoopOnSpark) -> bool:
    """Whether records were read before: what follows them must not be passed over, whatever Spark remembers."""
    return any(name.startswith("kafka:") for name in loop.position.sources)


def usable_checkpoint(root: Path, loop: LoopOnSpark) -> Path:
    """The folder of Spark's notes. Notes that are beyond our position are thrown away: the workspace is a restored one."""
    from kohort.engines.spark_stream import reached
    from kohort.live.kafka import partition_name

    folder = root / CHECKPOINT
    noted = {partition_name(topic, partition): at for (topic, partition), at in reached(folder).items()}
    if any(at > loop.position.sources.get(name, 0) for name, at in noted.items()):
        log.warning("spark: the checkpoint is beyond what is stored; topics are read from their beginning")
        shutil.rmtree(folder)
    return folder
