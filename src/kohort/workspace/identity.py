"""`ws.identity`: which ids are one customer, decided by runs and by people, and taken back."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kohort.errors import NeedsAnswer, NotEnough, NotFound, UnknownCustomer, WrongUsage
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.workspace.people import company_numbers, customer_keys
from kohort.workspace.reasons import checked_reason, whole

if TYPE_CHECKING:
    from kohort.store.merges import Decision, Pair
    from kohort.workspace.workspace import Workspace

KINDS = ("email", "phone", "name", "address")
MOST_SHOWN = 100


class IdentityDoor:
    """Merges, splits, questions and their log, for every door. Numbers are the company's customer numbers, or short codes."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    # -- runs ------------------------------------------------------------------------------------------------------

    def run(
        self,
        *,
        dry_run: bool = False,
        region: str = "NL",
        threshold: float | None = None,
        by_likeness: bool = True,
        by: str | None = None,
        progress: Progress = silent,
    ) -> dict[str, Any]:
        """Compare everybody of whom the vault holds something, join those who are one customer, and ask about the rest.

        Args:
            dry_run: Say what would be done and do nothing.
            region: Two letters of the country whose telephone numbers need no prefix.
            threshold: The probability from which likely pairs are joined; None = `kohort.identity.matching.match`.
            by_likeness: False = equal addresses and telephone numbers only.
            by: Who decides this; the user of this machine where not given.
            progress: Told the step.

        Returns:
            `{"run", "dry_run", "persons", "merged", "how": {way: n}, "to_review", "blocked": {kind: n}, "kept_apart",
            "threshold", "expected", "merges": [pair], "seconds"}`; `run` is None where nothing was decided, of `merges` at most
            the first 100 are shown.

        Raises:
            NotEnough: Nothing is known of anybody that could be compared.
            MissingExtra: The extra `identity` is not installed.
        """
        from kohort.identity.matching import how_many, match
        from kohort.identity.persons import known
        from kohort.identity.seen import first_seen
        from kohort.model.links import roots
        from kohort.store.vault_reading import identifiers

        begun, store = time.monotonic(), self._ws.store
        progress("Opening identifiers", 0, 3)
        people = known(identifiers(store.vault, KINDS), region=region)
        if len(people) < 2:
            raise NotEnough(
                "Nothing is known of two customers that could be compared.",
                hint="Bring in a file with e-mail addresses, telephone numbers, names or addresses.",
            )
        progress("Comparing", 1, 3)
        first = first_seen(store, people)
        found = match(
            people,
            roots(store.links.now()),
            store.merges.apart(),
            rank=lambda id_: (first.get(id_, 2**63), id_),
            region=region,
            by_likeness=by_likeness,
            threshold=threshold,
        )
        del people
        progress("Deciding", 2, 3)
        run, merges, asked = None, found.merges, len(found.questions)
        if not dry_run and (merges or found.questions or store.merges.questions()):
            run = store.merges.begin_run()
            made, asked = store.merges.publish(
                merges, found.questions, ts=self._since(), by=by or _user(), at=_now(), run=run
            )
            merges = [decision.pair for decision in made]
        progress("Decided", 3, 3)
        return {
            "run": run,
            "dry_run": dry_run,
            "persons": found.persons,
            "merged": len(merges),
            "how": how_many(merges),
            "to_review": asked,
            "blocked": found.blocked,
            "kept_apart": found.kept_apart,
            "threshold": found.threshold,
            "expected": None
            if found.expected is None
            else {"precision": found.expected[0], "recall": found.expected[1]},
            "merges": self._pairs(merges[:MOST_SHOWN]),
            "seconds": round(time.monotonic() - begun, 2),
        }

    def undo(self, run: int, *, reason: str = "", by: str | None = None) -> dict[str, Any]:
        """Take back every merge of a run that still stands: `{"run", "taken_back"}`. Answers given by people stay.

        Raises:
            NotFound: There was no such run.
        """
        undone = self._ws.store.merges.undo(
            run, by=by or _user(), at=_now(), reason=checked_reason(self._ws.store.vault, reason, ())
        )
        return {"run": run, "taken_back": len(undone)}

    def evaluate(self, truth: Mapping[str, str]) -> dict[str, Any]:
        """How right it is who is one customer now, where the truth is known.

        Args:
            truth: Customer number → who that really is, any text; of others nothing is measured.

        Returns:
            `{"pairs": {"precision", "recall", "f1"}, "clusters", "customers", "unknown", "seconds"}`: `clusters` is how many the
            listed customers are now, `unknown` how many numbers nobody has.

        Raises:
            NotEnough: No two of the numbers are known.
        """
        import numpy as np

        from kohort.identity.measure import pairwise
        from kohort.model.links import roots

        begun, store = time.monotonic(), self._ws.store
        keys = store.vault.known(list(truth))
        known = keys != 0
        if known.sum() < 2:
            raise NotEnough(
                "No two of these customer numbers are known here.", hint="Write them as they stand in your files."
            )
        group = roots(store.links.now()).of(keys[known])
        real = [person for person, there in zip(truth.values(), known.tolist(), strict=True) if there]
        return {
            "pairs": pairwise(group, real),
            "clusters": len(np.unique(group)),
            "customers": int(known.sum()),
            "unknown": int((~known).sum()),
            "seconds": round(time.monotonic() - begun, 2),
        }

    # -- the uncertain middle --------------------------------------------------------------------------------------

    def questions(self, limit: int = 20) -> dict[str, Any]:
        """Pairs that wait for a person, the most uncertain first: `{"open", "questions": [{"number", …pair}]}`."""
        waiting = self._ws.store.merges.questions()
        shown = waiting[:limit]
        pairs = self._pairs([question.pair for question in shown])
        return {
            "open": len(waiting),
            "questions": [{"number": q.number, **pair} for q, pair in zip(shown, pairs, strict=True)],
        }

    def answer(
        self, accept: Sequence[int] = (), reject: Sequence[int] = (), *, reason: str = "", by: str | None = None
    ) -> dict[str, Any]:
        """Say of questions whether the two are one customer: `{"accepted", "rejected", "open"}`.

        Raises:
            WrongUsage: A number is both accepted and rejected.
            NotFound: A question is not open; none is answered then.
        """
        merges = self._ws.store.merges
        if both := set(accept) & set(reject):
            raise WrongUsage(f"Question {min(both)} is both accepted and rejected.")
        waiting = {question.number: question.pair for question in merges.questions()}
        for number in (*accept, *reject):
            if number not in waiting:
                raise NotFound("open question", str(number), hint="See: kohort identity review")
        whom = [id_ for number in (*accept, *reject) for id_ in (waiting[number].keep, waiting[number].other)]
        text, who, at, since = checked_reason(self._ws.store.vault, reason, whom), by or _user(), _now(), self._since()
        answered = {"accepted": dict.fromkeys(accept), "rejected": dict.fromkeys(reject)}
        for what, numbers in answered.items():
            for number in numbers:
                merges.answer(number, what == "accepted", ts=since, by=who, at=at, reason=text)
        return {**{what: len(numbers) for what, numbers in answered.items()}, "open": len(merges.questions())}

    # -- by hand ---------------------------------------------------------------------------------------------------

    def merge(self, keep: str, other: str, *, reason: str = "", by: str | None = None) -> dict[str, Any]:
        """Say that two are one customer: `{"changed", "customer_id", "merge"}`. `keep` stays; where she leads to somebody, who
        does. The merge's number takes it back.

        Raises:
            UnknownCustomer: A number is nobody's.
            WrongUsage: It is one number twice, or the reason tells who they are.
        """
        from kohort.store.merges import Pair

        one, two = customer_keys(self._ws.store.vault, [keep, other])
        if one == two:
            raise WrongUsage("That is one customer already: the same number twice.")
        made = self._ws.store.merges.merge(
            [Pair(one, two, "by hand")],
            ts=self._since(),
            by=by or _user(),
            at=_now(),
            reason=checked_reason(self._ws.store.vault, reason, (one, two)),
        )
        root = self._ws.store.meant(one)
        return {
            "changed": bool(made),
            "customer_id": self._numbers([root])[0],
            "merge": made[0].number if made else None,
        }

    def split(
        self, one: str, other: str, *, merge: int | None = None, reason: str = "", by: str | None = None
    ) -> dict[str, Any]:
        """Take back the merge that makes two one customer: `{"taken_back", "customers": [number, number]}`. What else was merged
        stays, and no run joins the two again.

        Args:
            merge: Which merge, where several lie between them.

        Raises:
            WrongUsage: They are not one customer, or events say that they are.
            NeedsAnswer: Several merges lie between them.
        """
        store = self._ws.store
        keys = customer_keys(store.vault, [one, other])
        numbers = store.merges.parting(*keys)
        if merge is not None and merge not in numbers:
            raise WrongUsage(
                "This merge does not lie between the two.", hint=f"These do: {', '.join(map(str, numbers))}."
            )
        if merge is None and len(numbers) > 1:
            raise NeedsAnswer(
                f"{len(numbers)} merges lie between these two: {', '.join(map(str, numbers))}.",
                ["Which one was wrong?"],
                hint=f"See kohort identity log, then add for example: --merge {numbers[0]}",
            )
        number = numbers[0] if merge is None else merge
        store.merges.split(
            number, by=by or _user(), at=_now(), reason=checked_reason(self._ws.store.vault, reason, keys)
        )
        roots = [store.meant(key) for key in keys]
        return {"taken_back": number, "customers": self._numbers(roots)}

    # -- looking ---------------------------------------------------------------------------------------------------

    def log(self, number: str | None = None) -> dict[str, Any]:
        """Every decision, oldest first; of one customer, with all ids that are hers now or were meant, where a number is given:
        `{"decisions": [{"number", "what", …pair, "stands", "run", "ends", "since", "reason", "by", "at"}]}`.
        """
        ids = None if number is None else set(self._ids(self._key(number)))
        return {"decisions": self._decisions(self._ws.store.merges.log(ids))}

    def show(self, number: str) -> dict[str, Any]:
        """One customer: the ids that are hers and why, kinds of identifiers (never their values), decisions, and her profile.

        Returns:
            `{"customer_id", "ids": [{"customer_id", "visitor", "since", "why"}], "identities": {kind: n}, "decisions",
            "profile"}`; `why` is "herself", "merge" or "said by events".

        Raises:
            UnknownCustomer: The number is nobody's.
        """
        from kohort.model.links import roots
        from kohort.trust import access
        from kohort.workspace.people import short_code
        from kohort.workspace.profile import ProfileDoor

        store = self._ws.store
        ids = self._ids(self._key(number))
        meant, decisions = roots(store.links.now()), store.merges.log(ids)
        merged = {id_ for d in decisions if d.stands for id_ in (d.pair.keep, d.pair.other)}
        since = dict(zip(meant.led.tolist(), meant.since.tolist(), strict=True))
        why = ["herself", *("merge" if id_ in merged else "said by events" for id_ in ids[1:])]
        kinds = access.identities(store, ids)
        return {
            "customer_id": self._numbers(ids[:1])[0],
            "ids": [
                {"customer_id": n, "visitor": id_ < 0, "since": iso(since[id_]) if id_ in since else None, "why": w}
                for id_, n, w in zip(ids, self._numbers(ids), why, strict=True)
            ],
            "identities": {kind: len(values) for kind, values in kinds.items()},
            "decisions": self._decisions(decisions),
            "profile": ProfileDoor(self._ws).of(short_code(ids[0])),
        }

    def search(self, text: str) -> dict[str, Any]:
        """Who has exactly this number, e-mail address, telephone number, anonymous id, name or address:
        `{"customers": [{"customer_id", "by": [kind]}]}`. What was looked for is not repeated.

        Raises:
            WrongUsage: The text is empty.
        """
        text = whole(text).strip()
        if not text:
            raise WrongUsage("Say what to look for.", hint="A customer number, an e-mail address, a telephone number.")
        store = self._ws.store
        found: dict[int, list[str]] = {}
        with suppress(UnknownCustomer):
            found[store.meant(self._key(text))] = ["customer_id"]
        visitor = int(store.vault.known_visitors([text])[0])
        others = [("anonymous_id", visitor or None), *((kind, store.vault.find(kind, text)) for kind in KINDS)]
        for kind, key in others:
            if key is not None:
                found.setdefault(store.meant(key), []).append(kind)
        numbers = self._numbers(list(found))
        return {"customers": [{"customer_id": n, "by": by} for n, by in zip(numbers, found.values(), strict=True)]}

    # -- parts -----------------------------------------------------------------------------------------------------

    def _key(self, number: str) -> int:
        return customer_keys(self._ws.store.vault, [number])[0]

    def _ids(self, key: int) -> list[int]:
        from kohort.trust import access

        return access.ids_of(self._ws.store, key)

    def _numbers(self, keys: Sequence[int]) -> list[str]:
        return company_numbers(self._ws.store.vault, keys)

    def _pairs(self, pairs: Iterable[Pair]) -> list[dict[str, Any]]:
        listed = list(pairs)
        numbers = iter(self._numbers([id_ for pair in listed for id_ in (pair.keep, pair.other)]))
        return [
            {
                "keep": next(numbers),
                "other": next(numbers),
                "how": pair.how,
                "score": pair.score,
                "evidence": [{"field": f.field, "says": f.says, "weight": f.weight} for f in pair.evidence],
            }
            for pair in listed
        ]

    def _decisions(self, decisions: Sequence[Decision]) -> list[dict[str, Any]]:
        pairs = self._pairs([decision.pair for decision in decisions])
        return [
            {
                "number": d.number,
                "what": d.what,
                **pair,
                "stands": d.stands,
                "run": d.run or None,
                "ends": d.ends or None,
                "since": iso(d.ts) if d.what == "merge" else None,
                "reason": d.reason,
                "by": d.by,
                "at": iso(d.at),
            }
            for d, pair in zip(decisions, pairs, strict=True)
        ]

    def _since(self) -> int:
        """Since when a merge of today is true: not before what is known, and so that the latest members see it."""
        try:
            return min(self._ws.as_of(), _now())
        except NotEnough:
            return _now()


def _now() -> int:
    return time.time_ns() // 1_000


def _user() -> str:
    """Who works on this machine, for the record of decisions."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
