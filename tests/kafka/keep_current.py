"""A process that keeps a workspace current from a topic until it is killed, or until so many records had their effect.

python keep_current.py FOLDER SERVERS TOPIC [--until RECORDS]
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.live.kafka import KafkaSource
from kohort.live.kafka_settings import KafkaSettings
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.sources import Taken
from kohort.store import create_store, open_store

RULE = "did('seen', at_least => 3)"


def given() -> Given:
    part = Part("thrice", rule=RuleText(RULE, parse_rule(RULE)))
    return Given("1", (SegmentDefinition("thrice", "rule", (part,)),), {}, (), SegmentSettings(), "UTC", "EUR")


class Sleeper(KafkaSource):
    """Falls asleep with records in its hands, until somebody wakes the process."""

    batches = 0

    def take(self, positions: Mapping[str, int], limit: int) -> Taken:
        taken = super().take(positions, limit)
        self.batches -= bool(taken.arrivals)
        if taken.arrivals and self.batches == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("servers")
    parser.add_argument("topic")
    parser.add_argument("--until", type=int)
    parser.add_argument("--sleep-with", type=int, default=0)
    options = parser.parse_args()
    store = open_store(options.folder) if options.folder.exists() else create_store(options.folder, buckets=2)
    settings = KafkaSettings(options.servers, (options.topic,), f"g-{options.topic}")
    source = Sleeper(settings)
    source.batches = options.sleep_with
    loop = Loop(store, given, [source], pace=Pace(batch=40, note=0.5))
    print("ready", flush=True)
    while options.until is None or sum(loop.position.sources.values()) < options.until:
        done = loop.tick()
        if done.events:
            print(done.events, flush=True)
        loop.rest(done)
    loop.close()
    store.close()


if __name__ == "__main__":
    main()
