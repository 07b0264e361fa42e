"""A process that keeps a workspace current from a topic on Spark until it is killed, or kills itself where it is told to.

python stream_on_spark.py FOLDER SERVERS TOPIC [--die before|after|returned --at N] [--every SECONDS]

`before` the N-th tick with records is stored, `after` it is, or once the function that Spark called is about to `return`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import kohort.live.spark_stream as under_test
from kohort.live.loop import Done
from kohort.live.spark_stream import LoopOnSpark
from kohort.store.ticks import Tick
from kohort.workspace.stream import stream
from kohort.workspace.workspace import Workspace


class Doomed(LoopOnSpark):
    """Dies where it is told to, as by kill -9; and says what it did."""

    where, left = "", 0

    def _store(self, tick: Tick) -> None:
        records = tick.before.sources != tick.after.sources
        Doomed.left -= records
        if records and Doomed.left == 0 and Doomed.where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super()._store(tick)
        if records and Doomed.left == 0 and Doomed.where == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    def take(self, batch: Any) -> Done:
        done = super().take(batch)
        print(done.events, done.moves, flush=True)
        if Doomed.left <= 0 and Doomed.where == "returned":
            os.kill(os.getpid(), signal.SIGKILL)
        return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("servers")
    parser.add_argument("topic")
    parser.add_argument("--die", default="")
    parser.add_argument("--at", type=int, default=1)
    parser.add_argument("--every", type=float, default=1.0)
    options = parser.parse_args()
    Doomed.where, Doomed.left = options.die, options.at
    under_test.LoopOnSpark = Doomed  # type: ignore[misc]
    stopping = threading.Event()

    def end_with_the_caller() -> None:
        sys.stdin.read()
        stopping.set()

    threading.Thread(target=end_with_the_caller, daemon=True).start()
    environ = {
        "KOHORT_KAFKA_SERVERS": options.servers,
        "KOHORT_KAFKA_TOPICS": options.topic,
        "KOHORT_SPARK_JARS": os.environ["KOHORT_SPARK_JARS"],
        "KOHORT_SPARK_MOST": "100",
    }
    with Workspace.open(options.folder) as ws:
        stream(
            ws,
            engine="spark",
            seconds=options.every,
            stopping=stopping,
            ready=lambda: print("ready", flush=True),
            environ=environ,
        )


if __name__ == "__main__":
    main()
