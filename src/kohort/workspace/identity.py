"""`ws.identity`: which ids are one customer, decided by runs and by people, and taken back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.errors import NeedsAnswer, NotEnough, NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.workspace.people import company_numbers, customer_keys, short_code, this_user
from kohort.workspace.reasons import checked_reason

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
            with store.write_lock():
                run, since = store.merges.begin_run(), self._since()
                # Somebody may have been erased while all were compared.
                sure, unsure = (self._known(pairs) for pairs in (merges, found.questions))
                made, asked = store.merges.publish(sure, unsure, ts=since, by=by or this_user(), at=_now(), run=run)
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
            run, by=by or this_user(), at=_now(), reason=checked_reason(self._ws.store.vault, reason, ())
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

    def question(self, after: int | None = None) -> dict[str, Any]:
        """One pair that waits for a person: the most uncertain one, or the next after another; the first again after the last.

        Args:
            after: Number of the question that was passed over.

        Returns:
            `{"open", "place", "question": {"number", "codes": [code, code], …pair}}`; `place` counts from 1, `question` is None
            where nothing waits.
        """
        waiting = self._ws.store.merges.questions()
        numbers = [question.number for question in waiting]
        place = (numbers.index(after) + 1) % len(numbers) if after in numbers else 0
        if not waiting:
            return {"open": 0, "place": 0, "question": None}
        asked = waiting[place]
        codes = [short_code(id_) for id_ in (asked.pair.keep, asked.pair.other)]
        (pair,) = self._pairs([asked.pair])
        return {
            "open": len(waiting),
            "place": place + 1,
            "question": {"number": asked.number, "codes": codes, **pair},
        }

    def answer(
        self, accept: Sequence[int] = (), reject: Sequence[int] = (), *, reason: str = "", by: str | None = None
    ) -> dict[str, Any]:
        """Say of questions whether the two are one customer: `{"accepted", "rejected", "open", "decisions": [number]}`.
        `take_back` takes such a decision back.

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
        text, who, at, since = (
            checked_reason(self._ws.store.vault, reason, whom),
            by or this_user(),
            _now(),
            self._since(),
        )
        answered = {"accepted": dict.fromkeys(accept), "rejected": dict.fromkeys(reject)}
        made = [
            merges.answer(number, what == "accepted", ts=since, by=who, at=at, reason=text)
            for what, numbers in answered.items()
            for number in numbers
        ]
        return {
            **{what: len(numbers) for what, numbers in answered.items()},
            "open": len(merges.questions()),
            "decisions": [decision.number for decision in made if decision is not None],
        }

    def take_back(self, decision: int, *, reason: str = "", by: str | None = None) -> dict[str, Any]:
        """Take an answer back, by the number of its decision: `{"taken_back", "open"}`. What was asked is asked again.

        Raises:
            NotFound: No person decided so, or it was taken back already.
        """
        store = self._ws.store
        whom = [id_ for d in store.merges.log() if d.number == decision for id_ in (d.pair.keep, d.pair.other)]
        text = checked_reason(store.vault, reason, whom)
        store.merges.take_back(decision, by=by or this_user(), at=_now(), reason=text)
        return {"taken_back": decision, "open": len(store.merges.questions())}

    # -- by hand ---------------------------------------------------------------------------------------------------

    def merge(self, keep: str, other: str, *, reason: str = "", by: str | None = None) -> dict[str, Any]:
        """Say that two are one customer: `{"changed", "customer_id", "merge"}`. `keep` stays; where she leads to somebody, who
        does. The merge's number takes it back.

        Raises:
            UnknownCustomer: A number is nobody's.
            WrongUsage: It is one number twice, or the reason tells who they are.
        """
        from kohort.store.merges import BY_HAND, Pair

        store = self._ws.store
        with store.write_lock():  # nobody is erased between looking her up and deciding about her
            one, two = customer_keys(store.vault, [keep, other])
            if one == two:
                raise WrongUsage("That is one customer already: the same number twice.")
            text = checked_reason(store.vault, reason, (one, two))
            pair = Pair(one, two, BY_HAND)
            made = store.merges.merge([pair], ts=self._since(), by=by or this_user(), at=_now(), reason=text)
        return {
            "changed": bool(made),
            "customer_id": self._numbers([store.meant(one)])[0],
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
            number, by=by or this_user(), at=_now(), reason=checked_reason(self._ws.store.vault, reason, keys)
        )
        roots = [store.meant(key) for key in keys]
        return {"taken_back": number, "customers": self._numbers(roots)}

    # -- the log ---------------------------------------------------------------------------------------------------

    def log(self, number: str | None = None) -> dict[str, Any]:
        """Every decision, oldest first; with a number those about any id that is this customer's now.

        Returns:
            `{"decisions": [{"number", "what", …pair, "stands", "run", "ends", "since", "reason", "by", "at"}]}`.

        Raises:
            UnknownCustomer: The number is nobody's.
        """
        from kohort.trust.access import ids_of

        store, ids = self._ws.store, None
        if number is not None:
            (key,) = customer_keys(store.vault, [number])
            ids = ids_of(store, key)
        return {"decisions": self._decisions(store.merges.log(ids))}

    # -- parts -----------------------------------------------------------------------------------------------------

    def _numbers(self, keys: Sequence[int]) -> list[str]:
        return company_numbers(self._ws.store.vault, keys)

    def _known(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Pairs of whom neither was erased."""
        there = iter(self._ws.store.vault.there([id_ for pair in pairs for id_ in (pair.keep, pair.other)]))
        return [pair for pair in pairs if all([next(there), next(there)])]

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
