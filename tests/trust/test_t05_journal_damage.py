"""T5, for the journal: one flipped bit or one cut anywhere in its files is reported, or changes nothing that is read.

Nothing but the files is asked: no position is known from elsewhere. The twin reads the same files without their marks.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from kohort.errors import KohortError
from kohort.store.journal import Journal
from kohort.store.journal_segment import Segment
from kohort.store.keys import MasterKey
from kohort.store.mark import Mark

KEY = MasterKey(bytes(32), "file")
FILES = {"oldest": "*1.log", "newest": "*.log", "any": "*.log", "mark": "journal.mark"}
WAYS = ["closed", "killed"]


def answers(folder: Path) -> list:
    with Journal(folder, KEY) as journal:
        return [journal.first, *journal.read(0, 1 << 40)]


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> dict[str, Path]:
    """A journal closed in peace, and one as a killed process leaves it: its last mark not flushed, its last file open."""
    found = {}
    for way in WAYS:
        folder = tmp_path_factory.mktemp(way) / "journal"
        found[way] = folder if way == "closed" else folder.with_name("image")
        with Journal(folder, KEY, segment_bytes=15_000) as journal:
            for i in range(50):
                journal.append(b"%d " % i + bytes(random.Random(i).randbytes(i * 41 % 1500)), {"i": i}).result(10)
            if way == "killed":
                shutil.copytree(folder, found[way])
    return found


def outcomes(sound: Path, kind: str, work: Path, rounds: int) -> Counter:
    """How often damage was detected, harmless, or gave a wrong answer without a word."""
    shutil.copytree(sound, work / "right")
    right, found = answers(work / "right"), Counter()
    assert len(right) == 51
    for number in range(2 * rounds):
        chance = random.Random(f"{kind} {number}")
        folder = work / "hit"
        shutil.copytree(sound, folder)
        paths = sorted(folder.glob(FILES[kind]))
        path = {"newest": paths[-1], "oldest": paths[0]}.get(kind) or chance.choice(paths)
        data = bytearray(path.read_bytes())
        if number % 2:
            data = data[: chance.randrange(len(data))]
        else:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            found["harmless" if answers(folder) == right else "silent"] += 1
        except KohortError:
            found["detected"] += 1
        shutil.rmtree(folder)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("way", WAYS)
def test_damage_is_reported_or_harmless(way: str, kind: str, images, tmp_path: Path) -> None:
    found = outcomes(images[way], kind, tmp_path, 25)
    assert found["silent"] == 0
    assert found["detected"] > 20


@pytest.mark.nightly
@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("way", WAYS)
def test_damage_is_reported_or_harmless_in_volume(way: str, kind: str, images, tmp_path: Path) -> None:
    found = outcomes(images[way], kind, tmp_path, 300)
    assert found["silent"] == 0
    assert found["detected"] > 300


@pytest.mark.slow
def test_twin_without_marks_loses_what_was_confirmed_without_a_word(images, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Segment, "marked", lambda segment: (0, segment.first - 1))
    monkeypatch.setattr(Mark, "read", lambda _: 0)
    assert outcomes(images["closed"], "newest", tmp_path, 25)["silent"] > 10


@pytest.mark.slow
def test_a_position_known_from_elsewhere_tells_what_the_files_alone_cannot(images, tmp_path: Path) -> None:
    """An older copy of the whole folder is sound in itself."""
    shutil.copytree(images["closed"], tmp_path / "old")
    with Journal(tmp_path / "old", KEY) as journal:
        assert journal.last == 50
    with pytest.raises(KohortError, match="dealt with"):
        Journal(tmp_path / "old", KEY, at_least=51)
