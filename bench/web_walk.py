"""People who walk through the pages, each with pauses in which she reads; used by bench/web.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from web_client import Answer, Kind, Person, Typing, counted

READING = (1.0, 5.0)
"""Seconds between two pages."""
KEYS = (0.3, 0.9)
"""Seconds between two changes of a rule that is being typed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One answer; `problem` is empty where it is what was asked for."""

    label: str
    seconds: float
    problem: str


def walk(people: Sequence[tuple[str, Person]], found: Sequence[Kind], seconds: float) -> list[Step]:
    """Everybody at once, for so long; what each was answered."""
    steps: list[Step] = []
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_Walker(role, person, found, Random(n), steps).until, args=(end,))
        for n, (role, person) in enumerate(people)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return steps


class _Walker:
    """One of them: opens pages that her role looks at, follows what happens on the live page, and types rules."""

    def __init__(self, role: str, person: Person, found: Sequence[Kind], rng: Random, steps: list[Step]) -> None:
        self._person, self._rng, self._steps = person, rng, steps
        # A viewer's pages are everybody's; the administrator looks everywhere.
        self._kinds = [kind for kind in found if role == "administrator" or kind.who in (role, "viewer")]
        self._kinds = [kind for kind in self._kinds if kind.label not in ("/report", "/segments.csv")]
        self._types = role in ("marketer", "analyst")

    def until(self, end: float) -> None:
        time.sleep(self._rng.uniform(0, READING[1]))
        while time.monotonic() < end:
            kind = self._rng.choice(self._kinds)
            if kind.label == "/build" and self._types:
                self._type(end)
            else:
                self._look(kind)
            time.sleep(max(0.0, min(self._rng.uniform(*READING), end - time.monotonic())))
        self._person.close()

    def _look(self, kind: Kind) -> None:
        address = self._rng.choice(kind.addresses)
        if not self._asked(kind.label, lambda: self._person.get(address)) or kind.label != "/live":
            return
        try:
            if not self._person.follow("/live/stream", self._rng.uniform(*READING)):
                self._steps.append(Step("/live/stream", 0.0, "nothing came"))
        except OSError as error:
            self._steps.append(Step("/live/stream", 0.0, type(error).__name__))

    def _type(self, end: float) -> None:
        typing = Typing(self._person, self._rng)
        if not self._asked("/build", typing.open):
            return
        answers = typing.rule()
        while time.monotonic() < end and self._asked("preview", lambda: next(answers), preview=True):
            time.sleep(self._rng.uniform(*KEYS))

    def _asked(self, label: str, ask: object, *, preview: bool = False) -> bool:
        """Notes how long an answer took; False where there was none, or no more."""
        began = time.perf_counter()
        try:
            answer: Answer = ask()  # type: ignore[operator]
        except StopIteration:
            return False
        except Exception as error:
            self._steps.append(Step(label, time.perf_counter() - began, type(error).__name__))
            self._person.close()
            return False
        problem = "" if answer.status == 200 else str(answer.status)
        if preview and not problem and not counted(answer):
            problem = "no count"
        self._steps.append(Step(label, answer.seconds, problem))
        return not problem
