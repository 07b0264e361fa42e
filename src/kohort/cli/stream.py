"""`kohort stream`: a workspace kept current from Kafka topics, without pages."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING

import click

from kohort.cli.door import Door, Result, command
from kohort.cli.options import PORT
from kohort.cli.root import app
from kohort.model.serving import SERVE_HOST, STREAM_PORT

if TYPE_CHECKING:
    from kohort.cli.screen import Screen


@command(
    app,
    "stream",
    short_help="Keep segments current from Kafka topics.",
    epilog="Example: kohort stream --kafka localhost:9092 --topic events --engine spark",
)
@click.option("--kafka", "servers", metavar="SERVERS", help="host:port, several with commas.")
@click.option(
    "--topic", "topics", metavar="NAME", multiple=True, help="May be given again; ^… is a regular expression."
)
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), help="What evaluates (default: the workspace's).")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3_600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="On Spark: from one micro-batch to the next, and from one look at the clock to the next.",
)
@click.option("--host", default=SERVE_HOST, show_default=True, help="Address that answers a monitoring system.")
@click.option("--port", type=PORT, default=STREAM_PORT, show_default=True, help="Its port; 0 = any free one.")
def stream(
    door: Door,
    *,
    servers: str | None,
    topics: tuple[str, ...],
    engine: str | None,
    every: float,
    host: str,
    port: int,
) -> Result:
    """Read events from Kafka and keep segments current until Ctrl-C, without pages or the tracking API.

    For monitoring it answers /health, /ready and /metrics as kohort serve does (docs/operations.md).
    What is not said here the environment says: KOHORT_KAFKA_SERVERS, KOHORT_KAFKA_TOPICS and others (docs/kafka.md).
    """
    from kohort.cli.serving import listen
    from kohort.live.kafka_settings import SERVERS, TOPICS
    from kohort.workspace.stream import stream as run

    environ = dict(os.environ)
    environ |= {SERVERS: servers} if servers else {}
    environ |= {TOPICS: ",".join(topics)} if topics else {}
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with door.open() as ws:
        run(
            ws,
            engine=engine or ws.config.engine,
            seconds=every,
            stopping=stopping,
            ready=lambda: door.note("Kohort reads and keeps segments current (stop with Ctrl-C)."),
            environ=environ,
            listen=partial(listen, host, port),
            answering=lambda address: door.note(f"Health, readiness and metrics: {address}"),
        )
        as_of = ws.store.ticks.position().as_of

    def shown(screen: Screen) -> None:
        screen.line("Stopped.")

    return Result({"as_of": as_of}, shown)
