"""`ws.privacy`: what people may ask about their data."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kohort.errors import BadInput, UnknownCustomer, WrongUsage
from kohort.model.progress import Progress, silent
from kohort.workspace.people import check_numbers, customer_keys, short_code
from kohort.workspace.reasons import whole

if TYPE_CHECKING:
    from kohort.model.limits import Limit
    from kohort.trust.erasure import Eraser
    from kohort.trust.retention import Clocks
    from kohort.trust.scan import Scan
    from kohort.workspace.privacy_cases import CaseDoor
    from kohort.workspace.privacy_records import RecordsDoor
    from kohort.workspace.profile import ProfileDoor
    from kohort.workspace.workspace import Workspace


class PrivacyDoor:
    """Requests of persons, for every door."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    @cached_property
    def cases(self) -> CaseDoor:
        """Who asked what, by when she has to have an answer, and what became of it."""
        from kohort.workspace.privacy_cases import CaseDoor

        return CaseDoor(self._ws)

    @cached_property
    def records(self) -> RecordsDoor:
        """What is kept of people, what for, who is told, for how long; and who agreed to it."""
        from kohort.workspace.privacy_records import RecordsDoor

        return RecordsDoor(self._ws)

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
        wanted = _listed(numbers)
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

    def write_ledger(self, path: str | Path) -> dict[str, Any]:
        """Writes who is erased, as keyed tokens that tell nobody: what a restored back-up is held against by `replay`. Keep it where
        back-ups are not. Answers `{"ids", "last_at", "written_at", "digest"}`.

        Raises:
            BadInput: The file cannot be written.
        """
        from kohort.trust.replay import write_ledger

        return write_ledger(self._ws.store, Path(path), now=time.time_ns() // 1_000)

    def replay(self, path: str | Path, *, progress: Progress = silent) -> dict[str, Any]:
        """After a back-up was restored: erases whoever the ledger says is erased. Answers `{"ids", "people", "request"}`.

        Raises:
            BadInput: The file is no ledger, or was changed.
            Busy: A run has been going on for ten minutes.
        """
        from kohort.trust.replay import replay

        return replay(self._ws.store, Path(path), self._eraser(progress))

    def rotate_key(self) -> dict[str, int | str]:
        """Seals everything that the master key seals with a new one and destroys the old one. Interrupted, it is gone on with by whoever
        opens the workspace next. Answers `{"people", "files", "key"}`.

        Raises:
            Busy: A server takes in events.
            WrongUsage: The environment holds the key, and no new one.
        """
        from kohort.store.rotating import rotate

        return rotate(self._ws.store)

    def scan(self, texts: Sequence[str] = (), pseudonyms: Sequence[int] = ()) -> Scan:
        """Looks for identifiers and pseudonyms in every file of the workspace; see `kohort.trust.scan`."""
        from kohort.trust.scan import scan

        return scan(self._ws.store, texts, pseudonyms)

    def export(self, number: str) -> dict[str, Any]:
        """Everything that is kept about a customer, as plain values: what she may see, and take along.

        Args:
            number: The company's customer number, or the short code shown in its place.

        Returns:
            `{"company", "as_of", "identities", "segments", "history", "by_hand", "feedback", "merges", "corrections", "features",
            "next_change", "consent", "limits", "recipients", "events", "rejected", "sources"}`: `segments` with `since` and `because`,
            `history` all stays there ever were, `merges` what was decided about which records are hers,
            `corrections` what was rectified, `recipients` what
            was told about her to whom, `events` with everything they say, in order.

        Raises:
            UnknownCustomer: The number is nobody's.
        """
        from kohort.definitions.triggers import is_hidden
        from kohort.model.clock import iso
        from kohort.trust import access, limits
        from kohort.trust.consent import ledger
        from kohort.trust.rectify import corrections

        ws = self._ws
        store, config = ws.store, ws.config
        (key,) = customer_keys(store.vault, [number])
        ids = access.ids_of(store, key)
        profile = self._profiles.of(short_code(ids[0]))
        known = access.identities(store, ids)
        names = [name for name in store.members.names() if not is_hidden(name)]
        told = access.events(store, ids, config.currency)
        return {
            "company": config.name,
            "as_of": iso(max(ws.as_of(), store.ticks.position().as_of)),
            "identities": known,
            "segments": profile["segments"],
            "history": access.history(store, ids[0], names),
            "by_hand": access.by_hand(store, ids, names),
            "feedback": access.feedback(store, ids),
            "merges": access.merges(store, ids),
            "corrections": corrections(store, ids),
            "features": profile["features"],
            "next_change": profile["next_change"],
            "consent": ledger(store, ids, time.time_ns() // 1_000, config.consent),
            "limits": limits.ledger(store, ids),
            "recipients": access.recipients(store, ids),
            "events": told,
            "rejected": access.rejected(store, known, self._id_columns()),
            "sources": sorted({event["source"] for event in told if event["source"]}),
        }

    def consent(self, number: str) -> dict[str, Any]:
        """What a customer said about each purpose, with every id of hers, and what holds now.

        Args:
            number: The company's customer number, or the short code shown in its place.

        Returns:
            `{"as_of", "consent": [{"purpose", "agreed", "statements": [{"at", "agreed", "source", "proof"}]}], "limits":
            [{"limit", "holds", "statements": [{"at", "holds", "source", "proof"}]}]}`.

        Raises:
            UnknownCustomer: The number is nobody's.
        """
        from kohort.model.clock import iso
        from kohort.trust import access, limits
        from kohort.trust.consent import ledger

        store = self._ws.store
        (key,) = customer_keys(store.vault, [number])
        now, ids = time.time_ns() // 1_000, access.ids_of(store, key)
        consent = ledger(store, ids, now, self._ws.config.consent)
        return {"as_of": iso(now), "consent": consent, "limits": limits.ledger(store, ids)}

    def record_consent(
        self, number: str, purpose: str, agreed: bool, *, source: str, proof: str = "", at: int | None = None
    ) -> dict[str, Any]:
        """Writes down that a customer agreed to a purpose, or refused it; the next run or tick follows it.

        Args:
            number: As for `consent`.
            purpose: One of those below `consent:` in kohort.yaml. A channel with a consent of its own is a purpose of its own.
            source: Where she said it.
            proof: Where that can be seen.
            at: When she said it, microseconds UTC; None = now.

        Returns:
            As `consent`, and `new`: False where the same was written down before.

        Raises:
            NotFound: There is no such purpose.
            UnknownCustomer: The number is nobody's.
            WrongUsage: No source, or a moment to come.
        """
        from kohort.trust.consent import record, trait_of
        from kohort.trust.statements import stated

        ws = self._ws
        trait = trait_of(ws.config.consent, purpose)
        (key,) = customer_keys(ws.store.vault, [number])
        now = time.time_ns() // 1_000
        said = stated(agreed, source=source, proof=proof, at=at, now=now)
        new = record(ws.store, key, trait, said, zone=ws.zone)
        return {"new": new, **self.consent(number)}

    def rectify(
        self,
        number: str,
        kind: str,
        *,
        wrong: str = "",
        right: str = "",
        source: str = "",
        proof: str = "",
        at: int | None = None,
    ) -> dict[str, Any]:
        """Puts a right identifier in the place of a wrong one. What was wrong goes, and does not come back with the files it came from.

        Args:
            number: The company's customer number, or the short code shown in its place.
            kind: "email", "phone", "name" or "address".
            wrong: The value that goes; empty = one is missing only.
            right: The value that is kept; empty = there is none.
            source, proof: Where it was said, and where that can be seen.
            at: When it was said, microseconds UTC; None = now.

        Returns:
            `{"request", "kind", "people", "struck", "added", "recipients", "remaining", "asked_at"}`; it names nobody.

        Raises:
            UnknownCustomer: The number is nobody's.
            NotFound: She has no such identifier, or there is no such kind.
            WrongUsage: Nothing is said, or the same twice.
        """
        from kohort.trust.rectify import rectify
        from kohort.trust.statements import stated

        store = self._ws.store
        (key,) = customer_keys(store.vault, [number])
        said = stated(True, source=source, proof=proof, at=at, now=time.time_ns() // 1_000)
        return rectify(store, key, kind, wrong=whole(wrong), right=whole(right), said=said)

    def forbid(
        self, limit: Limit, numbers: Sequence[str], *, source: str = "", proof: str = "", at: int | None = None
    ) -> dict[str, Any]:
        """Writes down that customers object to profiling, or that their data may be kept but not used. It holds at once, for
        every id of theirs, until `allow`.

        Args:
            limit: "objection" or "restriction".
            numbers: The company's customer numbers, or the short codes shown in their place.
            source, proof: Where it was said, and where that can be seen.
            at: When it was said, microseconds UTC; None = now.

        Returns:
            `{"request", "limit", "holds", "people", "left", "examples", "model_rows", "recipients", "asked_at"}`: memberships that
            ended, mentions as an example customer and rows in saved models that went, who had been told about them.

        Raises:
            UnknownCustomer: A number is nobody's; nothing was written down.
            WrongUsage: Nobody is given, a text is too long, or a moment to come.
            Busy: A run has been going on for ten minutes.
        """
        from kohort.trust import limits
        from kohort.trust.statements import stated

        said = stated(True, source=source, proof=proof, at=at, now=time.time_ns() // 1_000)
        return limits.forbid(self._ws.store, self._people(numbers), limit, self._ws.config.evaluated, said)

    def allow(
        self, limit: Limit, numbers: Sequence[str], *, source: str = "", proof: str = "", at: int | None = None
    ) -> dict[str, Any]:
        """Takes an objection or a restriction back; the next run or tick places them again. Arguments and answer as `forbid`."""
        from kohort.trust import limits
        from kohort.trust.statements import stated

        said = stated(False, source=source, proof=proof, at=at, now=time.time_ns() // 1_000)
        return limits.allow(self._ws.store, self._people(numbers), limit, said)

    def expiring(self, ahead_us: int = 0) -> dict[str, Any]:
        """What is older than `retention:` in kohort.yaml says; nothing is changed. See `kohort.trust.retention.Clocks.due`.

        Args:
            ahead_us: What will be so many microseconds from now, of what is there today.
        """
        return self._clocks(ahead_us).due()

    def expire(self, *, progress: Progress = silent) -> dict[str, Any]:
        """Deletes it, and answers the receipt; an erasure that was interrupted goes on first. See `kohort.trust.retention.Clocks.apply`.

        Args:
            progress: Told the step.

        Raises:
            WrongUsage: Nothing may be deleted for now, or no period is set.
            Busy: A run has been going on for ten minutes.
        """
        self.finish(progress=progress)
        return self._clocks(progress=progress).apply()

    def _clocks(self, ahead_us: int = 0, progress: Progress = silent) -> Clocks:
        from kohort.trust.retention import Clocks

        ws = self._ws
        now, erase = time.time_ns() // 1_000 + ahead_us, self._eraser(progress).erase
        return Clocks(ws.store, ws.config.retention, now, ws.zone, ws.config.consent, erase, progress)

    def _people(self, numbers: Sequence[str]) -> list[int]:
        return customer_keys(self._ws.store.vault, _listed(numbers))

    def write_export(self, number: str, path: str | Path) -> dict[str, Any]:
        """The same as a file for this user alone: by its ending a page to read (.html), or for programs (.json, or .csv
        with the events only). Answers what `export` does.

        Raises:
            WrongUsage: The ending is another one.
        """
        target = Path(path)
        if target.suffix.lower() not in _WRITERS:
            raise WrongUsage("The file may end in .html, .json or .csv.")
        document = self.export(number)
        text = self.as_text(document, target.suffix.lower())
        try:
            with open(target, "w", encoding="utf-8", newline="", opener=_private) as out:
                out.write(text)
        except OSError as error:
            raise BadInput("The file cannot be written.", place=target.name, hint=error.strerror or "") from error
        return document

    @staticmethod
    def as_text(document: dict[str, Any], ending: str) -> str:
        """An export as the text of a file that ends in ".html", ".json" or ".csv"."""
        return _WRITERS[ending](document)

    @cached_property
    def _profiles(self) -> ProfileDoor:
        from kohort.workspace.profile import ProfileDoor

        return ProfileDoor(self._ws)

    def _id_columns(self) -> dict[str, str]:
        return {m.name: m.columns["customer"] for m in self._ws.config.sources if "customer" in m.columns}

    def _eraser(self, progress: Progress) -> Eraser:
        from kohort.trust.erasure import Eraser

        return Eraser(self._ws.store, self._id_columns(), progress=progress, threads=self._ws.threads)


def _listed(numbers: Sequence[str]) -> list[str]:
    check_numbers(numbers)
    wanted = list(dict.fromkeys(number.strip() for number in numbers if number.strip()))
    if not wanted:
        raise WrongUsage("Say whom it is about.", hint="Give customer numbers, or a file with one a line.")
    return wanted


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


def _page(document: dict[str, Any]) -> str:
    from kohort.views.person import render_person

    return render_person(document)


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _csv(document: dict[str, Any]) -> str:
    """Her events as a table; properties and traits are columns of their own."""
    rows = []
    for event in document["events"]:
        flat = {name: value for name, value in event.items() if not isinstance(value, dict)}
        rows.append(
            flat | {n: v for part in ("properties", "traits") for n, v in event.get(part, {}).items() if n not in flat}
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names or ["at", "event"])
    writer.writeheader()
    # A cell that begins like a formula would be run by a spreadsheet.
    writer.writerows(
        {n: f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t\r" and not _is_number(v) else v for n, v in row.items()}
        for row in rows
    )
    return out.getvalue()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


_WRITERS: dict[str, Callable[[dict[str, Any]], str]] = {".html": _page, ".json": _json, ".csv": _csv}
