"""T4, for the journal: a full disk is said clearly, reading goes on, and taking in goes on by itself when there is room."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kohort.errors import CannotWrite
from kohort.store.journal import Journal
from kohort.store.keys import MasterKey

KEY = MasterKey(bytes(32), "file")
SIZES = {"tmpfs": 3 << 20, "ext4": 12 << 20}


@pytest.fixture(params=SIZES)
def small_disk(request, tmp_path: Path) -> Iterator[Path]:
    """An empty folder on a disk with about as much room as SIZES says."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZES['tmpfs']}", "tmpfs", str(mount)]
    try:
        if request.param == "ext4":
            with (tmp_path / "disk.img").open("wb") as file:
                file.truncate(SIZES["ext4"])
            subprocess.run(["mkfs.ext4", "-q", "-F", tmp_path / "disk.img"], check=True, capture_output=True)
            command = ["mount", "-o", "loop", str(tmp_path / "disk.img"), str(mount)]
        subprocess.run(command, check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no right to mount a small disk")
    yield mount
    subprocess.run(["umount", "-l", mount], check=False, capture_output=True)


def body(number: int) -> bytes:
    return b"%d " % number + b"x" * (number * 3737 % 40_000)


def take_in_until_full(journal: Journal) -> None:
    while True:
        number = journal.last + 1
        told = journal.append(body(number), {})
        if told.exception(20) is not None:
            break
        assert told.result() == number
    with pytest.raises(CannotWrite, match="the disk is full"):
        told.result()
    assert journal.last == number - 1


def read_all(journal: Journal, after: int) -> int:
    frames = journal.read(after, 1 << 40)
    assert [frame.body for frame in frames] == [body(n) for n in range(after + 1, journal.last + 1)]
    return len(frames)


def fill_and_free(disk: Path, rounds: int) -> None:
    processed = 0
    journal = Journal(disk / "journal", KEY, segment_bytes=300_000, recent_bytes=100_000)
    for attempt in range(rounds):
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * 300_000)
        take_in_until_full(journal)
        assert read_all(journal, processed) > 30
        for _ in range(3):
            with pytest.raises(CannotWrite):
                journal.append(b"x" * 500_000, {}).result(20)
        if attempt % 4 == 3:  # a restart while the disk is full
            journal.close()
            journal = Journal(disk / "journal", KEY, at_least=journal.last, segment_bytes=300_000, recent_bytes=100_000)
            read_all(journal, processed)
        if attempt % 2:  # room comes because requests are dealt with, or because somebody tidies up
            processed = journal.last
            assert journal.forget(processed) > 0
        ballast.unlink()
        began, number = time.monotonic(), journal.last + 1
        assert journal.append(body(number), {}).result(20) == number
        assert time.monotonic() - began < 10
        processed = max(processed, journal.last - 5)
        journal.forget(processed)
    assert journal.check() == []
    journal.close()
    with Journal(disk / "journal", KEY, at_least=journal.last) as again:
        read_all(again, processed)


@pytest.mark.slow
def test_a_full_disk_is_told_and_taking_in_goes_on_when_there_is_room(small_disk: Path) -> None:
    fill_and_free(small_disk, 6)


@pytest.mark.nightly
def test_the_same_fifty_times(small_disk: Path) -> None:
    fill_and_free(small_disk, 50)
