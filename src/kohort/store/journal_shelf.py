"""The files of a journal in their order, and reading from them: what the one writer and any onlooker have in common."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterator
from pathlib import Path

from kohort.errors import Damaged, KohortError
from kohort.store.journal_segment import Frame, JournalKey, Place, Segment, damaged
from kohort.store.keys import MasterKey
from kohort.store.mark import Mark

_STEP_BYTES = 8 << 20


class Shelf:
    """Reads the durable frames of a journal. Attributes: `folder`; `last`, the last durable frame, 0 for none."""

    def __init__(self, folder: Path, key: MasterKey) -> None:
        self.folder = folder
        self.last = 0
        self._key = JournalKey(key)
        self._mark = Mark(folder / "journal.mark")
        self._segments: list[Segment] = []
        self._turn = threading.Lock()
        self._reached: tuple[Segment, Place] | None = None

    @property
    def first(self) -> int:
        """The oldest frame that is kept; `last + 1` where there is none."""
        with self._turn:
            return self._segments[0].first if self._segments else self.last + 1

    def read(self, after: int, limit_bytes: int) -> list[Frame]:
        """Durable frames with a number above `after`, in order, without a gap; those forgotten are passed over.

        Args:
            after: A frame number; 0 begins with the oldest that is kept.
            limit_bytes: Sum of the bodies at most; the first frame comes however large it is.

        Raises:
            Damaged: A confirmed frame is missing or does not open. Nothing of what follows it is handed out.
        """
        found: list[Frame] = []
        room = limit_bytes
        for segment, end in self._from(after + 1):
            for frame in self._frames(segment, after + 1, end):
                room -= len(frame.body)
                if found and room < 0:
                    return found
                found.append(frame)
        return found

    def backlog_bytes(self, after: int) -> int:
        """How many bytes of files come after a frame: 0 where none does, else up to 256 KB too many."""
        if after >= self.last:
            return 0
        files = self._from(after + 1)
        return sum(segment.length() - segment.nearest(after + 1).offset for segment, _ in files)

    def check(self) -> list[str]:
        """Reads everything that is kept; what does not check out, as plain sentences, empty = sound."""
        after, last = self.first - 1, self.last
        try:
            while after < last:
                after = self.read(after, _STEP_BYTES)[-1].number
        except KohortError as error:
            return [error.message]
        return []

    # -- parts -----------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Opens the headers of all files and checks that none is missing between them or at the end.

        Raises:
            Damaged: One is, or does not check out.
        """
        segments: list[Segment] = []
        confirmed = self._mark.read()  # before the files: a writer may begin another one at any time
        for path in sorted(self.folder.glob("*.log")):
            try:
                segment = Segment.open(path, self._key)
            except FileNotFoundError:
                continue  # forgotten meanwhile
            if segment is not None:
                if segments and segment.previous != segments[-1].id:
                    raise damaged(path, "the file before it is missing or another one")
                segments.append(segment)
        if confirmed > (segments[-1].first if segments else 0):
            raise Damaged("The newest file of the journal is missing.", hint="Restore the journal from a backup.")
        self._segments = segments

    def _from(self, frame: int) -> list[tuple[Segment, int]]:
        """The files that hold frames from this one on, each with its last frame."""
        with self._turn:
            segments, last = list(self._segments), self.last
        ends = [*(segment.first - 1 for segment in segments[1:]), last]
        begin = max(0, bisect.bisect_right([segment.first for segment in segments], frame) - 1)
        return [(s, end) for s, end in zip(segments[begin:], ends[begin:], strict=False) if end >= frame]

    def _frames(self, segment: Segment, wanted: int, end: int) -> Iterator[Frame]:
        place = segment.nearest(wanted)
        if self._reached and self._reached[0] is segment and place.frame <= self._reached[1].frame <= wanted:
            place = self._reached[1]
        try:
            for behind, frames in segment.frames(place, end):
                yield from (frame for frame in frames if frame.number >= wanted)
                self._reached = (segment, behind)
        except FileNotFoundError:
            raise damaged(segment.path, "it is missing") from None


class Look(Shelf):
    """A journal as it stood when this was made, for any process, while another one may be writing.

    What was confirmed in the last moment before a power cut shows only after the writer has opened the journal again.
    """

    def __init__(self, folder: Path, key: MasterKey) -> None:
        super().__init__(folder, key)
        self._load()
        if self._segments:
            self.last = self._segments[-1].marked()[1]
