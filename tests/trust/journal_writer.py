"""A process that takes requests in, one after the other, for tests that watch or disturb its system calls.

`python journal_writer.py FOLDER REQUESTS SEGMENT_BYTES [unsynced|stubborn]` says on a line each: `ack TEXT NUMBER`, `failed TEXT`,
`healed SECONDS` (from the first failure to the next confirmation). What failed is tried again, for ten seconds at most.
"""

import os
import sys
import time
from pathlib import Path

from kohort.errors import CannotWrite
from kohort.store.journal import Journal
from kohort.store.journal_segment import Segment
from kohort.store.keys import MasterKey


def say(*words: object) -> None:
    # A call that the journal does not make, so that a disturbed `write` is the journal's.
    os.writev(1, [(" ".join(str(word) for word in words) + "\n").encode()])


def opened(folder: Path, segment_bytes: int) -> Journal:
    for _ in range(1000):
        try:
            return Journal(folder, MasterKey(bytes(32), "file"), segment_bytes=segment_bytes)
        except CannotWrite:
            say("failed", "open")
    raise SystemExit("the journal cannot be opened")


def main() -> None:
    folder, requests, segment_bytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if "unsynced" in sys.argv:  # sabotage: nothing is brought to disk
        os.fdatasync = lambda _fd: None
    if "stubborn" in sys.argv:  # sabotage: a file is used again after an error
        Segment.abandon = lambda _segment: None
    say("ready")
    with opened(folder, segment_bytes) as journal:
        for i in range(requests):
            failing, attempt = 0.0, 0
            while True:
                text = f"{i}.{attempt}"
                try:
                    number = journal.append(f"{text} {'x' * 300}".encode(), {}).result(20)
                except CannotWrite:
                    failing = failing or time.monotonic()
                    say("failed", text)
                    assert len(journal.read(0, 1 << 40)) == journal.last, "reading goes on"
                    if time.monotonic() > failing + 10:
                        raise
                    attempt += 1
                else:
                    say("ack", text, number)
                    if failing:
                        say("healed", time.monotonic() - failing)
                    break


if __name__ == "__main__":
    main()
