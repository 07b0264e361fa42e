"""Files of models that a command is given. Anybody can have made them, so what they say of themselves is checked before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import Damaged, TooLarge, UnreadableFile

if TYPE_CHECKING:
    from kohort.cli.screen import Screen

LARGEST_BYTES = 64_000_000


def read_model_file(file: str) -> bytes:
    """The content of a file, where it can be a model.

    Raises:
        UnreadableFile: It does not exist.
        TooLarge: No model is as large.
    """
    path = Path(file)
    if not path.is_file():
        raise UnreadableFile("The file of the model does not exist.", place=path.name)
    if path.stat().st_size > LARGEST_BYTES:
        raise TooLarge("The file is too large to be a model.", place=path.name)
    return path.read_bytes()


def report_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a model says of how it was trained and judged.

    Raises:
        Damaged: It says nothing, or does not say from which probability on somebody is told.
    """
    report = about.get("report")
    threshold = report.get("threshold") if isinstance(report, dict) else None
    value = threshold.get("value") if isinstance(threshold, dict) else None
    if not isinstance(report, dict) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise unsaid()
    return report


def shown(page: Callable[[Screen, Mapping[str, Any]], None], report: Mapping[str, Any]) -> Callable[[Screen], None]:
    """A page about what a file says; a file that leaves out what the page is about is refused like any that is not whole."""

    def show(screen: Screen) -> None:
        try:
            page(screen, report)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise unsaid() from error

    return show


def unsaid() -> Damaged:
    """Why a file whose checksum is right is refused all the same."""
    return Damaged("The file of the model does not say how it was judged.", hint="Train the model again.")
