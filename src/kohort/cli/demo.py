"""The demo: two years of a real shop, from the bundled files to adopted segments, in a workspace that stays."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kohort.errors import WrongUsage
from kohort.model.progress import Progress
from kohort.workspace.demo import CURRENCY, ZONE, bundled
from kohort.workspace.workspace import DEMO_MARK

if TYPE_CHECKING:
    from kohort.model.segmentation import Segmentation

SHOP = "Online gift shop (demo)"


def make_demo(folder: Path, name: str, *, progress: Progress, with_pages: bool = False) -> tuple[int, Segmentation]:
    """Read the bundled files into a fresh workspace, find segments and adopt them.

    Args:
        folder: Made anew if an earlier demo made it; refused if it holds anything else.
        name: What the adopted segmentation is called.
        with_pages: Also work out what the pages show, so that the first one does not keep anybody waiting.

    Returns:
        Rows read, and what was found.
    """
    import kohort

    _clear(folder)
    with kohort.create(folder, name=SHOP, timezone=ZONE, currency=CURRENCY) as ws:
        (folder / DEMO_MARK).write_text("Made by `kohort demo`, which may replace this folder.\n", encoding="utf-8")
        with bundled() as paths:
            rows = ws.ingest(*paths, progress=progress).read
        found = ws.discover(progress=progress)
        found.adopt(name)
        if with_pages:
            ws.health(progress=progress)
            ws.summary()
        return rows, ws.segmentation(name) or found.segmentation


def _clear(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise WrongUsage(f"{folder.name!r} is not a folder.", hint="Choose another one with --dir.")
    if (folder / DEMO_MARK).is_file():
        shutil.rmtree(folder)
    elif any(folder.iterdir()):
        raise WrongUsage(
            f"The folder {folder.name!r} is not empty and was not made by the demo.",
            hint="Choose another one with --dir.",
        )
