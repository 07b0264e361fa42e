"""A lane of its own for customers with very many events: they may be late, so that nobody else is.

Whoever is evaluated has all of her events looked at, whatever changed. For a bot with a hundred thousand events that takes
a tenth of a second, and it sends something in every tick. So customers beyond a size wait for their turn, one at a time and
with a pause after each that is as long as she is large: together they take a small share of the loop, however many they are.
Where more comes in than can be looked at, the largest of those that a tick is about wait, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

PAUSE_US = 50
"""For each event of the customer who was evaluated, until the next one in the lane is: a change is late by at most a second
for each 20,000 events of all customers who wait."""
_TICK = 50
"""Times `many` events are looked at in a tick that brings new ones, at most: a quarter of a second or so."""


class SlowLane:
    """Who has so many events, and who of them waits for being evaluated.

    Args:
        late: Who waits already.
        many: Events of a customer who never waits, at most.
    """

    def __init__(self, late: Iterable[int] = (), *, many: int) -> None:
        self.many = many
        self._large: dict[int, int] = {}
        self._queue: dict[int, None] = dict.fromkeys(late)
        self._free = 0

    @property
    def late(self) -> tuple[int, ...]:
        """Who waits."""
        return tuple(sorted(self._queue))

    def __len__(self) -> int:
        """How many wait; any thread may ask."""
        return len(self._queue)

    def know(self, sizes: dict[int, int]) -> None:
        """Customers and how many events they have; those of few are as if not named."""
        self._large |= {customer: n for customer, n in sizes.items() if n > self._few}

    @property
    def _few(self) -> int:
        return self.many // 10

    def saw(self, events: pa.Table) -> None:
        """All events of some customers were fetched: from now on it is known who has many of them."""
        if events.num_rows > self.many:
            counted = pc.value_counts(events.column("customer"))
            self.know(dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True)))

    def waits(self, customer: int) -> bool:
        """Whether this customer, of whom something changed, is not evaluated at once; if so she waits from now on."""
        if self._large.get(customer, 0) <= self.many:
            return False
        self._queue.setdefault(customer)
        return True

    def relieve(self, moments: Mapping[int, int]) -> set[int]:
        """Who waits from now on, because all of them were too much for one tick: those whose events are the most to look at.

        Args:
            moments: Customer → at how many moments she is to be evaluated.
        """
        known = self._large.keys() & moments.keys()
        rows = sorted((self._large[customer] * moments[customer], customer) for customer in known)
        left, found = self.many * _TICK, set()
        for n, customer in rows:
            left -= n
            if left < 0:
                found.add(customer)
        self._queue.update(dict.fromkeys(sorted(found - self._queue.keys())))
        return found

    def turn(self, now: int) -> list[int]:
        """Whose turn it is: the one who waits longest, or nobody yet.

        Args:
            now: The loop's clock, microseconds UTC.
        """
        if not self._queue or now < self._free:
            return []
        customer = next(iter(self._queue))
        del self._queue[customer]
        self._free = now + PAUSE_US * self._large.get(customer, 0)
        return [customer]

    def next_instant(self) -> int | None:
        """When somebody's turn comes; None = nobody waits."""
        return self._free if self._queue else None
