"""`ws.customers`: one customer from all sides, and finding her. Numbers are the company's customer numbers, or short codes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kohort.errors import UnknownCustomer, WrongUsage
from kohort.model.event import SCORE
from kohort.workspace.evidence import ids_told
from kohort.workspace.identity import KINDS
from kohort.workspace.people import company_numbers, customer_keys, short_code
from kohort.workspace.reasons import whole

if TYPE_CHECKING:
    from kohort.workspace.profile import ProfileDoor
    from kohort.workspace.workspace import Workspace

MOST_EVENTS = 50
"""Events that are shown where nobody says how many."""


class CustomerDoor:
    """Single customers, for people."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def show(self, number: str, *, events: int = MOST_EVENTS, source: str | None = None) -> dict[str, Any]:
        """One customer: her ids and why they are hers, what happened, segments and features, consent, and decisions.

        Identifiers are counted by kind; their values stay sealed.

        Args:
            number: The company's customer number, or the short code shown in its place; any id of hers.
            events: How many of the latest events.
            source: Of this source only; None = of all.

        Returns:
            `{"customer_id", "code", "ids": [{"customer_id", "visitor", "since", "why", "how", "score", "evidence"}],
            "identities": {kind: n}, "profile", "consent": [{"purpose", "agreed"}], "sources": {name: n},
            "timeline", "stays", "decisions", "groups"}`. `why` is "herself", "merge" or "said by events"; `sources` counts all events,
            `timeline` holds some of them, the latest first, `stays` every stay in a segment; `profile` is that of
            `GET /v1/customers/{id}`, `decisions` those of `ws.identity.log`, `groups` what `ws.groups.of` tells of her
            household and her account.

        Raises:
            UnknownCustomer: The number is nobody's.
        """
        from kohort.definitions.triggers import is_hidden
        from kohort.trust import access

        ws, store = self._ws, self._ws.store
        (key,) = customer_keys(store.vault, [number])
        ids = access.ids_of(store, key)
        code = short_code(ids[0])
        # What we said of her ourselves is no event of hers: what is predicted has a place of its own.
        happened = [event for event in access.events(store, ids, ws.currency) if event["event"] != SCORE]
        asked = [event for event in reversed(happened) if source in (None, event["source"])]
        names = [name for name in store.members.names() if not is_hidden(name)]
        return {
            "customer_id": company_numbers(store.vault, ids[:1])[0],
            "code": code,
            "ids": ids_told(store, ids),
            "identities": {kind: len(values) for kind, values in access.identities(store, ids).items()},
            "profile": self._profiles.of(code),
            "consent": ws.privacy.consent(code)["consent"],
            "sources": dict(sorted(Counter(event["source"] for event in happened).items())),
            "timeline": asked[:events],
            "stays": access.history(store, ids[0], names),
            "decisions": ws.identity.log(code)["decisions"],
            "groups": ws.groups.of(code),
        }

    def search(self, text: str) -> dict[str, Any]:
        """Who has exactly this number, e-mail address, telephone number, anonymous id, name or address. It is not kept and
        not repeated.

        Returns:
            `{"customers": [{"customer_id", "code", "by": [kind]}]}`.

        Raises:
            WrongUsage: The text is empty.
        """
        text = whole(text).strip()
        if not text:
            raise WrongUsage("Say what to look for.", hint="A customer number, an e-mail address, a telephone number.")
        vault = self._ws.store.vault
        having: dict[str, Sequence[int]] = {"anonymous_id": [k for k in vault.known_visitors([text]).tolist() if k]}
        having |= {kind: vault.holders(kind, text) for kind in KINDS}
        with suppress(UnknownCustomer):
            having = {"customer_id": customer_keys(vault, [text]), **having}
        found: dict[int, list[str]] = {}
        for kind, keys in having.items():
            for customer in dict.fromkeys(self._ws.store.meant(key) for key in keys):
                found.setdefault(customer, []).append(kind)
        numbers = company_numbers(vault, list(found))
        return {
            "customers": [
                {"customer_id": number, "code": short_code(key), "by": by}
                for number, (key, by) in zip(numbers, found.items(), strict=True)
            ]
        }

    # -- parts -----------------------------------------------------------------------------------------------------

    @cached_property
    def _profiles(self) -> ProfileDoor:
        from kohort.workspace.profile import ProfileDoor

        return ProfileDoor(self._ws)
