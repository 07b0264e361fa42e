"""`ws.privacy.records`: what is kept of people, what for, who is told, for how long; and who agreed to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kohort import __version__
from kohort.errors import NotFound

if TYPE_CHECKING:
    from kohort.workspace.workspace import Workspace


class RecordsDoor:
    """What a privacy officer has to be able to show, made from what there is."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    def register(self) -> dict[str, Any]:
        """Records of processing; see `kohort.trust.register.register`."""
        from kohort.trust.register import register

        ws = self._ws
        return register(ws.store, ws.config, ws.contents().events)

    def purposes(self) -> list[dict[str, Any]]:
        """How many customers agree to each purpose of `consent:` now.

        Returns:
            `{"purpose", "trait", "agreed", "refused", "never_asked", "segments", "triggers"}` each; of who forbids any profiling or
            use, see `forbidding`.
        """
        from kohort.trust.register import links_stamp, purposes

        ws, config = self._ws, self._ws.config
        if not config.consent:
            return []
        steady = f"{__version__}|{sorted(config.consent.items())}|{links_stamp(ws.store)}"
        found = ws.kept.get("purposes", steady, self._agreed)
        return [{**one, **found[one["purpose"]]} for one in purposes(config)]

    def _agreed(self) -> dict[str, dict[str, int]]:
        from kohort.engines.agreed import agreed

        ws = self._ws
        found = agreed(ws.store.log.snapshot(), ws.config.consent, as_of=time.time_ns() // 1_000, threads=ws.threads)
        return {
            purpose: {"agreed": one.yes, "refused": one.no, "never_asked": one.silent} for purpose, one in found.items()
        }

    def forbidding(self) -> dict[str, int]:
        """Limit ("objection", "restriction") → customers who said so; of somebody with several ids, one."""
        import numpy as np

        from kohort.model.limits import LIMITS
        from kohort.model.links import roots
        from kohort.trust.limits import forbidding

        meant = roots(self._ws.store.links.now())
        return {limit: len(np.unique(meant.of(forbidding(self._ws.store, limit)))) for limit in LIMITS}

    def last_expired(self) -> dict[str, Any] | None:
        """The receipt of the latest time that something was deleted because it was too old; None where nothing ever was."""
        from kohort.trust.register import last_expired

        return last_expired(self._ws.store)

    def receipt(self, request: str) -> dict[str, Any]:
        """The receipt of something that was done: "erasure-4".

        Raises:
            NotFound: There is none of this name.
        """
        known = {one["request"]: one for one in self._ws.privacy.requests()}
        if request not in known:
            raise NotFound("receipt", request, hint="See: kohort privacy requests")
        return known[request]
