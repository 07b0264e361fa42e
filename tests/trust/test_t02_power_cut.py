"""T2: a power cut at any moment loses nothing that was confirmed.

The files lie on an ext4 file system in an image. While the writing process stands still the image is copied: whatever
had not been flushed is not in the copy, as after a power cut on a disk that keeps what it says it has. The copy is
mounted, ext4 replays its journal, and we look. The twins confirm without flushing; they must lose nearly every time, or
this test would see nothing.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kohort.errors import KohortError
from kohort.store import create_store, open_store
from kohort.store.journal import Journal
from kohort.store.keys import MasterKey

KEY = MasterKey(bytes(32), "file")
IMAGE_MB = 48


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=60)


class Disk:
    """A small disk whose power can be cut."""

    def __init__(self, folder: Path) -> None:
        self.image, self.after, self.mount = folder / "disk.img", folder / "after.img", folder / "disk"
        self.mount.mkdir()
        with self.image.open("wb") as file:
            file.truncate(IMAGE_MB << 20)
        run("mkfs.ext4", "-q", "-F", self.image)
        # Nothing reaches the disk by the clock: only what is flushed does.
        self.options = "loop,commit=300"

    def on(self) -> None:
        run("mount", "-o", self.options, self.image, self.mount)

    def remember(self) -> None:
        """Keeps what the disk holds now."""
        run("cp", "--sparse=always", self.image, self.after)

    def cut(self) -> None:
        """Power off and on again: the disk is as it was when it was last remembered."""
        run("umount", self.mount)
        self.after.replace(self.image)
        self.on()

    def off(self) -> None:
        subprocess.run(["umount", "-l", self.mount], check=False, capture_output=True, timeout=60)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if not (shutil.which("mkfs.ext4") and shutil.which("mount")):
        pytest.skip("mkfs.ext4 or mount is missing: test_t02_order.py looks at the order of system calls instead")
    found = Disk(tmp_path)
    try:
        found.on()
    except subprocess.CalledProcessError:
        pytest.skip("no right to mount an image: test_t02_order.py looks at the order of system calls instead")
    yield found
    found.off()


def cuts(disk: Disk, lab, job: Callable[[int], dict], lost: Callable[[list], int], n: int) -> tuple[int, int, int]:
    """Cuts the power `n` times; (confirmed, lost, cuts that lost something). The disk of a cut is the next one's."""
    chance = random.Random(n)
    confirmed = missing = bad = 0
    for attempt in range(n):
        acks, _ = lab.run(
            job(attempt),
            kill_after=chance.choice([1, 5, 20, 50]),
            delay_ms=chance.uniform(0, 30),
            stopped=disk.remember,
        )
        disk.cut()
        gone = lost(acks)
        confirmed, missing, bad = confirmed + len(acks), missing + gone, bad + bool(gone)
    return confirmed, missing, bad


# -- the journal -------------------------------------------------------------------------------------------------------


def journal_cuts(disk: Disk, lab, n: int, **sabotage) -> tuple[int, int, int]:
    folder = disk.mount / "journal"

    def job(attempt: int) -> dict:
        if "unsynced" in sabotage or attempt % 10 == 0:
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run(["sync", "-f", disk.mount], check=True, timeout=60)
        return {"journal": str(folder), "attempt": attempt, "requests": 5000, "segment_bytes": 200_000, **sabotage}

    def lost(acks: list) -> int:
        try:
            with Journal(folder, KEY) as journal:
                found = {frame.number: frame.body.split()[0].decode() for frame in journal.read(0, 1 << 40)}
                assert journal.check() == []
        except KohortError:
            assert sabotage, "the journal cannot be read after a power cut"
            return len(acks)
        return sum(found.get(number) != text for text, number in acks)

    return cuts(disk, lab, job, lost, n)


@pytest.mark.slow
def test_the_journal_loses_nothing(disk: Disk, lab) -> None:
    confirmed, lost, _ = journal_cuts(disk, lab, 20)
    assert confirmed > 300
    assert lost == 0


@pytest.mark.nightly
def test_the_journal_loses_nothing_two_hundred_times(disk: Disk, lab) -> None:
    confirmed, lost, _ = journal_cuts(disk, lab, 200)
    assert confirmed > 4000
    assert lost == 0


@pytest.mark.slow
def test_twin_a_journal_that_does_not_flush_loses_nearly_always(disk: Disk, lab) -> None:
    _, _, bad = journal_cuts(disk, lab, 20, unsynced=True)
    assert bad >= 19


# -- the event log -----------------------------------------------------------------------------------------------------


def log_cuts(disk: Disk, lab, logical, n: int, **sabotage) -> tuple[int, int, int]:
    root, empty = disk.mount / "ws", disk.image.with_name("empty")
    create_store(empty, buckets=2).close()

    def job(attempt: int) -> dict:
        if "synchronous" in sabotage or attempt % 5 == 0:
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(empty, root)
            subprocess.run(["sync", "-f", disk.mount], check=True, timeout=60)
        first = 100_000 * attempt
        return {"root": str(root), "appends": [(first + i, first + 7 * i, 7) for i in range(200)], **sabotage}

    def lost(acks: list) -> int:
        wanted = {f"event-{number // 100_000 * 100_000 + 7 * (number % 100_000)}" for number in acks}
        try:
            with open_store(root) as store:
                found = logical[1](store).column("event_id").to_pylist()
                assert len(set(found)) == len(found)
                # Reading everything is slow: when the disk has seen its last cut is enough.
                problems = store.verify() if acks and acks[0] // 100_000 % 5 == 4 else []
        except KohortError:
            assert sabotage, "the store cannot be read after a power cut"
            return len(acks)
        assert sabotage or problems == []
        return len(wanted - set(found))

    return cuts(disk, lab, job, lost, n)


@pytest.mark.slow
def test_the_event_log_loses_nothing(disk: Disk, lab, logical) -> None:
    confirmed, lost, _ = log_cuts(disk, lab, logical, 10)
    assert confirmed > 100
    assert lost == 0


@pytest.mark.nightly
def test_the_event_log_loses_nothing_two_hundred_times(disk: Disk, lab, logical) -> None:
    confirmed, lost, _ = log_cuts(disk, lab, logical, 200)
    assert confirmed > 2000
    assert lost == 0


@pytest.mark.slow
def test_twin_a_database_that_does_not_flush_loses_nearly_always(disk: Disk, lab, logical) -> None:
    _, _, bad = log_cuts(disk, lab, logical, 20, synchronous="OFF")
    assert bad >= 19
