"""`ws.segments`: everything about segments that people define, with the company's own customer numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kohort.errors import KeptCurrent, WrongUsage
from kohort.model.clock import DAY_US
from kohort.model.progress import Progress, silent
from kohort.workspace import definitions as texts
from kohort.workspace import looks
from kohort.workspace.definitions import Body
from kohort.workspace.looks import Each
from kohort.workspace.people import customer_keys, this_user
from kohort.workspace.segment_texts import Language, SegmentTexts

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.segments import SegmentDefinition
    from kohort.engines.measures import Measures
    from kohort.segments.alarms import Alarms
    from kohort.segments.hysteresis import Hysteresis
    from kohort.segments.listing import Description
    from kohort.segments.migration import Migration
    from kohort.segments.overlap import Overlap
    from kohort.segments.preview import OverlapWith, Preview
    from kohort.segments.reasons import Why
    from kohort.segments.run_rules import RunReport
    from kohort.workspace.workspace import Workspace

UNNAMED = "this rule"
"""Name of a rule that is looked at before it is saved."""


class SegmentDoor(SegmentTexts):
    """Segments that people define. Definitions are text in `kohort.yaml`; members change when they are run.

    Each call looks at the definitions and the data as they are now. Moments are microseconds UTC or what a person types;
    the last event where none is given.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._measures: Measures | None = None
        self._looking = threading.Lock()

    # -- looking ---------------------------------------------------------------------------------------------------

    def list(self) -> tuple[Description, ...]:
        """Every segment there is, those found and adopted too: kind, size, parts, freshness, the last error."""
        return looks.describe(self._ws)

    def describe(self, name: str) -> Description:
        """One line of `list`.

        Raises:
            NotFound: No definition or adopted segmentation has this name.
        """
        return looks.described(self._ws, name)

    def members(self, name: str, as_of: int | str | None = None) -> pa.Table:
        """See `Workspace.members`."""
        return self._ws.members(name, as_of)

    def history(self, name: str, customer: str | None = None) -> Sequence[dict[str, Any]]:
        """Every run of a definition, oldest first; with a customer's number, her stays in it.

        Raises:
            NotFound: Nobody was ever in a segment of this name.
            UnknownCustomer: No customer has this number.
        """
        return looks.history(self._ws, name, customer)

    def preview(
        self,
        name: str | None = None,
        *,
        rule: Body | None = None,
        as_of: int | str | None = None,
        language: Language = "en",
    ) -> Preview:
        """Size, value and examples of a definition, or of a rule that is not saved, condition by condition.

        What was computed is kept: the next preview of the same data and moment is quick.

        Raises:
            WrongUsage: Neither or both are given.
            RefusedDefinition: With every mistake of the rule.
        """
        from kohort.engines.measures import Measures
        from kohort.segments.preview import preview

        ws, how = self._ws, self._how(as_of)
        snapshot = ws.store.log.snapshot()
        with self._looking:
            if self._measures is None or not self._measures.fits(snapshot, how["as_of"]):
                self._measures = Measures(snapshot, how["as_of"], threads=how["threads"])
            found = preview(
                ws.store,
                ws.config.segments,
                self._asked(name, rule),
                value=looks.value_of(ws),
                measures=self._measures,
                language=language,
                labels=self._labels(),
                **how,
            )
        return looks.sampled(found, ws.store.vault)

    def preview_overlap(
        self, name: str | None = None, *, rule: Body | None = None, as_of: int | str | None = None
    ) -> tuple[OverlapWith, ...]:
        """How the customers of a definition, or of a rule that is not saved, overlap with segments that were run."""
        from kohort.segments.preview import preview_overlap

        asked = self._asked(name, rule)
        return preview_overlap(self._ws.store, self._ws.config.segments, asked, **self._how(as_of))

    def why(
        self,
        name: str,
        customer: str,
        *,
        part: str | None = None,
        as_of: int | str | None = None,
        language: Language = "en",
    ) -> Why:
        """Every condition of a definition with what is so for one customer, what is missing, and what time will do.

        Of an adopted segmentation: the recorded reason, and what the group's short rule says of her.

        Args:
            customer: The company's number; of a user, where members are accounts.
            part: Which part to explain; hers where not given, else the one she is nearest to.

        Raises:
            UnknownCustomer: No customer has this number.
            NotEnough: She has no event at that moment.
        """
        from kohort.segments.definitions import adopted_parts
        from kohort.segments.why import why
        from kohort.segments.why_found import why_found

        (key,) = customer_keys(self._ws.store.vault, [customer])
        how = {k: v for k, v in self._how(as_of).items() if k != "threads"}
        how |= {"part": part, "language": language, "labels": self._labels()}
        key = self._ws.store.meant(key, how["as_of"])
        defined = self._ws.config.segments
        if not any(d.name == name for d in defined) and name in adopted_parts(self._ws.store):
            return why_found(self._ws.store, name, key, **how)
        return why(self._ws.store, defined, self.definition(name), key, **how)

    def overlap(self, name: str | None = None, *, as_of: int | str | None = None) -> Overlap:
        """Shared members of every pair of segments, the most alike first; with a name, only its pairs."""
        from kohort.segments.overlap import overlap

        accounts = [d.name for d in self._ws.config.segments if d.kind == "accounts"]
        return overlap(
            self._ws.store,
            with_name=name,
            accounts=accounts,
            as_of=None if as_of is None else self._moment(as_of),
            customers=self._ws.contents().customers if as_of is None else None,
        )

    def movement(
        self,
        name: str,
        since: int | str | None = None,
        until: int | str | None = None,
        *,
        by: Each = "month",
    ) -> tuple[Migration, ...]:
        """Who moved between parts. With both dates, between these two; else from each period to the next.

        Raises:
            NotEnough: It was not run at two moments that can be compared.
        """
        start, end = (None if t is None else self._moment(t) for t in (since, until))
        return looks.movement(self._ws, name, start, end, by)

    def staying(self, name: str, *, months: int = 12, as_of: int | str | None = None) -> Hysteresis:
        """What `keep`, `minimum_stay` and `then` of a definition changed: past months replayed with and without them.

        Raises:
            WrongUsage: The definition has no such rules.
        """
        from kohort.segments.hysteresis import replay
        from kohort.segments.migration import period_starts

        how = self._how(as_of)
        end = how.pop("as_of")
        moments = period_starts(end - (months + 1) * 31 * DAY_US, end, self._ws.zone, "month")[-months:]
        moments += [end] if end > moments[-1] else []
        return replay(self._ws.store, self._ws.config.segments, self.definition(name), moments, **how)

    def alarms(self, movements: Sequence[Migration]) -> Alarms:
        """Whether the latest of several periods is unusual, by what the ones before it suggest."""
        from kohort.segments.alarms import alarms

        return alarms(movements)

    # -- running ---------------------------------------------------------------------------------------------------

    def run(
        self, names: Iterable[str] | str | None = None, *, as_of: int | str | None = None, progress: Progress = silent
    ) -> RunReport:
        """Place everybody by the definitions as they are now: one, several, or all of them where none is named.

        A definition that cannot be evaluated keeps its members and says why; the others go on.
        What rules ask of predictions is scored anew before, as of the same moment.

        Raises:
            KeptCurrent: A server does this all the time.
        """
        from kohort.segments.hidden import retire_hidden
        from kohort.segments.run_rules import run, turn
        from kohort.workspace.scores import refresh

        if self._ws.store.kept_current() is not None:
            raise KeptCurrent
        asked = [names] if isinstance(names, str) else None if names is None else list(names)
        with turn(self._ws.store):
            config, how = self._ws.config, self._how(as_of)
            retire_hidden(self._ws.store, config.evaluated, how["as_of"])
            scored = refresh(self._ws, asked, how["as_of"], progress=progress)
            report = run(
                self._ws.store,
                config.evaluated,
                names=asked,
                now=time.time_ns() // 1_000,
                unread=config.unread,
                progress=progress,
                **self._engine(),
                **how | {"features": config.with_hidden(how["features"])},
            )
            return replace(report, scores=scored)

    # -- by hand ---------------------------------------------------------------------------------------------------

    def put(
        self, name: str, customers: Sequence[str], *, segment: str = "", note: str = "", by: str | None = None
    ) -> None:
        """Put customers in, whatever the rule says, from the next run on.

        Args:
            customers: The company's numbers (names, where the members are accounts).
            segment: Which part; may be left out where there is one.
            note: Why, for those who look later.
            by: Who decides this; the user of this machine where not given.

        Raises:
            UnknownCustomer: A number is not known; nobody is put in then.
        """
        from kohort.segments.by_hand import put_in

        keys = looks.member_keys(self._ws, name, customers)
        put_in(self._ws.store, self._ws.config.segments, name, keys, by=by or this_user(), part=segment, note=note)

    def take_out(
        self, name: str, customers: Sequence[str], *, segment: str = "", note: str = "", by: str | None = None
    ) -> None:
        """Keep customers out of a part, or of the whole definition where none is named. See `put`."""
        from kohort.segments.by_hand import take_out

        keys = looks.member_keys(self._ws, name, customers)
        take_out(self._ws.store, self._ws.config.segments, name, keys, by=by or this_user(), part=segment, note=note)

    def reset(self, name: str, customers: Sequence[str], *, by: str | None = None) -> None:
        """Forget what was decided by hand about these customers: the rule decides again from the next run on."""
        from kohort.segments.by_hand import reset

        keys = looks.member_keys(self._ws, name, customers)
        reset(self._ws.store, self._ws.config.segments, name, keys, by=by or this_user())

    # -- parts -----------------------------------------------------------------------------------------------------

    def _engine(self) -> dict[str, Any]:
        """Where runs take place."""
        return {"engine": self._ws.config.engine, "spark": self._ws.config.spark}

    def _asked(self, name: str | None, rule: Body | None) -> SegmentDefinition:
        if (name is None) == (rule is None):
            raise WrongUsage("Give either the name of a segment or a rule.")
        if name is not None:
            return self.definition(name)
        return texts.read_new(self._ws, UNNAMED, rule or "")
