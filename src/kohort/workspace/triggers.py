"""`ws.triggers`: triggers, the segments they became, and what was delivered, with the company's own customer numbers."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kohort.definitions.triggers import TraitsChanged, hidden_features, hidden_name, is_hidden, rule_of, words
from kohort.definitions.triggers_text import write_on
from kohort.errors import KohortError, NotFound, WrongUsage
from kohort.model.clock import iso
from kohort.workspace.people import company_numbers, customer_keys

if TYPE_CHECKING:
    from kohort.actions.body import Person
    from kohort.actions.channel import Channel
    from kohort.actions.worker import Actions, Worker
    from kohort.definitions.triggers import Destination, Trigger
    from kohort.definitions.workspace_file import WorkspaceConfig
    from kohort.model.delivery import Delivery, DeliveryState
    from kohort.workspace.workspace import Workspace

ALLOW_VARIABLE = "KOHORT_OUTBOUND_ALLOW"
CA_VARIABLE = "KOHORT_OUTBOUND_CA"


class TriggerDoor:
    """Triggers are text in `kohort.yaml`; deliveries are made and sent by `kohort serve`, or by `send`."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace

    # -- looking -----------------------------------------------------------------------------------------------------

    def list(self) -> Sequence[dict[str, Any]]:
        """Every trigger: name, on, rule (of the segment it became), watches, send_to, quiet_hours, at_most, purpose,
        backfill, paused, deliveries (state → how many) and problems."""
        config = self._ws.config
        counts: dict[str, dict[str, int]] = {}
        for (trigger, _, state), n in self._ws.store.deliveries.counts().items():
            mine = counts.setdefault(trigger, {})
            mine[state] = mine.get(state, 0) + n
        return [
            {
                "name": t.name,
                "on": write_on(t.on),
                "watches": _watched(t),
                "rule": rule_of(t),
                "features": {f.name: f.text for f in hidden_features([t])},
                "send_to": list(t.send_to),
                "quiet_hours": str(t.quiet_hours) if t.quiet_hours else None,
                "at_most": str(t.at_most) if t.at_most else None,
                "purpose": t.purpose or None,
                "backfill": t.backfill,
                "paused": t.paused,
                "deliveries": counts.get(t.name, {}),
                "problems": self._problems(config, t),
            }
            for t in config.triggers
        ]

    def destinations(self) -> Sequence[dict[str, Any]]:
        """Every destination: what it is, and how it goes; see `kohort.workspace.destinations.listed`."""
        from kohort.workspace.destinations import listed

        return listed(self._ws)

    def deliveries(
        self,
        *,
        trigger: str | None = None,
        destination: str | None = None,
        state: DeliveryState | None = None,
        customer: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[dict[str, Any]]:
        """The latest deliveries, newest first, with the company's numbers; instants are ISO 8601.

        Args:
            before: Of those made before the one with this place (`place` of an answer).

        Raises:
            NotFound: No trigger has this name, and none that was told of had.
            UnknownCustomer: No customer has this number.
        """
        if trigger is not None:
            self._known(trigger)
        key = None if customer is None else customer_keys(self._ws.store.vault, [customer])[0]
        found = self._ws.store.deliveries.some(
            state=state, destination=destination, trigger=trigger, customer=key, before=before, limit=limit
        )
        people = self._people()
        return [_shown(d, people) for d in found]

    # -- doing -------------------------------------------------------------------------------------------------------

    def send(self, seconds: float = 300.0) -> dict[str, int]:
        """Makes the deliveries of everything that happened since the last look and sends what is due now.

        The first look ever begins with what happens after it.

        Returns:
            State → how many deliveries there are now.

        Raises:
            Busy: A server of this workspace sends already, or it took too long.
        """
        from kohort.store.lock import WriteLock

        with WriteLock(self._ws.root / ".deliveries.lock", timeout_seconds=0.0)():
            actions = self.actions()
            try:
                actions.drain(seconds)
            finally:
                actions.close()
        found: dict[str, int] = {}
        for (_, _, state), n in self._ws.store.deliveries.counts().items():
            found[state] = found.get(state, 0) + n
        return found

    def replay(self, ids: Sequence[str] = (), *, destination: str | None = None, trigger: str | None = None) -> int:
        """Puts deliveries back into the queue, under their own ids: these, or all dead ones of a destination or trigger.

        Raises:
            NotFound: An id is not known.
            WrongUsage: It is not said which.
        """
        queue = self._ws.store.deliveries
        if ids:
            numbers = [queue.one(id_).number for id_ in ids]
        elif destination is not None or trigger is not None:
            found = queue.some(state="dead", destination=destination, trigger=trigger, limit=1_000_000)
            numbers = [d.number for d in found]
        else:
            raise WrongUsage("Say which deliveries.", hint="Give ids, or --destination or --trigger for the dead ones.")
        return queue.replay(numbers, now=_now())

    def test(self, name: str, customer: str | None = None, *, send: bool = False) -> Sequence[dict[str, Any]]:
        """What a trigger would send about a customer (or somebody made up), and what each destination answers to it.

        Nothing is kept; the delivery's id begins with `test_`.

        Args:
            send: Send it; else it is only shown.

        Raises:
            NotFound: No such trigger.
        """
        from kohort.actions.body import Person, body
        from kohort.actions.outbound import NotSent

        trigger = self._known(name, defined=True)
        people = self._people()
        person: Person | None = Person("TEST-1")
        key = 0
        if customer is not None:
            (key,) = customer_keys(self._ws.store.vault, [customer])
        found = []
        by_name = {d.name: d for d in self._ws.config.destinations}
        for destination in (by_name[d] for d in trigger.send_to):
            if key:
                person = people.named(trigger.watches.segment, [key], destination.identifiers).get(key)
            sample = _sample(trigger, destination.name, key)
            reason = people.reason(sample.name, sample.segment, sample.change)
            said = body(sample, person or Person("TEST-1"), destination.shape, reason)
            line: dict[str, Any] = {"destination": destination.name, "body": said.decode(), "answer": None}
            if send:
                channel = open_channel(destination)
                try:
                    said = body(sample, person or Person("TEST-1"), destination.shape, reason, destination.format)
                    line["answer"] = f"status {channel.send(sample.id, said, _now(), str(key)).status}"
                except NotSent as error:
                    line["answer"] = error.reason
                finally:
                    channel.close()
            found.append(line)
        return found

    def actions(self, wake: Callable[[], None] = lambda: None, ended: Callable[[], None] = lambda: None) -> Actions:
        """What makes and sends deliveries; see `kohort.actions.worker.Actions`."""
        from kohort.actions.plan import Rules
        from kohort.actions.worker import Actions

        latest = {0: self._ws.config}

        def config() -> WorkspaceConfig:
            with suppress(KohortError):  # somebody is in the middle of an edit: what was defined before holds
                latest[0] = self._ws.config
            return latest[0]

        def rules() -> Rules:
            now = config()
            return Rules(now.triggers, now.segments, now.timezone)

        return Actions(
            self._ws.store, rules, lambda: config().destinations, open_channel, self._people(), wake=wake, ended=ended
        )

    def worker(self) -> Worker:
        """The same in a thread of its own, for servers: `start` it, `wake` it when something happened, `stop` it.

        It opens the workspace anew, so that nobody waits for another's connection.
        """
        from kohort.actions.worker import Worker
        from kohort.workspace.workspace import Workspace

        def make(wake: Callable[[], None]) -> Actions:
            own = Workspace.open(self._ws.root)
            try:
                return own.triggers.actions(wake, ended=own.close)
            except BaseException:
                own.close()
                raise

        return Worker(self._ws.root, make)

    # -- parts -------------------------------------------------------------------------------------------------------

    def _people(self) -> VaultPeople:
        return VaultPeople(self._ws)

    def _known(self, name: str, *, defined: bool = False) -> Trigger:
        config = self._ws.config
        for trigger in config.triggers:
            if trigger.name == name:
                return trigger
        if not defined and (found := self._ws.store.deliveries.some(trigger=name, limit=1)):
            from kohort.definitions.triggers import Moved
            from kohort.definitions.triggers import Trigger as Gone

            return Gone(found[0].trigger, Moved("entered", found[0].name))
        raise NotFound("trigger", name, [t.name for t in config.triggers])

    def _problems(self, config: WorkspaceConfig, trigger: Trigger) -> Sequence[str]:
        """What keeps a trigger from doing what it says."""
        found = []
        segment = trigger.watches.segment
        adopted = {row["name"] for row in self._ws.segmentations() if row["adopted"]}
        if isinstance(trigger.on, TraitsChanged):
            known = self._ws.store.log.columns()
            found += [f"No customer has the trait {c!r} yet." for c in trigger.on.traits if c not in known]
        elif not is_hidden(segment) and segment not in {d.name for d in config.segments} | adopted:
            found.append(f"No segment is called {segment!r}.")
        if not trigger.send_to:
            found.append("It is sent nowhere" + (": it only makes its segment." if rule_of(trigger) else "."))
        by_name = {d.name: d for d in config.destinations}
        for name in trigger.send_to:
            variable = by_name[name].secret_env
            if variable and not os.environ.get(variable):
                found.append(f"{variable}, the secret of {name}, is not set here.")
        return found


class VaultPeople:
    """Pseudonyms as receivers may know them, opened at the moment of sending."""

    def __init__(self, workspace: Workspace) -> None:
        self._ws = workspace
        self._said_of: WorkspaceConfig | None = None
        self._said: dict[tuple[str, str], str] = {}

    def named(self, name: str, customers: Sequence[int], kinds: Sequence[str]) -> dict[int, Person]:
        """See `kohort.actions.deliver.People`."""
        from kohort.actions.body import Person

        asked = sorted(set(customers))
        if any(d.name == name and d.kind == "accounts" for d in self._ws.config.segments):
            import numpy as np

            from kohort.segments.accounts import account_names

            names = account_names(self._ws.store, np.array(asked, np.int64))
            return {c: Person(n) for c, n in zip(asked, names, strict=True) if n is not None}
        vault = self._ws.store.vault
        found = {c: Person(f"v-{-c:014x}", visitor=True) for c in asked if c < 0}
        known = [c for c, ref in zip(asked, vault.refs(asked), strict=True) if ref is not None and c > 0]
        found |= {c: Person(n) for c, n in zip(known, company_numbers(vault, known), strict=True)}
        return {c: self._with_identifiers(c, p, kinds) for c, p in found.items()} if kinds else found

    def _with_identifiers(self, customer: int, person: Person, kinds: Sequence[str]) -> Person:
        from dataclasses import replace

        try:
            opened = self._ws.store.vault.open_person(customer)
        except NotFound:
            return person
        return replace(person, identifiers={k: tuple(opened[k]) for k in kinds if opened.get(k)})

    def reason(self, name: str, segment: str, change: str) -> str:
        """The rule of the part as a sentence."""
        config = self._ws.config
        if self._said_of is not config:
            self._said_of, self._said = config, {}
        key = (name, segment)
        if key not in self._said:
            self._said[key] = self._say(name, segment, config)
        sentence = self._said[key]
        return f"no longer: {sentence}" if sentence and change == "left" else sentence

    def _say(self, name: str, segment: str, config: WorkspaceConfig) -> str:
        from kohort.definitions.rules.sentences import say_rule

        if (mine := next((t for t in config.triggers if hidden_name(t.name) == name), None)) is not None:
            return words(mine.on)
        labels = {f.name: f.label for f in config.with_hidden(config.features) if f.label}
        rules = [p.rule for d in config.evaluated if d.name == name for p in d.parts if p.key == segment and p.rule]
        return say_rule(rules[0].rule, "en", labels=labels) if rules else ""


def open_channel(destination: Destination) -> Channel:
    """The way to a destination.

    Raises:
        MissingExtra: Kafka needs an optional part that is not installed.
    """
    from kohort.actions.channel import Webhook
    from kohort.actions.outbound import Outbound, networks, trusting

    if destination.kind == "kafka":
        from kohort.actions.kafka import Topic

        return Topic(destination)
    authorities = os.environ.get(CA_VARIABLE, "")
    tls = trusting(authorities) if authorities else None
    return Webhook(destination, Outbound(networks(os.environ.get(ALLOW_VARIABLE, "")), tls=tls))


def _sample(trigger: Trigger, destination: str, customer: int) -> Delivery:
    from kohort.model.delivery import CHANGED, Delivery
    from kohort.store.trait_changes import values_text

    on, now = trigger.watches, _now()
    part, other, change = on.part or on.target or on.segment, on.origin, "left" if on.change == "left" else "entered"
    if isinstance(trigger.on, TraitsChanged):
        part, other = (values_text(dict.fromkeys(trigger.on.traits, value)) for value in ("now", "before"))
        change = CHANGED
    return Delivery(
        number=0,
        id=f"test_{secrets.token_hex(8)}",
        trigger=trigger.name,
        destination=destination,
        seq=0,
        name=on.segment,
        segment=part,
        other=other,
        customer=customer,
        change=change,
        nth=1,
        at=now,
        version=1,
        state="pending",
        reason="",
        attempts=0,
        status=None,
        created_at=now,
        due_at=now,
        first_at=None,
        next_at=now,
        ended_at=None,
    )


def _watched(trigger: Trigger) -> str:
    if isinstance(trigger.on, TraitsChanged):
        return words(trigger.on)
    on = trigger.watches
    return f"{on.change} {on.segment}" + (f"/{on.part}" if on.part else "")


def _shown(d: Delivery, people: VaultPeople) -> dict[str, Any]:
    from kohort.model.delivery import CHANGED

    person = people.named(d.name, [d.customer], ()).get(d.customer)
    told: dict[str, Any] = {
        "id": d.id,
        "place": d.number,
        "trigger": d.trigger,
        "destination": d.destination,
        "customer_id": person.number if person else None,
        "segment": d.name,
        "part": ", ".join(json.loads(d.segment or "{}")) if d.change == CHANGED else d.segment,
        "change": d.change,
        "number": d.nth,
        "state": d.state,
        "reason": d.reason,
        "attempts": d.attempts,
        "status": d.status,
    }
    moments = {"at": d.at, "created_at": d.created_at, "next_at": d.next_at, "ended_at": d.ended_at}
    return told | {name: None if t is None else iso(t) for name, t in moments.items()}


def _now() -> int:
    return time.time_ns() // 1_000
