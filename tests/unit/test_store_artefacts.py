"""Saved models: whole or absent, checked when read, and never outside their folder."""

import json
from pathlib import Path

import pytest

from kohort.errors import Damaged, NotFound, UnsafePath, WrongUsage
from kohort.store.artefacts import Artefacts


@pytest.fixture
def saved(tmp_path: Path) -> Artefacts:
    artefacts = Artefacts(tmp_path)
    artefacts.save("tree", "v1", {"a.bin": b"\x00\x01", "b.json": b"{}"}, {"seed": 3, "text": "ä"})
    return artefacts


def test_what_was_saved_comes_back(saved: Artefacts) -> None:
    assert saved.load("tree", "v1") == ({"a.bin": b"\x00\x01", "b.json": b"{}"}, {"seed": 3, "text": "ä"})
    assert (saved.kinds(), saved.ids("tree"), saved.ids("other")) == (["tree"], ["v1"], [])


def test_a_version_never_changes(saved: Artefacts) -> None:
    saved.save("tree", "v1", {"b.json": b"{}", "a.bin": b"\x00\x01"}, {"text": "ä", "seed": 3})
    with pytest.raises(WrongUsage):
        saved.save("tree", "v1", {"a.bin": b"other"}, {})
    saved.delete("tree", "v1")
    saved.delete("tree", "v1")
    with pytest.raises(NotFound):
        saved.load("tree", "v1")


def test_a_wrong_name_is_answered_with_the_nearest(saved: Artefacts) -> None:
    with pytest.raises(NotFound, match="v1"):
        saved.load("tree", "v1a")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a..b", "x" * 200, "a\0"])
def test_names_cannot_leave_the_folder(saved: Artefacts, name: str) -> None:
    for call in (
        lambda: saved.load("tree", name),
        lambda: saved.load(name, "v1"),
        lambda: saved.save("tree", "v9", {name: b""}, {}),
    ):
        with pytest.raises(UnsafePath):
            call()
    assert saved.ids("tree") == ["v1"], "a refused version leaves nothing behind"


def test_a_manifest_cannot_point_elsewhere(saved: Artefacts, tmp_path: Path) -> None:
    path = saved.root / "tree" / "v1" / "manifest.json"
    document = json.loads(path.read_text())
    document["files"] = {"../../secret": "0"}
    path.write_text(json.dumps(document))
    with pytest.raises(Damaged):
        saved.load("tree", "v1")


@pytest.mark.parametrize("file", ["a.bin", "manifest.json"])
@pytest.mark.parametrize("harm", [lambda d: d[:-1], lambda d: b"", lambda d: bytes([d[0] ^ 1]) + d[1:]])
def test_damage_is_told(saved: Artefacts, file: str, harm) -> None:
    path = saved.root / "tree" / "v1" / file
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(Damaged):
        saved.load("tree", "v1")


def test_a_missing_file_is_told(saved: Artefacts) -> None:
    (saved.root / "tree" / "v1" / "a.bin").unlink()
    with pytest.raises(Damaged):
        saved.load("tree", "v1")
