"""The journal: what is confirmed is on disk, in order, sealed, and nobody else writes to it."""

import os
import subprocess
import sys
import threading
from concurrent.futures import wait
from pathlib import Path

import pytest

from kohort.errors import Busy, CannotWrite, Damaged, TooLarge, WrongUsage
from kohort.store import journal as journal_module
from kohort.store.journal import Journal, set_aside
from kohort.store.journal_segment import Segment
from kohort.store.keys import MasterKey

KEY = MasterKey(bytes(range(32)), "file")
ALL = 1 << 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def fill(journal: Journal, n: int, *, size: int = 20) -> list[int]:
    return [journal.append(b"%08d" % i + b"x" * size, {"i": i}).result(10) for i in range(n)]


def bodies(journal, after: int = 0) -> list[bytes]:
    return [frame.body for frame in journal.read(after, ALL)]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.log"))


def test_frames_come_back_in_order_with_their_meta(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        assert fill(journal, 5) == [1, 2, 3, 4, 5]
        assert journal.last == 5
        assert [(f.number, f.meta) for f in journal.read(2, ALL)] == [(3, {"i": 2}), (4, {"i": 3}), (5, {"i": 4})]
        in_memory = journal.read(0, ALL)
    with Journal(folder, KEY) as journal:
        assert journal.read(0, ALL) == in_memory


def test_reading_keeps_to_the_limit_but_always_moves_on(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 6, size=92)
        for _ in range(2):
            assert [f.number for f in journal.read(0, 250)] == [1, 2]
            assert [f.number for f in journal.read(2, 1)] == [3]
            assert journal.read(6, 100) == []
            journal._recent.clear()  # the second time from disk


def test_many_threads_get_every_number_once(folder: Path) -> None:
    numbers: list[int] = []

    def call() -> None:
        got = [journal.append(b"x", {}).result(20) for _ in range(50)]
        assert got == sorted(got)
        numbers.extend(got)

    with Journal(folder, KEY) as journal:
        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 401))
        assert len(bodies(journal)) == 400


def test_what_waits_together_is_one_block(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        with journal._pen:
            told = [journal.append(b"%d" % i, {}) for i in range(100)]
        wait(told)
        assert journal._segments[-1].end.block <= 2
        assert [future.result() for future in told] == list(range(1, 101))


def test_numbers_go_on_after_a_restart_and_after_forgetting_everything(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 3)
    with Journal(folder, KEY) as journal:
        assert journal.append(b"x", {}).result(10) == 4
        assert journal.forget(4, roll=True) == 2
        assert (journal.first, journal.last, bodies(journal)) == (5, 4, [])
    with Journal(folder, KEY, at_least=4) as journal:
        assert journal.append(b"y", {}).result(10) == 5
        assert bodies(journal) == [b"y"]
    assert files(folder) == ["00000000000000000005.log"]


def test_a_restart_without_events_leaves_no_file(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 1)
    for _ in range(3):
        Journal(folder, KEY).close()
    assert len(files(folder)) == 1


def test_forgetting_removes_whole_files_and_never_what_is_still_needed(folder: Path) -> None:
    with Journal(folder, KEY, segment_bytes=10_000) as journal:
        fill(journal, 60, size=1000)
        assert len(files(folder)) > 5
        journal.forget(30)
        assert journal.first <= 31
        assert [f.number for f in journal.read(30, ALL)] == list(range(31, 61))
        assert journal.forget(60) > 0
        assert journal.first <= journal.last == 60
    with Journal(folder, KEY, at_least=60) as journal:
        assert journal.last == 60


def test_a_forgotten_file_has_lost_its_key_before_it_is_removed(folder: Path, monkeypatch) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 3)
        path = journal._segments[0].path
        os.link(path, folder / "kept-by-somebody")
        journal.forget(3, roll=True)
    (folder / "kept-by-somebody").rename(path)
    with Journal(folder, KEY) as journal:
        assert (journal.last, bodies(journal)) == (3, [])
        assert not path.exists(), "what was forgotten by half is forgotten"


def test_nothing_readable_is_on_disk_and_only_this_user_may_look(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        journal.append(b"ada@example.org", {"ip": "192.0.2.7"}).result(10)
    for path in folder.iterdir():
        assert b"example" not in path.read_bytes()
        assert b"192.0.2" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_another_master_key_is_told_as_that(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 1)
    with pytest.raises(Damaged, match="another master key"):
        Journal(folder, MasterKey(bytes(32), "file"))


def test_a_second_writer_is_told_that_there_is_one(folder: Path) -> None:
    with Journal(folder, KEY), pytest.raises(Busy, match="taking in events"):
        Journal(folder, KEY)
    Journal(folder, KEY).close()


def test_others_may_look_while_one_writes(folder: Path) -> None:
    with Journal(folder, KEY, segment_bytes=5_000) as journal:
        assert (Journal.look(folder, KEY).first, Journal.look(folder, KEY).last) == (1, 0)
        fill(journal, 20, size=1000)
        code = (
            "import sys; from pathlib import Path; from kohort.store.journal import Journal;"
            "from kohort.store.keys import MasterKey;"
            "j = Journal.look(Path(sys.argv[1]), MasterKey(bytes(range(32)), 'file'));"
            "print(j.first, j.last, len(j.read(5, 1 << 40)), j.backlog_bytes(20), j.backlog_bytes(0) > 20000)"
        )
        said = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
        assert said.stdout.split() == ["1", "20", "15", "0", "True"]


def test_backlog_is_zero_when_all_is_read_and_never_too_small(folder: Path) -> None:
    with Journal(folder, KEY, segment_bytes=1 << 20) as journal:
        assert journal.backlog_bytes(0) == 0
        fill(journal, 100, size=50_000)
        for after in (0, 1, 50, 99, 100):
            rest = (100 - after) * 50_008
            assert rest <= journal.backlog_bytes(after) <= (rest and rest + 320_000)


def test_waiting_ends_with_a_frame_the_time_or_the_journal(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        assert not journal.wait(0, 0.01)
        threading.Timer(0.05, lambda: journal.append(b"x", {})).start()
        assert journal.wait(0, 10)
        assert journal.wait(0, 0)
        threading.Timer(0.05, journal.close).start()
        assert not journal.wait(1, 10)


def test_closing_writes_what_waits_and_is_final(folder: Path) -> None:
    journal = Journal(folder, KEY)
    told = [journal.append(b"x", {}) for _ in range(100)]
    journal.close()
    journal.close()
    assert [future.result(0) for future in told] == list(range(1, 101))
    with pytest.raises(WrongUsage):
        journal.append(b"x", {})
    assert Journal.look(folder, KEY).last == 100


def test_a_withdrawn_request_is_not_written(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        with journal._pen:
            first = journal.append(b"goes", {})
            while not first.running():
                pass
            second, third = journal.append(b"withdrawn", {}), journal.append(b"goes too", {})
            assert second.cancel()
        assert (first.result(10), third.result(10)) == (1, 2)
        assert bodies(journal) == [b"goes", b"goes too"]


def test_too_much_is_refused_before_memory_is_full(folder: Path, monkeypatch) -> None:
    with Journal(folder, KEY, waiting_bytes=1000) as journal:
        with journal._pen:
            first = journal.append(b"x" * 900, {})
            while not first.running():
                pass
            journal.append(b"x" * 900, {})
            with pytest.raises(Busy):
                journal.append(b"x" * 900, {})
        monkeypatch.setattr(journal_module, "_LARGEST_BODY", 10)
        with pytest.raises(TooLarge):
            journal.append(b"x" * 11, {})


@pytest.mark.parametrize("confirmed", [0, 3])
def test_after_an_error_nothing_is_confirmed_and_a_new_file_is_begun(folder: Path, monkeypatch, confirmed: int) -> None:
    flush, flushed = os.fdatasync, []

    def fails(fd: int) -> None:
        flushed.append(fd)
        raise OSError(5, "Input/output error")

    with Journal(folder, KEY) as journal:
        fill(journal, confirmed)
        monkeypatch.setattr(os, "fdatasync", fails)
        for _ in range(2):
            with pytest.raises(CannotWrite, match="EIO") as caught:
                journal.append(b"lost", {}).result(10)
            assert (caught.value.code, caught.value.retry) == ("cannot_write", True)
        assert journal.last == confirmed
        assert bodies(journal) == [b"%08d" % i + b"x" * 20 for i in range(confirmed)]
        monkeypatch.setattr(os, "fdatasync", flush)
        assert journal.append(b"kept", {}).result(10) == confirmed + 1
        journal._recent.clear()
        assert bodies(journal)[confirmed:] == [b"kept"]
    with Journal(folder, KEY, at_least=confirmed + 1) as journal:
        assert bodies(journal)[confirmed:] == [b"kept"]
        assert journal.check() == []


def test_whole_but_unconfirmed_blocks_are_written_again_before_they_count(folder: Path, monkeypatch) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 2)
        monkeypatch.setattr(Segment, "_put_mark", lambda *_: None)
        fill(journal, 1)
        monkeypatch.undo()
    written = []
    put = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: written.append(len(data)) or put(fd, data, at))
    with Journal(folder, KEY) as journal:
        assert journal.last == 3
    assert len(written) == 2, "the block, then the mark"
    written.clear()
    Journal(folder, KEY).close()
    assert written == []


def test_a_torn_tail_is_dropped_without_a_word(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 4)
    path = folder / files(folder)[0]
    sound = path.read_bytes()
    for rest in (b"\0" * 100, b"KBLK" + bytes(5000), os.urandom(300)):
        path.write_bytes(sound + rest)
        with Journal(folder, KEY) as journal:
            assert journal.last == 4
        assert path.read_bytes() == sound


def test_a_confirmed_tail_that_is_gone_is_told(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 4)
    path = folder / files(folder)[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged, match="confirmed"):
        Journal(folder, KEY)


def test_missing_files_are_told(folder: Path) -> None:
    with Journal(folder, KEY, segment_bytes=5_000) as journal:
        fill(journal, 20, size=1000)
    names = files(folder)
    for gone, said in ((names[2], "before it is missing"), (names[-1], "newest file"), (names[0], "were dealt with")):
        (folder / gone).rename(folder / "aside")
        with pytest.raises(Damaged, match=said):
            Journal(folder, KEY, at_least=0)
        (folder / "aside").rename(folder / gone)
    for position in (21, -1):
        with pytest.raises(Damaged, match="dealt with"):
            Journal(folder, KEY, at_least=position)
    with Journal(folder, KEY, at_least=0) as journal:
        assert len(bodies(journal)) == 20


def test_blocks_do_not_open_in_another_place(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 3)
        first, second = (journal._segments[0].path, journal._segments[0].end.offset - 4096)
    size = second // 3
    data = bytearray(first.read_bytes())
    one, two = bytes(data[4096 : 4096 + size]), bytes(data[4096 + size : 4096 + 2 * size])
    for swapped in (two + one, one + one, two + two):
        data[4096 : 4096 + 2 * size] = swapped
        first.write_bytes(data)
        with pytest.raises(Damaged):
            Journal(folder, KEY)


def test_check_names_the_damaged_file(folder: Path) -> None:
    with Journal(folder, KEY, segment_bytes=5_000) as journal:
        fill(journal, 20, size=1000)
    path = folder / files(folder)[1]
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with Journal(folder, KEY) as journal:
        assert len(journal.check()) == 1
        assert path.name in journal.check()[0]
        with pytest.raises(Damaged):
            journal.read(0, ALL)
        assert journal.append(b"x", {}).result(10) == 21, "taking in goes on"


def test_a_journal_beyond_repair_can_be_set_aside_and_numbers_go_on(folder: Path) -> None:
    with Journal(folder, KEY) as journal:
        fill(journal, 9)
        with pytest.raises(Busy):
            set_aside(folder, KEY, after=7)
    broken = (folder / files(folder)[0]).read_bytes()[:-1]
    (folder / files(folder)[0]).write_bytes(broken)
    for n in (1, 2):
        aside = set_aside(folder, KEY, after=7)
        assert aside.name == f"journal.damaged-{n}"
        with Journal(folder, KEY, at_least=7) as journal:
            assert (journal.first, journal.last) == (8, 7)
            assert journal.append(b"new", {}).result(10) == 8
    assert (folder.with_name("journal.damaged-1") / "00000000000000000001.log").read_bytes() == broken


def test_an_error_while_opening_leaves_nobody_locked_out(folder: Path, monkeypatch) -> None:
    def fails(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(CannotWrite):
        Journal(folder, KEY)
    monkeypatch.undo()
    with Journal(folder, KEY) as journal:
        assert fill(journal, 1) == [1]
