"""The journal is a list: whatever is appended, cut off by a crash at any byte, reopened or forgotten, it holds exactly what
was confirmed, in order, and at most the one group that was being written."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kohort.store.journal import Journal
from kohort.store.keys import MasterKey

KEY = MasterKey(bytes(32), "file")
HEAD = 4096
MARKS = slice(1024, 2048)
GROUPS = st.lists(st.integers(0, 3000), min_size=1, max_size=4)


class JournalIsAList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.forgotten = self.made = 0
        self.bodies: list[bytes] = []
        self.mark_before: tuple[Path, bytes] | None = None

    @initialize()
    def begin(self) -> None:
        self.journal = self.opened()

    def opened(self) -> Journal:
        return Journal(self.root / "j", KEY, at_least=len(self.bodies), segment_bytes=9_000, recent_bytes=3_000)

    def write(self, sizes: list[int]) -> list[bytes]:
        """Appends bodies as one group."""
        bodies = []
        for size in sizes:
            self.made += 1
            bodies.append(self.made.to_bytes(4, "big") + b"." * size)
        with self.journal._pen:
            told = [self.journal.append(body, {"n": len(body)}) for body in bodies]
        numbers = [future.result(20) for future in told]
        assert numbers == list(range(len(self.bodies) + 1, len(self.bodies) + 1 + len(bodies)))
        return bodies

    def newest(self) -> tuple[Path, bytes] | None:
        """The file being written and what stands in its marks."""
        names = sorted((self.root / "j").glob("*.log"))
        return (names[-1], names[-1].read_bytes()) if names else None

    @rule(sizes=GROUPS)
    def append(self, sizes: list[int]) -> None:
        self.mark_before = self.newest()
        self.bodies += self.write(sizes)

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = self.opened()
        assert self.journal.last == len(self.bodies)

    @rule(size=st.integers(0, 3000), cut=st.floats(0, 1), garbage=st.binary(max_size=50))
    def crash_while_writing(self, size: int, cut: float, garbage: bytes) -> None:
        """The group being written reaches the disk up to any byte; its mark does not."""
        before = self.newest()
        (body,) = self.write([size])
        path, data = self.newest()
        self.journal.close()
        same = before is not None and before[0] == path
        confirmed = len(before[1]) if same else HEAD
        marks = before[1][MARKS] if same else bytes(1024)
        end = confirmed + round(cut * (len(data) - confirmed))
        path.write_bytes(data[: MARKS.start] + marks + data[MARKS.stop : end] + garbage * (end < len(data)))
        self.journal = self.opened()
        survived = end == len(data)
        assert self.journal.last == len(self.bodies) + survived
        self.bodies += [body] * survived
        self.mark_before = None

    @rule()
    def power_cut_before_the_last_mark_is_on_disk(self) -> None:
        self.journal.close()
        newest = self.newest()
        if newest and self.mark_before:
            path, data = newest
            same = self.mark_before[0] == path and len(self.mark_before[1]) < len(data)
            if same:
                path.write_bytes(data[: MARKS.start] + self.mark_before[1][MARKS] + data[MARKS.stop :])
        self.mark_before = None
        self.journal = self.opened()
        assert self.journal.last == len(self.bodies)

    @rule(share=st.floats(0, 1), roll=st.booleans())
    def forget(self, share: float, roll: bool) -> None:
        up_to = round(share * len(self.bodies))
        self.journal.forget(up_to, roll=roll)
        self.forgotten = max(self.forgotten, up_to)
        assert self.journal.first <= self.forgotten + 1
        if roll and up_to == len(self.bodies):
            assert self.journal.first == up_to + 1
        self.mark_before = None

    @invariant()
    def it_reads_as_the_list(self) -> None:
        if not hasattr(self, "journal"):
            return
        kept = list(enumerate(self.bodies, 1))
        for limit in (1, 4_000, 1 << 30):
            after, found = self.forgotten, []
            while batch := self.journal.read(after, limit):
                assert len(batch) == 1 or sum(len(frame.body) for frame in batch) <= limit
                found += [(frame.number, frame.body) for frame in batch]
                assert all(frame.meta == {"n": len(frame.body)} for frame in batch)
                after = batch[-1].number
            assert found == kept[self.forgotten :]
        look = Journal.look(self.root / "j", KEY)
        assert (look.first, look.last) == (self.journal.first, self.journal.last)
        waiting = sum(len(body) for body in self.bodies[self.forgotten :])
        assert waiting <= self.journal.backlog_bytes(self.forgotten)
        assert self.journal.backlog_bytes(len(self.bodies)) == 0

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()
        shutil.rmtree(self.root)


TestJournalIsAList = JournalIsAList.TestCase
TestJournalIsAList.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
