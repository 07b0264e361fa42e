"""T2 without a power cut, and T3: the journal's system calls, watched and made to fail.

strace notes every call that matters, in order, and can make the k-th one of a kind fail. After a failure nothing is
confirmed, no file is flushed a second time, and the next request that works is confirmed; nothing confirmed is lost.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from kohort.store.journal import Journal
from kohort.store.keys import MasterKey

WRITER = Path(__file__).with_name("journal_writer.py")
ENV = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
KEY = MasterKey(bytes(32), "file")
CALLS = "openat,close,write,writev,pwrite64,fdatasync,fsync,rename,ftruncate,unlink"
FAULTS = [
    "fdatasync:error=EIO",
    "pwrite64:error=ENOSPC",
    "fsync:error=EIO",
    "pwrite64:retval=7",
    "write:error=ENOSPC",
    "fdatasync:error=ENOSPC",
    "pwrite64:error=EIO",
    "rename:error=EIO",
    "fsync:error=ENOSPC",
    "fdatasync:error=EROFS",
]


@pytest.fixture(scope="module")
def strace() -> str:
    if not shutil.which("strace") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True, timeout=300)
        subprocess.run(["apt-get", "install", "-y", "-qq", "strace"], check=False, capture_output=True, timeout=300)
    found = shutil.which("strace")
    works = (
        found and subprocess.run([found, "-o", "/dev/null", "true"], check=False, capture_output=True).returncode == 0
    )
    if not works:
        assert os.environ.get("CI") != "true", "CI must have strace"
        pytest.skip("strace is missing or not allowed here")
    return found


@dataclass
class Call:
    name: str
    fd: int
    text: str
    result: int
    injected: bool


_LINE = re.compile(r"^\d+\s+(\w+)\((.*)\)\s+=\s+(-?\d+)(.*)$")
_BEGUN = re.compile(r"^(\d+)\s+(\w+\(.*) <unfinished \.\.\.>$")
_ENDED = re.compile(r"^(\d+)\s+<\.\.\. \w+ resumed>(.*)$")


def calls(log: Path) -> list[Call]:
    """Calls in the order in which they ended."""
    found, begun = [], {}
    for raw in log.read_text(errors="replace").splitlines():
        line = raw
        if match := _BEGUN.match(line):
            begun[match[1]] = match[2]
            continue
        if match := _ENDED.match(line):
            line = f"{match[1]} {begun.pop(match[1])}{match[2]}"
        if match := _LINE.match(line):
            name, args, result, rest = match[1], match[2], int(match[3]), match[4]
            first = args.split(",")[0]
            found.append(Call(name, int(first) if first.isdigit() else -1, args, result, "INJECTED" in rest))
    return found


def watched(strace: str, folder: Path, *, requests: int, segment_bytes: int, fault: str = "", more=()) -> tuple:
    """(what the process said, its calls from its first word on)"""
    log = folder.parent / "strace.txt"
    # Every second time what was not confirmed cannot even be cut off.
    cut = ["-e", "inject=ftruncate:error=EIO"] if fault.endswith(("1", "3", "5", "7", "9")) else []
    inject = ["-e", f"inject={fault}", *cut] if fault else []
    command = [strace, "-f", "--seccomp-bpf", "-o", log, "-s", "60", "-e", f"trace={CALLS}", *inject, sys.executable]
    command += [WRITER, folder, requests, segment_bytes, *more]
    done = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, timeout=120, env=ENV
    )
    assert done.returncode == 0, done.stderr
    seen = calls(log)
    begin = next(i for i, call in enumerate(seen) if call.name == "writev" and '"ready' in call.text)
    return [line.split() for line in done.stdout.splitlines()], seen[begin:]


def told_too_early(seen: list[Call]) -> int:
    """Confirmations that were given while a block had been written and not flushed, or its flush had failed."""
    dirty: set[int] = set()
    early = 0
    for call in seen:
        if call.name == "pwrite64" and "KBLK" in call.text:
            dirty.add(call.fd)
        elif call.name == "fdatasync" and call.result == 0:
            dirty.discard(call.fd)
        elif call.name == "writev" and '"ack ' in call.text:
            early += bool(dirty)
        elif call.name == "close":
            dirty.discard(call.fd)
    return early


def flushed_again(seen: list[Call]) -> list[Call]:
    """Flushes of an open file that had reported an error before."""
    failed: set[int] = set()
    again = []
    for call in seen:
        if call.name in {"fdatasync", "fsync"}:
            if call.fd in failed:
                again.append(call)
            if call.result < 0:
                failed.add(call.fd)
        elif call.name == "close":
            failed.discard(call.fd)
    return again


@pytest.mark.slow
def test_every_confirmation_follows_a_flush_that_succeeded(strace: str, tmp_path: Path) -> None:
    said, seen = watched(strace, tmp_path / "journal", requests=60, segment_bytes=8_000)
    assert sum(words[0] == "ack" for words in said) == 60
    assert sum(call.name == "pwrite64" and "KBLK" in call.text for call in seen) == 60
    assert told_too_early(seen) == 0


@pytest.mark.slow
def test_twin_that_does_not_flush_is_caught(strace: str, tmp_path: Path) -> None:
    _, seen = watched(strace, tmp_path / "journal", requests=20, segment_bytes=1 << 20, more=["unsynced"])
    assert told_too_early(seen) == 20


@pytest.mark.slow
def test_twin_that_flushes_a_file_again_after_an_error_is_caught(strace: str, tmp_path: Path) -> None:
    fault = "fdatasync:error=EIO:when=5"
    for more, caught in (([], 0), (["stubborn"], 1)):
        _, seen = watched(
            strace, tmp_path / f"journal{caught}", requests=20, segment_bytes=1 << 20, fault=fault, more=more
        )
        assert sum(call.injected for call in seen) == 1 + (not caught)  # the file cannot even be cut back
        assert bool(flushed_again(seen)) == caught


def disturb(strace: str, root: Path, ks: list[int]) -> dict[str, int]:
    """One run per k, each with another kind of fault at its k-th call, or from the first one again where there are fewer;
    every third with six in a row. How often each fault was met."""
    met = dict.fromkeys(FAULTS, 0)
    (root / "sound").mkdir()
    _, sound = watched(strace, root / "sound" / "journal", requests=110, segment_bytes=5_500)
    made = Counter(call.name for call in sound)
    for k in ks:
        fault = FAULTS[k % len(FAULTS)]
        folder = root / str(k) / "journal"
        folder.parent.mkdir()
        kind = fault.split(":")[0]
        first = (k - 1) % made[kind] + 1
        when = f"{first}..{first + 5}" if k % 3 == 0 else f"{first}"
        said, seen = watched(strace, folder, requests=110, segment_bytes=5_500, fault=f"{fault}:when={when}")
        hit = [call for call in seen if call.injected and call.name == kind]
        met[fault] += bool(hit)
        assert flushed_again(seen) == [], fault
        assert told_too_early(seen) == 0, fault
        acked = {int(words[2]): words[1] for words in said if words[0] == "ack"}
        assert len(acked) == 110, f"{fault}: each request is confirmed in the end, under a number of its own"
        assert all(float(words[1]) < 10 for words in said if words[0] == "healed")
        with Journal(folder, KEY, at_least=max(acked)) as journal:
            found = {frame.number: frame.body.split()[0].decode() for frame in journal.read(0, 1 << 40)}
            assert journal.check() == []
        assert list(found) == list(range(1, len(found) + 1))
        assert {number: found[number] for number in acked} == acked, f"{fault}: a confirmed request is lost"
        assert {text.split(".")[0] for text in found.values()} == {str(i) for i in range(110)}
        shutil.rmtree(folder.parent)
    return met


@pytest.mark.slow
def test_failing_calls_lose_nothing_and_it_goes_on_by_itself(strace: str, tmp_path: Path) -> None:
    met = disturb(strace, tmp_path, [1, 2, 3, 4, 5, 10, 27, 38, 41, 60])
    assert sum(met.values()) >= 9


@pytest.mark.nightly
def test_failing_calls_at_every_place(strace: str, tmp_path: Path) -> None:
    met = disturb(strace, tmp_path, list(range(1, 201)))
    assert sum(met.values()) > 180
    assert min(met.values()) > 15
