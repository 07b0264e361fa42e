"""`ws.privacy`: what people may ask about their data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import BadInput, UnknownCustomer, WrongUsage
from kohort.model.progress import Progress, silent
from kohort.workspace.people import check_numbers, customer_keys

if TYPE_CHECKING:
    from kohort.trust.erasure import Eraser
    from kohort.trust.scan import Scan
    from kohort.workspace.workspace import Workspace


class PrivacyDoor:
    """Requests of persons, for every door."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def erase(self, numbers: Sequence[str], *, progress: Progress = silent) -> dict[str, Any]:
        """Erases customers from everywhere, and answers the receipt. What comes in about them later is refused.

        Args:
            numbers: The company's customer numbers, or the short codes shown in their place. Those that are erased already
                are passed over, so that a list can be given again.
            progress: Told the step.

        Returns:
            `{"request", "people", "already", "stores": {name: n}, "recipients", "remaining", "retrain", "done_at", "digest"}`;
            it names nobody.

        Raises:
            UnknownCustomer: A number is nobody's; nobody was erased.
            Busy: A run has been going on for ten minutes, or others write without a pause. Run it again: it goes on.
        """
        check_numbers(numbers)
        wanted = list(dict.fromkeys(number.strip() for number in numbers if number.strip()))
        if not wanted:
            raise WrongUsage("Say who is to be erased.", hint="Give customer numbers, or a file with one a line.")
        vault, eraser = self._ws.store.vault, self._eraser(progress)
        eraser.finish()
        already = vault.erased_refs(wanted).tolist()
        left = [number for number, gone in zip(wanted, already, strict=True) if not gone]
        try:
            keys = customer_keys(vault, left)
        except UnknownCustomer as error:
            places = [wanted.index(left[position - 1]) + 1 for position in error.positions]
            raise UnknownCustomer(places, len(wanted)) from None
        if not keys:
            return {"request": None, "people": 0, "already": len(wanted), "stores": {}, "done_at": None}
        return {**eraser.erase(keys), "already": len(wanted) - len(left)}

    def finish(self, *, progress: Progress = silent) -> list[dict[str, Any]]:
        """Goes on with erasures that were interrupted; answers their receipts."""
        return self._eraser(progress).finish()

    def requests(self) -> list[dict[str, Any]]:
        """Every request with what became of it, oldest first. Receipts name nobody."""
        from kohort.model.clock import iso

        return [
            {"request": f"{r.kind}-{r.number}", "step": r.step, "asked_at": iso(r.asked_us), **r.receipt}
            for r in self._ws.store.requests.all()
        ]

    def scan(self, texts: Sequence[str] = (), pseudonyms: Sequence[int] = ()) -> Scan:
        """Looks for identifiers and pseudonyms in every file of the workspace; see `kohort.trust.scan`."""
        from kohort.trust.scan import scan

        return scan(self._ws.store, texts, pseudonyms)

    def _eraser(self, progress: Progress) -> Eraser:
        from kohort.trust.erasure import Eraser

        columns = {m.name: m.columns["customer"] for m in self._ws.config.sources if "customer" in m.columns}
        return Eraser(self._ws.store, columns, progress=progress)


def numbers_in(path: str | Path) -> list[str]:
    """Customer numbers of a text file, one a line; blank lines are passed over.

    Raises:
        BadInput: It cannot be read as text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("The list is not UTF-8 text.", place=Path(path).name, hint="Save it as UTF-8.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
