"""The peer: "did `seen` at least 3 times within 10 minutes" on Quix Streams, as its guide would have it.

    python peer_quix.py SERVERS INPUT OUTPUT FOLDER [--once]

One rule, coded by hand: the last three moments of each customer in a RocksDB state with a changelog topic. Quix Streams has
no timers, so whoever leaves is noticed when something else is known of her, and never on a silent topic. `--once` turns on
exactly-once with ten commits a second (with the usual one every five seconds, nobody sees anything for five seconds).
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

from quixstreams import Application, State

TIMES, WINDOW_MS = 3, 600_000


def changes(event: dict[str, Any], state: State) -> list[dict[str, str]]:
    """Who enters or leaves by this event."""
    now = int(datetime.fromisoformat(event["time"]).timestamp() * 1_000)
    times = sorted([*state.get("times", []), now])[-TIMES:]
    inside, was = len(times) == TIMES and now - times[0] < WINDOW_MS, state.get("inside", False)
    state.set("times", times)
    if inside == was:
        return []
    state.set("inside", inside)
    return [{"customer": event["customer"], "change": "entered" if inside else "left"}]


def main() -> None:
    servers, incoming, outgoing, folder = sys.argv[1:5]
    guarantee: dict[str, Any] = {}
    if "--once" in sys.argv:
        guarantee = {"processing_guarantee": "exactly-once", "commit_interval": 0.1}
    app = Application(servers, consumer_group=incoming, auto_offset_reset="earliest", state_dir=folder, **guarantee)
    stream = app.dataframe(app.topic(incoming, value_deserializer="json"))
    stream = stream[stream["event"] == "seen"].apply(changes, stateful=True, expand=True)
    stream.to_topic(app.topic(outgoing, value_serializer="json"))
    app.run()


if __name__ == "__main__":
    main()
